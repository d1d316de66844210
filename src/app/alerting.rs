//! What everybody may ask about alerts, and say to the desk: lists, acknowledgements, who is on duty, rows for queries.
//!
//! The loop that owns the order of things is [`desk`](super::desk). What workers say comes through one channel;
//! [`Alerting::sync`] waits until everything said before is in the outbox, so that no snapshot of a task is ahead of its
//! alerts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::duty::{self, Book, Books};
use super::outbox::{self, Outbox};
use super::{Failure, settings};
use crate::alert::{Alert, Cause, Desk, Dispatch, Silence, Status};
use crate::config::Config;
use crate::deliver::{Context, LinkKey, Post, Report};
use crate::event::{Event, Role};
use crate::facts::{ALERTS, Table};
use crate::metrics::Stats;
use crate::roster::{Duties, People, Roster};
use crate::rules::{Rules, Signal, Surging};
use crate::serve;
use crate::time::{Clock, Grid, MINUTE, Millis, format_time};

/// What may wait for the loop; workers that have more to say wait, and reading slows down.
const SAID_MAX: usize = 4_096;
/// Reports that may wait for the loop.
const REPORTS_MAX: usize = 1_024;

/// What is said to the loop.
pub(super) enum Said {
    /// Signals of a task, and when the records behind them were read.
    Signals(Vec<Signal>, Instant),
    /// A shift of the topic.
    Shift(Box<Event<'static>>),
    /// Something was done with the desk: changes to be kept, and what is to be sent for them.
    Done(Vec<Dispatch>),
    /// Answer whether everything before is kept.
    Sync(oneshot::Sender<Result<(), String>>),
    /// Look at the files now.
    Reload,
}

/// What everybody may ask about alerts.
pub(super) struct Alerting {
    desk: Mutex<Desk>,
    pub(super) roster: ArcSwap<Roster>,
    people: Arc<ArcSwap<People>>,
    /// The rules in force, which every task goes by.
    pub(super) rules: Arc<ArcSwap<Rules>>,
    /// Surges that go on, as they were looked at last.
    pub(super) surges: ArcSwap<Vec<Surging>>,
    pub(super) clock: Arc<dyn Clock>,
    context: Arc<Context>,
    said: mpsc::Sender<Said>,
    /// Alerts that the lake does not have as they are now.
    uncommitted: Mutex<BTreeMap<String, Alert>>,
    counts: Mutex<Counts>,
    fallback: Vec<String>,
    /// The shifts of the roster's file as rows, of which roster and of which day.
    filed: Mutex<Option<Filed>>,
    grid: Grid,
}

/// Rows of a roster, and what they were made of.
struct Filed {
    roster: Arc<Roster>,
    date: i32,
    rows: Option<(&'static Table, RecordBatch)>,
}

/// What is counted beside the desk's own counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) deliveries: BTreeMap<(String, String), u64>,
    reloads: BTreeMap<(String, String), u64>,
    pub(super) latency: Option<crate::window::Histogram>,
}

/// What the loop needs.
pub(super) struct Ends {
    pub(super) said: mpsc::Receiver<Said>,
    pub(super) reports: mpsc::Receiver<Report>,
    /// Held, so that reports have no end where there is no target.
    pub(super) report: mpsc::Sender<Report>,
    pub(super) post: Post,
    pub(super) outbox: Option<Outbox>,
    pub(super) config: Config,
}

impl Alerting {
    /// Opens the desk: reads the files and the outbox, starts the targets.
    ///
    /// # Errors
    /// Faults of files and targets; an outbox that cannot be used.
    pub(super) fn open(
        config: &Config,
        base_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Alerting>, Ends), Failure> {
        let Books { rules, roster, people } =
            duty::read(config).map_err(|faults| Failure::of_faults(&faults))?;
        let dir = settings::outbox_dir(config);
        let (outbox, kept) = Outbox::open(&dir).map_err(Failure::outside)?;
        let key = outbox::link_key(&dir).map_err(Failure::outside)?;
        let people = Arc::new(ArcSwap::new(people));
        let base_url = if config.alerts.public_url.is_empty() { base_url } else { &config.alerts.public_url };
        let context = Arc::new(Context {
            people: Arc::clone(&people),
            zone: config.timezone,
            base_url: base_url.to_owned(),
            key: LinkKey::new(key),
        });
        let (report, reports) = mpsc::channel(REPORTS_MAX);
        let post = Post::start(settings::targets(config), &context, &report).map_err(|why| {
            Failure::config(why).hint("see `notify` in config/default.toml, and docs/alerts.md")
        })?;
        let (said, hears) = mpsc::channel(SAID_MAX);
        let uncommitted = kept.uncommitted.into_iter().map(|a| (a.id().to_owned(), a)).collect();
        let mut counts = Counts::default();
        for target in &config.notify {
            for result in ["accepted", "merged", "failed"] {
                counts.deliveries.insert((target.name.clone(), result.to_owned()), 0);
            }
        }
        let alerting = Arc::new(Alerting {
            desk: Mutex::new(Desk::new(settings::desk(config), kept.alerts, kept.over)),
            roster: ArcSwap::from_pointee(roster),
            people,
            rules: Arc::new(ArcSwap::new(rules)),
            surges: ArcSwap::default(),
            clock,
            context,
            said,
            uncommitted: Mutex::new(uncommitted),
            counts: Mutex::new(counts),
            fallback: config.alerts.fallback.clone(),
            filed: Mutex::default(),
            grid: config.grid(),
        });
        let ends = Ends { said: hears, reports, report, post, outbox: Some(outbox), config: config.clone() };
        Ok((alerting, ends))
    }

