//! How many will come, how long each takes, and who must sit there: forecasts, Erlang C and A, requirements.
//!
//! Plain functions of numbers and dates; knows no queue, no lake and no clock. Dates are days since 1970-01-01.
//!
//! Invariant: a forecast uses nothing from its origin on; a back-test chooses by what was known at each of its origins.

mod accuracy;
mod choose;
mod contenders;
mod erlang;
pub mod hand;
mod library;
mod profile;
mod slots;
mod staff;

pub use accuracy::{Accuracy, median, poisson_floor, quantile};
pub use choose::{BackTest, Band, Chosen, Plan, Tried, back_test, band_of, bands};
pub use contenders::{Model, Step, predict};
pub use erlang::{erlang_a_abandon, erlang_c_agents, erlang_c_asa, erlang_c_service_level};
pub use profile::{Daily, Profile};
pub use slots::{Cell, History, Learned, SlotForecast, learn, slot_errors, slot_pairs};
pub use staff::{Need, Outlook, Rule, Work, need, outlook, rostered};
