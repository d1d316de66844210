//! Rules about figures of queues and of the pipeline, and about agents over several contacts: looked at on a tick, over
//! what all tasks together have.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::rule::{About, Rule, Rules};
use super::test::{Condition, Test};
use super::{Raised, Signal, Subject, alert_id};
use crate::kpi::{ServiceLevel, Source, Totals, kpi};
use crate::time::{DAY, Millis};

/// The figures of one queue and channel.
#[derive(Debug, Clone)]
pub struct SeriesFigures<'f> {
    /// The queue.
    pub queue: &'f str,
    /// The channel.
    pub channel: &'static str,
    /// The queue's department, where configured.
    pub department: &'f str,
    /// How its service level is reckoned.
    pub service_level: ServiceLevel,
    /// Legs that wait.
    pub waiting: i64,
    /// How long the longest of them has waited, ms.
    pub longest_wait_ms: Millis,
    /// Handlings that go on.
    pub active: i64,
    /// Sums by window: the rolling ones by their names, `slot` and `today`.
    pub windows: Vec<(&'static str, &'f Totals)>,
}

/// More contacts than were to be expected.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surging {
    /// The queue that they came to; empty where they have something that was said in common.
    pub queue: String,
    /// The category of what they speak of; empty where they came to one queue.
    pub category: String,
    /// The channel; empty for a category.
    pub channel: String,
    /// How many came.
    pub contacts: f64,
    /// How many were to be expected.
    pub expected: f64,
    /// By how many deviations that is too many.
    pub deviations: f64,
}

/// All figures at an instant.
#[derive(Debug, Clone, Default)]
pub struct Figures<'f> {
    /// The instant.
    pub now: Millis,
    /// Length of the running slot, ms.
    pub slot_ms: i64,
    /// Queues and channels.
    pub series: Vec<SeriesFigures<'f>>,
    /// Numbers that belong to no queue, by name: `agents_available`, `consumer_lag`, ….
    pub gauges: Vec<(String, f64)>,
    /// Surges that go on.
    pub surges: &'f [Surging],
}

/// An alert that is open, told to a fleet that starts anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The alert.
    pub id: String,
    /// Its rule.
    pub rule: String,
    /// The queue it is about.
    pub queue: String,
}

/// Contacts of an agent that are remembered for exposure.
const CONTACTS_MAX: usize = 200;

/// A contact that an agent had.
#[derive(Debug, Clone)]
struct Had {
    ended_at: Millis,
    /// The hash of its id: a day of all agents' contacts is many.
    contact: u64,
    /// The customer's lowest score; `None` where nothing was read.
    lowest: Option<f32>,
    talk_ms: Millis,
}

/// How a rule stands for one queue.
#[derive(Debug, Clone, Default)]
struct Held {
    /// Since when it holds without a break.
    since: Option<Millis>,
    /// Since when it does not, while an alert is open.
    back_since: Option<Millis>,
    open: Option<String>,
}

/// Watches figures.
#[derive(Debug)]
pub struct Fleet {
    rules: Arc<Rules>,
    held: HashMap<(String, String), Held>,
    /// By agent: the latest contacts, in the order of their ends.
    agents: BTreeMap<String, VecDeque<Had>>,
}

impl Fleet {
    /// Watches by these rules, going on with what is open.
    pub fn new(rules: Arc<Rules>, opened: Vec<Opened>) -> Fleet {
        let of_figures = |opened: &Opened| rules.about(About::Figures).any(|rule| rule.name == opened.rule);
        let held = opened.into_iter().filter(of_figures).map(|opened| {
            let held = Held { open: Some(opened.id), ..Held::default() };
            ((opened.rule, opened.queue), held)
        });
        Fleet { held: held.collect(), rules, agents: BTreeMap::new() }
    }

