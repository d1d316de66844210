"""Queues and slots: the ledger of each slot, and the contacts behind it, from SQL."""

from .sql import *


def board():
    of = f"FROM kpi_slot WHERE $__timeFilter(slot_start) AND {ALL_THREE}"
    by_slot = f"{of} GROUP BY slot_start ORDER BY 1"
    in_range = " Of the slots that begin in the chosen time."
    legs = f"FROM legs WHERE $__timeFilter(queued_at) AND {ALL_THREE}"
    rates = {
        "slot_start": ("dateTimeAsLocal", None, None),
        "queue": (None, None, QUEUE_CELL),
        "answer_rate": ("percentunit", HIGH_IS_GOOD, None),
        "service_level": ("percentunit", HIGH_IS_GOOD, None),
        "abandon_rate": ("percentunit", rising(0.05, 0.1), None),
        "asa_seconds": ("s", None, None),
        "wait_p90_seconds": ("s", None, None),
        "aht_seconds": ("s", None, None),
        "load_erlangs": ("suffix: Erl", None, None),
        "ledger_gap": ("short", ANY_IS_BAD, None),
    }
    contact = {
        "contact_id": (None, None, CONTACT),
        "queue": (None, None, QUEUE_CELL),
        "agent_id": (None, None, AGENT_CELL),
        "queued_at": ("dateTimeAsLocal", None, None),
        "answered_at": ("dateTimeAsLocal", None, None),
        "left_at": ("dateTimeAsLocal", None, None),
        "wait_seconds": ("s", rising(60, 180), None),
    }
    return dashboard(
        "callpulse-queues-and-slots",
        "callpulse: queues and slots",
        "Each slot of each queue: what came, what became of it, how long it waited, how heavy it was; down to single contacts.",
        QUEUE_VARIABLES,
        [("Operations now", "callpulse-operations-now", "The centre now"),
         ("Plan and schedule", "callpulse-plan-and-schedule", "Forecast against actual"),
         ("Trends", "callpulse-trends", "Days, weeks, months, years")],
        [
            (4, [
                (4, stat("Offered", means("offered") + in_range, "short", f"SELECT SUM(offered) AS offered {of}")),
                (4, stat("Answer rate", means("answer_rate") + in_range, "percentunit",
                         f"SELECT {ANSWER_RATE} AS answer_rate {of}", HIGH_IS_GOOD, "no traffic", **SHARE)),
                (4, stat("Service level", means("service_level") + in_range, "percentunit",
                         f"SELECT {SERVICE_LEVEL} AS service_level {of}", HIGH_IS_GOOD, "no traffic", **SHARE)),
                (4, stat("Abandon rate", means("abandon_rate") + in_range, "percentunit",
                         f"SELECT {ABANDON_RATE} AS abandon_rate {of}", rising(0.05, 0.1), "no traffic", **SHARE)),
                (4, stat("ASA", means("asa") + in_range, "s", f"SELECT {ASA} AS asa_seconds {of}", rising(20, 60),
                         "no traffic")),
                (4, stat("Ledger gap", "Offered less every outcome less waiting; anything but 0 is a fault of callpulse.",
                         "short", f"SELECT SUM(ABS(ledger_gap)) AS ledger_gap {of}", ANY_IS_BAD)),
            ]),
            (8, [
                (12, lines("What became of the legs, by slot", "Legs by the slot in which they entered their queue and by"
                           " outcome. Together they are what was offered.", "short", f"""
                    SELECT slot_start AS time, SUM(answered) AS answered, SUM(abandoned) AS abandoned,
                        SUM(abandoned_short) AS "abandoned short", SUM(overflow) AS overflow, SUM(callback) AS callback,
                        SUM(exit_key) AS "exit key", SUM(timeout) AS timeout, SUM(no_agent) AS "no agent",
                        SUM(closed) AS closed, SUM(error) AS error, SUM(waiting) AS waiting {by_slot}""",
                           none="no traffic", stack=True, bars=True, min=0)),
                (12, lines("Answer rate, service level, abandon rate, by slot",
                           means("answer_rate", "service_level", "abandon_rate"), "percentunit", f"""
                    SELECT slot_start AS time, {ANSWER_RATE} AS "answer rate", {SERVICE_LEVEL} AS "service level",
                        {ABANDON_RATE} AS "abandon rate" {by_slot}""", HIGH_IS_GOOD, "no traffic", **SHARE)),
            ]),
            (8, [
                (12, lines("Wait until the answer, by slot", "Mean wait of the answered, and the wait that half, 9 of 10 and"
                           " 19 of 20 of them did not exceed (within 1 %).", "s", f"""
                    SELECT slot_start AS time, {ASA} AS mean,
                        sketch_seconds(merge_sketch(wait_sketch), 0.5) AS p50,
                        sketch_seconds(merge_sketch(wait_sketch), 0.9) AS p90,
                        sketch_seconds(merge_sketch(wait_sketch), 0.95) AS p95 {by_slot}""",
                           none="nobody answered", min=0)),
                (12, lines("Handle time, by slot of its end", means("aht") + " Its parts add up to it, but for dialling.", "s",
                           f"""SELECT slot_start AS time, {AHT} AS handle,
                        SUM(talk_ms_sum) / 1000.0 / NULLIF(SUM(handled), 0) AS talk,
                        SUM(hold_ms_sum) / 1000.0 / NULLIF(SUM(handled), 0) AS hold,
                        SUM(acw_ms_sum) / 1000.0 / NULLIF(SUM(handled), 0) AS "after-contact work" {by_slot}""",
                           none="no traffic", min=0)),
            ]),
            (8, [
                (12, lines("Load, by slot", means("load") + " Carried load: handle time split by the wall clock over the slots"
                           " that it covers.", "suffix: Erl", f"""
                    SELECT slot_start AS time, SUM(offered_erlangs) AS offered, SUM(carried_erlangs) AS carried
                    FROM slot_load WHERE $__timeFilter(slot_start) AND {ALL_THREE}
                    GROUP BY slot_start ORDER BY 1""", none="no traffic", min=0, decimals=1)),
                (12, lines("Offered by queue, by slot", means("offered"), "short", f"""
                    SELECT slot_start AS time, queue, SUM(offered) AS offered {of}
                    GROUP BY slot_start, queue ORDER BY 1, 2""", none="no traffic", stack=True, min=0)),
            ]),
            (10, [
                (24, table("Queues in the chosen time", "One row a queue and channel. "
                           + means("answer_rate", "service_level", "abandon_rate", "asa", "aht") + " A dash is no traffic.",
                           f"""SELECT queue, channel, MAX(department) AS department, SUM(offered) AS offered,
                        SUM(answered) AS answered, SUM(abandoned) AS abandoned, SUM(abandoned_short) AS abandoned_short,
                        SUM(waiting) AS waiting, SUM(ledger_gap) AS ledger_gap, {ANSWER_RATE} AS answer_rate,
                        {SERVICE_LEVEL} AS service_level, {ABANDON_RATE} AS abandon_rate, {ASA} AS asa_seconds,
                        {AHT} AS aht_seconds {of} GROUP BY queue, channel ORDER BY queue, channel""", rates)),
            ]),
            (10, [
                (24, table("Slots", "One row a slot, queue and channel, newest first, at most 500. Service level by the"
                           " queue's own formula. A dash is no traffic.", f"""
                    SELECT slot_start, queue, channel, offered, answered, abandoned, abandoned_short, waiting, ledger_gap,
                        answer_rate, service_level, abandon_rate, asa_seconds, wait_p90_seconds, aht_seconds, load_erlangs
                    {of} ORDER BY slot_start DESC, queue, channel LIMIT 500""", rates)),
            ]),
            (9, [
                (12, table("Waiting now", "Legs that wait in a queue and entered it in the chosen time, longest first, at most"
                           " 100. The contact leads to its timeline.", f"""
                    SELECT contact_id, leg, queue, channel, queued_at FROM legs
                    WHERE outcome IS NULL AND $__timeFilter(queued_at) AND {ALL_THREE}
                    ORDER BY queued_at LIMIT 100""", contact, none="nobody waits")),
                (12, table("Longest waits without an answer", "Legs that ended without an agent, short abandons left out, by"
                           " their wait, at most 100. The contact leads to its timeline.", f"""
                    SELECT contact_id, leg, queue, channel, outcome, queued_at, left_at, wait_ms / 1000.0 AS wait_seconds
                    {legs} AND outcome IS NOT NULL AND outcome NOT IN ('answered', 'abandoned_short')
                    ORDER BY wait_ms DESC, contact_id LIMIT 100""", contact, none="none")),
            ]),
            (9, [
                (12, table("Longest waits with an answer", "Answered legs by their wait, at most 100. The contact leads to its"
                           " timeline.", f"""
                    SELECT contact_id, leg, queue, channel, agent_id, queued_at, answered_at, wait_ms / 1000.0 AS wait_seconds
                    {legs} AND outcome = 'answered' ORDER BY wait_ms DESC, contact_id LIMIT 100""", contact, none="none")),
                (12, table("Service level by every formula in use", "The same legs by the formulas of rivals and standards, to"
                           " explain a difference; a mean of slots weighted by nothing would be wrong, so newest slots stand"
                           " alone, at most 200.", f"""
                    SELECT slot_start, queue, channel, formula, service_level FROM kpi_service_level
                    WHERE $__timeFilter(slot_start) AND service_level IS NOT NULL AND {ALL_THREE}
                    ORDER BY slot_start DESC, queue, channel, formula LIMIT 200""", rates)),
            ]),
        ],
        "1m",
        "now-24h",
    )
