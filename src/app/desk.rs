//! The loop of the desk: takes what tasks and figures say, keeps the outbox, hands deliveries on.
//!
//! One loop owns the order: a change is in the outbox before anything is sent for it. Where the outbox cannot be written,
//! people are told all the same, since alerts are for now; the change waits to be written, and whoever asks whether all is
//! kept is told no, so that no task's state is committed ahead of its alerts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::alerting::{Alerting, Ends, Said};
use super::board::{Board, Whole};
use super::duty::Changes;
use super::fleet::Overview;
use super::outbox::{Kept, Outbox};
use super::settings;
use crate::alert::{Alert, Cause, Dispatch, Kind};
use crate::config::Config;
use crate::deliver::{Job, Post, Report};
use crate::event::Event;
use crate::metrics::Stats;
use crate::roster::Duties;
use crate::rules::{About, Figures, Fleet, Opened, PlanWatch, Rules, SeriesFigures, Signal};
use crate::time::{DAY, Millis};
use crate::window::{ROLLING, Summary};

/// How often time passes for alerts.
const TICK: Duration = Duration::from_millis(200);
/// How often figures are looked at.
const FIGURES: Duration = Duration::from_secs(1);
/// How often files and shifts that came are looked at; the trade asks for a roster in force within five minutes, here it is
/// within seconds.
const FILES: Duration = Duration::from_secs(1);
/// How often Alertmanager is told of what is open: it forgets what it hears nothing of for five minutes.
const AGAIN: Duration = Duration::from_secs(60);

/// The loop's own state.
struct Loop {
    alerting: Arc<Alerting>,
    board: Arc<Board>,
    post: Post,
    outbox: Option<Outbox>,
    /// What the outbox does not have, by alert, each as it is now.
    unwritten: BTreeMap<String, Alert>,
    /// Why it could not be written last.
    outbox_fails: Option<String>,
    config: Config,
    fleet: Fleet,
    plan: PlanWatch,
    fleet_rules: Arc<Rules>,
    changes: Changes,
    /// When the records behind alerts that no target has taken yet were read.
    read_at: HashMap<String, Instant>,
    to_mark: bool,
    /// Whether this instance looks at the rules about figures.
    judges: bool,
    resend: Vec<String>,
    /// Shifts that came as events and are not in the roster yet.
    shifts: Vec<Event<'static>>,
    duties: Duties,
}

/// Runs the desk until `stop`, and then until everything said is kept.
pub(super) async fn run(board: Arc<Board>, alerting: Arc<Alerting>, ends: Ends, stop: CancellationToken) {
    let Ends { mut said, mut reports, report: _held, post, outbox, config } = ends;
    let rules = alerting.rules.load_full();
    let opened: Vec<Opened> = {
        let desk = alerting.desk();
        let own = desk.open().filter(|alert| alert.cause.source == "callpulse");
        own.map(|alert| Opened {
            id: alert.id().to_owned(),
            rule: alert.cause.rule.clone(),
            queue: alert.cause.queue.clone(),
        })
        .collect()
    };
    let resend = settings::targets(&config)
        .into_iter()
        .filter(|target| target.kind == crate::deliver::TargetKind::Alertmanager)
        .map(|target| target.name)
        .collect();
    let mut looped = Loop {
        plan: PlanWatch::new(Arc::clone(&rules), &opened),
        fleet: Fleet::new(Arc::clone(&rules), opened),
        fleet_rules: rules,
        changes: Changes::new(&config),
        read_at: HashMap::new(),
        to_mark: false,
        judges: board.fleet().is_none(),
        resend,
        shifts: Vec::new(),
        duties: Duties::of(alerting.roster.load_full()),
        alerting,
        board,
        post,
        outbox,
        unwritten: BTreeMap::new(),
        outbox_fails: None,
        config,
    };
    let unsent = looped.alerting.desk().unsent();
    looped.send(unsent);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut figures_at, mut files_at, mut again_at) = (Instant::now(), Instant::now(), Instant::now());
    loop {
        tokio::select! {
            biased;
            heard = said.recv() => {
                let Some(first) = heard else { return };
                let mut batch = vec![first];
                // What waits is kept together: one write to the disk for all of it.
                while batch.len() < 1_000 && let Ok(more) = said.try_recv() {
                    batch.push(more);
                }
                looped.hear(batch).await;
            }
            report = reports.recv() => {
                let Some(first) = report else { return };
                let mut batch = vec![first];
                while batch.len() < 1_000 && let Ok(more) = reports.try_recv() {
                    batch.push(more);
                }
                looped.reported(batch).await;
            }
            _ = ticks.tick() => {
                if figures_at.elapsed() >= FIGURES {
                    figures_at = Instant::now();
                    looped.look_at_figures().await;
                }
                if files_at.elapsed() >= FILES {
                    files_at = Instant::now();
                    looped.look_at_files();
                    looped.take_shifts();
                    looped.write().await;
                }
                if again_at.elapsed() >= AGAIN {
                    again_at = Instant::now();
                    looped.say_again();
                }
                looped.duties.go_on_with(looped.alerting.roster.load_full());
                let now = looped.alerting.clock.now();
                let sends = looped.alerting.desk().tick(&mut looped.duties, now);
                looped.keep_and_send(sends).await;
            }
            () = stop.cancelled() => {
                // What was said before the stop is kept; what could not be delivered is tried at the next start.
                said.close();
                let mut rest = Vec::new();
                while let Ok(more) = said.try_recv() {
                    rest.push(more);
                }
                looped.hear(rest).await;
                return;
            }
        }
    }
}

