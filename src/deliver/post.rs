//! The tasks that deliver: one for each target, which paces, merges and tries again.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};

use super::Context;
use super::mail::Mailer;
use super::robots::{self, BATCH_MAX, Request, Verdict};
use super::target::{Target, TargetKind};
use crate::alert::{Dispatch, Kind};
use crate::time::{Clock, SystemClock};

/// Alerts of one message to people at most; further ones follow in the next.
const MESSAGE_MAX: usize = 50;
/// Jobs that wait for a target at most; there are fewer alerts open than that.
const INBOX_MAX: usize = 100_000;
/// The first pause after a failure; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The pause that a target asks for that is told too much.
const TOO_FAST: Duration = Duration::from_secs(20);

/// Something to be delivered.
#[derive(Debug, Clone)]
pub struct Job {
    /// What.
    pub dispatch: Dispatch,
    /// It was delivered before and is only said again, so that the target goes on showing it; it is not reported.
    pub again: bool,
}

/// What became of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The target.
    pub target: String,
    /// The alert.
    pub id: String,
    /// Why it was sent.
    pub kind: Kind,
    /// `accepted`, `merged` (with others in one message), or `failed` (given up).
    pub result: &'static str,
}

/// Where jobs go in. Handing one in never waits, so that no target delays another.
#[derive(Debug)]
pub struct Post {
    targets: HashMap<String, Arc<Inbox>>,
}

impl Post {
    /// Starts a task for each target.
    ///
    /// # Errors
    /// Says which target cannot be used, and why, without its URL.
    pub fn start(
        targets: Vec<Target>,
        context: &Arc<Context>,
        reports: &Sender<Report>,
    ) -> Result<Post, String> {
        let mut senders = HashMap::new();
        for target in targets {
            let name = target.name.clone();
            let courier = Courier::new(target, Arc::clone(context), reports.clone())
                .map_err(|why| format!("the target `{name}` cannot be used: {why}"))?;
            let inbox = Arc::new(Inbox::default());
            tokio::spawn(courier.run(Arc::clone(&inbox)));
            senders.insert(name, inbox);
        }
        Ok(Post { targets: senders })
    }

    /// Checks that a target can be used, without speaking to it.
    ///
    /// # Errors
    /// Says why not, without its URL.
    pub fn check(target: &Target) -> Result<(), String> {
        Wire::new(target).map(|_| ())
    }

    /// Hands a job to its target; false where there is none of that name, or where it has more waiting than it could ever
    /// tell.
    pub fn send(&self, job: Job) -> bool {
        self.targets.get(&job.dispatch.target).is_some_and(|target| target.put(job))
    }
}

impl Drop for Post {
    /// The couriers end when they have nothing more to deliver.
    fn drop(&mut self) {
        for inbox in self.targets.values() {
            inbox.closed.store(true, Ordering::Release);
            inbox.news.notify_one();
        }
    }
}

/// Jobs that wait for one target.
#[derive(Debug, Default)]
struct Inbox {
    jobs: Mutex<VecDeque<Job>>,
    news: Notify,
    closed: AtomicBool,
}

impl Inbox {
    fn put(&self, job: Job) -> bool {
        let mut jobs = self.jobs.lock().expect("no holder of this lock can panic");
        let room = jobs.len() < INBOX_MAX;
        if room {
            jobs.push_back(job);
        }
        drop(jobs);
        self.news.notify_one();
        room
    }

    fn take(&self) -> VecDeque<Job> {
        std::mem::take(&mut *self.jobs.lock().expect("no holder of this lock can panic"))
    }

    /// What waits, as soon as anything does; `None` when nothing will any more.
    async fn wait(&self) -> Option<VecDeque<Job>> {
        loop {
            let jobs = self.take();
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            self.news.notified().await;
        }
    }
}

/// How a target is spoken to.
enum Wire {
    Http(reqwest::Client),
    Mail(Box<Mailer>),
}

