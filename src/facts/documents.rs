//! What is kept about a contact beside its course: `surveys`, `complaints`, `promises`, and the roster's `shifts`.

use super::table_macro as table;

table! {
    /// One answered survey.
    SURVEYS = "surveys", row SurveyRow, builder SurveyRows, key ["contact_id", "id"], written Newest {
        /// The contact.
        contact_id: Text,
        /// The event's id.
        id: Text,
        /// When the customer answered.
        time: Time,
        /// The agent, where the event names one.
        agent_id: Text,
        /// The channel, where the event names one.
        channel: Text,
        /// The queue, where the event names one.
        queue: Text,
        /// The customer.
        customer_id: Text,
        /// Satisfaction, 1–5.
        csat: Int,
        /// Would recommend, 0–10.
        nps: Int,
        /// Ease, 1–7.
        ces: Int,
        /// Whether the customer says the matter is resolved.
        resolved: Bool,
        /// The customer's own words, masked.
        comment: Text,
        /// Number of events behind the row.
        revision: Int,
        /// The centre's date of time.
        date: Date,
    }
}

table! {
    /// One complaint, from its opening to its close.
    COMPLAINTS = "complaints", row ComplaintRow, builder ComplaintRows, key ["complaint_id"], written Newest {
        /// The complaint.
        complaint_id: Text,
        /// The contact it came from, where known.
        contact_id: Text,
        /// The customer.
        customer_id: Text,
        /// The agent concerned.
        agent_id: Text,
        /// The queue, where an event names one.
        queue: Text,
        /// The department, where an event names one.
        department: Text,
        /// What it is about.
        category: Text,
        /// How bad it is, 1–4.
        severity: Int,
        /// The customer's words, masked.
        text: Text,
        /// open, contacted, resolved, closed, reopened or withdrawn.
        status: Text,
        /// When it was opened.
        opened_at: Time,
        /// When the customer was first contacted about it.
        contacted_at: Time,
        /// When it had its verdict.
        resolved_at: Time,
        /// When it was closed.
        closed_at: Time,
        /// When it was last taken up again.
        reopened_at: Time,
        /// When the customer took it back.
        withdrawn_at: Time,
        /// Times it was taken up again.
        reopened: Int,
        /// upheld, rejected or pacified.
        verdict: Text,
        /// What caused it.
        cause: Text,
        /// Number of events behind the row.
        revision: Int,
        /// The centre's date of the first event.
        date: Date,
    }
}

table! {
    /// One promise to a customer, for example a promised call back.
    PROMISES = "promises", row PromiseRow, builder PromiseRows, key ["promise_id"], written Newest {
        /// The promise.
        promise_id: Text,
        /// The contact in which it was made.
        contact_id: Text,
        /// The agent who made it.
        agent_id: Text,
        /// The customer.
        customer_id: Text,
        /// The queue, where an event names one.
        queue: Text,
        /// When it was made.
        made_at: Time,
        /// When it is due.
        due: Time,
        /// When it was kept; NULL while it is not.
        kept_at: Time,
        /// Number of events behind the row.
        revision: Int,
        /// The centre's date of the first event.
        date: Date,
    }
}

table! {
    /// One planned shift of the roster.
    SHIFTS = "shifts", row ShiftRow, builder ShiftRows, key ["shift_id"], written Newest {
        /// The shift.
        shift_id: Text,
        /// The agent.
        agent_id: Text,
        /// agent, supervisor or lead.
        role: Text,
        /// The department, where the event names one.
        department: Text,
        /// The queues it serves, as a JSON array.
        queues: Text,
        /// When it begins.
        start: Time,
        /// When it ends.
        end: Time,
        /// Whether the agent asked for it.
        preferred: Bool,
        /// When it was published.
        published_at: Time,
        /// Minutes that are paid.
        paid_minutes: Int,
        /// When it was cancelled; NULL while it stands.
        cancelled_at: Time,
        /// Number of events behind the row.
        revision: Int,
        /// The centre's date of its start, else of its first event.
        date: Date,
    }
}
