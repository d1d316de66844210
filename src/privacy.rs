//! Masks personal data in what people say and write, before it is stored.
//!
//! Numbers of telephones, identity cards and bank cards, and e-mail addresses. Every byte that is masked
//! becomes one byte (a digit `*`, a full-width digit the full-width `＊`), so that places in the text stay
//! right. Names and addresses are not found yet.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::event::Event;

/// Digits of the shortest number of a person: a landline with its area code.
const DIGITS_MIN: usize = 10;
/// Digits of the longest number of a person.
const DIGITS_MAX: usize = 19;

/// Masks the free texts of an event: what was said, and a survey's comment.
pub fn mask_event(event: &mut Event<'_>) {
    for text in [&mut event.text, &mut event.comment].into_iter().flatten() {
        if let Cow::Owned(masked) = mask(text) {
            *text = Cow::Owned(masked);
        }
    }
}

/// The text with personal data masked; borrowed when there is none.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut hidden: Vec<(usize, usize)> = Vec::new();
    find_numbers(text, &mut hidden);
    find_addresses(text, &mut hidden);
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let hide = hidden.iter().any(|(from, to)| (*from..*to).contains(&at));
        masked.push(match c {
            _ if !hide => c,
            _ if c.len_utf8() == 1 => '*',
            _ if c.len_utf8() == 3 => '＊',
            _ => c,
        });
    }
    Cow::Owned(masked)
}

/// One digit of a number and where it stands.
#[derive(Clone, Copy)]
struct Digit {
    at: usize,
    end: usize,
    value: u8,
}

/// Finds numbers of telephones and cards: digits, with single spaces or hyphens between them at most.
fn find_numbers(text: &str, hidden: &mut Vec<(usize, usize)>) {
    let mut digits: Vec<Digit> = Vec::new();
    let mut separated = false;
    let mut letter_before = false;
    for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
        let value = match c {
            '0'..='9' => Some(c as u8 - b'0'),
            '０'..='９' => u8::try_from(c as u32 - '０' as u32).ok(),
            _ => None,
        };
        if let Some(value) = value {
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

/// Finds e-mail addresses; the name before the @ is hidden but for its first letter.
fn find_addresses(text: &str, hidden: &mut Vec<(usize, usize)>) {
    let bytes = text.as_bytes();
    let named = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'%');
    for (at, _) in text.match_indices('@') {
        let name = bytes[..at].iter().rev().take_while(|byte| named(byte)).count();
        let host: Vec<u8> = bytes[at + 1..].iter().copied().take_while(|byte| named(byte)).collect();
        let host = host.strip_suffix(b".").unwrap_or(&host);
        if name > 0
            && host.iter().rposition(|byte| *byte == b'.').is_some_and(|dot| dot > 0 && dot + 2 < host.len())
        {
            hidden.push((at - name + usize::from(name > 1), at));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::mask;

    #[test]
    fn numbers_of_persons_are_hidden() {
        for (text, masked) in [
            ("我的电话是13812345678,请回电", "我的电话是138****5678,请回电"),
            ("call +86 138 1234 5678 now", "call +86 138 **** 5678 now"),
            ("身份证11010519491231002X。", "身份证**************002X。"),
            ("card 6222 0212 3456 7894", "card **** **** **** 7894"),
            ("座机010-62345678", "座机***-****5678"),
            ("写信到zhang.san@example.com吧", "写信到z********@example.com吧"),
            ("手机１３８１２３４５６７８", "手机１３８＊＊＊＊５６７８"),
        ] {
            assert_eq!(mask(text), masked);
            assert_eq!(mask(text).len(), text.len());
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "订单号20260302001",
            "等了45分钟",
            "12345",
            "110105194912310021",
            "A13812345678",
            "50%",
            "1234567890123456",
            "me@home",
            "@",
            "2026-03-02 09:00",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_mobile_number_passes(before in "\\PC{0,8}[^0-9A-Za-z_ ０-９－-]", number in "1[3-9][0-9]{9}", after in "[^0-9 ０-９xX－-]\\PC{0,8}") {
            let text = format!("{before}{number}{after}");
            let masked = mask(&text);
            prop_assert!(!masked.contains(&number), "{}", masked);
            prop_assert_eq!(masked.len(), text.len());
        }

        #[test]
        fn texts_without_digits_and_addresses_stay(text in "[^0-9０-９@]*") {
            prop_assert_eq!(mask(&text), text.as_str());
        }
    }
}