    /// Says something to the loop; when that has ended, nobody hears it.
    pub(super) fn say(&self, said: Said) {
        if let Err(mpsc::error::TrySendError::Full(said)) = self.said.try_send(said) {
            // Whoever acts on an alert does not wait for the loop.
            let sender = self.said.clone();
            tokio::spawn(async move { sender.send(said).await });
        }
    }

    /// A way for workers to say something.
    pub(super) fn voice(&self) -> mpsc::Sender<Said> {
        self.said.clone()
    }

    /// Returns when everything that was said before is in the outbox.
    ///
    /// # Errors
    /// Why it is not: ask again.
    pub(super) async fn sync(&self) -> Result<(), String> {
        let (reply, done) = oneshot::channel();
        // Behind everything that was said before. A loop that has ended has kept what it could.
        match self.said.send(Said::Sync(reply)).await {
            Ok(()) => done.await.unwrap_or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().expect("no holder of this lock can panic")
    }

    pub(super) fn uncommitted(&self) -> MutexGuard<'_, BTreeMap<String, Alert>> {
        self.uncommitted.lock().expect("no holder of this lock can panic")
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().expect("no holder of this lock can panic")
    }

    /// The alerts that the lake does not have as they are now.
    pub(super) fn to_commit(&self) -> Vec<Alert> {
        self.uncommitted().values().cloned().collect()
    }

    /// Notes that the lake does not have these as they are now.
    pub(super) fn wait_for_commit(&self, changed: &[Alert]) {
        let mut uncommitted = self.uncommitted();
        for alert in changed {
            uncommitted.insert(alert.id().to_owned(), alert.clone());
        }
    }

    /// Notes that the lake has these.
    pub(super) fn committed(&self, alerts: &[Alert]) {
        let mut uncommitted = self.uncommitted();
        for alert in alerts {
            if uncommitted.get(alert.id()).is_some_and(|now| now.revision == alert.revision) {
                uncommitted.remove(alert.id());
            }
        }
    }

    /// Rows of these alerts.
    pub(super) fn rows(&self, alerts: &[Alert]) -> (&'static Table, RecordBatch) {
        (&ALERTS, self.desk().rows(alerts).finish())
    }

