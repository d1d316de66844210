//! What came in and what became of it: `events`, `rejects`, `restatements`.

use super::table_macro as table;

table! {
    /// One event as it was applied (repeats are left out).
    EVENTS = "events", row EventRow, builder EventRows, key ["topic", "partition", "offset"], written Once {
        /// Kafka topic, or the path of a replayed file.
        topic: Text,
        /// Kafka partition; 0 for files.
        partition: Int,
        /// Kafka offset; the line number, from 1, for files.
        offset: Int,
        /// The event's id.
        id: Text,
        /// The event's type.
        event_type = "type": Text,
        /// When it happened.
        time: Time,
        /// The contact.
        contact_id: Text,
        /// The agent.
        agent_id: Text,
        /// The channel.
        channel: Text,
        /// The queue.
        queue: Text,
        /// The department.
        department: Text,
        /// The customer.
        customer_id: Text,
        /// The customer's tier.
        tier: Text,
        /// Direction, outcome, reason, state, mode or speaker, whichever the type has.
        detail: Text,
        /// The queue or agent it is passed to.
        passed_to: Text,
        /// Who hung up.
        by: Text,
        /// `attributes` and unknown further fields, as one JSON object.
        attributes: Text,
        /// The centre's date of time.
        date: Date,
    }
}

table! {
    /// One record that could not be used.
    REJECTS = "rejects", row RejectRow, builder RejectRows, key ["topic", "partition", "offset"], written Once {
        /// Kafka topic, or the path of a replayed file.
        topic: Text,
        /// Kafka partition; 0 for files.
        partition: Int,
        /// Kafka offset; the line number, from 1, for files.
        offset: Int,
        /// One of the fixed list of reasons.
        reason: Text,
        /// What exactly is wrong.
        detail: Text,
        /// Kafka timestamp, where there is one.
        time: Time,
        /// The record as text; bytes that are not UTF-8 are shown as U+FFFD. At most 64 KiB.
        payload: Text,
        /// Length of the original record, bytes.
        bytes: Int,
        /// The centre's date of the Kafka timestamp, else of the newest event before it.
        date: Date,
    }
}

table! {
    /// One correction of rows that had been written: what they were, what they are, and why.
    RESTATEMENTS = "restatements", row RestatementRow, builder RestatementRows, key ["contact_id", "old_revision"], written Once {
        /// The contact.
        contact_id: Text,
        /// Revision of the rows that no longer hold.
        old_revision: Int,
        /// Revision of the rows that hold now.
        new_revision: Int,
        /// The old contact, legs and handlings, as JSON.
        old: Text,
        /// The new contact, legs and handlings, as JSON.
        new: Text,
        /// Type and id of the latest event that caused it.
        cause: Text,
        /// Event time the stream had reached (its watermark).
        watermark: Time,
        /// Start of the contact's first cohort slot.
        slot_start: Time,
        /// The earliest date of the contact, its legs and its handlings that no longer hold.
        old_first_date: Date,
        /// The latest of them.
        old_last_date: Date,
        /// The centre's date of the contact's start.
        date: Date,
    }
}
