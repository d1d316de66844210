//! What customers met with: self-service, surveys, complaints, and having to come back.

use super::Written;

pub(super) const VIEWS: &[Written] = &[
    Written {
        name: "bot_day",
        means: "Self-service per day of the contact's start and channel.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("channel", "", "The channel."),
            ("bot_contacts", "count", "Contacts whose self-service has ended."),
            ("contained", "count", "Contacts that self-service settled."),
            ("handover", "count", "Contacts that self-service passed on."),
            ("abandoned", "count", "Contacts whose customer left during self-service."),
            ("returned_24h", "count", "Contained contacts whose customer came back within 24 hours; a call by the centre is no return."),
            ("containment_rate", "ratio", "contained / bot_contacts."),
            ("net_containment_rate", "ratio", "(contained - returned_24h) / bot_contacts."),
        ],
        sql: "
WITH following AS (
    SELECT started_at, channel, bot_outcome,
        customer_id IS NOT NULL AND LEAD(started_at) OVER (PARTITION BY customer_id ORDER BY started_at, contact_id)
            <= started_at + INTERVAL '24 hours' AS returned
    FROM contacts WHERE (direction IS NULL OR direction NOT IN ('outbound', 'callback') OR bot_outcome IS NOT NULL)
        AND started_at >= {since day} AND started_at <= {until day} + INTERVAL '3 days'
), days AS (
    SELECT local_day(started_at) AS day, channel, COUNT(*) AS bot_contacts,
        SUM(CASE WHEN bot_outcome = 'contained' THEN 1 ELSE 0 END) AS contained,
        SUM(CASE WHEN bot_outcome = 'handover' THEN 1 ELSE 0 END) AS handover,
        SUM(CASE WHEN bot_outcome = 'abandoned' THEN 1 ELSE 0 END) AS abandoned,
        SUM(CASE WHEN bot_outcome = 'contained' AND returned THEN 1 ELSE 0 END) AS returned_24h
    FROM following WHERE bot_outcome IS NOT NULL GROUP BY local_day(started_at), channel
)
SELECT *, CAST(contained AS DOUBLE) / CAST(bot_contacts AS DOUBLE) AS containment_rate,
    CAST(contained - returned_24h AS DOUBLE) / CAST(bot_contacts AS DOUBLE) AS net_containment_rate
FROM days",
    },
    Written {
        name: "survey_day",
        means: "Surveys per day of the answer, channel and queue (those of the contact, where the survey names none). \
                The response rate is by the day on which the contact ended.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("channel", "", "The channel."),
            ("queue", "", "The queue; for contacts, the last one."),
            ("responses", "count", "Surveys answered on this day."),
            ("csat", "ratio", "Share of 4 and 5 among the answers 1 to 5."),
            ("csat_n", "count", "Answers behind csat."),
            ("nps", "", "Percent of 9 and 10 minus percent of 0 to 6, -100 to 100."),
            ("nps_n", "count", "Answers behind nps."),
            ("ces", "", "Mean of the answers 1 to 7."),
            ("ces_n", "count", "Answers behind ces."),
            ("resolved_rate", "ratio", "Share of customers who say that the matter is resolved, of those who say either."),
            ("resolved_n", "count", "Answers behind resolved_rate."),
            ("contacts", "count", "Contacts that ended on this day."),
            ("contacts_answering", "count", "Those of them with a survey, whenever it was answered."),
            ("response_rate", "ratio", "contacts_answering / contacts."),
        ],
        sql: "
