//! Genesys Cloud: one conversation of the analytics details, with participants, sessions and segments.

use serde_json::{Map, Value};

use super::genesys::{by, direction, is_transfer, media};
use super::vendor::{Out, bad_time, member, missing, owned, text_at, time};
use crate::event::{BotOutcome, Channel, EndedBy, Kind, LeaveReason, Reject};
use crate::time::Millis;

/// A part of a session.
struct Segment<'v> {
    object: &'v Map<String, Value>,
    kind: String,
    start: Millis,
    /// `None` while it lasts.
    end: Option<Millis>,
}

/// One participant's session.
struct Session<'v> {
    id: String,
    object: &'v Map<String, Value>,
    purpose: String,
    user: Option<String>,
    segments: Vec<Segment<'v>>,
}

fn list<'v>(object: &'v Map<String, Value>, name: &str) -> impl Iterator<Item = &'v Map<String, Value>> {
    member(object, name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

fn moment(object: &Map<String, Value>, name: &str) -> Result<Option<Millis>, Reject> {
    let Some(value) = member(object, name) else { return Ok(None) };
    time(value).map(Some).ok_or_else(|| bad_time(name, value))
}

impl Session<'_> {
    fn of<'v>(kinds: &'v [Segment<'v>], kind: &'v str) -> impl DoubleEndedIterator<Item = &'v Segment<'v>> {
        kinds.iter().filter(move |segment| segment.kind == kind)
    }

    fn start(&self) -> Option<Millis> {
        self.segments.iter().map(|segment| segment.start).min()
    }

    /// The end of its last segment; `None` while one lasts.
    fn end(&self) -> Option<Millis> {
        self.segments
            .iter()
            .map(|segment| segment.end)
            .try_fold(Millis::MIN, |end, next| Some(end.max(next?)))
    }

    fn disconnect(&self) -> String {
        let last = self.segments.iter().rev().filter(|segment| segment.kind != "wrapup");
        last.filter_map(|segment| text_at(segment.object, &["disconnectType"])).next().unwrap_or_default()
    }

    fn queue(&self) -> Option<String> {
        self.segments.iter().find_map(|segment| text_at(segment.object, &["queueId"]))
    }

    fn has_metric(&self, name: &str) -> bool {
        list(self.object, "metrics").any(|metric| text_at(metric, &["name"]).as_deref() == Some(name))
    }
}

/// Writes the events of one conversation; they are of one document, whose version is its newest moment.
pub(super) fn details(conversation: &Map<String, Value>, out: &mut Out) -> Result<(), Reject> {
    let id = text_at(conversation, &["conversationId"]).ok_or_else(|| missing("conversationId"))?;
    let started = moment(conversation, "conversationStart")?.ok_or_else(|| missing("conversationStart"))?;
    let over = moment(conversation, "conversationEnd")?;
    let mut newest = over.unwrap_or(started);
    let mut sessions = Vec::new();
    for (of, participant) in list(conversation, "participants").enumerate() {
        let purpose = text_at(participant, &["purpose"]).unwrap_or_default().to_ascii_lowercase();
        for (at, object) in list(participant, "sessions").enumerate() {
            let mut segments = Vec::new();
            for segment in list(object, "segments") {
                let start = moment(segment, "segmentStart")?.ok_or_else(|| missing("segmentStart"))?;
                let end = moment(segment, "segmentEnd")?;
                newest = newest.max(end.unwrap_or(start));
                let kind = text_at(segment, &["segmentType"]).unwrap_or_default().to_ascii_lowercase();
                segments.push(Segment { object: segment, kind, start, end });
            }
            segments.sort_by_key(|segment| segment.start);
            let session = text_at(object, &["sessionId"]).unwrap_or_else(|| format!("{of}.{at}"));
            let user = text_at(participant, &["userId"]);
            sessions.push(Session { id: session, object, purpose: purpose.clone(), user, segments });
        }
    }
    let first = out.events.len();
    let customer =
        sessions.iter().find(|session| matches!(session.purpose.as_str(), "customer" | "external"));
    let channel = customer
        .and_then(|session| media(session.object))
        .or_else(|| sessions.iter().find_map(|s| media(s.object)));
    let event = out.event("started", Kind::ContactStarted, started);
    event.direction = text_at(conversation, &["originatingDirection"])
        .or_else(|| customer.and_then(|session| text_at(session.object, &["direction"])))
        .and_then(|word| direction(&word));
    event.customer_id = customer.and_then(|session| text_at(session.object, &["ani"])).and_then(owned);
    for session in &sessions {
        match session.purpose.as_str() {
            "ivr" | "botflow" | "workflow" => bot(session, out),
            "acd" => waits(session, out),
            "agent" | "user" => handles(session, &sessions, over.is_some(), out),
            _ => {}
        }
    }
    if let Some(over) = over {
        let end = customer.and_then(Session::end).unwrap_or(over);
        let event = out.event("ended", Kind::Ended, end);
        event.by = customer.and_then(|session| by(&session.disconnect(), EndedBy::Customer));
    }
    for event in &mut out.events[first..] {
        event.contact_id = owned(id.clone());
        event.channel = event.channel.or(channel);
        event.record = owned(id.clone());
        event.version = Some(newest);
    }
    Ok(())
}

