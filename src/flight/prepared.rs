//! Statements that clients have prepared: kept for a while, and for their owner only.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use datafusion::common::ScalarValue;

/// Statements that are kept at once; further ones push out the one that was used longest ago.
const KEPT_MAX: usize = 1_000;
/// How long a statement is kept after its last use.
const KEPT_TIME: Duration = Duration::from_secs(3600);

/// One prepared statement.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) sql: String,
    /// Who prepared it.
    pub(super) user: String,
    /// Values that are bound.
    pub(super) values: Vec<ScalarValue>,
    used: Instant,
}

/// All of them, by their handle.
#[derive(Debug, Default)]
pub(super) struct Store(Mutex<HashMap<Vec<u8>, Prepared>>);

impl Store {
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, Prepared>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps a statement; gives its handle, which cannot be guessed.
    pub(super) fn keep(&self, sql: String, user: String) -> Vec<u8> {
        let handle = rand::random::<[u8; 16]>().to_vec();
        let mut kept = self.locked();
        let now = Instant::now();
        kept.retain(|_, prepared| now.duration_since(prepared.used) < KEPT_TIME);
        if kept.len() >= KEPT_MAX
            && let Some(oldest) =
                kept.iter().min_by_key(|(_, prepared)| prepared.used).map(|(handle, _)| handle.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(handle.clone(), Prepared { sql, user, values: Vec::new(), used: now });
        handle
    }

    /// The statement of this handle, if it is this user's.
    pub(super) fn get(&self, handle: &[u8], user: &str) -> Option<Prepared> {
        let mut kept = self.locked();
        let prepared = kept.get_mut(handle).filter(|prepared| prepared.user == user)?;
        prepared.used = Instant::now();
        Some(prepared.clone())
    }

    /// Binds values; tells whether there is such a statement.
    pub(super) fn bind(&self, handle: &[u8], user: &str, values: Vec<ScalarValue>) -> bool {
        let mut kept = self.locked();
        match kept.get_mut(handle).filter(|prepared| prepared.user == user) {
            Some(prepared) => {
                prepared.values = values;
                true
            }
            None => false,
        }
    }

    /// Forgets a statement.
    pub(super) fn forget(&self, handle: &[u8], user: &str) {
        let mut kept = self.locked();
        if kept.get(handle).is_some_and(|prepared| prepared.user == user) {
            kept.remove(handle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_its_owner_s() {
        let store = Store::default();
        let handle = store.keep("select 1".to_owned(), "ana".to_owned());
        assert!(store.get(&handle, "ben").is_none() && !store.bind(&handle, "ben", Vec::new()));
        store.forget(&handle, "ben");
        assert!(store.bind(&handle, "ana", vec![ScalarValue::Int64(Some(1))]));
        assert_eq!(store.get(&handle, "ana").map(|prepared| prepared.values.len()), Some(1));
        store.forget(&handle, "ana");
        assert!(store.get(&handle, "ana").is_none());
    }

    #[test]
    fn no_more_are_kept_than_the_bound() {
        let store = Store::default();
        let first = store.keep("select 1".to_owned(), "ana".to_owned());
        for _ in 0..KEPT_MAX {
            store.keep("select 2".to_owned(), "ana".to_owned());
        }
        assert!(store.get(&first, "ana").is_none());
        assert_eq!(store.locked().len(), KEPT_MAX);
    }
}
