"""Voice of the customer: sentiment, keywords, complaints, surveys, resolution, self-service, from SQL."""

from .sql import *


def board():
    by = among("queue", "channel")
    queue = among("queue")
    department = among("department")
    said = f"FROM sentiment_hour WHERE $__timeFilter(hour) AND {by}"
    words = f"FROM keyword_day WHERE $__timeFilter(day) AND {queue}"
    surveys = f"FROM survey_day WHERE $__timeFilter(day) AND {by}"
    complaints = f"FROM complaint_day WHERE $__timeFilter(day) AND {department}"
    fcr = f"FROM fcr_day WHERE $__timeFilter(day) AND {by}"
    csat = "SUM(csat * csat_n) / NULLIF(SUM(csat_n), 0)"
    nps = "SUM(nps * nps_n) / NULLIF(SUM(nps_n), 0)"
    ces = "SUM(ces * ces_n) / NULLIF(SUM(ces_n), 0)"
    sentiment = "SUM(sentiment * scored) / NULLIF(SUM(scored), 0)"
    day = " Of the days that begin in the chosen time."
    cells = {
        "contact_id": (None, None, CONTACT),
        "queue": (None, None, QUEUE_CELL),
        "last_queue": (None, None, QUEUE_CELL),
        "agent_id": (None, None, AGENT_CELL),
        "last_agent": (None, None, AGENT_CELL),
        "time": ("dateTimeAsLocal", None, None),
        "started_at": ("dateTimeAsLocal", None, None),
        "opened_at": ("dateTimeAsLocal", None, None),
        "deadline_at": ("dateTimeAsLocal", None, None),
        "last_contact_at": ("dateTimeAsLocal", None, None),
        "start": ("dateTimeAsLocal", None, None),
        "until": ("dateTimeAsLocal", None, None),
        "seconds_left": ("dtdurations", [(None, GREY), (-1e9, RED), (0, ORANGE), (14400, GREEN)], None),
        "sentiment_customer": ("none", feeling(), None),
        "sentiment_lowest": ("none", feeling(), None),
        "severity": ("none", [(None, GREY), (1, GREEN), (3, ORANGE), (4, RED)], None),
    }
    mood = {"min": -1, "max": 1, "decimals": 2}
    return dashboard(
        "callpulse-voice-of-the-customer",
        "callpulse: voice of the customer",
        "What customers say and feel: sentiment, keywords, complaints, surveys, whether it was solved; down to the contact.",
        QUEUE_VARIABLES,
        [("Queues and slots", "callpulse-queues-and-slots", "Waiting and service behind it"),
         ("Agents", "callpulse-agents", "Who had the hard contacts")],
        [
            (4, [
                (4, stat("Customers' sentiment", "Mean sentiment of the customers' messages that have any, from -1 to 1.",
                         "none", f"SELECT {sentiment} AS sentiment {said} AND speaker = 'customer'", feeling(),
                         "nothing said", **mood)),
                (4, stat("Negative messages", "Share of the customers' messages with a sentiment below -0.2.", "percentunit",
                         f"SELECT SUM(negative * messages) / NULLIF(SUM(messages), 0) AS negative {said}"
                         " AND speaker = 'customer'", rising(0.1, 0.2), "nothing said", **SHARE)),
                (4, stat("CSAT", "Share of 4 and 5 among the answers 1 to 5, by the day of the answer." + day, "percentunit",
                         f"SELECT {csat} AS csat {surveys}", HIGH_IS_GOOD, "no answer", **SHARE)),
                (4, stat("NPS", "Percent of 9 and 10 minus percent of 0 to 6, -100 to 100." + day, "none",
                         f"SELECT {nps} AS nps {surveys}", [(None, GREY), (-100, RED), (0, ORANGE), (30, GREEN)],
                         "no answer", decimals=0)),
                (4, stat("Solved at the first contact", "Of the contacts of known customers that an agent answered, those"
                         " without a further one within 7 days. Provisional until these are over." + day, "percentunit",
                         f"SELECT 1.0 - CAST(SUM(repeated) AS DOUBLE) / NULLIF(SUM(contacts), 0) AS fcr {fcr}",
                         HIGH_IS_GOOD, "no contact", **SHARE)),
                (4, stat("Complaints overdue", "Complaints whose customer nobody has called back though the deadline (17:00 of"
                         " the next day) has passed; all time.", "short", f"""
                    SELECT SUM(CASE WHEN overdue THEN 1 ELSE 0 END) AS overdue FROM complaint_deadlines
                    WHERE {department}""", ANY_IS_BAD, "no complaint")),
            ]),
            (8, [
                (12, lines("Sentiment by speaker", "Mean sentiment an hour of the messages that have any, from -1 to 1, of"
                           " customers and agents.", "none", f"""
                    SELECT hour AS time, speaker, {sentiment} AS sentiment {said} AND speaker IN ('customer', 'agent')
                    GROUP BY hour, speaker ORDER BY 1, 2""", none="nothing said", **mood)),
                (12, lines("Customers' sentiment by queue", "Mean sentiment an hour of the customers' messages that have any.",
                           "none", f"""
                    SELECT hour AS time, queue, {sentiment} AS sentiment {said} AND speaker = 'customer'
                    GROUP BY hour, queue ORDER BY 1, 2""", none="nothing said", **mood)),
            ]),
            (9, [
                (12, bars("What customers say, by category", "Customers' messages with a phrase of each category of the"
                          " lexicons, most frequent first." + day, "short", f"""
                    SELECT category, SUM(messages) AS messages {words} AND speaker = 'customer'
                    GROUP BY category ORDER BY messages DESC, category LIMIT 20""", none="nothing found", min=0)),
                (12, table("Phrases", "Phrases of the lexicons by how often they were said, and in how many contacts of a day,"
                           " most frequent first, at most 100." + day, f"""
                    SELECT category, phrase, speaker, SUM(messages) AS messages, SUM(contacts) AS contacts {words}
                    GROUP BY category, phrase, speaker ORDER BY messages DESC, category, phrase, speaker LIMIT 100""", {},
                           none="nothing found")),
            ]),
            (8, [
                (12, lines("Satisfaction by day", "CSAT: share of 4 and 5. Resolved: share of customers who say that the matter"
                           " is resolved. Response rate: contacts with a survey / contacts that ended on the day.",
                           "percentunit", f"""
                    SELECT day AS time, {csat} AS "CSAT",
                        SUM(resolved_rate * resolved_n) / NULLIF(SUM(resolved_n), 0) AS resolved,
                        CAST(SUM(contacts_answering) AS DOUBLE) / NULLIF(SUM(contacts), 0) AS "response rate"
                    {surveys} GROUP BY day ORDER BY 1""", none="no answer", **SHARE)),
                (12, table("Surveys by queue", "CSAT, NPS (-100 to 100), CES (mean of 1 to 7), each with its answers: a handful"
                           " says little." + day, f"""
                    SELECT queue, channel, SUM(responses) AS responses, {csat} AS csat, SUM(csat_n) AS csat_n, {nps} AS nps,
                        SUM(nps_n) AS nps_n, {ces} AS ces, SUM(ces_n) AS ces_n {surveys}
                    GROUP BY queue, channel ORDER BY queue, channel""",
                           {**cells, "csat": ("percentunit", HIGH_IS_GOOD, None)})),
            ]),
            (8, [
                (12, lines("Complaints by day", "Complaints by the day of their opening: all, those that were right, and those"
                           " taken up again.", "short", f"""
                    SELECT day AS time, SUM(complaints) AS complaints, SUM(upheld) AS upheld, SUM(reopened) AS reopened
                    {complaints} GROUP BY day ORDER BY 1""", none="no complaint", bars=True, min=0)),
                (12, lines("Complaint rate, answered in time, by day", "Complaints / contacts that began on the day, and"
                           " complaints whose customer was called back before 17:00 of the next day / complaints decided.",
                           "percentunit", f"""
                    SELECT day AS time, CAST(SUM(complaints) AS DOUBLE) / NULLIF(SUM(contacts), 0) AS "complaint rate",
                        CAST(SUM(contacted_in_time) AS DOUBLE) / NULLIF(SUM(decided), 0) AS "called back in time"
                    {complaints} GROUP BY day ORDER BY 1""", none="no complaint", **SHARE)),
            ]),
            (9, [
                (24, table("Complaints that need a call", "Complaints whose customer has not been contacted yet, by their"
                           " deadline, at most 100; all time. The contact leads to its timeline.", f"""
                    SELECT complaint_id, contact_id, department, agent_id, category, severity, status, opened_at, deadline_at,
                        seconds_left FROM complaint_deadlines
                    WHERE contacted_at IS NULL AND status <> 'withdrawn' AND {department}
                    ORDER BY deadline_at, complaint_id LIMIT 100""", cells, none="none")),
            ]),
            (8, [
                (12, lines("Solved at the first contact, by day", "First-contact resolution by the day of the contact, with its"
                           " maturity: the share of contacts whose 7 days are over.", "percentunit", f"""
                    SELECT day AS time, 1.0 - CAST(SUM(repeated) AS DOUBLE) / NULLIF(SUM(contacts), 0) AS "no further contact",
                        SUM(survey_fcr * survey_n) / NULLIF(SUM(survey_n), 0) AS "by survey",
                        SUM(maturity * contacts) / NULLIF(SUM(contacts), 0) AS maturity {fcr} GROUP BY day ORDER BY 1""",
                           none="no contact", **SHARE)),
                (12, lines("Self-service, by day", "Share of the self-service contacts that it settled, and net of customers"
                           " who came back within 24 hours.", "percentunit", f"""
                    SELECT day AS time, CAST(SUM(contained) AS DOUBLE) / NULLIF(SUM(bot_contacts), 0) AS contained,
                        CAST(SUM(contained - returned_24h) AS DOUBLE) / NULLIF(SUM(bot_contacts), 0) AS "net of returns"
                    FROM bot_day WHERE $__timeFilter(day) AND {among('channel')} GROUP BY day ORDER BY 1""",
                           none="no self-service", **SHARE)),
            ]),
            (9, [
                (12, table("Rushes", "Runs of slots with far more contacts than expected, and what was said in them.", f"""
                    SELECT start, until, queue, channel, contacts, expected, times, lasts, keywords FROM surges
                    WHERE $__timeFilter(start) AND {by} ORDER BY start DESC, queue, channel LIMIT 50""", cells,
                           none="no rush")),
                (12, table("Customers who may leave", "Customers by what they went through in the last 90 days, with reasons;"
                           " compare the points, do not add them. At most 50.", """
                    SELECT customer_id, tier, risk, reasons, contacts, last_contact_at FROM churn_risk
                    ORDER BY risk DESC, customer_id LIMIT 50""", cells, none="none")),
            ]),
            (9, [
                (24, table("Contacts with the lowest sentiment", "Contacts that began in the chosen time, by the lowest"
                           " sentiment of a message, at most 100. The contact leads to its timeline.", f"""
                    SELECT started_at, contact_id, channel, last_queue, last_agent, sentiment_customer, sentiment_lowest,
                        keywords, outcome FROM contacts
                    WHERE sentiment_lowest IS NOT NULL AND $__timeFilter(started_at)
                        AND {among('channel', 'department', queue='last_queue')}
                    ORDER BY sentiment_lowest, contact_id LIMIT 100""", cells, none="nothing said")),
            ]),
        ],
        "5m",
        "now-7d",
    )
