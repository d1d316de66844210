//! The shifts of the file at their instants, for whoever plans by them.

use super::{Roster, When};
use crate::event::Role;
use crate::time::Millis;

/// One shift of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledShift {
    /// Its id: that of the file, with its start where the row stands for many days; without one, person and start.
    pub id: String,
    /// Who serves it: the person, or whoever stands in.
    pub person: String,
    /// As what.
    pub role: Role,
    /// For which queues; none: for all.
    pub queues: Vec<String>,
    /// The department, where the file names one.
    pub department: Option<String>,
    /// From when.
    pub start: Millis,
    /// Until when.
    pub end: Millis,
    /// Whether the person asked for it, where that is known.
    pub preferred: Option<bool>,
    /// When it was published, where that is known.
    pub published_at: Option<Millis>,
    /// Minutes that are paid, where the file says so.
    pub paid_minutes: Option<i64>,
}

impl Roster {
    /// The shifts of the file that touch `[from, to)`. Those that an event has planned or cancelled are left out: the event
    /// has them. A shift that somebody takes over for a part is in pieces.
    pub fn filed(&self, from: Millis, to: Millis) -> Vec<FiledShift> {
        let all = self.occurrences(from, to);
        let mut found = Vec::new();
        for shift in all.iter().filter(|shift| shift.entry.line > 0 && shift.entry.replaces.is_none()) {
            let entry = shift.entry;
            let mut cuts = vec![shift.start, shift.end];
            for other in all.iter().filter(|other| other.entry.replaces.as_deref() == Some(&entry.person)) {
                cuts.extend(
                    [other.start, other.end].into_iter().filter(|at| (shift.start..shift.end).contains(at)),
                );
            }
            cuts.sort_unstable();
            cuts.dedup();
            let whole = shift.end - shift.start;
            for piece in cuts.windows(2) {
                let (start, end) = (piece[0], piece[1]);
                let id = match (&entry.shift_id, entry.when) {
                    (Some(id), When::Once(..)) if start == shift.start => id.clone(),
                    (Some(id), _) => format!("{id}@{start}"),
                    (None, _) => format!("{}@{start}", entry.person),
                };
                found.push(FiledShift {
                    id,
                    person: self.serving(shift, start),
                    role: entry.role,
                    queues: entry.queues.clone(),
                    department: entry.department.clone(),
                    start,
                    end,
                    preferred: entry.preferred,
                    published_at: entry.published_at,
                    paid_minutes: entry.paid_minutes.map(|minutes| minutes * (end - start) / whole.max(1)),
                });
            }
        }
        found
    }
}
