//! Cuts texts by bytes, between letters.

/// The longest beginning of `text` of at most `bytes` bytes that ends between letters; with `…` where something is missing.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let room = bytes.saturating_sub('…'.len_utf8());
    let end = (0..=room.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut cut = text[..end].to_owned();
    if bytes >= '…'.len_utf8() {
        cut.push('…');
    }
    cut
}

/// Joins items into as few parts as fit into `bytes` each, in order, with an empty line between items; an item that is
/// longer alone is cut.
pub(super) fn parts(items: &[String], bytes: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for item in items {
        let item = cut(item, bytes);
        match parts.last_mut() {
            Some(part) if part.len() + 2 + item.len() <= bytes => {
                part.push_str("\n\n");
                part.push_str(&item);
            }
            _ => parts.push(item),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_between_letters() {
        assert_eq!(cut("客户要离网", 15), "客户要离网");
        assert_eq!(cut("客户要离网", 14), "客户要…");
        assert_eq!(cut("客户", 2), "");
        assert_eq!(parts(&["ab".into(), "cd".into(), "efgh".into()], 6), ["ab\n\ncd", "efgh"]);
        assert_eq!(parts(&["客户要离网".into(), "b".into()], 9), ["客户…", "b"]);
    }

    proptest! {
        #[test]
        fn parts_fit_and_keep_what_fits(items in prop::collection::vec("[a-z客户😀]{1,30}", 0..20), bytes in 8usize..80) {
            let made = parts(&items, bytes);
            prop_assert!(made.iter().all(|part| part.len() <= bytes));
            let whole = made.join("\n\n");
            for item in items.iter().filter(|item| item.len() <= bytes) {
                prop_assert!(whole.contains(item.as_str()));
            }
        }
    }
}
