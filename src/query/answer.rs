//! The rows of a statement: within a bound of time even where nobody takes them, counted, and written down at the end.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::asking::Asking;
use super::{Error, ErrorKind};
use crate::access::{Audit, Door, Identity, Outcome, Record};

/// The rows of a statement, as they come. Dropping it cancels the query.
pub struct Answer {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub rows: SendableRecordBatchStream,
    /// Whose rows in memory it lacks, for people; empty where it is whole.
    pub missing: Vec<String>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Answer").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Answer {
    /// Rows within their bounds.
    pub(super) fn new(
        rows: SendableRecordBatchStream,
        turn: OwnedSemaphorePermit,
        deadline: Instant,
        timeout: Duration,
        note: Note,
        missing: Vec<String>,
    ) -> Self {
        let schema = rows.schema();
        let running = Arc::new(Mutex::new(Running { work: Some((rows, turn)), waker: None }));
        // A reader that takes no rows does not poll: the turn and the memory come back all the same.
        let watched = Arc::clone(&running);
        let watch = tokio::spawn(async move {
            tokio::time::sleep_until(deadline).await;
            let (work, waker) = {
                let mut running = watched.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                (running.work.take(), running.waker.take())
            };
            drop(work);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        let rows = Bounded {
            schema: Arc::clone(&schema),
            running,
            timeout,
            over: false,
            note: Some(note),
            watch: watch.abort_handle(),
        };
        Self { schema, rows: Box::pin(rows), missing }
    }

    /// An answer that is known already.
    pub fn of_batch(batch: RecordBatch) -> Self {
        let schema = batch.schema();
        let rows = futures::stream::iter([Ok(batch)]);
        Self {
            schema: Arc::clone(&schema),
            rows: Box::pin(RecordBatchStreamAdapter::new(schema, rows)),
            missing: Vec::new(),
        }
    }

    /// All rows at once.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = Vec::new();
        while let Some(batch) = self.rows.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// Waits for the first batch, so that a fault in it is known before anything is sent.
    pub async fn started(mut self) -> Result<Self, Error> {
        let first = self.rows.next().await.transpose()?;
        let head = futures::stream::iter(first.map(Ok));
        let schema = Arc::clone(&self.schema);
        let rows = RecordBatchStreamAdapter::new(Arc::clone(&schema), head.chain(self.rows));
        Ok(Self { schema, rows: Box::pin(rows), missing: self.missing })
    }
}

/// What ends a query that took too long.
pub(super) fn timed_out(timeout: Duration) -> Error {
    Error::new(ErrorKind::TimedOut, format!("the query took longer than `{} s`", timeout.as_secs_f64()))
        .hint("narrow the time range, or raise the limit of time")
}

/// The query itself; taken away when it is over.
struct Running {
    work: Option<(SendableRecordBatchStream, OwnedSemaphorePermit)>,
    waker: Option<Waker>,
}

/// A stream that ends with an error at its deadline, and gives its turn back when it ends or is dropped.
struct Bounded {
    schema: SchemaRef,
    running: Arc<Mutex<Running>>,
    timeout: Duration,
    over: bool,
    note: Option<Note>,
    watch: AbortHandle,
}

impl Bounded {
    fn end(&mut self) -> Option<Note> {
        self.over = true;
        self.watch.abort();
        let work = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).work.take();
        drop(work);
        self.note.take()
    }
}

impl Stream for Bounded {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        let polled = {
            let mut running = self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            running.waker = Some(context.waker().clone());
            running.work.as_mut().map(|(rows, _)| rows.poll_next_unpin(context))
        };
        match polled {
            None => {
                let error = timed_out(self.timeout);
                if let Some(note) = self.end() {
                    note.failed(&error);
                }
                Poll::Ready(Some(Err(error.into_datafusion())))
            }
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(Some(Ok(batch)))) => {
                if let Some(note) = &mut self.note {
                    note.rows += batch.num_rows() as u64;
                }
                Poll::Ready(Some(Ok(batch)))
            }
            Some(Poll::Ready(Some(Err(error)))) => {
                let error = Error::from(error);
                if let Some(note) = self.end() {
                    note.failed(&error);
                }
                Poll::Ready(Some(Err(error.into_datafusion())))
            }
            Some(Poll::Ready(None)) => {
                if let Some(note) = self.end() {
                    note.done();
                }
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if let Some(note) = self.end() {
            note.stopped();
        }
    }
}

impl RecordBatchStream for Bounded {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// The line of the audit log that a statement will leave.
pub(super) struct Note {
    audit: Option<Arc<Audit>>,
    who: Arc<Identity>,
    door: Door,
    peer: Option<SocketAddr>,
    sql: String,
    began: Instant,
    rows: u64,
}

impl Note {
    pub(super) fn new(audit: Option<&Arc<Audit>>, asking: &Asking, sql: &str, began: Instant) -> Self {
        let audit = audit.filter(|_| asking.door != Door::Inside).cloned();
        let sql = if audit.is_some() { sql.to_owned() } else { String::new() };
        let (who, door, peer) = (Arc::clone(&asking.who), asking.door, asking.peer);
        Self { audit, who, door, peer, sql, began, rows: 0 }
    }

    pub(super) fn failed(self, error: &Error) {
        let outcome = match error.kind {
            ErrorKind::Refused | ErrorKind::Denied => Outcome::Refused,
            _ => Outcome::Failed,
        };
        self.write(outcome, Some(&error.message));
    }

    fn done(self) {
        self.write(Outcome::Done, None);
    }

    fn stopped(self) {
        self.write(Outcome::Stopped, None);
    }

    fn write(&self, outcome: Outcome, why: Option<&str>) {
        let Some(audit) = &self.audit else { return };
        audit.note(&Record {
            who: Some(&self.who),
            peer: self.peer,
            door: self.door,
            what: &self.sql,
            outcome,
            rows: self.rows,
            took: self.began.elapsed(),
            why,
        });
    }
}
