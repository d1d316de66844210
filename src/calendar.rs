//! Which days are unlike their weekday: public holidays of China, working days that were moved for them, and own events;
//! and what is due by a time of day of a later day.
//!
//! Dates are days since 1970-01-01, as everywhere; weekdays count from Monday, 0.
//!
//! Invariant: by when a complaint must be called back about is said by [`Deadlines`] alone, whoever asks: SQL, the findings or the
//! alert rules.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

use crate::time::{Millis, local_clock, local_date};

/// Days after the start of an own event without an end for which it may be felt.
const EVENT_FELT_DAYS: i32 = 14;

/// Public holidays of China as ordered by the State Council for 2024 to 2026: name, first and last day (year, month, day,
/// month, day). For 2027 only the days that the law itself names are listed; their order had not been read when this was
/// written, so that moved working days of 2027 are missing: add them as own events.
const HOLIDAYS: &[(&str, i32, u32, u32, u32, u32)] = &[
    ("new_year", 2024, 1, 1, 1, 1),
    ("spring_festival", 2024, 2, 10, 2, 17),
    ("qingming", 2024, 4, 4, 4, 6),
    ("labour_day", 2024, 5, 1, 5, 5),
    ("dragon_boat", 2024, 6, 10, 6, 10),
    ("mid_autumn", 2024, 9, 15, 9, 17),
    ("national_day", 2024, 10, 1, 10, 7),
    ("new_year", 2025, 1, 1, 1, 1),
    ("spring_festival", 2025, 1, 28, 2, 4),
    ("qingming", 2025, 4, 4, 4, 6),
    ("labour_day", 2025, 5, 1, 5, 5),
    ("dragon_boat", 2025, 5, 31, 6, 2),
    ("national_day", 2025, 10, 1, 10, 8),
    ("new_year", 2026, 1, 1, 1, 3),
    ("spring_festival", 2026, 2, 15, 2, 23),
    ("qingming", 2026, 4, 4, 4, 6),
    ("labour_day", 2026, 5, 1, 5, 5),
    ("dragon_boat", 2026, 6, 19, 6, 21),
    ("mid_autumn", 2026, 9, 25, 9, 27),
    ("national_day", 2026, 10, 1, 10, 7),
    ("new_year", 2027, 1, 1, 1, 1),
    ("spring_festival", 2027, 2, 5, 2, 8),
    ("qingming", 2027, 4, 5, 4, 5),
    ("labour_day", 2027, 5, 1, 5, 2),
    ("dragon_boat", 2027, 6, 9, 6, 9),
    ("mid_autumn", 2027, 9, 15, 9, 15),
    ("national_day", 2027, 10, 1, 10, 3),
];

/// Saturdays and Sundays that are worked instead, 2024 to 2026, by the same orders.
const MOVED_WORKING_DAYS: &[(i32, u32, u32)] = &[
    (2024, 2, 4),
    (2024, 2, 18),
    (2024, 4, 7),
    (2024, 4, 28),
    (2024, 5, 11),
    (2024, 9, 14),
    (2024, 9, 29),
    (2024, 10, 12),
    (2025, 1, 26),
    (2025, 2, 8),
    (2025, 4, 27),
    (2025, 9, 28),
    (2025, 10, 11),
    (2026, 1, 4),
    (2026, 2, 14),
    (2026, 2, 28),
    (2026, 5, 9),
    (2026, 9, 20),
    (2026, 10, 10),
];

/// Whose public holidays hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Country {
    /// Nobody's: every day is like its weekday.
    None,
    /// China's, with the working days that are moved for them.
    #[default]
    China,
}

impl Country {
    /// The country with this name in the configuration: `none` or `cn`.
    pub fn from_name(name: &str) -> Option<Country> {
        match name {
            "none" => Some(Country::None),
            "cn" => Some(Country::China),
            _ => None,
        }
    }
}

/// Something of one's own that moves the load: a bill run, a campaign, an outage, a day on which the centre is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnEvent {
    /// The first day.
    pub start: i32,
    /// The last day, where it lasts.
    pub end: Option<i32>,
    /// What sort of event it is: the effect of one is expected of the next of the same kind. `closed` closes the centre,
    /// `working_day` makes a Saturday or Sunday a working day.
    pub kind: String,
}

/// What a day is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayKind {
    /// Like its weekday.
    Ordinary,
    /// A Saturday or Sunday that is worked as one of Monday to Friday.
    MovedWorkingDay,
    /// A public holiday, by name.
    Holiday(&'static str),
    /// The centre is closed.
    Closed,
}

