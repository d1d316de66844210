//! The service: reads Kafka, keeps the lake, answers. `run` is this; `demo` is this with a broker and a
//! simulated centre beside it.
//!
//! Invariant: nothing here decides what is durable. Where the lake says that another owner has written, the partition is
//! given up and taken on anew from what is stored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use prometheus::Registry;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::alerting::{Alerting, Said};
use super::board::Board;
use super::commit::{Committer, Outcome};
use super::desk;
use super::fleet::{self, Fleet};
use super::intake::intake;
use super::task::Rules;
use super::worker::{self, Ask, Worker, task_of};
use super::{Failure, doors, lexicons, settings};
use crate::config::Config;
use crate::ingest::{AfterGap, Block, Consumer, DeadLetters, Gap, Lag, Place, Remote, Sink, Start};
use crate::lake::Lake;
use crate::metrics::Metrics;
use crate::query::Engine;
use crate::serve::{self, Site};
use crate::time::{Clock, Millis, SystemClock};
use crate::window::Window;

/// State of a worker's tasks up to this many bytes is written with every commit, so that readers of the data directory and a
/// restart are close to the present. More would take the worker more than a twentieth of its time.
const SMALL_STATE_BYTES: u64 = 32 << 20;

/// How long the last commit of partitions that go to another owner may take, before they go without it: the group waits
/// meanwhile, and the next owner reads again what is not durable.
const HAND_OVER_MAX: Duration = Duration::from_secs(60);
/// How long the last commit of all may take when the service stops.
const LAST_COMMIT_MAX: Duration = Duration::from_secs(120);
/// How long what goes on beside may take to end then: a forecast or a sum that is half made is made anew by the next start.
const BESIDE_MAX: Duration = Duration::from_secs(15);
/// How often in a row a task may find that another owner has written its partition, before the operator must act.
const FENCED_MAX: u32 = 5;

/// A running service.
pub(super) struct Service {
    /// What everybody may look at.
    pub(super) board: Arc<Board>,
    /// SQL.
    pub(super) engine: Arc<Engine>,
    /// Where the pages are.
    pub(super) http: Option<std::net::SocketAddr>,
    /// The PostgreSQL wire.
    pub(super) postgres: Option<doors::Open>,
    /// Arrow Flight SQL.
    pub(super) flight: Option<doors::Open>,
    consumer: Option<Consumer>,
    stop: CancellationToken,
    commits: JoinHandle<Result<(), Failure>>,
    /// What goes on beside: alerts, surges, forecasts, sums. Each ends what it has begun when it is told to stop.
    beside: JoinSet<()>,
    pages: Option<JoinHandle<std::io::Result<()>>>,
    failures: mpsc::Receiver<Failure>,
}

impl Service {
    /// Starts everything: lake, workers, pages, consumer.
    ///
    /// # Errors
    /// Who must act is in the failure.
    pub(super) async fn start(config: &Config, clock: Arc<dyn Clock>) -> Result<Service, Failure> {
        let consumer_options = settings::consumer(config)?;
        let shelf = lexicons::shelf(config)?;
        let keys = doors::Keys::of(config)?;
        let listener = doors::listen(config.listeners.http, "--http").await?;
        let pg_listener = doors::listen(config.listeners.pg, "--pg").await?;
        let flight_listener = doors::listen(config.listeners.flight, "--flight").await?;
        let lake = Lake::open(settings::lake(config)).await.map_err(Failure::of_lake)?;
        let dead_letters = match &config.kafka.dead_letter_topic {
            Some(topic) => Some(
                DeadLetters::new(&config.kafka.brokers, &config.kafka.properties.0, topic)
                    .map_err(|error| Failure::of_ingest(&error))?,
            ),
            None => None,
        };
        let listens = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let fleet = Fleet::of(config, listens)?;
        let base_url = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let base_url = base_url.map(|address| doors::http_url(config, address)).unwrap_or_default();
        let (alerting, ends) = Alerting::open(config, &base_url, Arc::clone(&clock))?;
        let full = Arc::new(Notify::new());
        let split = Arc::default();
        let worker_options = worker::Options {
            clock: Arc::clone(&clock),
            commit_rows: usize::try_from(config.lake.commit_rows).unwrap_or(200_000),
            small_state_bytes: SMALL_STATE_BYTES,
            full: Arc::clone(&full),
            split: Arc::clone(&split),
            alerts: alerting.voice(),
        };
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).min(16);
        let mut workers = Vec::with_capacity(threads);
        for number in 0..threads {
            let worker = Worker::start(&format!("worker-{number}"), worker_options.clone());
            workers.push(
                worker.map_err(|error| Failure::outside(format!("no thread can be started: {error}")))?,
            );
        }
        let metrics = Metrics::new(Registry::new(), env!("CARGO_PKG_VERSION")).map_err(Failure::bug)?;
        let idle = Window::new(settings::window(config)).snapshot(clock.now());
        let committer = Committer::new(lake, dead_letters, Some(Arc::clone(&alerting)));
        let board = Arc::new(Board::new(
            workers,
            committer,
            Arc::clone(&clock),
            metrics,
            split,
            Arc::clone(&alerting),
            idle,
            config.timezone.name(),
            settings::goals(config),
            config.kafka.topics.iter().map(|topic| topic.name.as_str().into()).collect(),
            fleet.clone(),
        ));
        let engine = Engine::new(settings::query(config, Some(&shelf)), Arc::clone(&board) as _)
            .map_err(|error| Failure::bug(error.to_string()))?;
        let engine = Arc::new(keys.guard(engine));

