//! Random histories: the same events in other orders, repeated, settled anywhere and with the process stopped
//! midway end in the same rows.
//!
//! `CALLPULSE_SEED=n` tells one history only.

use super::world::{Batches, Visible, World, encode, options, readable};
use crate::correlate::{Applied, Options};
use crate::event::{
    AgentStateName, BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Speaker, Text, Verdict,
};
use crate::time::{DAY, HOUR, MINUTE, Millis, SECOND, parse_time};

/// Histories that are told.
const SEEDS: u64 = 10_000;

/// splitmix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn maybe<T: Copy>(&mut self, percent: u64, from: &[T]) -> Option<T> {
        let picked = self.pick(from);
        self.percent(percent).then_some(picked)
    }
}

/// How far the events of a history may be out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disorder {
    /// Less than the lateness; contacts are forgotten on the way.
    Ordinary,
    /// Any, with a correlation that spans the history.
    Beyond,
    /// Any, in input that is taken whole.
    Whole,
}

struct History {
    options: Options,
    disorder: Disorder,
    events: Vec<Event<'static>>,
    /// An id comes twice with different times.
    conflicts: bool,
}

/// Kinds of a contact's events, the frequent ones more than once.
const KINDS: [Kind; 26] = [
    Kind::ContactStarted,
    Kind::BotStarted,
    Kind::BotEnded,
    Kind::Queued,
    Kind::Queued,
    Kind::Queued,
    Kind::Queued,
    Kind::Offered,
    Kind::Missed,
    Kind::Answered,
    Kind::Answered,
    Kind::Answered,
    Kind::Held,
    Kind::Resumed,
    Kind::LeftQueue,
    Kind::LeftQueue,
    Kind::Transferred,
    Kind::Transferred,
    Kind::Ended,
    Kind::Ended,
    Kind::Wrapped,
    Kind::Wrapped,
    Kind::Wrapped,
    Kind::Message,
    Kind::Message,
    Kind::Message,
];
const QUEUES: [&str; 3] = ["sales", "billing", "sale"];
const AGENTS: [&str; 3] = ["li", "wang", "zhao"];
const DEPARTMENTS: [&str; 2] = ["retail", "bank"];

fn text(value: Option<&'static str>) -> Option<Text<'static>> {
    value.map(Text::Borrowed)
}

/// An id that other contacts and agents may have too; of every form in which ids are kept.
fn id(dice: &mut Dice, number: u64) -> String {
    match dice.below(12) {
        0 => format!("0190a1b2-c3d4-7e5f-8a9b-{number:012x}"),
        1 => format!("0190A1B2-C3D4-7E5F-8A9B-{number:012X}"),
        // As many characters as an id may have, in more bytes than one byte counts.
        2 => format!("{}{number:0>28}", "号".repeat(100)),
        _ => format!("e{number}"),
    }
}

/// What a contact says about itself now and then.
fn about_contact(dice: &mut Dice, mut event: Event<'static>, contact: u64) -> Event<'static> {
    event.contact_id = Some(format!("c{contact}").into());
    event.channel = dice.maybe(15, Channel::ALL);
    event.department = text(dice.maybe(10, &DEPARTMENTS));
    event.customer_id = text(dice.maybe(15, &["mei", "tom"]));
    event.tier = text(dice.maybe(5, &["gold", "old"]));
    event
}

fn contact_event(dice: &mut Dice, time: Millis, contact: u64, number: u64) -> Event<'static> {
    let kind = dice.pick(&KINDS);
    let event = Event::new(id(dice, number), kind, time);
    let mut event = about_contact(dice, event, contact);
    match kind {
        Kind::ContactStarted => {
            event.direction = dice.maybe(80, Direction::ALL);
            event.topic = text(dice.maybe(50, &["card", "loan"]));
        }
        Kind::BotEnded => event.bot_outcome = dice.maybe(90, BotOutcome::ALL),
        Kind::Queued => event.queue = text(Some(dice.pick(&QUEUES))),
        Kind::Answered => {
            event.agent_id = text(Some(dice.pick(&AGENTS)));
            event.queue = text(dice.maybe(20, &QUEUES));
            event.dial_ms = dice.maybe(10, &[0, 700, 12_000]);
        }
        Kind::Offered | Kind::Missed => event.agent_id = text(Some(dice.pick(&AGENTS))),
        Kind::Held | Kind::Resumed => event.agent_id = text(dice.maybe(60, &AGENTS)),
        Kind::LeftQueue => event.leave_reason = Some(dice.pick(LeaveReason::ALL)),
        Kind::Transferred => {
            event.agent_id = text(dice.maybe(60, &AGENTS));
            event.to_queue = text(dice.maybe(40, &QUEUES));
            event.to_agent = text(dice.maybe(40, &AGENTS));
        }
        Kind::Ended => event.by = dice.maybe(80, EndedBy::ALL),
        Kind::Wrapped => {
            event.agent_id = text(dice.maybe(70, &AGENTS));
            event.resolved = dice.maybe(50, &[true, false]);
            event.disposition = text(dice.maybe(30, &["sold", "lost"]));
        }
        _ => {
            event.speaker = Some(dice.pick(Speaker::ALL));
            let said = [
                "hello",
                "你好",
                "",
                "谢谢",
                "太差了",
                "我要投",
                "诉你们",
                "诉",
                "我要投诉",
                "不错，我要销",
                "户口本",
                "您好",
                "这是你自己的问题，再见",
                "我的退款怎么还没有到账",
            ];
            event.text = text(Some(dice.pick(&said)));
            event.utterance = text(dice.maybe(60, &["u1", "u2", "u3"]));
            event.is_final = event.utterance.is_none() || dice.percent(40);
        }
    }
    event
}

fn agent_event(dice: &mut Dice, time: Millis, number: u64) -> Event<'static> {
    let mut event = Event::new(id(dice, number), Kind::AgentState, time);
    event.agent_id = text(Some(dice.pick(&AGENTS)));
    event.state = Some(dice.pick(AgentStateName::ALL));
    event.reason = text(dice.maybe(20, &["lunch"]));
    event.department = text(dice.maybe(20, &DEPARTMENTS));
    event
}

