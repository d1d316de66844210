//! Reads rules from TOML; every fault is found, with its line.

use chrono_tz::Tz;

use super::fleet::{GAUGES, QUEUE_GAUGES};
use super::rule::{About, Advice, Notify, Rule, Rules, Scope, Severity, Text};
use super::test::{Bound, Condition, Mood, Span, Test};
use super::tree::{Fault, Node, Table, Value, nearest, parse};
use crate::calendar::CALL_BACK;
use crate::event::{Channel, EndedBy, Role, Speaker};
use crate::kpi::{CATALOGUE, Measure};
use crate::time::{DAY, SECOND};

/// The longest time that a rule speaks of, seconds.
const SECS: (f64, f64) = (0.0, 366.0 * 86_400.0);
/// Counts.
const COUNT: (f64, f64) = (1.0, 1e9);
/// Any number.
const ANY: (f64, f64) = (-1e15, 1e15);
/// Windows of figures.
const WINDOWS: &[&str] = &["5m", "15m", "30m", "1h", "1d", "slot", "today"];
/// Deepest nesting of conditions.
const DEPTH_MAX: usize = 16;

/// Reads files of rules (name and text); a later rule of the same name replaces an earlier one of another file.
///
/// # Errors
/// Every fault of every file.
pub fn read(files: &[(String, String)], zone: Tz) -> Result<Rules, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    let mut advice: Vec<((String, usize), Advice)> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (file, text) in files {
        let document = match parse(file, text) {
            Ok(document) => document,
            Err(wrong) => {
                faults.extend(wrong);
                continue;
            }
        };
        let mut names: Vec<String> = Vec::new();
        let mut root = Table::new(file, 1, "file of rules".to_owned(), &document);
        match root.get("rule").map(|node| (&node.value, node.line)) {
            Some((Value::List(entries), _)) => {
                for entry in entries {
                    let Value::Table(table) = &entry.value else {
                        faults.push(root.fault(entry.line, "`rule` must be tables".to_owned(), None));
                        continue;
                    };
                    let line = table.values().map(|node| node.line).min().unwrap_or(entry.line);
                    let Some((rule, enabled)) = rule(file, line, table, &mut faults) else { continue };
                    if names.contains(&rule.name) {
                        let message = format!("the rule `{}` is listed twice", rule.name);
                        faults.push(root.fault(line, message, None));
                    }
                    names.push(rule.name.clone());
                    seen.push(rule.name.clone());
                    rules.retain(|known| known.name != rule.name);
                    if enabled {
                        rules.push(rule);
                    }
                }
            }
            Some((_, line)) => {
                let hint = Some("write `[[rule]]` above each rule".to_owned());
                faults.push(root.fault(line, "`rule` must be a list of tables".to_owned(), hint));
            }
            None => {}
        }
        match root.get("advice").map(|node| (&node.value, node.line)) {
            Some((Value::List(entries), _)) => {
                advice.extend(entries.iter().filter_map(|entry| read_advice(file, entry, &mut faults)));
            }
            Some((_, line)) => {
                let hint = Some("write `[[advice]]` above each".to_owned());
                faults.push(root.fault(line, "`advice` must be a list of tables".to_owned(), hint));
            }
            None => {}
        }
        root.finish(&mut faults);
    }
    for advice in &advice {
        for name in advice.1.rules.iter().filter(|name| !seen.contains(*name)) {
            let near =
                nearest(name, seen.iter().map(String::as_str)).map(|near| format!("the nearest is `{near}`"));
            faults.push(Fault {
                file: advice.0.0.clone(),
                line: advice.0.1,
                message: format!("advice for a rule that there is not: `{name}`"),
                hint: near,
            });
        }
    }
    faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    if !faults.is_empty() {
        return Err(faults);
    }
    let advice = advice.into_iter().map(|(_, advice)| advice).collect();
    Ok(Rules { advice, ..Rules::new(zone, rules) })
}