impl Loop {
    async fn hear(&mut self, batch: Vec<Said>) {
        let mut sends = Vec::new();
        let mut synced = Vec::new();
        let mut reload = false;
        for said in batch {
            match said {
                Said::Signals(signals, read) => sends.extend(self.take(signals, Some(read))),
                Said::Shift(event) => self.shifts.push(*event),
                Said::Done(more) => sends.extend(more),
                Said::Sync(reply) => synced.push(reply),
                Said::Reload => reload = true,
            }
        }
        self.keep_and_send(sends).await;
        if !synced.is_empty() {
            self.write().await;
        }
        for reply in synced {
            let kept = match &self.outbox_fails {
                Some(why) => Err(format!("the outbox of alerts cannot be written: {why}")),
                None => Ok(()),
            };
            let _ = reply.send(kept);
        }
        if reload {
            self.look_at_files();
        }
    }

    /// Takes over the shifts that came since the last time: all at once, since a centre publishes them by the thousand.
    fn take_shifts(&mut self) {
        if self.shifts.is_empty() {
            return;
        }
        let mut roster = (*self.alerting.roster.load_full()).clone();
        let mut changed = false;
        for shift in self.shifts.drain(..) {
            changed |= roster.take_event(&shift);
        }
        if changed {
            roster.forget(self.alerting.clock.now() - 2 * DAY);
            self.alerting.roster.store(Arc::new(roster));
        }
    }

    /// Takes signals: of tasks (`read` is when their records came in), or of figures.
    fn take(&mut self, signals: Vec<Signal>, read: Option<Instant>) -> Vec<Dispatch> {
        self.duties.go_on_with(self.alerting.roster.load_full());
        let now = self.alerting.clock.now();
        let mut sends = Vec::new();
        let mut more = Vec::new();
        for signal in signals {
            match signal {
                Signal::Ended { subject, time, lowest, talk_ms } => {
                    self.fleet.contact_ended(&subject, time, lowest, talk_ms, &mut more);
                }
                signal => more.push(signal),
            }
        }
        let rules = self.alerting.rules.load_full();
        let mut desk = self.alerting.desk();
        for signal in more {
            match signal {
                Signal::Raised(raised) => {
                    let id = raised.id.clone();
                    let new = desk.raise(advised(Cause::from(*raised), &rules), &mut self.duties, now);
                    if let (Some(read), false) = (read, new.is_empty()) {
                        self.read_at.insert(id, read);
                    }
                    sends.extend(new);
                }
                Signal::Cleared { id, .. } => {
                    sends.extend(desk.resolve(&id, "callpulse", now).unwrap_or_default());
                }
                Signal::Ended { .. } => {}
            }
        }
        sends
    }

    /// Writes what changed into the outbox, then sends.
    async fn keep_and_send(&mut self, sends: Vec<Dispatch>) {
        let changed = self.alerting.desk().take_changes();
        if !changed.is_empty() {
            self.alerting.wait_for_commit(&changed);
            self.unwritten.extend(changed.into_iter().map(|alert| (alert.id().to_owned(), alert)));
            self.write().await;
        }
        self.mark_committed();
        self.send(sends);
    }