    /// Rows that queries must see beside those of the lake.
    pub(super) fn memory(&self) -> Option<(&'static Table, RecordBatch)> {
        let alerts = self.to_commit();
        (!alerts.is_empty()).then(|| self.rows(&alerts))
    }

    /// The shifts of the roster's file, for queries: those of the topic are rows already.
    pub(super) fn filed_shifts(&self, now: Millis) -> Option<(&'static Table, RecordBatch)> {
        let (roster, date) = (self.roster.load_full(), self.grid.date(now));
        let mut filed = self.filed.lock().expect("no holder of this lock can panic");
        if let Some(known) = &*filed
            && Arc::ptr_eq(&known.roster, &roster)
            && known.date == date
        {
            return known.rows.clone();
        }
        let rows = duty::shift_rows(&roster, &self.grid, now);
        *filed = Some(Filed { roster, date, rows: rows.clone() });
        rows
    }

    /// Adds what alerts count.
    pub(super) fn stats(&self, stats: &mut Stats) {
        let desk = self.desk();
        for rule in &self.rules.load().rules {
            let key = (rule.name.clone(), rule.severity.as_str().to_owned());
            stats.alerts_open.entry(key.clone()).or_default();
            stats.alerts_raised.entry(key).or_default();
        }
        for (key, count) in desk.open_counts() {
            *stats.alerts_open.entry(key.clone()).or_default() += count;
        }
        let counted = desk.counts();
        for (key, count) in &counted.raised {
            *stats.alerts_raised.entry(key.clone()).or_default() += count;
        }
        for (why, count) in &counted.held_back {
            *stats.alert_deliveries.entry(("none".to_owned(), (*why).to_owned())).or_default() += count;
        }
        stats.alerts_unstaffed += counted.unstaffed;
        stats.alert_escalations += counted.escalations;
        let counts = self.counts();
        for (key, count) in &counts.deliveries {
            *stats.alert_deliveries.entry(key.clone()).or_default() += count;
        }
        for (key, count) in &counts.reloads {
            *stats.reloads.entry(key.clone()).or_default() += count;
        }
        if let Some(latency) = &counts.latency {
            stats.alert_latency.merge(latency);
        }
    }

    /// The functions that the site shows alerts with.
    pub(super) fn site(self: &Arc<Self>) -> serve::Alerts {
        let (version, list, act, take, oncall, silence) = (
            Arc::clone(self),
            Arc::clone(self),
            Arc::clone(self),
            Arc::clone(self),
            Arc::clone(self),
            Arc::clone(self),
        );
        serve::Alerts {
            version: Arc::new(move || version.desk().version()),
            list: Arc::new(move |wanted| list.list(wanted)),
            act: Arc::new(move |id, action, token, by| act.act(id, action, token, by)),
            take_alertmanager: Arc::new(move |message| take.take_alertmanager(message)),
            oncall: Arc::new(move |queue, at| oncall.oncall(queue, at)),
            silence: Arc::new(move |rule, queue, minutes, by| silence.silence(rule, queue, minutes, by)),
        }
    }

    /// Alerts as JSON, the newest first.
    fn list(&self, wanted: &serve::Wanted) -> Value {
        let desk = self.desk();
        let fits = |alert: &&Alert| {
            let cause = &alert.cause;
            let is = |want: &Option<String>, have: &str| want.as_deref().is_none_or(|want| want == have);
            (wanted.all || alert.status.is_open())
                && is(&wanted.id, &cause.id)
                && is(&wanted.queue, &cause.queue)
                && is(&wanted.agent, &cause.agent_id)
                && wanted.told.as_ref().is_none_or(|person| {
                    cause.notify == "agent" && (person.is_empty() || alert.notified.contains(person))
                })
                && is(&wanted.rule, &cause.rule)
        };
        let mut alerts: Vec<&Alert> = desk.alerts().filter(fits).collect();
        // Those who look see what waits for somebody, however many have come since.
        let press = |alert: &Alert| match (wanted.pressing, alert.cause.severity.as_str()) {
            (false, _) => 0,
            (true, _) if alert.status == Status::Acknowledged => 4,
            (true, "critical") => 1,
            (true, "warning") => 2,
            (true, _) => 3,
        };
        alerts.sort_by_key(|alert| (press(alert), std::cmp::Reverse(alert.raised_at), &alert.cause.id));
        let people = self.people.load();
        let shown = alerts.iter().take(wanted.limit).map(|alert| {
            let mut value = crate::deliver::as_json(alert, None);
            if let Value::Object(members) = &mut value {
                members.remove("kind");
                let names: Vec<String> = alert.people.iter().map(|id| people.get(id).name).collect();
                members.insert("people_names".to_owned(), names.into());
            }
            value
        });
        Value::Array(shown.collect())
    }

