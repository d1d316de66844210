//! Event time, the slots of a centre's local day, and the one clock.
//!
//! Only [`SystemClock`] and [`ScaledClock`] read a clock; whoever needs the present takes a [`Clock`]. Everything
//! else in this file is arithmetic.
//!
//! Invariant: an instant lies in exactly one slot; the slots of a zone neither overlap nor leave a gap.
//! Invariant: a slot never spans a change of the zone's offset, so a repeated hour has its own slots.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type Millis = i64;

/// One second in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day of 24 hours in [`Millis`]; a local day may be shorter or longer.
pub const DAY: Millis = 24 * HOUR;

/// The last instant that is understood: 9999-12-31T23:59:59.999Z.
pub const TIME_MAX: Millis = 253_402_300_799_999;
/// The first instant that slots are made for: 0001-01-01T00:00:00Z. [`parse_time`] starts at 0 (1970).
const TIME_MIN: Millis = -62_135_596_800_000;

/// A piece of the centre's local day, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// The first instant inside.
    pub start: Millis,
    /// The first instant after it.
    pub end: Millis,
}

impl Slot {
    /// Tells whether `t` lies inside.
    pub fn contains(&self, t: Millis) -> bool {
        self.start <= t && t < self.end
    }

    /// Length in ms: the grid's slot length, less where the zone's offset changes off the grid.
    pub fn length_ms(&self) -> i64 {
        self.end - self.start
    }
}

/// A centre's slot grid: its time zone and the length of a slot.
///
/// The grid is laid over civil time, so that slots start at :00 and :30 of the wall clock in every zone. Instants
/// before year 1 or after year 9999 are treated as the nearest one inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    zone: Tz,
    slot_ms: i64,
}

impl Grid {
    /// Makes the grid of `zone` with slots of 15, 30 or 60 minutes; any other length is refused.
    pub fn new(zone: Tz, slot_minutes: u32) -> Result<Self, String> {
        match slot_minutes {
            15 | 30 | 60 => Ok(Self { zone, slot_ms: i64::from(slot_minutes) * MINUTE }),
            other => Err(format!("a slot of `{other}` minutes is not supported; take 15, 30 or 60")),
        }
    }

    /// The centre's time zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The length of an ordinary slot in minutes.
    pub fn slot_minutes(&self) -> u32 {
        (self.slot_ms / MINUTE) as u32
    }

    /// The length of an ordinary slot in ms.
    pub fn slot_ms(&self) -> i64 {
        self.slot_ms
    }

    /// The slot in which `t` lies. Costs a few zone look-ups; on a hot path take a [`SlotCache`].
    pub fn slot(&self, t: Millis) -> Slot {
        self.piece(t, self.slot_ms)
    }

    /// The start of the slot in which `t` lies.
    pub fn slot_start(&self, t: Millis) -> Millis {
        self.slot(t).start
    }

    /// The start of the civil hour in which `t` lies; a repeated hour is its own hour.
    pub fn hour_start(&self, t: Millis) -> Millis {
        self.piece(t, HOUR).start
    }

    /// The local civil date of `t`, in days since 1970-01-01.
    pub fn date(&self, t: Millis) -> i32 {
        let t = t.clamp(TIME_MIN, TIME_MAX);
        (t + self.offset(t)).div_euclid(DAY) as i32
    }

    /// The first instant whose local date is `date` (days since 1970-01-01) or later.
    ///
    /// Usually local midnight. Where the clock skips midnight, it is the instant of the change; where a whole day was
    /// skipped (Samoa, 2011-12-30), it is the start of the next one.
    pub fn day_start(&self, date: i32) -> Millis {
        let midnight = (i64::from(date) * DAY).clamp(TIME_MIN, TIME_MAX);
        // No zone is further from UTC than this, so that the day begins inside the range.
        let (mut from, to) = (midnight - 18 * HOUR, midnight + 18 * HOUR);
        while from < to {
            let (offset, until) = (self.offset(from), self.next_change(from, to));
            let start = from.max(midnight - offset);
            if start < until {
                return start;
            }
            from = until;
        }
        midnight
    }

    /// As [`local_clock`], in the zone of the centre.
    pub fn clock(&self, t: Millis, days: i64, minutes: i64) -> Option<Millis> {
        local_clock(self.zone, t, days, minutes)
    }

    /// The start of the local month in which `t` lies.
    pub fn month_start(&self, t: Millis) -> Millis {
        let (year, month, _) = civil_from_days(i64::from(self.date(t)));
        self.day_start(days_from_civil(year, month, 1) as i32)
    }

