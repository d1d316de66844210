//! A window as bytes, so that rolling figures and what waits survive a restart.
//!
//! Layout: magic and version, zone and slot length, the bound and the configured queues, the series, then per series who
//! waits and what is active, slots, panes, agents, panes of sentiment. Integers are variable-length (zigzag); sums are a mask of those that
//! are not 0, and these. Counters are left out: they begin at 0 with the process (a partition that moves to another
//! instance would make them leap), and [`Counted`](super::Counted) keeps contacts from being counted twice.

use std::collections::BTreeMap;

use super::counters::Counters;
use super::fold::Window;
use super::options::{Edges, Options};
use super::pieces::Pieces;
use super::said::{Mood, Moods};
use super::series::SeriesKey;
use super::summary::{Series, Summary};
use crate::event::Channel;
use crate::kpi::{ServiceLevel, Sum, Totals};
use crate::time::Slot;

const MAGIC: &[u8] = b"callpulse window 2\n";
const SUMMARY_MAGIC: &[u8] = b"callpulse summary 1\n";
const HINT: &str = "hint: start with an empty window and hand in each known contact as new";

impl Window {
    /// The state as bytes, without the counters.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        let grid = &self.options.grid;
        text(&mut out, grid.zone().name());
        int(&mut out, i64::from(grid.slot_minutes()));
        int(&mut out, self.reference);
        int(&mut out, self.newest);
        int(&mut out, i64::from(self.table.folds()));
        int(&mut out, self.options.max_series as i64);
        int(&mut out, self.options.queues.len() as i64);
        for queue in &self.options.queues {
            text(&mut out, &queue.name);
        }
        int(&mut out, self.live.len() as i64);
        for (key, live) in self.table.keys().iter().zip(&self.live) {
            text(&mut out, &key.queue);
            out.push(key.channel as u8);
            int(&mut out, live.active);
            int(&mut out, live.waiting.len() as i64);
            for (&(queued_at, target, slot), &legs) in &live.waiting {
                for value in [queued_at, target, slot, legs] {
                    int(&mut out, value);
                }
            }
        }
        for pieces in [&self.slots, &self.fine, &self.coarse] {
            int(&mut out, pieces.from());
            int(&mut out, pieces.all().len() as i64);
            for (piece, sums) in pieces.all() {
                int(&mut out, piece);
                int(&mut out, sums.len() as i64);
                for (number, sums) in sums {
                    int(&mut out, i64::from(*number));
                    totals(&mut out, sums);
                }
            }
        }
        for agents in self.agents {
            int(&mut out, agents);
        }
        for panes in [&self.said.fine, &self.said.coarse] {
            int(&mut out, panes.len() as i64);
            for (piece, moods) in panes {
                int(&mut out, *piece);
                for mood in moods {
                    int(&mut out, mood.utterances);
                    int(&mut out, mood.thousandths);
                }
            }
        }
        out
    }

    /// Reads what [`Window::to_bytes`] wrote, under options that may have changed since.
    ///
    /// An error says why the state cannot be taken over: other bytes, another zone or slot length, or another bound or
    /// other queues after series were folded (then it is not known what was added where).
    pub fn from_bytes(bytes: &[u8], options: Options) -> Result<Self, String> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(format!("the saved window is not of this version; {HINT}"));
        };
        let damaged = || format!("the saved window of `{}` bytes is damaged; {HINT}", bytes.len());
        let mut reader = Reader { bytes: rest };
        let (zone, minutes) = (reader.text().ok_or_else(damaged)?, reader.int().ok_or_else(damaged)?);
        let grid = options.grid;
        if zone != grid.zone().name() || minutes != i64::from(grid.slot_minutes()) {
            return Err(format!(
                "the saved window has slots of `{minutes}` minutes in `{zone}`, not `{}` in `{}`; {HINT}",
                grid.slot_minutes(),
                grid.zone().name()
            ));
        }
        reader.window(options).ok_or_else(damaged)?
    }
}