/// The calendar of a centre.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    country: Country,
    events: Vec<OwnEvent>,
}

impl Calendar {
    /// A calendar with a country's holidays and own events.
    pub fn new(country: Country, events: Vec<OwnEvent>) -> Calendar {
        Calendar { country, events }
    }

    /// The same country's calendar with other own events.
    pub fn with_events(&self, events: Vec<OwnEvent>) -> Calendar {
        Calendar { country: self.country, events }
    }

    /// Whether people work on the day: from Monday to Friday where it is no holiday, and on days that are worked instead.
    pub fn is_worked(&self, date: i32) -> bool {
        match self.day(date) {
            DayKind::MovedWorkingDay => true,
            DayKind::Holiday(_) | DayKind::Closed => false,
            DayKind::Ordinary => weekday(date) < 5,
        }
    }

    /// What the day is.
    pub fn day(&self, date: i32) -> DayKind {
        let on = |event: &&OwnEvent| event.start <= date && date <= event.end.unwrap_or(event.start);
        if self.events.iter().filter(on).any(|event| event.kind == "closed") {
            return DayKind::Closed;
        }
        if self.events.iter().filter(on).any(|event| event.kind == "working_day") {
            return DayKind::MovedWorkingDay;
        }
        match self.country {
            Country::China => OF_CHINA.get(&date).cloned().unwrap_or(DayKind::Ordinary),
            Country::None => DayKind::Ordinary,
        }
    }

    /// The own events that may be felt on a day, each as its kind and how far it is on: `bill_mailed+0`, `+1`, `+2` for two
    /// to four days, `+5` for five to nine and `+10` for more; `window` while an event with an end lasts.
    pub fn felt(&self, date: i32) -> Vec<String> {
        let mut felt = Vec::new();
        for event in &self.events {
            if matches!(event.kind.as_str(), "closed" | "working_day") || date < event.start {
                continue;
            }
            let after = date - event.start;
            let part = match event.end {
                Some(end) if date > end => continue,
                Some(_) => "window",
                None if after > EVENT_FELT_DAYS => continue,
                None if after == 0 => "0",
                None if after == 1 => "1",
                None if after <= 4 => "2",
                None if after <= 9 => "5",
                None => "10",
            };
            felt.push(format!("{}+{part}", event.kind));
        }
        felt.sort();
        felt.dedup();
        felt
    }
}

/// Days after its opening, and the minute of that day, by which the team lead calls back about a complaint: before 17:00 of the
/// next day.
pub const CALL_BACK: (i64, i64) = (1, 17 * 60);

/// The longest that working days are looked for, in days; a centre that is closed for longer has no deadlines.
const LOOK_AHEAD_DAYS: i32 = 3 * 366;

/// By when something is due that must be done by a time of day of a later day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// The calendar whose working days count; without one every day counts.
    working_days_of: Option<Calendar>,
}

impl Deadlines {
    /// Every day counts.
    pub fn of_every_day() -> Deadlines {
        Deadlines::default()
    }

    /// Only days on which people work count.
    pub fn of_working_days(calendar: Calendar) -> Deadlines {
        Deadlines { working_days_of: Some(calendar) }
    }

    /// The instant at which clocks of the zone show `minutes` after midnight of the `days`-th day that counts after the local
    /// date of `t`; with `days` 0 it is the day itself, worked or not. `None` beyond what a calendar has.
    pub fn due(&self, zone: Tz, t: Millis, days: i64, minutes: i64) -> Option<Millis> {
        let days = match &self.working_days_of {
            None => days,
            Some(calendar) => {
                let from = local_date(zone, t)?;
                let mut worked = (1..=LOOK_AHEAD_DAYS).filter(|after| calendar.is_worked(from + after));
                match usize::try_from(days.checked_sub(1)?) {
                    Ok(before) => i64::from(worked.nth(before)?),
                    Err(_) => days,
                }
            }
        };
        local_clock(zone, t, days, minutes)
    }

    /// By when a complaint that was opened at `t` must be called back about.
    pub fn call_back(&self, zone: Tz, t: Millis) -> Option<Millis> {
        self.due(zone, t, CALL_BACK.0, CALL_BACK.1)
    }
}

/// What is wrong with a line of a list of own events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, with the value in backticks.
    pub message: String,
    /// The way out.
    pub hint: String,
}