WITH answers AS (
    SELECT local_day(s.\"time\") AS day, COALESCE(s.channel, c.channel) AS channel, COALESCE(s.queue, c.last_queue) AS queue,
        s.csat AS csat, s.nps AS nps, s.ces AS ces, s.resolved AS resolved
    FROM surveys AS s LEFT JOIN contacts AS c ON s.contact_id = c.contact_id
), ended AS (
    SELECT local_day(c.ended_at) AS day, c.channel AS channel, c.last_queue AS queue, answered_by.contact_id AS answering
    FROM contacts AS c
    LEFT JOIN (SELECT DISTINCT contact_id FROM surveys) AS answered_by ON c.contact_id = answered_by.contact_id
    WHERE c.ended_at IS NOT NULL
), parts AS (
    SELECT day, channel, queue, COUNT(*) AS responses, SUM(CASE WHEN csat >= 4 THEN 1 ELSE 0 END) AS satisfied,
        COUNT(csat) AS csat_n, SUM(CASE WHEN nps >= 9 THEN 1 WHEN nps <= 6 THEN -1 ELSE 0 END) AS net,
        COUNT(nps) AS nps_n, COALESCE(SUM(ces), 0) AS ces_sum, COUNT(ces) AS ces_n,
        SUM(CASE WHEN resolved THEN 1 ELSE 0 END) AS resolved_sum, COUNT(resolved) AS resolved_n,
        0 AS contacts, 0 AS contacts_answering
    FROM answers GROUP BY day, channel, queue
    UNION ALL
    SELECT day, channel, queue, 0, 0, 0, 0, 0, 0, 0, 0, 0, COUNT(*), COUNT(answering) FROM ended GROUP BY day, channel, queue
), sums AS (
    SELECT day, channel, queue, SUM(responses) AS responses, SUM(satisfied) AS satisfied, SUM(csat_n) AS csat_n,
        SUM(net) AS net, SUM(nps_n) AS nps_n, SUM(ces_sum) AS ces_sum, SUM(ces_n) AS ces_n,
        SUM(resolved_sum) AS resolved_sum, SUM(resolved_n) AS resolved_n, SUM(contacts) AS contacts,
        SUM(contacts_answering) AS contacts_answering
    FROM parts GROUP BY day, channel, queue
)
SELECT day, channel, queue, responses,
    CASE WHEN csat_n > 0 THEN CAST(satisfied AS DOUBLE) / CAST(csat_n AS DOUBLE) END AS csat, csat_n,
    CASE WHEN nps_n > 0 THEN CAST(net * 100 AS DOUBLE) / CAST(nps_n AS DOUBLE) END AS nps, nps_n,
    CASE WHEN ces_n > 0 THEN CAST(ces_sum AS DOUBLE) / CAST(ces_n AS DOUBLE) END AS ces, ces_n,
    CASE WHEN resolved_n > 0 THEN CAST(resolved_sum AS DOUBLE) / CAST(resolved_n AS DOUBLE) END AS resolved_rate, resolved_n,
    contacts, contacts_answering,
    CASE WHEN contacts > 0 THEN CAST(contacts_answering AS DOUBLE) / CAST(contacts AS DOUBLE) END AS response_rate
FROM sums",
    },
    Written {
        name: "complaint_deadlines",
        means: "Each complaint with its deadline: the team lead calls back before 17:00 of the next day (of the next working day where quality.call_back_by says so), by the centre's clock.",
        columns: &[
            ("complaint_id", "", "The complaint."),
            ("contact_id", "", "The contact it came from, where known."),
            ("customer_id", "", "The customer."),
            ("agent_id", "", "The agent concerned."),
            ("queue", "", "The queue, where an event names one."),
            ("department", "", "The department, where an event names one."),
            ("category", "", "What it is about."),
            ("severity", "", "How bad it is, 1 to 4."),
            ("status", "", "open, contacted, resolved, closed, reopened or withdrawn."),
            ("opened_at", "", "When it was opened."),
            ("deadline_at", "", "17:00 of the next day, or of the next working day."),
            ("contacted_at", "", "When the customer was first contacted about it."),
            ("in_time", "", "True: contacted by the deadline. False: not. NULL: the deadline is yet to come, or it was withdrawn before."),
            ("overdue", "", "True while nobody has contacted the customer, the deadline has passed and the complaint stands."),
            ("seconds_left", "s", "Time to the deadline, negative after it; NULL once contacted or withdrawn."),
        ],
        sql: "
WITH due AS (
    SELECT *, call_back_deadline(opened_at) AS deadline_at FROM complaints WHERE opened_at IS NOT NULL
)
SELECT complaint_id, contact_id, customer_id, agent_id, queue, department, category, severity, status, opened_at,
    deadline_at, contacted_at,
    CASE WHEN contacted_at <= deadline_at THEN true WHEN withdrawn_at <= deadline_at THEN NULL
        WHEN contacted_at IS NOT NULL OR deadline_at < {now} THEN false END AS in_time,
    contacted_at IS NULL AND withdrawn_at IS NULL AND closed_at IS NULL AND deadline_at < {now} AS overdue,
    CASE WHEN contacted_at IS NULL AND withdrawn_at IS NULL
        THEN CAST(arrow_cast(deadline_at, 'Int64') - arrow_cast({now}, 'Int64') AS DOUBLE) / 1000000.0 END AS seconds_left
FROM due",
    },
    Written {
        name: "complaint_day",
        means: "Complaints per day of their opening and department, against the contacts that began on that day.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("department", "", "The department: of a complaint, as its events or else its contact name it."),
            ("complaints", "count", "Complaints opened."),
            ("contacted_in_time", "count", "Those whose customer was contacted by the deadline."),
            ("decided", "count", "Those whose deadline has passed or was kept (withdrawn ones left out)."),
            ("in_time_rate", "ratio", "contacted_in_time / decided."),
            ("resolved", "count", "Those with a verdict."),
            ("closed", "count", "Those closed."),
            ("reopened", "count", "Those taken up again."),
            ("withdrawn", "count", "Those taken back."),
            ("upheld", "count", "Those that were right."),
            ("contacts", "count", "Contacts that began on this day."),
            ("complaint_rate", "ratio", "complaints / contacts."),
            ("rejected", "count", "Those that were not right."),
            ("pacified", "count", "Those that were settled whoever was right."),
            ("repeated", "count", "Those of a customer who had complained within the 30 days before."),
        ],
        sql: "
