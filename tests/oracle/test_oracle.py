"""Small histories by hand, one for each rule of the law, and the tools around it.

A history is a list of (second, type, fields); the clock starts at 2026-03-02 09:00 in
Shanghai, and `until` adds an agent.state that drives the watermark on.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import bank_events
from correlate import Answer
from events import Reject, parse_event, parse_time
from law import QueueRules, Settings
from shuffle import shuffled, time_of
from slots import period_length_ms, period_start, rfc3339, slot_start

HERE = Path(__file__).parent
START = parse_time("2026-03-02T09:00:00+08:00")
HOUR, DAY = 3600, 86400


def event(second, kind, contact="c", **fields):
    kind = kind if kind in ("message", "agent.state", "survey") else f"contact.{kind}"
    if "from_" in fields:
        fields["from"] = fields.pop("from_")
    if kind != "agent.state":
        fields["contact_id"] = contact
    identity = fields.pop("id", None) or f"{contact}/{kind}/{second}/{json.dumps(fields, sort_keys=True)}"
    return {"id": identity, "type": kind, "time": START + round(second * 1000), **fields}


def answer(*steps, until=None, settings=Settings(), **more):
    events = [event(step[0], step[1], **(step[2] if len(step) > 2 else {})) for step in steps]
    if until is not None:
        events.append(event(until, "agent.state", agent_id="clock", state="available"))
    return Answer(events, settings, **more)


def pick(rows, *columns):
    return [tuple(row[c] for c in columns) for row in rows]


def sec(second):
    return rfc3339(START + round(second * 1000))


Q, A, B = {"queue": "sales"}, {"agent_id": "A"}, {"agent_id": "B"}
CUSTOMER, SYSTEM = {"by": "customer"}, {"by": "system"}


# -- a leg and its outcomes

def test_the_plain_call():
    a = answer((0, "started", {"direction": "inbound"}), (3, "queued", Q), (10, "answered", A),
               (20, "held", A), (25, "resumed", A), (70, "ended", CUSTOMER),
               (85, "wrapped", {**A, "resolved": True}))
    assert pick(a.legs(), "outcome", "wait_ms", "in_time", "queued_at", "answered_at", "left_at",
                "agent_id", "slot_start", "revision", "anomalies") == [
        ("answered", 7000, True, sec(3), sec(10), sec(10), "A", sec(0), 7, None)]
    assert pick(a.handlings(), "leg", "talk_ms", "hold_ms", "acw_ms", "handle_ms", "holds",
                "ended_by", "anomalies") == [(1, 55000, 5000, 15000, 75000, 1, "customer", None)]
    assert pick(a.contact_rows(), "outcome", "resolved", "wait_ms", "handle_ms", "ended_at",
                "first_queue", "first_agent", "revision") == [
        ("answered", True, 7000, 75000, sec(70), "sales", "A", 7)]


@pytest.mark.parametrize("end, outcome, wait", [
    ((4.999, "ended", CUSTOMER), "abandoned_short", 4999),
    ((5, "ended", CUSTOMER), "abandoned", 5000),
    ((5, "ended", {"by": "agent"}), "abandoned", 5000),
    ((5, "ended"), "abandoned", 5000),
    ((2, "ended", SYSTEM), "error", 2000),
    ((9, "left_queue", {"reason": "callback"}), "callback", 9000),
    ((9, "left_queue", {"reason": "no_agent"}), "no_agent", 9000),
])
def test_a_leg_without_an_agent(end, outcome, wait):
    a = answer((0, "queued", Q), end)
    assert pick(a.legs(), "outcome", "wait_ms", "in_time", "answered_at") == [(outcome, wait, False, None)]
    assert a.handlings() == []


@pytest.mark.parametrize("second, in_time", [(20, True), (20.001, False)])
def test_in_time_is_at_most_the_target(second, in_time):
    assert pick(answer((0, "queued", Q), (second, "answered", A)).legs(), "in_time") == [(in_time,)]


def test_targets_and_department_are_the_queue_s():
    settings = Settings(queues={"vip": QueueRules(15_000, 2_000, "gold")})
    a = answer((0, "queued", {"queue": "vip", "department": "other"}), (16, "answered", A), settings=settings)
    assert pick(a.legs(), "in_time", "department") == [(False, "gold")]
    assert pick(a.handlings(), "department") == [("gold",)]
    a = answer((0, "queued", {"queue": "vip"}), (3, "ended"), settings=settings)
    assert pick(a.legs(), "outcome") == [("abandoned",)]
    a = answer((0, "queued", {**Q, "department": "other"}), (3, "ended"), settings=settings)
    assert pick(a.legs(), "department") == [("other",)]


# -- more legs than one

def test_requeued_into_the_same_queue_is_a_repeat():
    a = answer((0, "queued", Q), (8, "queued", Q), (10, "answered", A))
    assert pick(a.legs(), "leg", "wait_ms", "anomalies") == [(1, 10000, "requeued")]


def test_another_queue_without_an_exit_is_an_overflow():
    a = answer((0, "queued", Q), (30, "queued", {"queue": "backup"}), (40, "answered", A))
    assert pick(a.legs(), "leg", "queue", "outcome", "wait_ms", "anomalies") == [
        (1, "sales", "overflow", 30000, "no_exit"), (2, "backup", "answered", 10000, None)]
    assert pick(a.handlings(), "leg", "queue") == [(2, "backup")]


def test_an_overflow_that_is_told_is_no_anomaly():
    a = answer((0, "queued", Q), (30, "left_queue", {"reason": "overflow"}), (30, "queued", {"queue": "backup"}))
    # At one instant the rank decides: queued comes before left_queue, so the exit meets the new leg.
    assert pick(a.legs(), "queue", "outcome", "anomalies") == [
        ("sales", "overflow", "no_exit"), ("backup", "overflow", None)]
    a = answer((0, "queued", Q), (30, "left_queue", {"reason": "overflow"}), (30.001, "queued", {"queue": "backup"}))
    assert pick(a.legs(), "queue", "outcome", "anomalies") == [
        ("sales", "overflow", None), ("backup", None, None)]


def test_blind_transfer_to_a_queue():
    a = answer((0, "queued", Q), (5, "answered", A), (60, "transferred", {**A, "to_queue": "tech"}),
               (61, "queued", {"queue": "tech"}), (70, "wrapped", A), (91, "answered", B), (200, "ended", CUSTOMER),
               (210, "wrapped", B))
    assert pick(a.legs(), "queue", "outcome", "wait_ms") == [("sales", "answered", 5000), ("tech", "answered", 30000)]
    assert pick(a.handlings(), "agent_id", "leg", "talk_ms", "acw_ms", "transferred_to", "ended_by") == [
        ("A", 1, 55000, 10000, "tech", None), ("B", 2, 109000, 10000, None, "customer")]
    assert pick(a.contact_rows(), "transfers", "legs", "handlings", "first_agent", "last_agent", "wait_ms",
                "first_queue", "last_queue") == [(1, 2, 2, "A", "B", 35000, "sales", "tech")]


def test_hang_up_while_the_second_agent_rings():
    a = answer((0, "queued", Q), (5, "answered", A), (60, "transferred", A), (61, "queued", {"queue": "tech"}),
               (62, "offered", B), (80, "ended", CUSTOMER))
    assert pick(a.legs(), "outcome") == [("answered",), ("abandoned",)]
    assert a.contact_rows()[0]["outcome"] == "answered"


def test_blind_transfer_to_an_agent_has_no_leg():
    a = answer((0, "queued", {**Q, "channel": "chat"}), (5, "answered", A), (60, "transferred", {**A, "to_agent": "B"}),
               (2000, "answered", B), (2100, "ended"), (2100, "wrapped", B))
    assert len(a.legs()) == 1
    assert pick(a.handlings(), "leg", "queue", "channel", "transferred_to") == [
        (1, "sales", "chat", "B"), (None, "sales", "chat", None)]
    # Its cohort is the slot of its own start, the second half hour.
    kpi = {row["slot_start"]: row for row in a.kpi()}
    assert kpi[sec(1800)]["load_erlangs"] == 100 / 1800
    assert kpi[sec(1800)]["offered"] == 0 and kpi[sec(1800)]["answer_rate"] is None


def test_a_transfer_that_names_nobody_ends_the_latest_talk():
    a = answer((0, "answered", A), (10, "answered", B), (20, "transferred", {"to_queue": "x"}), (50, "ended"))
    assert pick(a.handlings(), "agent_id", "talk_ms", "transferred_to") == [("A", 50000, None), ("B", 10000, "x")]


def test_a_transfer_touches_no_open_leg():
    a = answer((0, "answered", A), (5, "queued", Q), (9, "transferred", A), (30, "answered", B))
    assert pick(a.legs(), "outcome", "wait_ms") == [("answered", 25000)]


def test_warm_consultation():
    a = answer((0, "queued", Q), (5, "answered", A), (50, "held", A), (51, "queued", {"queue": "expert"}),
               (60, "answered", B), (80, "transferred", {**A, "to_agent": "B", "mode": "warm"}), (100, "ended", CUSTOMER),
               (101, "wrapped", B), (102, "wrapped", A))
    assert pick(a.legs(), "queue", "outcome", "wait_ms") == [("sales", "answered", 5000), ("expert", "answered", 9000)]
    # The hold of A ends with A's talk.
    assert pick(a.handlings(), "agent_id", "talk_ms", "hold_ms", "acw_ms") == [
        ("A", 45000, 30000, 22000), ("B", 40000, 0, 1000)]


def test_queued_callback_after_the_end():
    before = [(0, "queued", Q), (40, "left_queue", {"reason": "callback"}), (41, "ended", CUSTOMER),
              (900, "queued", {"queue": "callbacks"})]
    a = answer(*before)
    assert pick(a.contact_rows(), "ended_at", "outcome") == [(None, None)]
    a = answer(*before, (930, "answered", {**A, "dial_ms": 8000}), (1000, "ended"), (1010, "wrapped", A))
    assert pick(a.legs(), "leg", "outcome", "wait_ms") == [(1, "callback", 40000), (2, "answered", 30000)]
    assert pick(a.contact_rows(), "ended_at", "outcome", "wait_ms", "handle_ms") == [(sec(1000), "answered", 70000, 88000)]


# -- handlings and their close

def test_wrap_before_the_end_ends_the_talk():
    a = answer((0, "queued", Q), (5, "answered", A), (50, "held", A), (60, "wrapped", A), (90, "ended"))
    assert pick(a.handlings(), "talk_ms", "hold_ms", "acw_ms", "ended_at", "wrapped_at") == [
        (45000, 10000, 0, sec(60), sec(60))]
    assert a.contact_rows()[0]["ended_at"] == sec(90)


def test_wrapped_closes_the_oldest_ended_handling_of_its_agent():
    a = answer((0, "answered", A), (10, "transferred", A), (20, "answered", B), (30, "transferred", B),
               (40, "answered", A), (50, "ended"), (60, "wrapped", A), (70, "wrapped"), (80, "wrapped"))
    assert pick(a.handlings(), "agent_id", "acw_ms") == [("A", 50000), ("B", 40000), ("A", 30000)]


def test_wrapped_of_a_stranger_closes_nothing():
    a = answer((0, "answered", A), (10, "ended"), (20, "wrapped", B))
    assert pick(a.handlings(), "acw_ms", "handle_ms") == [(None, None)]


@pytest.mark.parametrize("until, close", [(1810 + 600, (None, None, None)), (1810.001 + 600, (0, sec(10), "no_wrap"))])
def test_no_wrap_within_the_time_out(until, close):
    a = answer((0, "answered", A), (10, "ended"), until=until)
    assert pick(a.handlings(), "acw_ms", "wrapped_at", "anomalies") == [close]


@pytest.mark.parametrize("second, acw, anomalies", [(1810, 1800000, None), (1810.001, 0, "no_wrap")])
def test_a_wrap_counts_up_to_the_time_out(second, acw, anomalies):
    a = answer((0, "answered", A), (10, "ended"), (second, "wrapped", A), until=HOUR)
    assert pick(a.handlings(), "acw_ms", "anomalies") == [(acw, anomalies)]


def test_a_handling_without_anything():
    a = answer((0, "answered", {**A, "dial_ms": 4000}), (10, "ended"), (12, "wrapped"))
    assert pick(a.handlings(), "leg", "queue", "channel", "handle_ms") == [(None, None, "voice", 16000)]
    a = answer((0, "answered", {**A, "queue": "direct", "channel": "video"}), (10, "ended"))
    assert pick(a.handlings(), "queue", "channel") == [("direct", "video")]


def test_resume_without_hold_and_hold_twice():
    a = answer((0, "answered", A), (5, "resumed", A), (10, "held", A), (12, "held", A), (20, "resumed", A),
               (25, "resumed", A), (30, "ended"), (30, "wrapped", A))
    assert pick(a.handlings(), "talk_ms", "hold_ms", "holds") == [(20000, 10000, 1)]


# -- contacts that never end

@pytest.mark.parametrize("until, closed", [(100 + 7200 + 600, False), (100.001 + 7200 + 600, True)])
def test_never_ended(until, closed):
    settings = Settings(contact_timeout_ms=1, channel_timeout_ms={"voice": 7_200_000})
    a = answer((0, "answered", A), (50, "queued", Q), (100, "offered", B), until=until, settings=settings)
    legs = pick(a.legs(), "outcome", "left_at", "wait_ms", "anomalies", "in_time")
    talks = pick(a.handlings(), "ended_at", "talk_ms", "acw_ms", "anomalies")
    contact = pick(a.contact_rows(), "ended_at", "anomalies", "outcome")
    if closed:
        assert legs == [("error", sec(100), 50000, "never_ended", False)]
        assert talks == [(sec(100), 100000, 0, "never_ended")]
        assert contact == [(sec(100), "never_ended", "answered")]
    else:
        assert legs == [(None, None, None, None, False)]
        assert talks == [(None, None, None, None)]
        assert contact == [(None, None, "answered")]


def test_never_ended_with_nothing_open():
    a = answer((0, "answered", A), (10, "wrapped", A), until=3 * DAY)
    assert pick(a.contact_rows(), "ended_at", "anomalies") == [(sec(10), "never_ended")]
    assert pick(a.handlings(), "anomalies") == [(None,)]


def test_an_ended_contact_is_not_timed_out():
    a = answer((0, "queued", Q), (10, "ended"), until=3 * DAY)
    assert pick(a.contact_rows(), "ended_at", "anomalies", "outcome") == [(sec(10), None, "abandoned")]


# -- impossible sequences

def test_no_figure_is_ever_negative():
    # Answered before queued, the end before everything, a wrap before its talk.
    a = answer((20, "queued", Q), (10, "answered", A), (5, "ended", CUSTOMER), (1, "wrapped", A), (30, "started"))
    assert pick(a.handlings(), "leg", "talk_ms") == [(None, None)]
    assert pick(a.legs(), "outcome", "wait_ms") == [(None, None)]
    assert a.contact_rows()[0]["started_at"] == sec(30)
    assert a.kpi()[0]["ledger_gap"] == 0


def test_at_one_instant_the_rank_decides():
    a = answer((0, "wrapped", A), (0, "ended", CUSTOMER), (0, "answered", A), (0, "queued", Q), (0, "started"))
    assert pick(a.legs(), "outcome", "wait_ms", "in_time") == [("answered", 0, True)]
    assert pick(a.handlings(), "talk_ms", "acw_ms") == [(0, 0)]


def test_at_one_instant_and_rank_the_id_decides():
    a = answer((0, "queued", {"queue": "b", "id": "1"}), (0, "queued", {"queue": "a", "id": "2"}))
    assert pick(a.legs(), "queue", "outcome") == [("b", "overflow"), ("a", None)]


# -- what a contact says about itself

def test_channel_is_the_leg_s_else_the_contact_s_earliest_else_voice():
    a = answer((0, "started"), (1, "queued", Q), (5, "left_queue", {"reason": "timeout"}),
               (5, "message", {"channel": "chat", "from_": "bot"}), (6, "queued", {**Q, "channel": "email"}),
               (9, "answered", {**A, "channel": "video"}))
    assert pick(a.legs(), "channel") == [("chat",), ("email",)]
    assert pick(a.handlings(), "channel") == [("email",)]
    assert pick(answer((1, "queued", Q)).legs(), "channel") == [("voice",)]


@pytest.mark.parametrize("steps, outcome", [
    ([(0, "started"), (5, "bot_ended", {"outcome": "contained"})], "contained"),
    ([(0, "started"), (5, "bot_ended", {"outcome": "abandoned"}), (5, "ended")], "abandoned_in_bot"),
    ([(0, "started"), (5, "bot_ended", {"outcome": "handover"}), (6, "ended")], "ended_before_queue"),
    ([(0, "started"), (5, "bot_ended", {"outcome": "handover"})], None),
    ([(0, "started"), (5, "bot_ended", {"outcome": "contained"}), (6, "queued", Q)], None),
    ([(0, "started")], None),
    ([(0, "queued", Q), (6, "left_queue", {"reason": "closed"})], "closed"),
])
def test_outcome_of_a_contact(steps, outcome):
    assert answer(*steps).contact_rows()[0]["outcome"] == outcome


def test_messages_and_first_response():
    a = answer((0, "queued", {**Q, "channel": "chat"}), (2, "message", {"from_": "agent", "text": "too early"}),
               (5, "answered", A), (6, "message", {"from_": "bot"}), (7, "message", {"from_": "customer"}),
               (8, "message", {"from_": "agent", "final": False, "utterance": "u"}),
               (9, "message", {"from_": "agent", "utterance": "u"}), (30, "survey", {"csat": 5}))
    assert pick(a.contact_rows(), "messages", "first_response_ms", "revision") == [(4, 4000, 7)]
    assert pick(a.legs(), "wait_ms") == [(5000,)]


def test_a_repeat_is_ignored_and_counts_in_no_revision():
    once = [event(0, "queued", **Q), event(9, "answered", **A)]
    assert Answer(once * 3).legs() == Answer(once).legs()
    # The same id for another contact is another event.
    other = [dict(e, contact_id="d") for e in once]
    assert len(Answer(once + other).legs()) == 2


# -- kpi_slot

def test_kpi_formulas():
    steps = []
    for number, (queued, ending) in enumerate([
            (0, (10, "answered")), (0, (21, "answered")), (0, (3, "ended")), (0, (30, "ended")),
            (1800, (1900, "ended")), (0, None)]):
        contact = f"c{number}"
        steps.append(event(queued, "queued", contact, queue="sales"))
        if ending:
            steps.append(event(ending[0], ending[1], contact, agent_id="A"))
        if ending and ending[1] == "answered":
            steps += [event(ending[0] + 1800, "ended", contact), event(ending[0] + 1830, "wrapped", contact)]
    rows = {row["slot_start"]: row for row in Answer(steps).kpi()}
    first, second = rows[sec(0)], rows[sec(1800)]
    assert pick([first], "offered", "answered", "abandoned", "abandoned_short", "waiting", "answered_in_time",
                "ledger_gap", "handled") == [(5, 2, 1, 1, 1, 1, 0, 0)]
    # The waiting leg is past its target: it is in the denominators.
    assert pick([first], "answer_rate", "abandon_rate", "service_level") == [(2 / 4, 1 / 4, 1 / 5)]
    assert pick([first], "wait_ms_sum", "asa_seconds", "wait_p50_seconds") == [(31000, 15.5, 15.5)]
    assert first["load_erlangs"] == 2 * 1830 / 1800 and first["aht_seconds"] is None
    # Handlings go by the slot of their close.
    assert pick([second], "handled", "aht_seconds", "talk_seconds", "acw_seconds", "acw_ms_sum", "offered",
                "answer_rate", "asa_seconds") == [(2, 1830.0, 1800.0, 30.0, 60000, 1, 0.0, None)]


def test_three_slots_of_one_call():
    # Queued in the first half hour, answered and ended in the second, wrapped in the third.
    a = answer((1790, "queued", Q), (1810, "answered", A), (3590, "ended"), (3610, "wrapped", A))
    assert pick(a.kpi(), "slot_start", "offered", "answered_in_time", "load_erlangs", "handled", "aht_seconds") == [
        (sec(0), 1, 1, 1800 / 1800, 0, None), (sec(3600), 0, 0, 0, 1, 1800.0)]
    assert pick(a.kpi("hour"), "slot_start", "offered", "load_erlangs", "handled") == [
        (sec(0), 1, 0.5, 0), (sec(3600), 0, 0, 1)]


@pytest.mark.parametrize("now, rate", [(20, 1.0), (20.001, 0.5)])
def test_a_leg_that_waits_within_its_target_leaves_the_denominators(now, rate):
    events = [event(0, "queued", "a", queue="q"), event(0, "answered", "a", agent_id="A"),
              event(0, "queued", "b", queue="q"), event(now, "agent.state", agent_id="x")]
    a = Answer(events)
    assert pick(a.kpi(), "offered", "waiting", "answer_rate", "service_level") == [(2, 1, rate, rate)]
    assert a.legs()[1]["in_time"] is (None if rate == 1.0 else False)


def test_only_waiting_legs_within_the_target_give_null():
    assert pick(answer((0, "queued", Q)).kpi(), "offered", "answer_rate", "service_level") == [(1, None, None)]


def test_outbound_handlings_are_left_out_but_carry_load():
    a = answer((0, "started", {"direction": "outbound"}), (0, "answered", {**A, "dial_ms": 9000}), (27, "ended"),
               (27, "wrapped"))
    assert pick(a.kpi(), "handled", "talk_ms_sum", "aht_seconds", "load_erlangs") == [(0, 0, None, 36 / 1800)]


# -- slots

def test_the_repeated_hour_is_its_own_slots():
    zone = ZoneInfo("Europe/Berlin")
    first, second = parse_time("2026-10-25T02:40:00+02:00"), parse_time("2026-10-25T02:40:00+01:00")
    assert slot_start(second, zone, 30) - slot_start(first, zone, 30) == 3_600_000
    assert period_length_ms("day", period_start("day", first, zone, 30), zone, 30) == 25 * 3_600_000


def test_slots_follow_the_local_clock():
    assert rfc3339(slot_start(parse_time("2026-03-02T10:10:00+05:45"), ZoneInfo("Asia/Kathmandu"), 60)) \
        == "2026-03-02T04:15:00.000Z"
    # Lord Howe puts its clock back by half an hour: 01:30 to 02:00 comes twice.
    zone = ZoneInfo("Australia/Lord_Howe")
    change = parse_time("2026-04-05T02:00:00+11:00")
    assert slot_start(change - 1, zone, 60) == change - 3_600_000
    assert slot_start(change + 600_000, zone, 60) == change


# -- any order, any repetition

def random_history(seed, contacts=40):
    chance = random.Random(seed)
    kinds = ["started", "bot_ended", "queued", "queued", "offered", "answered", "answered", "held", "resumed",
             "left_queue", "transferred", "ended", "wrapped", "message"]
    events = []
    for number in range(contacts):
        for _ in range(chance.randint(1, 14)):
            kind = chance.choice(kinds)
            fields = {"id": str(chance.randint(0, 60))}
            if kind == "queued" or chance.random() < 0.2:
                fields["queue"] = chance.choice("xyz")
            if chance.random() < 0.6:
                fields["agent_id"] = chance.choice("AB")
            if kind == "left_queue":
                fields["reason"] = chance.choice(["overflow", "timeout", "error"])
            if kind == "ended":
                fields["by"] = chance.choice(["customer", "system"])
            events.append(event(chance.randint(0, 40) * 5 + 7200 * number, kind, f"c{number}", **fields))
    return events


@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_any_repetition_give_the_same_rows(seed):
    events = random_history(seed)
    lines = [json.dumps(e).encode() for e in events]
    tables = ["legs", "handlings", "contacts", "kpi_slot", "kpi_day"]
    want = [Answer([parse_event(line) for line in lines]).table(name) for name in tables]
    for within in (None, 600):
        mixed = [parse_event(line) for line in shuffled(lines, seed, repeat=2, within=within)]
        assert len(mixed) == 2 * len(lines)
        assert [Answer(mixed).table(name) for name in tables] == want
    for columns, rows in want:
        for row in rows:
            assert set(columns) == set(row)
            assert not [c for c in columns if isinstance(row[c], (int, float)) and row[c] < 0]
            assert row.get("ledger_gap", 0) == 0


def test_bounded_disorder_keeps_its_bound_and_disorders():
    lines = [json.dumps(event(second, "offered")).encode() for second in range(500)]
    mixed = shuffled(lines, 7, within=30)
    assert sorted(mixed) == sorted(lines) and mixed != lines
    latest = 0
    for line in mixed:
        assert time_of(line) >= latest - 30_000
        latest = max(latest, time_of(line))


# -- reading

@pytest.mark.parametrize("line, reason", [
    (b"\xff", "not_utf8"), (b"{", "not_json"), (b"[]", "not_object"), (b"{}", "missing_field"),
    (b'{"id":"1","type":"contact.flew","time":1,"contact_id":"c"}', "unknown_type"),
    (b'{"id":"1","type":"contact.ended","time":1}', "missing_field"),
    (b'{"id":"1","type":"contact.queued","time":1,"contact_id":"c"}', "missing_field"),
    (b'{"id":7,"type":"contact.ended","time":1,"contact_id":"c"}', "bad_field"),
    (b'{"id":"1","type":"contact.ended","time":1.5,"contact_id":"c"}', "bad_time"),
    (b'{"id":"1","type":"contact.ended","time":"2026-03-02T09:00:00","contact_id":"c"}', "bad_time"),
    (b'{"id":"1","type":"contact.ended","time":"2026-02-30T09:00:00Z","contact_id":"c"}', "bad_time"),
    (b" " * (1 << 20) + b"{}", "too_large"),
])
def test_rejects(line, reason):
    with pytest.raises(Reject, match=f"^{reason}$"):
        parse_event(line)


# -- the bank's files

BANK_HEADER = ("vru+line call_id customer_id priority type date vru_entry vru_exit vru_time q_start q_exit q_time "
               "outcome ser_start ser_exit ser_time server").split()
BANK_ROWS = """
L1 1 0 0 PS 990201 9:00:00 9:00:10 10 0:00:00 0:00:00 0 AGENT 9:00:09 9:01:00 50 EVE
L1 2 7 1 PS 990201 9:00:00 9:00:10 10 9:00:10 9:00:40 30 AGENT 9:00:39 9:01:39 60 EVE
L1 3 0 0 NW 990201 9:00:00 9:00:10 10 9:00:10 9:00:14 4 HANG 0:00:00 0:00:00 0 NO_SERVER
L1 4 0 0 NW 990201 9:00:00 9:00:10 10 9:00:10 9:00:10 0 HANG 0:00:00 0:00:00 0 NO_SERVER
L1 5 0 0 NW 990201 9:00:00 9:00:10 10 9:00:10 9:01:10 60 HANG 9:01:10 9:01:40 30 NO_SERVER
L1 6 0 0 NW 990201 9:00:00 9:00:10 10 0:00:00 0:00:00 0 HANG 0:00:00 0:00:00 0 NO_SERVER
L1 7 0 0 NW 990201 9:00:00 9:00:10 10 9:00:10 9:00:40 30 PHANTOM 9:00:39 9:00:50 11 NO_SERVER
L1 8 0 0 PS 990201 9:31:00 9:28:00 -180 9:28:00 9:28:05 5 AGENT 9:28:05 9:28:15 10 EVE
L1 9 0 0 PS 990201 23:59:50 0:00:05 15 0:00:05 0:00:25 20 AGENT 0:00:25 0:31:00 1835 EVE
L1 10 0 0 PS 990201 23:59:00 23:59:30 30 23:59:30 0:00:10 40 AGENT 0:00:00 0:00:00 0 NO_SERVER
L1 10 0 0 PS 990202 0:00:10 23:59:40 -30 0:00:00 0:00:00 0 AGENT 0:00:10 0:00:20 10 EVE
L2 9 0 0 TT 990202 9:00:00 9:00:10 10 9:00:10 9:00:05 -5 AGENT 9:00:05 9:00:02 -3 EVE
L2 10 0 0 PS 990202 0:00:10 0:00:40 30 0:00:00 0:00:00 0 NOISE 0:00:10 0:00:20 10 EVE
L2 11 0 0 PS 990202 0:00:10 0:00:40 30 0:00:00 0:00:00 x AGENT 0:00:10 0:00:20 10 EVE
"""


def run(script, *args):
    done = subprocess.run([sys.executable, HERE / script, *map(str, args)], capture_output=True, text=True)
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def both_ways_agree(bank, folder):
    events = folder / "events.jsonl"
    assert run("bank_events.py", bank, "--out", events).returncode == 0
    for by in ("slot", "day"):
        want, got = folder / f"want_{by}.csv", folder / f"got_{by}.csv"
        run("bank_expected.py", bank, "--by", by, "--out", want)
        run("correlate.py", events, "--zone", "Asia/Jerusalem", "--table", f"kpi_{by}", "--out", got)
        done = run("compare.py", want, got, "--key", "slot_start,queue", "--shared")
        assert done.returncode == 0 and " 13 columns compared, 0 differences" in done.stdout, done.stdout
        assert len(want.read_text().splitlines()) > 1
    return events


def test_the_bank_both_ways_with_all_its_dirt(tmp_path):
    bank = tmp_path / "bank.tsv"
    rows = [line.split() for line in BANK_ROWS.strip().splitlines()]
    rows.append(rows[0])  # a row that stands there twice
    bank.write_text("".join("\t".join(row) + "\r\n" for row in [BANK_HEADER] + rows))
    both_ways_agree(bank, tmp_path)
    events, left_out = bank_events.convert(str(bank), ZoneInfo("Asia/Jerusalem"))
    assert left_out == {"phantom": 1, "unknown outcome": 1, "unreadable row": 1, "repeated row": 1}
    a = Answer([parse_event(json.dumps(e).encode()) for e in events], zone=ZoneInfo("Asia/Jerusalem"))
    rows = {row["contact_id"]: row for row in a.contact_rows()}
    assert {k: (r["outcome"], r["wait_ms"], r["handle_ms"], r["last_agent"]) for k, r in rows.items()} == {
        "990201-L1-1": ("answered", 0, 50000, "EVE"), "990201-L1-2": ("answered", 30000, 60000, "EVE"),
        "990201-L1-3": ("abandoned_short", 4000, 0, None), "990201-L1-4": ("abandoned_short", 0, 0, None),
        "990201-L1-5": ("abandoned", 60000, 0, None), "990201-L1-6": ("abandoned_in_bot", 0, 0, None),
        "990201-L1-8": ("answered", 5000, 10000, "EVE"), "990201-L1-9": ("answered", 20000, 1835000, "EVE"),
        "990201-L1-10": ("answered", 40000, 0, "unknown"), "990202-L1-10": ("answered", 0, 10000, "EVE"),
        "990202-L2-9": ("answered", 0, 0, "EVE")}
    days = [(r["slot_start"], r["queue"], r["offered"], r["handled"]) for r in a.kpi("day")]
    # L1-9 and 990202-L1-10 leave the VRU on the other side of midnight than they enter it;
    # L1-10 is queued before midnight and handled (for 0 s) after it.
    assert days == [("1999-01-31T22:00:00.000Z", "NW", 3, 0), ("1999-01-31T22:00:00.000Z", "PS", 5, 4),
                    ("1999-02-01T22:00:00.000Z", "PS", 1, 2), ("1999-02-01T22:00:00.000Z", "TT", 1, 1)]


@pytest.mark.skipif("BANK_TSV" not in os.environ, reason="BANK_TSV names no calls file")
def test_a_real_bank_file_both_ways(tmp_path):
    events = both_ways_agree(os.environ["BANK_TSV"], tmp_path)
    mixed = tmp_path / "mixed.jsonl"
    run("shuffle.py", events, mixed, "--seed", 1, "--repeat", 2)
    for table in ("contacts", "kpi_slot"):
        a, b = tmp_path / "a.csv", tmp_path / "b.csv"
        run("correlate.py", events, "--table", table, "--out", a)
        run("correlate.py", mixed, "--table", table, "--out", b)
        assert a.read_bytes() == b.read_bytes()


# -- compare.py

@pytest.mark.parametrize("b, code", [
    ("k,x,t\n1,0.30000000000000004,2026-01-01T00:00:00.000Z\n", 0),
    ("k,t,x\n1,2026-01-01T08:00:00+08:00,3e-1\n", 0),
    ("k,x,t\n1,0.3,2026-01-01 00:00:00\n", 0),
    ("k,x,t\n1,0.3000001,2026-01-01T00:00:00Z\n", 1),
    ("k,x,t\n1,,2026-01-01T00:00:00Z\n", 1),
    ("k,x,t\n1,0.3,2026-01-01T00:00:01Z\n", 1),
    ("k,x,t\n2,0.3,2026-01-01T00:00:00Z\n", 1),
    ("k,x,t\n1,0.3,2026-01-01T00:00:00Z\n1,0.3,2026-01-01T00:00:00Z\n", 1),
    ("k,x,t\n", 1),
    ("k,x\n1,0.3\n", 2),
])
def test_compare(tmp_path, b, code):
    (tmp_path / "a.csv").write_text("k,x,t\n1,0.3,2026-01-01T00:00:00Z\n")
    (tmp_path / "b.csv").write_text(b)
    assert run("compare.py", tmp_path / "a.csv", tmp_path / "b.csv", "--key", "k").returncode == code


def test_compare_is_exact_for_integers(tmp_path):
    (tmp_path / "a.csv").write_text("k,ms\n1,12345678901234\n")
    (tmp_path / "b.csv").write_text("k,ms\n1,12345678901235\n")
    assert run("compare.py", tmp_path / "a.csv", tmp_path / "b.csv", "--key", "k").returncode == 1