/// Reads own events: a CSV with the columns `start` (or `start_date`), `end` (or `end_date`, may be empty) and `kind` (or
/// `feature`), dates as in [`read_date`] (a time of day after it is left out).
///
/// # Errors
/// The first line that is wrong.
pub fn read_events(text: &str) -> Result<Vec<OwnEvent>, Wrong> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let unread = |error: csv::Error| Wrong {
        line: error.position().map_or(1, |at| at.line() as usize),
        message: format!("no line of a CSV: {error}"),
        hint: "separate fields by commas".to_owned(),
    };
    let names = reader.headers().map_err(unread)?.iter().map(str::to_ascii_lowercase).collect::<Vec<_>>();
    let place = |either: [&str; 2]| either.iter().find_map(|name| names.iter().position(|own| own == name));
    let needed = |either: [&str; 2]| {
        place(either).ok_or_else(|| Wrong {
            line: 1,
            message: format!("the column `{}` is missing", either[0]),
            hint: format!("the first line names the columns; there are `{}`", names.join("`, `")),
        })
    };
    let (start, kind) = (needed(["start", "start_date"])?, needed(["kind", "feature"])?);
    let end = place(["end", "end_date"]);
    let mut events = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unread)?;
        let line = record.position().map_or(0, |at| at.line() as usize);
        let field = |at: usize| record.get(at).unwrap_or_default();
        let wrong = |message: String| Wrong { line, message, hint: "write 2026-11-22".to_owned() };
        let day = |at: usize| match field(at).split([' ', 'T']).next().unwrap_or_default() {
            "" => Ok(None),
            text => read_date(text).map(Some).ok_or_else(|| wrong(format!("`{}` is no day", field(at)))),
        };
        let start = day(start)?.ok_or_else(|| wrong("the event has no start".to_owned()))?;
        let end = end.map_or(Ok(None), day)?;
        events.push(OwnEvent { start, end, kind: field(kind).to_owned() });
    }
    Ok(events)
}

