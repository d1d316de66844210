//! `agent_day`: what each agent did.

use super::Written;

pub(super) const VIEWS: &[Written] = &[Written {
    name: "agent_day",
    means: "An agent's day. Handlings stand in the day of their close (after-contact work done), outbound ones apart; \
            occupancy is by the wall clock.",
    columns: &[
        ("day", "", "Start of the centre's day."),
        ("agent_id", "", "The agent."),
        ("contacts", "count", "Different contacts among the handlings closed, outbound ones too."),
        ("handled", "count", "Handlings closed; outbound ones left out."),
        ("outbound", "count", "Outbound handlings closed."),
        ("talk_seconds", "s", "Talk of the handlings closed, all together."),
        ("hold_seconds", "s", "Hold of the handlings closed, all together."),
        ("acw_seconds", "s", "After-contact work of the handlings closed, all together."),
        ("handle_seconds", "s", "Talk, hold, after-contact work and dialling of the handlings closed, all together."),
        ("aht_seconds", "s", "Mean handle time; NULL without a handling."),
        ("transfers", "count", "Handlings closed that were passed on."),
        ("findings", "count", "Rules of service that were broken on that day (view findings), complaints left out: the call back is the lead's."),
        ("missed", "count", "Contacts that rang and were not taken; needs the table of raw events."),
        ("busy_seconds", "s", "Time with at least one contact in talk, hold or after-contact work; overlaps count once."),
        ("staffed_seconds", "s", "Time busy or available; overlaps count once, and a state that lasts longer than 31 days counts for 31."),
        ("occupancy", "ratio", "busy_seconds / staffed_seconds; NULL without either."),
        ("sentiment", "", "Mean sentiment, -1 to 1, of the customers of contacts that this agent was the last to answer."),
    ],
    sql: "
WITH closed AS (
    SELECT local_day(wrapped_at) AS day, *, direction IS NOT DISTINCT FROM 'outbound' AS is_outbound
    FROM handlings WHERE wrapped_at IS NOT NULL AND agent_id IS NOT NULL
), work AS (
    SELECT day, agent_id, COUNT(DISTINCT contact_id) AS contacts,
        SUM(CASE WHEN is_outbound THEN 0 ELSE 1 END) AS handled,
        SUM(CASE WHEN is_outbound THEN 1 ELSE 0 END) AS outbound,
        SUM(CASE WHEN is_outbound THEN 0 ELSE COALESCE(talk_ms, 0) END) AS talk_ms,
        SUM(CASE WHEN is_outbound THEN 0 ELSE COALESCE(hold_ms, 0) END) AS hold_ms,
        SUM(CASE WHEN is_outbound THEN 0 ELSE COALESCE(acw_ms, 0) END) AS acw_ms,
        SUM(CASE WHEN is_outbound THEN 0 ELSE COALESCE(handle_ms, 0) END) AS handle_ms,
        SUM(CASE WHEN transferred_to IS NOT NULL OR ended_by = 'transfer' THEN 1 ELSE 0 END) AS transfers
    FROM closed GROUP BY day, agent_id
), missed AS (
    SELECT local_day(\"time\") AS day, agent_id, COUNT(*) AS missed
    FROM events WHERE \"type\" = 'contact.missed' AND agent_id IS NOT NULL GROUP BY local_day(\"time\"), agent_id
), broken AS (
    SELECT local_day(\"time\") AS day, agent_id, COUNT(*) AS findings
    FROM findings WHERE agent_id IS NOT NULL AND rule <> 'complaint_late' GROUP BY local_day(\"time\"), agent_id
), spans AS (
    SELECT agent_id, started_at AS since, COALESCE(wrapped_at, {now}) AS until, true AS busy
    FROM handlings WHERE agent_id IS NOT NULL
        AND started_at <= {until day} + INTERVAL '2 days' AND (wrapped_at IS NULL OR wrapped_at >= {since day})
    UNION ALL
    SELECT agent_id, started_at, LEAST(COALESCE(ended_at, {now}), started_at + INTERVAL '31 days'), false
    FROM agent_states WHERE state = 'available' AND agent_id IS NOT NULL
        AND date >= local_date({since day} - INTERVAL '32 days') AND date <= local_date({until day} + INTERVAL '2 days')
), days AS (
    SELECT agent_id, since, until, busy, unnest(local_days(since, until)) AS day FROM spans
), pieces AS (
    SELECT agent_id, day, busy, GREATEST(since, day) AS since,
        LEAST(until, day + arrow_cast(local_day_length_ms(day), 'Duration(Millisecond)')) AS until
    FROM days
), presence AS (
    SELECT day, agent_id, COALESCE(covered_ms(since, until) FILTER (WHERE busy), 0) AS busy_ms,
        covered_ms(since, until) AS staffed_ms
    FROM pieces GROUP BY day, agent_id
), mood AS (
    SELECT local_day(ended_at) AS day, last_agent AS agent_id, AVG(sentiment_customer) AS sentiment
    FROM contacts WHERE ended_at IS NOT NULL AND sentiment_customer IS NOT NULL
        AND last_agent IN (SELECT DISTINCT agent_id FROM handlings)
    GROUP BY local_day(ended_at), last_agent
), parts AS (
    SELECT day, agent_id, contacts, handled, outbound, talk_ms, hold_ms, acw_ms, handle_ms, transfers,
        0 AS missed, 0 AS busy_ms, 0 AS staffed_ms, CAST(NULL AS DOUBLE) AS sentiment, 0 AS findings FROM work
    UNION ALL SELECT day, agent_id, 0, 0, 0, 0, 0, 0, 0, 0, missed, 0, 0, NULL, 0 FROM missed
    UNION ALL SELECT day, agent_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, busy_ms, staffed_ms, NULL, 0 FROM presence
    UNION ALL SELECT day, agent_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, sentiment, 0 FROM mood
    UNION ALL SELECT day, agent_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, findings FROM broken
), sums AS (
    SELECT day, agent_id, SUM(contacts) AS contacts, SUM(handled) AS handled, SUM(outbound) AS outbound,
        SUM(talk_ms) AS talk_ms, SUM(hold_ms) AS hold_ms, SUM(acw_ms) AS acw_ms, SUM(handle_ms) AS handle_ms,
        SUM(transfers) AS transfers, SUM(missed) AS missed, SUM(busy_ms) AS busy_ms,
        SUM(staffed_ms) AS staffed_ms, MAX(sentiment) AS sentiment, SUM(findings) AS findings
    FROM parts GROUP BY day, agent_id
)
SELECT day, agent_id, contacts, handled, outbound, talk_ms / 1000.0 AS talk_seconds, hold_ms / 1000.0 AS hold_seconds,
    acw_ms / 1000.0 AS acw_seconds, handle_ms / 1000.0 AS handle_seconds,
    CASE WHEN handled > 0 THEN CAST(handle_ms AS DOUBLE) / CAST(handled * 1000 AS DOUBLE) END AS aht_seconds,
    transfers, findings, missed, busy_ms / 1000.0 AS busy_seconds, staffed_ms / 1000.0 AS staffed_seconds,
    CASE WHEN staffed_ms > 0 THEN CAST(busy_ms AS DOUBLE) / CAST(staffed_ms AS DOUBLE) END AS occupancy, sentiment
FROM sums",
}];
