//! What was said: sentiment per hour, keywords per day.

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
WITH said AS (
    SELECT local_hour(m.time) AS hour, COALESCE(m.channel, c.channel) AS channel, COALESCE(m.queue, c.last_queue) AS queue,
        m.speaker AS speaker, m.sentiment AS score
    FROM messages AS m LEFT JOIN contacts AS c ON m.contact_id = c.contact_id
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
WITH said AS (
    SELECT local_day(m.time) AS day, m.contact_id AS contact_id, m.speaker AS speaker,
        COALESCE(m.queue, c.last_queue) AS of_queue, unnest(string_to_array(m.hits, ';')) AS hit
    FROM messages AS m LEFT JOIN contacts AS c ON m.contact_id = c.contact_id
    WHERE m.hits IS NOT NULL
)
SELECT day, split_part(hit, ':', 1) AS category, substr(hit, strpos(hit, ':') + 1) AS phrase, speaker, of_queue AS queue,
    COUNT(*) AS messages, COUNT(DISTINCT contact_id) AS contacts
FROM said GROUP BY day, hit, speaker, of_queue",
    },
];