/// One piece of advice, and where it stands.
fn read_advice(file: &str, entry: &Node, faults: &mut Vec<Fault>) -> Option<((String, usize), Advice)> {
    let before = faults.len();
    let Value::Table(entries) = &entry.value else {
        faults.push(Fault {
            file: file.to_owned(),
            line: entry.line,
            message: "`advice` must be tables".to_owned(),
            hint: Some("write `[[advice]]` above each".to_owned()),
        });
        return None;
    };
    let line = entries.values().map(|node| node.line).min().unwrap_or(entry.line);
    let mut table = Table::new(file, line, "advice".to_owned(), entries);
    let (rules, categories) = (table.texts("rule", faults), table.texts("category", faults));
    let queues = table.texts("queues", faults);
    let text = table.text("text", faults);
    let text_zh = table.text("text_zh", faults);
    if text.is_none() && text_zh.is_none() {
        table.missing("text", "what to do, in plain words; `text_zh` for Chinese", faults);
    }
    table.finish(faults);
    let en = text.clone().or(text_zh.clone()).unwrap_or_default();
    let zh = text_zh.or(text).unwrap_or_default();
    (faults.len() == before)
        .then(|| ((file.to_owned(), line), Advice { rules, categories, queues, text: Text { en, zh } }))
}

type Entries = std::collections::BTreeMap<String, Node>;

fn rule(file: &str, line: usize, entries: &Entries, faults: &mut Vec<Fault>) -> Option<(Rule, bool)> {
    let before = faults.len();
    let mut table = Table::new(file, line, "rule".to_owned(), entries);
    let name = table.text("name", faults).unwrap_or_default();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let hint = "letters a-z, digits and `_`, for example `customer_leaves`";
        match entries.contains_key("name") {
            true => faults.push(table.fault(
                table.line_of("name"),
                format!("`{name}` is no name of a rule"),
                Some(hint.to_owned()),
            )),
            false => table.missing("name", hint, faults),
        }
    }
    let mut table = Table::new(file, line, format!("rule `{name}`"), entries);
    table.get("name");
    let title = table.text("title", faults).unwrap_or_else(|| name.replace('_', " "));
    let title_zh = table.text("title_zh", faults).unwrap_or_else(|| title.clone());
    let advice = table.text("advice", faults).unwrap_or_default();
    let advice_zh = table.text("advice_zh", faults).unwrap_or_else(|| advice.clone());
    let severity = word(&mut table, "severity", faults, Severity::ALL.map(Severity::as_str).as_slice());
    let severity = severity.and_then(|word| Severity::parse(&word)).unwrap_or(Severity::Warning);
    let notify = word(&mut table, "notify", faults, &["supervisor", "lead", "agent"]);
    let notify = match notify.as_deref() {
        Some("agent") => Notify::Agent,
        Some("lead") => Notify::Role(Role::Lead),
        _ => Notify::Role(Role::Supervisor),
    };
    let scope = scope(&mut table, faults);
    let mut secs = |key| table.number(key, SECS, faults).map(|secs| (secs * SECOND as f64) as i64);
    let hold_ms = secs("for_secs");
    let clear_ms = secs("clear_secs");
    let escalate_ms = secs("escalate_secs");
    let each = table.flag("each", faults).unwrap_or(false);
    let enabled = table.flag("enabled", faults).unwrap_or(true);
    let when = match table.get("when") {
        Some(node) => condition(file, &name, node, 0, faults),
        None => {
            let hint = "for example `when = { wait = { secs = 120 } }`";
            table.missing("when", hint, faults);
            None
        }
    };
    let about = when.as_ref().and_then(|when| about(&table, when, faults));
    if about.is_some_and(|about| !matches!(about, About::Figures | About::Plan)) {
        for key in ["for_secs", "clear_secs"].into_iter().filter(|key| entries.contains_key(*key)) {
            let hint = Some("only rules about figures last".to_owned());
            faults.push(table.fault(table.line_of(key), format!("`{key}` has no effect here"), hint));
        }
    }
    table.finish(faults);
    if faults.len() > before {
        return None;
    }
    let rule = Rule {
        name,
        title: Text { en: title, zh: title_zh },
        advice: Text { en: advice, zh: advice_zh },
        severity,
        notify,
        scope,
        about: about?,
        hold_ms: hold_ms.unwrap_or(0),
        clear_ms: clear_ms.unwrap_or(60 * SECOND),
        escalate_ms,
        each,
        when: when?,
    };
    Some((rule, enabled))
}

