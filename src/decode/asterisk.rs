//! Asterisk's `queue_log`: `epoch|call id|queue|agent|EVENT|parameters`.
//!
//! Times are whole seconds, so the lines of one call within one second are put a millisecond apart: their order is that of
//! the log, which is the only place where it stands. A restart of Asterisk (`QUEUESTART`) ends the calls that were open.
//! Both need the calls of late, which are this adapter's state.
//!
//! The log has no after-contact work and no hold, and does not tell what becomes of a call that has left its queue: what
//! leaves a queue ends the contact, until its call id enters a queue again.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::vendor::{Adapter, Out, missing, owned, reject, unknown_type};
use crate::event::{AgentStateName, Channel, EndedBy, Event, Kind, LeaveReason, Reject, RejectReason};
use crate::time::Millis;

/// Lines of one call that are remembered: of one second there are never so many.
const LINES_KEPT: usize = 8;
/// A call without a line for so long is over, whatever the log says, seconds.
const OPEN_KEPT_SECS: i64 = 24 * 3600;
/// A call that is over is remembered for the order of its lines, seconds.
const OVER_KEPT_SECS: i64 = 60;

/// A call of late.
#[derive(Debug, Default, Clone, PartialEq)]
struct Call {
    /// Second and hash of its newest lines.
    lines: Vec<(i64, u64)>,
    open: bool,
}

/// Reads lines of `queue_log`.
#[derive(Debug, Default)]
pub(super) struct QueueLog {
    calls: BTreeMap<String, Call>,
    /// Agents that are paused: a call that ends does not make them available.
    paused: BTreeMap<String, bool>,
    swept: i64,
    newest: i64,
}

/// One line, split.
struct Line<'l> {
    second: i64,
    time: Millis,
    call: &'l str,
    queue: &'l str,
    agent: Option<&'l str>,
    name: &'l str,
    parameters: Vec<&'l str>,
    hash: u64,
}

impl Line<'_> {
    fn parameter(&self, at: usize) -> Option<i64> {
        self.parameters.get(at).and_then(|text| text.trim().parse().ok()).filter(|number| *number >= 0)
    }

    fn id(&self, what: &str) -> String {
        format!("{what}-{:016x}", self.hash)
    }
}

fn split(text: &str) -> Result<Line<'_>, Reject> {
    let mut fields = text.trim().split('|');
    let epoch = fields.next().unwrap_or_default();
    let (seconds, fraction) = epoch.split_once('.').unwrap_or((epoch, ""));
    let second: i64 = seconds.parse().map_err(|_| {
        let detail = format!(
            "the line does not begin with seconds since 1970: `{}`",
            super::canonical::shorten(epoch)
        );
        reject(RejectReason::BadTime, detail)
    })?;
    if !(0..=253_402_300_799).contains(&second) {
        return Err(reject(
            RejectReason::BadTime,
            format!("`{second}` s since 1970 is outside the years 1970 to 9999"),
        ));
    }
    // Some builds write microseconds; then the order needs no help.
    let ms: i64 = format!("{fraction:0<3.3}").parse().unwrap_or(0);
    let call = fields.next().ok_or_else(|| missing("call id"))?;
    let queue = fields.next().ok_or_else(|| missing("queue"))?;
    let agent = fields.next().ok_or_else(|| missing("agent"))?;
    let name = fields.next().ok_or_else(|| missing("event"))?;
    Ok(Line {
        second,
        time: second * 1000 + ms,
        call,
        queue,
        agent: Some(agent).filter(|agent| !agent.is_empty() && *agent != "NONE"),
        name,
        parameters: fields.collect(),
        hash: xxh3_64(text.trim().as_bytes()),
    })
}

impl QueueLog {
    /// The line's place among those of its call: a millisecond for each earlier one of the same second.
    fn place(&mut self, line: &Line<'_>) -> Millis {
        let call = self.calls.entry(line.call.to_owned()).or_default();
        let known = call.lines.contains(&(line.second, line.hash));
        if !known {
            call.lines.push((line.second, line.hash));
            if call.lines.len() > LINES_KEPT {
                call.lines.remove(0);
            }
        }
        let of_second = call.lines.iter().filter(|(second, _)| *second == line.second);
        of_second.take_while(|(_, hash)| *hash != line.hash).count() as Millis
    }

