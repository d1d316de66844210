//! Lines of Asterisk's `queue_log`. Calls only, in whole seconds; no hold, no after-contact work; a call that meets an agent
//! without a queue is not in the log.

use super::story::{Stories, Story, Turn};
use super::{Speech, Spoken, seconds};
use crate::event::{AgentStateName, Channel, EndedBy, Event, Kind, LeaveReason};

#[derive(Debug, Default)]
pub(super) struct Asterisk {
    stories: Stories,
}

impl Speech for Asterisk {
    fn hear(&mut self, event: &Event<'_>, out: &mut Vec<Spoken>) {
        let second = seconds(event.time);
        if event.kind == Kind::AgentState {
            let (Some(agent), Some(state)) = (event.agent_id.as_deref(), event.state) else { return };
            let line = match state {
                AgentStateName::Offline => format!("{second}|NONE|NONE|{agent}|REMOVEMEMBER|"),
                AgentStateName::Available => format!("{second}|NONE|NONE|{agent}|UNPAUSE|"),
                // The log tells these by the call, or not at all.
                AgentStateName::Busy | AgentStateName::Acw => return,
                other => format!("{second}|NONE|NONE|{agent}|PAUSE|{}", other.as_str()),
            };
            out.push(Spoken { time: event.time, key: agent.to_owned(), payload: line });
            return;
        }
        self.stories.sweep(event.time);
        let Some((story, turn)) = self.stories.follow(event) else { return };
        if story.channel != Channel::Voice {
            return;
        }
        let mut say = |leg: usize, agent: &str, what: &str| {
            let queue = &story.legs[leg].queue;
            let payload = format!("{second}|{}|{queue}|{agent}|{what}", call(story, leg));
            out.push(Spoken { time: event.time, key: story.id.clone(), payload });
        };
        let wait = |leg: usize| second - seconds(story.legs[leg].queued_at);
        match turn {
            Turn::Queued(leg) => say(leg, "NONE", &format!("ENTERQUEUE||{}|1", story.customer)),
            Turn::Answered(talk) => {
                if let Some(leg) = story.talks[talk].leg {
                    say(leg, &story.talks[talk].agent, &format!("CONNECT|{}|{}-a|4", wait(leg), story.id));
                }
            }
            Turn::Left(leg, reason) => {
                let wait = wait(leg);
                let line = match reason {
                    LeaveReason::Timeout => format!("EXITWITHTIMEOUT|1|1|{wait}"),
                    LeaveReason::ExitKey | LeaveReason::Callback => format!("EXITWITHKEY|1|1|1|{wait}"),
                    LeaveReason::NoAgent | LeaveReason::Closed => format!("EXITEMPTY|1|1|{wait}"),
                    LeaveReason::Overflow => format!("WITHDRAW|1|1|{wait}|"),
                    LeaveReason::Error => "SYSCOMPAT|".to_owned(),
                };
                say(leg, "NONE", &line);
            }
            Turn::Transferred(talk) => done(story, talk, &mut say, "BLINDTRANSFER|100|internal", second),
            Turn::Ended(leg, talks) => {
                if let Some(leg) = leg {
                    say(leg, "NONE", &format!("ABANDON|1|1|{}", wait(leg)));
                }
                let by_agent = event.by == Some(EndedBy::Agent);
                for talk in talks {
                    done(
                        story,
                        talk,
                        &mut say,
                        if by_agent { "COMPLETEAGENT" } else { "COMPLETECALLER" },
                        second,
                    );
                }
            }
            Turn::Other if event.kind == Kind::Missed => {
                if let (Some(leg), Some(agent)) = (story.open, event.agent_id.as_deref()) {
                    say(leg, agent, "RINGNOANSWER|15000");
                }
            }
            _ => {}
        }
    }
}

/// A consultation is a call of its own; else the call keeps its id from queue to queue.
fn call(story: &Story, leg: usize) -> String {
    let queued = story.legs[leg].queued_at;
    let beside = story.talks.iter().any(|talk| {
        talk.leg != Some(leg) && talk.since < queued && talk.ended.is_none_or(|(ended, _, _)| ended > queued)
    });
    if beside { format!("{}.{leg}", story.id) } else { story.id.clone() }
}

fn done(story: &Story, talk: usize, say: &mut impl FnMut(usize, &str, &str), what: &str, second: i64) {
    let talk = &story.talks[talk];
    if let Some(leg) = talk.leg {
        let wait = seconds(talk.since) - seconds(story.legs[leg].queued_at);
        say(leg, &talk.agent, &format!("{what}|{wait}|{}|1", second - seconds(talk.since)));
    }
}
