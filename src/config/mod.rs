//! The configuration: the files and settings as written, and what the rooms need.
//!
//! Looks, never does: opens no listener, no lake and no broker. Reads the configuration file, and the files that
//! `${file:PATH}`, `mapping`, `names` and `forecast.events` name.
//!
//! Invariant: every key stands in `config/default.toml` with its default, unit and reason, and is read from there.
//! Invariant: every fault is reported, with its file and line; none quotes a value that came from a variable or file.

mod alerting;
mod checked;
mod fault;
mod mapping;
mod oidc;
mod raw;
mod section;

pub use alerting::{Alerts, Notify};
pub use checked::{
    Config, ContactTimeouts, Fleet, Forecast, Kafka, Lake, Listeners, Metrics, Properties, Quality, Queue,
    QueueDefaults, SchemaRegistry, Tokens, Topic, load_events,
};
pub use fault::Fault;
pub use mapping::{load_mapping, load_names};
pub use oidc::{Jwks, Oidc};

/// The compiled-in defaults: every key with its default, unit and reason.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");
