//! The desk: keeps alerts, decides who is told and when somebody else is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::record::{Alert, Cause, Dispatch, Kind, Over, Status};
use crate::event::Role;
use crate::facts::AlertRows;
use crate::roster::Duties;
use crate::rules::Severity;
use crate::time::{DAY, Grid, HOUR, MINUTE, Millis, SECOND};

/// Alerts that are open at most. A further one takes the place of the oldest of the mildest, which expires; where all are more
/// urgent, it is kept in the table and not sent.
pub(super) const OPEN_MAX: usize = 20_000;
/// How long a closed alert is known, so that a replay does not raise it anew.
const KNOWN: Millis = 8 * DAY;
/// Closed alerts that are kept whole at most, the latest: an alert takes 2 KB, and who asks about earlier ones has the table.
pub(super) const WHOLE_MAX: usize = 10_000;
/// Closed alerts of which the id is known at most beside those, the latest.
const KNOWN_MAX: usize = 100_000;

/// People on duty whom one alert is told to at most. Where more have the same duty, alerts go round among them.
const PEOPLE_MAX: usize = 8;

/// Which alerts a target gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The target.
    pub target: String,
    /// These severities and above.
    pub severity: Severity,
    /// Of these queues only; empty: of all.
    pub queues: Vec<String>,
    /// Of these rules only; empty: of all.
    pub rules: Vec<String>,
    /// Whether it is told when an alert is over.
    pub resolved: bool,
}

impl Route {
    fn takes(&self, alert: &Alert, kind: Kind) -> bool {
        let severity = severity_of(alert);
        severity >= self.severity
            && (self.queues.is_empty() || self.queues.contains(&alert.cause.queue))
            && (self.rules.is_empty() || self.rules.contains(&alert.cause.rule))
            && (kind != Kind::Resolved || self.resolved)
            // Information for the agent of a contact is shown on the agent's page; it is others' matter when it escalates,
            // or where the target asks for it by name.
            && (alert.first_role().is_some()
                || severity > Severity::Info
                || alert.escalations > 0
                || self.rules.contains(&alert.cause.rule))
    }
}

/// How the desk works.
#[derive(Debug, Clone)]
pub struct Options {
    /// For the dates of rows.
    pub grid: Grid,
    /// How long an acknowledgement holds, ms.
    pub ack_ms: Millis,
    /// After how long without an answer the next level is told, ms, by severity (info, warning, critical); 0: never.
    pub escalate_ms: [Millis; 3],
    /// How often at most.
    pub escalations_max: u32,
    /// After how long an alert that nobody resolved expires, ms.
    pub expire_ms: Millis,
    /// An alert whose event is older than this when it is raised is kept, and not sent.
    pub stale_ms: Millis,
    /// Who is told where nobody is on duty, and last of all.
    pub fallback: Vec<String>,
    /// Who gets what.
    pub routes: Vec<Route>,
}

impl Options {
    /// The shipped defaults, without targets.
    pub fn new(grid: Grid) -> Options {
        Options {
            grid,
            ack_ms: 30 * MINUTE,
            escalate_ms: [0, 10 * MINUTE, 3 * MINUTE],
            escalations_max: 5,
            expire_ms: 8 * HOUR,
            stale_ms: 15 * MINUTE,
            fallback: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// Keeps alerts from being sent for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Of this rule; empty: of every rule.
    pub rule: String,
    /// Of this queue; empty: of every queue.
    pub queue: String,
    /// Until then.
    pub until: Millis,
    /// Who wants it.
    pub by: String,
}

/// Why something cannot be done with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is none of this id.
    Unknown,
    /// It is over already.
    Closed,
}

/// What was counted since the desk was opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Alerts raised, by rule and severity.
    pub raised: BTreeMap<(String, String), u64>,
    /// Alerts for which nobody of the wanted role was on duty.
    pub unstaffed: u64,
    /// Alerts that were not sent: `stale`, `silenced` or `storm`; or that had to give way to newer ones, `gave_way`.
    pub held_back: BTreeMap<&'static str, u64>,
    /// Escalations.
    pub escalations: u64,
}

