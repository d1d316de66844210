//! Stories of texts.
