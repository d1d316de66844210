//! The commit path under faults: tasks, committers and lakes in one thread, with everything that can go wrong chosen by a
//! seed.

mod bad_input;
mod cost;
mod dice;
mod hand_over;
mod records;
mod simulation;
mod store;
mod visible;
