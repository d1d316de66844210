"""Trends: day, week, month, year on year, from SQL."""

from .sql import *


def board():
    def of(view, also=""):
        return f"FROM {view} WHERE $__timeFilter(slot_start) AND {ALL_THREE}{also}"

    days = of("kpi_day")
    figures = (f"SUM(offered) AS offered, SUM(answered) AS answered, {ANSWER_RATE} AS answer_rate, {SERVICE_LEVEL} AS"
               f" service_level, {ABANDON_RATE} AS abandon_rate, {ASA} AS asa_seconds, {AHT} AS aht_seconds")
    # The Monday of a day: 1970-01-05 was one. Local midnights lie up to half a day around that of UTC, hence the rounding.
    week = ("local_clock(slot_start, -CAST((CAST(round(date_part('epoch', slot_start) / 86400.0) AS BIGINT) + 3) % 7"
            " AS BIGINT), 0)")
    cells = {
        "week": ("dateTimeAsLocal", None, None),
        "month": ("dateTimeAsLocal", None, None),
        "answer_rate": ("percentunit", HIGH_IS_GOOD, None),
        "service_level": ("percentunit", HIGH_IS_GOOD, None),
        "abandon_rate": ("percentunit", rising(0.05, 0.1), None),
        "asa_seconds": ("s", None, None),
        "aht_seconds": ("s", None, None),
        "offered_change": ("percentunit", None, None),
        "answer_rate_change": ("percentunit", None, None),
        "queue": (None, None, QUEUE_CELL),
    }
    year_before = f"""
        WITH own AS (SELECT slot_start, offered, answered, abandoned, abandoned_short, waiting, waiting_late, answered_in_time
            FROM kpi_month WHERE {ALL_THREE}),
        months AS (SELECT slot_start AS month, SUM(offered) AS offered, {ANSWER_RATE} AS answer_rate,
            {SERVICE_LEVEL} AS service_level FROM own GROUP BY slot_start),
        before AS (SELECT local_month(local_clock(month, 380, 0)) AS of_month, offered AS offered_before,
            answer_rate AS answer_rate_before FROM months)
        SELECT month, offered, offered_before,
            CAST(offered - offered_before AS DOUBLE) / NULLIF(offered_before, 0) AS offered_change, answer_rate,
            answer_rate_before, answer_rate - answer_rate_before AS answer_rate_change, service_level
        FROM months LEFT JOIN before ON month = of_month WHERE $__timeFilter(month) ORDER BY month DESC"""
    return dashboard(
        "callpulse-trends",
        "callpulse: trends",
        "Days, weeks, months and the same time of the year before.",
        QUEUE_VARIABLES,
        [("Queues and slots", "callpulse-queues-and-slots", "Slots of a day"),
         ("Voice of the customer", "callpulse-voice-of-the-customer", "What customers say")],
        [
            (8, [
                (12, lines("Offered and answered, by day", means("offered"), "short", f"""
                    SELECT slot_start AS time, SUM(offered) AS offered, SUM(answered) AS answered {days}
                    GROUP BY slot_start ORDER BY 1""", none="no traffic", min=0)),
                (12, lines("Answer rate, service level, abandon rate, by day",
                           means("answer_rate", "service_level", "abandon_rate"), "percentunit", f"""
                    SELECT slot_start AS time, {ANSWER_RATE} AS "answer rate", {SERVICE_LEVEL} AS "service level",
                        {ABANDON_RATE} AS "abandon rate" {days} GROUP BY slot_start ORDER BY 1""", HIGH_IS_GOOD,
                           "no traffic", **SHARE)),
            ]),
            (8, [
                (12, lines("ASA and AHT, by day", means("asa", "aht"), "s", f"""
                    SELECT slot_start AS time, {ASA} AS "ASA", {AHT} AS "AHT" {days} GROUP BY slot_start ORDER BY 1""",
                           none="no traffic", min=0)),
                (12, lines("Offered, by day and queue", means("offered"), "short", f"""
                    SELECT slot_start AS time, queue, SUM(offered) AS offered {days}
                    GROUP BY slot_start, queue ORDER BY 1, 2""", none="no traffic", stack=True, min=0)),
            ]),
            (8, [
                (12, lines("This week and the one before, by hour", "Legs offered by hour: of the last seven days, and of the"
                           " seven before moved on by a week. Of the centre's own hours.", "short", [f"""
                    SELECT slot_start AS time, SUM(offered) AS "these days" FROM kpi_hour
                    WHERE slot_start >= local_clock(now(), -6, 0) AND {ALL_THREE} GROUP BY slot_start ORDER BY 1""", f"""
                    SELECT slot_start + INTERVAL '7 days' AS time, SUM(offered) AS "a week before" FROM kpi_hour
                    WHERE slot_start >= local_clock(now(), -13, 0) AND slot_start < local_clock(now(), -6, 0)
                        AND {ALL_THREE} GROUP BY slot_start ORDER BY 1"""], none="no traffic", min=0)),
                (12, bars("By hour of the day", "Legs offered by the hour of the centre's clock, summed over the chosen time.",
                          "short", f"""
                    SELECT LPAD(CAST((arrow_cast(slot_start, 'Int64') - arrow_cast(local_day(slot_start), 'Int64'))
                        / 3600000000 AS VARCHAR), 2, '0') AS hour, SUM(offered) AS offered {of("kpi_hour")}
                    GROUP BY 1 ORDER BY 1""", none="no traffic", min=0)),
            ]),
            (9, [
                (24, table("Weeks", "Weeks of the centre, from Monday, newest first. The first one may be cut by the chosen"
                           " time. " + means("answer_rate", "service_level", "abandon_rate", "asa", "aht"), f"""
                    SELECT week, {figures} FROM (SELECT *, {week} AS week {days}) AS by_week
                    GROUP BY week ORDER BY week DESC""", cells)),
            ]),
            (9, [
                (24, table("Months", "Months of the centre whose first day lies in the chosen time, newest first. "
                           + means("answer_rate", "service_level", "abandon_rate", "asa", "aht"), f"""
                    SELECT slot_start AS month, {figures} {of("kpi_month")} GROUP BY slot_start ORDER BY slot_start DESC""",
                           cells)),
            ]),
            (9, [
                (12, table("Year on year", "Each month against the same month of the year before; a dash where that is not in"
                           " the lake. A running month is held against a whole one.", year_before, cells)),
                (12, table("Queues", "One row a queue over the chosen days. "
                           + means("answer_rate", "service_level", "asa", "aht"), f"""
                    SELECT queue, channel, {figures} {days} GROUP BY queue, channel ORDER BY queue, channel""", cells)),
            ]),
            (8, [
                (12, lines("Satisfaction, by day", "CSAT: share of 4 and 5 among the answers 1 to 5, weighted by answers.",
                           "percentunit", f"""
                    SELECT day AS time, SUM(csat * csat_n) / NULLIF(SUM(csat_n), 0) AS "CSAT" FROM survey_day
                    WHERE $__timeFilter(day) AND {among('queue', 'channel')} GROUP BY day ORDER BY 1""", HIGH_IS_GOOD,
                           "no answer", **SHARE)),
                (12, lines("Complaint rate, by day", "Complaints opened / contacts that began, by department.", "percentunit", f"""
                    SELECT day AS time, department, CAST(SUM(complaints) AS DOUBLE) / NULLIF(SUM(contacts), 0) AS "complaint rate"
                    FROM complaint_day WHERE $__timeFilter(day) AND {among('department')}
                    GROUP BY day, department ORDER BY 1, 2""", none="no complaint", min=0)),
            ]),
        ],
        "15m",
        "now-90d",
    )
