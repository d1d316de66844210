//! Traditional characters and the simplified ones that stand for them.
//!
//! Character by character, for what occurs in service talk; a table of our own. Phrases that differ in their
//! words (軟體 and 软件) are no matter of characters and stand in the lexicon.

/// First character of the table's block (CJK Unified Ideographs).
const FIRST: u32 = 0x4e00;
/// Characters of the block.
const LEN: usize = 0x5200;

/// Pairs: the traditional character, then the simplified one. White space is for the eye.
const PAIRS: &str = include_str!("hans.txt");

/// The simplified character of each of the block, as its distance from [`FIRST`].
static TABLE: [u16; LEN] = build();

/// The simplified form of a character; itself where it has none. Both take three bytes.
#[inline]
pub(super) fn simplified(c: u32) -> u32 {
    match TABLE.get(c.wrapping_sub(FIRST) as usize) {
        Some(&to) => FIRST + to as u32,
        None => c,
    }
}

/// Whether a character stays as it is.
#[inline]
pub(super) fn is_simple(c: u32) -> bool {
    let at = c.wrapping_sub(FIRST);
    TABLE.get(at as usize).is_some_and(|&to| to as u32 == at)
}

const fn build() -> [u16; LEN] {
    let mut table = [0u16; LEN];
    let mut at = 0;
    while at < LEN {
        table[at] = at as u16;
        at += 1;
    }
    let bytes = PAIRS.as_bytes();
    let mut from = 0u32;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] < 0x80 {
            at += 1;
            continue;
        }
        assert!(bytes[at] & 0xf0 == 0xe0, "the table has characters of three bytes only");
        let c = ((bytes[at] as u32 & 0x0f) << 12)
            | ((bytes[at + 1] as u32 & 0x3f) << 6)
            | (bytes[at + 2] as u32 & 0x3f);
        assert!(c >= FIRST && c < FIRST + LEN as u32, "the table has characters of the block only");
        if from == 0 {
            from = c;
        } else {
            table[(from - FIRST) as usize] = (c - FIRST) as u16;
            from = 0;
        }
        at += 3;
    }
    assert!(from == 0, "every character has its partner");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traditional_characters_have_simple_ones() {
        let simple = |text: &str| -> String {
            text.chars().filter_map(|c| char::from_u32(simplified(c as u32))).collect()
        };
        assert_eq!(simple("你們的態度太惡劣，我要投訴，請轉經理"), "你们的态度太恶劣，我要投诉，请转经理");
        assert_eq!(simple("客服電話一直沒人接聽，網絡斷線"), "客服电话一直没人接听，网络断线");
        assert_eq!(simple("简体字不变 abc 😀"), "简体字不变 abc 😀");
    }

    #[test]
    fn what_is_simple_stays_simple() {
        for c in FIRST..FIRST + LEN as u32 {
            let once = simplified(c);
            assert_eq!(simplified(once), once, "{:?}", char::from_u32(c));
        }
    }
}
