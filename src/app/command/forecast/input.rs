//! The file that a back-test is given: a series of the past.

use std::path::Path;

use crate::app::Failure;
use crate::calendar::read_date;
use crate::forecast::{Cell, Daily, History, Step};

/// A series of the past.
#[derive(Debug)]
pub(super) enum Series {
    /// Counts by slot of the day.
    Slots(History),
    /// Counts by day or month.
    Steps(Daily, Step),
}

/// Reads a series: a CSV whose first column is a time and whose second is a count (a first line that is neither is taken for
/// its names), or a plain table of numbers with twelve to a line, which are months.
///
/// Times are a month (`2026-11`), a day (`2026-11-22`, `11/22/2026`, `11/22/26`), or a day with an hour (`2026-11-22 09:30`).
///
/// # Errors
/// The file cannot be read, or a line is none of these.
pub(super) fn series(path: &Path) -> Result<Series, Failure> {
    let text = read(path)?;
    let text = text.trim_start_matches('\u{feff}');
    if let Some(months) = table_of_months(text) {
        return Ok(Series::Steps(Daily { first: 0, values: months }, Step::Month));
    }
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut fields = line.split([',', ';', '\t']).map(|field| field.trim().trim_matches('"'));
        let (time, count) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        match (When::read(time), count.parse::<f64>().ok().filter(|count| count.is_finite() && *count >= 0.0))
        {
            (Some(when), Some(count)) => rows.push((when, count)),
            _ if rows.is_empty() && at == 0 => {}
            (None, _) => return Err(fault(path, at + 1, &format!("`{time}` is no time"), TIMES)),
            (_, None) => {
                return Err(fault(path, at + 1, &format!("`{count}` is no count"), "a number from 0 on"));
            }
        }
    }
    let Some((first, _)) = rows.first() else {
        return Err(Failure::input(format!("`{}` has no row", path.display())));
    };
    let same = |when: &When| std::mem::discriminant(when) == std::mem::discriminant(first);
    if let Some(at) = rows.iter().position(|(when, _)| !same(when)) {
        return Err(fault(path, at + 2, "months, days and times of day are mixed", TIMES));
    }
    Ok(match first {
        When::Minute(..) => {
            let whole =
                rows.iter().all(|(when, _)| matches!(when, When::Minute(_, minute) if minute % 60 == 0));
            let half =
                rows.iter().all(|(when, _)| matches!(when, When::Minute(_, minute) if minute % 30 == 0));
            let length = if whole {
                60
            } else if half {
                30
            } else {
                15
            };
            let mut history = History::new(24 * 60 / length);
            for (when, count) in rows {
                if let When::Minute(date, minute) = when {
                    let cell = Cell { contacts: count, ..Cell::default() };
                    history.add(date, minute as usize / length, cell);
                }
            }
            Series::Slots(history)
        }
        When::Day(_) | When::Month(_) => {
            let step = if matches!(first, When::Day(_)) { Step::Day } else { Step::Month };
            let at = |when: &When| match when {
                When::Day(at) | When::Month(at) | When::Minute(at, _) => *at,
            };
            let start = rows.iter().map(|(when, _)| at(when)).min().unwrap_or(0);
            let end = rows.iter().map(|(when, _)| at(when)).max().unwrap_or(0);
            // A series over more than a few thousand years is a slip of the pen.
            let length = usize::try_from(i64::from(end) - i64::from(start) + 1).unwrap_or(0);
            if length > 1_000_000 {
                return Err(Failure::input(format!("`{}` spans `{length}` days", path.display())));
            }
            let mut values = vec![None; length];
            for (when, count) in rows {
                let value: &mut Option<f64> = &mut values[(at(&when) - start) as usize];
                *value = Some(value.unwrap_or(0.0) + count);
            }
            if step == Step::Day {
                close(&mut values);
            }
            Series::Steps(Daily { first: start, values }, step)
        }
    })
}

/// A weekday that a file of at least two weeks never has is one on which the centre is closed: nobody came. Another day that it
/// lacks was not recorded.
fn close(values: &mut [Option<f64>]) {
    if values.len() < 14 {
        return;
    }
    for weekday in 0..7 {
        if values.iter().skip(weekday).step_by(7).all(Option::is_none) {
            values.iter_mut().skip(weekday).step_by(7).for_each(|value| *value = Some(0.0));
        }
    }
}

const TIMES: &str = "write 2026-11, 2026-11-22, 11/22/2026 or 2026-11-22 09:30";

