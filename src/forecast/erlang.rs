//! Erlang C and Erlang A, stable up to a hundred thousand conversations at once.
//!
//! A is the offered load in Erlang (calls · AHT / interval), n the number of agents, T the target wait.
//!
//! Every function returns `None` for input that means nothing (not a number, negative, an interval or AHT of 0) or is
//! beyond [`LOAD_MAX`] and [`AGENTS_MAX`], and does at most a few million steps.

/// The largest load, in Erlang, that is answered. The largest centres of the world have a few ten thousand agents.
const LOAD_MAX: f64 = 1e5;
/// The largest number of agents that is answered.
const AGENTS_MAX: i64 = 1_000_000;
/// The largest number of customers who lose patience within a mean patience (or are served meanwhile) in Erlang A;
/// the work grows with its square root.
const PATIENCE_RATIO_MAX: f64 = 1e10;

/// The smallest number of agents n > A with a service level (share of calls that wait at most `target_wait_seconds`) of at
/// least `service_level` (0 ≤ level < 1), by Erlang C. Without calls it is 0.
pub fn erlang_c_agents(
    calls: f64,
    aht_seconds: f64,
    interval_seconds: f64,
    target_wait_seconds: f64,
    service_level: f64,
) -> Option<i64> {
    let load = load(calls, aht_seconds, interval_seconds)?;
    if !is_amount(target_wait_seconds) || !(0.0..1.0).contains(&service_level) {
        return None;
    }
    if load == 0.0 {
        return Some(0);
    }
    let mut agents = load.floor() as i64 + 1;
    let mut blocked = erlang_b(agents, load);
    // Ends: with each agent more the level comes nearer to 1, and is 1 in floating point long before the bound.
    while agents <= AGENTS_MAX {
        let spare = agents as f64 - load;
        let waits = waits(agents, load, blocked);
        if 1.0 - waits * (-spare * target_wait_seconds / aht_seconds).exp() >= service_level {
            return Some(agents);
        }
        agents += 1;
        blocked = erlang_b_step(agents, load, blocked);
    }
    None
}

/// The share of calls that wait at most `target_wait_seconds`, by Erlang C: 1 − Pw·e^(−(n−A)·T/AHT).
///
/// 0 where n ≤ A: the queue then grows without end.
pub fn erlang_c_service_level(
    agents: i64,
    calls: f64,
    aht_seconds: f64,
    interval_seconds: f64,
    target_wait_seconds: f64,
) -> Option<f64> {
    let load = load(calls, aht_seconds, interval_seconds)?;
    if !is_crew(agents) || !is_amount(target_wait_seconds) {
        return None;
    }
    let spare = agents as f64 - load;
    if spare <= 0.0 {
        return Some(0.0);
    }
    let waits = waits(agents, load, erlang_b(agents, load));
    Some(1.0 - waits * (-spare * target_wait_seconds / aht_seconds).exp())
}

/// The mean wait of all calls in seconds, by Erlang C: Pw·AHT/(n−A).
///
/// `None` where n ≤ A: the wait then grows without end.
pub fn erlang_c_asa(agents: i64, calls: f64, aht_seconds: f64, interval_seconds: f64) -> Option<f64> {
    let load = load(calls, aht_seconds, interval_seconds)?;
    let spare = agents as f64 - load;
    if !is_crew(agents) || spare <= 0.0 {
        return None;
    }
    Some(waits(agents, load, erlang_b(agents, load)) * aht_seconds / spare)
}