impl Summary {
    /// What other instances add to their own: everything but counters and how often phrases were heard, which belong to
    /// the process that counted them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = SUMMARY_MAGIC.to_vec();
        int(&mut out, self.now);
        let (start, end) = self.slot.map_or((0, 0), |slot| (slot.start, slot.end));
        for value in [start, end, i64::from(self.date), self.series.len() as i64] {
            int(&mut out, value);
        }
        for (key, series) in &self.series {
            text(&mut out, &key.queue);
            out.push(key.channel as u8);
            out.push(u8::from(series.configured));
            text(&mut out, series.service_level.id());
            int(&mut out, series.waiting);
            int(&mut out, i64::from(series.oldest_waiting_at.is_some()));
            int(&mut out, series.oldest_waiting_at.unwrap_or_default());
            int(&mut out, series.active);
            totals(&mut out, &series.slot);
            totals(&mut out, &series.today);
            series.rolling.iter().for_each(|sums| totals(&mut out, sums));
            int(&mut out, series.ledger_gap);
        }
        self.agents.iter().for_each(|agents| int(&mut out, *agents));
        for mood in self.moods.iter().flatten() {
            int(&mut out, mood.utterances);
            int(&mut out, mood.thousandths);
        }
        int(&mut out, self.folded as i64);
        out
    }

    /// Reads what [`Summary::to_bytes`] wrote; `None` for anything else, as from another release.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader { bytes: bytes.strip_prefix(SUMMARY_MAGIC)? };
        let summary = reader.summary()?;
        reader.bytes.is_empty().then_some(summary)
    }
}

/// Takes values off the front; `None` where there is none.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn window(&mut self, options: Options) -> Option<Result<Window, String>> {
        let (reference, newest) = (self.int()?, self.int()?);
        let (folds, max_series) = (self.int()? != 0, self.int()?);
        let mut queues = Vec::new();
        for _ in 0..self.int()? {
            queues.push(self.text()?);
        }
        let same_queues = queues.iter().copied().eq(options.queues.iter().map(|queue| queue.name.as_str()));
        if folds && (max_series != options.max_series as i64 || !same_queues) {
            return Some(Err(format!(
                "the saved window had folded series under a bound of `{max_series}` and other queues; {HINT}"
            )));
        }

        let mut window = Window::new(options);
        // Number of a series as saved, and as it is now.
        let mut numbers: Vec<u32> = Vec::new();
        let mut others = 0;
        for _ in 0..self.int()? {
            let queue = self.text()?;
            let number = window.table.open(queue, Channel::from_code(self.byte()?)?);
            others += usize::from(!window.table.is_configured(queue) && queue != super::OTHER_QUEUE);
            numbers.push(number);
            window.grow();
            let live = &mut window.live[number as usize];
            live.active = self.int()?;
            for _ in 0..self.int()? {
                let key = (self.int()?, self.int()?, self.int()?);
                live.waiting.insert(key, self.int()?);
            }
        }
        window.table.take_room(others);
        if folds {
            window.table.set_folds();
        }
        for pieces in [&mut window.slots, &mut window.fine, &mut window.coarse] {
            *pieces = self.pieces(&numbers)?;
        }
        for agents in &mut window.agents {
            *agents = self.int()?;
        }
        window.said.fine = self.moods()?;
        window.said.coarse = self.moods()?;
        window.said.keep_from(window.fine.from(), window.coarse.from());
        (window.reference, window.newest) = (reference, newest);
        self.bytes.is_empty().then_some(Ok(window))
    }

    fn summary(&mut self) -> Option<Summary> {
        let mut summary = Summary { now: self.int()?, ..Summary::default() };
        let slot = Slot { start: self.int()?, end: self.int()? };
        summary.slot = (slot.start < slot.end).then_some(slot);
        summary.date = i32::try_from(self.int()?).ok()?;
        for _ in 0..self.int()? {
            let queue = self.text()?.into();
            let key = SeriesKey { queue, channel: Channel::from_code(self.byte()?)? };
            let configured = self.byte()? != 0;
            let mut series = Series {
                configured,
                service_level: ServiceLevel::from_id(self.text()?)?,
                counters: Counters::new(&Edges::default()),
                waiting: self.int()?,
                oldest_waiting_at: None,
                active: 0,
                slot: Totals::default(),
                today: Totals::default(),
                rolling: Default::default(),
                ledger_gap: 0,
            };
            let waits = self.int()? != 0;
            series.oldest_waiting_at = Some(self.int()?).filter(|_| waits);
            series.active = self.int()?;
            series.slot = self.totals()?;
            series.today = self.totals()?;
            for sums in &mut series.rolling {
                *sums = self.totals()?;
            }
            series.ledger_gap = self.int()?;
            summary.series.insert(key, series);
        }
        for agents in &mut summary.agents {
            *agents = self.int()?;
        }
        for mood in summary.moods.iter_mut().flatten() {
            *mood = Mood { utterances: self.int()?, thousandths: self.int()? };
        }
        summary.folded = u64::try_from(self.int()?).ok()?;
        Some(summary)
    }

    fn pieces(&mut self, numbers: &[u32]) -> Option<Pieces> {
        let mut pieces = Pieces::default();
        pieces.keep_from(self.int()?);
        for _ in 0..self.int()? {
            let piece = self.int()?;
            for _ in 0..self.int()? {
                let number = *numbers.get(usize::try_from(self.int()?).ok()?)?;
                let saved = self.totals()?;
                pieces.change(piece, number, |totals| *totals += &saved);
            }
        }
        Some(pieces)
    }

    fn moods(&mut self) -> Option<BTreeMap<i64, Moods>> {
        let mut panes = BTreeMap::new();
        for _ in 0..self.int()? {
            let piece = self.int()?;
            let mut moods = Moods::default();
            for mood in &mut moods {
                *mood = Mood { utterances: self.int()?, thousandths: self.int()? };
            }
            panes.insert(piece, moods);
        }
        Some(panes)
    }

    fn totals(&mut self) -> Option<Totals> {
        let mask = self.int()?;
        let mut totals = Totals::default();
        for (place, &sum) in Sum::ALL.iter().enumerate() {
            if mask >> place & 1 == 1 {
                *totals.get_mut(sum) = self.int()?;
            }
        }
        Some(totals)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.int()?).ok()?;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    fn int(&mut self) -> Option<i64> {
        let mut zigzag = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }
}