    /// What is open now.
    pub fn opened(&self) -> Vec<Opened> {
        let mut opened: Vec<Opened> = self
            .held
            .iter()
            .filter_map(|((rule, queue), held)| {
                Some(Opened { id: held.open.clone()?, rule: rule.clone(), queue: queue.clone() })
            })
            .collect();
        opened.sort_by(|a, b| a.id.cmp(&b.id));
        opened
    }

    /// Goes on where another instance has stopped looking: what it had open is open here, and nothing else.
    pub fn take_over(&mut self, opened: Vec<Opened>) {
        self.held.clear();
        for Opened { id, rule, queue } in opened {
            if self.rules.about(About::Figures).any(|known| known.name == rule) {
                self.held.insert((rule, queue), Held { open: Some(id), ..Held::default() });
            }
        }
    }

    /// Goes on with other rules; alerts of rules that are gone are over.
    pub fn set_rules(&mut self, rules: Arc<Rules>, now: Millis, signals: &mut Vec<Signal>) {
        self.held.retain(|(name, _), held| {
            let stays = rules.get(name).is_some_and(|rule| rule.about == About::Figures);
            if let Some(id) = held.open.take_if(|_| !stays) {
                signals.push(Signal::Cleared { id, time: now });
            }
            stays
        });
        self.rules = rules;
    }

    /// Looks at the figures.
    pub fn tick(&mut self, figures: &Figures<'_>, signals: &mut Vec<Signal>) {
        let rules = Arc::clone(&self.rules);
        for rule in rules.about(About::Figures) {
            let of_queue = rule.when.tests().iter().any(|test| is_of_queue(test));
            let mut queues: BTreeMap<&str, Vec<&SeriesFigures<'_>>> = BTreeMap::new();
            if of_queue {
                let listed =
                    |list: &[String], name: &str| list.is_empty() || list.iter().any(|own| own == name);
                for series in figures.series.iter().filter(|series| {
                    listed(&rule.scope.channels, series.channel)
                        && listed(&rule.scope.queues, series.queue)
                        && listed(&rule.scope.departments, series.department)
                        && !series.queue.is_empty()
                }) {
                    queues.entry(series.queue).or_default().push(series);
                }
            } else {
                queues.insert("", Vec::new());
            }
            for (queue, series) in queues {
                self.look(rule, queue, &series, figures, signals);
            }
        }
    }