fn dossier_event(dice: &mut Dice, time: Millis, number: u64) -> Event<'static> {
    let kind = dice.pick(&Kind::ALL[Kind::Survey as usize..]);
    let mut event = Event::new(id(dice, number), kind, time);
    event.customer_id = text(dice.maybe(30, &["mei", "tom"]));
    event.agent_id = text(dice.maybe(30, &AGENTS));
    event.queue = text(dice.maybe(30, &QUEUES));
    event.department = text(dice.maybe(30, &DEPARTMENTS));
    let key = text(Some(dice.pick(&["k1", "k2"])));
    match kind {
        Kind::Survey => {
            event.contact_id = text(Some(dice.pick(&["c0", "c1"])));
            event.csat = dice.maybe(80, &[1, 5]);
            event.comment = text(dice.maybe(30, &["fine"]));
        }
        Kind::PromiseMade | Kind::PromiseKept => {
            event.promise_id = key;
            event.due = dice.maybe(60, &[time + HOUR, time + DAY]);
        }
        Kind::ShiftPlanned | Kind::ShiftCancelled => {
            event.shift_id = key;
            // Without these it says nothing and is not decoded.
            let is_plan = kind == Kind::ShiftPlanned;
            event.agent_id = event.agent_id.or(text(is_plan.then(|| dice.pick(&AGENTS))));
            event.start = dice.maybe(if is_plan { 100 } else { 50 }, &[time, time + HOUR]);
            event.end = dice.maybe(if is_plan { 100 } else { 50 }, &[time + 8 * HOUR]);
            event.preferred = dice.maybe(50, &[true, false]);
        }
        _ => {
            event.complaint_id = key;
            event.severity = dice.maybe(50, &[1, 4]);
            event.category = text(dice.maybe(50, &["rude", "slow"]));
            event.verdict = dice.maybe(30, Verdict::ALL);
            event.cause = text(dice.maybe(30, &["load"]));
            event.text = text(dice.maybe(30, &["I waited"]));
        }
    }
    event
}

