//! Rules about slots to come: too few are rostered for what is expected.
//!
//! Slots in a row that fail for one queue and channel are one cause. An alert is over when none of its slots fails any more,
//! since the roster or the forecast has changed, or since they are past.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::rule::{About, Rule, Rules};
use super::test::{Condition, Test};
use super::{Opened, Raised, Signal, Subject, alert_id};
use crate::time::Millis;

/// A slot of a queue and channel, as it is planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedSlot {
    /// The queue.
    pub queue: String,
    /// The channel.
    pub channel: String,
    /// The queue's department, where known.
    pub department: String,
    /// Its start.
    pub start: Millis,
    /// Its end.
    pub end: Millis,
    /// Contacts expected.
    pub contacts: f64,
    /// Agents needed in the roster.
    pub required: f64,
    /// Agents in the roster.
    pub staffed: f64,
    /// The service level expected, where there is one.
    pub service_level: Option<f64>,
    /// The level expected is below its target, or the load cannot be done.
    pub fails: bool,
}

/// A run of failing slots.
struct Run<'s> {
    start: Millis,
    end: Millis,
    first: &'s PlannedSlot,
    /// The slot that lacks most.
    worst: &'s PlannedSlot,
    slots: usize,
}

/// An alert that is open.
#[derive(Debug)]
struct Open {
    id: String,
    rule: String,
    key: (String, String),
    start: Millis,
    end: Millis,
    back_since: Option<Millis>,
}

/// Watches slots to come.
#[derive(Debug)]
pub struct PlanWatch {
    rules: Arc<Rules>,
    open: Vec<Open>,
    /// Alerts of an earlier time that are open, until the first look tells which of them still hold.
    inherited: HashSet<String>,
    /// When a run that has no alert yet was first seen.
    since: HashMap<(String, String, String, Millis), Millis>,
    /// How often a run of a start was told, so that one that fails again is told again.
    told: HashMap<String, u32>,
}

impl PlanWatch {
    /// Watches by these rules, going on with what is open.
    pub fn new(rules: Arc<Rules>, opened: &[Opened]) -> PlanWatch {
        let of_plan = |opened: &&Opened| rules.about(About::Plan).any(|rule| rule.name == opened.rule);
        let inherited = opened.iter().filter(of_plan).map(|opened| opened.id.clone()).collect();
        PlanWatch { rules, open: Vec::new(), inherited, since: HashMap::new(), told: HashMap::new() }
    }

    /// Goes on with other rules; alerts of rules that are gone are over.
    pub fn set_rules(&mut self, rules: Arc<Rules>, now: Millis, signals: &mut Vec<Signal>) {
        self.open.retain(|open| {
            let stays = rules.get(&open.rule).is_some_and(|rule| rule.about == About::Plan);
            if !stays {
                signals.push(Signal::Cleared { id: open.id.clone(), time: now });
            }
            stays
        });
        self.rules = rules;
    }

    /// Looks at all slots to come.
    pub fn look(&mut self, slots: &[PlannedSlot], now: Millis, signals: &mut Vec<Signal>) {
        let rules = Arc::clone(&self.rules);
        let mut seen = HashSet::new();
        let mut waiting = HashSet::new();
        for rule in rules.about(About::Plan) {
            let Condition::Test(Test::SlotFails { within_ms, missing }) = &rule.when else { continue };
            for run in runs(rule, slots, now, *within_ms, *missing) {
                self.see(rule, &run, now, &mut seen, &mut waiting, signals);
            }
        }
        self.since.retain(|key, _| waiting.contains(key));
        let clear_ms = |name: &str| rules.get(name).map_or(0, |rule| rule.clear_ms);
        self.open.retain_mut(|open| {
            if seen.contains(&open.id) {
                open.back_since = None;
                return true;
            }
            let back_since = *open.back_since.get_or_insert(now);
            let stays = now - back_since < clear_ms(&open.rule) && open.end > now;
            if !stays {
                signals.push(Signal::Cleared { id: open.id.clone(), time: now });
            }
            stays
        });
        for id in self.inherited.drain().filter(|id| !seen.contains(id)) {
            signals.push(Signal::Cleared { id, time: now });
        }
    }