WITH opened AS (
    SELECT local_day(d.opened_at) AS day, COALESCE(d.department, c.department) AS department, d.in_time AS in_time,
        k.resolved_at AS resolved_at, k.closed_at AS closed_at, k.reopened AS reopened, k.withdrawn_at AS withdrawn_at,
        k.verdict AS verdict,
        COALESCE(k.customer_id, c.customer_id) IS NOT NULL AND LAG(d.opened_at) OVER (
            PARTITION BY COALESCE(k.customer_id, c.customer_id) ORDER BY d.opened_at, d.complaint_id
        ) >= d.opened_at - INTERVAL '30 days' AS repeated
    FROM complaint_deadlines AS d JOIN complaints AS k ON d.complaint_id = k.complaint_id
    LEFT JOIN contacts AS c ON d.contact_id = c.contact_id
), parts AS (
    SELECT day, department, COUNT(*) AS complaints, SUM(CASE WHEN in_time THEN 1 ELSE 0 END) AS contacted_in_time,
        COUNT(in_time) AS decided, COUNT(resolved_at) AS resolved, COUNT(closed_at) AS closed,
        SUM(CASE WHEN reopened > 0 THEN 1 ELSE 0 END) AS reopened, COUNT(withdrawn_at) AS withdrawn,
        SUM(CASE WHEN verdict = 'upheld' THEN 1 ELSE 0 END) AS upheld,
        SUM(CASE WHEN verdict = 'rejected' THEN 1 ELSE 0 END) AS rejected,
        SUM(CASE WHEN verdict = 'pacified' THEN 1 ELSE 0 END) AS pacified,
        SUM(CASE WHEN repeated THEN 1 ELSE 0 END) AS repeated, 0 AS contacts
    FROM opened GROUP BY day, department
    UNION ALL
    SELECT local_day(started_at), department, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, COUNT(*)
    FROM contacts GROUP BY local_day(started_at), department
), sums AS (
    SELECT day, department, SUM(complaints) AS complaints, SUM(contacted_in_time) AS contacted_in_time,
        SUM(decided) AS decided, SUM(resolved) AS resolved, SUM(closed) AS closed, SUM(reopened) AS reopened,
        SUM(withdrawn) AS withdrawn, SUM(upheld) AS upheld, SUM(rejected) AS rejected, SUM(pacified) AS pacified,
        SUM(repeated) AS repeated, SUM(contacts) AS contacts
    FROM parts GROUP BY day, department
)
SELECT day, department, complaints, contacted_in_time, decided,
    CASE WHEN decided > 0 THEN CAST(contacted_in_time AS DOUBLE) / CAST(decided AS DOUBLE) END AS in_time_rate,
    resolved, closed, reopened, withdrawn, upheld, contacts,
    CASE WHEN contacts > 0 THEN CAST(complaints AS DOUBLE) / CAST(contacts AS DOUBLE) END AS complaint_rate,
    rejected, pacified, repeated