fn int(out: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    int(out, text.len() as i64);
    out.extend_from_slice(text.as_bytes());
}

fn totals(out: &mut Vec<u8>, totals: &Totals) {
    let mut mask = 0;
    for (place, &sum) in Sum::ALL.iter().enumerate() {
        mask |= i64::from(totals.get(sum) != 0) << place;
    }
    int(out, mask);
    for &sum in Sum::ALL.iter().filter(|sum| totals.get(**sum) != 0) {
        int(out, totals.get(sum));
    }
}

const _: () = assert!(Sum::ALL.len() < 63, "the mask of the sums fits an integer");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AgentStateName;
    use crate::time::{HOUR, MINUTE};

    fn summary() -> Summary {
        let now = 1_772_413_200_000;
        let series = Series {
            configured: true,
            service_level: ServiceLevel::ALL[3],
            counters: Counters::new(&Edges::default()),
            waiting: 2,
            oldest_waiting_at: Some(now - MINUTE),
            active: 7,
            slot: Totals { offered: 9, wait_ms_sum: -3, ..Totals::default() },
            today: Totals { answered: 1 << 40, ..Totals::default() },
            rolling: [Totals { handled: 5, ..Totals::default() }; 5],
            ledger_gap: -1,
        };
        let mut summary =
            Summary { now, slot: Some(Slot { start: now, end: now + HOUR }), ..Summary::default() };
        summary.date = 20_514;
        for (queue, channel) in [("销售", Channel::Voice), ("", Channel::Chat)] {
            summary.series.insert(SeriesKey { queue: queue.into(), channel }, series.clone());
        }
        summary.agents = [3; AgentStateName::ALL.len()];
        summary.moods[4][0] = Mood { utterances: 4, thousandths: -2_500 };
        summary.folded = 11;
        summary
    }

    #[test]
    fn a_summary_comes_back_and_damage_does_not() {
        let summary = summary();
        let bytes = summary.to_bytes();
        assert_eq!(Summary::from_bytes(&bytes), Some(summary.clone()));
        assert_eq!(Summary::from_bytes(&Summary::default().to_bytes()), Some(Summary::default()));
        for length in 0..bytes.len() {
            assert_eq!(Summary::from_bytes(&bytes[..length]), None, "cut at {length}");
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x55;
            // Read or not, it neither panics nor takes memory without bound.
            drop(Summary::from_bytes(&bytes));
        }
        // What was read adds up as what was written.
        let read = Summary::from_bytes(&bytes).expect("it was read before");
        let (mut one, mut two) = (summary.clone(), summary.clone());
        one.merge(&read);
        two.merge(&summary);
        assert_eq!(one, two);
    }
}
