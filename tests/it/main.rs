//! The house as a whole, in one binary (each further one would link DataFusion again).
//!
//! - `tidy`: house rules: who imports whom, where heavy packages live, what a file must and must not have.
//!
//! What one room can prove alone stands in that room.

mod tidy;
