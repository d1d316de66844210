"""Plan and schedule: forecast against actual, need against roster, the five dimensions of a schedule, from SQL."""

from .sql import *


def board():
    plan = f"FROM staff_slot WHERE $__timeFilter(slot_start) AND {ALL_THREE}"
    right = f"FROM forecast_accuracy WHERE $__timeFilter(day) AND {ALL_THREE}"
    # Departments have rows of their own; with all chosen, the row of all together is the one.
    score = (
        "FROM schedule_score WHERE $__timeFilter(start) AND (('__all' IN ($department) AND department = '(all)')"
        " OR department IN ($department))"
    )
    wape = "SUM(absolute_error) / NULLIF(SUM(contacts), 0)"
    day = " Of the days that begin in the chosen time."
    low_is_good = rising(0.1, 0.2)
    cells = {
        "slot_start": ("dateTimeAsLocal", None, None),
        "start": ("dateTimeAsLocal", None, None),
        "queue": (None, None, QUEUE_CELL),
        "gap": ("short", [(None, GREY), (-1e6, RED), (-0.5, GREEN)], None),
        "expected_service_level": ("percentunit", HIGH_IS_GOOD, None),
        "expected_occupancy": ("percentunit", OCCUPANCY, None),
        "score": ("none", [(None, GREY), (0, RED), (60, ORANGE), (80, GREEN)], None),
        "wape": ("percentunit", low_is_good, None),
        "aht_wape": ("percentunit", low_is_good, None),
        **{name: ("percentunit", None, None) for name in (
            "bias", "within_10_share", "poisson_floor", "in_interval_share", "forecast_score", "fit_score",
            "satisfaction_score", "failing_score", "load_score", "over", "under", "preferred_share", "rest_kept_share",
            "late_change_share", "failing_share", "mean_occupancy", "overloaded_share")},
    }
    return dashboard(
        "callpulse-plan-and-schedule",
        "callpulse: plan and schedule",
        "Forecast against actual, agents required against staffed, and the schedule judged in five dimensions.",
        QUEUE_VARIABLES,
        [("Queues and slots", "callpulse-queues-and-slots", "What came of each slot"),
         ("Agents", "callpulse-agents", "Who carries it")],
        [
            (4, [
                (4, stat("Forecast error", "WAPE: sum over slots of |expected - came| / came, as told by days before. Compare"
                         " with the floor beside." + day, "percentunit",
                         f"SELECT {wape} AS wape {right} AND horizon = '1d'", low_is_good, "no slot is over yet", min=0)),
                (4, stat("Least that chance allows", "The WAPE that chance alone makes if contacts come independently; a small"
                         " centre cannot be better." + day, "percentunit",
                         f"SELECT SUM(poisson_floor * contacts) / NULLIF(SUM(contacts), 0) AS floor {right}"
                         " AND horizon = '1d'", none="no slot is over yet", min=0)),
                (4, stat("Slots within 10 %", "Share of slots whose forecast is within 10 % of what came." + day, "percentunit",
                         f"SELECT CAST(SUM(within_10) AS DOUBLE) / NULLIF(SUM(slots), 0) AS within_10 {right}"
                         " AND horizon = '1d'", [(None, GREY), (0, ORANGE), (0.7, GREEN)], "no slot is over yet", **SHARE)),
                (4, stat("Schedule score", "100 times the mean of the five dimensions that are known, of the newest day in the"
                         " chosen time.", "none", f"""
                    SELECT AVG(score) AS score {score} AND period = 'day' AND score IS NOT NULL
                        AND start = (SELECT MAX(start) FROM schedule_score WHERE $__timeFilter(start) AND period = 'day'
                        AND score IS NOT NULL)""",
                         [(None, GREY), (0, RED), (60, ORANGE), (80, GREEN)], "no roster", decimals=0)),
                (4, stat("Agents missing now", "Agents that the roster lacks in the running slot, summed over the queues that"
                         " lack any.", "short", f"""
                    SELECT SUM(CASE WHEN gap < 0 THEN -gap ELSE 0 END) AS missing FROM staff_slot
                    WHERE slot_start = slot(now()) AND {ALL_THREE}""", rising(1, 5), "no forecast", decimals=1)),
                (4, stat("Slots that will fail", "Share of the slots to come in the chosen time whose expected service level is"
                         " below its target, or whose load cannot be done.", "percentunit", f"""
                    SELECT CAST(SUM(CASE WHEN fails THEN 1 ELSE 0 END) AS DOUBLE) / NULLIF(COUNT(fails), 0) AS share
                    {plan} AND slot_start > now()""", low_is_good, "no forecast", **SHARE)),
            ]),
            (9, [
                (24, lines("Forecast and actual, by slot", "Contacts expected by the newest forecast, with the interval that"
                           " holds 80 %, and legs that came.", "short", [f"""
                    SELECT slot_start AS time, SUM(contacts) AS expected, SUM(contacts_low) AS low, SUM(contacts_high) AS high
                    {plan} GROUP BY slot_start ORDER BY 1""", f"""
                    SELECT slot_start AS time, SUM(offered) AS came FROM kpi_slot
                    WHERE $__timeFilter(slot_start) AND slot_start <= now() AND {ALL_THREE}
                    GROUP BY slot_start ORDER BY 1"""], none="no forecast", min=0)),
            ]),
            (9, [
                (24, lines("Agents required and staffed, by slot", "Agents that the roster needs (shrinkage included) and has;"
                           " one who serves several queues is shared out among them by need.", "short", f"""
                    SELECT slot_start AS time, SUM(agents_required) AS required, SUM(agents_staffed) AS staffed
                    {plan} GROUP BY slot_start ORDER BY 1""", none="no forecast", min=0)),
            ]),
            (8, [
                (12, lines("Forecast error by day and horizon", "WAPE by how many days before it was told.", "percentunit", f"""
                    SELECT day AS time, horizon, {wape} AS wape {right} GROUP BY day, horizon ORDER BY 1, 2""", low_is_good,
                           "no slot is over yet", min=0)),
                (12, lines("Forecast error of handle times", "Sum over slots of handled * |expected - mean handle time| / handle"
                           " time, by how many days before it was told.", "percentunit", f"""
                    SELECT day AS time, horizon, SUM(aht_absolute_error) / NULLIF(SUM(aht_absolute_error / NULLIF(aht_wape, 0)),
                        0) AS "AHT error" {right} GROUP BY day, horizon ORDER BY 1, 2""", low_is_good,
                           "no slot is over yet", min=0)),
            ]),
            (9, [
                (12, table("Forecast by queue", "WAPE, bias (above 0 too many were expected), share of slots within 10 % and"
                           " within the interval (0.8 is right), with the least that chance allows." + day, f"""
                    SELECT queue, channel, horizon, SUM(slots) AS slots, SUM(contacts) AS contacts, {wape} AS wape,
                        SUM(forecast - contacts) / NULLIF(SUM(contacts), 0) AS bias,
                        CAST(SUM(within_10) AS DOUBLE) / NULLIF(SUM(slots), 0) AS within_10_share,
                        SUM(in_interval_share * slots) / NULLIF(SUM(slots), 0) AS in_interval_share,
                        SUM(poisson_floor * contacts) / NULLIF(SUM(contacts), 0) AS poisson_floor
                    {right} GROUP BY queue, channel, horizon ORDER BY queue, channel, horizon""", cells)),
                (12, table("Slots to come that lack agents", "Slots to come in the chosen time with fewer agents than required,"
                           " earliest first, at most 200.", f"""
                    SELECT slot_start, queue, channel, contacts, agents_required, agents_staffed, gap, expected_service_level,
                        expected_occupancy, fails {plan} AND slot_start >= slot(now()) AND gap < 0
                    ORDER BY slot_start, gap, queue, channel LIMIT 200""", cells, none="none")),
            ]),
            (8, [
                (24, lines("Schedule in five dimensions, by day", "1 forecast: 1 - WAPE. 2 fit: 1 - sum of |staffed - required| /"
                           " required. 3 satisfaction: preferred shifts, rest kept, late changes. 4 failing: 1 - share of slots"
                           " below target. 5 load: 1 - share of agents' slots above the cap of occupancy.", "percentunit", f"""
                    SELECT start AS time, AVG(forecast_score) AS "1 forecast", AVG(fit_score) AS "2 fit",
                        AVG(satisfaction_score) AS "3 satisfaction", AVG(failing_score) AS "4 failing",
                        AVG(load_score) AS "5 load" {score} AND period = 'day' GROUP BY start ORDER BY 1""",
                           none="no roster", **SHARE)),
            ]),
            (9, [
                (24, table("Schedule scores", "Days and weeks, newest first, with the parts of each dimension. A dash is nothing"
                           " known.", f"""
                    SELECT period, start, department, score, forecast_score, fit_score, over, under, satisfaction_score,
                        preferred_share, rest_kept_share, late_change_share, failing_score, failing_slots, slots, load_score,
                        mean_occupancy, overloaded_share {score} ORDER BY start DESC, period, department LIMIT 200""", cells)),
            ]),
        ],
        "1m",
        "now-2d",
    )
