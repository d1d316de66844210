//! Reads a roster from iCalendar (RFC 5545), as calendars export it.
//!
//! Of an event: `SUMMARY` is the person, `CATEGORIES` the role (agent, supervisor, lead), `LOCATION` the queues (separated by
//! commas or semicolons), `UID` the shift. Cancelled events are left out. Repeats: `FREQ=DAILY` and `FREQ=WEEKLY` with `BYDAY`
//! and `UNTIL`; every other repeat is refused, since a shift that is read wrongly wakes the wrong person.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::read::EPOCH;
use super::{Entry, Fault, Roster, When};
use crate::event::Role;
use crate::time::{DAY, MINUTE, Millis};

/// Longest shift; a longer event is a holiday or a mistake.
const LONGEST: Millis = 7 * DAY;
const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// One line of content: name, parameters, value.
struct Line<'t> {
    number: usize,
    name: String,
    parameters: Vec<(String, &'t str)>,
    value: &'t str,
}

/// When something is, as it is written.
#[derive(Clone, Copy)]
enum Moment {
    /// An instant.
    At(Millis),
    /// What clocks of the centre show.
    Local(NaiveDateTime),
}

impl Moment {
    fn instant(self, zone: Tz) -> Option<Millis> {
        match self {
            Moment::At(at) => Some(at),
            Moment::Local(local) => {
                zone.from_local_datetime(&local).earliest().map(|at| at.timestamp_millis())
            }
        }
    }

    fn local(self, zone: Tz) -> Option<NaiveDateTime> {
        match self {
            Moment::Local(local) => Some(local),
            Moment::At(at) => Some(zone.timestamp_millis_opt(at).single()?.naive_local()),
        }
    }
}

/// Whether a text is a calendar and no CSV.
pub(super) fn is_one(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .get(..15)
        .is_some_and(|begin| begin.eq_ignore_ascii_case("BEGIN:VCALENDAR"))
}

/// Long lines go on in lines that begin with white space.
fn unfold(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_end_matches('\r');
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some((_, before))) => before.push_str(rest),
            _ => lines.push((at + 1, line.to_owned())),
        }
    }
    lines
}

fn parse(number: usize, line: &str) -> Option<Line<'_>> {
    // A colon inside quotes belongs to a parameter.
    let mut quoted = false;
    let colon = line.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let mut parts = line[..colon].split(';');
    let name = parts.next()?.to_ascii_uppercase();
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(name, value)| (name.to_ascii_uppercase(), value.trim_matches('"')));
    Some(Line { number, name, parameters: parameters.collect(), value: &line[colon + 1..] })
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => plain.push(' '),
                Some(other) => plain.push(other),
                None => {}
            },
            c => plain.push(c),
        }
    }
    plain.trim().to_owned()
}

fn moment(line: &Line<'_>, zone: Tz) -> Result<Moment, String> {
    let wrong = || format!("`{}` is no time", line.value);
    let value = line.value.trim();
    if value.len() == 8 {
        let day = NaiveDate::parse_from_str(value, "%Y%m%d").map_err(|_| wrong())?;
        return Ok(Moment::Local(day.and_hms_opt(0, 0, 0).ok_or_else(wrong)?));
    }
    let local =
        NaiveDateTime::parse_from_str(value.trim_end_matches('Z'), "%Y%m%dT%H%M%S").map_err(|_| wrong())?;
    if value.ends_with('Z') {
        return Ok(Moment::At(local.and_utc().timestamp_millis()));
    }
    let named = line.parameters.iter().find(|(name, _)| name == "TZID").map(|(_, value)| *value);
    match named {
        None => Ok(Moment::Local(local)),
        Some(name) => {
            let of: Tz =
                name.trim_start_matches('/').parse().map_err(|_| format!("unknown time zone `{name}`"))?;
            if of == zone {
                return Ok(Moment::Local(local));
            }
            let at = of.from_local_datetime(&local).earliest().ok_or_else(wrong)?;
            Ok(Moment::At(at.timestamp_millis()))
        }
    }
}

/// `P1DT2H30M`, as far as shifts need it.
fn length(text: &str) -> Option<Millis> {
    let mut total = 0;
    let mut digits = String::new();
    for c in text.trim().strip_prefix('P')?.chars() {
        match c {
            '0'..='9' => digits.push(c),
            'T' => {}
            unit => {
                let count: i64 = std::mem::take(&mut digits).parse().ok()?;
                let minutes = match unit {
                    'W' => 7 * 24 * 60,
                    'D' => 24 * 60,
                    'H' => 60,
                    'M' => 1,
                    'S' if count % 60 == 0 => return Some(total + count / 60 * MINUTE),
                    _ => return None,
                };
                total += count.checked_mul(minutes * MINUTE)?;
            }
        }
    }
    digits.is_empty().then_some(total)
}

const REPEATS: &str = "repeats that are read are FREQ=DAILY and FREQ=WEEKLY with BYDAY and UNTIL; write others as single events";

