//! The correlator's state as Arrow rows, to be kept with the positions it covers and taken up again.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch, StringArray, StringBuilder,
    UInt64Array,
};
use arrow::datatypes::{Int64Type, UInt64Type};
use xxhash_rust::xxh3::xxh3_64;

use super::agents::State as AgentState;
use super::correlator::{Contact, Correlator};
use super::dossiers::{About, Dossier};
use super::log::Log;
use super::options::Options;
use crate::decode::{Decoder, write_event};
use crate::event::{AgentStateName, Event, Kind};
use crate::time::Millis;

/// Bytes of contacts in one batch, about.
const PART_BYTES: usize = 256 << 20;

/// Everything a correlator holds: batches of the sections `contacts`, `agents`, `events` (of dossiers, and partial
/// transcript pieces, as canonical lines), `forgotten` and `clock`.
pub type State = Vec<(String, RecordBatch)>;

impl Correlator {
    /// The state. Everything applied must have been settled.
    pub fn save(&self) -> State {
        // One array of texts or bytes takes 2 GiB at most.
        let mut parts: Vec<Vec<&Contact>> = vec![Vec::new()];
        let mut bytes = 0;
        for contact in self.contacts.iter().flatten() {
            bytes += contact.key.len() + contact.log.strings.len() + contact.log.bytes.len();
            if bytes > PART_BYTES {
                bytes = 0;
                parts.push(Vec::new());
            }
            parts.last_mut().expect("there is one from the start").push(contact);
        }

        let states: Vec<(&str, i64, Option<i64>, &AgentState)> = self
            .agents
            .iter()
            .flat_map(|(id, agent)| {
                let all = agent.states.iter().chain(&agent.shadowed);
                all.map(|s| (&**id, agent.count, agent.horizon, s))
            })
            .collect();
        let shadowed = self.agents.values().flat_map(|agent| {
            let (held, all) = (agent.states.len(), agent.states.len() + agent.shadowed.len());
            (0..all).map(move |at| Some(at >= held))
        });
        let agents = batch(vec![
            ("agent_id", Arc::new(StringArray::from_iter_values(states.iter().map(|s| s.0)))),
            ("count", Arc::new(Int64Array::from_iter_values(states.iter().map(|s| s.1)))),
            ("horizon", Arc::new(states.iter().map(|s| s.2).collect::<Int64Array>())),
            ("time", Arc::new(Int64Array::from_iter_values(states.iter().map(|s| s.3.time)))),
            ("id", Arc::new(StringArray::from_iter_values(states.iter().map(|s| &*s.3.id)))),
            ("state", Arc::new(StringArray::from_iter_values(states.iter().map(|s| s.3.state.as_str())))),
            ("reason", Arc::new(states.iter().map(|s| s.3.reason.as_deref()).collect::<StringArray>())),
            (
                "department",
                Arc::new(states.iter().map(|s| s.3.department.as_deref()).collect::<StringArray>()),
            ),
            ("written_end", Arc::new(states.iter().map(|s| s.3.written_end).collect::<Int64Array>())),
            ("shadowed", Arc::new(shadowed.collect::<BooleanArray>())),
        ]);
        let forgotten: Vec<(i64, u64)> = self
            .forgotten_by_hour
            .iter()
            .flat_map(|(hour, hashes)| hashes.iter().map(|hash| (*hour, *hash)))
            .collect();
        let forgotten = batch(vec![
            ("hour", Arc::new(Int64Array::from_iter_values(forgotten.iter().map(|f| f.0)))),
            ("hash", Arc::new(UInt64Array::from_iter_values(forgotten.iter().map(|f| f.1)))),
        ]);
        let clock = batch(vec![("newest", Arc::new(Int64Array::from(vec![self.newest])))]);
        let mut batches: State =
            parts.iter().map(|part| ("contacts".to_owned(), contacts_batch(part))).collect();
        batches.extend([
            ("agents".to_owned(), agents),
            ("forgotten".to_owned(), forgotten),
            ("clock".to_owned(), clock),
        ]);
        batches.extend(self.event_batches().into_iter().map(|events| ("events".to_owned(), events)));
        batches
    }

