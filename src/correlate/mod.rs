//! (to be written)

mod rows;

pub use rows::Rows;
