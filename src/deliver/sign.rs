//! Signatures, as each receiver recomputes them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// DingTalk: base64 of HMAC-SHA256 with the secret as key over `<ms>\n<secret>`. Goes percent-encoded into the query.
pub(super) fn dingtalk(secret: &str, ms: i64) -> String {
    STANDARD.encode(hmac_sha256(secret.as_bytes(), format!("{ms}\n{secret}").as_bytes()))
}

/// Feishu: base64 of HMAC-SHA256 with `<seconds>\n<secret>` as key over nothing. Goes into the body.
pub(super) fn feishu(secret: &str, secs: i64) -> String {
    STANDARD.encode(hmac_sha256(format!("{secs}\n{secret}").as_bytes(), b""))
}

/// Our webhook: hex of HMAC-SHA256 with the secret as key over `<ms>.<body>`, as `sha256=…`.
pub(super) fn webhook(secret: &str, ms: i64, body: &[u8]) -> String {
    let mut message = format!("{ms}.").into_bytes();
    message.extend_from_slice(body);
    let digits = hmac_sha256(secret.as_bytes(), &message);
    let hex: String = digits.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

/// A short signature for links: base64url of the first 16 bytes.
pub(super) fn link(key: &[u8], message: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&hmac_sha256(key, message)[..16])
}

/// Compares two texts in a time that does not tell where they differ.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_makers_descriptions() {
        // Recomputed with another implementation (Python's hmac and base64).
        assert_eq!(dingtalk("SECabc", 1_700_000_000_000), "jcUpW0QmtKduN03n4JqQ0PBosVjqnM8gU7fIIvsDmCM=");
        assert_eq!(feishu("demo", 1_599_360_473), "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=");
        assert_eq!(
            webhook("key", 1, b"{}"),
            "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"
        );
        assert!(same("abc", "abc") && !same("abc", "abd") && !same("abc", "ab"));
    }
}
