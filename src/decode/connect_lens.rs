//! Amazon Connect: real-time segments of Contact Lens, the transcript of a call as it is spoken, or of a chat.
//!
//! Segments of calls have offsets from the beginning of the analysis and no wall time. What was said last in a record had
//! just been said when the record was written, so the record's own Kafka timestamp stands for the end of its newest segment.
//! A file has no such timestamp: its segments cannot be placed in time. What was written in a chat says when.

use serde_json::{Map, Value};

use super::connect::channel;
use super::vendor::{Out, at, int_at, member, missing, owned, reject, text_at, time_at};
use crate::event::{Kind, Reject, RejectReason, Speaker};
use crate::time::Millis;

pub(super) fn segments(
    record: &Map<String, Value>,
    timestamp: Option<Millis>,
    out: &mut Out,
) -> Result<(), Reject> {
    let contact = text_at(record, &["ContactId"]).ok_or_else(|| missing("ContactId"))?;
    let listed = at(record, &["Segments"]).and_then(Value::as_array).ok_or_else(|| missing("Segments"))?;
    let spoken = |segment: &'_ Value| -> Option<(bool, Map<String, Value>)> {
        let segment = segment.as_object()?;
        let whole =
            member(segment, "Transcript").and_then(Value::as_object).map(|spoken| (true, spoken.clone()));
        whole.or_else(|| {
            member(segment, "Utterance").and_then(Value::as_object).map(|spoken| (false, spoken.clone()))
        })
    };
    let pieces: Vec<(bool, Map<String, Value>)> = listed.iter().filter_map(spoken).collect();
    let newest = pieces.iter().filter_map(|(_, piece)| int_at(piece, &["EndOffsetMillis"])).max();
    for (whole, piece) in &pieces {
        let name = if *whole { "Content" } else { "PartialContent" };
        let Some(text) = text_at(piece, &[name]) else { continue };
        let id = text_at(piece, &["Id"]).ok_or_else(|| missing("Id"))?;
        let (time, duration) = match time_at(piece, &["Time", "AbsoluteTime"])? {
            Some(time) => (time, None),
            None => {
                let begin =
                    int_at(piece, &["BeginOffsetMillis"]).ok_or_else(|| missing("BeginOffsetMillis"))?;
                let end = int_at(piece, &["EndOffsetMillis"]).unwrap_or(begin).max(begin);
                let Some(timestamp) = timestamp else {
                    let detail = "segments of Contact Lens have offsets and no wall time; without a Kafka timestamp they \
                                  cannot be placed";
                    return Err(reject(RejectReason::BadTime, detail));
                };
                (timestamp - (newest.unwrap_or(end) - begin).max(0), Some(end - begin))
            }
        };
        let event = out.event(id.clone(), Kind::Message, time);
        event.contact_id = owned(contact.clone());
        event.channel = channel(record);
        event.speaker = Some(match text_at(piece, &["ParticipantRole"]).unwrap_or_default().as_str() {
            "AGENT" => Speaker::Agent,
            "CUSTOMER" => Speaker::Customer,
            "CUSTOM_BOT" | "BOT" | "AGENTLESS_BOT" => Speaker::Bot,
            _ => Speaker::System,
        });
        event.text = owned(text);
        event.duration_ms = duration;
        event.is_final = *whole;
        event.utterance = if *whole { owned(id) } else { text_at(piece, &["TranscriptId"]).and_then(owned) };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"Version":"1.0.0","Channel":"VOICE","ContactId":"c1","LanguageCode":"en-US","EventType":"SEGMENTS","Segments":[
        {"Transcript":{"Id":"t1","ParticipantRole":"CUSTOMER","Content":"my bill","BeginOffsetMillis":1000,"EndOffsetMillis":2500,"Sentiment":"NEGATIVE"}},
        {"Utterance":{"Id":"u2","TranscriptId":"t2","ParticipantRole":"AGENT","PartialContent":"I am","BeginOffsetMillis":3000,"EndOffsetMillis":3600}},
        {"Categories":{"MatchedCategories":["x"]}}]}"#;

    #[test]
    fn the_newest_word_was_said_when_the_record_was_written() {
        let value: Value = serde_json::from_str(RECORD).expect("the test writes JSON");
        let record = value.as_object().expect("an object");
        let mut out = Out::default();
        segments(record, Some(1_772_413_200_000), &mut out).expect("segments");
        let seen: Vec<_> = out
            .events
            .iter()
            .map(|e| (e.time, e.is_final, e.speaker, e.utterance.as_deref(), e.duration_ms))
            .collect();
        let base = 1_772_413_200_000 - 3600;
        assert_eq!(
            seen,
            [
                (base + 1000, true, Some(Speaker::Customer), Some("t1"), Some(1500)),
                (base + 3000, false, Some(Speaker::Agent), Some("t2"), Some(600)),
            ]
        );
        assert_eq!(
            segments(record, None, &mut Out::default()).map_err(|r| r.reason),
            Err(RejectReason::BadTime)
        );
    }

    #[test]
    fn what_was_written_in_a_chat_says_when() {
        let record = r#"{"Version":"2.0.0","Channel":"CHAT","ContactId":"c2","StreamingEventType":"SEGMENTS","OutputType":"Redacted","Segments":[
            {"Transcript":{"Id":"m1","ParticipantRole":"CUSTOMER","Content":"still no refund","ContentType":"text/plain",
                           "Time":{"AbsoluteTime":"2026-03-02T01:00:05.250Z"}}},
            {"Event":{"Id":"e1","EventType":"application/vnd.amazonaws.connect.event.participant.left",
                      "Time":{"AbsoluteTime":"2026-03-02T01:00:09.000Z"}}}]}"#;
        let value: Value = serde_json::from_str(record).expect("the test writes JSON");
        let mut out = Out::default();
        segments(value.as_object().expect("an object"), None, &mut out).expect("segments");
        let seen: Vec<_> =
            out.events.iter().map(|e| (&*e.id, e.time, e.speaker, e.text.as_deref())).collect();
        assert_eq!(seen, [("m1", 1_772_413_205_250, Some(Speaker::Customer), Some("still no refund"))]);
    }
}