        let stop = CancellationToken::new();
        keys.watch(stop.child_token());
        let postgres = doors::open_postgres(pg_listener, &keys, &engine, &stop);
        let flight = doors::open_flight(flight_listener, &keys, &engine, &stop);
        let departments: HashMap<String, String> = config
            .queues
            .iter()
            .filter_map(|(name, queue)| Some((name.clone(), queue.department.clone()?)))
            .collect();
        let http = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let pages = listener.map(|listener| {
            let (metrics, live, health) = (Arc::clone(&board), Arc::clone(&board), Arc::clone(&board));
            let site = Site {
                engine: Arc::clone(&engine),
                metrics: Arc::new(move || metrics.metrics()),
                live: Arc::new(move || live.live()),
                health: Arc::new(move || health.health()),
                intake: Some(intake(config, Arc::clone(&clock))),
                alerts: alerting.site(),
                clock: Arc::clone(&clock),
                access: Arc::clone(&keys.access),
                tls: keys.tls.clone(),
                departments: Arc::new(departments.clone()),
                fleet: fleet.is_some().then(|| rows_for_others(&board)),
            };
            tokio::spawn(serve::run(listener, site, stop.child_token()))
        });

        // A list that is compiled in cannot change; SIGHUP is taken all the same, or it would end the process.
        tokio::spawn(lexicons::keep_fresh(config.lexicons.clone(), Arc::clone(&shelf), stop.child_token()));

