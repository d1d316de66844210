//! Staff needed for a load: Erlang C, and Erlang A for customers who lose patience.
//!
//! Plain functions of numbers; knows no queue, no slot and no history.

mod erlang;

pub use erlang::{erlang_a_abandon, erlang_c_agents, erlang_c_asa, erlang_c_service_level};