    fn see(
        &mut self,
        rule: &Arc<Rule>,
        run: &Run<'_>,
        now: Millis,
        seen: &mut HashSet<String>,
        waiting: &mut HashSet<(String, String, String, Millis)>,
        signals: &mut Vec<Signal>,
    ) {
        let key = (run.first.queue.clone(), run.first.channel.clone());
        let known = self.open.iter_mut().find(|open| {
            open.rule == rule.name && open.key == key && open.start < run.end && run.start < open.end
        });
        if let Some(open) = known {
            (open.start, open.end) = (run.start, run.end);
            seen.insert(open.id.clone());
            return;
        }
        let waits = (rule.name.clone(), key.0.clone(), key.1.clone(), run.start);
        let since = *self.since.entry(waits.clone()).or_insert(now);
        waiting.insert(waits);
        if now - since < rule.hold_ms {
            return;
        }
        let subject = format!("{}\u{1f}{}", key.0, key.1);
        let times = self.told.entry(format!("{}\u{1f}{subject}\u{1f}{}", rule.name, run.start)).or_insert(0);
        let cause = if *times == 0 { run.start.to_string() } else { format!("{}/{times}", run.start) };
        *times += 1;
        let id = alert_id(&rule.name, &subject, &cause);
        seen.insert(id.clone());
        let worst = run.worst;
        let mut values = vec![
            ("slot_start_ms".to_owned(), run.start as f64),
            ("slot_end_ms".to_owned(), run.end as f64),
            ("slots".to_owned(), run.slots as f64),
            ("agents_required".to_owned(), worst.required),
            ("agents_staffed".to_owned(), worst.staffed),
            ("contacts_expected".to_owned(), worst.contacts),
        ];
        values.extend(worst.service_level.map(|level| ("service_level_expected".to_owned(), level)));
        self.open.push(Open {
            id: id.clone(),
            rule: rule.name.clone(),
            key,
            start: run.start,
            end: run.end,
            back_since: None,
        });
        signals.push(Signal::Raised(Box::new(Raised {
            id,
            rule: Arc::clone(rule),
            subject: Subject {
                queue: run.first.queue.clone(),
                channel: run.first.channel.clone(),
                department: run.first.department.clone(),
                ..Subject::default()
            },
            time: now,
            evidence: Vec::new(),
            values,
        })));
    }
}

