//! What was said: sentiment per hour, keywords per day; and the rules of service that were broken.

use super::Written;

pub(super) static VIEWS: &[Written] = &[
    Written {
        name: "sentiment_hour",
        means: "Sentiment of messages per hour of the centre's clock, channel, queue and speaker. Channel and queue are those \
                of the message, else of its contact (the last queue).",
        columns: &[
            ("hour", "", "Start of the hour."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue."),
            ("speaker", "", "customer, agent, bot or system."),
            ("messages", "count", "Messages that were read."),
            ("scored", "count", "Those that have any sentiment."),
            ("sentiment", "-1 to 1", "Mean sentiment of these."),
            ("lowest", "-1 to 1", "The lowest sentiment of a message."),
            ("negative", "ratio", "Share of the messages whose sentiment is below -0.2."),
        ],
        sql: "
WITH met AS (
    SELECT contact_id, channel, last_queue FROM contacts
    WHERE started_at <= {until hour} + INTERVAL '2 days' AND (ended_at IS NULL OR ended_at >= {since hour} - INTERVAL '7 days')
), said AS (
    SELECT local_hour(m.time) AS hour, COALESCE(m.channel, c.channel) AS channel, COALESCE(m.queue, c.last_queue) AS queue,
        m.speaker AS speaker, m.sentiment AS score
    FROM messages AS m LEFT JOIN met AS c ON m.contact_id = c.contact_id
    WHERE m.sentiment IS NOT NULL
)
SELECT hour, channel, queue, speaker, COUNT(*) AS messages, SUM(CASE WHEN score <> 0 THEN 1 ELSE 0 END) AS scored,
    AVG(CASE WHEN score <> 0 THEN score END) AS sentiment, MIN(score) AS lowest,
    CAST(SUM(CASE WHEN score < -0.2 THEN 1 ELSE 0 END) AS DOUBLE) / CAST(COUNT(*) AS DOUBLE) AS negative
FROM said GROUP BY hour, channel, queue, speaker",
    },
    Written {
        name: "keyword_day",
        means: "How often each phrase of a category was said per day of the centre, queue and speaker, and in how many contacts. \
                Queue is that of the message, else the last one of its contact.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("category", "", "The category, as the lexicon names it."),
            ("phrase", "", "The phrase."),
            ("speaker", "", "customer, agent, bot or system."),
            ("queue", "", "The queue."),
            ("messages", "count", "Messages with the phrase."),
            ("contacts", "count", "Contacts with such a message."),
        ],
        sql: "
WITH met AS (
    SELECT contact_id, last_queue FROM contacts
    WHERE started_at <= {until day} + INTERVAL '2 days' AND (ended_at IS NULL OR ended_at >= {since day} - INTERVAL '7 days')
), said AS (
    SELECT local_day(m.time) AS day, m.contact_id AS contact_id, m.speaker AS speaker,
        COALESCE(m.queue, c.last_queue) AS of_queue, unnest(string_to_array(m.hits, ';')) AS hit
    FROM messages AS m LEFT JOIN met AS c ON m.contact_id = c.contact_id
    WHERE m.hits IS NOT NULL
)
SELECT day, split_part(hit, ':', 1) AS category, substr(hit, strpos(hit, ':') + 1) AS phrase, speaker, of_queue AS queue,
    COUNT(*) AS messages, COUNT(DISTINCT contact_id) AS contacts
FROM said GROUP BY day, hit, speaker, of_queue",
    },
    Written {
        name: "findings",
        means: "Rules of service that were broken, each with its place in the transcript: those of `contact_findings`, promises \
                that were not kept by their due time, and complaints that nobody called back about by 17:00 of the next day \
                (complaint_deadlines). Join `messages` by contact_id and message_id for the words.",
        columns: &[
            ("contact_id", "", "The contact; NULL where a promise or complaint names none."),
            ("finding", "", "1 for the first of the contact; NULL for promises and complaints."),
            ("rule", "", "forbidden_phrase, internal_information, urging_hang_up, repeated_question, left_waiting, no_greeting, no_farewell, agent_hung_up, handed_to_ivr, promise_broken or complaint_late."),
            ("time", "", "When it was broken; of promises and complaints the time by which they were due."),
            ("channel", "", "The channel of the contact."),
            ("queue", "", "The queue of the talk, else of the promise, complaint or their contact."),
            ("department", "", "The department."),
            ("agent_id", "", "The agent."),
            ("customer_id", "", "The customer."),
            ("message_id", "", "The message that is the place, as `messages.id`; NULL where none is."),
            ("speaker", "", "Who said it."),
            ("category", "", "The category of the phrase; of a complaint what it is about."),
            ("phrase", "", "The phrase, as the word list writes it."),
            ("start", "byte", "First byte of the phrase in the message's text."),
            ("end", "byte", "First byte behind it."),
            ("lasted_ms", "ms", "How long the customer was left waiting, or how long after the first time a question was put again."),
            ("dossier", "", "The promise or complaint; NULL for those of contacts."),
        ],
        sql: "
SELECT contact_id, finding, rule, \"time\", channel, queue, department, agent_id, customer_id, message_id, speaker, category,
    phrase, \"start\", \"end\", lasted_ms, CAST(NULL AS VARCHAR) AS dossier
FROM contact_findings
UNION ALL
SELECT p.contact_id, CAST(NULL AS BIGINT), 'promise_broken', p.due, c.channel, COALESCE(p.queue, c.last_queue), c.department,
    p.agent_id, p.customer_id, CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR),
    CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), p.promise_id
FROM promises AS p LEFT JOIN contacts AS c ON p.contact_id = c.contact_id
WHERE p.due < {now} AND (p.kept_at IS NULL OR p.kept_at > p.due)
UNION ALL
SELECT d.contact_id, CAST(NULL AS BIGINT), 'complaint_late', d.deadline_at, c.channel, COALESCE(d.queue, c.last_queue),
    COALESCE(d.department, c.department), d.agent_id, d.customer_id, CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR), d.category,
    CAST(NULL AS VARCHAR), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), d.complaint_id
FROM complaint_deadlines AS d LEFT JOIN contacts AS c ON d.contact_id = c.contact_id
WHERE d.in_time = false AND d.deadline_at < {now}",
    },
];
