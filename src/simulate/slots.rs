//! The centre's local day cut into slots, counted by this room alone.
//!
//! Shares no code with the rest of the crate, so that a test can hold the two against each other.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

/// One minute in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
/// One hour in milliseconds.
pub(crate) const HOUR: i64 = 60 * MINUTE;
/// A day of 24 hours in milliseconds.
pub(crate) const DAY: i64 = 24 * HOUR;

/// Tells the offset of `zone` from UTC at the instant `time` (ms since 1970), in milliseconds, east positive.
/// An instant that the calendar cannot hold counts as UTC.
pub(crate) fn offset(zone: Tz, time: i64) -> i64 {
    DateTime::from_timestamp_millis(time).map_or(0, |utc| {
        i64::from(zone.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()) * 1000
    })
}

/// Tells the start (ms since 1970) of the slot that holds `time`.
///
/// Slots lie on a grid of civil time from local midnight; a change of the clock begins a slot of its own, so that the
/// repeated hour has its own slots and no slot holds an instant twice.
///
/// ```text
/// slot_start(Berlin, 30, 02:10 of summer time) != slot_start(Berlin, 30, 02:10 of winter time, an hour later)
/// ```
pub fn slot_start(zone: Tz, slot_minutes: u32, time: i64) -> i64 {
    let length = i64::from(slot_minutes.max(1)) * MINUTE;
    let here = offset(zone, time);
    let local = time + here;
    let midnight = local - local.rem_euclid(DAY);
    let start = midnight + (local - midnight) / length * length - here;
    if offset(zone, start) == here {
        return start;
    }
    // The clock changed between the grid point and now: the slot begins at that change.
    let (mut before, mut after) = (start, time);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if offset(zone, middle) == here { after = middle } else { before = middle }
    }
    after
}

/// What the wall of the centre shows at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Days since 1970-01-01 of the local date.
    pub(crate) day: i64,
    /// Minutes since local midnight by the clock on the wall.
    pub(crate) minute: u32,
    /// 0 is Monday.
    pub(crate) weekday: u32,
}

/// Reads the local clock and calendar at `time`.
pub(crate) fn local(zone: Tz, time: i64) -> Local {
    let wall = time + offset(zone, time);
    let day = wall.div_euclid(DAY);
    let minute = (wall.rem_euclid(DAY) / MINUTE) as u32;
    Local { day, minute, weekday: weekday(day) }
}

/// Tells the weekday of a day counted from 1970-01-01, a Thursday; 0 is Monday.
pub(crate) fn weekday(day: i64) -> u32 {
    (day + 3).rem_euclid(7) as u32
}

/// Finds the instant at which the local clock first shows `minute` of `day`; inside a skipped hour, the first
/// instant after it.
pub(crate) fn instant(zone: Tz, day: i64, minute: i64) -> i64 {
    let wall = day * DAY + minute * MINUTE;
    let Some(utc) = DateTime::from_timestamp_millis(wall) else { return wall };
    let naive = utc.naive_utc();
    for later in 0..=12 {
        let tried = naive + Duration::minutes(15 * later);
        if let Some(found) = zone.from_local_datetime(&tried).earliest() {
            return found.timestamp_millis();
        }
    }
    wall
}

/// Gives the local date and time of an instant for printing.
pub(crate) fn civil(time: i64, offset: i64) -> NaiveDateTime {
    DateTime::from_timestamp_millis(time + offset).map_or(NaiveDateTime::default(), |utc| utc.naive_utc())
}

/// Gives year, month and day of a day counted from 1970-01-01.
pub(crate) fn date(day: i64) -> (i32, u32, u32) {
    let epoch = NaiveDate::default();
    let date = epoch.checked_add_signed(Duration::days(day)).unwrap_or(epoch);
    (date.year(), date.month(), date.day())
}

/// Splits a local time into its printed parts: year, month, day, hour, minute, second, millisecond.
pub(crate) fn parts(wall: NaiveDateTime) -> [u32; 7] {
    let year = u32::try_from(wall.year()).unwrap_or(0);
    [
        year,
        wall.month(),
        wall.day(),
        wall.hour(),
        wall.minute(),
        wall.second(),
        wall.and_utc().timestamp_subsec_millis(),
    ]
}