/// A word of a closed list.
fn word(table: &mut Table<'_>, key: &'static str, faults: &mut Vec<Fault>, known: &[&str]) -> Option<String> {
    let text = table.text(key, faults)?;
    if known.contains(&text.as_str()) {
        return Some(text);
    }
    let hint = match nearest(&text, known.iter().copied()) {
        Some(near) => format!("the nearest is `{near}`"),
        None => format!("known are `{}`", known.join("`, `")),
    };
    faults.push(table.fault(table.line_of(key), format!("unknown `{key}`: `{text}`"), Some(hint)));
    None
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn scope(table: &mut Table<'_>, faults: &mut Vec<Fault>) -> Scope {
    let mut scope = Scope {
        queues: table.texts("queues", faults),
        departments: table.texts("departments", faults),
        tiers: table.texts("tiers", faults),
        channels: table.texts("channels", faults),
        ..Scope::default()
    };
    for channel in scope.channels.iter().filter(|channel| Channel::parse(channel).is_none()) {
        let names: Vec<_> = Channel::ALL.iter().map(|channel| channel.as_str()).collect();
        let hint = Some(format!("known are `{}`", names.join("`, `")));
        faults.push(table.fault(table.line_of("channels"), format!("unknown channel `{channel}`"), hint));
    }
    if let Some(hours) = table.text("hours", faults) {
        scope.hours = hours.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        if scope.hours.is_none() {
            let hint = Some("write `09:00-21:00`".to_owned());
            faults.push(table.fault(table.line_of("hours"), format!("`{hours}` are no hours"), hint));
        }
    }
    for day in table.texts("days", faults) {
        match DAYS.iter().position(|name| *name == day) {
            Some(at) => scope.days[at] = true,
            None => {
                let hint = Some(format!("known are `{}`", DAYS.join("`, `")));
                faults.push(table.fault(table.line_of("days"), format!("unknown day `{day}`"), hint));
            }
        }
    }
    scope
}

/// `HH:MM` as minutes of the day, up to 24:00.
fn minute(text: &str) -> Option<i64> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60 || (hours, minutes) == (24, 0))
        .then(|| i64::from(hours) * 60 + i64::from(minutes))
}

/// What the rule looks at; refuses a mixture.
fn about(table: &Table<'_>, when: &Condition, faults: &mut Vec<Fault>) -> Option<About> {
    let of = |test: &Test| match test {
        Test::Kpi { .. } | Test::Gauge { .. } | Test::Surge { .. } => About::Figures,
        Test::Exposure { .. } | Test::Load { .. } => About::Agent,
        Test::Complaint { .. } | Test::Promise { .. } => About::Dossier,
        Test::SlotFails { .. } => About::Plan,
        _ => About::Contact,
    };
    let line = table.line_of("when");
    let tests = when.tests();
    let Some(first) = tests.first().map(|test| of(test)) else {
        faults.push(table.fault(line, "`when` has no condition".to_owned(), None));
        return None;
    };
    if tests.iter().any(|test| of(test) != first) {
        let hint = "conditions about contacts, about figures, about agents and about complaints stand in rules of their own";
        faults.push(table.fault(line, "`when` mixes what cannot be mixed".to_owned(), Some(hint.to_owned())));
        return None;
    }
    let alone = matches!(when, Condition::Test(_));
    if matches!(first, About::Agent | About::Dossier | About::Plan) && !alone {
        let message = "`exposure`, `load`, `complaint`, `promise` and `slot_fails` stand alone".to_owned();
        faults.push(table.fault(line, message, None));
        return None;
    }
    Some(first)
}

