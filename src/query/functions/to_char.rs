//! `to_char` as PostgreSQL has it: the template patterns of its manual, for instants and for numbers.
//!
//! A pattern with `%` is one of strftime, which DataFusion's own `to_char` takes; it still works.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// Every pattern of an instant, longer ones before those they begin with.
const PATTERNS: &[&str] = &[
    "Y,YYY", "HH24", "HH12", "SSSSS", "SSSS", "YYYY", "IYYY", "MONTH", "Month", "month", "IDDD", "A.M.",
    "P.M.", "a.m.", "p.m.", "B.C.", "A.D.", "YYY", "IYY", "DDD", "DAY", "Day", "day", "MON", "Mon", "mon",
    "HH", "MI", "SS", "MS", "US", "AM", "PM", "am", "pm", "BC", "AD", "YY", "IY", "MM", "DD", "DY", "Dy",
    "dy", "ID", "WW", "IW", "CC", "RM", "rm", "TZ", "tz", "OF", "FF3", "FF6", "Y", "I", "D", "W", "J", "Q",
];

/// The instant by the pattern. `zone` is what `TZ` prints.
pub(super) fn instant(at: DateTime<Utc>, pattern: &str, zone: &str) -> String {
    if pattern.contains('%') {
        let mut out = String::new();
        // A pattern that chrono cannot read prints as it stands.
        return match write!(out, "{}", at.format(pattern)) {
            Ok(()) => out,
            Err(_) => pattern.to_owned(),
        };
    }
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').unwrap_or(quoted.len());
            out.push_str(&quoted[..end]);
            rest = quoted.get(end + 1..).unwrap_or_default();
            continue;
        }
        if let Some(after) = rest.strip_prefix('\\') {
            let next = after.chars().next();
            out.extend(next);
            rest = &after[next.map_or(0, char::len_utf8)..];
            continue;
        }
        let fill = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm"));
        let inner = fill.or_else(|| rest.strip_prefix("TM")).unwrap_or(rest);
        let found = PATTERNS.iter().find(|name| inner.starts_with(**name)).or_else(|| {
            // Patterns of figures are taken in small letters too.
            PATTERNS.iter().find(|name| {
                inner.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name) && name.len() > 1)
            })
        });
        let Some(name) = found else {
            if fill.is_some() {
                rest = inner;
                continue;
            }
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        let mut text = element(at, name, zone, fill.is_some());
        rest = &inner[name.len()..];
        if let Some(after) = rest.strip_prefix("TH").or_else(|| rest.strip_prefix("th")) {
            let suffix = ordinal(&text);
            text.push_str(&if rest.starts_with("TH") { suffix.to_uppercase() } else { suffix.to_owned() });
            rest = after;
        }
        out.push_str(&text);
    }
    out
}

/// The value of one pattern.
fn element(at: DateTime<Utc>, name: &str, zone: &str, bare: bool) -> String {
    let week = at.iso_week();
    let number = |value: i64, width: usize| match bare {
        true => value.to_string(),
        false => format!("{value:0width$}"),
    };
    let word = |text: &str, width: usize, like: &str| {
        let text = if like.chars().all(|c| !c.is_lowercase()) {
            text.to_uppercase()
        } else if like.chars().all(|c| !c.is_uppercase()) {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
        if bare { text } else { format!("{text:width$}") }
    };
    let year = i64::from(at.year());
    let iso_year = i64::from(week.year());
    let month = MONTHS[at.month0() as usize];
    let day = DAYS[at.weekday().num_days_from_sunday() as usize];
    let hour12 = i64::from(at.hour12().1);
    let half = if at.hour() < 12 { "am" } else { "pm" };
    match name {
        "HH" | "HH12" => number(hour12, 2),
        "HH24" => number(i64::from(at.hour()), 2),
        "MI" => number(i64::from(at.minute()), 2),
        "SS" => number(i64::from(at.second()), 2),
        "MS" | "FF3" => format!("{:03}", at.timestamp_subsec_millis()),
        "US" | "FF6" => format!("{:06}", at.timestamp_subsec_micros()),
        "SSSS" | "SSSSS" => at.num_seconds_from_midnight().to_string(),
        "AM" | "PM" => half.to_uppercase(),
        "am" | "pm" => half.to_owned(),
        "A.M." | "P.M." => if at.hour() < 12 { "A.M." } else { "P.M." }.to_owned(),
        "a.m." | "p.m." => if at.hour() < 12 { "a.m." } else { "p.m." }.to_owned(),
        "BC" | "AD" => "AD".to_owned(),
        "B.C." | "A.D." => "A.D.".to_owned(),
        "Y,YYY" => format!("{},{:03}", year.div_euclid(1000), year.rem_euclid(1000)),
        "YYYY" => number(year, 4),
        "YYY" => number(year.rem_euclid(1000), 3),
        "YY" => number(year.rem_euclid(100), 2),
        "Y" => year.rem_euclid(10).to_string(),
        "IYYY" => number(iso_year, 4),
        "IYY" => number(iso_year.rem_euclid(1000), 3),
        "IY" => number(iso_year.rem_euclid(100), 2),
        "I" => iso_year.rem_euclid(10).to_string(),
        "MONTH" | "Month" | "month" => word(month, 9, name),
        "MON" | "Mon" | "mon" => word(&month[..3], 3, name),
        "MM" => number(i64::from(at.month()), 2),
        "DAY" | "Day" | "day" => word(day, 9, name),
        "DY" | "Dy" | "dy" => word(&day[..3], 3, name),
        "DDD" => number(i64::from(at.ordinal()), 3),
        "IDDD" => number(i64::from(week.week0()) * 7 + i64::from(at.weekday().number_from_monday()), 3),
        "DD" => number(i64::from(at.day()), 2),
        "D" => at.weekday().number_from_sunday().to_string(),
        "ID" => at.weekday().number_from_monday().to_string(),
        "W" => ((at.day() - 1) / 7 + 1).to_string(),
        "WW" => number(i64::from((at.ordinal() - 1) / 7 + 1), 2),
        "IW" => number(i64::from(week.week()), 2),
        "CC" => number((year - 1).div_euclid(100) + 1, 2),
        "J" => julian(at.date_naive()).to_string(),
        "Q" => (at.month0() / 3 + 1).to_string(),
        "RM" => word(ROMAN[at.month0() as usize], 4, name),
        "rm" => word(ROMAN[at.month0() as usize], 4, name),
        "TZ" => zone.to_uppercase(),
        "tz" => zone.to_lowercase(),
        "OF" => "+00".to_owned(),
        _ => String::new(),
    }
}

/// Days since 24 November 4714 BC.
fn julian(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) + 1_721_425
}

