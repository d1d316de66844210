//! One small story for each sentence of the law.
//!
//! A line of a story is a time of the day, who or what, which one, and what happened:
//!
//! ```text
//! 09:00:00 call 1 queued sales
//! 09:00:05 call 1 answered li
//! 09:02:00 call 1 ended customer
//! ```
//!
//! `call`, `chat` and `email` name the contact's channel, `contact` none; `clock` lets event time pass. The lines
//! arrive as they are written, settled after each. What is expected are lines too; of each kind of row that is
//! expected (`contact`, `leg`, `handling`, …) all rows are.

use arrow::array::{Array, RecordBatch};

use super::world::{World, options};
use crate::correlate::Options;
use crate::event::{
    AgentStateName, BotOutcome, Channel, Direction, EndedBy, Event, Kind, LeaveReason, Speaker, Text, Verdict,
};
use crate::time::{Millis, parse_time};

fn time(text: &str) -> Millis {
    parse_time(&format!("2026-11-21T{text}+08:00"))
        .unwrap_or_else(|| panic!("`{text}` is no time of the day"))
}

fn of_list<T>(word: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
    word.map(|word| parse(word).unwrap_or_else(|| panic!("`{word}` is not of its list")))
}

/// One line of a story as an event; its id is the number of the line, unless it ends with `#id`.
fn event(number: usize, line: &str) -> Event<'static> {
    let (line, id) = match line.split_once(" #") {
        Some((line, id)) => (line, id.to_owned()),
        None => (line, format!("line-{number}")),
    };
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut word = || words.next();
    let at = time(&word().expect("a line begins with its time"));
    let (who, key) = (word().expect("who"), word().unwrap_or_default());
    let verb = word().unwrap_or_default();
    let (first, second, third) = (word(), word(), word());
    let owned = |word: &Option<String>| word.clone().map(Text::Owned);
    let kind = match (who.as_str(), verb.as_str()) {
        ("agent", _) => Kind::AgentState,
        ("survey", _) => Kind::Survey,
        ("complaint", verb) => Kind::parse(&format!("complaint.{verb}")).expect("what happens to complaints"),
        ("promise", verb) => Kind::parse(&format!("promise.{verb}")).expect("what happens to promises"),
        ("clock", _) => Kind::AgentState,
        (_, "says" | "starts_saying") => Kind::Message,
        (_, verb) => Kind::parse(&format!("contact.{verb}"))
            .unwrap_or_else(|| panic!("`{verb}` is nothing that happens")),
    };
    let mut event = Event::new(id, kind, at);
    match who.as_str() {
        "agent" => {
            event.agent_id = Some(key.into());
            event.state = of_list(Some(&verb), AgentStateName::parse);
            return event;
        }
        "clock" => {
            event.agent_id = Some("clock".into());
            event.state = Some(AgentStateName::Other);
            return event;
        }
        "complaint" => {
            event.complaint_id = Some(key.into());
            event.verdict = of_list(first.as_deref(), Verdict::parse);
            return event;
        }
        "promise" => {
            event.promise_id = Some(key.into());
            event.due = first.as_deref().map(time);
            return event;
        }
        "survey" => {
            event.contact_id = Some(key.into());
            event.csat = verb.parse().ok();
            return event;
        }
        "contact" => {}
        "call" => event.channel = Some(Channel::Voice),
        other => event.channel = of_list(Some(other), Channel::parse),
    }
    event.contact_id = Some(key.into());
    match kind {
        Kind::ContactStarted => event.direction = of_list(first.as_deref(), Direction::parse),
        Kind::BotEnded => event.bot_outcome = of_list(first.as_deref(), BotOutcome::parse),
        Kind::Queued => event.queue = owned(&first),
        Kind::LeftQueue => event.leave_reason = of_list(first.as_deref(), LeaveReason::parse),
        Kind::Answered => {
            event.agent_id = owned(&first);
            event.queue = owned(&second);
            event.dial_ms = third.and_then(|ms| ms.parse().ok());
        }
        Kind::Transferred => {
            // `transferred li queue billing`: `-` names no agent.
            event.agent_id = owned(&first).filter(|agent| agent != "-");
            match second.as_deref() {
                Some("queue") => event.to_queue = owned(&third),
                Some("agent") => event.to_agent = owned(&third),
                _ => {}
            }
        }
        Kind::Ended => event.by = of_list(first.as_deref(), EndedBy::parse),
        Kind::Message => {
            event.speaker = of_list(first.as_deref(), Speaker::parse);
            event.text = owned(&second);
            event.utterance = owned(&third);
            event.is_final = verb == "says";
        }
        _ => event.agent_id = owned(&first),
    }
    event
}

