//! How the records of one topic or file are read: format, mapping, names.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mapped::{Mapped, Mapping};
use super::registry::Registry;
use super::vendor::Adapter;
use super::{Decoder, Format, asterisk, chatwoot, connect, freeswitch, genesys, twilio};
use crate::event::{Event, Text};

/// Names for the ids of queues and agents that a platform's records carry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Names of queues by id.
    pub queues: BTreeMap<String, String>,
    /// Names of agents by id.
    pub agents: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn apply(&self, event: &mut Event<'static>) {
        let rename = |names: &BTreeMap<String, String>, text: &mut Option<Text<'static>>| {
            if let Some(name) = text.as_deref().and_then(|id| names.get(id)) {
                *text = Some(Text::Owned(name.clone()));
            }
        };
        rename(&self.queues, &mut event.queue);
        rename(&self.queues, &mut event.to_queue);
        rename(&self.agents, &mut event.agent_id);
        rename(&self.agents, &mut event.to_agent);
    }
}

/// How the records of one topic or file are read.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The format.
    pub format: Format,
    /// The mapping of [`Format::Mapped`]; without one every record of it is a reject.
    pub mapping: Option<Arc<Mapping>>,
    /// Names for ids, for every format but `callpulse`.
    pub names: Option<Arc<Names>>,
    /// Where schemas come from, for mappings of a schema registry.
    pub registry: Option<Arc<dyn Registry>>,
}

impl From<Format> for Source {
    fn from(format: Format) -> Source {
        Source { format, mapping: None, names: None, registry: None }
    }
}

impl Source {
    /// A decoder that has seen nothing.
    pub fn decoder(&self) -> Decoder {
        let adapter: Option<Box<dyn Adapter>> = match self.format {
            Format::Callpulse => None,
            Format::AmazonConnect => Some(Box::new(connect::Connect)),
            Format::Genesys => Some(Box::new(genesys::Genesys)),
            Format::Twilio => Some(Box::new(twilio::Twilio)),
            Format::AsteriskQueueLog => Some(Box::<asterisk::QueueLog>::default()),
            Format::FreeswitchCallcenter => Some(Box::new(freeswitch::Callcenter)),
            Format::Chatwoot => Some(Box::new(chatwoot::Chatwoot)),
            Format::Mapped => Some(Box::new(Mapped::new(self.mapping.clone(), self.registry.clone()))),
        };
        Decoder { format: self.format, adapter, names: self.names.clone(), ..Decoder::default() }
    }
}
