//! What quality finds in a contact, in every order of arrival.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::world::{World, options};
use crate::calendar::{CALL_BACKS, Calendar, Deadlines};
use crate::correlate::ServiceRule;
use crate::event::{Channel, EndedBy, Event, Kind, Speaker};
use crate::time::{DAY, HOUR, MINUTE, Millis, SECOND, parse_time};

const START: Millis = 1_795_233_600_000;

/// A contact that is told event by event.
struct Told {
    channel: Channel,
    events: Vec<Event<'static>>,
}

impl Told {
    fn new(channel: Channel) -> Told {
        Told { channel, events: Vec::new() }
    }

    fn event(&mut self, after_s: i64, kind: Kind) -> &mut Event<'static> {
        let mut event = Event::new(format!("e{}", self.events.len()), kind, START + after_s * SECOND);
        event.contact_id = Some("c1".into());
        event.channel = Some(self.channel);
        self.events.push(event);
        self.events.last_mut().expect("it was just pushed")
    }

    fn answered(mut self, after_s: i64, agent: &'static str) -> Told {
        self.event(after_s, Kind::Queued).queue = Some("sales".into());
        self.event(after_s, Kind::Answered).agent_id = Some(agent.into());
        self
    }

    fn said(mut self, after_s: i64, speaker: Speaker, text: &'static str) -> Told {
        let event = self.event(after_s, Kind::Message);
        event.speaker = Some(speaker);
        event.text = Some(text.into());
        self
    }

    fn passed(mut self, after_s: i64, queue: &'static str) -> Told {
        self.event(after_s, Kind::Transferred).to_queue = Some(queue.into());
        self
    }

    fn ended(mut self, after_s: i64, by: EndedBy) -> Told {
        self.event(after_s, Kind::Ended).by = Some(by);
        self
    }
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let column = batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
    (0..batch.num_rows())
        .map(|at| if column.is_valid(at) { column.value(at).to_owned() } else { "-".to_owned() })
        .collect()
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    batch.column_by_name(name).expect("a column").as_primitive::<Int64Type>().iter().collect()
}