/// A cell as text; "-" where it is NULL.
fn cell(batch: &RecordBatch, at: usize, name: &str) -> String {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column `{name}`"));
    if column.is_null(at) {
        return "-".to_owned();
    }
    let text = arrow::util::display::array_value_to_string(column, at).expect("a cell has a text");
    match text.as_str() {
        _ if name.ends_with("_at") || name == "due" => {
            let utc = parse_time(&text).expect("a time is RFC 3339");
            let of_day = (utc / 1000 + 8 * 3600) % 86_400;
            format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
        }
        ms if name.ends_with("_ms") => format!("{}s", ms.parse::<f64>().expect("a number") / 1000.0),
        _ => text,
    }
}

/// What the kinds of lines show.
const SHOWN: [(&str, &str, &[&str]); 9] = [
    ("contact", "contacts", &["contact_id", "channel", "outcome", "ended_at", "anomalies"]),
    ("leg", "legs", &["contact_id", "leg", "queue", "outcome", "wait_ms", "agent_id", "anomalies"]),
    (
        "handling",
        "handlings",
        &["contact_id", "handling", "leg", "agent_id", "queue", "talk_ms", "hold_ms", "acw_ms", "anomalies"],
    ),
    ("response", "contacts", &["contact_id", "messages", "first_response_ms"]),
    ("message", "messages", &["contact_id", "speaker", "text", "final"]),
    ("agent", "agent_states", &["agent_id", "state", "started_at", "ended_at"]),
    (
        "complaint",
        "complaints",
        &["complaint_id", "status", "contacted_at", "closed_at", "reopened", "verdict", "revision"],
    ),
    ("promise", "promises", &["promise_id", "made_at", "due", "kept_at"]),
    ("survey", "surveys", &["contact_id", "csat"]),
];

/// Tells the story; what it ends in as lines, sorted, of the kinds that `wanted` has.
fn told(options: &Options, story: &str, wanted: &str) -> String {
    let mut world = World::new(options).watched();
    for (number, line) in story.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        world.apply(&event(number + 1, line));
        world.settle();
    }
    let batches = world.end();
    let kinds: Vec<&str> = wanted.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let mut lines = Vec::new();
    for (kind, table, columns) in SHOWN.iter().filter(|(kind, ..)| kinds.contains(kind)) {
        let render = |batch: &RecordBatch, _: &[&str]| {
            let line = |at| columns.iter().map(|name| cell(batch, at, name)).collect::<Vec<_>>().join(" ");
            (0..batch.num_rows()).map(|at| format!("{kind} {}", line(at)).into_bytes()).collect()
        };
        let visible = batches.visible(Some(table), &render);
        let rows = visible.get(table).into_iter().flatten();
        lines.extend(rows.map(|row| String::from_utf8_lossy(row).trim_end_matches(" -").to_owned()));
    }
    lines.retain(|line| !line.starts_with("agent clock"));
    if kinds.contains(&"restated") {
        for batch in batches.of("restatements") {
            lines.extend((0..batch.num_rows()).map(|at| {
                let columns = ["contact_id", "old_revision", "new_revision", "cause"];
                format!("restated {}", columns.map(|name| cell(batch, at, name)).join(" "))
            }));
        }
    }
    lines.extend(world.too_late.iter().map(|what| format!("too_late {what}")));
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn check_with(options: &Options, story: &str, wanted: &str) {
    let mut lines: Vec<&str> = wanted
        .lines()
        .map(|line| line.trim().trim_end_matches(" -"))
        .filter(|line| !line.is_empty())
        .collect();
    lines.sort_unstable();
    let wanted = lines.join("\n");
    assert_eq!(told(options, story, &wanted), wanted, "{story}");
    // The story told backwards ends the same, unless it is about what came when.
    if !["restated", "too_late"].iter().any(|word| wanted.contains(word)) {
        let lines = story.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate();
        let mut backwards: Vec<String> = lines
            .map(
                |(at, line)| {
                    if line.contains(" #") { line.to_owned() } else { format!("{line} #line-{}", at + 1) }
                },
            )
            .collect();
        backwards.reverse();
        assert_eq!(told(options, &backwards.join("\n"), &wanted), wanted, "backwards:\n{story}");
    }
}

