//! Numbers of telephones, identity cards and bank cards, by their check digits where they have them.

use smallvec::SmallVec;

/// Digits of the shortest number of a person: a landline with its area code.
pub(super) const DIGITS_MIN: usize = 10;
/// Digits of the longest number of a person.
const DIGITS_MAX: usize = 19;

/// One digit of a number and where it stands.
#[derive(Clone, Copy)]
struct Digit {
    at: usize,
    end: usize,
    value: u8,
}

/// What a digit means, also one that a transcript writes as it is spoken.
pub(super) fn value(c: char) -> Option<u8> {
    Some(match c {
        '0'..='9' => c as u8 - b'0',
        '０'..='９' => u8::try_from(c as u32 - '０' as u32).ok()?,
        '零' | '〇' => 0,
        '一' | '幺' => 1,
        '二' | '两' => 2,
        '三' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return None,
    })
}

/// Finds numbers of telephones and cards: digits, with single spaces or hyphens between them at most.
pub(super) fn find(text: &str, hidden: &mut Vec<(usize, usize)>) {
    let mut digits: Vec<Digit> = Vec::new();
    let mut separated = false;
    let mut letter_before = false;
    for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
        if let Some(value) = value(c) {
            digits.push(Digit { at, end: at + c.len_utf8(), value });
            separated = false;
            continue;
        }
        if matches!(c, ' ' | '-' | '－') && !separated && !digits.is_empty() {
            separated = true;
            continue;
        }
        let check = matches!(c, 'x' | 'X' | 'Ｘ' | 'ｘ') && !separated && digits.len() == 17;
        if check {
            digits.push(Digit { at, end: at + c.len_utf8(), value: 10 });
        }
        if !letter_before {
            judge(&digits, hidden);
        }
        digits.clear();
        separated = false;
        letter_before = !check && (c.is_ascii_alphabetic() || c == '_');
    }
}

/// Hides a number that is one of a person, all but its last four digits; a telephone shows its first three too.
fn judge(digits: &[Digit], hidden: &mut Vec<(usize, usize)>) {
    if !(DIGITS_MIN..=DIGITS_MAX + 4).contains(&digits.len()) {
        return;
    }
    let values: SmallVec<[u8; DIGITS_MAX + 4]> = digits.iter().map(|digit| digit.value).collect();
    let skip = country_code(&values);
    let number = &values[skip..];
    let shown = if is_identity(number) || is_bank_card(number) {
        0
    } else if is_mobile(number) {
        3
    } else if is_landline(number) {
        0
    } else {
        return;
    };
    let kept = digits.len().saturating_sub(4);
    hidden.extend(digits[skip + shown..kept].iter().map(|digit| (digit.at, digit.end)));
}

/// Digits of a country code of mainland China before a mobile number: 86 or 0086.
fn country_code(values: &[u8]) -> usize {
    [&[8, 6][..], &[0, 0, 8, 6]]
        .into_iter()
        .find(|code| values.starts_with(code) && is_mobile(&values[code.len()..]))
        .map_or(0, <[u8]>::len)
}

/// A mainland mobile number: 11 digits from 13… to 19….
fn is_mobile(values: &[u8]) -> bool {
    matches!(values, [1, 3..=9, ..]) && values.len() == 11 && values.iter().all(|value| *value < 10)
}

/// A landline with its area code: 0, two or three digits, seven or eight digits.
fn is_landline(values: &[u8]) -> bool {
    matches!(values, [0, 1..=9, ..]) && (10..=12).contains(&values.len())
}

/// A resident identity card: 18 characters with the check character of GB 11643 (ISO 7064, MOD 11-2).
fn is_identity(values: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [u8; 11] = [1, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2];
    let Some((check, body)) = values.split_last() else { return false };
    if body.len() != WEIGHTS.len() || body.contains(&10) || body[0] == 0 {
        return false;
    }
    let sum: u32 = body.iter().zip(WEIGHTS).map(|(value, weight)| u32::from(*value) * weight).sum();
    CHECKS[(sum % 11) as usize] == *check
}

/// A bank card: 15 to 19 digits with the check digit of ISO/IEC 7812 (Luhn).
fn is_bank_card(values: &[u8]) -> bool {
    if !(15..=DIGITS_MAX).contains(&values.len()) || values.contains(&10) || values[0] == 0 {
        return false;
    }
    let doubled = |(at, value): (usize, &u8)| match (at % 2, u32::from(*value)) {
        (0, value) => value,
        (_, value) if value > 4 => value * 2 - 9,
        (_, value) => value * 2,
    };
    values.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}
