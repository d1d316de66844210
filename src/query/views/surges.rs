//! `surges` and `theme_surges`: slots in which far more came than was to be expected, in a queue or about a theme.

use crate::query::{CATALOG, SCHEMA};
use crate::time::{Grid, Millis};

use super::{Written, instant};

pub(super) const VIEWS: &[Written] = &[QUEUES, THEMES];

/// Days before a slot from which its usual contacts are told, and one more for clocks that change.
const DAYS: i32 = 29;

/// The beginning of a statement (`WITH …`) that asks `surges` and `theme_surges` for what lasts at `now`, and reads no more of
/// the past than that takes: the running slot, the one before it, and the same time of the days before. A run that began
/// earlier is told as of these two slots. Of what was said only categories are told apart, not phrases: each contact counts
/// once for each, and there are many contacts.
pub fn surges_of_now(grid: &Grid, now: Millis) -> String {
    let running = grid.slot(now);
    let mut spans = Vec::new();
    for slot in [grid.slot(running.start - 1), running] {
        let date = grid.date(slot.start);
        let time_of_day = slot.start - grid.day_start(date);
        spans.extend((0..=DAYS).map(|days| grid.slot(grid.day_start(date - days) + time_of_day)));
    }
    let within = |column: &str| {
        let of = |slot: &crate::time::Slot| {
            format!("{column} >= {} AND {column} < {}", instant(slot.start), instant(slot.end))
        };
        spans.iter().map(of).collect::<Vec<_>>().join(" OR ")
    };
    let part = |table: &str, columns: &str, time: &str| {
        format!("{table} AS (SELECT {columns} FROM {CATALOG}.{SCHEMA}.{table} WHERE {})", within(time))
    };
    let view = |view: &Written| format!("{} AS ({})", view.name, view.view().sql_at(now));
    let categories = "* REPLACE (regexp_replace(hits, ':[^;]*', ':', 'g') AS hits)";
    let parts = [
        part("legs", "*", "slot_start"),
        part("contacts", "*", "started_at"),
        part("messages", categories, "\"time\""),
        view(&QUEUES),
        view(&THEMES),
    ];
    format!("WITH {}", parts.join(", "))
}

