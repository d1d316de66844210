//! Links that acknowledge one alert in somebody's name, for as long as they hold.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::sign;
use crate::time::{DAY, Millis};

/// How long a link holds.
const HOLDS: Millis = 2 * DAY;

/// Signs links. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkKey(Vec<u8>);

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("LinkKey(not shown)")
    }
}

impl LinkKey {
    /// A key of these bytes.
    pub fn new(bytes: Vec<u8>) -> LinkKey {
        LinkKey(bytes)
    }

    /// A token with which `people` may acknowledge the alert `id` until two days after `now`.
    pub fn token(&self, id: &str, people: &str, now: Millis) -> String {
        let until = now + HOLDS;
        format!("{until}.{}.{}", URL_SAFE_NO_PAD.encode(people), self.signature(id, people, until))
    }

    /// In whose name the token acknowledges the alert `id`; `None` where it does not, or no longer.
    pub fn people(&self, id: &str, token: &str, now: Millis) -> Option<String> {
        let mut parts = token.split('.');
        let (until, people, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let until: Millis = until.parse().ok()?;
        let people = String::from_utf8(URL_SAFE_NO_PAD.decode(people).ok()?).ok()?;
        let right = sign::same(&self.signature(id, &people, until), signature);
        (right && now <= until && parts.next().is_none()).then_some(people)
    }

    fn signature(&self, id: &str, people: &str, until: Millis) -> String {
        sign::link(&self.0, format!("ack\0{id}\0{people}\0{until}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_for_its_alert_its_people_and_its_time() {
        let key = LinkKey::new(b"a key".to_vec());
        let token = key.token("a1", "王芳", 1_000);
        assert_eq!(key.people("a1", &token, 2_000).as_deref(), Some("王芳"));
        assert_eq!(key.people("a2", &token, 2_000), None, "another alert");
        assert_eq!(key.people("a1", &token, 3 * DAY), None, "too late");
        assert_eq!(LinkKey::new(b"other".to_vec()).people("a1", &token, 2_000), None, "another key");
        let until = 2_000 + 9 * DAY;
        let forged = format!("{until}.{}", token.split_once('.').expect("dots").1);
        assert_eq!(key.people("a1", &forged, 2_000), None, "a longer time");
        for wrong in ["", "a.b.c", "..", "1.é.x", &format!("{token}.x")] {
            assert_eq!(key.people("a1", wrong, 2_000), None, "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "LinkKey(not shown)");
    }
}
