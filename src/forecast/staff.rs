//! Who must sit there: from contacts and handle time of a slot to agents.

use super::erlang::{erlang_a_abandon, erlang_c_agents, erlang_c_asa, erlang_c_service_level};

/// How the work of a channel meets its agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Work {
    /// One at a time, and the customer waits on the line: Erlang.
    #[default]
    Calls,
    /// Several at a time per agent: Erlang over places, of which each agent has as many as chats may run at once.
    Chats,
    /// Nobody waits in a line: the work of the slot is done within it, at the cap of occupancy.
    Letters,
}

/// What staffing goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// How the channel's work meets agents.
    pub work: Work,
    /// The target wait, seconds.
    pub target_wait_seconds: f64,
    /// The share that must be answered within it, 0 to below 1.
    pub service_level: f64,
    /// The share of their time that agents may be busy, above 0 to 1.
    pub occupancy_cap: f64,
    /// The share of rostered time that is not worked, 0 to below 1.
    pub shrinkage: f64,
    /// Chats that one agent may have at once.
    pub concurrency: i64,
    /// How long customers wait on average before they give up, seconds.
    pub patience_seconds: f64,
}

impl Rule {
    /// Places that one agent fills.
    pub fn places(&self) -> i64 {
        if self.work == Work::Chats { self.concurrency.max(1) } else { 1 }
    }
}

/// What a slot needs.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Need {
    /// Offered load, Erlang.
    pub load_erlangs: f64,
    /// Agents at work: the fewest that keep both the service level and the cap of occupancy.
    pub on_seat: i64,
    /// Agents in the roster: `on_seat / (1 − shrinkage)`, rounded up.
    pub rostered: i64,
}

/// What so many agents at work would make of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outlook {
    /// Share answered within the target wait, by Erlang C; `None` for letters.
    pub service_level: Option<f64>,
    /// Mean wait in seconds, by Erlang C; `None` where the queue grows without end.
    pub asa_seconds: Option<f64>,
    /// Share that gives up, by Erlang A; `None` for letters.
    pub abandon: Option<f64>,
    /// Load over places, above 1 where there is more than can be done; `None` with nobody there.
    pub occupancy: Option<f64>,
}

/// What a slot of so many contacts, each taking `aht_seconds`, needs. `None` where the numbers mean nothing.
pub fn need(contacts: f64, aht_seconds: f64, slot_seconds: f64, rule: &Rule) -> Option<Need> {
    if !(contacts >= 0.0 && aht_seconds >= 0.0 && slot_seconds > 0.0 && rule.occupancy_cap > 0.0) {
        return None;
    }
    let load_erlangs = contacts * aht_seconds / slot_seconds;
    if load_erlangs == 0.0 {
        return Some(Need::default());
    }
    let by_cap = whole(load_erlangs / rule.occupancy_cap.min(1.0));
    let places = match rule.work {
        Work::Letters => by_cap,
        Work::Calls | Work::Chats => {
            let wait = rule.target_wait_seconds;
            by_cap.max(erlang_c_agents(contacts, aht_seconds, slot_seconds, wait, rule.service_level)?)
        }
    };
    let on_seat = whole(places as f64 / rule.places() as f64);
    Some(Need { load_erlangs, on_seat, rostered: rostered(on_seat, rule.shrinkage) })
}

/// Agents in the roster so that `on_seat` work.
pub fn rostered(on_seat: i64, shrinkage: f64) -> i64 {
    whole(on_seat as f64 / (1.0 - shrinkage.clamp(0.0, 0.99)))
}

/// Rounded up, but not for a digit that only floating point has.
fn whole(value: f64) -> i64 {
    (value - 1e-9).ceil() as i64
}

/// What `on_seat` agents at work make of a slot.
pub fn outlook(on_seat: f64, contacts: f64, aht_seconds: f64, slot_seconds: f64, rule: &Rule) -> Outlook {
    if contacts <= 0.0 || aht_seconds <= 0.0 || slot_seconds <= 0.0 {
        return Outlook::default();
    }
    let places = on_seat.max(0.0) * rule.places() as f64;
    let occupancy = (places > 0.0).then(|| contacts * aht_seconds / slot_seconds / places);
    if rule.work == Work::Letters {
        return Outlook { occupancy, ..Outlook::default() };
    }
    let n = places.floor() as i64;
    Outlook {
        service_level: erlang_c_service_level(
            n,
            contacts,
            aht_seconds,
            slot_seconds,
            rule.target_wait_seconds,
        ),
        asa_seconds: erlang_c_asa(n, contacts, aht_seconds, slot_seconds),
        abandon: erlang_a_abandon(n, contacts, aht_seconds, slot_seconds, rule.patience_seconds),
        occupancy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rule {
        Rule {
            work: Work::Calls,
            target_wait_seconds: 20.0,
            service_level: 0.8,
            occupancy_cap: 0.85,
            shrinkage: 0.3,
            concurrency: 3,
            patience_seconds: 120.0,
        }
    }

    #[test]
    fn the_published_example_comes_out() {
        // 100 calls of 180 s in half an hour: 10 Erlang, 14 agents, 88.835002 % within 20 s, ASA 7.835937 s, and by Erlang A
        // with a patience of 120 s 2.283929 % abandon.
        let need = need(100.0, 180.0, 1_800.0, &rule()).expect("an answer");
        assert_eq!((need.load_erlangs, need.on_seat), (10.0, 14));
        assert_eq!(need.rostered, 20);
        let outlook = outlook(14.0, 100.0, 180.0, 1_800.0, &rule());
        let near = |value: Option<f64>, expected: f64| {
            let value = value.expect("an answer");
            assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        };
        near(outlook.service_level, 0.888_350_02);
        near(outlook.asa_seconds, 7.835_937);
        near(outlook.abandon, 0.022_839_29);
        near(outlook.occupancy, 10.0 / 14.0);
    }

    #[test]
    fn the_cap_of_occupancy_binds_large_crews() {
        // 1,000 calls of 180 s: 100 Erlang. Erlang C would be content with fewer than 100 / 0.85 = 117.6.
        let by_erlang = erlang_c_agents(1_000.0, 180.0, 1_800.0, 20.0, 0.8).expect("an answer");
        assert!(by_erlang < 118, "{by_erlang}");
        assert_eq!(need(1_000.0, 180.0, 1_800.0, &rule()).map(|need| need.on_seat), Some(118));
    }

    #[test]
    fn chats_share_an_agent_and_letters_do_not_queue() {
        let chats = Rule { work: Work::Chats, ..rule() };
        // Erlang C asks for 14 places; three are one agent.
        assert_eq!(need(100.0, 180.0, 1_800.0, &chats).map(|need| need.on_seat), Some(5));
        let letters = Rule { work: Work::Letters, ..rule() };
        // 10 Erlang at 85 %: 11.76.
        assert_eq!(need(100.0, 180.0, 1_800.0, &letters).map(|need| need.on_seat), Some(12));
        assert_eq!(outlook(12.0, 100.0, 180.0, 1_800.0, &letters).service_level, None);
    }

    #[test]
    fn nothing_needs_nobody() {
        assert_eq!(need(0.0, 180.0, 1_800.0, &rule()), Some(Need::default()));
        assert_eq!(need(f64::NAN, 180.0, 1_800.0, &rule()), None);
        assert_eq!(outlook(0.0, 10.0, 180.0, 1_800.0, &rule()).service_level, Some(0.0));
        assert_eq!(outlook(0.0, 10.0, 180.0, 1_800.0, &rule()).occupancy, None);
        assert_eq!(rostered(7, 0.3), 10);
    }
}
