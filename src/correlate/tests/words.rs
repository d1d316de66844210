//! What the messages of a contact amount to, in every order of arrival.

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;

use super::world::{World, options};
use crate::event::{Event, Kind, Speaker};
use crate::time::{Millis, SECOND};

const START: Millis = 1_795_233_600_000;

fn said(number: i64, after_ms: Millis, speaker: Speaker, text: &'static str) -> Event<'static> {
    let mut event = Event::new(format!("m{number}"), Kind::Message, START + after_ms);
    event.contact_id = Some("c1".into());
    event.speaker = Some(speaker);
    event.text = Some(text.into());
    event
}

/// Sentiment of customer and agent, the lowest, and the keywords of the contact.
fn amounts(events: &[Event<'static>]) -> (Option<f64>, Option<f64>, Option<f64>, Option<String>) {
    let mut world = World::new(&options());
    for event in events {
        world.apply(event);
        world.settle();
    }
    let batches = world.end();
    let row = batches.of("contacts").next().expect("one contact").clone();
    let number = |name: &str| {
        row.column_by_name(name).expect("a column").as_primitive::<Float64Type>().iter().next().flatten()
    };
    let keywords = row.column_by_name("keywords").expect("a column").as_string::<i32>();
    let keywords = keywords.iter().next().flatten().map(str::to_owned);
    (number("sentiment_customer"), number("sentiment_agent"), number("sentiment_lowest"), keywords)
}

/// Every order of these events.
fn orders(events: &[Event<'static>]) -> Vec<Vec<Event<'static>>> {
    let Some((first, rest)) = events.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in orders(rest) {
        for at in 0..=order.len() {
            let mut with = order.clone();
            with.insert(at, first.clone());
            all.push(with);
        }
    }
    all
}

#[test]
fn sentiment_runs_in_the_order_of_time() {
    let events = [
        said(1, 0, Speaker::Customer, "谢谢"),
        said(2, SECOND, Speaker::Agent, "不错"),
        said(3, 2 * SECOND, Speaker::Customer, "你好"),
        said(4, 3 * SECOND, Speaker::Customer, "太差了"),
    ];
    let good = 0.6_f64 / (0.36_f64 + 0.8).sqrt();
    let bad = -0.7_f64 / (0.49_f64 + 0.8).sqrt();
    let thousandths = |score: f64| (score * 1000.0).round() / 1000.0;
    let (good, bad) = (thousandths(good), thousandths(bad));
    for order in orders(&events) {
        let (customer, agent, lowest, keywords) = amounts(&order);
        assert!((customer.expect("the customer spoke") - (good + 0.3 * (bad - good))).abs() < 2e-6);
        assert_eq!((agent, lowest, keywords), (Some(good), Some(bad), None));
    }
    assert_eq!(amounts(&[said(1, 0, Speaker::Customer, "你好")]).0, Some(0.0));
    assert_eq!(amounts(&[said(1, 0, Speaker::Agent, "不错")]).0, None);
}

#[test]
fn a_phrase_that_was_cut_is_found_in_every_order() {
    let events = [
        said(1, 0, Speaker::Customer, "这样的话我要投"),
        said(2, SECOND, Speaker::Agent, "请讲"),
        said(3, 2 * SECOND, Speaker::Customer, "诉你们"),
        said(4, 60 * SECOND, Speaker::Customer, "还要销户"),
        said(4, 60 * SECOND, Speaker::Customer, "还要销户"),
    ];
    for order in orders(&events) {
        let keywords = amounts(&order).3.expect("keywords");
        assert_eq!(keywords, "churn:销户;complaint:我要投诉;complaint:投诉你们");
    }
    // Not when another speaker ends it, nor much later.
    let apart = [said(1, 0, Speaker::Customer, "我要投"), said(2, SECOND, Speaker::Agent, "诉你们")];
    assert_eq!(amounts(&apart).3, None);
    let late = [said(1, 0, Speaker::Customer, "我要投"), said(2, 60 * SECOND, Speaker::Customer, "诉你们")];
    assert_eq!(amounts(&late).3, None);
}