/// Rule, agent and message of each finding.
fn found(events: &[Event<'static>]) -> Vec<String> {
    let mut world = World::new(&options());
    for event in events {
        world.apply(event);
        world.settle();
    }
    let batches = world.end();
    let superseded: Vec<i64> =
        batches.of("restatements").flat_map(|batch| numbers(batch, "old_revision")).flatten().collect();
    let mut lines = Vec::new();
    for batch in batches.of("contact_findings") {
        let revisions = numbers(batch, "revision");
        let columns = ["rule", "agent_id", "message_id", "category"].map(|name| texts(batch, name));
        for at in (0..batch.num_rows()).filter(|at| !superseded.contains(&revisions[*at].unwrap_or(0))) {
            lines.push(columns.iter().map(|column| column[at].as_str()).collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// The findings, which must be the same in this order, backwards, and with each event first once.
fn findings(told: &Told) -> Vec<String> {
    let expected = found(&told.events);
    let mut order = told.events.clone();
    for _ in 0..order.len() {
        order.rotate_left(1);
        assert_eq!(found(&order), expected);
    }
    order.reverse();
    order.extend(told.events.clone());
    assert_eq!(found(&order), expected, "backwards and twice");
    expected
}

use Speaker::{Agent, Customer};

#[test]
fn a_contact_as_it_should_be_has_no_finding() {
    let told = Told::new(Channel::Voice)
        .answered(0, "li")
        .said(2, Agent, "您好")
        .said(10, Customer, "我的账单为什么这么高")
        .said(40, Agent, "我看一下")
        .said(70, Agent, "再见")
        .ended(71, EndedBy::Agent);
    assert_eq!(findings(&told), [""; 0]);
    // Nothing was said, so nobody can tell what was not said.
    let silent = Told::new(Channel::Voice).answered(0, "li").ended(60, EndedBy::Customer);
    assert_eq!(findings(&silent), [""; 0]);
}

#[test]
fn what_agents_must_not_say_is_found_with_its_place() {
    let told = Told::new(Channel::Chat)
        .answered(0, "li")
        .said(2, Agent, "您好")
        .said(10, Customer, "这是你自己的问题")
        .said(20, Agent, "唉，这是你自己的问题。再见")
        .ended(30, EndedBy::Customer);
    assert_eq!(findings(&told), ["forbidden_phrase li e4 blaming"]);
    let mut world = World::new(&options());
    told.events.iter().for_each(|event| drop(world.apply(event)));
    world.settle();
    let batches = world.end();
    let batch = batches.of("contact_findings").next().expect("a finding");
    let (start, end) = (numbers(batch, "start")[0], numbers(batch, "end")[0]);
    let place = start.zip(end).map(|(start, end)| start as usize..end as usize).expect("a place");
    assert_eq!(&"唉，这是你自己的问题。再见"[place], "你自己的问题");
    assert_eq!(texts(batch, "queue"), ["sales"]);
    assert_eq!(texts(batch, "department"), ["retail"]);
}

#[test]
fn greeting_and_farewell_are_missed_where_there_was_time_for_them() {
    let told = Told::new(Channel::Voice)
        .answered(0, "li")
        .said(2, Agent, "什么事")
        .said(10, Customer, "查账单")
        .said(20, Agent, "查好了")
        .ended(30, EndedBy::Customer);
    assert_eq!(findings(&told), ["no_greeting li e2 -", "no_farewell li e4 -"]);
    // Later than it should be is missing; with the first words it is never too late.
    let late = Told::new(Channel::Voice).answered(0, "li").said(2, Agent, "什么事").said(40, Agent, "您好");
    assert_eq!(findings(&late.ended(50, EndedBy::System)), ["no_greeting li e2 -", "no_farewell li e3 -"]);
    let slow = Told::new(Channel::Chat).answered(0, "li").said(50, Agent, "您好").said(55, Agent, "再见");
    assert_eq!(findings(&slow.ended(60, EndedBy::Customer)), [""; 0]);
    // The customer hung up on the agent.
    let cut = Told::new(Channel::Voice).answered(0, "li").said(2, Agent, "您好").said(5, Customer, "算了");
    assert_eq!(findings(&cut.ended(6, EndedBy::Customer)), [""; 0]);
    // Who passes a customer on says no farewell.
    let passed = Told::new(Channel::Voice).answered(0, "li").said(2, Agent, "您好").passed(9, "billing");
    let passed = passed.answered(12, "wu").said(13, Agent, "您好").said(20, Agent, "再见");
    assert_eq!(findings(&passed.ended(21, EndedBy::Customer)), [""; 0]);
}

#[test]
fn hanging_up_and_passing_on_to_a_machine_are_found() {
    let hung_up = Told::new(Channel::Voice).answered(0, "li").ended(60, EndedBy::Agent);
    assert_eq!(findings(&hung_up), ["agent_hung_up li - -"]);
    let chat = Told::new(Channel::Chat).answered(0, "li").ended(60, EndedBy::Agent);
    assert_eq!(findings(&chat), [""; 0]);
    let to_ivr = Told::new(Channel::Voice).answered(0, "li").passed(30, "ivr").ended(60, EndedBy::Customer);
    assert_eq!(findings(&to_ivr), ["handed_to_ivr li - -"]);
    let mut to_bot = Told::new(Channel::Voice).answered(0, "li").passed(30, "menu");
    to_bot.event(31, Kind::BotStarted);
    assert_eq!(findings(&to_bot.ended(60, EndedBy::Customer)), ["handed_to_ivr li - -"]);
    let mut to_queue = Told::new(Channel::Voice).answered(0, "li").passed(30, "billing");
    to_queue = to_queue.answered(31, "wu");
    assert_eq!(findings(&to_queue.ended(60, EndedBy::Customer)), [""; 0]);
}

#[test]
fn waiting_for_an_answer_is_judged_as_people_wait() {
    let chat = |reply_s| {
        let told = Told::new(Channel::Chat).answered(0, "li").said(1, Agent, "您好");
        let told = told.said(10, Customer, "在吗").said(40, Customer, "有人吗").said(reply_s, Agent, "再见");
        findings(&told.ended(reply_s + 5, EndedBy::Customer))
    };
    assert_eq!(chat(69), [""; 0]);
    assert_eq!(chat(70), ["left_waiting li e3 -"]);
    // Who goes on speaking is not waiting.
    let voice =
        Told::new(Channel::Voice).answered(0, "li").said(1, Agent, "您好").said(10, Customer, "我先说一下");
    let voice = voice.said(60, Customer, "还有").said(100, Agent, "再见").ended(101, EndedBy::Customer);
    assert_eq!(findings(&voice), [""; 0]);
    // A hold that ends with the call.
    let never =
        Told::new(Channel::Voice).answered(0, "li").said(1, Agent, "您好").said(10, Customer, "怎么办");
    assert_eq!(findings(&never.ended(90, EndedBy::Customer)), ["left_waiting li e3 -"]);
    let mail =
        Told::new(Channel::Email).answered(0, "li").said(1, Customer, "怎么办").said(600, Agent, "您好再见");
    assert_eq!(findings(&mail.ended(700, EndedBy::Agent)), [""; 0]);
}

#[test]
fn a_question_that_is_put_again_after_an_answer_is_found() {
    let told = Told::new(Channel::Chat)
        .answered(0, "li")
        .said(1, Agent, "您好")
        .said(10, Customer, "我的退款什么时候能到账？")
        .said(20, Agent, "请稍等")
        .said(30, Customer, "我的退款，什么时候能到账")
        .said(35, Customer, "我的退款，什么时候能到账")
        .said(40, Agent, "明天，再见")
        .said(41, Customer, "好的")
        .ended(50, EndedBy::Customer);
    assert_eq!(findings(&told), ["repeated_question li e5 -"]);
}

#[test]
fn complaints_are_late_after_the_next_working_day_where_these_count() {
    let mut options = options();
    options.quality.deadlines = Deadlines::of_working_days(Calendar::default());
    for (opened, due) in CALL_BACKS {
        let (opened, due) = (parse_time(opened).expect("a time"), parse_time(due).expect("a time"));
        let mut world = World::new(&options);
        let mut complaint = Event::new("k", Kind::ComplaintOpened, opened);
        complaint.complaint_id = Some("k1".into());
        complaint.queue = Some("sales".into());
        world.apply(&complaint);
        let mut late = |time: Millis| {
            let mut other = Event::new(format!("o{time}"), Kind::PromiseMade, time);
            other.promise_id = Some(format!("o{time}").into());
            world.apply(&other);
            world.settle();
            let summary = world.watch.window.snapshot(time);
            summary.findings.get(&(ServiceRule::ComplaintLate, "sales".into())).copied().unwrap_or(0)
        };
        // What is due by 17:00 is late from the first instant of the watermark after it.
        assert_eq!(late(due + options.lateness_ms), 0);
        assert_eq!(late(due + options.lateness_ms + 1), 1);
    }
}

#[test]
fn what_is_overdue_is_told_once_also_after_a_restart() {
    let promise = |id: &str, kind, after: Millis, due: Option<Millis>| {
        let mut event = Event::new(format!("{id}-{}", kind as u8), kind, START + after);
        event.promise_id = Some(id.to_owned().into());
        event.contact_id = Some("c1".into());
        event.queue = Some("sales".into());
        event.due = due.map(|due| START + due);
        event
    };
    let mut world = World::new(&options());
    let broken = |world: &mut World| {
        let summary = world.watch.window.snapshot(START + 3 * DAY);
        let of = |rule| summary.findings.get(&(rule, "sales".into())).copied().unwrap_or(0);
        (of(ServiceRule::PromiseBroken), of(ServiceRule::ComplaintLate))
    };
    world.apply(&promise("kept", Kind::PromiseMade, 0, Some(HOUR)));
    world.apply(&promise("kept", Kind::PromiseKept, HOUR, None));
    world.apply(&promise("late", Kind::PromiseMade, 0, Some(HOUR)));
    world.apply(&promise("late", Kind::PromiseKept, HOUR + 1, None));
    world.apply(&promise("open", Kind::PromiseMade, 0, Some(2 * HOUR)));
    let mut complaint = Event::new("k", Kind::ComplaintOpened, START);
    complaint.complaint_id = Some("k1".into());
    complaint.queue = Some("sales".into());
    world.apply(&complaint);
    world.settle();
    assert_eq!(broken(&mut world), (0, 0), "nothing is due yet");
    let tick = |world: &mut World, after: Millis| {
        let mut event = Event::new(format!("tick{after}"), Kind::ContactStarted, START + after);
        event.contact_id = Some("c2".into());
        world.apply(&event);
        world.settle();
    };
    tick(&mut world, HOUR + 20 * MINUTE);
    assert_eq!(broken(&mut world), (1, 0));
    world.stop_and_go_on();
    tick(&mut world, 3 * HOUR);
    assert_eq!(broken(&mut world), (2, 0), "what was told before the restart is not told again");
    tick(&mut world, 2 * DAY);
    assert_eq!(broken(&mut world), (2, 1));
}