/// A time as a series writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Month(i32),
    Day(i32),
    Minute(i32, u32),
}

impl When {
    fn read(text: &str) -> Option<When> {
        let (day, minute) = match text.split_once([' ', 'T']) {
            Some((day, clock)) => {
                let mut parts = clock.trim_end_matches('Z').split(':').map(|part| part.parse::<u32>().ok());
                let (hour, minute) = (parts.next()??, parts.next()??);
                (day, Some((hour < 24 && minute < 60).then_some(hour * 60 + minute)?))
            }
            None => (text, None),
        };
        let numbers = day.split('-').map(|part| part.parse::<i32>().ok()).collect::<Option<Vec<i32>>>();
        if let (Some([year, month @ 1..=12]), None) = (numbers.as_deref(), minute) {
            return Some(When::Month(year.checked_mul(12)? + month - 1));
        }
        let date = read_date(day)?;
        Some(minute.map_or(When::Day(date), |minute| When::Minute(date, minute)))
    }
}

/// Numbers with twelve to a line.
fn table_of_months(text: &str) -> Option<Vec<Option<f64>>> {
    let mut months = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let numbers: Option<Vec<f64>> = line.split_whitespace().map(|word| word.parse().ok()).collect();
        let numbers = numbers.filter(|numbers| numbers.len() == 12)?;
        months.extend(numbers.into_iter().map(Some));
    }
    (!months.is_empty()).then_some(months)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("`{}` cannot be read: {error}", path.display())))
}

fn fault(path: &Path, line: usize, what: &str, hint: &str) -> Failure {
    Failure::config(format!("{what}\n  --> {}:{line}", path.display())).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::calendar::date_of;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file for the test");
        file.write_all(text.as_bytes()).expect("the test's file is written");
        file
    }

    fn date(year: i32, month: u32, day: u32) -> i32 {
        date_of(year, month, day).expect("a day of the test")
    }

    #[test]
    fn a_weekday_that_never_comes_is_one_of_rest() {
        // Three weeks from a Monday, Tuesday to Saturday, and one Thursday that was not written down.
        let monday = date(2026, 3, 2);
        let worked = (0..21).filter(|day| (1..=5).contains(&(day % 7)) && *day != 10);
        let rows = worked.map(|day| format!("2026-03-{:02},{}\n", 2 + day, 100 + day));
        let days = file(&rows.collect::<String>());
        let Ok(Series::Steps(daily, Step::Day)) = series(days.path()) else { panic!("days") };
        assert_eq!((daily.first, daily.at(monday + 1)), (monday + 1, Some(101.0)));
        for day in [6, 7, 13, 14] {
            assert_eq!(daily.at(monday + day), Some(0.0), "{day}");
        }
        assert_eq!((daily.at(monday + 10), daily.end()), (None, monday + 20));
        // Less than two weeks tell nothing of weekdays.
        let days = file("2026-03-02,5\n2026-03-04,5\n");
        let Ok(Series::Steps(daily, Step::Day)) = series(days.path()) else { panic!("days") };
        assert_eq!(daily.at(monday + 1), None);
    }

    #[test]
    fn series_are_read_as_they_are_written() {
        let days = file("\u{feff}date,count of calls\n8/14/23,184\n8/16/23,155\n");
        let Ok(Series::Steps(daily, Step::Day)) = series(days.path()) else { panic!("days") };
        assert_eq!((daily.first, daily.values), (date(2023, 8, 14), vec![Some(184.0), None, Some(155.0)]));

        let slots = file("hour,call_count\n8/14/2023 8:00,28\n2023-08-15 09:30,18\n");
        let Ok(Series::Slots(history)) = series(slots.path()) else { panic!("slots") };
        let second = history.day(date(2023, 8, 15)).expect("it is there");
        assert_eq!((second.len(), second[19].contacts), (48, 18.0));

        let months = file(" 1 2 3 4 5 6 7 8 9 10 11 12\n 2 3 4 5 6 7 8 9 10 11 12 13\n");
        let Ok(Series::Steps(daily, Step::Month)) = series(months.path()) else { panic!("months") };
        assert_eq!((daily.values.len(), daily.values[23]), (24, Some(13.0)));

        let wrong = file("day,n\n2026-11-22,5\n2026-11-31,5\n");
        let failure = series(wrong.path()).expect_err("there is no such day");
        assert!(
            failure.message.contains("`2026-11-31` is no time") && failure.message.ends_with(":3"),
            "{failure}"
        );
    }
}