const TESTS: &[&str] = &[
    "all",
    "any",
    "not",
    "keyword",
    "sentiment",
    "streak",
    "wait",
    "unanswered",
    "absence",
    "talk",
    "hung_up",
    "passed_to",
    "transfers",
    "kpi",
    "gauge",
    "surge",
    "load",
    "exposure",
    "complaint",
    "promise",
    "slot_fails",
];

/// A table of conditions: all of its keys must hold.
fn condition(
    file: &str,
    rule: &str,
    node: &Node,
    depth: usize,
    faults: &mut Vec<Fault>,
) -> Option<Condition> {
    let fault = |message: String, hint: Option<String>| Fault {
        file: file.to_owned(),
        line: node.line,
        message: format!("rule `{rule}`: {message}"),
        hint,
    };
    let Value::Table(entries) = &node.value else {
        let hint = Some("a condition is a table, for example `{ wait = { secs = 120 } }`".to_owned());
        faults.push(fault("a condition must be a table".to_owned(), hint));
        return None;
    };
    if depth > DEPTH_MAX {
        faults.push(fault(format!("conditions are nested deeper than {DEPTH_MAX}"), None));
        return None;
    }
    let mut parts = Vec::new();
    let mut whole = true;
    for (key, inner) in entries {
        let part = match key.as_str() {
            "all" | "any" => match &inner.value {
                Value::List(items) if !items.is_empty() => {
                    let read: Vec<_> =
                        items.iter().map(|item| condition(file, rule, item, depth + 1, faults)).collect();
                    let read: Option<Vec<Condition>> = read.into_iter().collect();
                    read.map(|read| if key == "all" { Condition::All(read) } else { Condition::Any(read) })
                }
                _ => {
                    let hint = Some(format!("write `{key} = [{{ … }}, {{ … }}]`"));
                    faults.push(fault(format!("`{key}` must be a list of conditions"), hint));
                    None
                }
            },
            "not" => {
                condition(file, rule, inner, depth + 1, faults).map(|inner| Condition::Not(Box::new(inner)))
            }
            name if TESTS.contains(&name) => test(file, rule, name, inner, faults).map(Condition::Test),
            name => {
                let hint = match nearest(name, TESTS.iter().copied()) {
                    Some(near) => format!("the nearest is `{near}`"),
                    None => format!("known are `{}`", TESTS.join("`, `")),
                };
                let unknown =
                    Fault { line: inner.line, ..fault(format!("unknown condition `{name}`"), Some(hint)) };
                faults.push(unknown);
                None
            }
        };
        whole &= part.is_some();
        parts.extend(part);
    }
    if !whole {
        return None;
    }
    match parts.len() {
        1 => parts.pop(),
        _ => Some(Condition::All(parts)),
    }
}

fn test(file: &str, rule: &str, name: &str, node: &Node, faults: &mut Vec<Fault>) -> Option<Test> {
    let before = faults.len();
    let Value::Table(entries) = &node.value else {
        faults.push(Fault {
            file: file.to_owned(),
            line: node.line,
            message: format!("rule `{rule}`: `{name}` must be a table"),
            hint: Some(format!("write `{name} = {{ … }}`")),
        });
        return None;
    };
    let mut table = Table::new(file, node.line, format!("rule `{rule}`, `{name}`"), entries);
    let test = fill(name, &mut table, faults);
    table.finish(faults);
    test.filter(|_| faults.len() == before)
}

