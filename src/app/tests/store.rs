//! An object store in memory that fails, is slow, lies about failures, and finishes writes after their writer is gone.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::dice::Dice;

/// Faults that have happened, by kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct StoreFaults {
    pub(super) refused: u64,
    pub(super) lied: u64,
    pub(super) slow: u64,
}

/// A write that is under way.
struct Flight {
    path: Path,
    payload: PutPayload,
    options: PutOptions,
    done: Arc<Mutex<Option<Result<PutResult>>>>,
}

struct Weather {
    dice: Dice,
    /// Percent of calls that fail; 0: a fine day.
    bad: u64,
    flights: Vec<Flight>,
    faults: StoreFaults,
}

/// The store of one simulated process; all of them share what is in it.
#[derive(Clone)]
pub(super) struct Faulty {
    inner: Arc<InMemory>,
    weather: Arc<Mutex<Weather>>,
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

fn refused() -> Error {
    Error::Generic { store: "faulty", source: "connection reset".into() }
}

impl Faulty {
    pub(super) fn new(seed: u64, bad: u64) -> Faulty {
        let weather = Weather { dice: Dice(seed), bad, flights: Vec::new(), faults: StoreFaults::default() };
        Faulty { inner: Arc::default(), weather: Arc::new(Mutex::new(weather)) }
    }

    /// The same content without faults.
    pub(super) fn honest(&self) -> Arc<InMemory> {
        Arc::clone(&self.inner)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Weather) -> T) -> T {
        look(&mut self.weather.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn faults(&self) -> StoreFaults {
        self.with(|weather| weather.faults)
    }

    /// Writes that are under way.
    pub(super) fn flights(&self) -> usize {
        self.with(|weather| weather.flights.len())
    }

    /// Finishes one of the writes that are under way, whether its writer still waits for it or not.
    pub(super) fn land(&self, which: usize) {
        let flight = self.with(|weather| {
            let which = which.checked_rem(weather.flights.len())?;
            Some(weather.flights.swap_remove(which))
        });
        let Some(flight) = flight else { return };
        let put = self.inner.put_opts(&flight.path, flight.payload, flight.options);
        let result = put.now_or_never().expect("memory answers at once");
        *flight.done.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }

    /// No faults from now on.
    pub(super) fn clear_up(&self) {
        while self.flights() > 0 {
            self.land(0);
        }
        self.with(|weather| weather.bad = 0);
    }

    /// A call takes a while, and may be refused.
    async fn call(&self) -> Result<()> {
        let (waits, fails) = self.with(|weather| {
            let fails = weather.dice.percent(weather.bad);
            weather.faults.refused += u64::from(fails);
            (weather.dice.below(3), fails)
        });
        for _ in 0..waits {
            tokio::task::yield_now().await;
        }
        if fails { Err(refused()) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.call().await?;
        let (slow, lies) = self.with(|weather| {
            let (slow, lies) = (weather.dice.percent(weather.bad * 2), weather.dice.percent(weather.bad));
            weather.faults.slow += u64::from(slow);
            weather.faults.lied += u64::from(lies);
            (slow, lies)
        });
        let result = if slow {
            let done = Arc::new(Mutex::new(None));
            let flight = Flight { path: path.clone(), payload, options, done: Arc::clone(&done) };
            self.with(|weather| weather.flights.push(flight));
            loop {
                let result = done.lock().unwrap_or_else(PoisonError::into_inner).take();
                match result {
                    Some(result) => break result,
                    None => tokio::task::yield_now().await,
                }
            }
        } else {
            let result = self.inner.put_opts(path, payload, options).await;
            // It is written; the answer is on its way.
            tokio::task::yield_now().await;
            result
        };
        if lies { Err(refused()) } else { result }
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.call().await?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            match this.call().await {
                Ok(()) => this.inner.list(prefix.as_ref()),
                Err(error) => futures::stream::once(async { Err(error) }).boxed(),
            }
        };
        listed.into_stream().flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.call().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.call().await?;
        self.inner.copy_opts(from, to, options).await
    }
}