const QUEUES: Written = Written {
    name: "surges",
    means: "Runs of slots of the last 31 days in which a queue and channel had far more contacts than expected: at least half as \
            many again, ten more, and five deviations (Poisson, with a tenth of the expected added for what forecasts are off \
            by). Expected is what the newest forecast made before the slot says, else the median of the same time of day on \
            those of the 28 days before on which anybody came then. The running slot counts as soon as it is beyond.",
    columns: &[
        ("start", "", "Start of the first slot."),
        ("until", "", "End of the last slot."),
        ("channel", "", "The channel."),
        ("queue", "", "The queue."),
        ("slots", "count", "Slots of the run."),
        ("contacts", "count", "Contacts that came."),
        ("expected", "count", "Contacts that were to be expected."),
        ("times", "ratio", "contacts / expected."),
        ("deviations", "", "The greatest of its slots' deviations."),
        ("lasts", "", "True while the run reaches the running slot or the one before it."),
        ("next_expected", "count", "Contacts forecast for the two slots after it; NULL without a forecast."),
        ("next_projected", "count", "Those if half of the excess goes on in the first and a quarter in the second slot; NULL without a forecast."),
        ("keywords", "", "Phrases most often found in the contacts of the run, at most five, without greetings, farewells and empathy; NULL where none were."),
    ],
    sql: "
WITH counted AS (
    SELECT slot_start, channel, queue, CAST(COUNT(*) AS DOUBLE) AS offered, slot_length_ms(slot_start) AS slot_ms,
        arrow_cast(slot_start, 'Int64') - arrow_cast(local_day(slot_start), 'Int64') AS time_of_day
    FROM legs WHERE queue IS NOT NULL AND slot_start >= {now} - INTERVAL '60 days' GROUP BY slot_start, channel, queue
), usual AS (
    SELECT c.slot_start AS of_slot, c.channel AS of_channel, c.queue AS of_queue, median(p.offered) AS expected
    FROM counted AS c JOIN counted AS p ON c.channel = p.channel AND c.queue = p.queue AND c.time_of_day = p.time_of_day
        AND p.slot_start < c.slot_start AND p.slot_start >= c.slot_start - INTERVAL '28 days'
    WHERE c.slot_start >= {now} - INTERVAL '31 days'
    GROUP BY c.slot_start, c.channel, c.queue
), told AS (
    SELECT slot_start AS told_slot, channel AS told_channel, queue AS told_queue, contacts AS told FROM (
        SELECT *, row_number() OVER (PARTITION BY slot_start, channel, queue ORDER BY made_at DESC) AS place
        FROM forecasts WHERE made_at <= slot_start
    ) AS ranked WHERE place = 1
), judged AS (
    SELECT slot_start, channel, queue, offered, slot_ms, COALESCE(told, expected) AS expected,
        (offered - COALESCE(told, expected)) / sqrt(GREATEST(COALESCE(told, expected), 1.0) + power(0.1 * COALESCE(told, expected), 2.0))
            AS deviations
    FROM counted
    LEFT JOIN usual ON slot_start = of_slot AND channel = of_channel AND queue = of_queue
    LEFT JOIN told ON slot_start = told_slot AND channel = told_channel AND queue = told_queue
    WHERE slot_start >= {now} - INTERVAL '31 days'
), high AS (
    SELECT *, slot_start + arrow_cast(slot_ms, 'Duration(Millisecond)') AS slot_end,
        LAG(slot_start + arrow_cast(slot_ms, 'Duration(Millisecond)')) OVER (PARTITION BY channel, queue ORDER BY slot_start) AS last_end
    FROM judged WHERE offered >= 1.5 * expected AND offered >= expected + 10.0 AND deviations >= 5.0
), numbered AS (
    SELECT *, SUM(CASE WHEN last_end = slot_start THEN 0 ELSE 1 END) OVER (PARTITION BY channel, queue ORDER BY slot_start) AS run
    FROM high
), runs AS (
    SELECT channel, queue, run, MIN(slot_start) AS start, MAX(slot_end) AS until, COUNT(*) AS slots, SUM(offered) AS contacts,
        SUM(expected) AS expected, MAX(deviations) AS deviations
    FROM numbered GROUP BY channel, queue, run
), ahead AS (
    SELECT r.channel AS of_channel, r.queue AS of_queue, r.run AS of_run, SUM(f.contacts) AS next_expected,
        SUM(f.contacts * (1.0 + (r.contacts / GREATEST(r.expected, 1.0) - 1.0)
            * CASE WHEN f.slot_start = r.until THEN 0.5 ELSE 0.25 END)) AS next_projected
    FROM runs AS r JOIN forecast_slot AS f ON r.channel = f.channel AND r.queue = f.queue
        AND f.slot_start >= r.until AND f.slot_start < r.until + arrow_cast(2 * slot_length_ms(r.until), 'Duration(Millisecond)')
    GROUP BY r.channel, r.queue, r.run
), phrases AS (
    SELECT r.channel AS of_channel, r.queue AS of_queue, r.run AS of_run, phrase, COUNT(*) AS times
    FROM (
        SELECT first_queue, channel AS contact_channel, slot(started_at) AS found_slot, unnest(string_to_array(keywords, ';')) AS phrase
        FROM contacts WHERE keywords IS NOT NULL AND started_at >= {now} - INTERVAL '31 days'
    ) AS found JOIN numbered AS r ON first_queue = r.queue AND contact_channel = r.channel AND found_slot = r.slot_start
    WHERE phrase <> '' AND split_part(phrase, ':', 1) NOT IN ('greeting', 'farewell', 'empathy') GROUP BY r.channel, r.queue, r.run, phrase
), often AS (
    SELECT of_channel, of_queue, of_run, string_agg(phrase, ';' ORDER BY times DESC, phrase) AS keywords
    FROM (
        SELECT *, row_number() OVER (PARTITION BY of_channel, of_queue, of_run ORDER BY times DESC, phrase) AS place FROM phrases
    ) AS ranked WHERE place <= 5 GROUP BY of_channel, of_queue, of_run
)
SELECT r.start AS start, r.until AS until, r.channel AS channel, r.queue AS queue, r.slots AS slots,
    CAST(r.contacts AS BIGINT) AS contacts, r.expected AS expected,
    CASE WHEN r.expected > 0 THEN r.contacts / r.expected END AS times, r.deviations AS deviations,
    r.until >= slot({now}) AS lasts, a.next_expected AS next_expected, a.next_projected AS next_projected, o.keywords AS keywords
FROM runs AS r
LEFT JOIN ahead AS a ON r.channel = a.of_channel AND r.queue = a.of_queue AND r.run = a.of_run
LEFT JOIN often AS o ON r.channel = o.of_channel AND r.queue = o.of_queue AND r.run = o.of_run",
};

