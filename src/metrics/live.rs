//! The live figures as JSON, for the wallboard and `/api/v1/live`.

use serde_json::{Map, Value, json};

use super::render::{figure, seconds};
use crate::event::AgentStateName;
use crate::kpi::{ServiceLevel, Totals};
use crate::time::Millis;
use crate::window::{ROLLING, Summary};

/// The live figures at `now`: per queue and channel who waits and works, today's figures and the rolling ones; agents by
/// state; the running slot over all queues; the ledger. Null where there is nothing to divide by.
///
/// `service_level` of the slot is null where queues with traffic reckon it by different formulas. Times are ms since 1970.
pub fn live_json(summary: &Summary, now: Millis) -> Value {
    let queues: Vec<Value> = summary
        .series
        .iter()
        .map(|(key, series)| {
            let longest = series.oldest_waiting_at.map(|at| seconds(now.saturating_sub(at).max(0)));
            let mut out = Map::new();
            out.insert("queue".to_owned(), json!(&*key.queue));
            out.insert("channel".to_owned(), json!(key.channel.as_str()));
            out.insert("waiting".to_owned(), json!(series.waiting));
            out.insert("longest_wait_seconds".to_owned(), json!(longest));
            out.insert("active".to_owned(), json!(series.active));
            out.insert("offered".to_owned(), json!(series.today.offered));
            out.insert("answered".to_owned(), json!(series.today.answered));
            insert_figures(&mut out, &series.today, series.service_level);
            let rolling = ROLLING.iter().zip(&series.rolling).map(|(window, totals)| {
                let mut figures = Map::new();
                insert_figures(&mut figures, totals, series.service_level);
                (window.name.to_owned(), Value::Object(figures))
            });
            out.insert("rolling".to_owned(), Value::Object(rolling.collect()));
            Value::Object(out)
        })
        .collect();
    let agents: Map<String, Value> = AgentStateName::ALL
        .iter()
        .zip(summary.agents)
        .map(|(state, agents)| (state.as_str().to_owned(), json!(agents)))
        .collect();
    json!({
        "now": now,
        "queues": queues,
        "agents": agents,
        "slot": slot(summary),
        "ledger_gap": summary.ledger_gap(),
    })
}

fn insert_figures(out: &mut Map<String, Value>, totals: &Totals, formula: ServiceLevel) {
    for name in ["answer_rate", "abandon_rate", "service_level", "asa_seconds", "aht_seconds"] {
        out.insert(name.to_owned(), json!(figure(name, totals, 0, formula)));
    }
}

/// The running slot over all queues.
fn slot(summary: &Summary) -> Value {
    let Some(slot) = summary.slot else { return Value::Null };
    let mut totals = Totals::default();
    let busy = summary.series.values().filter(|series| !series.slot.is_empty());
    // The formula of the queues with traffic, if they have one in common.
    let mut formulas = busy.clone().map(|series| series.service_level);
    let formula = formulas.next().unwrap_or_default();
    let common = formulas.all(|other| other == formula);
    busy.for_each(|series| totals += &series.slot);
    let figure = |name| figure(name, &totals, slot.length_ms(), formula);
    json!({
        "start": slot.start,
        "end": slot.end,
        "abandoned": totals.abandoned,
        "offered": totals.offered,
        "answered": totals.answered,
        "waiting": totals.waiting,
        "answer_rate": figure("answer_rate"),
        "abandon_rate": figure("abandon_rate"),
        "service_level": figure("service_level").filter(|_| common),
        "asa_seconds": figure("asa_seconds"),
        "aht_seconds": figure("aht_seconds"),
        "load_erlangs": figure("load_erlangs"),
    })
}