    /// Acknowledges or resolves.
    fn act(
        &self,
        id: &str,
        action: serve::Action,
        token: Option<&str>,
        by: Option<&str>,
    ) -> Result<Value, serve::Refused> {
        let now = self.clock.now();
        let by = match token {
            // Links are signed by the real time: the demo's present is another.
            Some(token) => self
                .context
                .key
                .people(id, token, crate::time::SystemClock.now())
                .ok_or(serve::Refused::Token)?,
            None => by.filter(|by| !by.is_empty()).unwrap_or("somebody").to_owned(),
        };
        let mut desk = self.desk();
        let refused = |refusal| match refusal {
            crate::alert::Refusal::Unknown => serve::Refused::Unknown,
            crate::alert::Refusal::Closed => serve::Refused::Closed,
        };
        let sends = match action {
            serve::Action::Acknowledge => {
                desk.acknowledge(id, &by, now).map(|_| Vec::new()).map_err(refused)?
            }
            serve::Action::Resolve => desk.resolve(id, &by, now).map_err(refused)?,
        };
        let alert = desk.get(id).map_or(Value::Null, |alert| crate::deliver::as_json(alert, None));
        drop(desk);
        self.say(Said::Done(sends));
        Ok(alert)
    }

    fn silence(&self, rule: &str, queue: &str, minutes: i64, by: &str) {
        let until = self.clock.now() + minutes.clamp(1, 7 * 24 * 60) * MINUTE;
        self.desk().silence(Silence {
            rule: rule.to_owned(),
            queue: queue.to_owned(),
            until,
            by: by.to_owned(),
        });
    }

    /// Takes a message of Alertmanager's webhook.
    fn take_alertmanager(&self, message: &Value) -> Result<usize, String> {
        let alerts = message.get("alerts").and_then(Value::as_array).ok_or("`alerts` is no list")?;
        let now = self.clock.now();
        let mut duties = Duties::of(self.roster.load_full());
        let mut sends = Vec::new();
        let mut taken = 0;
        let mut desk = self.desk();
        for alert in alerts {
            let Some((cause, firing)) = of_alertmanager(alert, now) else { continue };
            taken += 1;
            if firing {
                sends.extend(desk.raise(cause, &mut duties, now));
            } else {
                // What is over already, or was never known, needs nothing.
                sends.extend(desk.resolve(&cause.id, "alertmanager", now).unwrap_or_default());
            }
        }
        drop(desk);
        self.say(Said::Done(sends));
        Ok(taken)
    }