        let (fail, failures) = mpsc::channel(4);
        let gate = Arc::new(Gate {
            board: Arc::clone(&board),
            rules: {
                let mut rules = (*settings::rules(config, false, &shelf)).clone();
                rules.watch = Some(Arc::clone(&alerting.rules));
                Arc::new(rules)
            },
            co_partitioned: config.kafka.co_partitioned,
            runtime: tokio::runtime::Handle::current(),
            fail,
        });
        let reader = tokio::task::spawn_blocking(move || Consumer::start(consumer_options, gate));
        let consumer = match reader.await {
            Ok(Ok(consumer)) => consumer,
            Ok(Err(error)) => return Err(Failure::of_ingest(&error)),
            Err(error) => return Err(Failure::bug(error.to_string())),
        };
        if let Some(fleet) = fleet {
            tokio::spawn(speak(Arc::clone(&board), fleet, stop.child_token()));
        }
        let mut beside = JoinSet::new();
        beside.spawn(desk::run(Arc::clone(&board), Arc::clone(&alerting), ends, stop.child_token()));
        tokio::spawn(reload_on_signal(Arc::clone(&alerting), stop.child_token()));
        beside.spawn(super::surges::run(
            Arc::clone(&alerting),
            Arc::clone(&engine),
            Arc::clone(&clock),
            stop.child_token(),
        ));
        beside.spawn(super::forecast::live::run(
            Arc::clone(&board),
            Arc::clone(&engine),
            clock,
            super::forecast::options(config, None, None)?,
            stop.child_token(),
        ));
        let pace = Pace::of(config);
        if let Some(every) = pace.maintain {
            let (board, engine) = (Arc::clone(&board), Arc::clone(&engine));
            beside.spawn(super::past::keep_summed(board, engine, every, config.grid(), stop.child_token()));
        }
        let commits = Commits {
            board: Arc::clone(&board),
            pace,
            co_partitioned: config.kafka.co_partitioned,
            consumer: consumer.remote(),
            fenced: HashMap::new(),
        };
        let commits = tokio::spawn(commits.run(full, stop.child_token()));
        Ok(Service {
            board,
            engine,
            http,
            postgres,
            flight,
            consumer: Some(consumer),
            stop,
            commits,
            beside,
            pages,
            failures,
        })
    }

    /// Returns when something failed for good.
    pub(super) async fn failed(&mut self) -> Failure {
        tokio::select! {
            failure = self.failures.recv() => failure.unwrap_or_else(|| Failure::bug("the consumer is gone")),
            ended = &mut self.commits => match ended {
                Ok(Err(failure)) => failure,
                Ok(Ok(())) => Failure::bug("the commits have ended"),
                Err(error) => Failure::bug(format!("the commits have ended: {error}")),
            },
        }
    }

    /// Reads no more, makes durable what was read, and leaves the group; the pages go on.
    ///
    /// # Errors
    /// Where the last commit failed.
    pub(super) async fn stop_reading(&mut self) -> Result<(), Failure> {
        let last = self.board.committer.cycle(&self.board.workers, None, Some(true));
        let last = tokio::time::timeout(LAST_COMMIT_MAX, last).await.unwrap_or_else(|_| {
            let why = self.board.committer.committing().failing.unwrap_or_default();
            Err(Failure::outside(format!(
                "the last rows could not be made durable within {} s: {why}",
                LAST_COMMIT_MAX.as_secs()
            ))
            .hint("nothing is lost: the next start reads them again from Kafka"))
        });
        if let Some(consumer) = self.consumer.take() {
            let stopped = tokio::task::spawn_blocking(move || consumer.stop());
            stopped.await.map_err(|error| Failure::bug(error.to_string()))?;
        }
        // The others need not wait for our silence.
        let board = Arc::clone(&self.board);
        let _ = tokio::task::spawn_blocking(move || board.say(true)).await;
        last.map(drop)
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// Where the last commit failed.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let stopped = self.stop_reading().await;
        self.stop.cancel();
        if let Some(pages) = self.pages.take() {
            let _ = tokio::time::timeout(Duration::from_secs(5), pages).await;
        }
        for door in [self.postgres.take(), self.flight.take()].into_iter().flatten() {
            door.closed().await;
        }
        let _ = tokio::time::timeout(Duration::from_secs(60), &mut self.commits).await;
        let ended = async { while self.beside.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(BESIDE_MAX, ended).await;
        stopped
    }
}

/// How often an instance says its sums.
const SPEAK: Duration = Duration::from_secs(1);

/// Says to the other instances what this one has, again and again.
async fn speak(board: Arc<Board>, fleet: Arc<Fleet>, stop: CancellationToken) {
    let mut seconds = tokio::time::interval(SPEAK);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = seconds.tick() => {}
            () = fleet.news() => {}
        }
        // Who has left the group has said its last word.
        if !board.has_left() {
            board.say(false);
        }
    }
}

/// What answers other instances that ask for rows in memory.
fn rows_for_others(board: &Arc<Board>) -> serve::FleetRows {
    let board = Arc::clone(board);
    Arc::new(move |question: bytes::Bytes| {
        let board = Arc::clone(&board);
        async move {
            let (now, stored) = fleet::read_question(&question)?;
            let tasks = board.beyond(&Arc::new(stored), now).await;
            fleet::answer(tasks)
        }
        .boxed()
    })
}

/// Reads the files of rules, roster and people at SIGHUP too.
async fn reload_on_signal(alerting: Arc<Alerting>, stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            heard = hangup.recv() => match heard {
                Some(()) => alerting.say(Said::Reload),
                None => return,
            },
        }
    }
}

/// How often what is done.
#[derive(Debug, Clone)]
struct Pace {
    commit: Duration,
    snapshot: Duration,
    maintain: Option<Duration>,
    grid: crate::time::Grid,
}