/// Tells the story and holds its rows against the lines.
#[track_caller]
fn check(story: &str, wanted: &str) {
    check_with(&options(), story, wanted);
}

#[test]
fn a_call_is_answered_and_wrapped() {
    check(
        "09:00:00 call 1 started inbound
         09:00:10 call 1 queued sales
         09:00:30 call 1 answered li
         09:03:00 call 1 ended customer
         09:03:45 call 1 wrapped li",
        "contact 1 voice answered 09:03:00
         leg 1 1 sales answered 20s li
         handling 1 1 1 li sales 150s 0s 45s",
    );
}

#[test]
fn queued_again_where_it_waits_is_a_repeat() {
    check(
        "09:00:00 call 1 queued sales
         09:00:20 call 1 queued sales
         09:00:50 call 1 answered li",
        "leg 1 1 sales answered 50s li requeued",
    );
}

#[test]
fn queued_elsewhere_without_an_exit_is_an_overflow() {
    check(
        "09:00:00 call 1 queued sales
         09:00:20 call 1 queued billing
         09:00:50 call 1 answered li",
        "leg 1 1 sales overflow 20s - no_exit
         leg 1 2 billing answered 30s li",
    );
}

#[test]
fn a_warm_consultation_opens_a_leg_during_the_talk() {
    check(
        "09:00:00 call 1 queued sales
         09:00:05 call 1 answered li
         09:01:00 call 1 queued billing
         09:01:10 call 1 answered wang
         09:02:00 call 1 transferred li agent wang
         09:02:30 call 1 wrapped li
         09:05:00 call 1 ended customer
         09:05:20 call 1 wrapped wang",
        "contact 1 voice answered 09:05:00
         leg 1 1 sales answered 5s li
         leg 1 2 billing answered 10s wang
         handling 1 1 1 li sales 115s 0s 30s
         handling 1 2 2 wang billing 230s 0s 20s",
    );
}

#[test]
fn a_queued_callback_after_the_end_is_one_contact_with_two_legs() {
    check(
        "09:00:00 call 1 queued sales
         09:01:00 call 1 left_queue callback
         09:01:05 call 1 ended customer
         09:20:00 call 1 queued sales
         09:20:10 call 1 answered li
         09:22:00 call 1 ended customer
         09:22:30 call 1 wrapped li",
        "contact 1 voice answered 09:22:00
         leg 1 1 sales callback 60s
         leg 1 2 sales answered 10s li
         handling 1 1 2 li sales 110s 0s 30s",
    );
}

#[test]
fn an_answer_without_a_leg_opens_a_handling_only() {
    // It takes the event's queue, else the contact's last, else none.
    check(
        "09:00:00 contact 1 answered li billing
         09:01:00 contact 1 ended agent
         09:01:30 contact 1 wrapped li
         09:02:00 contact 2 answered li
         09:03:00 contact 2 ended agent
         09:03:10 contact 2 wrapped li",
        "contact 1 voice answered 09:01:00
         contact 2 voice answered 09:03:00
         handling 1 1 - li billing 60s 0s 30s
         handling 2 1 - li - 60s 0s 10s",
    );
}

#[test]
fn a_blind_transfer_to_an_agent_is_a_second_handling_without_a_leg() {
    check(
        "09:00:00 call 1 queued sales
         09:00:05 call 1 answered li
         09:01:00 call 1 transferred li agent wang
         09:01:10 call 1 answered wang
         09:01:30 call 1 wrapped li
         09:04:00 call 1 ended customer
         09:04:10 call 1 wrapped wang",
        "leg 1 1 sales answered 5s li
         handling 1 1 1 li sales 55s 0s 30s
         handling 1 2 - wang sales 170s 0s 10s",
    );
}