fn fill(name: &str, table: &mut Table<'_>, faults: &mut Vec<Fault>) -> Option<Test> {
    let ms = |secs: f64| (secs * SECOND as f64) as i64;
    Some(match name {
        "keyword" => {
            let (categories, phrases) = (table.texts("category", faults), table.texts("phrase", faults));
            if categories.is_empty() && phrases.is_empty() {
                table.missing("category", "or `phrase`", faults);
            }
            let span = match (
                word(table, "in", faults, &["utterance", "contact"]),
                table.number("within_secs", SECS, faults),
            ) {
                (_, Some(secs)) => Span::Within(ms(secs)),
                (Some(word), None) if word == "contact" => Span::Contact,
                _ => Span::Utterance,
            };
            Test::Keyword {
                categories,
                phrases,
                speaker: speaker(table, faults),
                at_least: count(table, "at_least", faults).unwrap_or(1),
                span,
            }
        }
        "sentiment" => {
            let over = count(table, "over", faults).unwrap_or(4);
            let mood = match word(table, "of", faults, &["last", "mean", "lowest", "slope"]).as_deref() {
                Some("mean") => Mood::Mean,
                Some("lowest") => Mood::Lowest,
                Some("slope") => Mood::Slope(over.max(2)),
                _ => Mood::Last,
            };
            let at_least = count(table, "at_least", faults).unwrap_or(1);
            Test::Sentiment {
                speaker: speaker(table, faults).unwrap_or(Speaker::Customer),
                mood,
                bound: bound(table, faults)?,
                at_least,
            }
        }
        "streak" => Test::Streak {
            speaker: speaker(table, faults).unwrap_or(Speaker::Customer),
            below: needed(table, "below", (-1.0, 1.0), faults)?,
            length: needed(table, "length", COUNT, faults)? as usize,
        },
        "wait" => Test::Wait { ms: ms(needed(table, "secs", SECS, faults)?) },
        "unanswered" => Test::Unanswered { ms: ms(needed(table, "secs", SECS, faults)?) },
        "talk" => Test::Talk { ms: ms(needed(table, "secs", SECS, faults)?) },
        "absence" => {
            let categories = table.texts("category", faults);
            if categories.is_empty() {
                table.missing("category", "the category of phrases that must be said", faults);
            }
            let ms = ms(needed(table, "within_secs", SECS, faults)?);
            Test::Absence { categories, speaker: speaker(table, faults).unwrap_or(Speaker::Agent), ms }
        }
        "hung_up" => {
            let known: Vec<_> = EndedBy::ALL.iter().map(|by| by.as_str()).collect();
            let by = word(table, "by", faults, &known).and_then(|word| EndedBy::parse(&word));
            Test::HungUp { by: by.unwrap_or(EndedBy::Agent) }
        }
        "passed_to" => {
            let queues = table.texts("queues", faults);
            if queues.is_empty() {
                table.missing("queues", "the queues that agents must not pass contacts to", faults);
            }
            Test::PassedTo { queues }
        }
        "transfers" => Test::Transfers { at_least: needed(table, "at_least", COUNT, faults)? as usize },
        "kpi" => {
            let figures: Vec<&'static str> = CATALOGUE
                .iter()
                .filter(|kpi| !matches!(kpi.measure, Measure::WaitQuantile(_)))
                .map(|kpi| kpi.name)
                .collect();
            if !table_has(table, "name") {
                table.missing("name", "for example `service_level`", faults);
            }
            let name = word(table, "name", faults, &figures);
            let window = word(table, "window", faults, WINDOWS).unwrap_or_else(|| "15m".to_owned());
            let min_sample = table.number("min_sample", (0.0, 1e9), faults).unwrap_or(20.0) as i64;
            let bound = bound(table, faults)?;
            let name = name.and_then(|name| figures.into_iter().find(|own| **own == *name))?;
            Test::Kpi { name, window, bound, min_sample }
        }
        "gauge" => {
            let known: Vec<&str> = QUEUE_GAUGES.iter().chain(GAUGES).copied().collect();
            if !table_has(table, "name") {
                table.missing("name", "for example `waiting`", faults);
            }
            let name = word(table, "name", faults, &known);
            Test::Gauge { bound: bound(table, faults)?, name: name? }
        }
        "surge" => Test::Surge {
            categories: table.texts("category", faults),
            times: table.number("times", (1.0, 1e6), faults).unwrap_or(1.5),
            at_least: table.number("at_least", COUNT, faults).unwrap_or(10.0),
            deviations: table.number("deviations", (0.0, 1e6), faults).unwrap_or(5.0),
        },
        "load" => {
            let contacts = count(table, "contacts", faults);
            let talk_ms = table.number("talk_secs", SECS, faults).map(ms);
            if contacts.is_none() && talk_ms.is_none() {
                table.missing("contacts", "or `talk_secs`: how much is too much", faults);
            }
            let within =
                table.number("within_secs", (60.0, (DAY / SECOND) as f64), faults).unwrap_or(3_600.0);
            Test::Load { contacts, talk_ms, within_ms: ms(within) }
        }
        "exposure" => Test::Exposure {
            contacts: needed(table, "contacts", COUNT, faults)? as usize,
            below: needed(table, "below", (-1.0, 1.0), faults)?,
            within_ms: table.number("within_secs", (1.0, (DAY / SECOND) as f64), faults).map(ms),
        },
        "complaint" => {
            let at = table.text("at", faults);
            let Some(minute) = at.as_deref().map_or(Some(CALL_BACK.1), minute) else {
                let at = at.unwrap_or_default();
                let hint = Some("write `17:00`".to_owned());
                faults.push(table.fault(table.line_of("at"), format!("`{at}` is no time of day"), hint));
                return None;
            };
            Test::Complaint {
                days: table.number("days", (0.0, 366.0), faults).unwrap_or(CALL_BACK.0 as f64) as i64,
                minute,
                before_ms: ms(table.number("before_secs", SECS, faults).unwrap_or(0.0)),
            }
        }
        "slot_fails" => Test::SlotFails {
            within_ms: ms(table.number("within_secs", SECS, faults).unwrap_or(86_400.0)),
            missing: table.number("missing", (0.0, 1e6), faults).unwrap_or(1.0),
        },
        "promise" => {
            Test::Promise { before_ms: ms(table.number("before_secs", SECS, faults).unwrap_or(0.0)) }
        }
        _ => return None,
    })
}