    fn event_batches(&self) -> Vec<RecordBatch> {
        let (mut batches, mut lines) = (Vec::new(), StringBuilder::new());
        let mut add = |line: &str| {
            if lines.values_slice().len() + line.len() > PART_BYTES {
                batches.push(batch(vec![("event", Arc::new(lines.finish()))]));
            }
            lines.append_value(line);
        };
        self.dossiers.values().flat_map(Dossier::lines).for_each(&mut add);
        let mut line = String::new();
        for partial in self
            .contacts
            .iter()
            .flatten()
            .flat_map(|contact| contact.partials.iter().flat_map(|p| p.values()))
        {
            line.clear();
            write_event(partial, &mut line);
            add(&line);
        }
        batches.push(batch(vec![("event", Arc::new(lines.finish()))]));
        batches
    }

    /// A correlator that goes on from a state.
    ///
    /// # Errors
    /// Names the section or column that is not as [`Correlator::save`] writes it.
    pub fn restore(options: Options, state: &[(String, RecordBatch)]) -> Result<Correlator, String> {
        let mut correlator = Correlator::new(options);
        for (section, batch) in state {
            match section.as_str() {
                "contacts" => correlator.restore_contacts(batch)?,
                "agents" => correlator.restore_agents(batch)?,
                "forgotten" => {
                    let (hours, hashes) = (ints(batch, "hour")?, column(batch, "hash")?);
                    let hashes = hashes
                        .as_primitive_opt::<UInt64Type>()
                        .ok_or("the snapshot's column `hash` has another type")?;
                    for row in 0..batch.num_rows() {
                        correlator.remember_forgotten(hashes.value(row), hours.value(row));
                    }
                }
                "clock" => {
                    let newest = ints(batch, "newest")?;
                    correlator.newest = if newest.is_empty() { Millis::MIN } else { newest.value(0) };
                }
                _ => {}
            }
        }
        // Partial pieces belong to contacts, which are there by now.
        for (_, batch) in state.iter().filter(|(section, _)| section == "events") {
            correlator.restore_events(batch)?;
        }
        correlator.note_due();
        // The observer's own state comes from the same moment.
        for agent in correlator.agents.values_mut() {
            agent.shown = agent.current();
        }
        Ok(correlator)
    }

    fn restore_contacts(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let (keys, strings) = (texts(batch, "key")?, texts(batch, "strings")?);
        let logs = column(batch, "log")?;
        let logs = logs.as_binary_opt::<i32>().ok_or("the snapshot's column `log` has another type")?;
        let conflicts = column(batch, "conflicts")?;
        let conflicts =
            conflicts.as_boolean_opt().ok_or("the snapshot's column `conflicts` has another type")?;
        let (base, count) = (ints(batch, "base")?, ints(batch, "count")?);
        let (settled_at, touched) = (ints(batch, "settled_at")?, ints(batch, "touched")?);
        let (forget_at, written) = (ints(batch, "forget_at")?, ints(batch, "written")?);
        let counted = ints(batch, "counted")?;
        for row in 0..batch.num_rows() {
            let bytes = logs.value(row).to_vec();
            let settled = (bytes.len() as u32, settled_at.value(row));
            let contact = Contact {
                key: Box::from(keys.value(row)),
                log: Log::restore(
                    strings.value(row).to_owned(),
                    bytes,
                    base.value(row),
                    count.value(row) as u32,
                    conflicts.value(row),
                ),
                settled,
                touched: touched.value(row),
                // Looked at once after the start; what is due then is found out there.
                timer: Millis::MIN,
                forget_at: forget_at.is_valid(row).then(|| forget_at.value(row)),
                written: written.value(row) as u32,
                counted: counted.value(row),
                dirty: false,
                urgent: false,
                partials: None,
            };
            self.hold(xxh3_64(contact.key.as_bytes()), contact);
        }
        Ok(())
    }