    /// Who is on duty.
    fn oncall(&self, queue: Option<&str>, at: Option<Millis>) -> Value {
        let at = at.unwrap_or_else(|| self.clock.now());
        let (roster, people) = (self.roster.load(), self.people.load());
        let named = |id: &str| {
            let person = people.get(id);
            serde_json::json!({ "id": person.id, "name": person.name })
        };
        let of = |role: Role| {
            let on_duty = roster.on_duty(queue, None, role, at).into_iter().map(|duty| {
                let mut value = named(&duty.person);
                value["since"] = format_time(duty.since).into();
                value["until"] = format_time(duty.until).into();
                value["replaces"] = duty.replaces.into();
                value
            });
            let next = roster.next(queue, role, at).map(|next| {
                let mut value = named(&next.person);
                value["start"] = format_time(next.start).into();
                value["end"] = format_time(next.end).into();
                value
            });
            serde_json::json!({ "now": on_duty.collect::<Vec<_>>(), "next": next })
        };
        serde_json::json!({
            "at": format_time(at), "queue": queue, "supervisor": of(Role::Supervisor), "lead": of(Role::Lead),
            "fallback": self.fallback.iter().map(|id| named(id)).collect::<Vec<_>>(),
        })
    }

    /// Reads a book anew; tells whether it is in force.
    pub(super) fn reload(&self, book: Book, config: &Config) -> bool {
        let read = match book {
            Book::Rules => duty::read_rules(config).map(|rules| self.rules.store(rules)),
            Book::Roster => duty::read_roster(config).and_then(|mut roster| {
                let unknown = roster.unknown_people(&self.people.load());
                if let Some(fault) = unknown.first() {
                    let (file, line) = (fault.file.clone(), fault.line);
                    return Err(vec![crate::config::Fault {
                        file,
                        line,
                        message: fault.message.clone(),
                        hint: fault.hint.clone(),
                    }]);
                }
                roster.keep_planned(&self.roster.load());
                self.roster.store(Arc::new(roster));
                Ok(())
            }),
            Book::People => duty::read_people(config).map(|people| self.people.store(people)),
        };
        let result = if read.is_ok() { "taken" } else { "refused" };
        let key = (book.key().to_owned(), result.to_owned());
        *self.counts().reloads.entry(key).or_default() += 1;
        match read {
            Ok(()) => tracing::info!("the file of `{}` has changed and is in force", book.key()),
            Err(faults) => {
                for fault in &faults {
                    tracing::error!("{}", fault.as_warning().replacen("warning: ", "", 1));
                }
                tracing::error!("the changed file of `{}` is refused; what was in force stays", book.key());
            }
        }
        result == "taken"
    }
}

/// An alert of Alertmanager's webhook, and whether it fires; `None` for one of our own that came back.
fn of_alertmanager(alert: &Value, now: Millis) -> Option<(Cause, bool)> {
    let text = |of: &str, name: &str| {
        alert.get(of).and_then(|all| all.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let label = |name: &str| text("labels", name);
    if label("source") == "callpulse" {
        return None;
    }
    let rule = label("alertname");
    let starts_at = alert.get("startsAt").and_then(Value::as_str).unwrap_or_default();
    let labels = alert.get("labels").map(Value::to_string).unwrap_or_default();
    let fingerprint = alert.get("fingerprint").and_then(Value::as_str).map_or(labels, str::to_owned);
    let id = format!(
        "{:016x}",
        xxhash_rust::xxh3::xxh3_64(format!("alertmanager\0{fingerprint}\0{starts_at}").as_bytes())
    );
    let severity = match label("severity").as_str() {
        "critical" | "page" | "error" => "critical",
        "info" | "none" => "info",
        _ => "warning",
    };
    let summary = [text("annotations", "summary"), text("annotations", "message"), rule.clone()];
    let title = summary.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let title_zh = Some(text("annotations", "summary_zh")).filter(|text| !text.is_empty());
    let advice = text("annotations", "description");
    let cause = Cause {
        id,
        rule,
        severity: severity.to_owned(),
        title_zh: title_zh.unwrap_or_else(|| title.clone()),
        title,
        advice_zh: advice.clone(),
        advice,
        notify: "supervisor".to_owned(),
        source: "alertmanager".to_owned(),
        queue: label("queue"),
        channel: label("channel"),
        department: label("department"),
        // An alert that has been firing for an hour is as urgent as a new one when it comes.
        event_time: now,
        ..Cause::default()
    };
    Some((cause, alert.get("status").and_then(Value::as_str) != Some("resolved")))
}
