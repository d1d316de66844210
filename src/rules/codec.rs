//! The bytes of what is watched: numbers of variable length, texts with their length before them.

use std::sync::Arc;

use super::contact::{Contact, LINES_MAX, Line, STEPS_MAX, Step};
use super::test::Cause;
use super::watch::{Dossier, Names};
use super::{Hit, Subject};
use crate::event::{Channel, EndedBy, Kind, Speaker};
use crate::time::Millis;

/// Writes values one after the other.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn number(&mut self, value: u64) {
        let mut rest = value;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    pub(super) fn count(&mut self, value: usize) {
        self.number(value as u64);
    }

    fn time(&mut self, value: Millis) {
        self.number((value << 1 ^ value >> 63) as u64);
    }

    fn time_if(&mut self, value: Option<Millis>) {
        // No event is at the first instant there is.
        self.time(value.unwrap_or(Millis::MIN));
    }

    pub(super) fn text(&mut self, value: &str) {
        self.count(value.len());
        self.bytes.extend_from_slice(value.as_bytes());
    }

    fn text_if(&mut self, value: Option<&str>) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            self.text(value);
        }
    }

    /// A code of a closed list, 0 for none.
    fn code(&mut self, code: Option<u8>) {
        self.number(code.map_or(0, |code| u64::from(code) + 1));
    }
}

/// Reads what [`Writer`] wrote; every method gives `None` where the bytes are something else.
pub(super) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for place in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A count of things that are still to come, each of at least one byte.
    pub(super) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.rest.len()).then_some(count)
    }

    fn time(&mut self) -> Option<Millis> {
        let value = self.number()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn time_if(&mut self) -> Option<Option<Millis>> {
        Some(Some(self.time()?).filter(|time| *time != Millis::MIN))
    }

    pub(super) fn text(&mut self) -> Option<&'b str> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    fn text_if(&mut self) -> Option<Option<&'b str>> {
        if self.number()? == 0 { Some(None) } else { Some(Some(self.text()?)) }
    }

    fn code(&mut self) -> Option<Option<u8>> {
        let code = self.number()?;
        if code == 0 { Some(None) } else { Some(Some(u8::try_from(code - 1).ok()?)) }
    }
}

impl Contact {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.code(self.channel.map(|channel| channel as u8));
        for text in [&self.queue, &self.department, &self.tier, &self.customer] {
            writer.text_if(text.as_deref());
        }
        writer.count(self.steps().len());
        for step in self.steps() {
            writer.time(step.time);
            writer.code(Some(step.kind as u8));
            writer.text_if(step.queue.as_deref());
            writer.text_if(step.agent.as_deref());
            writer.code(step.by.map(|by| by as u8));
        }
        writer.count(self.lines.len());
        for line in &self.lines {
            writer.time(line.time);
            writer.text(&line.id);
            writer.code(Some(line.speaker as u8));
            writer.number(line.score.map_or(0, |score| u64::from(score.to_bits()) + 1));
            writer.text(&line.text);
            writer.count(line.hits.len());
            for hit in &line.hits {
                writer.text(&hit.category);
                writer.text(&hit.phrase);
                for number in [hit.start, hit.end, u32::from(hit.negated)] {
                    writer.number(u64::from(number));
                }
            }
        }
        writer.count(self.fired.len());
        self.fired.iter().for_each(|hash| writer.number(*hash));
        writer.count(self.open.len());
        for (id, cause, since) in &self.open {
            writer.text(id);
            writer.number(match cause {
                Cause::Wait => 0,
                Cause::Unanswered => 1,
                Cause::Contact => 2,
            });
            writer.time(*since);
        }
        writer.time(self.newest);
        writer.time(self.looked);
        writer.number(u64::from(self.end_told));
    }

    pub(super) fn read(reader: &mut Reader<'_>, names: &mut Names) -> Option<Contact> {
        let mut contact = Contact::new();
        contact.channel = reader.code()?.and_then(Channel::from_code);
        contact.queue = reader.text_if()?.map(|text| names.of(text));
        contact.department = reader.text_if()?.map(|text| names.of(text));
        contact.tier = reader.text_if()?.map(|text| names.of(text));
        contact.customer = reader.text_if()?.map(Arc::from);
        let steps = reader.count().filter(|steps| *steps <= STEPS_MAX)?;
        for _ in 0..steps {
            contact.add_step(Step {
                time: reader.time()?,
                kind: reader.code()?.and_then(Kind::from_code)?,
                queue: reader.text_if()?.map(|text| names.of(text)),
                agent: reader.text_if()?.map(|text| names.of(text)),
                by: reader.code()?.and_then(EndedBy::from_code),
            });
        }
        let lines = reader.count().filter(|lines| *lines <= LINES_MAX)?;
        for _ in 0..lines {
            let (time, id) = (reader.time()?, reader.text()?);
            let speaker = reader.code()?.and_then(Speaker::from_code)?;
            let score = reader.number()?.checked_sub(1);
            let score = score.and_then(|bits| u32::try_from(bits).ok()).map(f32::from_bits);
            let text = reader.text()?.into();
            let mut hits = Vec::new();
            for _ in 0..reader.count()? {
                let (category, phrase) = (reader.text()?, reader.text()?);
                let mut number = || u32::try_from(reader.number()?).ok();
                let (start, end, negated) = (number()?, number()?, number()? == 1);
                let (category, phrase) = (names.of(category), names.of(phrase));
                hits.push(Hit { category, phrase, start, end, negated });
            }
            contact.lines.push(Line { time, id: id.into(), speaker, score, hits, text });
        }
        for _ in 0..reader.count()? {
            contact.fired.push(reader.number()?);
        }
        for _ in 0..reader.count()? {
            let id = reader.text()?.to_owned();
            let cause = match reader.number()? {
                0 => Cause::Wait,
                1 => Cause::Unanswered,
                _ => Cause::Contact,
            };
            contact.open.push((id, cause, reader.time()?));
        }
        contact.newest = reader.time()?;
        contact.looked = reader.time()?;
        contact.end_told = reader.number()? == 1;
        Some(contact)
    }
}

impl Dossier {
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.number(u64::from(self.promise));
        let subject = &self.subject;
        let fields = [
            &subject.contact_id,
            &subject.queue,
            &subject.channel,
            &subject.department,
            &subject.agent_id,
            &subject.customer_id,
            &subject.tier,
            &subject.dossier,
        ];
        fields.into_iter().for_each(|field| writer.text(field));
        writer.time_if(self.from);
        writer.time_if(self.done_at);
        writer.count(self.open.len());
        self.open.iter().for_each(|id| writer.text(id));
        writer.count(self.fired.len());
        self.fired.iter().for_each(|hash| writer.number(*hash));
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Dossier> {
        let promise = reader.number()? == 1;
        let mut text = || reader.text().map(str::to_owned);
        let subject = Subject {
            contact_id: text()?,
            queue: text()?,
            channel: text()?,
            department: text()?,
            agent_id: text()?,
            customer_id: text()?,
            tier: text()?,
            dossier: text()?,
        };
        let (from, done_at) = (reader.time_if()?, reader.time_if()?);
        let mut dossier = Dossier { promise, subject, from, done_at, ..Dossier::default() };
        for _ in 0..reader.count()? {
            dossier.open.push(reader.text()?.to_owned());
        }
        for _ in 0..reader.count()? {
            dossier.fired.push(reader.number()?);
        }
        Some(dossier)
    }
}