fn ordinal(number: &str) -> &'static str {
    let digits: Vec<char> = number.chars().rev().take(2).collect();
    match (digits.first(), digits.get(1)) {
        (_, Some('1')) => "th",
        (Some('1'), _) => "st",
        (Some('2'), _) => "nd",
        (Some('3'), _) => "rd",
        _ => "th",
    }
}

/// The number by the pattern: `9`, `0`, `.` or `D`, `,` or `G`, `FM`, `S`, `MI`, `PL`, `SG`, `PR`; anything else stands as
/// it is. A number that does not fit becomes `#`s.
pub(super) fn number(value: f64, pattern: &str) -> String {
    let bare = pattern.contains("FM");
    let pattern = pattern.replace("FM", "");
    let has = |name: &str| pattern.contains(name);
    let signs = ["MI", "PL", "SG", "PR", "S"];
    let signed = signs.iter().find(|name| has(name)).copied();
    // The sign has a place of its own; what is left is about figures.
    let figures = signed.map_or_else(|| pattern.clone(), |sign| pattern.replacen(sign, "", 1));
    let (whole_pattern, fraction_pattern) = match figures.find(['.', 'D']) {
        Some(at) => (&figures[..at], &figures[at + 1..]),
        None => (figures.as_str(), ""),
    };
    let is_digit = |c: char| c == '9' || c == '0';
    let decimals = fraction_pattern.chars().filter(|c| is_digit(*c)).count();
    let places = whole_pattern.chars().filter(|c| is_digit(*c)).count();
    if !value.is_finite() {
        return if value.is_nan() { "NaN" } else { "Infinity" }.to_owned();
    }
    // Halves away from zero, as PostgreSQL rounds.
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(15).min(15));
    let scaled = value.abs() * scale;
    let away = if scaled < 1e15 { scaled.round() / scale } else { value.abs() };
    let rounded = format!("{away:.decimals$}");
    let negative = value < 0.0 && rounded.chars().any(|c| matches!(c, '1'..='9'));
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let whole =
        if whole == "0" && places > 0 && decimals > 0 && !whole_pattern.contains('0') { "" } else { whole };
    let fits = whole.len() <= places;

    // From the right: digits fall into the places, groups appear where a digit stands left of them.
    let mut digits = whole.chars().rev();
    let zeros_from = whole_pattern.chars().filter(|c| is_digit(*c)).position(|c| c == '0');
    let (mut left, mut place) = (Vec::new(), places);
    for c in whole_pattern.chars().rev() {
        match c {
            '9' | '0' => {
                place -= 1;
                let forced = zeros_from.is_some_and(|from| place >= from);
                match digits.next() {
                    _ if !fits => left.push('#'),
                    Some(digit) => left.push(digit),
                    None if forced => left.push('0'),
                    None if bare => {}
                    None => left.push(' '),
                }
            }
            ',' | 'G' => {
                let more = digits.clone().next().is_some() || zeros_from.is_some_and(|from| place > from);
                match (more || !fits, bare) {
                    (true, _) => left.push(','),
                    (false, true) => {}
                    (false, false) => left.push(' '),
                }
            }
            other => left.push(other),
        }
    }
    let mut body: String = left.into_iter().rev().collect();
    if decimals > 0 {
        let fraction = if fits { fraction.to_owned() } else { "#".repeat(decimals) };
        let kept = fraction_pattern.rfind('0').map_or(0, |at| at + 1);
        let mut fraction = fraction;
        while bare && fraction.len() > kept && fraction.ends_with('0') {
            fraction.pop();
        }
        body.push('.');
        body.push_str(&fraction);
    }
    // The sign stands before the first figure.
    let at = body.find(|c: char| c != ' ').unwrap_or(body.len());
    let mark = |sign: &str| format!("{}{sign}{}", &body[..at], &body[at..]);
    match signed {
        Some("PR") if negative => mark("<") + ">",
        Some("PR") if bare => body,
        Some("PR") => format!(" {body} "),
        Some("MI") => {
            body.clone()
                + if negative {
                    "-"
                } else if bare {
                    ""
                } else {
                    " "
                }
        }
        Some("PL") if negative => format!(" {}", mark("-")),
        Some("PL") => format!("+ {body}"),
        Some("SG") => format!("{}{body}", if negative { "-" } else { "+" }),
        Some(_) if pattern.ends_with('S') => body.clone() + if negative { "-" } else { "+" },
        Some(_) => mark(if negative { "-" } else { "+" }),
        None if negative => mark("-"),
        None if bare => body,
        None => format!(" {body}"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    /// What PostgreSQL 15 printed for these.
    #[test]
    fn instants_print_as_in_postgresql() {
        let at = Utc.with_ymd_and_hms(2026, 3, 2, 15, 4, 5).single().expect("an instant")
            + chrono::TimeDelta::microseconds(67_890);
        let cases = [
            ("YYYY-MM-DD", "2026-03-02"),
            ("HH12:MI AM", "03:04 PM"),
            ("HH:MI a.m.", "03:04 p.m."),
            ("FMHH:MI", "3:04"),
            ("YYYY-\"W\"IW", "2026-W10"),
            ("IYYY-IW-ID", "2026-10-1"),
            ("Day, DD Mon YYYY", "Monday   , 02 Mar 2026"),
            ("FMDay, FMDD FMMonth", "Monday, 2 March"),
            ("DY dy Dy", "MON mon Mon"),
            ("DDD Q CC J", "061 1 21 2461102"),
            ("SS.MS SS.US", "05.067 05.067890"),
            ("DDth", "02nd"),
            ("Y,YYY", "2,026"),
            ("FMMM/DD/YY", "3/02/26"),
            ("yyyy-mm-dd", "2026-03-02"),
            ("HH24\"时\"MI\"分\"", "15时04分"),
            ("WW W D", "09 1 2"),
            ("TZ OF", "UTC +00"),
            ("SSSS", "54245"),
            ("FMDDth", "2nd"),
            ("MONTH", "MARCH    "),
            ("RM", "III "),
            ("ID IDDD", "1 064"),
            ("Mon-yy", "Mar-26"),
            ("HH24h", "15h"),
            ("on the DD", "on the 02"),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(instant(at, pattern, "UTC"), wanted, "{pattern}");
        }
        assert_eq!(instant(at, "%Y/%m", "UTC"), "2026/03");
    }

    /// What PostgreSQL 15 printed for these.
    #[test]
    fn numbers_print_as_in_postgresql() {
        let cases = [
            (1234.5, "9999.99", " 1234.50"),
            (1234.5, "FM9999.99", "1234.5"),
            (1_234_567.0, "9,999,999", " 1,234,567"),
            (12.0, "9,999", "    12"),
            (12.0, "FM9,999", "12"),
            (12.0, "0000", " 0012"),
            (-12.0, "999", " -12"),
            (0.5, "0.99", " 0.50"),
            (0.5, "FM0.0", "0.5"),
            (0.5, "9.99", "  .50"),
            (12345.0, "999", " ###"),
            (12.0, "99%", " 12%"),
            (95.25, "FM990.0", "95.3"),
            (-3.0, "9MI", "3-"),
            (3.0, "S9", "+3"),
            (-3.5, "9.9PR", "<3.5>"),
            (3.0, "9PR", " 3 "),
            (1234.0, "9G999D99", " 1,234.00"),
            (-1234.567, "FM9,999.999", "-1,234.567"),
            (0.0, "999", "   0"),
            (0.0, "FM999", "0"),
            (0.1, "FM990.00", "0.10"),
            (1_000_000.0, "FM999,999,999", "1,000,000"),
            (3.0, "SG9", "+3"),
            (3.0, "PL9", "+ 3"),
            (-0.4, "9", " 0"),
        ];
        for (value, pattern, wanted) in cases {
            assert_eq!(number(value, pattern), wanted, "{value} {pattern}");
        }
    }
}