fn history(seed: u64) -> History {
    let dice = &mut Dice(seed);
    let disorder = [Disorder::Ordinary, Disorder::Beyond, Disorder::Whole][(seed % 3) as usize];
    let start = parse_time("2026-11-21T11:00:00+08:00").expect("a time");
    let span = dice.pick(&[MINUTE, 20 * MINUTE, 3 * HOUR, 30 * HOUR]);
    let mut options = options();
    options.lateness_ms = dice.pick(&[0, MINUTE, 10 * MINUTE]);
    options.acw_timeout_ms = dice.pick(&[0, 30 * SECOND, 5 * MINUTE, 30 * MINUTE]);
    for timeout in &mut options.contact_timeout_ms {
        *timeout = dice.pick(&[MINUTE, 10 * MINUTE, 2 * HOUR, 30 * DAY]);
    }
    options.unordered = disorder == Disorder::Whole;
    // A contact's events lie within this time of each other.
    let width =
        if disorder == Disorder::Ordinary { dice.pick(&[MINUTE, 15 * MINUTE, 2 * HOUR]) } else { span };
    options.correlation_ms = match disorder {
        Disorder::Ordinary => width + 1,
        // A contact begins within the span and lasts no longer than it.
        Disorder::Beyond => 2 * span + 1,
        Disorder::Whole => dice.pick(&[0, MINUTE]),
    };
    // Coarse times meet each other often.
    let grain = dice.pick(&[1, 7 * SECOND, MINUTE]);
    let contacts = 1 + dice.below(4);
    let starts: Vec<Millis> = (0..contacts).map(|_| start + dice.below(span as u64) as Millis).collect();
    let most = if dice.percent(5) { 90 } else { 22 };
    let count = 3 + dice.below(most);
    let mut events = Vec::new();
    let mut conflicts = false;
    for number in 0..count {
        let anywhere = (start + dice.below(span as u64) as Millis) / grain * grain;
        let contact = dice.below(contacts);
        let time = starts[contact as usize] + dice.below(width as u64) as Millis / grain * grain;
        events.push(match dice.below(20) {
            0..=2 => agent_event(dice, anywhere, number),
            3..=4 => dossier_event(dice, anywhere, number),
            _ => contact_event(dice, time, contact, number),
        });
        // Sometimes an id comes again with another time: the first in order counts.
        if let Some(last) = events.last()
            && last.kind != Kind::Message
            && dice.percent(2)
        {
            let around = if last.kind < Kind::Message { starts[contact as usize] } else { last.time };
            let other = around + dice.below(width as u64) as Millis;
            events.push(Event { time: other, ..last.clone() });
            conflicts = true;
        }
    }
    History { options, disorder, events, conflicts }
}

/// The events in an order of arrival that the history's disorder allows, each once or, where `repeats`, some of
/// them several times.
fn arrivals(history: &History, dice: &mut Dice, repeats: bool) -> Vec<Event<'static>> {
    let spread = match history.disorder {
        Disorder::Ordinary => history.options.lateness_ms,
        Disorder::Beyond | Disorder::Whole => 1000 * DAY,
    };
    let mut keyed: Vec<(Millis, u64, Event<'static>)> = Vec::new();
    for event in &history.events {
        let times = if repeats { 1 + dice.below(3) } else { 1 };
        for _ in 0..times {
            let at = event.time + dice.below(spread as u64 + 1) as Millis;
            keyed.push((at, dice.roll(), event.clone()));
        }
    }
    keyed.sort_by_key(|(at, tie, _)| (*at, *tie));
    keyed.into_iter().map(|(_, _, event)| event).collect()
}

/// What a telling ended in.
struct Told {
    world: World,
    batches: Batches,
    visible: Visible,
}

impl From<World> for Told {
    fn from(mut world: World) -> Told {
        world.settle();
        let batches = world.end();
        let visible = batches.visible(None, &encode);
        Told { world, batches, visible }
    }
}

impl Told {
    fn readable(&self) -> String {
        let mut text = String::new();
        for (table, rows) in self.batches.visible(None, &readable) {
            for row in rows {
                text.push_str(&format!("{table}: {}\n", String::from_utf8_lossy(&row)));
            }
        }
        text
    }
}