impl Pace {
    fn of(config: &Config) -> Pace {
        let secs = |secs: i64| Duration::from_secs(u64::try_from(secs).unwrap_or(1).max(1));
        Pace {
            commit: secs(config.lake.commit_secs),
            snapshot: secs(config.lake.snapshot_secs),
            maintain: (config.lake.compact_every_secs > 0).then(|| secs(config.lake.compact_every_secs)),
            grid: config.grid(),
        }
    }
}

/// Commits again and again.
struct Commits {
    board: Arc<Board>,
    pace: Pace,
    co_partitioned: bool,
    consumer: Remote,
    /// Tasks that another owner has overtaken, and how often in a row.
    fenced: HashMap<String, u32>,
}

impl Commits {
    async fn run(mut self, full: Arc<Notify>, stop: CancellationToken) -> Result<(), Failure> {
        let board = Arc::clone(&self.board);
        let every = i64::try_from(self.pace.snapshot.as_millis()).unwrap_or(Millis::MAX).max(1);
        // Every process that writes this lake takes its snapshots at the same moments: see `lake::cut`.
        let next = |now: Millis| (now.div_euclid(every) + 1).saturating_mul(every);
        let mut snapshot_at = next(SystemClock.now());
        let mut maintain_at = self.pace.maintain.map(|every| tokio::time::Instant::now() + every);
        loop {
            let until = u64::try_from(snapshot_at - SystemClock.now()).unwrap_or(0);
            let pause = self.pace.commit.min(Duration::from_millis(until.max(1)));
            let pressed = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = full.notified() => true,
                () = tokio::time::sleep(pause) => false,
            };
            let now = SystemClock.now();
            // While rows press, the state moves so fast that a small one too is written only when it is due.
            let snapshot = match (now >= snapshot_at, pressed) {
                (true, _) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
            };
            if snapshot == Some(true) {
                snapshot_at = next(now);
            }
            let outcome = board.committer.cycle(&board.workers, None, snapshot).await?;
            self.look_at(outcome)?;
            let now = tokio::time::Instant::now();
            if let (Some(at), Some(every)) = (maintain_at, self.pace.maintain)
                && now >= at
            {
                maintain_at = Some(now + every);
                // One of several processes is enough: the one that reads the first partition.
                if !board.has_first_partition() {
                    continue;
                }
                let today = self.pace.grid.date(board.clock.now());
                match board.committer.maintain(today).await {
                    Ok(report) => tracing::debug!(%report, "the lake was tidied"),
                    Err(error) => {
                        tracing::warn!(%error, "the lake cannot be tidied now; it is tried again later")
                    }
                }
            }
        }
    }

    /// Tells Kafka how far it is, and begins again where another owner has been.
    fn look_at(&mut self, outcome: Outcome) -> Result<(), Failure> {
        for (task, _, ranges) in outcome.done {
            self.fenced.remove(&task);
            for range in ranges {
                self.consumer.commit_hint(&range.topic.as_str().into(), range.partition, range.to);
            }
        }
        for (task, why) in outcome.fenced {
            let times = self.fenced.entry(task.clone()).or_default();
            *times += 1;
            if *times > FENCED_MAX {
                return Err(Failure::outside(why));
            }
            tracing::warn!(task, why, "what is held of these partitions is given up, and taken on anew");
            let places = self.board.assigned();
            let of_task = places.into_iter().filter(|place| task_of(place, self.co_partitioned) == task);
            self.consumer.begin_again(of_task);
        }
        Ok(())
    }
}

/// Between the consumer's thread and the workers.
struct Gate {
    board: Arc<Board>,
    rules: Arc<Rules>,
    co_partitioned: bool,
    runtime: tokio::runtime::Handle,
    fail: mpsc::Sender<Failure>,
}

impl Gate {
    fn worker(&self, (topic, partition): &Place) -> &Worker {
        let workers = &self.board.workers;
        let spread = if self.co_partitioned { 0 } else { topic.len() };
        &workers[(spread + partition.unsigned_abs() as usize) % workers.len()]
    }

