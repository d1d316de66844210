//! Was the plan good: `adherence_day`, `schedule_score`.

use super::Written;

pub(super) const VIEWS: &[Written] = &[
    Written {
        name: "adherence_day",
        means: "Planned and worked time of each agent and day of the shift's start; of running shifts the part until now.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("agent_id", "", "The agent."),
            ("department", "", "The department of the shifts, where they name one."),
            ("planned_seconds", "s", "Time of the shifts so far, all together."),
            ("worked_seconds", "s", "Time of the day in any state but offline and break, planned or not."),
            ("adherent_seconds", "s", "Time of the shifts in any state but offline and break."),
            ("adherence", "ratio", "adherent_seconds / planned_seconds."),
            ("conformance", "ratio", "worked_seconds / planned_seconds: above 1 more was worked than planned."),
            ("productive_seconds", "s", "Time of the day in state available, busy or acw."),
            ("paid_seconds", "s", "Paid time of the shifts: paid_minutes, else their length; running ones in full."),
            ("shrinkage", "ratio", "1 - productive_seconds / paid_seconds, of days whose shifts are over; else NULL."),
        ],
        sql: "
WITH standing AS (
    SELECT shift_id, agent_id, department, local_day(start) AS day, start AS since, LEAST(\"end\", {now}) AS until, \"end\" AS whole,
        CASE WHEN paid_minutes IS NOT NULL THEN CAST(paid_minutes AS DOUBLE) * 60.0
            ELSE CAST(arrow_cast(\"end\", 'Int64') - arrow_cast(start, 'Int64') AS DOUBLE) / 1000000.0 END AS paid
    FROM shifts
    WHERE cancelled_at IS NULL AND agent_id IS NOT NULL AND \"end\" > start AND start < {now}
), planned AS (
    SELECT day, agent_id, MAX(department) AS department, covered_ms(since, until) AS planned_ms, SUM(paid) AS paid,
        MAX(whole) AS over_at
    FROM standing GROUP BY day, agent_id
), states AS (
    SELECT agent_id AS of_agent, state, started_at, COALESCE(ended_at, {now}) AS ended_at
    FROM agent_states WHERE state NOT IN ('offline', 'break') AND agent_id IS NOT NULL
), inside AS (
    SELECT day AS of_day, agent_id AS of_agent,
        covered_ms(GREATEST(since, started_at), LEAST(until, ended_at)) AS adherent_ms
    FROM standing JOIN states ON agent_id = of_agent AND started_at < until AND ended_at > since
    GROUP BY day, agent_id
), pieces AS (
    SELECT of_agent, state, day AS of_day, GREATEST(started_at, day) AS since,
        LEAST(ended_at, day + arrow_cast(local_day_length_ms(day), 'Duration(Millisecond)')) AS until
    FROM (SELECT *, unnest(local_days(started_at, ended_at)) AS day FROM states) AS split
), worked AS (
    SELECT of_day, of_agent, covered_ms(since, until) AS worked_ms,
        COALESCE(covered_ms(since, until) FILTER (WHERE state IN ('available', 'busy', 'acw')), 0) AS productive_ms
    FROM pieces GROUP BY of_day, of_agent
)
SELECT p.day AS day, p.agent_id AS agent_id, p.department AS department, p.planned_ms / 1000.0 AS planned_seconds,
    COALESCE(w.worked_ms, 0) / 1000.0 AS worked_seconds, COALESCE(i.adherent_ms, 0) / 1000.0 AS adherent_seconds,
    CASE WHEN p.planned_ms > 0 THEN CAST(COALESCE(i.adherent_ms, 0) AS DOUBLE) / CAST(p.planned_ms AS DOUBLE) END AS adherence,
    CASE WHEN p.planned_ms > 0 THEN CAST(COALESCE(w.worked_ms, 0) AS DOUBLE) / CAST(p.planned_ms AS DOUBLE) END AS conformance,
    COALESCE(w.productive_ms, 0) / 1000.0 AS productive_seconds, p.paid AS paid_seconds,
    CASE WHEN p.over_at <= {now} AND p.paid > 0
        THEN 1.0 - CAST(COALESCE(w.productive_ms, 0) AS DOUBLE) / 1000.0 / p.paid END AS shrinkage
FROM planned AS p
LEFT JOIN inside AS i ON p.day = i.of_day AND p.agent_id = i.of_agent
LEFT JOIN worked AS w ON p.day = w.of_day AND p.agent_id = w.of_agent",
    },
    Written {
        name: "schedule_score",
        means: "Each day and week of the roster in five dimensions: forecast, fit, agents' satisfaction, slots that fail, agents' \
                load; for all together (department '(all)') and per department. Slots that are over are judged by what came of \
                them, those to come by what is expected. Each dimension is 0 to 1; what nothing is known of is NULL and leaves \
                the score, as do fit and slots of days without any shift.",
        columns: &[
            ("period", "", "day or week."),
            ("start", "", "Start of the centre's day, or of its week (Monday)."),
            ("department", "", "The department, or (all)."),
            ("score", "", "100 times the mean of the five dimensions that are known."),
            ("forecast_score", "ratio", "1: 1 - forecast_wape, at least 0."),
            ("forecast_wape", "ratio", "WAPE of the day's contacts per slot, as told by the day's newest full forecast (horizon 1d)."),
            ("forecast_within_10_share", "ratio", "Share of slots within 10 %."),
            ("forecast_aht_wape", "ratio", "WAPE of handle times."),
            ("fit_score", "ratio", "2: 1 - fit, at least 0."),
            ("fit", "ratio", "Sum of |staffed - required| / sum of required."),
            ("over", "ratio", "The part of fit where there were too many."),
            ("under", "ratio", "The part of fit where there were too few."),
            ("satisfaction_score", "ratio", "3: mean of preferred_share, rest_kept_share and 1 - late_change_share, of those known."),
            ("shifts", "count", "Shifts that begin in it, not cancelled."),
            ("preferred_share", "ratio", "Share of preferred shifts, of those for which it is known."),
            ("rest_kept_share", "ratio", "Share of shifts with at least 11 hours since the agent's last one."),
            ("late_change_share", "ratio", "Share of shifts, cancelled ones too, published or cancelled within 24 hours before their start or after it."),
            ("failing_score", "ratio", "4: 1 - failing_share."),
            ("slots", "count", "Slots of queues with contacts, come or expected."),
            ("failing_slots", "count", "Those below the service level wanted, or whose load cannot be done."),
            ("failing_share", "ratio", "failing_slots / slots."),
            ("load_score", "ratio", "5: 1 - overloaded_share."),
            ("mean_occupancy", "ratio", "Mean occupancy of agents per slot, of those present for half of it; expected ones for slots to come."),
            ("occupancy_spread", "ratio", "Their standard deviation."),
            ("overloaded_share", "ratio", "Share of them above the cap of occupancy."),
        ],
        sql: "
WITH came AS (
    SELECT slot_start AS of_slot, channel AS of_channel, queue AS of_queue, SUM(offered) AS offered,
        CASE WHEN SUM(offered) > 0 THEN SUM(service_level * CAST(offered AS DOUBLE))
            / SUM(CASE WHEN service_level IS NOT NULL THEN CAST(offered AS DOUBLE) END) END AS level
    FROM kpi_slot GROUP BY slot_start, channel, queue
), staffed AS (
    SELECT slot_start, COALESCE(department, '(none)') AS department, service_level_target, occupancy_cap, agents_staffed,
        CAST(COALESCE(agents_required, 0) AS DOUBLE) AS required, expected_occupancy, agents_staffed AS weight,
        slot_start + arrow_cast(slot_length_ms(slot_start), 'Duration(Millisecond)') <= {now} AS is_over, fails, offered, level
    FROM staff_slot LEFT JOIN came ON slot_start = of_slot AND channel = of_channel AND queue = of_queue
), planned_days AS (
    SELECT DISTINCT unnest(local_days(start, \"end\")) AS day FROM shifts WHERE cancelled_at IS NULL
), judged AS (
    SELECT slot_start, department, required, agents_staffed, is_over, occupancy_cap,
        CASE WHEN NOT is_over AND expected_occupancy IS NOT NULL THEN LEAST(expected_occupancy, 1.0) ELSE 0.0 END AS share,
        CASE WHEN NOT is_over AND expected_occupancy IS NOT NULL THEN weight ELSE 0.0 END AS weight,
        CASE WHEN NOT is_over THEN fails WHEN offered > 0 THEN level < service_level_target END AS failed
    FROM staffed WHERE local_day(slot_start) IN (SELECT day FROM planned_days)
), teams AS (
    SELECT DISTINCT agent_id AS of_agent, MAX(department) AS team FROM (
        SELECT agent_id, department FROM shifts UNION ALL SELECT agent_id, department FROM handlings
    ) AS named WHERE agent_id IS NOT NULL GROUP BY agent_id
), spans AS (
    SELECT agent_id, started_at AS since, COALESCE(wrapped_at, {now}) AS until, true AS busy
    FROM handlings WHERE agent_id IS NOT NULL
    UNION ALL
    SELECT agent_id, started_at, COALESCE(ended_at, {now}), false
    FROM agent_states WHERE state = 'available' AND agent_id IS NOT NULL
), busy AS (
    SELECT agent_id, slot_start, slot_length_ms(slot_start) AS slot_ms,
        COALESCE(covered_ms(GREATEST(since, slot_start),
            LEAST(until, slot_start + arrow_cast(slot_length_ms(slot_start), 'Duration(Millisecond)'))) FILTER (WHERE busy), 0) AS busy_ms,
        covered_ms(GREATEST(since, slot_start),
            LEAST(until, slot_start + arrow_cast(slot_length_ms(slot_start), 'Duration(Millisecond)'))) AS staffed_ms
    FROM (SELECT agent_id, since, until, busy, unnest(slots(since, until)) AS slot_start FROM spans) AS pieces
    GROUP BY agent_id, slot_start
), cap AS (
    SELECT COALESCE(MAX(occupancy_cap), 0.85) AS cap FROM forecasts
), occupancy AS (
    SELECT slot_start, COALESCE(team, '(none)') AS department, CAST(busy_ms AS DOUBLE) / CAST(staffed_ms AS DOUBLE) AS share,
        cap AS cap, 1.0 AS weight
    FROM busy CROSS JOIN cap LEFT JOIN teams ON agent_id = of_agent
    WHERE staffed_ms * 2 >= slot_ms AND slot_start + arrow_cast(slot_ms, 'Duration(Millisecond)') <= {now}
), named AS (
    SELECT *, COALESCE(department, '(none)') AS team,
        LAG(\"end\") OVER (PARTITION BY agent_id, cancelled_at IS NULL ORDER BY start, shift_id) AS last_end
    FROM shifts WHERE start IS NOT NULL AND \"end\" IS NOT NULL
), parts AS (
    SELECT local_day(slot_start) AS day, department, abs(agents_staffed - required) AS misfit,
        GREATEST(agents_staffed - required, 0.0) AS too_many, GREATEST(required - agents_staffed, 0.0) AS too_few, required,
        CASE WHEN failed IS NOT NULL THEN 1 ELSE 0 END AS slots, CASE WHEN failed THEN 1 ELSE 0 END AS failing,
        share * weight AS shares, share * share * weight AS squares, weight AS weights,
        CASE WHEN share > occupancy_cap THEN weight ELSE 0.0 END AS above,
        0 AS shifts, 0 AS preferred_known, 0 AS preferred, 0 AS rest_known, 0 AS rested, 0 AS changes, 0 AS late,
        0.0 AS absolute_error, 0.0 AS contacts, 0 AS told, 0 AS within_10, 0.0 AS aht_error, 0.0 AS aht_sum
    FROM judged
    UNION ALL
    SELECT local_day(slot_start), department, 0.0, 0.0, 0.0, 0.0, 0, 0, share * weight, share * share * weight, weight,
        CASE WHEN share > cap THEN weight ELSE 0.0 END, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0, 0, 0.0, 0.0
    FROM occupancy
    UNION ALL
    SELECT local_day(start), team, 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0,
        CASE WHEN cancelled_at IS NULL THEN 1 ELSE 0 END,
        CASE WHEN cancelled_at IS NULL AND preferred IS NOT NULL THEN 1 ELSE 0 END,
        CASE WHEN cancelled_at IS NULL AND preferred THEN 1 ELSE 0 END,
        CASE WHEN cancelled_at IS NULL AND last_end IS NOT NULL THEN 1 ELSE 0 END,
        CASE WHEN cancelled_at IS NULL AND last_end + INTERVAL '11 hours' <= start THEN 1 ELSE 0 END,
        CASE WHEN published_at IS NOT NULL OR cancelled_at IS NOT NULL THEN 1 ELSE 0 END,
        CASE WHEN published_at > start - INTERVAL '24 hours' OR cancelled_at > start - INTERVAL '24 hours' THEN 1 ELSE 0 END,
        0.0, 0.0, 0, 0, 0.0, 0.0
    FROM named
    UNION ALL
    SELECT day, COALESCE(department, '(none)'), 0.0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0, 0,
        missed, all_contacts, told_slots, close_slots, aht_missed, aht_all
    FROM (
        SELECT day, department, absolute_error AS missed, CAST(contacts AS DOUBLE) AS all_contacts, slots AS told_slots,
            within_10 AS close_slots, COALESCE(aht_absolute_error, 0.0) AS aht_missed,
            CASE WHEN aht_wape > 0 THEN aht_absolute_error / aht_wape ELSE 0.0 END AS aht_all
        FROM forecast_accuracy WHERE horizon = '1d'
    ) AS accuracy
), periods AS (
    SELECT period, CASE WHEN period = 'day' THEN day ELSE local_week(day) END AS start,
        CASE WHEN every THEN '(all)' ELSE department END AS department, misfit, too_many, too_few, required, slots, failing,
        shares, squares, weights, above, shifts, preferred_known, preferred, rest_known, rested, changes, late,
        absolute_error, contacts, told, within_10, aht_error, aht_sum
    FROM parts CROSS JOIN (VALUES ('day'), ('week')) AS p (period) CROSS JOIN (VALUES (true), (false)) AS t (every)
), sums AS (
    SELECT period, start, department, SUM(misfit) AS misfit, SUM(too_many) AS too_many, SUM(too_few) AS too_few,
        SUM(required) AS required, SUM(slots) AS slots, SUM(failing) AS failing, SUM(shares) AS shares,
        SUM(squares) AS squares, SUM(weights) AS weights, SUM(above) AS above, SUM(shifts) AS shifts,
        SUM(preferred_known) AS preferred_known, SUM(preferred) AS preferred, SUM(rest_known) AS rest_known,
        SUM(rested) AS rested, SUM(changes) AS changes, SUM(late) AS late, SUM(absolute_error) AS absolute_error,
        SUM(contacts) AS contacts, SUM(told) AS told, SUM(within_10) AS within_10, SUM(aht_error) AS aht_error,
        SUM(aht_sum) AS aht_sum
    FROM periods GROUP BY period, start, department
), figures AS (
    SELECT period, start, department, shifts, slots, failing,
        CASE WHEN contacts > 0 THEN absolute_error / contacts END AS forecast_wape,
        CASE WHEN told > 0 THEN CAST(within_10 AS DOUBLE) / CAST(told AS DOUBLE) END AS within_share,
        CASE WHEN aht_sum > 0 THEN aht_error / aht_sum END AS aht_wape,
        CASE WHEN required > 0 THEN misfit / required END AS fit, CASE WHEN required > 0 THEN too_many / required END AS over,
        CASE WHEN required > 0 THEN too_few / required END AS under,
        CASE WHEN preferred_known > 0 THEN CAST(preferred AS DOUBLE) / CAST(preferred_known AS DOUBLE) END AS preferred_share,
        CASE WHEN rest_known > 0 THEN CAST(rested AS DOUBLE) / CAST(rest_known AS DOUBLE) END AS rest_share,
        CASE WHEN changes > 0 THEN CAST(late AS DOUBLE) / CAST(changes AS DOUBLE) END AS late_share,
        CASE WHEN slots > 0 THEN CAST(failing AS DOUBLE) / CAST(slots AS DOUBLE) END AS failing_share,
        CASE WHEN weights > 0 THEN shares / weights END AS mean_occupancy,
        CASE WHEN weights > 0 THEN sqrt(GREATEST(squares / weights - power(shares / weights, 2.0), 0.0)) END AS spread,
        CASE WHEN weights > 0 THEN above / weights END AS above_share
    FROM sums
), dimensions AS (
    SELECT *, GREATEST(1.0 - forecast_wape, 0.0) AS d1, GREATEST(1.0 - fit, 0.0) AS d2,
        (COALESCE(preferred_share, 0.0) + COALESCE(rest_share, 0.0) + COALESCE(1.0 - late_share, 0.0))
            / NULLIF(CASE WHEN preferred_share IS NULL THEN 0.0 ELSE 1.0 END + CASE WHEN rest_share IS NULL THEN 0.0 ELSE 1.0 END
                + CASE WHEN late_share IS NULL THEN 0.0 ELSE 1.0 END, 0.0) AS d3,
        1.0 - failing_share AS d4, 1.0 - above_share AS d5
    FROM figures
)
SELECT period, start, department,
    100.0 * (COALESCE(CASE WHEN forecast_wape IS NOT NULL THEN d1 END, 0.0) + COALESCE(CASE WHEN fit IS NOT NULL THEN d2 END, 0.0)
        + COALESCE(d3, 0.0) + COALESCE(d4, 0.0) + COALESCE(d5, 0.0))
        / NULLIF(CASE WHEN forecast_wape IS NULL THEN 0.0 ELSE 1.0 END + CASE WHEN fit IS NULL THEN 0.0 ELSE 1.0 END
            + CASE WHEN d3 IS NULL THEN 0.0 ELSE 1.0 END + CASE WHEN d4 IS NULL THEN 0.0 ELSE 1.0 END
            + CASE WHEN d5 IS NULL THEN 0.0 ELSE 1.0 END, 0.0) AS score,
    CASE WHEN forecast_wape IS NOT NULL THEN d1 END AS forecast_score, forecast_wape,
    within_share AS forecast_within_10_share, aht_wape AS forecast_aht_wape,
    CASE WHEN fit IS NOT NULL THEN d2 END AS fit_score, fit, over, under, d3 AS satisfaction_score, shifts, preferred_share,
    rest_share AS rest_kept_share, late_share AS late_change_share, d4 AS failing_score, slots, failing AS failing_slots,
    failing_share, d5 AS load_score, mean_occupancy, spread AS occupancy_spread, above_share AS overloaded_share
FROM dimensions",
    },
];