    /// The piece of `length` ms of the civil grid around `t`, cut where the offset changes.
    fn piece(&self, t: Millis, length: i64) -> Slot {
        let t = t.clamp(TIME_MIN, TIME_MAX);
        let offset = self.offset(t);
        let start = (t + offset).div_euclid(length) * length - offset;
        let end = start + length;
        // No zone changes twice within an hour, so that the ends tell about everything between.
        let start = if self.offset(start) == offset { start } else { self.change_between(start, t) };
        let end = if self.offset(end - 1) == offset { end } else { self.change_between(t, end - 1) };
        Slot { start, end }
    }

    /// Local time minus UTC at `t`, in ms.
    fn offset(&self, t: Millis) -> i64 {
        let seconds = t.div_euclid(SECOND).clamp(TIME_MIN / SECOND, TIME_MAX / SECOND);
        let utc = DateTime::from_timestamp(seconds, 0)
            .expect("years 1 to 9999 are inside chrono's range")
            .naive_utc();
        i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * SECOND
    }

    /// The first instant after `from` with another offset, or `to` if there is none before it.
    fn next_change(&self, from: Millis, to: Millis) -> Millis {
        let offset = self.offset(from);
        let mut same = from;
        while same < to {
            let next = (same + HOUR).min(to);
            if self.offset(next) != offset {
                return self.change_between(same, next);
            }
            same = next;
        }
        to
    }

    /// The first instant with the offset of `after`, which differs from the one at `before`.
    fn change_between(&self, before: Millis, after: Millis) -> Millis {
        let offset = self.offset(before);
        let (mut before, mut after) = (before, after);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset(middle) == offset {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

/// Places in a [`SlotCache`]: more than a day of quarter-hours, so that events of one day never push each other out.
const CACHED_SLOTS: usize = 128;

/// A grid that remembers the slots it was asked for last; owned by whoever folds events, so that it needs no lock.
#[derive(Debug, Clone)]
pub struct SlotCache {
    grid: Grid,
    places: Box<[(Slot, i32); CACHED_SLOTS]>,
}

impl SlotCache {
    /// Makes an empty cache over `grid`.
    pub fn new(grid: Grid) -> Self {
        // An empty slot contains nothing, so that a fresh place never answers.
        Self { grid, places: Box::new([(Slot { start: 0, end: 0 }, 0); CACHED_SLOTS]) }
    }

    /// The grid behind it.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The slot in which `t` lies; the same answer as [`Grid::slot`].
    pub fn slot(&mut self, t: Millis) -> Slot {
        self.place(t).0
    }

    /// The start of the slot in which `t` lies.
    pub fn slot_start(&mut self, t: Millis) -> Millis {
        self.place(t).0.start
    }

    /// The local date of `t`; the same answer as [`Grid::date`]. (No slot spans midnight, so that it has one date.)
    pub fn date(&mut self, t: Millis) -> i32 {
        self.place(t).1
    }

    fn place(&mut self, t: Millis) -> (Slot, i32) {
        let index = t.div_euclid(15 * MINUTE).rem_euclid(CACHED_SLOTS as i64) as usize;
        let known = self.places[index];
        // What is remembered is held against `t`, so that zones whose slots start off the quarter-hour are right too.
        if known.0.contains(t) {
            return known;
        }
        let fresh = (self.grid.slot(t), self.grid.date(t));
        self.places[index] = fresh;
        fresh
    }
}

/// The date that clocks of the zone show at `t`, in days since 1970-01-01; `None` beyond what a calendar has.
pub fn local_date(zone: Tz, t: Millis) -> Option<i32> {
    Some(zone.timestamp_millis_opt(t).single()?.date_naive().to_epoch_days())
}

/// The instant at which clocks of the zone show `minutes` after midnight, `days` after the local date of `t`; where they
/// skip that time, the first instant after the gap; where they show it twice, the first. `None` beyond what a calendar has.
pub fn local_clock(zone: Tz, t: Millis, days: i64, minutes: i64) -> Option<Millis> {
    let date = zone.timestamp_millis_opt(t).single()?.date_naive();
    let midnight = date.checked_add_signed(TimeDelta::try_days(days)?)?.and_hms_opt(0, 0, 0)?;
    let wanted = midnight.checked_add_signed(TimeDelta::try_minutes(minutes)?)?;
    // Gaps are whole minutes, and none is longer than a day.
    (0..=24 * 60).find_map(|later| {
        let local = wanted.checked_add_signed(TimeDelta::try_minutes(later)?)?;
        Some(zone.from_local_datetime(&local).earliest()?.timestamp_millis())
    })
}

/// Reads an RFC 3339 time with offset, cut to the millisecond; `None` if it is anything else.
///
/// `2026-11-21T09:00:00.123456+08:00`: `T`, `t` or a space; a fraction of any length or none; `Z`, `z` or `±hh:mm`. A
/// leap second (`:60`) is read as the last millisecond before it. The instant must lie in the years 1970 to 9999 (UTC).
pub fn parse_time(text: &str) -> Option<Millis> {
    let bytes = text.as_bytes();
    let (date_time, rest) = bytes.split_first_chunk::<19>()?;
    let d = date_time;
    if d[4] != b'-' || d[7] != b'-' || !matches!(d[10], b'T' | b't' | b' ') || d[13] != b':' || d[16] != b':'
    {
        return None;
    }
    let pairs = [(0, 1), (2, 3), (5, 6), (8, 9), (11, 12), (14, 15), (17, 18)];
    // One look at all digits is cheaper than one at each.
    let [century, year, month, day, hour, minute, second] =
        pairs.map(|(tens, ones)| two_digits(d[tens], d[ones]));
    if (century | year | month | day | hour | minute | second) >= NO_DIGITS {
        return None;
    }
    let year = 100 * century + year;
    // With its offset, the last day of 1969 may be in 1970.
    if year < 1969 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }

    let (mut fraction_ms, mut rest) = (0, rest);
    if let [b'.', digits @ ..] = rest {
        let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        // Digits that are not there count as 0: `.5` is 500 ms.
        for place in 0..3 {
            let digit = digits[..count].get(place).map_or(0, |b| i64::from(b - b'0'));
            fraction_ms = fraction_ms * 10 + digit;
        }
        rest = &digits[count..];
    }
    let (second, fraction_ms) = if second == 60 { (59, 999) } else { (second, fraction_ms) };

    let offset_minutes = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(h1, h2), two_digits(m1, m2));
            if hours > 23 || minutes > 59 {
                return None;
            }
            let total = i64::from(hours * 60 + minutes);
            if sign == b'+' { total } else { -total }
        }
        _ => return None,
    };

    let days = days_from_civil(year, month, day);
    let seconds = i64::from((hour * 60 + minute) * 60 + second);
    let local = days * DAY + seconds * SECOND + fraction_ms;
    let t = local - offset_minutes * MINUTE;
    (0..=TIME_MAX).contains(&t).then_some(t)
}