    fn look(
        &mut self,
        rule: &Arc<Rule>,
        queue: &str,
        series: &[&SeriesFigures<'_>],
        figures: &Figures<'_>,
        signals: &mut Vec<Signal>,
    ) {
        let now = figures.now;
        let mut values = Vec::new();
        let holds =
            rule.scope.fits_time(now, self.rules.zone) && holds(&rule.when, series, figures, &mut values);
        let held = self.held.entry((rule.name.clone(), queue.to_owned())).or_default();
        if !holds {
            held.since = None;
            if held.open.is_some() {
                let back_since = *held.back_since.get_or_insert(now);
                if now - back_since >= rule.clear_ms
                    && let Some(id) = held.open.take()
                {
                    held.back_since = None;
                    signals.push(Signal::Cleared { id, time: now });
                }
            }
            return;
        }
        held.back_since = None;
        let since = *held.since.get_or_insert(now);
        if held.open.is_some() || now - since < rule.hold_ms {
            return;
        }
        let id = alert_id(&rule.name, queue, &since.to_string());
        held.open = Some(id.clone());
        let channels: Vec<&str> = series.iter().map(|series| series.channel).collect();
        signals.push(Signal::Raised(Box::new(Raised {
            id,
            rule: Arc::clone(rule),
            subject: Subject {
                queue: queue.to_owned(),
                channel: if channels.len() == 1 { channels[0].to_owned() } else { String::new() },
                department: series.first().map_or_else(String::new, |series| series.department.to_owned()),
                ..Subject::default()
            },
            time: since + rule.hold_ms,
            evidence: Vec::new(),
            values,
        })));
    }

    /// Takes the end of a contact, for rules about agents: the customer's lowest score, and how long the agent talked.
    pub fn contact_ended(
        &mut self,
        subject: &Subject,
        time: Millis,
        lowest: Option<f32>,
        talk_ms: Millis,
        signals: &mut Vec<Signal>,
    ) {
        let rules = Arc::clone(&self.rules);
        if subject.agent_id.is_empty() || rules.about(About::Agent).next().is_none() {
            return;
        }
        let contact = xxh3_64(subject.contact_id.as_bytes());
        let of_agent = self.agents.entry(subject.agent_id.clone()).or_default();
        if of_agent.iter().any(|had| had.contact == contact) {
            return;
        }
        let at = of_agent.partition_point(|had| had.ended_at <= time);
        of_agent.insert(at, Had { ended_at: time, contact, lowest, talk_ms });
        while of_agent.len() > CONTACTS_MAX || of_agent.front().is_some_and(|had| had.ended_at < time - DAY) {
            of_agent.pop_front();
        }
        for rule in rules.about(About::Agent) {
            let Condition::Test(test) = &rule.when else { continue };
            let found = match test {
                Test::Exposure { contacts, below, within_ms } => {
                    exposed(of_agent, time, lowest, *contacts, *below, *within_ms)
                }
                Test::Load { contacts, talk_ms, within_ms } => {
                    loaded(of_agent, time, *contacts, *talk_ms, *within_ms)
                }
                _ => None,
            };
            let Some((cause, values)) = found else { continue };
            if !rule.scope.fits(subject, time, self.rules.zone) {
                continue;
            }
            signals.push(Signal::Raised(Box::new(Raised {
                id: alert_id(&rule.name, &subject.agent_id, &cause),
                rule: Arc::clone(rule),
                subject: Subject { contact_id: String::new(), ..subject.clone() },
                time,
                evidence: Vec::new(),
                values,
            })));
        }
    }
}

/// What a rule about agents came true by: what names the cause, and figures.
type OfAgent = Option<(String, Vec<(String, f64)>)>;

fn exposed(
    had: &VecDeque<Had>,
    time: Millis,
    lowest: Option<f32>,
    contacts: usize,
    below: f64,
    within_ms: Option<Millis>,
) -> OfAgent {
    let is_bad = |lowest: Option<f32>| lowest.is_some_and(|lowest| f64::from(lowest) < below);
    // What nobody read neither ends a row nor makes it longer.
    let read = || had.iter().filter(|had| had.lowest.is_some());
    let bad: Vec<&Had> = match within_ms {
        Some(ms) => read().filter(|had| had.ended_at > time - ms && is_bad(had.lowest)).collect(),
        None => {
            let mut row: Vec<&Had> = read().rev().take_while(|had| is_bad(had.lowest)).collect();
            row.reverse();
            row
        }
    };
    // The first of the row is the cause: the row going on is no new one.
    let first = bad.first().filter(|_| bad.len() >= contacts && is_bad(lowest))?;
    Some((format!("{:016x}", first.contact), vec![("unpleasant_contacts".to_owned(), bad.len() as f64)]))
}

fn loaded(
    had: &VecDeque<Had>,
    time: Millis,
    contacts: Option<usize>,
    talk_ms: Option<Millis>,
    within_ms: Millis,
) -> OfAgent {
    let recent: Vec<&Had> =
        had.iter().filter(|had| had.ended_at > time - within_ms && had.ended_at <= time).collect();
    let talked: Millis = recent.iter().map(|had| had.talk_ms).sum();
    let much = contacts.is_none_or(|contacts| recent.len() >= contacts)
        && talk_ms.is_none_or(|limit| talked >= limit);
    // One alert for each stretch of that length, so that a day of load is not one alert a contact.
    much.then(|| {
        let values = vec![
            ("contacts".to_owned(), recent.len() as f64),
            ("talk_seconds".to_owned(), talked as f64 / 1e3),
        ];
        (time.div_euclid(within_ms.max(1)).to_string(), values)
    })
}

/// Whether a test is about one queue.
fn is_of_queue(test: &Test) -> bool {
    match test {
        Test::Kpi { .. } => true,
        Test::Surge { categories, .. } => categories.is_empty(),
        Test::Gauge { name, .. } => QUEUE_GAUGES.contains(&name.as_str()),
        _ => false,
    }
}

/// Numbers of the present that every queue has.
pub(super) const QUEUE_GAUGES: &[&str] = &["waiting", "longest_wait_seconds", "active"];
/// Numbers of the present that belong to no queue.
pub(super) const GAUGES: &[&str] = &[
    "agents_available",
    "agents_busy",
    "agents_acw",
    "agents_break",
    "consumer_lag",
    "ledger_gap",
    "watermark_age_seconds",
    "rejects_per_minute",
    "lake_failing",
    "contacts_on_two_partitions",
];

fn holds(
    condition: &Condition,
    series: &[&SeriesFigures<'_>],
    figures: &Figures<'_>,
    values: &mut Vec<(String, f64)>,
) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, series, figures, values)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, series, figures, values)),
        Condition::Not(part) => !holds(part, series, figures, &mut Vec::new()),
        Condition::Test(Test::Kpi { name, window, bound, min_sample }) => {
            let mut totals = Totals::default();
            for series in series {
                if let Some((_, more)) = series.windows.iter().find(|(own, _)| own == window) {
                    totals += more;
                }
            }
            let Some(kpi) = kpi(name) else { return false };
            let sample = match kpi.source {
                Source::Legs => totals.offered,
                Source::Handlings => totals.handled,
            };
            let formula = series.first().map_or_else(ServiceLevel::default, |series| series.service_level);
            // No traffic is no figure, and no figure is no alert.
            let value = kpi.measure.value(&totals, figures.slot_ms, formula);
            let Some(value) = value.filter(|value| bound.holds(*value) && sample >= *min_sample) else {
                return false;
            };
            values.push(((*name).to_owned(), value));
            values.push(("sample".to_owned(), sample as f64));
            true
        }
        Condition::Test(Test::Surge { categories, times, at_least, deviations }) => {
            let of_this = |surge: &&Surging| match categories.is_empty() {
                false => categories.contains(&surge.category),
                true => {
                    let own = |series: &&SeriesFigures<'_>| {
                        series.queue == surge.queue && series.channel == surge.channel
                    };
                    surge.category.is_empty() && series.iter().any(own)
                }
            };
            let beyond = |surge: &&Surging| {
                surge.contacts >= times * surge.expected
                    && surge.contacts >= *at_least
                    && surge.deviations >= *deviations
            };
            let Some(surge) = figures.surges.iter().filter(of_this).find(beyond) else { return false };
            values.push(("contacts".to_owned(), surge.contacts));
            values.push(("expected".to_owned(), surge.expected));
            values.push(("deviations".to_owned(), surge.deviations));
            true
        }
        Condition::Test(Test::Gauge { name, bound }) => {
            let sum = |number: fn(&SeriesFigures<'_>) -> f64| series.iter().map(|s| number(s)).sum::<f64>();
            let value = match name.as_str() {
                "waiting" => Some(sum(|series| series.waiting as f64)),
                "active" => Some(sum(|series| series.active as f64)),
                "longest_wait_seconds" => {
                    series.iter().map(|series| series.longest_wait_ms as f64 / 1e3).reduce(f64::max)
                }
                name => figures.gauges.iter().find(|(own, _)| own == name).map(|(_, value)| *value),
            };
            let Some(value) = value.filter(|value| bound.holds(*value)) else { return false };
            values.push((name.clone(), value));
            true
        }
        Condition::Test(_) => false,
    }
}