/// Reads a date: `2026-11-22`, `11/22/2026` or `11/22/26`.
pub fn read_date(text: &str) -> Option<i32> {
    let numbers =
        |by: char| text.split(by).map(|part| part.parse::<i32>().ok()).collect::<Option<Vec<i32>>>();
    let date =
        |year: i32, month: i32, day: i32| date_of(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    match (numbers('-').as_deref(), numbers('/').as_deref()) {
        (Some([year, month, day]), _) => date(*year, *month, *day),
        (_, Some([month, day, year])) => {
            date(if (0..100).contains(year) { 2_000 + year } else { *year }, *month, *day)
        }
        _ => None,
    }
}

/// The days of China that are unlike their weekday. A back-test asks for the same days many thousand times.
static OF_CHINA: LazyLock<HashMap<i32, DayKind>> = LazyLock::new(|| {
    let holidays = HOLIDAYS.iter().flat_map(|&(name, year, m1, d1, m2, d2)| {
        (days(year, m1, d1)..=days(year, m2, d2)).map(move |date| (date, DayKind::Holiday(name)))
    });
    let moved = MOVED_WORKING_DAYS.iter().map(|&(y, m, d)| (days(y, m, d), DayKind::MovedWorkingDay));
    holidays.chain(moved).collect()
});

/// Days since 1970-01-01 of a date that is known to exist.
fn days(year: i32, month: u32, day: u32) -> i32 {
    NaiveDate::from_ymd_opt(year, month, day).map_or(i32::MIN, |date| date.to_epoch_days())
}

/// The weekday of a date, Monday 0 to Sunday 6.
pub fn weekday(date: i32) -> usize {
    // 1970-01-01 was a Thursday.
    (date.rem_euclid(7) as usize + 3) % 7
}

/// Year, month (1 to 12) and day (1 to 31) of a date; far beyond every calendar, of the nearest day inside.
pub fn civil(date: i32) -> (i32, u32, u32) {
    let date =
        NaiveDate::from_epoch_days(date).unwrap_or(if date < 0 { NaiveDate::MIN } else { NaiveDate::MAX });
    (date.year(), date.month(), date.day())
}

/// Months since year 0, of a date.
pub fn month_of(date: i32) -> i32 {
    let (year, month, _) = civil(date);
    year * 12 + month as i32 - 1
}

/// The first date of a month (months since year 0).
pub fn month_start(month: i32) -> i32 {
    NaiveDate::from_ymd_opt(month.div_euclid(12), month.rem_euclid(12) as u32 + 1, 1)
        .map_or(if month < 0 { i32::MIN } else { i32::MAX }, |date| date.to_epoch_days())
}

/// The date that is written as year, month and day; `None` where there is no such day.
pub fn date_of(year: i32, month: u32, day: u32) -> Option<i32> {
    NaiveDate::from_ymd_opt(year, month, day).map(|date| date.to_epoch_days())
}

/// When complaints in Shanghai were opened, and by when they must be called back about where China's working days count: what
/// every room that asks for a deadline is held against.
#[cfg(test)]
pub(crate) const CALL_BACKS: &[(&str, &str)] = &[
    // A Friday; a Sunday.
    ("2026-11-27T16:00:00+08:00", "2026-11-30T17:00:00+08:00"),
    ("2026-11-29T23:59:59+08:00", "2026-11-30T17:00:00+08:00"),
    // The week of National Day.
    ("2026-09-30T16:00:00+08:00", "2026-10-08T17:00:00+08:00"),
    // A Saturday that is worked for it, and the Friday before.
    ("2026-10-09T00:00:00+08:00", "2026-10-10T17:00:00+08:00"),
    ("2026-10-10T18:00:00+08:00", "2026-10-12T17:00:00+08:00"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{DAY, HOUR};

    fn date(year: i32, month: u32, day: u32) -> i32 {
        date_of(year, month, day).expect("a day of the test")
    }

    #[test]
    fn days_are_told_apart() {
        let calendar = Calendar::default();
        for (day, kind) in [
            (date(2026, 2, 13), DayKind::Ordinary),
            (date(2026, 2, 14), DayKind::MovedWorkingDay),
            (date(2026, 2, 15), DayKind::Holiday("spring_festival")),
            (date(2026, 2, 23), DayKind::Holiday("spring_festival")),
            (date(2026, 2, 24), DayKind::Ordinary),
            (date(2025, 10, 8), DayKind::Holiday("national_day")),
            (date(2024, 5, 11), DayKind::MovedWorkingDay),
        ] {
            assert_eq!(calendar.day(day), kind, "{:?}", civil(day));
        }
        assert_eq!(Calendar::new(Country::None, vec![]).day(date(2026, 2, 16)), DayKind::Ordinary);
    }

    #[test]
    fn every_moved_working_day_is_a_weekend_and_no_holiday() {
        for &(y, m, d) in MOVED_WORKING_DAYS {
            assert!(weekday(date(y, m, d)) >= 5, "{y}-{m}-{d}");
            let holiday = HOLIDAYS.iter().any(|&(_, year, m1, d1, m2, d2)| {
                (date(year, m1, d1)..=date(year, m2, d2)).contains(&date(y, m, d))
            });
            assert!(!holiday, "{y}-{m}-{d}");
        }
    }

    #[test]
    fn own_events_are_felt_after_they_begin() {
        let start = date(2026, 11, 2);
        let bill = OwnEvent { start, end: None, kind: "bill".to_owned() };
        let closed = OwnEvent { start: start + 30, end: Some(start + 31), kind: "closed".to_owned() };
        let calendar = Calendar::new(Country::China, vec![bill, closed]);
        assert_eq!(calendar.felt(start - 1), Vec::<String>::new());
        assert_eq!(calendar.felt(start), ["bill+0"]);
        assert_eq!(calendar.felt(start + 3), ["bill+2"]);
        assert_eq!(calendar.felt(start + 15), Vec::<String>::new());
        assert_eq!(calendar.day(start + 31), DayKind::Closed);
        assert_eq!(calendar.day(start + 32), DayKind::Ordinary);
    }

    /// 17:00 in Shanghai, by which a complaint opened at 16:00 of that day must be called back about.
    fn call_back(deadlines: &Deadlines, opened: (i32, u32, u32)) -> (i32, u32, u32) {
        let zone = chrono_tz::Asia::Shanghai;
        let local = |date: i32, hour: i64| i64::from(date) * DAY + (hour - 8) * HOUR;
        let opened = date(opened.0, opened.1, opened.2);
        let due = deadlines.call_back(zone, local(opened, 16)).expect("there is a deadline");
        let day = local_date(zone, due).expect("it is a day");
        assert_eq!(due, local(day, 17), "it is 17:00");
        civil(day)
    }

    #[test]
    fn the_next_working_day_is_neither_a_weekend_nor_a_holiday() {
        let every = Deadlines::of_every_day();
        let working = Deadlines::of_working_days(Calendar::default());
        let no_holidays = Deadlines::of_working_days(Calendar::new(Country::None, vec![]));
        for (opened, next_day, next_working_day, without_holidays) in [
            // A Friday.
            ((2026, 11, 27), (2026, 11, 28), (2026, 11, 30), (2026, 11, 30)),
            // A Monday.
            ((2026, 11, 30), (2026, 12, 1), (2026, 12, 1), (2026, 12, 1)),
            // A Sunday.
            ((2026, 11, 29), (2026, 11, 30), (2026, 11, 30), (2026, 11, 30)),
            // Wednesday before the National Day week, which ends on Wednesday the 7th.
            ((2026, 9, 30), (2026, 10, 1), (2026, 10, 8), (2026, 10, 1)),
            // Friday after it; Saturday the 10th is worked for it.
            ((2026, 10, 9), (2026, 10, 10), (2026, 10, 10), (2026, 10, 12)),
            // The Saturday that is worked itself.
            ((2026, 10, 10), (2026, 10, 11), (2026, 10, 12), (2026, 10, 12)),
            // Saturday before Spring Festival is worked; the festival lasts from Sunday to Monday of the week after.
            ((2026, 2, 13), (2026, 2, 14), (2026, 2, 14), (2026, 2, 16)),
            ((2026, 2, 14), (2026, 2, 15), (2026, 2, 24), (2026, 2, 16)),
        ] {
            assert_eq!(call_back(&every, opened), next_day, "{opened:?}");
            assert_eq!(call_back(&working, opened), next_working_day, "{opened:?}");
            assert_eq!(call_back(&no_holidays, opened), without_holidays, "{opened:?}");
        }
    }

    #[test]
    fn own_events_open_and_close_the_centre() {
        let events = read_events("start,end,kind\n2026-11-30,2026-12-01,closed\n2026-12-05,,working_day\n");
        let calendar = Calendar::new(Country::China, events.expect("they can be read"));
        let working = Deadlines::of_working_days(calendar);
        assert_eq!(call_back(&working, (2026, 11, 27)), (2026, 12, 2));
        assert_eq!(call_back(&working, (2026, 12, 4)), (2026, 12, 5));
    }

    #[test]
    fn deadlines_have_an_end() {
        let zone = chrono_tz::Asia::Shanghai;
        let closed = OwnEvent { start: 0, end: Some(i32::MAX), kind: "closed".to_owned() };
        let never = Deadlines::of_working_days(Calendar::new(Country::China, vec![closed]));
        let working = Deadlines::of_working_days(Calendar::default());
        let opened = i64::from(date(2026, 11, 27)) * DAY;
        assert_eq!(never.call_back(zone, opened), None);
        assert_eq!(working.due(zone, opened, i64::MAX, 0), None);
        assert_eq!(working.due(zone, opened, i64::MIN, 0), None);
        // The same day, and one before, are the clock's.
        assert_eq!(working.due(zone, opened, 0, 0), local_clock(zone, opened, 0, 0));
        assert_eq!(working.due(zone, opened, -1, 0), local_clock(zone, opened, -1, 0));
        for t in [i64::MIN, i64::MAX] {
            assert_eq!(working.call_back(zone, t), None);
        }
    }

    #[test]
    fn own_events_have_a_start_and_a_kind() {
        let given =
            "start_date,end_date,event,feature\n11/1/2023,,bills,bill\n2024-04-01,5/1/2024,\"a, b\",window\n";
        let bill = OwnEvent { start: date(2023, 11, 1), end: None, kind: "bill".to_owned() };
        let window =
            OwnEvent { start: date(2024, 4, 1), end: Some(date(2024, 5, 1)), kind: "window".to_owned() };
        assert_eq!(read_events(given), Ok(vec![bill, window]));
        let wrong = read_events("start,name\n").expect_err("no kind");
        assert!(wrong.message.contains("the column `kind` is missing"), "{wrong:?}");
        let wrong = read_events("start,kind\n2026-11-22,bill\n2026-11-31,bill\n").expect_err("no such day");
        assert_eq!((wrong.line, wrong.message.as_str()), (3, "`2026-11-31` is no day"));
    }

    #[test]
    fn the_calendar_counts_right() {
        assert_eq!(weekday(0), 3);
        assert_eq!(weekday(date(2026, 11, 22)), 6);
        assert_eq!(month_start(month_of(date(2026, 11, 22))), date(2026, 11, 1));
        assert_eq!(civil(month_start(2027 * 12)), (2027, 1, 1));
    }
}