/// Keeps the alerts of a process.
#[derive(Debug)]
pub struct Desk {
    options: Options,
    alerts: HashMap<String, Alert>,
    /// When those were over of which only the id is known any more.
    over: HashMap<Box<str>, Millis>,
    /// The open ones, the mildest first, of them the oldest.
    open: BTreeSet<(Severity, Millis, String)>,
    /// How many are open, by rule and severity.
    open_counts: BTreeMap<(String, String), i64>,
    silences: Vec<Silence>,
    changed: BTreeSet<String>,
    counts: Counts,
    version: u64,
    swept_at: Millis,
    /// When each open alert has something due, the earliest first.
    due: BTreeSet<(Millis, String)>,
    /// Something may be due whose time has not come: silences or options have changed.
    look_at_all: bool,
}

impl Desk {
    /// A desk with the alerts that are known from before, and those of which only the id is.
    pub fn new(options: Options, known: Vec<Alert>, over: Vec<Over>) -> Desk {
        let alerts: HashMap<String, Alert> =
            known.into_iter().map(|alert| (alert.cause.id.clone(), alert)).collect();
        let opened = || alerts.values().filter(|alert| alert.status.is_open());
        let open = opened().map(place_of).collect();
        let mut open_counts = BTreeMap::new();
        opened().for_each(|alert| *open_counts.entry(kind_of(alert)).or_default() += 1);
        let mut desk = Desk {
            options,
            open,
            open_counts,
            alerts,
            over: over
                .into_iter()
                .map(|Over { over, closed_at }| (over.into_boxed_str(), closed_at))
                .collect(),
            silences: Vec::new(),
            changed: BTreeSet::new(),
            counts: Counts::default(),
            version: 0,
            swept_at: Millis::MIN,
            due: BTreeSet::new(),
            look_at_all: true,
        };
        desk.note_due();
        desk
    }

    /// Notes anew when each open alert has something due.
    fn note_due(&mut self) {
        let due = self.open().map(|alert| (due_at_of(&self.options, alert), alert.cause.id.clone()));
        self.due = due.collect();
    }

