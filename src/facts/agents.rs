//! What agents do: `agent_states`.

use super::table_macro as table;

table! {
    /// One interval in which an agent was in one state.
    AGENT_STATES = "agent_states", row AgentStateRow, builder AgentStateRows, key ["agent_id", "id"], written Newest {
        /// The agent.
        agent_id: Text,
        /// Id of the event that began the interval.
        id: Text,
        /// offline, available, busy, acw, break, training, meeting or other.
        state: Text,
        /// The reason, as the platform names it.
        reason: Text,
        /// The agent's department, where the event names one.
        department: Text,
        /// When the interval began.
        started_at: Time,
        /// When the agent's next state began; NULL while it lasts.
        ended_at: Time,
        /// Milliseconds from started_at to ended_at.
        duration_ms: Int,
        /// Number of events of the agent behind the row; the newest revision is the row.
        revision: Int,
        /// The centre's date of started_at.
        date: Date,
    }
}