/// The share of calls that are abandoned, by Erlang A: as Erlang C, but a waiting customer hangs up after an exponential
/// time with mean `patience_seconds`. Any n is allowed; with a patience of 0 it is the share that finds no agent free.
///
/// Over the queue's length k, the share of time with k waiting is q_k = Π_{j≤k} y/(x+j) times that with none waiting and
/// all agents busy, where x = n·patience/AHT and y = A·patience/AHT. Hence P(abandon) = Σ k·q_k / y / (1/B + Σ_{k≥1} q_k)
/// with Erlang B for the states below; all terms are positive, so that nothing cancels.
pub fn erlang_a_abandon(
    agents: i64,
    calls: f64,
    aht_seconds: f64,
    interval_seconds: f64,
    patience_seconds: f64,
) -> Option<f64> {
    let load = load(calls, aht_seconds, interval_seconds)?;
    if !is_crew(agents) || !is_amount(patience_seconds) {
        return None;
    }
    let blocked = erlang_b(agents, load);
    let x = agents as f64 * patience_seconds / aht_seconds;
    let y = load * patience_seconds / aht_seconds;
    if x > PATIENCE_RATIO_MAX || y > PATIENCE_RATIO_MAX {
        return None;
    }
    if blocked == 0.0 || y == 0.0 {
        return Some(blocked);
    }

    // The terms rise up to k = y − x and fall from there; they are summed outwards from the largest, which is set to 1.
    let peak = (y - x).floor().max(0.0);
    let (mut sum, mut weighted) = (0.0, 0.0);
    let (mut k, mut term) = (peak, 1.0);
    while term > NEGLIGIBLE {
        sum += term;
        weighted += k * term;
        k += 1.0;
        term *= y / (x + k);
    }
    let (mut k, mut term) = (peak, 1.0);
    while k > 0.0 && term > NEGLIGIBLE {
        term *= (x + k) / y;
        k -= 1.0;
        sum += term;
        weighted += k * term;
    }
    // What is left in `term` belongs to k = 0, or is nothing.
    let none_waiting = if k == 0.0 { term } else { 0.0 };
    // The sum holds k = 0 once; 1/B counts it, and all states with a free agent.
    Some((weighted / y / (none_waiting / blocked + (sum - none_waiting))).clamp(0.0, 1.0))
}

/// A term this small beside the largest changes no digit, however many follow: they fall ever faster.
const NEGLIGIBLE: f64 = 1e-24;

/// The offered load in Erlang.
fn load(calls: f64, aht_seconds: f64, interval_seconds: f64) -> Option<f64> {
    if !is_amount(calls) || !is_amount(aht_seconds) || !is_amount(interval_seconds) {
        return None;
    }
    if aht_seconds == 0.0 || interval_seconds == 0.0 {
        return None;
    }
    let load = calls * aht_seconds / interval_seconds;
    (load <= LOAD_MAX).then_some(load)
}

/// Tells whether a number is one that time or calls can have.
fn is_amount(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}

fn is_crew(agents: i64) -> bool {
    (0..=AGENTS_MAX).contains(&agents)
}

/// Erlang B: the share of calls that find all agents busy where nobody waits.
fn erlang_b(agents: i64, load: f64) -> f64 {
    let mut blocked = 1.0;
    for n in 1..=agents {
        blocked = erlang_b_step(n, load, blocked);
        if blocked == 0.0 {
            break;
        }
    }
    blocked
}

/// Erlang B with n agents from that with n − 1.
fn erlang_b_step(agents: i64, load: f64, blocked: f64) -> f64 {
    load * blocked / (agents as f64 + load * blocked)
}