impl Wire {
    fn new(target: &Target) -> Result<Wire, String> {
        if target.kind == TargetKind::Smtp {
            return Ok(Wire::Mail(Box::new(Mailer::new(target)?)));
        }
        let parsed =
            url::Url::parse(&target.url).map_err(|error| format!("its URL cannot be read: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(format!("its URL begins with `{}:`; write http:// or https://", parsed.scheme()));
        }
        let mut client = reqwest::Client::builder()
            .timeout(target.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("callpulse/", env!("CARGO_PKG_VERSION")));
        client = match target.proxy.as_str() {
            "" => client.no_proxy(),
            proxy => {
                let proxy = reqwest::Proxy::all(proxy).map_err(|_| "its proxy cannot be used".to_owned())?;
                client.proxy(proxy)
            }
        };
        client
            .build()
            .map(Wire::Http)
            .map_err(|error| format!("no client can be made: {}", error.without_url()))
    }
}

/// Delivers to one target.
struct Courier {
    target: Target,
    context: Arc<Context>,
    reports: Sender<Report>,
    wire: Wire,
    waiting: VecDeque<(Job, Instant)>,
    /// When messages of the last minute were sent.
    sent: VecDeque<Instant>,
    not_before: Instant,
}

impl Courier {
    fn new(target: Target, context: Arc<Context>, reports: Sender<Report>) -> Result<Courier, String> {
        Ok(Courier {
            wire: Wire::new(&target)?,
            target,
            context,
            reports,
            waiting: VecDeque::new(),
            sent: VecDeque::new(),
            not_before: Instant::now(),
        })
    }

    /// Ends when nobody can hand in anything more and nothing waits.
    async fn run(mut self, inbox: Arc<Inbox>) {
        let mut pause = PAUSE;
        loop {
            if self.waiting.is_empty() {
                match inbox.wait().await {
                    Some(jobs) => jobs.into_iter().for_each(|job| self.take(job)),
                    None => return,
                }
            }
            sleep_until(self.may_send_at()).await;
            // What came meanwhile goes along.
            inbox.take().into_iter().for_each(|job| self.take(job));
            let batch = self.batch();
            match self.deliver(&batch).await {
                Verdict::Accepted => {
                    pause = PAUSE;
                    self.report(batch.len(), "accepted").await;
                }
                Verdict::Refused(reason) => {
                    tracing::warn!(target_name = self.target.name, reason, "an alert was refused");
                    self.report(batch.len(), "failed").await;
                }
                verdict @ (Verdict::Later(_) | Verdict::TooFast(_)) => {
                    let (reason, wait) = match verdict {
                        Verdict::TooFast(reason) => (reason, TOO_FAST.max(pause)),
                        Verdict::Later(reason) | Verdict::Refused(reason) => (reason, pause),
                        Verdict::Accepted => (String::new(), pause),
                    };
                    tracing::warn!(
                        target_name = self.target.name,
                        reason,
                        waiting = self.waiting.len(),
                        "an alert could not be delivered; trying again in {wait:?}"
                    );
                    pause = (pause * 2).min(PAUSE_MAX);
                    self.not_before = Instant::now() + wait;
                    self.give_up_old(batch.len()).await;
                }
            }
        }
    }

    /// Takes a job. What is only said again is left out while something new waits: it comes again in a minute.
    fn take(&mut self, job: Job) {
        if job.again && self.waiting.iter().any(|(known, _)| !known.again) {
            return;
        }
        self.waiting.push_back((job, Instant::now()));
    }

    /// The jobs that go together in the next message, from the front.
    fn batch(&self) -> Vec<Job> {
        let most = if self.target.kind.is_read_by_people() { MESSAGE_MAX } else { BATCH_MAX };
        self.waiting.iter().take(most).map(|(job, _)| job.clone()).collect()
    }

    /// When the next message may be sent.
    fn may_send_at(&mut self) -> Instant {
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        while self.sent.front().is_some_and(|sent| now.duration_since(*sent) >= minute) {
            self.sent.pop_front();
        }
        let mut at = self.not_before;
        if self.target.kind.is_read_by_people()
            && let Some(last) = self.sent.back()
        {
            at = at.max(*last + self.target.group);
        }
        let limit = self.target.per_minute as usize;
        if limit > 0 && self.sent.len() >= limit {
            at = at.max(self.sent[self.sent.len() - limit] + minute);
        }
        at
    }

