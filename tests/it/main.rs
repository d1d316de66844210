//! The house as a whole, in one binary (each further one would link DataFusion again).
//!
//! - `alerts`: from an event to somebody's acknowledgement: escalation, links, a changed roster, a crash.
//! - `tidy`: house rules: who imports whom, where heavy packages live, what a file must and must not have.
//! - `cli`: the real binary on files: exit codes, replay, SQL.
//! - `cookbook`: the questions of the manual.
//! - `service`: the real binary as a service: the demo, and a crash midway, with the embedded broker.
//! - `fleet`: two instances of one group answer as one would, with the embedded broker.
//! - `vendors`: one simulated centre in the words of each platform gives the same figures.
//! - `plans`: forecasts, rosters and the manager's questions, on files.
//! - `harness`: the binary in a directory of its own, and files of simulated events.
//!
//! What one room can prove alone stands in that room.

mod alerts;
mod cli;
mod cookbook;
mod dashboards;
mod fleet;
mod harness;
mod plans;
mod service;
mod tidy;
mod vendors;