    /// The tasks of these partitions, each with its partitions.
    fn tasks(&self, places: &[Place]) -> Vec<(String, Vec<Place>)> {
        let mut tasks: Vec<(String, Vec<Place>)> = Vec::new();
        for place in places {
            let name = task_of(place, self.co_partitioned);
            match tasks.iter_mut().find(|(known, _)| *known == name) {
                Some((_, of_task)) => of_task.push(place.clone()),
                None => tasks.push((name, vec![place.clone()])),
            }
        }
        tasks
    }

    async fn adopt(&self, name: &str, places: &[Place]) -> Result<HashMap<Place, i64>, String> {
        let task = self.board.committer.adopt(&self.rules, name, places).await;
        let task = task.map_err(|failure| failure.message)?;
        let starts =
            task.positions().map(|(topic, partition, next)| ((Arc::clone(topic), partition), next)).collect();
        if let Some(place) = places.first() {
            self.worker(place).ask(Ask::Adopt(Box::new(task)));
        }
        Ok(starts)
    }
}

impl Sink for Gate {
    fn assigned(&self, partitions: &[Place]) -> Result<Vec<Start>, String> {
        let mut starts = HashMap::new();
        for (name, places) in self.tasks(partitions) {
            starts.extend(self.runtime.block_on(self.adopt(&name, &places))?);
        }
        self.board.note_assigned(partitions, true);
        let start = |place: &Place| match starts.get(place) {
            Some(&next) if next > 0 => Start::At(next),
            _ => Start::Beginning,
        };
        Ok(partitions.iter().map(start).collect())
    }

    fn revoked(&self, partitions: &[Place], lost: bool) {
        let tasks = self.tasks(partitions);
        let names: Vec<String> = tasks.iter().map(|(name, _)| name.clone()).collect();
        if !lost {
            let committed = self.runtime.block_on(async {
                let cycle = self.board.committer.cycle(&self.board.workers, Some(names.clone()), Some(true));
                tokio::time::timeout(HAND_OVER_MAX, cycle).await
            });
            let why = match committed {
                Ok(Ok(outcome)) => outcome.fenced.into_iter().map(|(_, why)| why).next(),
                Ok(Err(failure)) => Some(failure.message),
                Err(_) => Some(format!("not within {} s", HAND_OVER_MAX.as_secs())),
            };
            if let Some(why) = why {
                tracing::warn!(
                    why,
                    "what was read of the revoked partitions is not durable; their new owner reads it again"
                );
            }
        }
        for worker in &self.board.workers {
            let (reply, done) = tokio::sync::oneshot::channel();
            worker.ask(Ask::Release(names.clone(), reply));
            let _ = done.blocking_recv();
        }
        if lost {
            self.board.note_lost(partitions);
        } else {
            self.board.note_assigned(partitions, false);
        }
        // Before another owner can show them: no partition is told of twice.
        self.board.say(false);
    }

    fn offer(&self, block: Block) -> Result<(), Block> {
        let place = (Arc::clone(&block.topic), block.partition);
        self.worker(&place).offer(&task_of(&place, self.co_partitioned), block)
    }

    fn end_of_partition(&self, _: &Place, _: i64) {}

    fn gap(&self, gap: &Gap) -> AfterGap {
        let (topic, partition) = &gap.place;
        let Some(missing) = gap.missing() else {
            let (wanted, high) = (gap.wanted, gap.high);
            let failure = Failure::config(format!(
                "topic `{topic}` partition `{partition}` ends at offset `{high}`, but the lake has its records up to \
                 `{wanted}`: it is not the topic that was read"
            ))
            .hint("a topic that was made anew needs another name, or another data_dir");
            let _ = self.fail.try_send(failure);
            return AfterGap::Stop;
        };
        self.board.note_missing(&gap.place, missing);
        tracing::error!(
            %topic, partition, wanted = gap.wanted, low = gap.low, high = gap.high,
            "{missing} records are gone from Kafka before they were read; figures of that time are incomplete; reading goes on at {}",
            gap.low
        );
        AfterGap::From(gap.low)
    }

    fn lag(&self, lags: &[Lag]) {
        self.board.note_lags(lags);
        let now = self.board.clock.now();
        for Lag { place, .. } in lags.iter().filter(|lag| lag.position >= lag.high) {
            self.worker(place).note_end(&task_of(place, self.co_partitioned), place, now);
        }
    }

    fn failed(&self, error: crate::ingest::Error) {
        let _ = self.fail.try_send(Failure::of_ingest(&error));
    }
}
