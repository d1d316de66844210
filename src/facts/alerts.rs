//! What somebody had to be told: `alerts`.

use super::table_macro as table;

table! {
    /// One alert: what came true, who was told, and what became of it.
    ALERTS = "alerts", row AlertRow, builder AlertRows, key ["alert_id"], written Newest {
        /// Names the alert; the same cause gives the same id.
        alert_id: Text,
        /// The rule.
        rule: Text,
        /// info, warning or critical.
        severity: Text,
        /// raised, delivered, acknowledged, resolved or expired.
        status: Text,
        /// What it says, in English.
        title: Text,
        /// What it says, in Chinese.
        title_zh: Text,
        /// callpulse, or alertmanager for one that came from there.
        source: Text,
        /// The contact, for a rule about contacts.
        contact_id: Text,
        /// The queue.
        queue: Text,
        /// The channel.
        channel: Text,
        /// The department.
        department: Text,
        /// The agent.
        agent_id: Text,
        /// The customer.
        customer_id: Text,
        /// The customer's tier.
        tier: Text,
        /// The complaint or promise it is about.
        dossier: Text,
        /// The phrases that caused it, as category:phrase separated by semicolons.
        phrases: Text,
        /// The words that caused it, masked, as a JSON array of speaker, time, text, phrase, start, end, score.
        evidence: Text,
        /// The figures that caused it, as a JSON object.
        figures: Text,
        /// When it came true, event time.
        event_time: Time,
        /// When it was raised.
        raised_at: Time,
        /// When the first target took it.
        delivered_at: Time,
        /// When somebody acknowledged it first.
        acknowledged_at: Time,
        /// Who acknowledged it last.
        acknowledged_by: Text,
        /// When the acknowledgement expires.
        ack_expires_at: Time,
        /// From being raised to being acknowledged, milliseconds.
        time_to_acknowledge_ms: Int,
        /// When it was last escalated.
        escalated_at: Time,
        /// How often it was escalated.
        escalations: Int,
        /// When it was over, by itself or by somebody.
        resolved_at: Time,
        /// Who resolved it; `callpulse` where what caused it was over.
        resolved_by: Text,
        /// When nobody had resolved it in time.
        expired_at: Time,
        /// Who was told, separated by semicolons.
        notified: Text,
        /// Nobody of the wanted role was on duty.
        unstaffed: Bool,
        /// Why it was not sent, or other remarks.
        note: Text,
        /// Number of changes behind the row.
        revision: Int,
        /// The centre's date of event_time.
        date: Date,
    }
}
