//! What is expected and who will be there: `forecast_slot`, `staff_slot`, `forecast_accuracy`, `slot_projection`.

use super::Written;

pub(super) const VIEWS: &[Written] = &[
    Written {
        name: "forecast_slot",
        means: "What is expected of each slot, queue and channel by its newest forecast.",
        columns: &[
            ("slot_start", "", "Start of the slot."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("department", "", "The queue's department, where known."),
            ("made_at", "", "When the forecast was made."),
            ("kind", "", "full: days ahead. intraday: by what came so far on the day."),
            ("model", "", "The model behind it, or blend for several together."),
            ("slot_ms", "ms", "Length of the slot."),
            ("contacts", "count", "Contacts expected."),
            ("contacts_low", "count", "In one case of ten fewer come."),
            ("contacts_high", "count", "In one case of ten more come."),
            ("aht_seconds", "s", "Handle time expected of each."),
            ("load_erlangs", "erlang", "Load expected."),
            ("agents_on_seat", "agents", "Agents needed at work."),
            ("agents_required", "agents", "Agents needed in the roster: agents_on_seat / (1 - shrinkage), rounded up."),
            ("shrinkage", "ratio", "Share of rostered time that is not worked."),
            ("places", "count", "Contacts that one agent may have at once."),
            ("target_wait_seconds", "s", "The target wait; NULL where nobody waits in a line."),
            ("service_level_target", "ratio", "The share to be answered within it."),
            ("occupancy_cap", "ratio", "The share of time that agents may be busy."),
        ],
        sql: "
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY slot_start, channel, queue ORDER BY made_at DESC) AS place FROM forecasts
)
SELECT slot_start, channel, queue, department, made_at, kind, model, slot_ms, contacts, contacts_low, contacts_high,
    aht_seconds, load_erlangs, agents_on_seat, agents_required, shrinkage, places, target_wait_seconds,
    service_level_target, occupancy_cap
FROM ranked WHERE place = 1",
    },
    Written {
        name: "staff_slot",
        means: "Need and roster of each slot that is forecast. An agent of several queues is shared out among them by their \
                need (agents_required); one without queues serves all. Leads and supervisors are not counted, a shift \
                that is planned twice counts once, and one that covers part of a slot counts for that part. The level expected is by Erlang C of the agents at work \
                (staffed less shrinkage), between the whole numbers around them by the part that lies between.",
        columns: &[
            ("slot_start", "", "Start of the slot."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("department", "", "The queue's department, where known."),
            ("made_at", "", "When the forecast was made."),
            ("model", "", "The model behind it."),
            ("contacts", "count", "Contacts expected."),
            ("contacts_low", "count", "In one case of ten fewer come."),
            ("contacts_high", "count", "In one case of ten more come."),
            ("aht_seconds", "s", "Handle time expected of each."),
            ("load_erlangs", "erlang", "Load expected."),
            ("agents_on_seat", "agents", "Agents needed at work."),
            ("agents_required", "agents", "Agents needed in the roster."),
            ("agents_staffed", "agents", "Agents in the roster; 0 where nobody is."),
            ("gap", "agents", "agents_staffed - agents_required; below 0 some are missing."),
            ("expected_service_level", "ratio", "Share answered within the target wait with this roster; NULL for letters and where nothing is expected."),
            ("service_level_target", "ratio", "The share that should be."),
            ("expected_occupancy", "ratio", "Load / places of the agents at work, above 1 where it cannot be done; NULL with nobody there."),
            ("occupancy_cap", "ratio", "The share of time that agents may be busy."),
            ("fails", "", "True: the level expected is below its target, or the load cannot be done. NULL: nothing is expected."),
        ],
        sql: "
WITH alike AS (
    SELECT start, until, names, CAST(COUNT(DISTINCT agent_id) AS DOUBLE) AS agents
    FROM (
        SELECT agent_id, start, \"end\" AS until,
            ',' || regexp_replace(COALESCE(queues, ''), '[\\[\\]\"]', '', 'g') || ',' AS names
        FROM shifts
        WHERE cancelled_at IS NULL AND start IS NOT NULL AND \"end\" IS NOT NULL AND COALESCE(role, 'agent') = 'agent'
    ) AS planned
    GROUP BY start, until, names
), standing AS (
    SELECT start, until, names, agents, unnest(slots(start, until)) AS on_slot FROM alike
), crews AS (
    SELECT on_slot, names,
        SUM(agents * CAST(arrow_cast(LEAST(until, on_slot + arrow_cast(slot_length_ms(on_slot), 'Duration(Millisecond)')), 'Int64')
            - arrow_cast(GREATEST(start, on_slot), 'Int64') AS DOUBLE)
            / CAST(slot_length_ms(on_slot) * 1000 AS DOUBLE)) AS crew
    FROM standing GROUP BY on_slot, names
), wanted AS (
    SELECT f.slot_start AS slot_start, f.channel AS channel, f.queue AS queue, c.names AS names, c.crew AS crew,
        GREATEST(CAST(COALESCE(f.agents_required, 0) AS DOUBLE), 0.001) AS need
    FROM crews AS c JOIN forecast_slot AS f ON c.on_slot = f.slot_start
    WHERE c.names = ',,' OR strpos(c.names, ',' || f.queue || ',') > 0
), needs AS (
    SELECT slot_start AS needed_slot, names AS needed_names, SUM(need) AS all_needs FROM wanted GROUP BY slot_start, names
), staffed AS (
    SELECT slot_start AS of_slot, channel AS of_channel, queue AS of_queue, round(SUM(crew * need / all_needs), 9) AS agents
    FROM wanted JOIN needs ON slot_start = needed_slot AND names = needed_names GROUP BY slot_start, channel, queue
), joined AS (
    SELECT f.*, COALESCE(agents, 0.0) AS agents_staffed,
        COALESCE(agents, 0.0) * (1.0 - shrinkage) * CAST(places AS DOUBLE) AS at_work,
        CAST(slot_ms AS DOUBLE) / 1000.0 AS slot_seconds
    FROM forecast_slot AS f
    LEFT JOIN staffed ON f.slot_start = of_slot AND f.channel = of_channel AND f.queue = of_queue
), told AS (
    SELECT *, CASE WHEN contacts > 0 AND target_wait_seconds IS NOT NULL THEN
            erlang_c_service_level(floor(at_work), contacts, aht_seconds, slot_seconds, target_wait_seconds)
                * (1.0 - (at_work - floor(at_work)))
            + erlang_c_service_level(floor(at_work) + 1.0, contacts, aht_seconds, slot_seconds, target_wait_seconds)
                * (at_work - floor(at_work)) END AS level
    FROM joined
)
SELECT slot_start, channel, queue, department, made_at, model, contacts, contacts_low, contacts_high, aht_seconds,
    load_erlangs, agents_on_seat, agents_required, agents_staffed,
    round(agents_staffed - CAST(agents_required AS DOUBLE), 9) AS gap, level AS expected_service_level, service_level_target,
    CASE WHEN at_work > 0 THEN load_erlangs / at_work END AS expected_occupancy, occupancy_cap,
    CASE WHEN contacts > 0 THEN COALESCE(level < service_level_target, false) OR load_erlangs > at_work END AS fails
FROM told",
    },
    Written {
        name: "forecast_accuracy",
        means: "How right forecasts were, per day of the slot, queue, channel and horizon, over slots that are over. Of the \
                versions of one horizon the newest counts. Of several days, add the sums and divide again.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("department", "", "The queue's department, where known."),
            ("horizon", "", "intraday: told anew at a slot's close. 1d: by a full forecast made on the day itself; 2-7d, 8-14d, 15d+: by one made so many days before, the day on which it was made being the first."),
            ("slots", "count", "Slots."),
            ("contacts", "count", "Contacts that came."),
            ("forecast", "count", "Contacts expected."),
            ("absolute_error", "count", "Sum over slots of |expected - came|."),
            ("wape", "ratio", "absolute_error / contacts; NULL where nobody came."),
            ("bias", "ratio", "(forecast - contacts) / contacts; above 0 too many were expected."),
            ("within_10", "count", "Slots whose forecast is within 10 % of what came."),
            ("within_10_share", "ratio", "within_10 / slots."),
            ("poisson_floor", "ratio", "The WAPE that chance alone makes, if calls come independently: sum of sqrt(2 * forecast / pi) / contacts."),
            ("in_interval_share", "ratio", "Share of slots between contacts_low and contacts_high; 0.8 is right."),
            ("handled", "count", "Handlings closed."),
            ("aht_absolute_error", "s", "Sum over slots of handled * |expected handle time - mean handle time|."),
            ("aht_wape", "ratio", "aht_absolute_error / handle time of the handlings closed."),
        ],
        sql: "
WITH told AS (
    SELECT *, CASE WHEN kind = 'intraday' THEN 'intraday' WHEN ahead < 1 THEN '1d' WHEN ahead < 7 THEN '2-7d'
        WHEN ahead < 14 THEN '8-14d' ELSE '15d+' END AS horizon
    FROM (
        SELECT *, round(CAST(arrow_cast(local_day(slot_start), 'Int64') - arrow_cast(local_day(made_at), 'Int64') AS DOUBLE)
            / 86400000000.0) AS ahead
        FROM forecasts WHERE slot_start + arrow_cast(slot_ms, 'Duration(Millisecond)') <= {now}
    ) AS aged
), newest AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY slot_start, channel, queue, horizon ORDER BY made_at DESC) AS place
        FROM told
    ) AS ranked WHERE place = 1
), came AS (
    SELECT slot_start AS of_slot, channel AS of_channel, queue AS of_queue, CAST(SUM(offered) AS DOUBLE) AS offered,
        CAST(SUM(handled) AS DOUBLE) AS handled,
        CAST(SUM(talk_ms_sum + hold_ms_sum + acw_ms_sum) AS DOUBLE) / 1000.0 AS handle_seconds
    FROM kpi_slot GROUP BY slot_start, channel, queue
), pairs AS (
    SELECT local_day(slot_start) AS day, channel, queue, department, horizon, contacts AS expected,
        contacts_low, contacts_high, aht_seconds, COALESCE(offered, 0.0) AS offered, COALESCE(handled, 0.0) AS handled,
        COALESCE(handle_seconds, 0.0) AS handle_seconds
    FROM newest LEFT JOIN came ON slot_start = of_slot AND channel = of_channel AND queue = of_queue
), sums AS (
    SELECT day, channel, queue, MAX(department) AS department, horizon, COUNT(*) AS slots, SUM(offered) AS contacts,
        SUM(expected) AS forecast, SUM(abs(expected - offered)) AS absolute_error,
        SUM(CASE WHEN abs(expected - offered) <= 0.1 * offered THEN 1 ELSE 0 END) AS within_10,
        SUM(sqrt(2.0 * GREATEST(expected, 0.0) / pi())) AS chance,
        SUM(CASE WHEN offered BETWEEN contacts_low AND contacts_high THEN 1 ELSE 0 END) AS inside,
        SUM(handled) AS handled, SUM(handle_seconds) AS handle_seconds,
        SUM(CASE WHEN handled > 0 THEN abs(aht_seconds * handled - handle_seconds) END) AS aht_absolute_error
    FROM pairs GROUP BY day, channel, queue, horizon
)
SELECT day, channel, queue, department, horizon, slots, CAST(contacts AS BIGINT) AS contacts, forecast, absolute_error,
    CASE WHEN contacts > 0 THEN absolute_error / contacts END AS wape,
    CASE WHEN contacts > 0 THEN (forecast - contacts) / contacts END AS bias, within_10,
    CAST(within_10 AS DOUBLE) / CAST(slots AS DOUBLE) AS within_10_share,
    CASE WHEN contacts > 0 THEN chance / contacts END AS poisson_floor,
    CAST(inside AS DOUBLE) / CAST(slots AS DOUBLE) AS in_interval_share, CAST(handled AS BIGINT) AS handled,
    aht_absolute_error, CASE WHEN handle_seconds > 0 THEN aht_absolute_error / handle_seconds END AS aht_wape