/// The runs of slots that fail for a rule, each of one queue and channel.
fn runs<'s>(
    rule: &Rule,
    slots: &'s [PlannedSlot],
    now: Millis,
    within_ms: Millis,
    missing: f64,
) -> Vec<Run<'s>> {
    let listed = |list: &[String], name: &str| list.is_empty() || list.iter().any(|own| own == name);
    let mut failing: Vec<&PlannedSlot> = slots
        .iter()
        .filter(|slot| {
            slot.fails
                && slot.end > now
                && slot.start < now.saturating_add(within_ms)
                && slot.required - slot.staffed >= missing
                && listed(&rule.scope.queues, &slot.queue)
                && listed(&rule.scope.channels, &slot.channel)
                && listed(&rule.scope.departments, &slot.department)
        })
        .collect();
    failing.sort_by(|a, b| (&a.queue, &a.channel, a.start).cmp(&(&b.queue, &b.channel, b.start)));
    let mut runs: Vec<Run<'s>> = Vec::new();
    for slot in failing {
        match runs.last_mut() {
            Some(run)
                if run.end == slot.start
                    && run.first.queue == slot.queue
                    && run.first.channel == slot.channel =>
            {
                run.end = slot.end;
                run.slots += 1;
                if slot.required - slot.staffed > run.worst.required - run.worst.staffed {
                    run.worst = slot;
                }
            }
            _ => runs.push(Run { start: slot.start, end: slot.end, first: slot, worst: slot, slots: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, MINUTE};

    const RULE: &str = "[[rule]]\nname = \"slot\"\ntitle = \"A slot will fail\"\nclear_secs = 0\n\
        when = { slot_fails = { within_secs = 86400, missing = 1 } }\n";

    fn watch() -> PlanWatch {
        let rules = crate::rules::read(&[("rules.toml".to_owned(), RULE.to_owned())], chrono_tz::UTC);
        PlanWatch::new(Arc::new(rules.expect("good rules")), &[])
    }

    fn slot(at: i64, staffed: f64) -> PlannedSlot {
        let start = at * 30 * MINUTE;
        PlannedSlot {
            queue: "cards".to_owned(),
            channel: "voice".to_owned(),
            department: String::new(),
            start,
            end: start + 30 * MINUTE,
            contacts: 50.0,
            required: 10.0,
            staffed,
            service_level: Some(staffed / 12.0),
            fails: staffed < 9.5,
        }
    }

    fn look(watch: &mut PlanWatch, slots: &[PlannedSlot], now: Millis) -> Vec<String> {
        let mut signals = Vec::new();
        watch.look(slots, now, &mut signals);
        let said = signals.into_iter().map(|signal| match signal {
            Signal::Raised(raised) => {
                let of = |name: &str| raised.values.iter().find(|(own, _)| own == name).expect("a value").1;
                format!("raised {} of {}: {}", of("slots"), of("agents_required"), of("agents_staffed"))
            }
            Signal::Cleared { .. } => "cleared".to_owned(),
            Signal::Ended { .. } => "ended".to_owned(),
        });
        said.collect()
    }

    #[test]
    fn slots_in_a_row_are_one_cause_and_a_better_roster_ends_it() {
        let mut watch = watch();
        let hole = [slot(20, 10.0), slot(21, 4.0), slot(22, 3.0), slot(23, 10.0)];
        assert_eq!(look(&mut watch, &hole, HOUR), ["raised 2 of 10: 3"]);
        assert_eq!(look(&mut watch, &hole, 2 * HOUR), Vec::<String>::new());
        // A part of the hole is filled: the same alert.
        let smaller = [slot(21, 10.0), slot(22, 5.0)];
        assert_eq!(look(&mut watch, &smaller, 3 * HOUR), Vec::<String>::new());
        assert_eq!(look(&mut watch, &[slot(21, 10.0), slot(22, 10.0)], 3 * HOUR), ["cleared"]);
        // And told again when it fails again.
        assert_eq!(look(&mut watch, &smaller, 4 * HOUR), ["raised 1 of 10: 5"]);
    }

    #[test]
    fn what_is_far_away_past_or_small_raises_nothing() {
        let mut watch = watch();
        assert_eq!(look(&mut watch, &[slot(21, 4.0)], 11 * HOUR), Vec::<String>::new());
        assert_eq!(look(&mut watch, &[slot(100, 4.0)], HOUR), Vec::<String>::new());
        assert_eq!(
            look(&mut watch, &[PlannedSlot { staffed: 9.4, ..slot(21, 4.0) }], HOUR),
            Vec::<String>::new()
        );
        // A slot that passes while it fails is over.
        assert_eq!(look(&mut watch, &[slot(21, 4.0)], HOUR).len(), 1);
        assert_eq!(look(&mut watch, &[slot(21, 4.0)], 12 * HOUR), ["cleared"]);
    }

    #[test]
    fn what_was_open_before_a_restart_goes_on_or_is_over() {
        let first = &mut watch();
        let mut signals = Vec::new();
        first.look(&[slot(21, 4.0)], HOUR, &mut signals);
        let Some(Signal::Raised(raised)) = signals.first() else { panic!("nothing was raised") };
        let opened = [raised.id.clone(), "gone".to_owned()].map(|id| Opened {
            id,
            rule: "slot".to_owned(),
            queue: "cards".to_owned(),
        });
        let mut again = PlanWatch::new(Arc::clone(&first.rules), &opened);
        let mut signals = Vec::new();
        again.look(&[slot(21, 4.0)], 2 * HOUR, &mut signals);
        let ids: Vec<_> = signals
            .iter()
            .map(|signal| match signal {
                Signal::Raised(raised) => raised.id.as_str(),
                Signal::Cleared { id, .. } => id.as_str(),
                Signal::Ended { .. } => "",
            })
            .collect();
        // The desk knows the first one by its id.
        assert_eq!(ids, [opened[0].id.as_str(), "gone"]);
    }
}