    /// Forgets what is over; now and then, so that it costs nothing.
    fn sweep(&mut self, second: i64) {
        self.newest = self.newest.max(second);
        if self.newest < self.swept + OVER_KEPT_SECS {
            return;
        }
        self.swept = self.newest;
        let now = self.newest;
        self.calls.retain(|_, call| {
            let last = call.lines.last().map_or(0, |(second, _)| *second);
            now - last <= if call.open { OPEN_KEPT_SECS } else { OVER_KEPT_SECS }
        });
    }

    fn open(&mut self, line: &Line<'_>, open: bool) {
        if let Some(call) = self.calls.get_mut(line.call) {
            call.open = open;
        }
    }

    fn state_after_call(&self, agent: &str) -> AgentStateName {
        if self.paused.contains_key(agent) { AgentStateName::Break } else { AgentStateName::Available }
    }

    /// A line about a call.
    fn call(&mut self, line: &Line<'_>, time: Millis, out: &mut Out) -> Result<(), Reject> {
        let agent = line.agent;
        let mut add = |what: &str, kind: Kind, at: Millis, with_agent: bool| {
            let event = out.event(line.id(what), kind, at);
            event.contact_id = owned(line.call);
            event.queue = owned(line.queue);
            event.channel = Some(Channel::Voice);
            event.agent_id = if with_agent { agent.and_then(owned) } else { None };
        };
        match line.name {
            "ENTERQUEUE" => add("enter", Kind::Queued, time, false),
            "CONNECT" => {
                if let Some(ring) = line.parameter(2).filter(|ring| *ring > 0) {
                    add("offered", Kind::Offered, time - ring * 1000, true);
                }
                add("connect", Kind::Answered, time, true);
            }
            "COMPLETEAGENT" | "COMPLETECALLER" => {
                add("complete", Kind::Ended, time, false);
                add("wrap", Kind::Wrapped, time, true);
            }
            "TRANSFER" | "BLINDTRANSFER" | "ATTENDEDTRANSFER" => {
                add("transfer", Kind::Transferred, time, true);
                add("gone", Kind::Ended, time, false);
                add("wrap", Kind::Wrapped, time, true);
            }
            "ABANDON" => add("abandon", Kind::Ended, time, false),
            "RINGNOANSWER" => {
                let ring = line.parameter(0).unwrap_or(0);
                add("offered", Kind::Offered, time - ring, true);
                add("missed", Kind::Missed, time, true);
            }
            // The caller hung up, or another agent took it, while it rang here.
            "RINGCANCELED" => add("offered", Kind::Offered, time - line.parameter(0).unwrap_or(0), true),
            "AGENTDUMP" => add("missed", Kind::Missed, time, true),
            "EXITWITHTIMEOUT" | "EXITWITHKEY" | "EXITEMPTY" | "LEAVEEMPTY" | "WITHDRAW" | "SYSCOMPAT" => {
                add("left", Kind::LeftQueue, time, false);
                add("gone", Kind::Ended, time, false);
            }
            _ => {}
        }
        self.open(
            line,
            matches!(line.name, "ENTERQUEUE" | "CONNECT" | "RINGNOANSWER" | "RINGCANCELED" | "AGENTDUMP"),
        );
        for event in &mut out.events {
            finish(event, line);
        }
        if let Some(agent) = agent {
            let state = match line.name {
                "CONNECT" => Some(AgentStateName::Busy),
                "COMPLETEAGENT" | "COMPLETECALLER" | "TRANSFER" | "BLINDTRANSFER" | "ATTENDEDTRANSFER" => {
                    Some(self.state_after_call(agent))
                }
                _ => None,
            };
            if let Some(state) = state {
                agent_state(line, time, agent, state, out);
            }
        }
        Ok(())
    }
}

