//! Flags for what could not be: the words of the columns `anomalies`.

use std::sync::LazyLock;

/// A set of anomalies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Flags(u8);

/// Names by bit, in alphabetical order, which is the order of the text.
const NAMES: [&str; 4] = ["never_ended", "no_exit", "no_wrap", "requeued"];

/// Every set as text, made once: rows borrow it.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..1u8 << NAMES.len())
        .map(|bits| {
            let names = NAMES.iter().enumerate().filter(|(i, _)| bits & (1 << i) != 0);
            names.map(|(_, name)| *name).collect::<Vec<_>>().join(";")
        })
        .collect()
});

impl Flags {
    /// The contact, leg or talk was closed by the contact's time-out.
    pub(super) const NEVER_ENDED: Flags = Flags(1);
    /// The leg was left for another queue without an exit.
    pub(super) const NO_EXIT: Flags = Flags(2);
    /// The wrap-up never came.
    pub(super) const NO_WRAP: Flags = Flags(4);
    /// The contact was queued again where it already waited.
    pub(super) const REQUEUED: Flags = Flags(8);

    pub(super) fn add(&mut self, other: Flags) {
        self.0 |= other.0;
    }

    /// The names, separated by semicolons; `None` when there is none.
    pub(super) fn text(self) -> Option<&'static str> {
        (self.0 != 0).then(|| TEXTS[usize::from(self.0)].as_str())
    }
}