/// Pw, the share of calls that wait, from Erlang B; for n > A.
fn waits(agents: i64, load: f64, blocked: f64) -> f64 {
    let agents = agents as f64;
    agents * blocked / (agents - load * (1.0 - blocked))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_near(value: Option<f64>, expected: f64, within: f64) {
        let value = value.expect("there is an answer");
        assert!((value - expected).abs() <= within, "{value} is not within {within} of {expected}");
    }

    #[test]
    fn the_worked_example_comes_out() {
        assert_eq!(erlang_c_agents(100.0, 180.0, 1_800.0, 20.0, 0.8), Some(14));
        assert_near(erlang_c_service_level(14, 100.0, 180.0, 1_800.0, 20.0), 0.888_350_02, 1e-8);
        assert_near(erlang_c_asa(14, 100.0, 180.0, 1_800.0), 7.835_937, 1e-6);
        assert_near(erlang_a_abandon(14, 100.0, 180.0, 1_800.0, 120.0), 0.022_839_29, 1e-8);
    }

    #[test]
    fn a_crew_no_larger_than_the_load_never_catches_up() {
        for agents in [0, 9, 10] {
            assert_eq!(erlang_c_service_level(agents, 100.0, 180.0, 1_800.0, 20.0), Some(0.0));
            assert_eq!(erlang_c_asa(agents, 100.0, 180.0, 1_800.0), None);
        }
        assert_eq!(erlang_c_agents(100.0, 180.0, 1_800.0, 20.0, 0.0), Some(11));
        // Those who wait hang up, so that Erlang A has an answer: nobody there, everybody leaves.
        assert_near(erlang_a_abandon(0, 100.0, 180.0, 1_800.0, 120.0), 1.0, 1e-12);
    }

    #[test]
    fn without_calls_nobody_is_needed() {
        assert_eq!(erlang_c_agents(0.0, 180.0, 1_800.0, 20.0, 0.8), Some(0));
        assert_eq!(erlang_c_service_level(1, 0.0, 180.0, 1_800.0, 20.0), Some(1.0));
        assert_eq!(erlang_c_asa(1, 0.0, 180.0, 1_800.0), Some(0.0));
        assert_eq!(erlang_a_abandon(1, 0.0, 180.0, 1_800.0, 120.0), Some(0.0));
    }

    #[test]
    fn a_single_server_is_known_in_closed_form() {
        // M/M/1: Pw = A, ASA = A·AHT/(1−A).
        assert_near(erlang_c_asa(1, 5.0, 180.0, 1_800.0), 0.5 * 180.0 / 0.5, 1e-9);
        assert_near(erlang_c_service_level(1, 5.0, 180.0, 1_800.0, 0.0), 0.5, 1e-12);
        // M/M/1 with patience = AHT has a Poisson number of calls in it: P(abandon) = (A − (1 − e^−A)) / A.
        let load: f64 = 0.5;
        let expected = (load - (1.0 - (-load).exp())) / load;
        assert_near(erlang_a_abandon(1, 5.0, 180.0, 1_800.0, 180.0), expected, 1e-12);
        // And so has M/M/n: with A = 50 and n = 20, nearly all that is not served leaves.
        let overload = erlang_a_abandon(20, 500.0, 180.0, 1_800.0, 180.0);
        assert_near(overload, poisson_excess(50.0, 20) / 50.0, 1e-12);
    }

    /// E[(N − n)⁺] of a Poisson number with mean `load`.
    fn poisson_excess(load: f64, agents: i32) -> f64 {
        let (mut share, mut excess) = ((-load).exp(), 0.0);
        for k in 1..1_000 {
            share *= load / f64::from(k);
            excess += f64::from((k - agents).max(0)) * share;
        }
        excess
    }

    #[test]
    fn thousands_of_agents_are_no_trouble() {
        // 5,000 Erlang; square-root staffing at 80/20 with an AHT of 300 s needs few more than the load.
        let agents = erlang_c_agents(30_000.0, 300.0, 1_800.0, 20.0, 0.8).expect("there is an answer");
        assert!((5_010..5_060).contains(&agents), "{agents}");
        let level =
            |agents| erlang_c_service_level(agents, 30_000.0, 300.0, 1_800.0, 20.0).expect("an answer");
        assert!(level(agents) >= 0.8 && level(agents - 1) < 0.8);
        // A deep overload is a fluid: what exceeds the crew leaves.
        assert_near(erlang_a_abandon(4_000, 30_000.0, 300.0, 1_800.0, 1e6), 0.2, 1e-9);
        assert_near(erlang_a_abandon(1_000_000, 30_000.0, 300.0, 1_800.0, 120.0), 0.0, 0.0);
        assert!(erlang_c_agents(5e5, 360.0, 1_800.0, 0.0, 1.0 - 1e-12).is_some());
    }

    #[test]
    fn what_means_nothing_has_no_answer() {
        for wrong in [f64::NAN, -1.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(erlang_c_agents(wrong, 180.0, 1_800.0, 20.0, 0.8), None);
            assert_eq!(erlang_c_agents(100.0, wrong, 1_800.0, 20.0, 0.8), None);
            assert_eq!(erlang_c_agents(100.0, 180.0, wrong, 20.0, 0.8), None);
            assert_eq!(erlang_c_agents(100.0, 180.0, 1_800.0, wrong, 0.8), None);
            assert_eq!(erlang_c_agents(100.0, 180.0, 1_800.0, 20.0, wrong), None);
            assert_eq!(erlang_c_service_level(14, 100.0, 180.0, 1_800.0, wrong), None);
            assert_eq!(erlang_a_abandon(14, 100.0, 180.0, 1_800.0, wrong), None);
        }
        assert_eq!(erlang_c_agents(100.0, 180.0, 1_800.0, 20.0, 1.0), None);
        assert_eq!(erlang_c_agents(100.0, 0.0, 1_800.0, 20.0, 0.8), None);
        assert_eq!(erlang_c_agents(100.0, 180.0, 0.0, 20.0, 0.8), None);
        assert_eq!(erlang_c_agents(1e12, 180.0, 1_800.0, 20.0, 0.8), None);
        assert_eq!(erlang_c_service_level(-1, 100.0, 180.0, 1_800.0, 20.0), None);
        assert_eq!(erlang_c_asa(i64::MAX, 100.0, 180.0, 1_800.0), None);
        assert_eq!(erlang_a_abandon(14, 100.0, 1e-9, 1_800.0, 1e9), None);
    }

    /// P(abandon) from the states one by one, as the definition has it.
    fn abandon_by_states(agents: i64, load: f64, patience_per_aht: f64) -> f64 {
        let (mut share, mut total, mut lost) = (1.0, 1.0, 0.0);
        for state in 1..2_000_i64 {
            let waiting = (state - agents).max(0) as f64;
            share *= load / (state.min(agents) as f64 + waiting / patience_per_aht);
            total += share;
            lost += waiting / patience_per_aht / load * share;
        }
        lost / total
    }

    proptest! {
        #[test]
        fn abandons_agree_with_the_states(agents in 1..60_i64, load in 0.1..80.0_f64, patience in 0.05..5.0_f64) {
            let value = erlang_a_abandon(agents, load, 1.0, 1.0, patience).expect("an answer");
            let expected = abandon_by_states(agents, load, patience);
            prop_assert!((value - expected).abs() <= 1e-9, "{} is not {}", value, expected);
        }

        #[test]
        fn the_crew_is_the_smallest_that_meets_the_level(
            calls in 0.1..3_000.0_f64, aht in 10.0..900.0_f64, target in 0.0..120.0_f64, level in 0.01..0.999_f64,
        ) {
            let agents = erlang_c_agents(calls, aht, 1_800.0, target, level).expect("an answer");
            let reached = |agents| erlang_c_service_level(agents, calls, aht, 1_800.0, target).expect("an answer");
            prop_assert!(agents as f64 > calls * aht / 1_800.0);
            prop_assert!(reached(agents) >= level);
            prop_assert!(agents - 1 <= (calls * aht / 1_800.0) as i64 || reached(agents - 1) < level);
        }

        #[test]
        fn no_input_panics(
            agents in any::<i64>(), a in any::<f64>(), b in any::<f64>(), c in any::<f64>(), d in any::<f64>(),
        ) {
            erlang_c_service_level(agents, a, b, c, d);
            erlang_c_asa(agents, a, b, c);
            erlang_a_abandon(agents, a, b, c, d);
            erlang_c_agents(a, b, c, d, 0.8);
        }
    }
}
