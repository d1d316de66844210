//! `live_queues` and `live_agents`: the present.

use super::Written;

pub(super) const VIEWS: &[Written] = &[
    Written {
        name: "live_queues",
        means: "What goes on in each queue now, and the figures of the centre's day so far.",
        columns: &[
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("department", "", "The queue's department."),
            ("waiting", "count", "Legs that wait now."),
            ("longest_wait_seconds", "s", "How long the first of them has waited; NULL when none waits."),
            ("handlings_active", "count", "Handlings whose after-contact work is not done."),
            ("offered", "count", "Legs that entered the queue today."),
            ("answered", "count", "Legs of today that an agent answered."),
            ("answer_rate", "ratio", "Answer rate of today's legs."),
            ("service_level", "ratio", "Service level of today's legs."),
            ("asa_seconds", "s", "Mean wait of today's answered legs."),
            ("aht_seconds", "s", "Mean handle time of the handlings closed today."),
        ],
        sql: "
WITH now AS (
    SELECT channel, queue, department, COUNT(*) AS waiting, MIN(queued_at) AS first_queued, 0 AS handlings_active
    FROM legs WHERE outcome IS NULL AND left_at IS NULL GROUP BY channel, queue, department
    UNION ALL
    SELECT channel, queue, department, 0, NULL, COUNT(*)
    FROM handlings WHERE wrapped_at IS NULL GROUP BY channel, queue, department
), parts AS (
    SELECT channel, queue, department, waiting, first_queued, handlings_active, 0 AS offered, 0 AS answered,
        CAST(NULL AS DOUBLE) AS answer_rate, CAST(NULL AS DOUBLE) AS service_level, CAST(NULL AS DOUBLE) AS asa_seconds,
        CAST(NULL AS DOUBLE) AS aht_seconds
    FROM now
    UNION ALL
    SELECT channel, queue, department, 0, NULL, 0, offered, answered, answer_rate, service_level, asa_seconds, aht_seconds
    FROM kpi_day WHERE slot_start = local_day({now})
)
SELECT channel, queue, department, SUM(waiting) AS waiting,
    CAST(arrow_cast({now}, 'Int64') - arrow_cast(MIN(first_queued), 'Int64') AS DOUBLE) / 1000000.0 AS longest_wait_seconds,
    SUM(handlings_active) AS handlings_active, SUM(offered) AS offered, SUM(answered) AS answered,
    MAX(answer_rate) AS answer_rate, MAX(service_level) AS service_level, MAX(asa_seconds) AS asa_seconds,
    MAX(aht_seconds) AS aht_seconds
FROM parts GROUP BY channel, queue, department",
    },
    Written {
        name: "live_agents",
        means: "The state of each agent now.",
        columns: &[
            ("agent_id", "", "The agent."),
            ("department", "", "The agent's department, where the events name one."),
            ("state", "", "offline, available, busy, acw, break, training, meeting or other."),
            ("reason", "", "The reason, as the platform names it."),
            ("since", "", "When the state began."),
            ("seconds", "s", "How long it has lasted."),
            ("handlings_active", "count", "Handlings of the agent whose after-contact work is not done."),
        ],
        sql: "
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY agent_id ORDER BY started_at DESC, id DESC) AS place
    FROM agent_states WHERE ended_at IS NULL
), active AS (
    SELECT agent_id AS active_agent, COUNT(*) AS active FROM handlings
    WHERE wrapped_at IS NULL AND agent_id IS NOT NULL GROUP BY agent_id
)
SELECT agent_id, department, state, reason, started_at AS since,
    CAST(arrow_cast({now}, 'Int64') - arrow_cast(started_at, 'Int64') AS DOUBLE) / 1000000.0 AS seconds,
    COALESCE(active, 0) AS handlings_active
FROM ranked LEFT JOIN active ON agent_id = active_agent WHERE place = 1",
    },
];