    fn restore_agents(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let (ids, states) = (texts(batch, "agent_id")?, texts(batch, "state")?);
        let (event_ids, reasons) = (texts(batch, "id")?, texts(batch, "reason")?);
        let departments = texts(batch, "department")?;
        let (count, horizon) = (ints(batch, "count")?, ints(batch, "horizon")?);
        let (time, written_end) = (ints(batch, "time")?, ints(batch, "written_end")?);
        // Snapshots of version 0.1 have no such column.
        let shadowed = batch.column_by_name("shadowed").and_then(|array| array.as_boolean_opt());
        for row in 0..batch.num_rows() {
            let Some(state) = AgentStateName::parse(states.value(row)) else {
                return Err(format!("the snapshot has an unknown agent state `{}`", states.value(row)));
            };
            let agent = self.agents.entry(Box::from(ids.value(row))).or_default();
            agent.count = count.value(row);
            agent.horizon = horizon.is_valid(row).then(|| horizon.value(row));
            let event = (time.value(row), event_ids.value(row), state);
            let mut state = AgentState::new(event, text_at(&reasons, row), text_at(&departments, row));
            state.written_end = written_end.is_valid(row).then(|| written_end.value(row));
            let is_shadowed = shadowed.is_some_and(|shadowed| shadowed.value(row));
            let states = if is_shadowed { &mut agent.shadowed } else { &mut agent.states };
            states.push(state);
        }
        Ok(())
    }

    fn restore_events(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let mut decoder = Decoder::default();
        for line in texts(batch, "event")?.iter().flatten() {
            let event = decoder.decode(line.as_bytes(), None);
            let event = event.map_err(|reject| format!("an event of the snapshot: {}", reject.detail))?;
            self.restore_event(event.into_owned());
        }
        Ok(())
    }

    fn restore_event(&mut self, event: Event<'static>) {
        if event.kind == Kind::Message {
            if let Some(contact) = event.contact_id.as_deref().and_then(|key| self.held_mut(key)) {
                let utterance = event.utterance.as_deref().map(Box::from).unwrap_or_default();
                contact.partials.get_or_insert_default().insert(utterance, event);
            }
        } else if let Some((about, key)) = About::of(&event) {
            self.dossiers.entry((about, key.into_boxed_str())).or_default().take_written(&event);
        }
    }
}

/// Contacts as rows.
fn contacts_batch(held: &[&Contact]) -> RecordBatch {
    let ints = |value: &dyn Fn(&Contact) -> Option<i64>| -> ArrayRef {
        Arc::new(held.iter().map(|contact| value(contact)).collect::<Int64Array>())
    };
    batch(vec![
        ("key", Arc::new(StringArray::from_iter_values(held.iter().map(|c| &*c.key)))),
        ("strings", Arc::new(StringArray::from_iter_values(held.iter().map(|c| &c.log.strings)))),
        ("log", Arc::new(BinaryArray::from_iter_values(held.iter().map(|c| &c.log.bytes)))),
        ("conflicts", Arc::new(held.iter().map(|c| Some(c.log.conflicts)).collect::<BooleanArray>())),
        ("base", ints(&|c| Some(c.log.base))),
        ("count", ints(&|c| Some(i64::from(c.log.count)))),
        ("settled_at", ints(&|c| Some(c.settled.1))),
        ("touched", ints(&|c| Some(c.touched))),
        ("forget_at", ints(&|c| c.forget_at)),
        ("written", ints(&|c| Some(i64::from(c.written)))),
        ("counted", ints(&|c| Some(c.counted))),
    ])
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(nullable).expect("the columns are made of the same rows")
}

fn column(batch: &RecordBatch, name: &str) -> Result<ArrayRef, String> {
    batch.column_by_name(name).cloned().ok_or_else(|| format!("the snapshot lacks the column `{name}`"))
}

fn ints(batch: &RecordBatch, name: &str) -> Result<Int64Array, String> {
    let array = column(batch, name)?;
    let ints = array.as_primitive_opt::<Int64Type>().cloned();
    ints.ok_or_else(|| format!("the snapshot's column `{name}` has another type"))
}

fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray, String> {
    let array = column(batch, name)?;
    let texts = array.as_string_opt::<i32>().cloned();
    texts.ok_or_else(|| format!("the snapshot's column `{name}` has another type"))
}