    /// Writes into the outbox what it does not have; what cannot be written waits for the next time.
    async fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        self.to_mark = true;
        let Some(mut outbox) = self.outbox.take() else { return };
        let changed: Vec<Alert> = self.unwritten.values().cloned().collect();
        let rewrite = outbox.is_long().then(|| {
            let (alerts, over) = {
                let desk = self.alerting.desk();
                (desk.alerts().cloned().collect(), desk.over().collect())
            };
            Kept { alerts, over, uncommitted: self.alerting.to_commit() }
        });
        let written = tokio::task::spawn_blocking(move || {
            let result = outbox.append(&changed);
            if let (Ok(()), Some(kept)) = (&result, rewrite)
                && let Err(error) = outbox.rewrite(&kept)
            {
                tracing::warn!(%error, "the outbox cannot be written anew; it grows");
            }
            (outbox, result)
        });
        let fails = match written.await {
            Ok((outbox, result)) => {
                self.outbox = Some(outbox);
                result.err().map(|error| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        match &fails {
            None => self.unwritten.clear(),
            Some(error) if self.outbox_fails.is_none() => {
                tracing::error!(error, "the outbox cannot be written: alerts would not outlive a crash");
            }
            Some(_) => {}
        }
        if fails.is_none() && self.outbox_fails.is_some() {
            tracing::info!("the outbox is written again");
        }
        self.outbox_fails = fails;
    }

    /// Notes in the outbox when the lake has everything.
    fn mark_committed(&mut self) {
        if self.to_mark && self.unwritten.is_empty() && self.alerting.uncommitted().is_empty() {
            self.to_mark = false;
            if let Some(outbox) = &mut self.outbox
                && let Err(error) = outbox.committed()
            {
                tracing::warn!(%error, "the outbox cannot be written");
            }
        }
    }

    fn send(&self, sends: Vec<Dispatch>) {
        for dispatch in sends {
            let (target, id) = (dispatch.target.clone(), dispatch.alert.id().to_owned());
            if !self.post.send(Job { dispatch, again: false }) {
                tracing::error!(
                    target_name = target,
                    id,
                    "the target has too much waiting; the alert is sent after the next start"
                );
            }
        }
    }

    /// Tells targets that forget what is open.
    fn say_again(&self) {
        if self.resend.is_empty() {
            return;
        }
        let desk = self.alerting.desk();
        for alert in desk.open().filter(|alert| alert.delivered_at.is_some()) {
            for target in &self.resend {
                let dispatch = Dispatch { target: target.clone(), kind: Kind::Raised, alert: alert.clone() };
                self.post.send(Job { dispatch, again: true });
            }
        }
    }

    async fn reported(&mut self, reports: Vec<Report>) {
        self.note(reports);
        self.keep_and_send(Vec::new()).await;
    }

    /// Counts what became of deliveries, and tells the desk.
    fn note(&mut self, reports: Vec<Report>) {
        let now = self.alerting.clock.now();
        let mut desk = self.alerting.desk();
        let mut counts = self.alerting.counts();
        for report in reports {
            let accepted = report.result != "failed";
            desk.delivered(&report.id, &report.target, report.kind, accepted, now);
            *counts.deliveries.entry((report.target, report.result.to_owned())).or_default() += 1;
            if let Some(read) = self.read_at.remove(&report.id).filter(|_| accepted) {
                let latency = counts.latency.get_or_insert_with(|| Stats::default().alert_latency);
                latency.observe(i64::try_from(read.elapsed().as_millis()).unwrap_or(i64::MAX));
            }
        }
    }

    fn look_at_files(&mut self) {
        for book in self.changes.look(&self.config) {
            self.alerting.reload(book, &self.config);
        }
    }

    async fn look_at_figures(&mut self) {
        let rules = self.alerting.rules.load_full();
        let now = self.alerting.clock.now();
        let mut signals = Vec::new();
        if !Arc::ptr_eq(&rules, &self.fleet_rules) {
            self.fleet.set_rules(Arc::clone(&rules), now, &mut signals);
            self.plan.set_rules(Arc::clone(&rules), now, &mut signals);
            self.fleet_rules = Arc::clone(&rules);
        }
        let wanted = rules.rules.iter().any(|rule| rule.about == About::Figures);
        let whole = self.board.whole();
        if let Some(overview) = &whole.overview {
            self.share(overview, &mut signals);
        }
        let whole_enough = whole.overview.as_ref().is_none_or(|overview| overview.may_judge);
        // While the past is read, figures of the present are not whole.
        if wanted && self.judges && whole_enough && self.board.health().ready {
            let surges = self.alerting.surges.load_full();
            let figures = Figures {
                now,
                slot_ms: whole.summary.slot.map_or(0, |slot| slot.length_ms()),
                series: series(&whole.summary, &self.config, now),
                gauges: gauges(&whole, now),
                surges: &surges,
            };
            self.fleet.tick(&figures, &mut signals);
        }
        if let (Some(fleet), true) = (self.board.fleet(), self.judges) {
            fleet.note_opened(Some(self.fleet.opened()));
        }
        // Nothing is known of slots to come before the first forecast.
        if self.judges
            && rules.rules.iter().any(|rule| rule.about == About::Plan)
            && let Some(slots) = self.board.planned_slots()
        {
            self.plan.look(&slots, now, &mut signals);
        }
        let sends = self.take(signals, None);
        self.keep_and_send(sends).await;
    }

    /// One instance of the fleet looks at the rules about figures: the one that has the first partition. Whoever it is next
    /// goes on with what is open, and who was it before resolves what its follower has resolved.
    fn share(&mut self, overview: &Overview, signals: &mut Vec<Signal>) {
        let judges = self.board.has_first_partition();
        let time = self.alerting.clock.now();
        let rules = self.alerting.rules.load_full();
        let of_figures = |name: &str| rules.get(name).is_some_and(|rule| rule.about == About::Figures);
        // What this instance has raised itself, now or before it was started again.
        let own: Vec<Opened> = {
            let desk = self.alerting.desk();
            let own = desk.open().map(|alert| &alert.cause);
            let own = own.filter(|cause| cause.source == "callpulse" && of_figures(&cause.rule));
            own.map(|cause| Opened {
                id: cause.id.clone(),
                rule: cause.rule.clone(),
                queue: cause.queue.clone(),
            })
            .collect()
        };
        if judges && !self.judges {
            let mut opened = overview.opened.clone();
            for own in &own {
                match opened.iter().find(|known| (&known.rule, &known.queue) == (&own.rule, &own.queue)) {
                    Some(known) if known.id != own.id => {
                        signals.push(Signal::Cleared { id: own.id.clone(), time });
                    }
                    Some(_) => {}
                    None => opened.push(own.clone()),
                }
            }
            self.fleet.take_over(opened);
        }
        if !judges
            && self.judges
            && let Some(fleet) = self.board.fleet()
        {
            fleet.note_opened(None);
        }
        self.judges = judges;
        if judges || !overview.is_judged {
            return;
        }
        let over = own.into_iter().filter(|own| !overview.opened.iter().any(|opened| opened.id == own.id));
        signals.extend(over.map(|own| Signal::Cleared { id: own.id, time }));
    }
}

/// With what the centre advises in such a case.
pub(super) fn advised(mut cause: Cause, rules: &Rules) -> Cause {
    let categories: Vec<&str> = cause.evidence.iter().map(|quote| &*quote.category).collect();
    if let Some(text) = rules.advice_for(&cause.rule, &cause.queue, &categories) {
        (cause.advice, cause.advice_zh) = (text.en.clone(), text.zh.clone());
    }
    cause
}

/// Numbers that belong to no queue.
fn gauges(whole: &Whole, now: Millis) -> Vec<(String, f64)> {
    let Whole { summary, pipeline, .. } = whole;
    let agents = crate::event::AgentStateName::ALL.iter().zip(summary.agents);
    let mut gauges: Vec<(String, f64)> =
        agents.map(|(state, count)| (format!("agents_{}", state.as_str()), count as f64)).collect();
    gauges.extend([
        ("consumer_lag".to_owned(), pipeline.lag.unwrap_or(0) as f64),
        ("ledger_gap".to_owned(), summary.ledger_gap() as f64),
        ("rejects_per_minute".to_owned(), pipeline.rejects_per_minute as f64),
        ("lake_failing".to_owned(), f64::from(u8::from(pipeline.lake_failing))),
        ("contacts_on_two_partitions".to_owned(), pipeline.split_contacts as f64),
    ]);
    if let Some(watermark) = pipeline.watermark {
        gauges.push(("watermark_age_seconds".to_owned(), (now - watermark).max(0) as f64 / 1e3));
    }
    gauges
}

pub(super) fn series<'s>(summary: &'s Summary, config: &'s Config, now: Millis) -> Vec<SeriesFigures<'s>> {
    let one = |(key, series): (&'s crate::window::SeriesKey, &'s crate::window::Series)| {
        let mut windows: Vec<(&'static str, &'s crate::kpi::Totals)> =
            ROLLING.iter().map(|window| window.name).zip(&series.rolling).collect();
        windows.push(("slot", &series.slot));
        windows.push(("today", &series.today));
        let queue = config.queues.get(&*key.queue);
        SeriesFigures {
            queue: &key.queue,
            channel: key.channel.as_str(),
            department: queue.and_then(|queue| queue.department.as_deref()).unwrap_or_default(),
            service_level: series.service_level,
            waiting: series.waiting,
            longest_wait_ms: series.oldest_waiting_at.map_or(0, |at| now.saturating_sub(at).max(0)),
            active: series.active,
            windows,
        }
    };
    summary.series.iter().map(one).collect()
}