/// Tells these events, settling after each with this probability, and stopping and going on before one.
fn tell(
    mut world: World,
    events: &[Event<'static>],
    dice: &mut Dice,
    settle: u64,
    stop: Option<usize>,
) -> Told {
    for (at, event) in events.iter().enumerate() {
        if stop == Some(at) {
            world.stop_and_go_on();
        }
        world.apply(event);
        if dice.percent(settle) {
            world.settle();
        }
    }
    Told::from(world)
}

/// Legs that the counters say were offered.
fn offered(told: &mut Told) -> u64 {
    let now = told.world.correlator.newest();
    told.world.watch.window.snapshot(now).series.values().map(|series| series.counters.offered).sum()
}

fn check(seed: u64) {
    let history = history(seed);
    let dice = &mut Dice(!seed);
    let world = || World::new(&history.options);

    let mut in_order = history.events.clone();
    in_order.sort_by_key(|event| event.time);
    let plain = tell(world(), &in_order, dice, 0, None);
    assert!(plain.world.too_late.is_empty(), "seed {seed}: in order nothing is too late");

    let settle = dice.pick(&[0, 3, 20, 100]);
    let shuffled = arrivals(&history, dice, false);
    let watched = if seed.is_multiple_of(8) { world().watched() } else { world() };
    let mut other = tell(watched, &shuffled, dice, settle, None);
    assert!(other.world.too_late.is_empty(), "seed {seed}: {:?}", other.world.too_late);

    let repeated = arrivals(&history, dice, true);
    let stop = dice.below(repeated.len() as u64) as usize;
    let settle = dice.pick(&[0, 3, 20]);
    let mut stopped = tell(world(), &repeated, dice, settle, Some(stop));

    for (name, told) in [("shuffled", &mut other), ("repeated and stopped", &mut stopped)] {
        if told.visible != plain.visible {
            let (left, right) = (plain.readable(), told.readable());
            let only = |a: &str, b: &str| -> String {
                a.lines()
                    .filter(|line| !b.lines().any(|other| other == *line))
                    .map(|l| format!("  {l}\n"))
                    .collect()
            };
            panic!(
                "seed {seed} ({:?}), {name}: CALLPULSE_SEED={seed} tells it again\nonly in order:\n{}only {name}:\n{}",
                history.disorder,
                only(&left, &right),
                only(&right, &left),
            );
        }
        // Every leg was counted once, whatever was corrected on the way. Counters cannot take back a leg that an
        // event made which another of the same id put out of force.
        let legs = plain.visible.get("legs").map_or(0, Vec::len) as u64;
        let counted = offered(told);
        let agrees = if history.conflicts { counted >= legs } else { counted == legs };
        assert!(agrees, "seed {seed}, {name}: {counted} legs counted as offered, there are {legs}");
        assert_eq!(told.world.new, plain.world.new, "seed {seed}, {name}: new events");
    }
}

/// Calls `check` for every seed, on all processors; the message of a failure names its seed.
fn for_seeds(seeds: u64, check: impl Fn(u64) + Sync) {
    if let Ok(seed) = std::env::var("CALLPULSE_SEED") {
        return check(seed.parse().expect("CALLPULSE_SEED is a number"));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let check = &check;
            scope.spawn(move || (thread..seeds).step_by(threads as usize).for_each(check));
        }
    });
}

#[test]
fn any_order_and_any_repetition_end_in_the_same_rows() {
    for_seeds(SEEDS, check);
}

/// Whatever is too late, is too late wherever the batches were cut: what a task has written is a function of what
/// it has consumed, also when it starts again.
#[test]
fn where_batches_are_cut_decides_nothing() {
    for_seeds(SEEDS / 5, |seed| {
        let mut history = history(seed);
        let dice = &mut Dice(seed ^ 0xbad5_eed5);
        history.options.correlation_ms = dice.pick(&[0, MINUTE, 10 * MINUTE, HOUR]);
        history.options.unordered = false;
        history.disorder = Disorder::Beyond;
        // A survey is known for a day only; told again after that it is the same row, but counts as new.
        history.events.retain(|event| event.kind != Kind::Survey);
        let order = arrivals(&history, dice, true);
        if order.is_empty() {
            return;
        }
        let mut tellings = [0, 10, 100].map(|settle| {
            let mut world = World::new(&history.options);
            let mut became: Vec<Applied> = Vec::new();
            let stop = dice.below(order.len() as u64) as usize;
            for (at, event) in order.iter().enumerate() {
                if settle == 10 && at == stop {
                    world.stop_and_go_on();
                }
                became.push(world.apply(event));
                if dice.percent(settle) {
                    world.settle();
                }
            }
            (became, Told::from(world))
        });
        let (first, rest) = tellings.split_first_mut().expect("three tellings");
        for other in rest {
            for (at, (a, b)) in first.0.iter().zip(&other.0).enumerate() {
                assert_eq!(a, b, "seed {seed}: event {at}: {:?}", order[at]);
            }
            if first.1.visible != other.1.visible {
                panic!("seed {seed}:\n{}\n---\n{}", first.1.readable(), other.1.readable());
            }
        }
    });
}
