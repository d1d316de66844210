//! One phrase as written, taken apart: literals and what may stand between them.

use super::normal::Normal;

/// Phrases that one line with alternatives may stand for.
const EXPANSIONS_MAX: usize = 256;
/// Longest gap between two parts, characters.
const GAP_MAX: u32 = 30;
/// Most parts of a phrase.
const PARTS_MAX: usize = 6;

/// What may stand between two literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// So many characters, none of which ends a sentence.
    Any { min: u32, max: u32 },
    /// A number in digits or Chinese numerals.
    Number,
}

/// A phrase: one of some literals, then gaps with the literals of which one follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// As it was written; of a phrase without gaps, with its alternatives chosen.
    pub(super) shown: String,
    pub(super) first: Vec<Literal>,
    pub(super) rest: Vec<(Gap, Vec<Literal>)>,
}

/// A piece of normalised text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) shown: String,
    pub(super) bytes: Vec<u8>,
    /// The word may go on behind it.
    pub(super) open: bool,
}

/// Every phrase that a line stands for: one by alternative, or a single one with gaps.
pub(super) fn parse(text: &str) -> Result<Vec<Pattern>, String> {
    let mut parts: Vec<(Option<Gap>, Vec<Literal>)> = Vec::new();
    let mut rest = text;
    let mut gap = None;
    loop {
        let (part, after) = match rest.split_once('{') {
            Some((before, after)) => (before, Some(after)),
            None => (rest, None),
        };
        // What may be absent at an edge changes nothing but what is told.
        let mut part = part.trim();
        if parts.is_empty() {
            part = without_optional_start(part);
        }
        if after.is_none() {
            part = without_optional_end(part);
        }
        parts.push((gap, expand(part)?.iter().map(|text| literal(text)).collect::<Result<_, _>>()?));
        let Some(after) = after else { break };
        let Some((inside, next)) = after.split_once('}') else { return Err("`{` is not closed".to_owned()) };
        gap = Some(read_gap(inside)?);
        rest = next;
    }
    if parts.len() > PARTS_MAX {
        return Err(format!("more than {PARTS_MAX} parts"));
    }
    let mut parts = parts.into_iter();
    let Some((_, first)) = parts.next() else { return Err("the phrase is empty".to_owned()) };
    let rest: Vec<(Gap, Vec<Literal>)> = parts.filter_map(|(gap, literals)| Some((gap?, literals))).collect();
    if rest.is_empty() {
        let alone = |literal: Literal| Pattern {
            shown: literal.shown.clone(),
            first: vec![literal],
            rest: Vec::new(),
        };
        return Ok(first.into_iter().map(alone).collect());
    }
    Ok(vec![Pattern { shown: text.to_owned(), first, rest }])
}

fn without_optional_start(mut part: &str) -> &str {
    while let Some((choices, after)) = part.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        && choices.split('|').any(str::is_empty)
        && !after.trim().is_empty()
    {
        part = after;
    }
    part
}

fn without_optional_end(mut part: &str) -> &str {
    while let Some((before, choices)) = part.strip_suffix(')').and_then(|rest| rest.rsplit_once('('))
        && choices.split('|').any(str::is_empty)
        && !before.trim().is_empty()
    {
        part = before;
    }
    part
}

/// Writes alternatives out.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['(', ')']) {
        let (before, after) = rest.split_at(at);
        if after.starts_with(')') {
            return Err("`)` closes nothing".to_owned());
        }
        let Some(end) = after.find(')') else { return Err("`(` is not closed".to_owned()) };
        let choices = &after[1..end];
        if choices.contains('(') {
            return Err("alternatives do not stand inside each other".to_owned());
        }
        let mut next = Vec::new();
        for text in &all {
            next.extend(choices.split('|').map(|choice| format!("{text}{before}{choice}")));
        }
        if next.len() > EXPANSIONS_MAX {
            return Err(format!("more than {EXPANSIONS_MAX} phrases in one line"));
        }
        all = next;
        rest = &after[end + 1..];
    }
    all.iter_mut().for_each(|text| text.push_str(rest));
    Ok(all)
}

fn read_gap(inside: &str) -> Result<Gap, String> {
    if inside == "n" {
        return Ok(Gap::Number);
    }
    let bounds = inside.split_once('-').and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
    match bounds {
        Some((min, max)) if min <= max && max <= GAP_MAX => Ok(Gap::Any { min, max }),
        _ => Err(format!("`{{{inside}}}` is neither `{{n}}` nor `{{0-{GAP_MAX}}}`")),
    }
}

fn literal(text: &str) -> Result<Literal, String> {
    let (text, open) = match text.trim().strip_suffix('*') {
        Some(text) => (text, true),
        None => (text.trim(), false),
    };
    let mut normal = Normal::default();
    normal.fill(text);
    if normal.bytes.is_empty() {
        return Err("a part of the phrase is empty once it is normalised".to_owned());
    }
    Ok(Literal { shown: text.to_owned(), bytes: normal.bytes, open })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        parse(text).expect("it is a phrase").into_iter().map(|pattern| pattern.shown).collect()
    }

    #[test]
    fn lines_stand_for_phrases() {
        assert_eq!(shown("要(投诉|举报)(你们|)了"), ["要投诉你们了", "要投诉了", "要举报你们了", "要举报了"]);
        assert_eq!(shown("(我|)(现在|)要(投诉|举报)(你们|)"), ["要投诉", "要举报"]);
        let found = &parse("等了{n}(分钟|个小时)").expect("it is a phrase")[0];
        assert_eq!(found.first[0].bytes, "等了".as_bytes());
        assert_eq!((found.rest[0].0, found.rest[0].1.len()), (Gap::Number, 2));
        let found = &parse("取消{0-8}合同").expect("it is a phrase")[0];
        assert_eq!(found.rest[0], (Gap::Any { min: 0, max: 8 }, vec![literal("合同").expect("a literal")]));
        assert!(parse("disappoint*").expect("it is a phrase")[0].first[0].open);
    }

    #[test]
    fn faults_say_what_is_wrong() {
        for (text, message) in [
            ("(a", "`(` is not closed"),
            ("a)", "`)` closes nothing"),
            ("a{n", "`{` is not closed"),
            ("{n}天", "a part of the phrase is empty once it is normalised"),
            ("a{3-2}b", "`{3-2}` is neither `{n}` nor `{0-30}`"),
            ("嗯", "a part of the phrase is empty once it is normalised"),
        ] {
            assert_eq!(parse(text).expect_err("it is wrong"), message, "{text}");
        }
    }
}
