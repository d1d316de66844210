//! Shifts that came as events, found by role and time: there may be many, most of them of agents, and every alert asks for few.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Entry, When};
use crate::event::Role;
use crate::time::Millis;

/// Shifts that came as events. Each change of a roster makes a copy of all of it, so what does not change is shared.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Planned {
    /// Where the shift of an id stands; `None`: it was cancelled.
    known: BTreeMap<Arc<str>, Option<(Role, Millis)>>,
    /// By role, start and id.
    shifts: BTreeMap<(Role, Millis, Arc<str>), Arc<Entry>>,
    /// No shift was ever longer than this, ms.
    longest: Millis,
}

impl Planned {
    /// Plans a shift, or cancels it; true when that is news.
    pub(super) fn set(&mut self, id: &str, entry: Option<Entry>) -> bool {
        let id: Arc<str> = id.into();
        let place = entry.as_ref().map(place_of);
        let before = self.known.insert(Arc::clone(&id), place);
        let old =
            before.flatten().and_then(|(role, start)| self.shifts.remove(&(role, start, Arc::clone(&id))));
        let news = before.is_none() || old.as_deref() != entry.as_ref();
        if let (Some((role, start)), Some(entry)) = (place, entry) {
            self.longest = self.longest.max(length_of(&entry));
            self.shifts.insert((role, start, id), Arc::new(entry));
        }
        news
    }

    /// Whether an event planned or cancelled the shift of this id.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains_key(id)
    }

    /// True when no shift is planned.
    pub(super) fn is_empty(&self) -> bool {
        self.shifts.is_empty()
    }

    /// All shifts, by role and start.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.shifts.values().map(Arc::as_ref)
    }

    /// The shifts of a role that may touch `[from, to)`, by start.
    pub(super) fn around(&self, role: Role, from: Millis, to: Millis) -> impl Iterator<Item = &Entry> {
        let first = from.saturating_sub(self.longest);
        let range = (role, first, Arc::default())..(role, to.max(first), Arc::default());
        self.shifts.range(range).map(|(_, entry)| entry.as_ref())
    }

    /// Drops shifts that ended before `before`.
    pub(super) fn forget(&mut self, before: Millis) {
        let Planned { known, shifts, .. } = self;
        shifts.retain(|(.., id), entry| {
            let stays = !matches!(entry.when, When::Once(_, end) if end < before);
            if !stays {
                known.remove(id);
            }
            stays
        });
    }
}

/// Role and start of a shift. Events plan single shifts only.
fn place_of(entry: &Entry) -> (Role, Millis) {
    match entry.when {
        When::Once(start, _) => (entry.role, start),
        When::Weekly { .. } => (entry.role, Millis::MIN),
    }
}

fn length_of(entry: &Entry) -> Millis {
    match entry.when {
        When::Once(start, end) => end.saturating_sub(start),
        When::Weekly { .. } => 0,
    }
}