FROM sums",
    },
    Written {
        name: "slot_projection",
        means: "The running slot of each queue told to its end: what came so far, and of what is still expected the share of \
                time that is left. Who waits beyond the target is lost for the level; those still to come are served as those \
                that are decided so far.",
        columns: &[
            ("slot_start", "", "Start of the running slot."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("elapsed_share", "ratio", "How much of the slot is over."),
            ("offered", "count", "Contacts so far."),
            ("expected", "count", "Contacts forecast for the slot; NULL without a forecast."),
            ("projected_offered", "count", "Contacts at its end: those so far and those still expected; without a forecast as many more as came so far for the time that is left."),
            ("answered_in_time", "count", "Answered within the target so far."),
            ("lost", "count", "Decided and not in time: abandoned, late, left the queue, or waiting beyond the target."),
            ("service_level", "ratio", "answered_in_time / (answered_in_time + lost); NULL before anything is decided."),
            ("projected_service_level_worst", "ratio", "At the end of the slot if nobody more is served in time."),
            ("projected_service_level", "ratio", "At the end of the slot if those to come are served as those so far."),
            ("projected_service_level_best", "ratio", "At the end of the slot if everybody to come and waiting in time is served in time."),
        ],
        sql: "
WITH running AS (
    SELECT slot_start, channel, queue, SUM(offered) AS offered, SUM(answered_in_time) AS answered_in_time,
        SUM(waiting) AS waiting, SUM(waiting_late) AS waiting_late
    FROM kpi_slot WHERE slot_start = slot({now}) GROUP BY slot_start, channel, queue
), joined AS (
    SELECT COALESCE(r.slot_start, f.slot_start) AS slot_start, COALESCE(r.channel, f.channel) AS channel,
        COALESCE(r.queue, f.queue) AS queue, CAST(COALESCE(offered, 0) AS DOUBLE) AS offered,
        CAST(COALESCE(answered_in_time, 0) AS DOUBLE) AS in_time,
        CAST(COALESCE(offered, 0) - COALESCE(answered_in_time, 0) - (COALESCE(waiting, 0) - COALESCE(waiting_late, 0)) AS DOUBLE)
            AS lost,
        f.contacts AS expected,
        CAST(arrow_cast({now}, 'Int64') - arrow_cast(slot({now}), 'Int64') AS DOUBLE)
            / CAST(slot_length_ms({now}) * 1000 AS DOUBLE) AS elapsed
    FROM running AS r
    FULL JOIN (SELECT * FROM forecast_slot WHERE slot_start = slot({now})) AS f
        ON r.slot_start = f.slot_start AND r.channel = f.channel AND r.queue = f.queue
), told AS (
    SELECT *, offered + CASE WHEN expected IS NOT NULL THEN expected * (1.0 - elapsed)
        WHEN elapsed > 0 THEN offered * (1.0 - elapsed) / elapsed ELSE 0.0 END AS whole
    FROM joined
)
SELECT slot_start, channel, queue, elapsed AS elapsed_share, CAST(offered AS BIGINT) AS offered, expected,
    whole AS projected_offered, CAST(in_time AS BIGINT) AS answered_in_time, CAST(lost AS BIGINT) AS lost,
    CASE WHEN in_time + lost > 0 THEN in_time / (in_time + lost) END AS service_level,
    CASE WHEN whole > 0 THEN in_time / whole END AS projected_service_level_worst,
    CASE WHEN whole > 0 AND in_time + lost > 0
        THEN (in_time + (whole - in_time - lost) * in_time / (in_time + lost)) / whole END AS projected_service_level,
    CASE WHEN whole > 0 THEN (whole - lost) / whole END AS projected_service_level_best
FROM told",
    },
];