FROM sums",
    },
    Written {
        name: "repeat_contacts",
        means: "Contacts with which a customer came back within 30 days about the same topic (an unknown topic is like any). \
                Outbound contacts and call backs are no repeats; a short abandon that is followed within 10 minutes is one need \
                with what follows.",
        columns: &[
            ("contact_id", "", "The contact with which the customer came back."),
            ("customer_id", "", "The customer."),
            ("channel", "", "Its channel."),
            ("queue", "", "Its first queue."),
            ("topic", "", "Its topic."),
            ("started_at", "", "Its start."),
            ("previous_at", "", "Start of the contact before it."),
            ("gap_seconds", "s", "Time between the two starts."),
            ("previous_7d", "count", "Contacts of the customer about it within 7 days before."),
            ("previous_30d", "count", "Contacts of the customer about it within 30 days before."),
        ],
        sql: "
WITH came AS (
    SELECT contact_id, customer_id, channel, first_queue, topic, started_at, outcome FROM contacts
    WHERE customer_id IS NOT NULL AND (direction IS NULL OR direction NOT IN ('outbound', 'callback'))
        AND started_at >= {since started_at} - INTERVAL '30 days' AND started_at <= {until started_at} + INTERVAL '10 minutes'
), needs AS (
    SELECT * FROM came WHERE outcome IS DISTINCT FROM 'abandoned_short'
    UNION ALL
    SELECT * FROM came AS short WHERE outcome = 'abandoned_short' AND NOT EXISTS (
        SELECT 1 FROM came AS next WHERE next.customer_id = short.customer_id AND next.started_at <= short.started_at + INTERVAL '10 minutes'
            AND (next.started_at > short.started_at OR next.started_at = short.started_at AND next.contact_id > short.contact_id)
    )
)
SELECT later.contact_id AS contact_id, later.customer_id AS customer_id, later.channel AS channel,
    later.first_queue AS queue, later.topic AS topic, later.started_at AS started_at,
    MAX(earlier.started_at) AS previous_at,
    CAST(arrow_cast(later.started_at, 'Int64') - arrow_cast(MAX(earlier.started_at), 'Int64') AS DOUBLE) / 1000000.0
        AS gap_seconds,
    SUM(CASE WHEN later.started_at <= earlier.started_at + INTERVAL '7 days' THEN 1 ELSE 0 END) AS previous_7d,
    COUNT(*) AS previous_30d
FROM needs AS later JOIN needs AS earlier ON later.customer_id = earlier.customer_id
    AND earlier.started_at < later.started_at AND later.started_at <= earlier.started_at + INTERVAL '30 days'
    AND (later.topic = earlier.topic OR later.topic IS NULL OR earlier.topic IS NULL)
GROUP BY later.contact_id, later.customer_id, later.channel, later.first_queue, later.topic, later.started_at",
    },
    Written {
        name: "fcr_day",
        means: "First-contact resolution per day of the contact's start, channel and first queue: of the contacts of known \
                customers that an agent answered, those without a further contact within 7 days (see repeat_contacts); also \
                within 1 and 30 days. Provisional until maturity is 1.",
        columns: &[
            ("day", "", "Start of the centre's day."),
            ("channel", "", "The channel."),
            ("queue", "", "The first queue."),
            ("contacts", "count", "Answered contacts of known customers."),
            ("repeated", "count", "Those whose customer came back within 7 days."),
            ("fcr", "ratio", "1 - repeated / contacts."),
            ("maturity", "ratio", "Share of the contacts whose 7 days are over."),
            ("survey_fcr", "ratio", "Share of customers who say in a survey that the matter is resolved."),
            ("survey_n", "count", "Answers behind survey_fcr."),
            ("fcr_1d", "ratio", "As fcr, within 1 day."),
            ("maturity_1d", "ratio", "Share of the contacts whose day is over."),
            ("fcr_30d", "ratio", "As fcr, within 30 days."),
            ("maturity_30d", "ratio", "Share of the contacts whose 30 days are over."),
        ],
        sql: "
WITH came AS (
    SELECT contact_id, customer_id, channel, first_queue, topic, started_at, outcome FROM contacts
    WHERE customer_id IS NOT NULL AND (direction IS NULL OR direction NOT IN ('outbound', 'callback'))
        AND started_at >= {since day} AND started_at <= {until day} + INTERVAL '32 days'
), needs AS (
    SELECT customer_id AS later_customer, topic AS later_topic, started_at AS later_at FROM came
    WHERE outcome IS DISTINCT FROM 'abandoned_short'
    UNION ALL
    SELECT customer_id, topic, started_at FROM came AS short WHERE outcome = 'abandoned_short' AND NOT EXISTS (
        SELECT 1 FROM came AS next WHERE next.customer_id = short.customer_id AND next.started_at <= short.started_at + INTERVAL '10 minutes'
            AND (next.started_at > short.started_at OR next.started_at = short.started_at AND next.contact_id > short.contact_id)
    )
), first_contacts AS (
    SELECT contact_id, customer_id, channel, first_queue, topic, started_at FROM came
    WHERE outcome = 'answered' AND started_at <= {until day} + INTERVAL '2 days'
), followed AS (
    SELECT contact_id, started_at, channel, first_queue, MIN(later_at) AS again_at
    FROM first_contacts LEFT JOIN needs ON customer_id = later_customer
        AND later_at > started_at AND later_at <= started_at + INTERVAL '30 days'
        AND (topic = later_topic OR topic IS NULL OR later_topic IS NULL)
    GROUP BY contact_id, started_at, channel, first_queue
), said AS (
    SELECT contact_id AS said_contact, COUNT(resolved) AS said_n, SUM(CASE WHEN resolved THEN 1 ELSE 0 END) AS said_yes
    FROM surveys GROUP BY contact_id
), days AS (
    SELECT local_day(started_at) AS day, channel, first_queue AS queue, COUNT(*) AS contacts,
        SUM(CASE WHEN again_at <= started_at + INTERVAL '7 days' THEN 1 ELSE 0 END) AS repeated,
        SUM(CASE WHEN again_at <= started_at + INTERVAL '1 day' THEN 1 ELSE 0 END) AS repeated_1d,
        COUNT(again_at) AS repeated_30d,
        SUM(CASE WHEN started_at + INTERVAL '7 days' <= {now} THEN 1 ELSE 0 END) AS mature,
        SUM(CASE WHEN started_at + INTERVAL '1 day' <= {now} THEN 1 ELSE 0 END) AS mature_1d,
        SUM(CASE WHEN started_at + INTERVAL '30 days' <= {now} THEN 1 ELSE 0 END) AS mature_30d,
        COALESCE(SUM(said_n), 0) AS survey_n, COALESCE(SUM(said_yes), 0) AS survey_yes
    FROM followed LEFT JOIN said ON contact_id = said_contact
    GROUP BY local_day(started_at), channel, first_queue
)
SELECT day, channel, queue, contacts, repeated,
    CAST(contacts - repeated AS DOUBLE) / CAST(contacts AS DOUBLE) AS fcr,
    CAST(mature AS DOUBLE) / CAST(contacts AS DOUBLE) AS maturity,
    CASE WHEN survey_n > 0 THEN CAST(survey_yes AS DOUBLE) / CAST(survey_n AS DOUBLE) END AS survey_fcr, survey_n,
    CAST(contacts - repeated_1d AS DOUBLE) / CAST(contacts AS DOUBLE) AS fcr_1d,
    CAST(mature_1d AS DOUBLE) / CAST(contacts AS DOUBLE) AS maturity_1d,
    CAST(contacts - repeated_30d AS DOUBLE) / CAST(contacts AS DOUBLE) AS fcr_30d,
    CAST(mature_30d AS DOUBLE) / CAST(contacts AS DOUBLE) AS maturity_30d
FROM days",
    },
];