    /// Goes on with other options.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        self.look_at_all = true;
        self.note_due();
    }

    /// What still has to be sent, after a restart: to targets that there still are.
    pub fn unsent(&mut self) -> Vec<Dispatch> {
        let targets: BTreeSet<&str> = self.options.routes.iter().map(|route| &*route.target).collect();
        let mut sends = Vec::new();
        let mut alerts: Vec<&mut Alert> = self.alerts.values_mut().collect();
        alerts.sort_by(|a, b| (a.raised_at, &a.cause.id).cmp(&(b.raised_at, &b.cause.id)));
        for alert in alerts {
            alert.pending.retain(|target, _| targets.contains(target.as_str()));
            for (target, kind) in &alert.pending {
                sends.push(Dispatch { target: target.clone(), kind: *kind, alert: alert.clone() });
            }
        }
        sends
    }

    /// Takes something that came true. An id that is known changes nothing.
    pub fn raise(&mut self, cause: Cause, duties: &mut Duties, now: Millis) -> Vec<Dispatch> {
        if self.alerts.contains_key(&cause.id) || self.over.contains_key(cause.id.as_str()) {
            return Vec::new();
        }
        let mut alert = Alert::new(cause, now);
        *self.counts.raised.entry(kind_of(&alert)).or_default() += 1;
        let held_back = if now - alert.cause.event_time > self.options.stale_ms {
            Some(("stale", "not sent: its time was past when it was found"))
        } else if !self.has_room_for(&alert, now) {
            Some(("storm", "not sent: too many alerts that are more urgent are open"))
        } else {
            None
        };
        if let Some((why, note)) = held_back {
            *self.counts.held_back.entry(why).or_default() += 1;
            alert.status = Status::Expired;
            alert.expired_at = Some(now);
            note.clone_into(&mut alert.note);
            self.keep(alert);
            return Vec::new();
        }
        if let Some(silence) = self.silence_of(&alert, now) {
            alert.silenced = true;
            alert.note = format!("silenced by {}", silence.by);
            *self.counts.held_back.entry("silenced").or_default() += 1;
            self.keep(alert);
            return Vec::new();
        }
        let sends = self.tell_first(&mut alert, duties, now);
        self.keep(alert);
        sends
    }

    /// Whether an alert may be opened; where too many are open, the oldest of the mildest gives way to it.
    fn has_room_for(&mut self, alert: &Alert, now: Millis) -> bool {
        while self.open.len() >= OPEN_MAX {
            let Some((severity, _, id)) = self.open.first().cloned() else { break };
            let Some(mut mildest) = self.alerts.get(&id).cloned().filter(|_| severity <= severity_of(alert))
            else {
                return false;
            };
            *self.counts.held_back.entry("gave_way").or_default() += 1;
            mildest.status = Status::Expired;
            mildest.expired_at = Some(now);
            (mildest.escalate_at, mildest.ack_expires_at) = (None, None);
            mildest.remark("gave way to a newer one: too many alerts were open");
            self.keep(mildest);
        }
        true
    }

    fn tell_first(&mut self, alert: &mut Alert, duties: &mut Duties, now: Millis) -> Vec<Dispatch> {
        let people = self.on_duty(alert, 0, duties, now);
        let after = self.escalate_after(alert);
        alert.escalate_at = after.map(|after| now + after);
        self.tell(alert, Kind::Raised, people)
    }

    fn escalate_after(&self, alert: &Alert) -> Option<Millis> {
        let after = alert.cause.escalate_ms.unwrap_or(self.options.escalate_ms[severity_of(alert) as usize]);
        (after > 0).then_some(after.max(SECOND))
    }

    /// Who is to be told at this level: the role of the rule, the lead, the fallback. A level without anybody is skipped at
    /// once.
    fn on_duty(&mut self, alert: &mut Alert, level: u32, duties: &mut Duties, now: Millis) -> Vec<String> {
        let queue = Some(alert.cause.queue.as_str()).filter(|queue| !queue.is_empty());
        let department = Some(alert.cause.department.as_str()).filter(|name| !name.is_empty());
        let first = alert.first_role();
        if level == 0 && first.is_none() && !alert.cause.agent_id.is_empty() {
            return vec![alert.cause.agent_id.clone()];
        }
        let first = first.unwrap_or(Role::Supervisor);
        let mut chain = vec![first];
        chain.extend([Role::Supervisor, Role::Lead].into_iter().filter(|role| {
            // From an agent's own alert the way goes to the supervisor, from the supervisor's to the lead.
            *role != first && (*role == Role::Lead || alert.first_role().is_none())
        }));
        let start = if alert.first_role().is_none() { level.saturating_sub(1) } else { level };
        for role in chain.iter().skip(start as usize) {
            let people = duties.people(queue, department, *role, now);
            if !people.is_empty() {
                return in_turn(&people, alert.id());
            }
            if !duties.roster().is_empty() && !alert.unstaffed {
                alert.unstaffed = true;
                self.counts.unstaffed += 1;
            }
        }
        self.options.fallback.clone()
    }

    /// Sends to every target that takes it.
    fn tell(&self, alert: &mut Alert, kind: Kind, people: Vec<String>) -> Vec<Dispatch> {
        alert.notified.extend(people.iter().cloned());
        if kind != Kind::Resolved {
            alert.people = people;
        }
        let targets: Vec<String> = self
            .options
            .routes
            .iter()
            .filter(|route| route.takes(alert, kind))
            .map(|route| route.target.clone())
            .collect();
        for target in &targets {
            alert.pending.insert(target.clone(), kind);
        }
        let send = |target| Dispatch { target, kind, alert: alert.clone() };
        targets.into_iter().map(send).collect()
    }

    fn silence_of(&self, alert: &Alert, now: Millis) -> Option<&Silence> {
        self.silences.iter().find(|silence| {
            silence.until > now
                && (silence.rule.is_empty() || silence.rule == alert.cause.rule)
                && (silence.queue.is_empty() || silence.queue == alert.cause.queue)
        })
    }

    fn keep(&mut self, mut alert: Alert) {
        alert.revision += 1;
        let id = alert.cause.id.clone();
        let due_at = |alert: &Alert| due_at_of(&self.options, alert);
        if let Some(known) = self.alerts.get(&id).filter(|known| known.status.is_open()) {
            self.due.remove(&(due_at(known), id.clone()));
        }
        if alert.status.is_open() {
            self.due.insert((due_at(&alert), id.clone()));
            if self.open.insert(place_of(&alert)) {
                *self.open_counts.entry(kind_of(&alert)).or_default() += 1;
            }
        } else if self.open.remove(&place_of(&alert)) {
            *self.open_counts.entry(kind_of(&alert)).or_default() -= 1;
        }
        self.changed.insert(id.clone());
        self.version += 1;
        self.alerts.insert(id, alert);
    }

    /// Lets time pass: escalates, lets acknowledgements and alerts expire, sends what silences held back.
    pub fn tick(&mut self, duties: &mut Duties, now: Millis) -> Vec<Dispatch> {
        let mut sends = Vec::new();
        let silences = self.silences.len();
        self.silences.retain(|silence| silence.until > now);
        // A silence that is over may let alerts through.
        self.look_at_all |= self.silences.len() < silences;
        let mut due: Vec<String> =
            self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id.clone()).collect();
        if std::mem::take(&mut self.look_at_all) {
            due.extend(self.open().filter(|alert| alert.silenced).map(|alert| alert.cause.id.clone()));
        }
        for id in due {
            let Some(mut alert) = self.alerts.get(&id).filter(|alert| alert.status.is_open()).cloned() else {
                continue;
            };
            if now - alert.raised_at >= self.options.expire_ms {
                alert.status = Status::Expired;
                alert.expired_at = Some(now);
                (alert.escalate_at, alert.ack_expires_at) = (None, None);
                self.keep(alert);
            } else if alert.silenced {
                if self.silence_of(&alert, now).is_none() {
                    alert.silenced = false;
                    alert.remark("the silence is over");
                    sends.extend(self.tell_first(&mut alert, duties, now));
                    self.keep(alert);
                }
            } else if alert.ack_expires_at.is_some_and(|at| at <= now) {
                alert.status = if alert.delivered_at.is_some() { Status::Delivered } else { Status::Raised };
                alert.ack_expires_at = None;
                sends.extend(self.escalate(&mut alert, duties, now));
                self.keep(alert);
            } else if alert.escalate_at.is_some_and(|at| at <= now) {
                sends.extend(self.escalate(&mut alert, duties, now));
                self.keep(alert);
            }
        }
        if now - self.swept_at.max(Millis::MIN / 2) >= MINUTE {
            self.swept_at = now;
            self.forget(now);
        }
        sends
    }

    fn escalate(&mut self, alert: &mut Alert, duties: &mut Duties, now: Millis) -> Vec<Dispatch> {
        alert.escalations += 1;
        alert.escalated_at = Some(now);
        self.counts.escalations += 1;
        let again = (alert.escalations < self.options.escalations_max).then(|| self.escalate_after(alert));
        alert.escalate_at = again.flatten().map(|after| now + after);
        let level = alert.escalations;
        let people = self.on_duty(alert, level, duties, now);
        self.tell(alert, Kind::Escalated, people)
    }

    /// Puts away what has been over for longer than others, and forgets what has been over for long.
    fn forget(&mut self, now: Millis) {
        // What still has to reach somebody stays whole, and so does what nobody has taken the change of yet.
        let changed = &self.changed;
        let closed = |alert: &Alert| {
            alert.closed_at().filter(|_| alert.pending.is_empty() && !changed.contains(alert.id()))
        };
        if let Some(before) = latest_from(self.alerts.values().filter_map(closed), WHOLE_MAX) {
            let gone = self.alerts.extract_if(|_, alert| closed(alert).is_some_and(|at| at < before));
            let over = gone.filter_map(|(id, alert)| Some((id.into_boxed_str(), alert.closed_at()?)));
            self.over.extend(over);
        }
        self.alerts.retain(|_, alert| closed(alert).is_none_or(|at| now - at < KNOWN));
        let before = latest_from(self.over.values().copied(), KNOWN_MAX).unwrap_or(Millis::MIN);
        self.over.retain(|_, at| *at >= before && now - *at < KNOWN);
    }

    /// Notes what became of something that was sent. `accepted` false: it was given up.
    pub fn delivered(&mut self, id: &str, target: &str, kind: Kind, accepted: bool, now: Millis) {
        let Some(mut alert) = self.alerts.get(id).cloned() else { return };
        // A newer thing to be sent to this target waits on.
        if alert.pending.get(target) == Some(&kind) {
            alert.pending.remove(target);
        }
        if accepted {
            alert.delivered_at.get_or_insert(now);
            if alert.status == Status::Raised {
                alert.status = Status::Delivered;
            }
        } else {
            alert.remark(&format!("target {target} did not take it"));
        }
        self.keep(alert);
    }

    /// The alert of this id, if it is open.
    fn open_one(&self, id: &str) -> Result<Alert, Refusal> {
        match self.alerts.get(id) {
            Some(alert) if alert.status.is_open() => Ok(alert.clone()),
            None if !self.over.contains_key(id) => Err(Refusal::Unknown),
            _ => Err(Refusal::Closed),
        }
    }

    /// Somebody takes care of it: nobody else is told until the acknowledgement expires.
    ///
    /// # Errors
    /// Where there is no such alert, or it is over.
    pub fn acknowledge(&mut self, id: &str, by: &str, now: Millis) -> Result<&Alert, Refusal> {
        let mut alert = self.open_one(id)?;
        alert.status = Status::Acknowledged;
        alert.acknowledged_at.get_or_insert(now);
        by.clone_into(&mut alert.acknowledged_by);
        alert.ack_expires_at = Some(now + self.options.ack_ms);
        alert.escalate_at = None;
        self.keep(alert);
        self.alerts.get(id).ok_or(Refusal::Unknown)
    }

    /// It is over. Whoever was told is told so.
    ///
    /// # Errors
    /// Where there is no such alert, or it is over already.
    pub fn resolve(&mut self, id: &str, by: &str, now: Millis) -> Result<Vec<Dispatch>, Refusal> {
        let mut alert = self.open_one(id)?;
        alert.status = Status::Resolved;
        alert.resolved_at = Some(now);
        by.clone_into(&mut alert.resolved_by);
        (alert.escalate_at, alert.ack_expires_at) = (None, None);
        let people = alert.people.clone();
        let sends = if alert.silenced { Vec::new() } else { self.tell(&mut alert, Kind::Resolved, people) };
        self.keep(alert);
        Ok(sends)
    }

    /// Keeps alerts from being sent.
    pub fn silence(&mut self, silence: Silence) {
        self.silences.push(silence);
        self.version += 1;
    }

    /// The silences in force.
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// The alert of this id.
    pub fn get(&self, id: &str) -> Option<&Alert> {
        self.alerts.get(id)
    }

    /// Every alert that is open, and the latest of those that are over, in no special order.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }

    /// Those that are over of which only the id is known any more, in no special order.
    pub fn over(&self) -> impl Iterator<Item = Over> {
        self.over.iter().map(|(id, &closed_at)| Over { over: id.to_string(), closed_at })
    }

    /// Alerts that are open.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.open.iter().filter_map(|(.., id)| self.alerts.get(id))
    }

    /// How many are open, by rule and severity; 0 where some were.
    pub fn open_counts(&self) -> &BTreeMap<(String, String), i64> {
        &self.open_counts
    }

    /// Grows with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The alerts that changed since the last call, as they are now.
    pub fn take_changes(&mut self) -> Vec<Alert> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|id| self.alerts.get(id).cloned()).collect()
    }

    /// The rows of these alerts.
    pub fn rows<'a>(&self, alerts: impl IntoIterator<Item = &'a Alert>) -> AlertRows {
        let mut rows = AlertRows::default();
        for alert in alerts {
            alert.write(&self.options.grid, &mut rows);
        }
        rows
    }
}