/// What the line says about the contact's end and the exit.
fn finish(event: &mut Event<'static>, line: &Line<'_>) {
    match event.kind {
        Kind::LeftQueue => {
            event.leave_reason = Some(match line.name {
                "EXITWITHTIMEOUT" => LeaveReason::Timeout,
                "EXITWITHKEY" => LeaveReason::ExitKey,
                "EXITEMPTY" | "LEAVEEMPTY" => LeaveReason::NoAgent,
                "WITHDRAW" => LeaveReason::Overflow,
                _ => LeaveReason::Error,
            });
        }
        Kind::Ended => {
            event.by = match line.name {
                "COMPLETECALLER" | "ABANDON" => Some(EndedBy::Customer),
                "COMPLETEAGENT" => Some(EndedBy::Agent),
                _ => None,
            };
            event.reason = owned(line.name);
        }
        // A blind transfer names the extension. An attended one begins with how it was done (BRIDGE, APP, LINK), which is no
        // place to go to.
        Kind::Transferred if line.name != "ATTENDEDTRANSFER" => {
            event.to_queue = line.parameters.first().and_then(|extension| owned(*extension));
        }
        Kind::Queued => event.customer_id = line.parameters.get(1).and_then(|caller| owned(*caller)),
        _ => {}
    }
}

fn agent_state(line: &Line<'_>, time: Millis, agent: &str, state: AgentStateName, out: &mut Out) {
    let event = out.event(line.id(line.name), Kind::AgentState, time);
    event.agent_id = owned(agent);
    event.state = Some(state);
    event.queue = owned(line.queue).filter(|queue| queue != "NONE");
    event.reason = match line.name {
        "PAUSE" | "PAUSEALL" => line.parameters.first().and_then(|reason| owned(*reason)),
        _ => None,
    };
}

impl Adapter for QueueLog {
    fn read(&mut self, text: &str, _timestamp: Option<Millis>, out: &mut Out) -> Result<(), Reject> {
        let line = split(text)?;
        self.sweep(line.second);
        match line.name {
            "ENTERQUEUE" | "CONNECT" | "COMPLETEAGENT" | "COMPLETECALLER" | "TRANSFER" | "BLINDTRANSFER"
            | "ATTENDEDTRANSFER" | "ABANDON" | "RINGNOANSWER" | "RINGCANCELED" | "AGENTDUMP"
            | "EXITWITHTIMEOUT" | "EXITWITHKEY" | "EXITEMPTY" | "LEAVEEMPTY" | "WITHDRAW" | "SYSCOMPAT" => {
                if matches!(line.call, "" | "NONE" | "REALTIME" | "MANAGER" | "CLI") {
                    return Err(missing("call id"));
                }
                let time = line.time + self.place(&line);
                self.call(&line, time, out)
            }
            "QUEUESTART" => {
                for (call, known) in &mut self.calls {
                    if known.open {
                        known.open = false;
                        let event = out.event(format!("QUEUESTART-{}", line.second), Kind::Ended, line.time);
                        event.contact_id = owned(call.as_str());
                        event.by = Some(EndedBy::System);
                        event.reason = owned("QUEUESTART");
                    }
                }
                Ok(())
            }
            "AGENTLOGIN"
            | "AGENTCALLBACKLOGIN"
            | "ADDMEMBER"
            | "UNPAUSE"
            | "UNPAUSEALL"
            | "PAUSE"
            | "PAUSEALL"
            | "AGENTLOGOFF"
            | "AGENTCALLBACKLOGOFF"
            | "REMOVEMEMBER" => {
                let Some(agent) = line.agent else { return Ok(()) };
                let state = match line.name {
                    "PAUSE" | "PAUSEALL" => AgentStateName::Break,
                    // A member may come paused, also when realtime members are read again.
                    "ADDMEMBER" if line.parameters.first() == Some(&"PAUSED") => AgentStateName::Break,
                    "AGENTLOGOFF" | "AGENTCALLBACKLOGOFF" | "REMOVEMEMBER" => AgentStateName::Offline,
                    _ => AgentStateName::Available,
                };
                if state == AgentStateName::Break {
                    self.paused.insert(agent.to_owned(), true);
                } else {
                    self.paused.remove(agent);
                }
                agent_state(&line, line.time, agent, state, out);
                Ok(())
            }
            // What changes neither a call nor an agent; OUTCALL is a report of a call that no other line tells of.
            "CONFIGRELOAD" | "OUTCALL" | "PENALTY" | "RINGINUSE" | "MEMBERSTATUS" | "DID" | "QUEUEURL"
            | "INFO" | "URL" => Ok(()),
            other => Err(unknown_type("event", other)),
        }
    }

