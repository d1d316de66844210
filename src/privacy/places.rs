//! Licence plates and postal addresses.

use super::{Chars, is_hanzi};

/// One character for each province of mainland China, as plates begin.
const PROVINCES: &str = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼";
/// What may end a plate instead of a digit or letter.
const PLATE_ENDS: &str = "挂学警港澳领使";

/// Names of roads and estates end so; the longer one stands first.
const ROADS: [&str; 26] = [
    "大道",
    "大街",
    "胡同",
    "小区",
    "花园",
    "新村",
    "公寓",
    "大厦",
    "广场",
    "家园",
    "嘉园",
    "花苑",
    "家苑",
    "山庄",
    "国际城",
    "街道",
    "工业区",
    "路",
    "街",
    "巷",
    "弄",
    "苑",
    "村",
    "里",
    "道",
    "城",
];
/// Words with such an ending that are no roads.
const NO_ROADS: [&str; 26] = [
    "电路", "线路", "网路", "思路", "铁路", "半路", "一路", "上路", "出路", "套路", "回路", "短路", "公里",
    "这里", "那里", "哪里", "家里", "心里", "手里", "知道", "味道", "渠道", "频道", "通道", "报道", "难道",
];
/// What follows a number in an address.
const UNITS: [&str; 11] = ["号楼", "号院", "单元", "栋", "幢", "座", "号", "室", "层", "弄", "楼"];
/// Whether a unit may begin so.
pub(super) fn begins_unit(c: char) -> bool {
    matches!(c, '号' | '单' | '栋' | '幢' | '座' | '室' | '层' | '弄' | '楼')
}

/// What ends the part of an address that is shown, or stands before an address.
const BEFORE: &str = "省市区县镇乡旗州在到是住址我于送寄为的去从有：:，,。 ；;、（(";
/// Longest name of a road, characters.
const NAME_MAX: usize = 8;

/// Streets of English addresses end so.
const STREETS: [&str; 14] = [
    "Street",
    "St",
    "Road",
    "Rd",
    "Avenue",
    "Ave",
    "Lane",
    "Ln",
    "Drive",
    "Dr",
    "Boulevard",
    "Blvd",
    "Court",
    "Way",
];

/// Finds plates: province, letter, then five or six letters and digits.
pub(super) fn find_plates(text: &Chars, hidden: &mut Vec<(usize, usize)>) {
    for (at, c) in text.chars.iter().enumerate() {
        if !text.get(at + 1).is_some_and(|c| c.is_ascii_uppercase()) || !PROVINCES.contains(*c) {
            continue;
        }
        let from =
            at + 2 + usize::from(text.get(at + 2).is_some_and(|c| matches!(c, '·' | '.' | '-' | ' ' | '•')));
        let rest = text.chars[from..].iter();
        let mut length = rest.take_while(|c| c.is_ascii_alphanumeric()).take(7).count();
        length += usize::from(length == 4 && text.get(from + 4).is_some_and(|c| PLATE_ENDS.contains(c)));
        let digits = text.chars[from..from + length].iter().filter(|c| c.is_ascii_digit()).count();
        if matches!(length, 5 | 6) && digits > 0 {
            hidden.push(text.span(from, from + length));
        }
    }
}

/// Finds Chinese addresses: a road or estate with a number, or a chain of numbers of buildings.
pub(super) fn find_addresses(text: &Chars, hidden: &mut Vec<(usize, usize)>) {
    let mut at = 0;
    while at < text.chars.len() {
        if let Some((from, to)) = road(text, at) {
            hidden.push(text.span(from, to));
            at = to;
        } else if let Some(to) = building(text, at) {
            hidden.push(text.span(at, to));
            at = to;
        } else {
            at += 1;
        }
    }
}

/// An address whose road or estate ends at `at`: from where its name begins to the end of its numbers.
fn road(text: &Chars, at: usize) -> Option<(usize, usize)> {
    let begins = matches!(
        text.chars[at],
        '大' | '胡'
            | '小'
            | '花'
            | '新'
            | '公'
            | '广'
            | '家'
            | '嘉'
            | '山'
            | '国'
            | '街'
            | '工'
            | '路'
            | '巷'
            | '弄'
            | '苑'
            | '村'
            | '里'
            | '道'
            | '城'
    );
    if !begins {
        return None;
    }
    let ending = ROADS.iter().find(|ending| text.stands(at, ending))?;
    let after = at + ending.chars().count();
    let (to, _) = numbers(text, after)?;
    let hanzi = text.chars[..at].iter().rev().take(NAME_MAX);
    let length = hanzi.take_while(|c| is_hanzi(**c) && !BEFORE.contains(**c)).count();
    let from = at - length;
    let is_none = NO_ROADS.iter().any(|word| {
        let start = after.saturating_sub(word.chars().count());
        text.stands(start, word)
    });
    (length > 0 && !is_none).then_some((from, to))
}

/// Two numbers of buildings or rooms in a row, such as 3栋2单元.
fn building(text: &Chars, at: usize) -> Option<usize> {
    if !is_digit(text.chars[at]) || (at > 0 && is_digit(text.chars[at - 1])) {
        return None;
    }
    let (to, count) = numbers(text, at)?;
    (count > 1).then_some(to)
}

/// Numbers with their units from `at` on: where they end, and how many.
fn numbers(text: &Chars, at: usize) -> Option<(usize, usize)> {
    let (mut to, mut count) = (at, 0);
    let mut next = at;
    loop {
        let digits = text.chars[next.min(text.chars.len())..].iter().take_while(|c| is_digit(**c)).count();
        if digits == 0 || digits > 6 {
            break;
        }
        let after = next + digits;
        match UNITS.iter().find(|unit| text.stands(after, unit)) {
            Some(unit) => {
                to = after + unit.chars().count();
                count += 1;
            }
            // The number of the room may stand without a word.
            None if count > 0 && digits >= 3 => return Some((after, count + 1)),
            None => break,
        }
        next = to;
        while text.get(next).is_some_and(|c| matches!(c, ' ' | '-' | '－')) {
            next += 1;
        }
    }
    (count > 0).then_some((to, count))
}

/// A digit or letter of a house number, as written or spoken.
pub(super) fn is_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || matches!(
            c,
            '-' | '０'
                ..='９'
                    | '零'
                    | '〇'
                    | '一'
                    | '二'
                    | '三'
                    | '四'
                    | '五'
                    | '六'
                    | '七'
                    | '八'
                    | '九'
                    | '十'
                    | '百'
        )
}

/// Finds English addresses: a number, one to three names, and what a street is called.
pub(super) fn find_streets(text: &Chars, hidden: &mut Vec<(usize, usize)>) {
    let mut at = 0;
    while at < text.chars.len() {
        let starts = at == 0 || !text.chars[at - 1].is_ascii_alphanumeric();
        let digits = text.chars[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if !starts || !(1..=5).contains(&digits) {
            at += 1;
            continue;
        }
        let mut next = at + digits;
        next += usize::from(text.get(next).is_some_and(|c| c.is_ascii_uppercase()));
        for words in 0..4 {
            if text.get(next) != Some(' ') {
                break;
            }
            let length = text.chars[next + 1..].iter().take_while(|c| c.is_ascii_alphabetic()).count();
            let word: String = text.chars[next + 1..next + 1 + length].iter().collect();
            if !word.starts_with(|c: char| c.is_ascii_uppercase()) {
                break;
            }
            next += 1 + length;
            if words > 0 && STREETS.contains(&word.as_str()) {
                hidden.push(text.span(at, next));
                break;
            }
        }
        at += digits.max(1);
    }
}