fn table_has(table: &mut Table<'_>, key: &'static str) -> bool {
    table.get(key).is_some()
}

fn needed(
    table: &mut Table<'_>,
    key: &'static str,
    range: (f64, f64),
    faults: &mut Vec<Fault>,
) -> Option<f64> {
    if table.get(key).is_none() {
        table.missing(key, "a number", faults);
        return None;
    }
    table.number(key, range, faults)
}

fn count(table: &mut Table<'_>, key: &'static str, faults: &mut Vec<Fault>) -> Option<usize> {
    table.number(key, COUNT, faults).map(|count| count as usize)
}

fn speaker(table: &mut Table<'_>, faults: &mut Vec<Fault>) -> Option<Speaker> {
    let known: Vec<_> = Speaker::ALL.iter().map(|speaker| speaker.as_str()).collect();
    word(table, "speaker", faults, &known).and_then(|word| Speaker::parse(&word))
}

/// `above` or `below`, one of them.
fn bound(table: &mut Table<'_>, faults: &mut Vec<Fault>) -> Option<Bound> {
    match (table.number("above", ANY, faults), table.number("below", ANY, faults)) {
        (Some(limit), None) => Some(Bound::Above(limit)),
        (None, Some(limit)) => Some(Bound::Below(limit)),
        (Some(_), Some(_)) => {
            let message = "`above` and `below` stand together".to_owned();
            faults.push(table.fault(table.line_of("above"), message, Some("take one of them".to_owned())));
            None
        }
        (None, None) => {
            table.missing("above", "or `below`: the bound", faults);
            None
        }
    }
}