const THEMES: Written = Written {
    name: "theme_surges",
    means: "Slots of the last 31 days in which far more contacts than expected were about one theme: a topic as the platform names \
            it (by the start of the contact), or a category or phrase of the word lists that a customer said (by the time of the \
            message). Expected is the mean of the same time of day over those of the 28 days before on which anybody came, or \
            said anything, then; a theme that nobody had is 0 of it. Far more is half as many again, five more, and five \
            deviations (Poisson, with a tenth of the expected added for what such a mean is off by). A day of history at least is \
            needed.",
    columns: &[
        ("start", "", "Start of the slot."),
        ("until", "", "Its end."),
        ("kind", "", "topic, category or phrase."),
        ("theme", "", "The topic, the category as the lexicon names it, or the phrase."),
        ("contacts", "count", "Contacts of the slot about it."),
        ("expected", "count", "Contacts about it that were to be expected."),
        ("times", "ratio", "contacts / expected; NULL where none was."),
        ("deviations", "", "(contacts - expected) / sqrt(the greater of expected and 1, + (expected / 10) squared)."),
        ("queues", "", "The first queues of these contacts, the most frequent first, at most three."),
        ("lasts", "", "True for the running slot and the one before it."),
    ],
    sql: "
WITH came AS (
    SELECT contact_id, slot(started_at) AS of_slot, first_queue, topic FROM contacts
    WHERE started_at >= {now} - INTERVAL '60 days'
), heard AS (
    SELECT DISTINCT contact_id, slot(\"time\") AS of_slot, unnest(string_to_array(concat(';', hits), ';')) AS hit FROM messages
    WHERE speaker = 'customer' AND sentiment IS NOT NULL AND \"time\" >= {now} - INTERVAL '60 days'
), themed AS (
    SELECT contact_id, of_slot, first_queue,
        unnest(CASE WHEN topic IS NULL THEN make_array('came:') ELSE make_array('came:', concat('topic:', topic)) END) AS theme
    FROM came
    UNION ALL
    SELECT DISTINCT h.contact_id, h.of_slot, first_queue,
        unnest(CASE WHEN hit = '' THEN make_array('said:') ELSE
            make_array(concat('category:', split_part(hit, ':', 1)), concat('phrase:', substr(hit, strpos(hit, ':') + 1))) END)
    FROM heard AS h LEFT JOIN came AS c ON h.contact_id = c.contact_id
), counted AS (
    SELECT of_slot, split_part(theme, ':', 1) AS kind, substr(theme, strpos(theme, ':') + 1) AS theme,
        CAST(SUM(n) AS DOUBLE) AS contacts,
        arrow_cast(of_slot, 'Int64') - arrow_cast(local_day(of_slot), 'Int64') AS time_of_day,
        array_to_string(array_slice(array_agg(first_queue ORDER BY n DESC, first_queue) FILTER (WHERE first_queue IS NOT NULL), 1, 3), ';')
            AS queues
    FROM (SELECT of_slot, theme, first_queue, COUNT(*) AS n FROM themed GROUP BY of_slot, theme, first_queue) AS by_queue
    GROUP BY of_slot, theme
), before AS (
    SELECT *, SUM(contacts) OVER earlier AS total, COUNT(*) OVER earlier AS times_open FROM counted
    WINDOW earlier AS (PARTITION BY kind, theme, time_of_day ORDER BY of_slot
        RANGE BETWEEN INTERVAL '28 days 12 hours' PRECEDING AND INTERVAL '1 second' PRECEDING)
), judged AS (
    SELECT *, COALESCE(total, 0.0) / NULLIF(MAX(CASE WHEN kind IN ('came', 'said') THEN times_open END)
        OVER (PARTITION BY of_slot, kind IN ('came', 'topic')), 0) AS expected
    FROM before
), measured AS (
    SELECT *, (contacts - expected) / sqrt(GREATEST(expected, 1.0) + power(0.1 * expected, 2.0)) AS deviations,
        of_slot + arrow_cast(slot_length_ms(of_slot), 'Duration(Millisecond)') AS slot_end
    FROM judged WHERE kind NOT IN ('came', 'said') AND of_slot >= {now} - INTERVAL '31 days'
)
SELECT of_slot AS start, slot_end AS until, kind, theme, CAST(contacts AS BIGINT) AS contacts, expected,
    CASE WHEN expected > 0 THEN contacts / expected END AS times, deviations, queues, slot_end >= slot({now}) AS lasts
FROM measured WHERE contacts >= 1.5 * expected AND contacts >= expected + 5.0 AND deviations >= 5.0",
};