fn bot(session: &Session<'_>, out: &mut Out) {
    let Some(start) = session.start() else { return };
    out.event(format!("{}-bot", session.id), Kind::BotStarted, start);
    let Some(end) = session.end() else { return };
    let disconnect = session.disconnect();
    let event = out.event(format!("{}-bot-end", session.id), Kind::BotEnded, end);
    event.bot_outcome = Some(match disconnect.to_ascii_lowercase().as_str() {
        word if word.contains("transfer") => BotOutcome::Handover,
        "peer" | "endpoint" => BotOutcome::Abandoned,
        _ => BotOutcome::Contained,
    });
}

fn waits(session: &Session<'_>, out: &mut Out) {
    let (Some(start), Some(queue)) = (session.start(), session.queue()) else { return };
    let event = out.event(format!("{}-queued", session.id), Kind::Queued, start);
    event.queue = owned(queue.clone());
    event.channel = media(session.object);
    let Some(end) = session.end() else { return };
    let disconnect = session.disconnect();
    let told =
        session.has_metric("tAbandon") || session.has_metric("tFlowOut") || session.has_metric("tAnswered");
    if session.has_metric("tAbandon") || (!told && by(&disconnect, EndedBy::Agent).is_some()) {
        let event = out.event(format!("{}-abandon", session.id), Kind::Ended, end);
        let system = by(&disconnect, EndedBy::Customer) == Some(EndedBy::System);
        event.by = Some(if system { EndedBy::System } else { EndedBy::Customer });
    } else if session.has_metric("tFlowOut") {
        let event = out.event(format!("{}-left", session.id), Kind::LeftQueue, end);
        event.queue = owned(queue);
        event.leave_reason = Some(LeaveReason::Overflow);
    }
}

/// An agent's part: ringing, talk and hold, the end of the talk, after-contact work.
fn handles(session: &Session<'_>, all: &[Session<'_>], over: bool, out: &mut Out) {
    let segments = &session.segments;
    let watches = ["monitoring", "coaching", "barging"];
    if segments.iter().any(|segment| watches.contains(&segment.kind.as_str())) {
        return;
    }
    let (user, queue) = (session.user.clone(), session.queue());
    let channel: Option<Channel> = media(session.object);
    let mut add = |what: String, kind: Kind, time: Millis| {
        let event = out.event(format!("{}-{what}", session.id), kind, time);
        event.agent_id = user.clone().and_then(owned);
        event.queue = queue.clone().and_then(owned);
        event.channel = channel;
        out.events.len() - 1
    };
    for segment in Session::of(segments, "alert") {
        add(format!("offered-{}", segment.start), Kind::Offered, segment.start);
    }
    let talks = |segment: &&Segment<'_>| matches!(segment.kind.as_str(), "interact" | "hold");
    let Some(first) = segments.iter().find(talks) else {
        if let Some(end) = Session::of(segments, "alert").next_back().and_then(|segment| segment.end) {
            add("missed".to_owned(), Kind::Missed, end);
        }
        return;
    };
    let answered = add("answered".to_owned(), Kind::Answered, first.start);
    let dialled: i64 = segments
        .iter()
        .filter(|segment| matches!(segment.kind.as_str(), "dialing" | "contacting"))
        .filter_map(|segment| segment.end.map(|end| end - segment.start))
        .sum();
    for segment in Session::of(segments, "hold") {
        add(format!("held-{}", segment.start), Kind::Held, segment.start);
        if let Some(end) = segment.end {
            add(format!("resumed-{}", segment.start), Kind::Resumed, end);
        }
    }
    let talk_end = segments
        .iter()
        .filter(talks)
        .map(|segment| segment.end)
        .try_fold(Millis::MIN, |end, next| Some(end.max(next?)));
    let wrapup = Session::of(segments, "wrapup").next_back();
    if let Some(end) = talk_end {
        let disconnect = session.disconnect();
        let of_centre = |other: &&Session<'_>| {
            other.id != session.id && matches!(other.purpose.as_str(), "agent" | "user" | "acd")
        };
        // A second, since the parts of one ending do not end in the same millisecond.
        let goes_on = all.iter().filter(of_centre).any(|other| {
            other
                .segments
                .iter()
                .any(|segment| segment.kind != "wrapup" && segment.end.is_none_or(|other| other > end + 1000))
        });
        if is_transfer(&disconnect) || (goes_on && wrapup.is_some()) {
            add("transferred".to_owned(), Kind::Transferred, end);
        } else if !goes_on {
            let event = add("done".to_owned(), Kind::Ended, end);
            out.events[event].agent_id = None;
            out.events[event].by = by(&disconnect, EndedBy::Agent);
        }
        // A conversation that is over and has no after-contact work never gets any; nor does a consulted agent.
        let wrapped = match wrapup {
            Some(segment) => segment.end,
            None => Some(end).filter(|_| over || goes_on),
        };
        if let Some(wrapped) = wrapped {
            let event = out.event(format!("{}-wrapped", session.id), Kind::Wrapped, wrapped);
            event.agent_id = user.clone().and_then(owned);
            event.disposition =
                wrapup.and_then(|segment| text_at(segment.object, &["wrapUpCode"])).and_then(owned);
        }
    }
    out.events[answered].dial_ms = (dialled > 0).then_some(dialled);
}