#[test]
fn a_transfer_to_a_queue_touches_no_leg_and_opens_none() {
    // The caller hangs up while the second agent's phone rings: an abandon of the second leg.
    check(
        "09:00:00 call 1 queued billing
         09:00:05 call 1 answered li
         09:01:00 call 1 transferred li queue sales
         09:01:00 call 1 queued sales
         09:01:20 call 1 offered wang
         09:01:40 call 1 ended customer
         09:01:50 call 1 wrapped li",
        "contact 1 voice answered 09:01:40
         leg 1 1 billing answered 5s li
         leg 1 2 sales abandoned 40s
         handling 1 1 1 li billing 55s 0s 50s",
    );
    check(
        "09:00:00 call 1 queued billing
         09:00:05 call 1 transferred li queue sales",
        "contact 1 voice -
         leg 1 1 billing - -",
    );
}

#[test]
fn a_transfer_that_names_nobody_ends_the_latest_talk() {
    check(
        "09:00:00 call 1 answered li sales
         09:00:30 call 1 answered wang
         09:01:00 call 1 transferred - queue billing
         09:02:00 call 1 wrapped wang",
        "handling 1 1 - li sales - - -
         handling 1 2 - wang sales 30s 0s 60s",
    );
}

#[test]
fn hold_is_not_talk_and_ends_with_the_call() {
    check(
        "09:00:00 call 1 answered li sales
         09:01:00 call 1 held li
         09:01:20 call 1 resumed li
         09:02:00 call 1 held
         09:02:30 call 1 ended customer
         09:03:00 call 1 wrapped li",
        "handling 1 1 - li sales 100s 50s 30s",
    );
    // Held twice is held once; a resume without a hold is nothing.
    check(
        "09:00:00 call 1 answered li sales
         09:00:10 call 1 resumed li
         09:01:00 call 1 held li
         09:01:10 call 1 held li
         09:01:20 call 1 resumed li
         09:02:00 call 1 ended customer
         09:02:00 call 1 wrapped li",
        "handling 1 1 - li sales 100s 20s 0s",
    );
}

#[test]
fn a_wrap_before_any_end_ends_the_talk_with_no_acw() {
    check(
        "09:00:00 call 1 answered li sales
         09:01:00 call 1 wrapped li
         09:01:30 call 1 ended customer",
        "contact 1 voice answered 09:01:30
         handling 1 1 - li sales 60s 0s 0s",
    );
}

#[test]
fn a_wrap_closes_the_oldest_ended_handling_of_its_agent() {
    check(
        "09:00:00 call 1 answered li sales
         09:01:00 call 1 transferred li agent wang
         09:01:00 call 1 answered wang
         09:02:00 call 1 transferred wang agent li
         09:02:00 call 1 answered li
         09:02:20 call 1 wrapped li
         09:03:00 call 1 ended customer
         09:03:10 call 1 wrapped
         09:03:30 call 1 wrapped li",
        "handling 1 1 - li sales 60s 0s 80s
         handling 1 2 - wang sales 60s 0s 70s
         handling 1 3 - li sales 60s 0s 30s",
    );
}

#[test]
fn without_a_wrap_the_handling_closes_at_its_end() {
    let story = "09:00:00 call 1 answered li sales
                 09:01:00 call 1 ended customer";
    check(story, "handling 1 1 - li sales 60s 0s -\ncontact 1 voice answered 09:01:00");
    // The watermark is ten minutes behind: at 09:41:00 the half hour is just not over.
    check(&format!("{story}\n09:41:00 clock"), "handling 1 1 - li sales 60s 0s -");
    check(&format!("{story}\n09:41:01 clock"), "handling 1 1 - li sales 60s 0s 0s no_wrap");
    // A wrap of the last moment counts, also when it comes after the time-out.
    check(
        &format!("{story}\n09:45:00 clock\n09:31:00 call 1 wrapped li"),
        "handling 1 1 - li sales 60s 0s 1800s",
    );
    check(
        &format!("{story}\n09:45:00 clock\n09:31:01 call 1 wrapped li"),
        "handling 1 1 - li sales 60s 0s 0s no_wrap",
    );
}

