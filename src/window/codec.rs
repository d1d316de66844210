//! A window as bytes, so that rolling figures and what waits survive a restart.
//!
//! Layout: magic and version, zone and slot length, the bound and the configured queues, the series, then per series who
//! waits and what is active, slots, panes, agents, panes of sentiment. Integers are variable-length (zigzag); sums are a mask of those that
//! are not 0, and these. Counters are left out: they begin at 0 with the process (a partition that moves to another
//! instance would make them leap), and [`Counted`](super::Counted) keeps contacts from being counted twice.

use std::collections::BTreeMap;

use super::fold::Window;
use super::options::Options;
use super::pieces::Pieces;
use super::said::{Mood, Moods};
use crate::event::Channel;
use crate::kpi::{Sum, Totals};

const MAGIC: &[u8] = b"callpulse window 2\n";
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
