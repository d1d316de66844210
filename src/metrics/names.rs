//! Every metric, declared once: name, kind, labels, unit, help.

/// What kind of series a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Never falls while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets with fixed edges, a sum and a count.
    Histogram,
}

impl MetricKind {
    /// The kind's name in documents and in the text format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// What it is counted in.
    pub unit: &'static str,
    /// What it means, as a sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($static:ident $kind:ident $name:literal [$($label:literal),*] $unit:literal $help:literal)+) => {
        $(
            pub(super) static $static: Metric = Metric {
                name: concat!("callpulse_", $name),
                kind: MetricKind::$kind,
                labels: &[$($label),*],
                unit: $unit,
                help: $help,
            };
        )+

        /// Every metric of callpulse. (`process_*` comes beside them from the Prometheus client.)
        pub static METRICS: &[&Metric] = &[$(&$static),+];
    };
}

metrics! {
    LEGS_OFFERED Counter "legs_offered_total" ["queue", "channel"] "legs"
        "Legs that entered the queue."
    LEGS_ANSWERED Counter "legs_answered_total" ["queue", "channel"] "legs"
        "Legs that an agent answered."
    LEGS_ANSWERED_IN_TIME Counter "legs_answered_in_time_total" ["queue", "channel"] "legs"
        "Legs that an agent answered within the target wait."
    LEGS_ABANDONED Counter "legs_abandoned_total" ["queue", "channel"] "legs"
        "Legs whose customer hung up while waiting, at or after the short-abandon limit."
    LEGS_ABANDONED_SHORT Counter "legs_abandoned_short_total" ["queue", "channel"] "legs"
        "Legs whose customer hung up before the short-abandon limit."
    LEGS_LEFT Counter "legs_left_total" ["queue", "channel", "outcome"] "legs"
        "Legs that left the queue without agent and without hang-up, by outcome."
    CONTACTS Counter "contacts_total" ["queue", "channel"] "contacts"
        "Contacts closed, by the first queue they entered (empty for those that never entered one)."
    WAIT Histogram "wait_seconds" ["queue", "channel"] "seconds"
        "Wait of the answered legs."
    HANDLE Histogram "handle_seconds" ["queue", "channel"] "seconds"
        "Talk, hold, after-contact work and dialling of the handlings closed, outbound ones left out."
    TALK Histogram "talk_seconds" ["queue", "channel"] "seconds"
        "Talk of the handlings closed, outbound ones left out."
    HOLD Histogram "hold_seconds" ["queue", "channel"] "seconds"
        "Hold of the handlings closed, outbound ones left out."
    ACW Histogram "acw_seconds" ["queue", "channel"] "seconds"
        "After-contact work of the handlings closed, outbound ones left out."
    FIRST_RESPONSE Histogram "first_response_seconds" ["queue", "channel"] "seconds"
        "Time from the first answer of a contact to the first message of an agent after it."

    KEYWORD_HITS Counter "keyword_hits_total" ["category", "speaker", "queue"] "hits"
        "Phrases of the lexicons' categories in messages, negated ones left out; the queue is that of the message, else the one the contact entered last."

    FINDINGS Counter "findings_total" ["rule", "queue"] "findings"
        "Rules of service that were broken: of contacts when they close, of promises and complaints when they are overdue."

    LEGS_WAITING Gauge "legs_waiting" ["queue", "channel"] "legs"
        "Legs that wait now."
    LONGEST_WAIT Gauge "longest_wait_seconds" ["queue", "channel"] "seconds"
        "How long the leg that waits longest has waited; 0 when none waits."
    OLDEST_WAITING Gauge "oldest_waiting_timestamp_seconds" ["queue", "channel"] "seconds since 1970"
        "When the leg that waits longest entered the queue; absent when none waits."
    HANDLINGS_ACTIVE Gauge "handlings_active" ["queue", "channel"] "handlings"
        "Handlings that go on: talk, hold or after-contact work."
    AGENTS Gauge "agents" ["state"] "agents"
        "Agents in each state."
    ROLLING_ANSWER_RATE Gauge "rolling_answer_rate_ratio" ["queue", "channel", "window"] "ratio"
        "Answered legs / (legs that ended in the window, short abandons left out)."
    ROLLING_ABANDON_RATE Gauge "rolling_abandon_rate_ratio" ["queue", "channel", "window"] "ratio"
        "Abandoned legs / (legs that ended in the window, short abandons left out)."
    ROLLING_SERVICE_LEVEL Gauge "rolling_service_level_ratio" ["queue", "channel", "window"] "ratio"
        "Share of the legs that ended in the window and were served in time, by the formula of the queue."
    ROLLING_ASA Gauge "rolling_asa_seconds" ["queue", "channel", "window"] "seconds"
        "Mean wait of the legs answered in the window."
    ROLLING_AHT Gauge "rolling_aht_seconds" ["queue", "channel", "window"] "seconds"
        "Mean handle time of the handlings closed in the window, outbound ones left out."
    ROLLING_SENTIMENT Gauge "rolling_sentiment_score" ["speaker", "window"] "-1 to 1"
        "Mean sentiment of the utterances in the window that have any, by speaker."
    SLOT_OFFERED Gauge "slot_offered" ["queue", "channel"] "legs"
        "Legs that entered the queue in the running slot."
    SLOT_ANSWERED Gauge "slot_answered" ["queue", "channel"] "legs"
        "Legs that entered the queue in the running slot and were answered."
    SLOT_ANSWER_RATE Gauge "slot_answer_rate_ratio" ["queue", "channel"] "ratio"
        "Answer rate of the legs that entered the queue in the running slot."
    SLOT_LOAD Gauge "slot_load_erlangs" ["queue", "channel"] "erlangs"
        "Handle time so far of the cohort of the running slot / length of the slot."
    SLOT_FORECAST Gauge "slot_forecast_contacts" ["queue", "channel"] "contacts"
        "Contacts expected in the running slot."
    SLOT_REQUIRED Gauge "slot_agents_required" ["queue", "channel"] "agents"
        "Agents that the roster needs in the running slot, shrinkage included."
    SLOT_STAFFED Gauge "slot_agents_staffed" ["queue", "channel"] "agents"
        "Agents that the roster has in the running slot; one who serves several queues is shared out among them by need."
    LEDGER_GAP Gauge "ledger_gap" ["queue", "channel"] "legs"
        "Legs that the ledgers of all recent slots lack or have too many; anything but 0 is a fault of callpulse."
    FOLDED Counter "series_folded_total" [] "legs and handlings"
        "Legs and handlings counted under queue __other__ because there were too many series."

    EVENTS Counter "events_total" ["topic", "type"] "events"
        "Events read, by type."
    REJECTS Counter "rejects_total" ["topic", "reason"] "records"
        "Records that could not be used, by reason."
    DUPLICATES Counter "duplicates_total" [] "events"
        "Events that had been read before."
    LATE_EVENTS Counter "late_events_total" [] "events"
        "Events that came after the watermark had passed them."
    RESTATEMENTS Counter "restatements_total" [] "restatements"
        "Contacts whose written rows were replaced by newer ones."
    UNKNOWN_FIELDS Counter "unknown_fields_total" [] "fields"
        "Fields that the contract does not name; they were kept as attributes."
    SPLIT_CONTACTS Counter "contacts_on_two_partitions_total" [] "contacts"
        "Contact ids that were seen on more than one partition, of a sample of one contact in 64; the producers' partitioning should prevent it."
    RECORDS_CONSUMED Counter "records_consumed_total" ["topic", "partition"] "records"
        "Records read; equals applied + duplicates + rejects."
    RECORDS_APPLIED Counter "records_applied_total" ["topic", "partition"] "records"
        "Records whose event was applied."
    RECORDS_DUPLICATE Counter "records_duplicate_total" ["topic", "partition"] "records"
        "Records whose event had been read before."
    RECORDS_REJECTED Counter "records_rejected_total" ["topic", "partition"] "records"
        "Records that could not be used."
    RECORDS_MISSING Counter "records_missing_total" ["topic", "partition"] "records"
        "Records that Kafka had deleted before they were read: figures of their time are incomplete."
    CONSUMER_LAG Gauge "consumer_lag" ["topic", "partition"] "records"
        "Records between the position and the end of the partition."
    WATERMARK Gauge "watermark_timestamp_seconds" ["topic", "partition"] "seconds since 1970"
        "Event time up to which the partition is taken as complete."
    OPEN_CONTACTS Gauge "open_contacts" [] "contacts"
        "Contacts that are not closed."
    LAKE_COMMIT Histogram "lake_commit_seconds" [] "seconds"
        "Time that a commit of rows to the lake took."
    LAKE_FAILURES Counter "lake_commit_failures_total" [] "tries"
        "Tries to write rows, a snapshot or dead letters that failed; each is tried again."
    EVENT_LATENCY Histogram "event_latency_seconds" [] "seconds"
        "Time from reading an event to its being visible."
    ALERTS_RAISED Counter "alerts_raised_total" ["rule", "severity"] "alerts"
        "Alerts raised, also those that were not sent."
    ALERTS_OPEN Gauge "alerts_open" ["rule", "severity"] "alerts"
        "Alerts that nobody has resolved and that have not expired."
    ALERT_DELIVERIES Counter "alert_deliveries_total" ["target", "result"] "alerts"
        "Alerts by what became of their delivery: accepted, merged with others into one message, or failed; of target none: held back as stale, silenced or storm, or gave_way to a newer one."
    ALERT_LATENCY Histogram "alert_latency_seconds" [] "seconds"
        "Time from reading an event to the first target's taking the alert that it caused."
    ALERTS_UNSTAFFED Counter "alerts_unstaffed_total" [] "alerts"
        "Alerts for which nobody of the wanted role was on duty."
    ALERT_ESCALATIONS Counter "alert_escalations_total" [] "escalations"
        "Alerts that went to the next one because nobody answered."
    RELOADS Counter "reloads_total" ["file", "result"] "files"
        "Changed files of rules, roster and people, by whether they were taken or refused."
    FLEET_INSTANCES Gauge "fleet_instances" [] "instances"
        "Instances of the group whose figures this one knows, itself included; only with kafka.fleet_topic."
    FLEET_MISSING Gauge "fleet_partitions_missing" [] "partitions"
        "Partitions that no instance shows at the moment, so that figures of the fleet lack them; only with kafka.fleet_topic."
    BUILD_INFO Gauge "build_info" ["version"] "1"
        "Always 1; the version stands in the label."
}
