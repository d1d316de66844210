//! What is expected: `forecasts`.

use super::table_macro as table;

table! {
    /// What was expected of one slot of one queue and channel, as it was said at one time. Every version is kept.
    FORECASTS = "forecasts", row ForecastRow, builder ForecastRows, key ["channel", "queue", "slot_start", "made_at"], written Once {
        /// When it was made; the same for all slots of one version.
        made_at: Time,
        /// full: days ahead, by the models. intraday: the rest of the day, by what came so far.
        kind: Text,
        /// The model behind it, or blend for several together.
        model: Text,
        /// The channel.
        channel: Text,
        /// The queue.
        queue: Text,
        /// The queue's department, where known.
        department: Text,
        /// Start of the slot.
        slot_start: Time,
        /// Length of the slot, milliseconds.
        slot_ms: Int,
        /// Contacts (legs) expected to enter the queue.
        contacts: Float,
        /// In one case of ten fewer come.
        contacts_low: Float,
        /// In one case of ten more come.
        contacts_high: Float,
        /// Handle time expected of each, seconds.
        aht_seconds: Float,
        /// Load expected, Erlang.
        load_erlangs: Float,
        /// Agents needed at work: service level and cap of occupancy kept.
        agents_on_seat: Int,
        /// Agents needed in the roster: agents_on_seat / (1 - shrinkage), rounded up.
        agents_required: Int,
        /// Share of rostered time that is not worked.
        shrinkage: Float,
        /// Contacts that one agent may have at once.
        places: Int,
        /// The target wait in force, seconds; NULL where nobody waits in a line (letters).
        target_wait_seconds: Float,
        /// The share to be answered within it.
        service_level_target: Float,
        /// The share of time that agents may be busy.
        occupancy_cap: Float,
        /// The centre's date of slot_start.
        date: Date,
    }
}