#[test]
fn what_never_ends_is_closed_by_its_channels_time_out() {
    let story = "09:00:00 call 1 queued sales
                 09:00:00 chat 2 answered li sales
                 09:00:10 chat 2 says agent hello";
    check(
        &format!("{story}\n13:10:00 clock"),
        "contact 1 voice -\ncontact 2 chat answered\nleg 1 1 sales - -",
    );
    check(
        &format!("{story}\n13:10:01 clock"),
        "contact 1 voice error 09:00:00 never_ended
         contact 2 chat answered
         leg 1 1 sales error 0s - never_ended
         handling 2 1 - li sales - - -",
    );
    let mut options = options();
    options.contact_timeout_ms[Channel::Chat as usize] = 60_000;
    check_with(
        &options,
        &format!("{story}\n09:12:00 clock"),
        "contact 1 voice -
         contact 2 chat answered 09:00:10 never_ended
         handling 2 1 - li sales 10s 0s 0s never_ended",
    );
}

#[test]
fn who_hangs_up_when_decides_what_a_wait_was() {
    // sales: short below 10 s; every other queue: below 5 s.
    check(
        "09:00:00 call 1 queued sales
         09:00:09 call 1 ended customer
         09:00:00 call 2 queued sales
         09:00:10 call 2 ended customer
         09:00:00 call 3 queued billing
         09:00:04 call 3 ended
         09:00:00 call 4 queued billing
         09:00:05 call 4 ended agent
         09:00:00 call 5 queued billing
         09:00:01 call 5 ended system",
        "leg 1 1 sales abandoned_short 9s
         leg 2 1 sales abandoned 10s
         leg 3 1 billing abandoned_short 4s
         leg 4 1 billing abandoned 5s
         leg 5 1 billing error 1s",
    );
}

#[test]
fn a_leg_is_left_for_the_reason_given() {
    for reason in LeaveReason::ALL.iter().map(|reason| reason.as_str()) {
        check(
            &format!(
                "09:00:00 call 1 queued sales\n09:00:03 call 1 left_queue {reason}\n09:00:04 call 1 ended customer"
            ),
            &format!("contact 1 voice {reason} 09:00:04\nleg 1 1 sales {reason} 3s"),
        );
    }
}

#[test]
fn a_chats_first_agent_message_is_its_first_response_and_answers_nothing() {
    check(
        "09:00:00 chat 1 queued sales
         09:00:05 chat 1 says customer hello
         09:00:06 chat 1 says bot wait
         09:00:20 chat 1 answered li
         09:00:33 chat 1 says agent hello
         09:00:50 chat 1 says agent bye",
        "leg 1 1 sales answered 20s li
         response 1 4 13s",
    );
    check(
        "09:00:00 chat 1 queued sales
         09:00:05 chat 1 says agent hello",
        "leg 1 1 sales - -
         response 1 1 -",
    );
}

#[test]
fn a_partial_utterance_is_replaced_by_its_final_one() {
    check(
        "09:00:00 call 1 answered li sales
         09:00:01 call 1 starts_saying agent good u1
         09:00:02 call 1 starts_saying agent good_morn u1
         09:00:03 call 1 says agent good_morning u1
         09:00:05 call 1 starts_saying customer I_want u2
         09:00:06 call 1 starts_saying customer I_want_to u2",
        "message 1 agent good_morning true
         message 1 customer I_want_to false
         response 1 1 3s",
    );
}

#[test]
fn a_closed_contact_can_be_restated_for_a_while() {
    let story = "09:00:00 call 1 queued sales
                 09:00:20 call 1 ended customer
                 10:00:00 clock";
    // Closed at 09:00:20, told when the watermark was there; from then events restate it for an hour.
    check(
        &format!("{story}\n09:00:15 call 1 answered li\n09:01:00 call 1 wrapped li"),
        "contact 1 voice answered 09:00:20
         leg 1 1 sales answered 15s li
         handling 1 1 1 li sales 5s 0s 40s
         restated 1 2 3 contact.answered line-4
         restated 1 3 4 contact.wrapped line-5",
    );
    check(
        &format!("{story}\n10:10:19 clock\n09:00:15 call 1 left_queue exit_key"),
        "leg 1 1 sales exit_key 15s\nrestated 1 2 3 contact.left_queue line-5",
    );
    check(
        &format!("{story}\n10:10:20 clock\n09:00:15 call 1 left_queue exit_key"),
        "leg 1 1 sales abandoned 20s\ntoo_late contact.left_queue line-5",
    );
}