/// Writes a time as RFC 3339 in UTC, always with milliseconds: `2026-11-21T01:00:00.123Z`.
pub fn format_time(t: Millis) -> String {
    let (days, ms) = (t.div_euclid(DAY), t.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (ms / HOUR, ms / MINUTE % 60, ms / SECOND % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % SECOND)
}

/// What [`two_digits`] gives for anything else: a bit that no number below 100 has, so that answers can be joined by `|`.
const NO_DIGITS: u32 = 1 << 8;

/// Two ASCII digits as a number.
fn two_digits(tens: u8, ones: u8) -> u32 {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens <= 9 && ones <= 9 { u32::from(tens) * 10 + u32::from(ones) } else { NO_DIGITS }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, from year 1 on; the month is 1 to 12.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    /// Days of an ordinary year before the month.
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let years = year - 1;
    let leap_day = u32::from(month > 2 && is_leap(year));
    let days =
        365 * years + years / 4 - years / 100 + years / 400 + BEFORE[month as usize - 1] + leap_day + day;
    // Day 1 of the count is 0001-01-01, day 719,163 is 1970-01-01.
    i64::from(days) - 719_163
}

/// Year, month and day of a date in days since 1970-01-01.
fn civil_from_days(days: i64) -> (u32, u32, u32) {
    let limit = TIME_MAX / DAY;
    let days = days.clamp(TIME_MIN / DAY, limit) as i32;
    let date = NaiveDate::from_epoch_days(days).expect("years 1 to 9999 are inside chrono's range");
    (date.year().unsigned_abs(), date.month(), date.day())
}

/// Tells the present; handed to whoever needs it, so that tests and the demo have their own.
pub trait Clock: Send + Sync {
    /// The present, in ms since 1970.
    fn now(&self) -> Millis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
    fn now(&self) -> Millis {
        // A machine whose clock stands before 1970 has no time to tell.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
    }
}

/// A clock that starts at a given time and runs at a given speed: the demo's day in minutes.
#[derive(Debug, Clone, Copy)]
pub struct ScaledClock {
    start: Millis,
    speed: f64,
    origin: Instant,
}

impl ScaledClock {
    /// Starts a clock at `start` that runs `speed` times as fast as the machine's (0 stands still).
    ///
    /// A speed that is negative or not a number is taken as 0: time never runs backwards.
    #[allow(clippy::disallowed_methods, reason = "this is the one place where the clock is read")]
    pub fn new(start: Millis, speed: f64) -> Self {
        Self { start, speed: if speed > 0.0 { speed } else { 0.0 }, origin: Instant::now() }
    }

    /// The time this clock shows after `elapsed` of the machine's time.
    fn after(&self, elapsed: Duration) -> Millis {
        self.start.saturating_add((elapsed.as_secs_f64() * 1e3 * self.speed) as i64)
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Millis {
        self.after(self.origin.elapsed())
    }
}

fn millis(duration: Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(TIME_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND_LENGTHS: [u32; 3] = [15, 30, 60];

    fn grid(zone: &str, minutes: u32) -> Grid {
        Grid::new(zone.parse().expect("a zone of the test"), minutes).expect("a length of the test")
    }

    fn at(text: &str) -> Millis {
        parse_time(text).expect("a time of the test")
    }

    /// The slots from one instant to another, as UTC start and length in minutes.
    fn walk(grid: Grid, from: &str, to: &str) -> String {
        let (mut t, to, mut out) = (at(from), at(to), Vec::new());
        while t < to {
            let slot = grid.slot(t);
            out.push(format!("{}+{}", &format_time(slot.start)[11..16], slot.length_ms() / MINUTE));
            t = slot.end;
        }
        out.join(" ")
    }

    #[test]
    fn a_slot_of_another_length_is_refused() {
        for minutes in [0, 1, 20, 45, 90] {
            assert!(Grid::new(Tz::UTC, minutes).is_err(), "{minutes}");
        }
    }

    #[test]
    fn slots_follow_the_wall_clock_of_odd_zones() {
        let nine = at("2026-11-21T09:20:00Z");
        assert_eq!(format_time(grid("Asia/Shanghai", 30).slot_start(nine)), "2026-11-21T09:00:00.000Z");
        // +05:45: local 15:05, slot 15:00.
        assert_eq!(format_time(grid("Asia/Kathmandu", 30).slot_start(nine)), "2026-11-21T09:15:00.000Z");
        // Local 15:05, slot 15:00 = 09:15 UTC; with an hour the same.
        assert_eq!(format_time(grid("Asia/Kathmandu", 60).slot_start(nine)), "2026-11-21T09:15:00.000Z");
    }

    #[test]
    fn a_repeated_hour_is_its_own_slots() {
        // Berlin goes from +02:00 to +01:00 at 01:00 UTC: 02:00 local comes twice.
        let berlin = grid("Europe/Berlin", 30);
        assert_eq!(
            walk(berlin, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"),
            "00:00+30 00:30+30 01:00+30 01:30+30"
        );
        assert_eq!(
            walk(grid("Europe/Berlin", 60), "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z"),
            "00:00+60 01:00+60"
        );
        let day = |date| {
            let date = berlin.date(at(date));
            (berlin.day_start(date + 1) - berlin.day_start(date)) / HOUR
        };
        assert_eq!(day("2026-10-25T12:00:00Z"), 25);
        assert_eq!(day("2026-03-29T12:00:00Z"), 23);
        assert_eq!(day("2026-03-30T12:00:00Z"), 24);
    }

    #[test]
    fn half_an_hour_of_daylight_saving_cuts_the_slot_of_an_hour() {
        // Lord Howe goes back from 02:00 (+11:00) to 01:30 (+10:30) on 2026-04-05 at 15:00 UTC of the day before.
        let (from, to) = ("2026-04-04T14:00:00Z", "2026-04-04T16:30:00Z");
        assert_eq!(
            walk(grid("Australia/Lord_Howe", 30), from, to),
            "14:00+30 14:30+30 15:00+30 15:30+30 16:00+30"
        );
        assert_eq!(walk(grid("Australia/Lord_Howe", 60), from, to), "14:00+60 15:00+30 15:30+60");
        // And forward from 02:00 to 02:30 on 2026-10-04: the hour of 02 has only its second half.
        let (from, to) = ("2026-10-03T14:30:00Z", "2026-10-03T17:00:00Z");
        assert_eq!(walk(grid("Australia/Lord_Howe", 60), from, to), "14:30+60 15:30+30 16:00+60");
    }

    #[test]
    fn a_change_off_the_grid_cuts_the_slot() {
        // St. John's went back at 00:01 local until 2011: the day begins, and ends again for an hour.
        let grid = grid("America/St_Johns", 30);
        let (from, to) = ("2010-11-07T02:00:00Z", "2010-11-07T04:00:00Z");
        assert_eq!(walk(grid, from, to), "02:00+30 02:30+1 02:31+29 03:00+30 03:30+30");
    }

    #[test]
    fn a_day_that_does_not_exist_starts_with_the_next() {
        let samoa = grid("Pacific/Apia", 30);
        let gone = days_from_civil(2011, 12, 30) as i32;
        assert_eq!(format_time(samoa.day_start(gone)), "2011-12-30T10:00:00.000Z");
        assert_eq!(samoa.day_start(gone), samoa.day_start(gone + 1));
        // Cairo 2023 skipped midnight: the day starts at 01:00.
        let cairo = grid("Africa/Cairo", 30);
        let start = cairo.day_start(days_from_civil(2023, 4, 28) as i32);
        assert_eq!(format_time(start), "2023-04-27T22:00:00.000Z");
        assert_eq!(cairo.date(start - 1) + 1, cairo.date(start));
    }

    #[test]
    fn months_and_hours_start_where_the_wall_clock_says() {
        let shanghai = grid("Asia/Shanghai", 30);
        assert_eq!(format_time(shanghai.month_start(at("2026-11-30T16:00:00Z"))), "2026-11-30T16:00:00.000Z");
        assert_eq!(format_time(shanghai.month_start(at("2026-11-30T15:59:59Z"))), "2026-10-31T16:00:00.000Z");
        let kathmandu = grid("Asia/Kathmandu", 15);
        assert_eq!(format_time(kathmandu.hour_start(at("2026-11-21T09:14:59Z"))), "2026-11-21T08:15:00.000Z");
    }

    const ZONES: [&str; 9] = [
        "Asia/Shanghai",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Monrovia",
        "UTC",
    ];

    proptest! {
        #[test]
        fn slots_tile_time(t in 0..4_102_444_800_000_i64, zone in 0..ZONES.len(), length in 0..3_usize) {
            let grid = grid(ZONES[zone], SECOND_LENGTHS[length]);
            let slot = grid.slot(t);
            prop_assert!(slot.contains(t));
            prop_assert!(slot.length_ms() <= grid.slot_ms());
            prop_assert_eq!(grid.slot(slot.start), slot);
            prop_assert_eq!(grid.slot(slot.end - 1), slot);
            prop_assert_eq!(grid.slot(slot.end).start, slot.end);
            prop_assert_eq!(grid.slot(slot.start - 1).end, slot.start);
            prop_assert_eq!(grid.date(slot.start), grid.date(slot.end - 1));
            let date = grid.date(t);
            prop_assert!(grid.day_start(date) <= t);
            prop_assert!(grid.date(grid.day_start(date)) >= date);
            prop_assert!(grid.date(grid.day_start(date) - 1) < date);
        }

        #[test]
        fn the_cache_gives_the_same_answer(
            times in prop::collection::vec(1_200_000_000_000..1_300_000_000_000_i64, 1..200),
            zone in 0..ZONES.len(),
            length in 0..3_usize,
        ) {
            let grid = grid(ZONES[zone], SECOND_LENGTHS[length]);
            let mut cache = SlotCache::new(grid);
            for t in times.iter().chain(&times) {
                prop_assert_eq!(cache.slot(*t), grid.slot(*t));
                prop_assert_eq!(cache.date(*t), grid.date(*t));
            }
        }

        #[test]
        fn no_instant_panics(t in any::<i64>(), date in any::<i32>(), zone in 0..ZONES.len()) {
            let grid = grid(ZONES[zone], 30);
            let mut cache = SlotCache::new(grid);
            cache.slot(t);
            grid.date(t);
            grid.day_start(date);
            grid.month_start(t);
            format_time(t);
        }

        #[test]
        fn what_is_written_is_read_again(t in 0..=TIME_MAX) {
            prop_assert_eq!(parse_time(&format_time(t)), Some(t));
            let theirs = DateTime::from_timestamp_millis(t).expect("inside the range");
            prop_assert_eq!(format_time(t), theirs.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
        }

        #[test]
        fn reading_agrees_with_chrono(
            year in 1968..=9999_i32, month in 0..=13_u32, day in 0..=32_u32,
            (hour, minute, second) in (0..=24_u32, 0..=60_u32, 0..=61_u32),
            separator in "[Tt _]",
            fraction in "(\\.[0-9]{0,12})?",
            offset in "(Z|z|[+-][0-2][0-9]:[0-6][0-9]|[+-][0-9]{4}|)",
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{offset}");
            prop_assert_eq!(parse_time(&text), by_chrono(&text), "{}", text);
        }

        #[test]
        fn one_wrong_byte_is_judged_as_chrono_judges_it(
            t in 0..=TIME_MAX, place in 0..24_usize, byte in 0x20..0x7f_u8,
        ) {
            let mut text = format_time(t).into_bytes();
            text[place] = byte;
            let text = String::from_utf8(text).expect("ASCII");
            prop_assert_eq!(parse_time(&text), by_chrono(&text), "{}", text);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            parse_time(&text);
        }
    }

    /// The reference: chrono's reader with our range and our reading of a leap second.
    fn by_chrono(text: &str) -> Option<Millis> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let leap = chrono::Timelike::nanosecond(&time) >= 1_000_000_000;
        let t = if leap { time.timestamp() * SECOND + 999 } else { time.timestamp_millis() };
        (0..=TIME_MAX).contains(&t).then_some(t)
    }

    #[test]
    fn times_are_read_as_written() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            parse_time("2026-11-21T09:00:00.1239999999999+08:00"),
            Some(at("2026-11-21T01:00:00.123Z"))
        );
        assert_eq!(parse_time("2016-12-31T23:59:60.5Z"), Some(at("2016-12-31T23:59:59.999Z")));
        assert_eq!(parse_time("1969-12-31T23:30:00-01:00"), Some(30 * MINUTE));
        for wrong in [
            "",
            "2026-11-21T09:00:00",
            "2026-11-21T09:00:00.Z",
            "2026-11-21",
            "2026-11-21T09:00Z",
            "1970-01-01T00:30:00+01:00",
            "2026-02-29T00:00:00Z",
            "2026-11-21T09:00:00+0800",
            "2026-11-21T09:00:00ZZ",
            "+002026-11-21T09:00:00Z",
            "２026-11-21T09:00:00Z",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_scaled_clock_runs_at_its_speed() {
        let clock = ScaledClock::new(1_000, 60.0);
        assert_eq!(clock.after(Duration::from_millis(500)), 31_000);
        assert!(clock.now() >= 1_000);
        assert_eq!(ScaledClock::new(7, f64::NAN).now(), 7);
        assert!(SystemClock.now() > at("2020-01-01T00:00:00Z"));
    }

    /// Not a check but a measurement, to be run with optimisation: `-- --ignored --nocapture`. Look-ups by the cache take a few
    /// nanoseconds, reading a time about twenty, and both less than chrono does.
    #[test]
    #[ignore = "a measurement, not a check"]
    fn speed() {
        let grid = grid("America/New_York", 30);
        let times: Vec<Millis> = (0..100_000).map(|i| 1_790_000_000_000 + i * 797).collect();
        let texts: Vec<String> = times.iter().map(|t| format_time(*t)).collect();
        let mut cache = SlotCache::new(grid);
        let measure = |name: &str, work: &mut dyn FnMut() -> i64| {
            let start = Instant::now();
            let sum: i64 = (0..10).map(|_| work()).fold(0, i64::wrapping_add);
            println!("{name}: {:.1} ns ({sum})", start.elapsed().as_secs_f64() * 1e9 / 1e6);
        };
        measure("grid.slot", &mut || times.iter().map(|t| grid.slot_start(*t)).fold(0, i64::wrapping_add));
        measure("cache.slot", &mut || times.iter().map(|t| cache.slot_start(*t)).fold(0, i64::wrapping_add));
        measure("parse_time", &mut || texts.iter().filter_map(|t| parse_time(t)).fold(0, i64::wrapping_add));
        let chrono = |t: &String| DateTime::parse_from_rfc3339(t).ok().map(|t| t.timestamp_millis());
        measure("chrono", &mut || texts.iter().filter_map(chrono).fold(0, i64::wrapping_add));
    }
}
