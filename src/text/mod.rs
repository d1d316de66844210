//! Reads what people say: sentiment by a published arithmetic, and phrases that somebody should hear of.
//!
//! Knows no contact, no alert, no file and no clock: a [`Reader`] is made of [`Lexicon`]s and reads one text at a
//! time. How the score is made, and how an own lexicon is written, stands in docs/words.md.
//!
//! Invariant: reading is a function of the text, the speaker and the lexicons.
//! Invariant: places are bytes of the original text, always between characters.

mod explain;
mod hans;
mod lexicon;
mod normal;
mod pattern;
mod reader;
mod score;
#[cfg(test)]
mod tests;

pub use explain::{Explanation, Reason};
pub use lexicon::{Fault, Lexicon};
pub use reader::{Hit, Reader, Reading, Scratch};
