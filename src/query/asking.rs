//! Who asks, by which door, and with which wishes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::access::{Door, Identity};

/// Who asks. Whatever a statement sees, it sees with these rights.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Who.
    pub who: Arc<Identity>,
    /// By which door.
    pub door: Door,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// What `current_setting` tells, by its name in lower case.
    pub settings: Arc<BTreeMap<String, String>>,
    /// A bound of time that is narrower than the engine's.
    pub timeout: Option<Duration>,
}

impl Asking {
    /// Somebody at a door, without wishes.
    pub fn new(who: Identity, door: Door, peer: Option<SocketAddr>) -> Self {
        Self::of(Arc::new(who), door, peer)
    }

    /// As [`Asking::new`], for somebody who is known already.
    pub fn of(who: Arc<Identity>, door: Door, peer: Option<SocketAddr>) -> Self {
        Self { who, door, peer, settings: Arc::default(), timeout: None }
    }

    /// The house itself: everything is open to it, and nothing of it is written down.
    pub fn inside() -> Self {
        Self::new(Identity::local(), Door::Inside, None)
    }
}