/// The days of the week of a repeat, and its last date.
fn repeat(rule: &str, first: NaiveDate, zone: Tz) -> Result<([bool; 7], i32), String> {
    let (mut days, mut until, mut weekly) = ([false; 7], i32::MAX, None);
    for part in rule.split(';').filter(|part| !part.is_empty()) {
        let refused = || format!("the repeat `{rule}` is not read");
        let (name, value) = part.split_once('=').ok_or_else(refused)?;
        match (name.to_ascii_uppercase().as_str(), value) {
            ("FREQ", "WEEKLY") => weekly = Some(true),
            ("FREQ", "DAILY") => weekly = Some(false),
            ("INTERVAL", "1") | ("WKST", _) => {}
            ("BYDAY", value) => {
                for day in value.split(',') {
                    days[DAYS.iter().position(|name| *name == day).ok_or_else(refused)?] = true;
                }
            }
            ("UNTIL", value) => {
                let line = Line { number: 0, name: String::new(), parameters: Vec::new(), value };
                let last = moment(&line, zone)?.local(zone).ok_or_else(refused)?;
                until = last.date().num_days_from_ce() - EPOCH;
            }
            _ => return Err(refused()),
        }
    }
    match weekly {
        None => Err(format!("the repeat `{rule}` has no FREQ")),
        Some(weekly) => {
            if days == [false; 7] {
                match weekly {
                    true => days[first.weekday().num_days_from_monday() as usize] = true,
                    false => days = [true; 7],
                }
            }
            Ok((days, until))
        }
    }
}

/// Reads a roster.
pub(super) fn read(file: &str, text: &str, zone: Tz) -> Result<Roster, Vec<Fault>> {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    let unfolded = unfold(text);
    let mut event: Option<Vec<Line<'_>>> = None;
    let mut inner = 0;
    for (number, line) in &unfolded {
        let Some(line) = parse(*number, line) else { continue };
        match (line.name.as_str(), line.value.to_ascii_uppercase().as_str(), &mut event) {
            ("BEGIN", "VEVENT", None) => event = Some(Vec::new()),
            // An alarm of an event has lines of its own.
            ("BEGIN", _, Some(_)) => inner += 1,
            ("END", "VEVENT", Some(lines)) => {
                match entry(lines, zone) {
                    Ok(found) => entries.extend(found),
                    Err((at, message, hint)) => {
                        let fault = Fault::at(file, at, message);
                        faults.push(if hint.is_empty() { fault } else { fault.hint(hint) });
                    }
                }
                event = None;
            }
            ("END", _, Some(_)) => inner -= 1,
            (_, _, Some(lines)) if inner == 0 => lines.push(line),
            _ => {}
        }
    }
    if event.is_some() {
        faults.push(Fault::at(file, unfolded.len(), "the calendar ends within an event"));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Roster { zone, file: file.to_owned(), entries, planned: Default::default() })
}