/// When an open alert expires, is escalated, or is no longer acknowledged, whichever comes first.
fn due_at_of(options: &Options, alert: &Alert) -> Millis {
    let expires = alert.raised_at.saturating_add(options.expire_ms);
    [alert.escalate_at, alert.ack_expires_at].into_iter().flatten().fold(expires, Millis::min)
}

/// From when on there are `most` of these times; `None` where there are no more than that.
fn latest_from(times: impl Iterator<Item = Millis>, most: usize) -> Option<Millis> {
    let mut times: Vec<Millis> = times.collect();
    let at = times.len().checked_sub(most).filter(|more| *more > 0)?;
    Some(*times.select_nth_unstable(at).1)
}

fn severity_of(alert: &Alert) -> Severity {
    Severity::parse(&alert.cause.severity).unwrap_or(Severity::Warning)
}

/// Rule and severity of an alert.
fn kind_of(alert: &Alert) -> (String, String) {
    (alert.cause.rule.clone(), alert.cause.severity.clone())
}

/// Where an alert stands among the open ones.
fn place_of(alert: &Alert) -> (Severity, Millis, String) {
    (severity_of(alert), alert.raised_at, alert.cause.id.clone())
}

/// Whose turn it is among many who have the same duty: neighbours, from a place that the alert's id decides, so that a replay tells
/// the same people.
fn in_turn(people: &[String], id: &str) -> Vec<String> {
    if people.len() <= PEOPLE_MAX {
        return people.to_vec();
    }
    let first = (xxh3_64(id.as_bytes()) % people.len() as u64) as usize;
    people.iter().cycle().skip(first).take(PEOPLE_MAX).cloned().collect()
}
