//! Event callbacks of Twilio's TaskRouter, as forms: everything is text. No hold.

use super::story::{Stories, Story, Turn};
use super::{Speech, Spoken, seconds};
use crate::event::{AgentStateName, Direction, EndedBy, Event, Kind, LeaveReason};

#[derive(Debug, Default)]
pub(super) struct Twilio {
    stories: Stories,
    events: u64,
}

impl Speech for Twilio {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        let count = &mut self.events;
        let mut say = |key: &str, name: &str, fields: &[(&str, &str)]| {
            *count += 1;
            let (seconds, ms, sid) =
                (seconds(event.time).to_string(), event.time.to_string(), format!("EV{count:032x}"));
            let head = [("EventType", name), ("Timestamp", &*seconds), ("TimestampMs", &*ms), ("Sid", &*sid)];
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(head).extend_pairs(fields);
            out.push(Spoken { time: event.time, key: key.to_owned(), payload: form.finish() });
        };
        if event.kind == Kind::AgentState {
            let (Some(agent), Some(state)) = (event.agent_id.as_deref(), event.state) else { return };
            let activity = match state {
                AgentStateName::Offline => "Offline",
                AgentStateName::Available => "Available",
                AgentStateName::Busy => "Busy",
                AgentStateName::Acw => "Wrap-up",
                AgentStateName::Break => "Break",
                AgentStateName::Training => "Training",
                AgentStateName::Meeting => "Meeting",
                AgentStateName::Other => "Elsewhere",
            };
            let fields = [("WorkerName", agent), ("WorkerActivityName", activity)];
            return say(agent, "worker.activity.update", &fields);
        }
        self.stories.sweep(event.time);
        let Some((story, turn)) = self.stories.follow(event) else { return };
        let task = task(story);
        let attributes = serde_json::json!({
            "from": story.customer,
            "direction": story.direction.unwrap_or(Direction::Inbound).as_str(),
            "dial_ms": story.talks.last().map_or(0, |talk| talk.dial_ms),
        })
        .to_string();
        let mut tell = |name: &str, more: &[(&str, &str)]| {
            let mut fields = vec![
                ("TaskSid", &*task),
                ("TaskAttributes", &*attributes),
                ("TaskChannelUniqueName", story.channel.as_str()),
            ];
            fields.extend_from_slice(more);
            say(&story.id, name, &fields);
        };
        match turn {
            Turn::Started => tell("task.created", &[("TaskAssignmentStatus", "pending")]),
            Turn::Queued(leg) => {
                if story.legs.len() > 1 && was_cancelled(story, leg) {
                    tell("task.created", &[("TaskAssignmentStatus", "pending")]);
                }
                tell("task-queue.entered", &[("TaskQueueName", &story.legs[leg].queue)]);
            }
            Turn::Answered(talk) => reservation(story, talk, "reservation.accepted", "assigned", &mut tell),
            Turn::Left(leg, reason) => {
                let queue = story.legs[leg].queue.clone();
                if story.is_talking() {
                    tell("task-queue.timeout", &[("TaskQueueName", &queue)]);
                } else if reason != LeaveReason::Overflow {
                    // A task that overflows goes on in its next queue.
                    let why = match reason {
                        LeaveReason::Timeout => "Task TTL Exceeded",
                        LeaveReason::Callback => "callback requested",
                        LeaveReason::ExitKey => "leave",
                        LeaveReason::NoAgent => "no agent",
                        LeaveReason::Closed => "closed",
                        LeaveReason::Error | LeaveReason::Overflow => "error",
                    };
                    tell("task.canceled", &[("TaskCanceledReason", why), ("TaskQueueName", &queue)]);
                }
            }
            Turn::Transferred(talk) => reservation(story, talk, "reservation.wrapup", "assigned", &mut tell),
            Turn::Ended(leg, talks) => {
                if !talks.is_empty() {
                    for talk in talks {
                        reservation(story, talk, "reservation.wrapup", "wrapping", &mut tell);
                    }
                    tell("task.wrapup", &[("TaskAssignmentStatus", "wrapping")]);
                } else if leg.is_some() || !was_cancelled(story, story.legs.len()) {
                    let why =
                        if event.by == Some(EndedBy::System) && leg.is_some() { "error" } else { "hangup" };
                    tell("task.canceled", &[("TaskCanceledReason", why)]);
                }
            }
            Turn::Wrapped(talk) => {
                reservation(story, talk, "reservation.completed", "completed", &mut tell);
                if story.is_over() {
                    tell("task.completed", &[("TaskAssignmentStatus", "completed")]);
                }
            }
            Turn::Other if matches!(event.kind, Kind::Offered | Kind::Missed) => {
                let name =
                    if event.kind == Kind::Offered { "reservation.created" } else { "reservation.timeout" };
                let agent = event.agent_id.as_deref().unwrap_or_default();
                tell(
                    name,
                    &[("WorkerName", agent), ("TaskQueueName", event.queue.as_deref().unwrap_or_default())],
                );
            }
            Turn::Other => {}
        }
    }
}

fn reservation(
    story: &Story,
    talk: usize,
    name: &str,
    status: &str,
    tell: &mut impl FnMut(&str, &[(&str, &str)]),
) {
    let (talk, sid) = (&story.talks[talk], format!("WR{:024x}{talk:08x}", story.number));
    let mut fields =
        vec![("ReservationSid", &*sid), ("WorkerName", &*talk.agent), ("TaskAssignmentStatus", status)];
    if let Some(queue) = &talk.queue {
        fields.push(("TaskQueueName", queue));
    }
    tell(name, &fields);
}

/// Whether the leg before this one ended the task.
fn was_cancelled(story: &Story, leg: usize) -> bool {
    use super::story::Way;
    let before = leg.checked_sub(1).and_then(|before| story.legs[before].left);
    matches!(before, Some((at, Way::Left(reason))) if reason != LeaveReason::Overflow && !story.talks.iter().any(|talk| {
        talk.since < at && talk.ended.is_none_or(|(ended, _, _)| ended > at)
    }))
}

/// A call back is a task of its own.
fn task(story: &Story) -> String {
    let tasks = (1..story.legs.len()).filter(|&leg| was_cancelled(story, leg)).count();
    format!("WT{:024x}{tasks:08x}", story.number)
}