    async fn deliver(&mut self, batch: &[Job]) -> Verdict {
        let now = SystemClock.now();
        let shown = self.shown(batch);
        match &self.wire {
            Wire::Mail(mailer) => {
                let receivers = robots::mail_receivers(&self.target, &self.context, &shown);
                let (subject, text) = robots::mail_text(&self.target, &self.context, &shown, now);
                self.sent.push_back(Instant::now());
                match mailer.send(&receivers, &subject, text).await {
                    Verdict::Later(reason) => Verdict::Later(self.target.redact(&reason)),
                    Verdict::Refused(reason) => Verdict::Refused(self.target.redact(&reason)),
                    verdict => verdict,
                }
            }
            Wire::Http(client) => {
                let requests = match robots::requests(&self.target, &self.context, &shown, now) {
                    Ok(requests) => requests,
                    Err(reason) => return Verdict::Refused(reason),
                };
                let client = client.clone();
                for (number, request) in requests.into_iter().enumerate() {
                    // The parts of a long message follow each other, but not faster than the target takes them.
                    if number > 0 && self.target.per_minute > 0 {
                        let at = self.may_send_at().min(Instant::now() + Duration::from_secs(60));
                        sleep_until(at).await;
                    }
                    self.sent.push_back(Instant::now());
                    let verdict = self.ask(&client, request).await;
                    if verdict != Verdict::Accepted {
                        return verdict;
                    }
                }
                Verdict::Accepted
            }
        }
    }

    /// What of a batch is shown: to people of each alert the latest only.
    fn shown(&self, batch: &[Job]) -> Vec<Job> {
        if !self.target.kind.is_read_by_people() {
            return batch.to_vec();
        }
        let mut shown: Vec<Job> = Vec::new();
        for job in batch {
            shown.retain(|known| known.dispatch.alert.id() != job.dispatch.alert.id());
            shown.push(job.clone());
        }
        shown
    }

    async fn ask(&self, client: &reqwest::Client, request: Request) -> Verdict {
        let mut asked = if request.get { client.get(&request.url) } else { client.post(&request.url) };
        if !request.get {
            asked = asked.header("content-type", &request.content_type).body(request.body);
        }
        for (name, value) in &request.headers {
            asked = asked.header(*name, value);
        }
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => return Verdict::Later(self.target.redact(&cause_of(error))),
        };
        let status = answer.status().as_u16();
        let body = answer.text().await.unwrap_or_default();
        robots::judge(&self.target, status, &body)
    }

    async fn report(&mut self, count: usize, result: &'static str) {
        let merged = self.target.kind.is_read_by_people() && count > 1 && result == "accepted";
        let told: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        for (job, _) in told {
            if job.again {
                continue;
            }
            let result = if merged { "merged" } else { result };
            let id = job.dispatch.alert.id().to_owned();
            let kind = job.dispatch.kind;
            // Nobody to report to: the process is stopping.
            let _ = self.reports.send(Report { target: self.target.name.clone(), id, kind, result }).await;
        }
    }

    /// Gives up, of the first jobs, those that were tried for long enough.
    async fn give_up_old(&mut self, tried: usize) {
        let old = self.waiting.iter().take(tried);
        let old = old.take_while(|(_, since)| since.elapsed() >= self.target.give_up).count();
        if old > 0 {
            tracing::error!(
                target_name = self.target.name,
                alerts = old,
                "alerts could not be delivered and are given up"
            );
            self.report(old, "failed").await;
        }
        // What was only said again is not worth trying for long.
        self.waiting.retain(|(job, _)| !job.again);
    }
}

/// The innermost cause of a failed request, without its URL.
fn cause_of(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if timed_out { format!("no answer in time ({cause})") } else { cause.to_string() }
}
