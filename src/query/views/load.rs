//! `slot_load`: how much work each slot brought, and how much was done in it.

use super::Written;

pub(super) const VIEWS: &[Written] = &[Written {
    name: "slot_load",
    means: "The load per slot, channel, queue and department: offered (handle time of the legs queued in the slot) and \
            carried (talk, hold and after-contact work split over the slots they cover). Figures per agent present add up \
            over queues, as every agent of the centre is in each row's divisor.",
    columns: &[
        ("slot_start", "", "Start of the slot."),
        ("channel", "", "The channel."),
        ("queue", "", "The queue."),
        ("department", "", "The queue's department."),
        ("offered", "count", "Legs that entered the queue in the slot."),
        ("offered_erlangs", "erlang", "Offered load: handle time of the slot's cohort / length of the slot."),
        ("contacts", "count", "Different contacts that were worked on in the slot."),
        ("carried_ms", "ms", "Time of handlings inside the slot, each handling in full; work that still goes on until now."),
        ("carried_erlangs", "erlang", "Carried load: carried_ms / length of the slot."),
        ("agents_present", "count", "Different agents of the centre in any state but offline at some time of the slot."),
        ("contacts_per_agent", "", "contacts / agents_present; NULL where nobody was present."),
        ("handle_minutes_per_agent", "min", "Minutes of carried work per agent present; NULL where nobody was present."),
    ],
    sql: "
WITH work AS (
    SELECT contact_id, channel, queue, department, started_at AS since, COALESCE(wrapped_at, {now}) AS until,
        unnest(slots(started_at, COALESCE(wrapped_at, {now}))) AS slot_start
    FROM handlings
), pieces AS (
    SELECT slot_start, channel, queue, department, contact_id,
        arrow_cast(LEAST(until, slot_start + arrow_cast(slot_length_ms(slot_start), 'Duration(Millisecond)')), 'Int64')
        - arrow_cast(GREATEST(since, slot_start), 'Int64') AS micros
    FROM work
), carried AS (
    SELECT slot_start, channel, queue, department, COUNT(DISTINCT contact_id) AS contacts, SUM(micros) / 1000 AS carried_ms
    FROM pieces GROUP BY slot_start, channel, queue, department
), parts AS (
    SELECT slot_start, channel, queue, department, offered, load_erlangs AS offered_erlangs, 0 AS contacts, 0 AS carried_ms
    FROM kpi_slot
    UNION ALL
    SELECT slot_start, channel, queue, department, 0, 0.0, contacts, carried_ms FROM carried
), loads AS (
    SELECT slot_start, channel, queue, department, SUM(offered) AS offered, SUM(offered_erlangs) AS offered_erlangs,
        SUM(contacts) AS contacts, SUM(carried_ms) AS carried_ms
    FROM parts GROUP BY slot_start, channel, queue, department
), agents AS (
    SELECT slot_start AS agents_slot, COUNT(DISTINCT agent_id) AS agents_present
    FROM (
        SELECT agent_id, unnest(slots(started_at, COALESCE(ended_at, {now}))) AS slot_start
        FROM agent_states WHERE state <> 'offline'
    ) AS present GROUP BY slot_start
), joined AS (
    SELECT loads.*, COALESCE(agents_present, 0) AS agents_present, slot_length_ms(slot_start) AS slot_ms
    FROM loads LEFT JOIN agents ON slot_start = agents_slot
)
SELECT slot_start, channel, queue, department, offered, offered_erlangs, contacts, carried_ms,
    CASE WHEN slot_ms > 0 THEN CAST(carried_ms AS DOUBLE) / CAST(slot_ms AS DOUBLE) END AS carried_erlangs, agents_present,
    CASE WHEN agents_present > 0 THEN CAST(contacts AS DOUBLE) / CAST(agents_present AS DOUBLE) END AS contacts_per_agent,
    CASE WHEN agents_present > 0 THEN CAST(carried_ms AS DOUBLE) / CAST(agents_present * 60000 AS DOUBLE) END
        AS handle_minutes_per_agent
FROM joined",
}];