/// One event; `None` for one that is cancelled.
fn entry(lines: &[Line<'_>], zone: Tz) -> Result<Option<Entry>, (usize, String, &'static str)> {
    let get = |name: &str| lines.iter().find(|line| line.name == name);
    let at = lines.first().map_or(1, |line| line.number);
    let text = |name: &str| get(name).map(|line| unescape(line.value)).filter(|text| !text.is_empty());
    if get("STATUS").is_some_and(|line| line.value.eq_ignore_ascii_case("CANCELLED")) {
        return Ok(None);
    }
    let person = text("SUMMARY").ok_or((at, "a shift without SUMMARY, the person".to_owned(), ""))?;
    let role = match text("CATEGORIES") {
        None => Role::Agent,
        Some(name) => Role::parse(&name.to_lowercase()).ok_or((
            get("CATEGORIES").map_or(at, |line| line.number),
            format!("unknown role `{name}`"),
            "CATEGORIES is `agent`, `supervisor` or `lead`",
        ))?,
    };
    let queues = text("LOCATION").unwrap_or_default();
    let queues = queues.split([',', ';']).map(|queue| queue.trim().to_owned());
    let queues = queues.filter(|queue| !queue.is_empty() && queue != "*").collect();
    let start = get("DTSTART").ok_or((at, format!("the shift of `{person}` has no DTSTART"), ""))?;
    let from = moment(start, zone).map_err(|wrong| (start.number, wrong, ""))?;
    let begin = from.instant(zone).ok_or((start.number, "there is no such time".to_owned(), ""))?;
    let end = match (get("DTEND"), get("DURATION")) {
        (Some(line), _) => {
            let end = moment(line, zone).map_err(|wrong| (line.number, wrong, ""))?;
            end.instant(zone).ok_or((line.number, "there is no such time".to_owned(), ""))?
        }
        (None, Some(line)) => {
            let length =
                length(line.value).ok_or((line.number, format!("`{}` is no duration", line.value), ""))?;
            begin + length
        }
        (None, None) => return Err((at, format!("the shift of `{person}` has no DTEND"), "")),
    };
    if end <= begin || end - begin > LONGEST {
        return Err((
            start.number,
            format!("the shift of `{person}` ends before it begins, or lasts over a week"),
            "",
        ));
    }
    let when = match get("RRULE") {
        None => When::Once(begin, end),
        Some(rule) => {
            let refused = |message: String| (rule.number, message, REPEATS);
            if let Some(left_out) = get("EXDATE").or(get("RDATE")).or(get("RECURRENCE-ID")) {
                return Err((left_out.number, format!("`{}` is not read", left_out.name), REPEATS));
            }
            let local = from.local(zone).ok_or_else(|| refused("there is no such time".to_owned()))?;
            let (days, until) = repeat(rule.value, local.date(), zone).map_err(refused)?;
            let minutes = i64::from(chrono::Timelike::num_seconds_from_midnight(&local.time()) / 60);
            let until_minutes = minutes + (end - begin) / MINUTE;
            if until_minutes > 48 * 60 {
                return Err(refused("a repeated shift lasts a day at most".to_owned()));
            }
            let from = local.date().num_days_from_ce() - EPOCH;
            When::Weekly { days, from, until, start: minutes, end: until_minutes }
        }
    };
    let shift_id = text("UID");
    Ok(Some(Entry {
        shift_id,
        person,
        role,
        queues,
        department: None,
        when,
        replaces: None,
        preferred: None,
        published_at: None,
        paid_minutes: None,
        line: at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::parse_time;

    const CALENDAR: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:a1\r\nSUMMARY:wa\r\n ng\r\nCATEGORIES:SUPERVISOR\r\n\
        LOCATION:cards\\, loans\r\nDTSTART;TZID=Asia/Shanghai:20261125T080000\r\nDTEND;TZID=Asia/Shanghai:20261125T200000\r\n\
        BEGIN:VALARM\r\nSUMMARY:wake up\r\nEND:VALARM\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:li\r\nCATEGORIES:supervisor\r\n\
        DTSTART:20261125T120000Z\r\nDURATION:PT12H\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nSUMMARY:zhao\r\nCATEGORIES:lead\r\n\
        DTSTART:20261123T090000\r\nDTEND:20261123T180000\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;UNTIL=20261130T160000Z\r\nEND:VEVENT\r\n\
        BEGIN:VEVENT\r\nSUMMARY:gone\r\nSTATUS:CANCELLED\r\nDTSTART:20261125T080000Z\r\nDTEND:20261125T090000Z\r\nEND:VEVENT\r\n\
        END:VCALENDAR\r\n";

    #[test]
    fn a_calendar_is_a_roster() {
        assert!(is_one(CALENDAR) && !is_one("person,start,end"));
        let roster = read("duty.ics", CALENDAR, chrono_tz::Asia::Shanghai).expect("no fault");
        let on = |role, queue: &str, at: &str| -> Vec<String> {
            let at = parse_time(at).expect("a time");
            roster.on_duty(Some(queue), None, role, at).into_iter().map(|duty| duty.person).collect()
        };
        assert_eq!(on(Role::Supervisor, "cards", "2026-11-25T09:00:00+08:00"), ["wang"]);
        assert_eq!(on(Role::Supervisor, "loans", "2026-11-25T19:59:00+08:00"), ["wang"]);
        assert_eq!(on(Role::Supervisor, "other", "2026-11-25T09:00:00+08:00"), [""; 0]);
        assert_eq!(on(Role::Supervisor, "cards", "2026-11-25T20:00:00+08:00"), ["li"]);
        assert_eq!(on(Role::Lead, "cards", "2026-11-27T10:00:00+08:00"), ["zhao"]);
        assert_eq!(on(Role::Lead, "cards", "2026-11-26T10:00:00+08:00"), [""; 0], "a Thursday");
        assert_eq!(on(Role::Lead, "cards", "2026-12-02T10:00:00+08:00"), [""; 0], "after its end");
    }

    #[test]
    fn what_would_be_read_wrongly_is_refused_with_its_line() {
        let wrong = |change: (&str, &str)| {
            let text = CALENDAR.replace(change.0, change.1);
            read("duty.ics", &text, chrono_tz::Asia::Shanghai).expect_err("a fault").remove(0)
        };
        let fault = wrong(("FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY;BYDAY=1MO"));
        assert_eq!((fault.line, fault.message.contains("not read")), (Some(26), true), "{fault}");
        assert!(wrong(("CATEGORIES:lead", "CATEGORIES:boss")).message.contains("`boss`"));
        assert!(wrong(("DURATION:PT12H", "DURATION:soon")).message.contains("`soon`"));
        assert!(
            wrong(("TZID=Asia/Shanghai:20261125T080000", "TZID=Mars:20261125T080000"))
                .message
                .contains("Mars")
        );
    }
}