    fn state(&self) -> Option<String> {
        let calls: BTreeMap<&String, Value> =
            self.calls.iter().map(|(id, call)| (id, json!([call.open, call.lines]))).collect();
        let paused: Vec<&String> = self.paused.keys().collect();
        Some(json!({ "calls": calls, "paused": paused, "newest": self.newest }).to_string())
    }

    fn resume(&mut self, state: &str) {
        let Ok(state) = serde_json::from_str::<Value>(state) else { return };
        self.newest = state["newest"].as_i64().unwrap_or(0);
        self.swept = self.newest;
        for agent in state["paused"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.paused.insert(agent.to_owned(), true);
        }
        for (id, call) in state["calls"].as_object().into_iter().flatten() {
            let lines = call[1].as_array().into_iter().flatten();
            let lines = lines.filter_map(|line| Some((line[0].as_i64()?, line[1].as_u64()?))).collect();
            self.calls.insert(id.clone(), Call { lines, open: call[0].as_bool().unwrap_or(false) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kind, time, agent and id prefix of the events of lines.
    fn read(log: &mut QueueLog, lines: &[&str]) -> Vec<(Kind, Millis, Option<String>)> {
        let mut events = Vec::new();
        for line in lines {
            let mut out = Out::default();
            log.read(line, None, &mut out).unwrap_or_else(|reject| panic!("{line}: {reject:?}"));
            let seen = out.events.into_iter().filter(|event| event.contact_id.is_some());
            events.extend(
                seen.map(|event| (event.kind, event.time, event.agent_id.map(|agent| agent.into_owned()))),
            );
        }
        events
    }

    #[test]
    fn a_call_that_is_answered() {
        let lines = [
            "100|c1|sales|NONE|ENTERQUEUE||5551|1",
            "109|c1|sales|SIP/7|RINGNOANSWER|5000",
            "120|c1|sales|SIP/8|CONNECT|20|u1|4",
            "150|c1|sales|SIP/8|COMPLETECALLER|20|30|1",
        ];
        let seven = Some("SIP/7".to_owned());
        let eight = Some("SIP/8".to_owned());
        let want = vec![
            (Kind::Queued, 100_000, None),
            (Kind::Offered, 104_000, seven.clone()),
            (Kind::Missed, 109_000, seven),
            (Kind::Offered, 116_000, eight.clone()),
            (Kind::Answered, 120_000, eight.clone()),
            (Kind::Ended, 150_000, None),
            (Kind::Wrapped, 150_000, eight),
        ];
        assert_eq!(read(&mut QueueLog::default(), &lines), want);
    }

    #[test]
    fn a_member_may_come_paused() {
        let mut log = QueueLog::default();
        let mut states = |line: &str| {
            let mut out = Out::default();
            log.read(line, None, &mut out).expect("a known line");
            let of = out.events.into_iter().filter(|event| event.kind == Kind::AgentState);
            of.filter_map(|event| event.state).collect::<Vec<_>>()
        };
        assert_eq!(states("1|MANAGER|q|SIP/7|ADDMEMBER|"), [AgentStateName::Available]);
        assert_eq!(states("2|REALTIME|q|SIP/8|ADDMEMBER|PAUSED"), [AgentStateName::Break]);
        // Its call does not make it available.
        assert_eq!(states("9|c1|q|SIP/8|COMPLETECALLER|2|3|1"), [AgentStateName::Break]);
        assert_eq!(states("10|NONE|q|SIP/8|UNPAUSE|"), [AgentStateName::Available]);
        assert_eq!(states("11|c2|q|SIP/8|OUTCALL|ANSWER|30|40,5551"), []);
    }

    #[test]
    fn a_transfer_goes_where_it_says() {
        let to = |line: &str| {
            let mut out = Out::default();
            QueueLog::default().read(line, None, &mut out).expect("a known line");
            let of = out.events.into_iter().find(|event| event.kind == Kind::Transferred);
            of.expect("a transfer").to_queue.map(|to| to.into_owned())
        };
        assert_eq!(to("9|c1|q|SIP/8|BLINDTRANSFER|8001|internal|2|3|1"), Some("8001".to_owned()));
        assert_eq!(to("9|c1|q|SIP/8|ATTENDEDTRANSFER|BRIDGE|8a-1|2|3|1"), None);
    }

    #[test]
    fn an_old_connect_has_two_fields_and_no_ring() {
        let got = read(&mut QueueLog::default(), &["120|c1|sales|SIP/8|CONNECT|20|u1"]);
        assert_eq!(got, [(Kind::Answered, 120_000, Some("SIP/8".to_owned()))]);
    }

    #[test]
    fn lines_of_one_second_keep_their_order_and_a_repeat_keeps_its_time() {
        let lines = [
            "100|c1|sales|NONE|ENTERQUEUE||5551|1",
            "130|c1|sales|NONE|EXITWITHTIMEOUT|1|1|30",
            "130|c1|help|NONE|ENTERQUEUE||5551|1",
            "130|c1|sales|NONE|EXITWITHTIMEOUT|1|1|30",
        ];
        let times: Vec<Millis> = read(&mut QueueLog::default(), &lines).iter().map(|event| event.1).collect();
        assert_eq!(times, [100_000, 130_000, 130_000, 130_001, 130_000, 130_000]);
    }

    #[test]
    fn a_restart_ends_what_was_open_and_nothing_else_also_after_a_resumption() {
        let mut log = QueueLog::default();
        read(
            &mut log,
            &["100|a|q|NONE|ENTERQUEUE|||1", "101|b|q|NONE|ENTERQUEUE|||1", "103|b|q|NONE|ABANDON|1|1|2"],
        );
        let mut later = QueueLog::default();
        later.resume(&log.state().expect("the queue log has a state"));
        assert_eq!(later.calls, log.calls);
        for log in [&mut log, &mut later] {
            let mut out = Out::default();
            log.read("140|NONE|NONE|NONE|QUEUESTART|", None, &mut out).expect("a known line");
            let ended: Vec<_> =
                out.events.iter().map(|event| (event.contact_id.as_deref(), event.by)).collect();
            assert_eq!(ended, [(Some("a"), Some(EndedBy::System))]);
        }
    }

    #[test]
    fn what_is_no_line_is_refused_with_its_reason() {
        let reason = |line: &str| {
            QueueLog::default().read(line, None, &mut Out::default()).map_err(|reject| reject.reason)
        };
        assert_eq!(reason("x|c|q|a|CONNECT"), Err(RejectReason::BadTime));
        assert_eq!(reason("1|c|q"), Err(RejectReason::MissingField));
        assert_eq!(reason("1|c|q|a|DANCE|1"), Err(RejectReason::UnknownType));
        assert_eq!(reason("1|NONE|q|a|CONNECT|1"), Err(RejectReason::MissingField));
        assert_eq!(reason("1|c|q|a|CONFIGRELOAD|"), Ok(()));
    }

    #[test]
    fn memory_is_bounded_by_the_calls_of_late() {
        let mut log = QueueLog::default();
        for second in 0..10_000 {
            read(
                &mut log,
                &[
                    &format!("{second}|c{second}|q|NONE|ENTERQUEUE|||1"),
                    &format!("{second}|c{second}|q|NONE|ABANDON|1|1|0"),
                ],
            );
        }
        assert!(log.calls.len() < 200, "{}", log.calls.len());
    }
}