#[test]
fn a_restatement_may_open_what_was_closed() {
    check(
        "09:00:00 call 1 queued sales
         09:00:20 call 1 ended customer
         09:05:00 call 1 queued sales",
        "contact 1 voice -
         leg 1 1 sales abandoned 20s
         leg 1 2 sales - -
         restated 1 2 3 contact.queued line-3",
    );
}

#[test]
fn a_repeat_of_an_id_is_ignored() {
    check(
        "09:00:00 call 1 queued sales #a
         09:00:00 call 1 queued sales #a
         09:00:20 call 1 ended customer #b
         09:00:20 call 1 ended customer #b
         09:00:00 call 2 queued sales #a",
        "leg 1 1 sales abandoned 20s
         leg 2 1 sales - -",
    );
}

#[test]
fn self_service_alone_has_no_leg() {
    check(
        "09:00:00 call 1 started inbound
         09:00:01 call 1 bot_started
         09:00:40 call 1 bot_ended contained
         09:00:41 call 1 ended customer
         09:00:00 call 2 bot_started
         09:00:10 call 2 bot_ended abandoned
         09:00:10 call 2 ended customer
         09:00:00 call 3 started inbound
         09:00:02 call 3 ended customer",
        "contact 1 voice contained 09:00:41
         contact 2 voice abandoned_in_bot 09:00:10
         contact 3 voice ended_before_queue 09:00:02",
    );
}

#[test]
fn the_channel_is_the_earliest_that_is_named_else_voice() {
    check(
        "09:00:00 contact 1 queued sales
         09:00:20 email 1 answered li
         09:00:00 contact 2 queued sales",
        "contact 1 email answered
         contact 2 voice -",
    );
}

#[test]
fn impossible_sequences_give_no_negative_figure() {
    check(
        "09:05:00 call 1 ended customer
         09:06:00 call 1 resumed li
         09:07:00 call 1 wrapped li
         09:08:00 call 1 left_queue timeout
         09:09:00 call 1 transferred li queue sales",
        "contact 1 voice ended_before_queue 09:05:00",
    );
    // An answer after the end opens a part that nothing ended: the contact goes on.
    check(
        "09:00:00 call 1 queued sales
         09:00:30 call 1 ended customer
         09:00:40 call 1 answered li",
        "leg 1 1 sales abandoned 30s
         handling 1 1 - li sales - - -",
    );
}

#[test]
fn a_late_state_splits_the_interval_it_falls_into() {
    check(
        "09:00:00 agent li available
         09:30:00 agent li busy
         09:10:00 agent li break",
        "agent li available 09:00:00 09:10:00
         agent li break 09:10:00 09:30:00
         agent li busy 09:30:00 -",
    );
}

#[test]
fn states_that_can_no_longer_be_restated_are_refused() {
    // The state in force an hour before the watermark is still ended by the next one; what is older is settled.
    check(
        "09:00:00 agent li available
         09:10:00 agent li busy
         10:40:00 agent li acw
         09:20:00 agent li break",
        "agent li available 09:00:00 09:10:00
         agent li busy 09:10:00 10:40:00
         agent li acw 10:40:00 -
         too_late agent.state line-4",
    );
}

#[test]
fn a_complaint_is_taken_up_again_and_taken_back() {
    check(
        "09:00:00 complaint 7 opened
         10:00:00 complaint 7 contacted
         11:00:00 complaint 7 resolved rejected
         11:05:00 complaint 7 closed
         12:00:00 complaint 7 reopened
         13:00:00 complaint 7 contacted",
        "complaint 7 contacted 10:00:00 11:05:00 1 rejected 6",
    );
    check(
        "09:00:00 complaint 7 opened
         12:00:00 complaint 7 withdrawn
         09:30:00 complaint 8 closed pacified",
        "complaint 7 withdrawn - - 0 - 2
         complaint 8 closed - 09:30:00 0 pacified 1",
    );
}

#[test]
fn promises_and_surveys_are_kept_beside_the_contact() {
    check(
        "09:00:00 promise 3 made 12:00:00
         11:00:00 promise 3 kept
         09:10:00 survey 1 5
         09:11:00 survey 1 4",
        "promise 3 09:00:00 12:00:00 11:00:00
         survey 1 4
         survey 1 5",
    );
}
