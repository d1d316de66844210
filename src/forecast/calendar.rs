//! Which days are unlike their weekday: public holidays of China, working days that were moved for them, and own events.
//!
//! Dates are days since 1970-01-01, as everywhere; weekdays count from Monday, 0.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate};

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
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    country: Country,
    events: Vec<OwnEvent>,
}

impl Calendar {
    /// A calendar with a country's holidays and own events.
    pub fn new(country: Country, events: Vec<OwnEvent>) -> Calendar {
        Calendar { country, events }
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_calendar_counts_right() {
        assert_eq!(weekday(0), 3);
        assert_eq!(weekday(date(2026, 11, 22)), 6);
        assert_eq!(month_start(month_of(date(2026, 11, 22))), date(2026, 11, 1));
        assert_eq!(civil(month_start(2027 * 12)), (2027, 1, 1));
    }
}
