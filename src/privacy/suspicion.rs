//! What a text may hold, told by single characters and pairs of them: every message is looked at, and most hold nothing personal.

use super::numbers::{self, DIGITS_MIN};
use super::{names, places};

/// Kinds of personal data that a text may hold; what is not suspected is not there.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Suspicion {
    /// Digits enough for a telephone.
    pub(super) number: bool,
    /// An at sign.
    pub(super) email: bool,
    /// A capital letter after a character that is none of ASCII.
    pub(super) plate: bool,
    /// A number with what follows one in an address.
    pub(super) address: bool,
    /// A number and a capital letter.
    pub(super) street: bool,
    /// The beginning of a word that says that a name is beside it.
    pub(super) name: bool,
}

impl Suspicion {
    /// Looks at each character once.
    pub(super) fn of(text: &str) -> Suspicion {
        let mut found = Suspicion::default();
        let (mut digits, mut arabic, mut capital) = (0, false, false);
        let mut before = '\n';
        for c in text.chars() {
            digits += usize::from(numbers::value(c).is_some());
            if c.is_ascii() {
                found.email |= c == '@';
                arabic |= c.is_ascii_digit();
                if c.is_ascii_uppercase() {
                    capital = true;
                    found.plate |= !before.is_ascii();
                }
            } else {
                found.address |= places::begins_unit(c) && places::is_digit(before);
            }
            found.name |= names::begins(before, c);
            before = c;
        }
        found.number = digits >= DIGITS_MIN;
        found.street = arabic && capital;
        found
    }

    /// Everything.
    #[cfg(test)]
    pub(super) fn all() -> Suspicion {
        Suspicion { number: true, email: true, plate: true, address: true, street: true, name: true }
    }
}
