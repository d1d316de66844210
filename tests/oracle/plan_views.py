"""The views about plans and people again, in plain Python, from the base tables as CSV.

    plan_views.py DIR --zone Asia/Shanghai --now RFC3339 --out DIR

DIR has forecasts, shifts, legs, handlings, contacts, surveys, complaints and agent_states as
`callpulse sql --format csv` writes them. Shares no arithmetic and no SQL with callpulse: Erlang C
is summed from factorials in logarithms, runs are counted by walking, times are integers in ms.
"""

import argparse
import csv
import json
import math
import statistics
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from slots import EPOCH, MS, day_start, local, month_start, slot_start, to_ms

MINUTES = 30
SLOT = MINUTES * 60_000
DAY = 86_400_000


def ms(text):
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return to_ms(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))


def rfc(at):
    return (EPOCH + at * MS).isoformat().replace("+00:00", "Z") if at is not None else ""


def num(text):
    return float(text) if text != "" else None


def cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def ratio(part, whole):
    return part / whole if whole else None


class Tables:
    def __init__(self, path):
        self.path = Path(path)

    def __getattr__(self, name):
        with open(self.path / f"{name}.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        setattr(self, name, rows)
        return rows


def erlang_c_level(agents, calls, aht, interval, target):
    """P(wait <= target) with n agents: the textbook sum, in logarithms."""
    load = calls * aht / interval
    if agents <= load:
        return 0.0
    log = [k * math.log(load) - math.lgamma(k + 1) for k in range(agents)]
    last = agents * math.log(load) - math.lgamma(agents + 1) + math.log(agents / (agents - load))
    top = max([*log, last])
    waits = math.exp(last - top) / (sum(math.exp(x - top) for x in log) + math.exp(last - top))
    return 1 - waits * math.exp(-(agents - load) * target / aht)


def slots_of(since, until, zone):
    """Starts of the slots that [since, until) touches, with the part of each that it covers."""
    at = slot_start(since, zone, MINUTES)
    while at < until:
        yield at, (min(until, at + SLOT) - max(since, at)) / SLOT
        at += SLOT


def newest(rows, key):
    best = {}
    for row in rows:
        k = key(row)
        if k not in best or row["made_at"] > best[k]["made_at"]:
            best[k] = row
    return best


def staff_slot(t, zone, now):
    told = newest(t.forecasts, lambda f: (f["slot_start"], f["channel"], f["queue"]))
    by_slot = defaultdict(list)
    for f in told.values():
        by_slot[ms(f["slot_start"])].append(f)
    staffed = defaultdict(float)
    for s in t.shifts:
        if s["cancelled_at"] or (s["role"] or "agent") != "agent":
            continue
        queues = json.loads(s["queues"]) if s["queues"] else []
        for at, part in slots_of(ms(s["start"]), ms(s["end"]), zone):
            mine = [f for f in by_slot.get(at, []) if not queues or f["queue"] in queues]
            needs = [max(num(f["agents_required"]) or 0.0, 0.001) for f in mine]
            for f, need in zip(mine, needs):
                staffed[f["slot_start"], f["channel"], f["queue"]] += part * need / sum(needs)
    for key, f in told.items():
        agents = round(staffed[key], 9)
        at_work = agents * (1 - num(f["shrinkage"])) * int(f["places"])
        contacts, aht, target = num(f["contacts"]), num(f["aht_seconds"]), num(f["target_wait_seconds"])
        level = None
        if contacts > 0 and target is not None and aht is not None:
            low, part = math.floor(at_work), at_work - math.floor(at_work)
            level = sum(
                share * erlang_c_level(n, contacts, aht, SLOT / 1000, target)
                for n, share in ((low, 1 - part), (low + 1, part)))
        required, load = num(f["agents_required"]), num(f["load_erlangs"])
        fails = None
        if contacts > 0:
            fails = (level is not None and level < num(f["service_level_target"]))
            if not fails:
                fails = load > at_work if load is not None else None
        yield {"slot_start": f["slot_start"], "channel": f["channel"], "queue": f["queue"],
               "department": f["department"], "required": required or 0.0, "cap": num(f["occupancy_cap"]),
               "target": num(f["service_level_target"]), "agents_staffed": agents, "gap": round(agents - required, 9) if required is not None else None,
               "expected_service_level": level,
               "expected_occupancy": load / at_work if at_work > 0 and load is not None else None,
               "fails": fails}


def offered_by_slot(t):
    offered = defaultdict(int)
    for leg in t.legs:
        offered[leg["slot_start"], leg["channel"], leg["queue"]] += 1
    return offered


def forecast_accuracy(t, zone, now):
    offered, handled = offered_by_slot(t), defaultdict(lambda: [0, 0])
    for h in t.handlings:
        if h["wrapped_at"] and h["direction"] != "outbound":
            at = rfc(slot_start(ms(h["wrapped_at"]), zone, MINUTES))
            pair = handled[ms(at), h["channel"], h["queue"]]
            pair[0] += 1
            pair[1] += int(h["talk_ms"]) + int(h["hold_ms"]) + int(h["acw_ms"])

    def horizon(f):
        if f["kind"] == "intraday":
            return "intraday"
        days = (local(ms(f["slot_start"]), zone).date() - local(ms(f["made_at"]), zone).date()).days
        return "1d" if days < 1 else "2-7d" if days < 7 else "8-14d" if days < 14 else "15d+"

    over = [f for f in t.forecasts if ms(f["slot_start"]) + int(f["slot_ms"]) <= now]
    kept = newest(over, lambda f: (f["slot_start"], f["channel"], f["queue"], horizon(f)))
    groups = defaultdict(list)
    for f in kept.values():
        day = rfc(day_start(ms(f["slot_start"]), zone))
        groups[day, f["channel"], f["queue"], horizon(f)].append(f)
    for (day, channel, queue, of), told in groups.items():
        came = [offered[f["slot_start"], channel, queue] for f in told]
        said = [num(f["contacts"]) for f in told]
        errors = [abs(a - b) for a, b in zip(said, came)]
        done = [handled[ms(f["slot_start"]), channel, queue] for f in told]
        aht_error = [abs(num(f["aht_seconds"]) * n - handle / 1000) for f, (n, handle) in zip(told, done)
                     if n and f["aht_seconds"]]
        handle = sum(pair[1] for pair in done) / 1000
        yield {"day": day, "channel": channel, "queue": queue, "horizon": of, "slots": len(told),
               "department": max(f["department"] for f in told), "aht_error": sum(aht_error), "handle": handle,
               "contacts": sum(came), "forecast": sum(said), "absolute_error": sum(errors),
               "wape": ratio(sum(errors), sum(came)), "bias": ratio(sum(said) - sum(came), sum(came)),
               "within_10": sum(e <= 0.1 * a for e, a in zip(errors, came)),
               "poisson_floor": ratio(sum(math.sqrt(2 * s / math.pi) for s in said), sum(came)),
               "in_interval_share": sum(num(f["contacts_low"]) <= a <= num(f["contacts_high"])
                                        for f, a in zip(told, came)) / len(told),
               "aht_wape": ratio(sum(aht_error), handle) if aht_error else None}


def unpleasant_contacts(t):
    bad = {k["contact_id"] for k in t.complaints if k["contact_id"]}
    bad |= {s["contact_id"] for s in t.surveys if s["csat"] and int(s["csat"]) <= 2}
    for c in t.contacts:
        mood, low = num(c["sentiment_customer"]), num(c["sentiment_lowest"])
        if (mood is not None and mood <= -0.3) or (low is not None and low <= -0.6):
            bad.add(c["contact_id"])
    return bad


def exposure(t, zone, now):
    bad, days = unpleasant_contacts(t), defaultdict(list)
    for h in t.handlings:
        if h["wrapped_at"] and h["agent_id"]:
            key = (day_start(ms(h["wrapped_at"]), zone), h["agent_id"])
            days[key].append((ms(h["wrapped_at"]), h["contact_id"], int(h["handling"]), h["contact_id"] in bad))
    for (day, agent), done in days.items():
        longest = run = 0
        for *_, unpleasant in sorted(done):
            run = run + 1 if unpleasant else 0
            longest = max(longest, run)
        yield {"day": rfc(day), "agent_id": agent, "handled": len(done),
               "unpleasant": sum(entry[3] for entry in done), "longest_run": longest, "last_run": run}


def breaks(t, zone, now):
    """Stretches of work between pauses, per day; beside `exposure`, since agents without a contact have them too."""
    pieces = defaultdict(list)
    for s in t.agent_states:
        since = ms(s["started_at"])
        until = min(ms(s["ended_at"]) if s["ended_at"] else now, since + 31 * DAY)
        at = since
        while at < until:
            day = day_start(at, zone)
            end = to_ms((local(day, zone) + timedelta(days=1)).replace(hour=0, tzinfo=zone))
            pieces[day, s["agent_id"]].append((at, s["id"], min(end, until), s["state"]))
            at = end
    for (day, agent), states in pieces.items():
        stretch, stretches, pauses = 0, [], []
        for since, _, until, state in sorted(states):
            if state in ("offline", "break", "meeting"):
                stretches.append(stretch)
                stretch = 0
                if state == "break":
                    pauses.append(until - since)
            else:
                stretch += until - since
        stretches.append(stretch)
        if not any(stretches):
            continue
        yield {"day": rfc(day), "agent_id": agent, "breaks": len(pauses), "break_seconds": sum(pauses) / 1000,
               "work_seconds": sum(stretches) / 1000, "longest_stretch_seconds": max(stretches) / 1000,
               "breaks_missed": sum(s // 7_200_000 for s in stretches)}


def agent_month(t, zone, now):
    cells = defaultdict(lambda: {"n": 0, "ms": 0, "res": [], "csat": []})
    last = {c["contact_id"]: c["last_agent"] for c in t.contacts}
    for h in t.handlings:
        if h["wrapped_at"] and h["agent_id"] and h["direction"] != "outbound":
            c = cells[month_start(ms(h["wrapped_at"]), zone), h["agent_id"]]
            c["n"] += 1
            c["ms"] += int(h["handle_ms"])
    for c in t.contacts:
        if c["ended_at"] and c["last_agent"] and c["resolved"]:
            cells[month_start(ms(c["ended_at"]), zone), c["last_agent"]]["res"].append(c["resolved"] == "true")
    for s in t.surveys:
        agent = s["agent_id"] or last.get(s["contact_id"])
        if agent and s["csat"]:
            cells[month_start(ms(s["time"]), zone), agent]["csat"].append(int(s["csat"]) >= 4)
    for (month, agent), c in cells.items():
        def wilson(hits):
            n, z = len(hits), 1.96
            if not n:
                return None
            p = sum(hits) / n
            return z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        yield {"period": "month", "start": rfc(month), "agent_id": agent, "handled": c["n"],
               "aht_seconds": ratio(c["ms"] / 1000, c["n"]), "resolved_n": len(c["res"]),
               "resolved_share": ratio(sum(c["res"]), len(c["res"])), "resolved_margin": wilson(c["res"]),
               "csat_n": len(c["csat"]), "csat": ratio(sum(c["csat"]), len(c["csat"])),
               "csat_margin": wilson(c["csat"])}


def churn_risk(t, zone, now):
    since = now - 90 * DAY
    contact = {c["contact_id"]: c for c in t.contacts}
    of = defaultdict(lambda: defaultdict(list))
    for c in t.contacts:
        if c["customer_id"]:
            of[c["customer_id"]]["all"].append(c)
    for k in t.complaints:
        who = k["customer_id"] or contact.get(k["contact_id"], {}).get("customer_id")
        if who and not k["withdrawn_at"] and k["opened_at"] and ms(k["opened_at"]) >= since:
            of[who]["complaints"].append(k)
    for s in t.surveys:
        who = s["customer_id"] or contact.get(s["contact_id"], {}).get("customer_id")
        if who and s["csat"] and ms(s["time"]) >= since:
            of[who]["csat"].append(int(s["csat"]))
    for who, had in of.items():
        every = sorted(had["all"], key=lambda c: (ms(c["started_at"]), c["contact_id"]))
        recent = [c for c in every if ms(c["started_at"]) >= since]
        moods = [num(c["sentiment_customer"]) for c in recent if c["sentiment_customer"]]
        inbound = [c for c in every if c["direction"] not in ("outbound", "callback")]
        needs = [c for at, c in enumerate(inbound) if not (
            c["outcome"] == "abandoned_short" and at + 1 < len(inbound)
            and ms(inbound[at + 1]["started_at"]) - ms(c["started_at"]) <= 600_000)]
        repeats = sum(
            ms(c["started_at"]) >= since and any(
                0 < ms(c["started_at"]) - ms(e["started_at"]) <= 7 * DAY
                and (not c["topic"] or not e["topic"] or c["topic"] == e["topic"]) for e in needs)
            for c in needs)
        complaints = had["complaints"]
        still = sum(not k["closed_at"] or (bool(k["reopened_at"]) and ms(k["reopened_at"]) > ms(k["closed_at"]))
                    for k in complaints)
        gave_up = sum(c["outcome"] == "abandoned" for c in recent)
        lowest = min(had["csat"], default=None)
        points = min(3 * len(complaints), 6) + (2 if still else 0) + min(repeats, 3)
        points += 3 * max(-(sum(moods) / len(moods)), 0) if moods else 0
        points += (2 if lowest is not None and lowest <= 2 else 0) + (1 if gave_up >= 2 else 0)
        tiers = [c["tier"] for c in reversed(recent) if c["tier"]]
        weight = {"platinum": 2, "vip": 2, "svip": 2, "diamond": 2, "gold": 1.5, "silver": 1.2}.get(
            tiers[0].lower() if tiers else "", 1)
        if points > 0:
            yield {"customer_id": who, "risk": float(points * weight), "contacts": len(recent),
                   "complaints": len(complaints), "open_complaints": still, "repeats": repeats,
                   "abandoned": gave_up, "lowest_csat": lowest}


def surges(t, zone, now):
    offered, told = defaultdict(dict), {}
    for (slot, channel, queue), n in offered_by_slot(t).items():
        if queue:
            offered[channel, queue][ms(slot)] = n
    before = [f for f in t.forecasts if f["made_at"] <= f["slot_start"]]
    for (slot, channel, queue), f in newest(before, lambda f: (f["slot_start"], f["channel"], f["queue"])).items():
        told[ms(slot), channel, queue] = num(f["contacts"])
    for (channel, queue), slots in offered.items():
        high = []
        for at in sorted(slots):
            if at < now - 31 * DAY:
                continue
            expected = told.get((at, channel, queue))
            if expected is None:
                clock = at - day_start(at, zone)
                like = [n for other, n in slots.items()
                        if at - 28 * DAY <= other < at and other - day_start(other, zone) == clock]
                if not like:
                    continue
                expected = statistics.median(like)
            off = (slots[at] - expected) / math.sqrt(max(expected, 1) + (0.1 * expected) ** 2)
            if slots[at] >= 1.5 * expected and slots[at] >= expected + 10 and off >= 5:
                if high and high[-1][1] == at:
                    run = high[-1]
                    high[-1] = [run[0], at + SLOT, run[2] + slots[at], run[3] + expected, max(run[4], off)]
                else:
                    high.append([at, at + SLOT, slots[at], expected, off])
        for start, until, contacts, expected, off in high:
            yield {"start": rfc(start), "until": rfc(until), "channel": channel, "queue": queue,
                   "contacts": contacts, "expected": float(expected), "deviations": off}


def covered(spans):
    total, end = 0, None
    for since, until in sorted(span for span in spans if span[1] > span[0]):
        if end is None or since > end:
            total += until - since
            end = until
        elif until > end:
            total += until - end
            end = until
    return total


def adherence_day(t, zone, now):
    shifts, states = defaultdict(list), defaultdict(list)
    for s in t.shifts:
        if not s["cancelled_at"] and s["start"] and ms(s["start"]) < now:
            shifts[day_start(ms(s["start"]), zone), s["agent_id"]].append(s)
    for s in t.agent_states:
        if s["state"] not in ("offline", "break"):
            states[s["agent_id"]].append((ms(s["started_at"]), ms(s["ended_at"]) if s["ended_at"] else now, s["state"]))
    for (day, agent), of in shifts.items():
        plan = [(ms(s["start"]), min(ms(s["end"]), now)) for s in of]
        end = to_ms((local(day, zone) + timedelta(days=1)).replace(hour=0, tzinfo=zone))
        inside = [(max(a, b), min(c, d)) for a, c in plan for b, d, _ in states[agent]]
        today = [(max(day, a), min(end, b), state) for a, b, state in states[agent]]
        worked = covered([(a, b) for a, b, _ in today])
        productive = covered([(a, b) for a, b, state in today if state in ("available", "busy", "acw")])
        paid = sum(float(s["paid_minutes"]) * 60 if s["paid_minutes"] else (ms(s["end"]) - ms(s["start"])) / 1000 for s in of)
        planned = covered(plan)
        over = all(ms(s["end"]) <= now for s in of)
        yield {"day": rfc(day), "agent_id": agent, "planned_seconds": planned / 1000, "worked_seconds": worked / 1000,
               "adherence": ratio(covered(inside), planned), "conformance": ratio(worked, planned),
               "shrinkage": 1 - productive / 1000 / paid if over and paid else None}


def came_by_slot(t):
    """Legs of each slot, channel and queue: offered, in time, lost, still waiting in time."""
    came = defaultdict(lambda: [0, 0, 0, 0])
    for leg in t.legs:
        found = came[leg["slot_start"], leg["channel"], leg["queue"]]
        waits = not leg["outcome"] and leg["in_time"] != "false"
        in_time = leg["outcome"] == "answered" and leg["in_time"] == "true"
        found[0] += 1
        found[1] += in_time
        found[2] += not in_time and not waits
        found[3] += waits
    return came


def slot_projection(t, zone, now):
    running = rfc(slot_start(now, zone, MINUTES))
    told = newest(t.forecasts, lambda f: (f["slot_start"], f["channel"], f["queue"]))
    came, elapsed = came_by_slot(t), (now - ms(running)) / SLOT
    same = {(ms(at), channel, queue): n for (at, channel, queue), n in came.items()}
    expected = {(ms(at), channel, queue): num(f["contacts"]) for (at, channel, queue), f in told.items()}
    for key in same.keys() | expected.keys():
        if key[0] != ms(running):
            continue
        offered, in_time, lost, _ = same.get(key, [0, 0, 0, 0])
        more = expected.get(key)
        rest = more * (1 - elapsed) if more is not None else offered * (1 - elapsed) / elapsed if elapsed else 0
        whole, decided = offered + rest, in_time + lost
        likely = (in_time + (whole - decided) * in_time / decided) / whole if whole > 0 and decided else None
        yield {"slot_start": running, "channel": key[1], "queue": key[2], "elapsed_share": elapsed, "offered": offered,
               "expected": more, "projected_offered": float(whole), "answered_in_time": in_time, "lost": lost,
               "service_level": ratio(float(in_time), decided), "projected_service_level_worst": ratio(float(in_time), whole),
               "projected_service_level": likely, "projected_service_level_best": ratio(float(whole - lost), whole)}


def agent_slots(t, zone, now):
    """Busy and staffed time of each agent and slot."""
    spans = [(h["agent_id"], ms(h["started_at"]), ms(h["wrapped_at"]) if h["wrapped_at"] else now, True)
             for h in t.handlings if h["agent_id"]]
    spans += [(s["agent_id"], ms(s["started_at"]), ms(s["ended_at"]) if s["ended_at"] else now, False)
              for s in t.agent_states if s["state"] == "available"]
    cells = defaultdict(lambda: ([], []))
    for agent, since, until, is_busy in spans:
        at = slot_start(since, zone, MINUTES)
        while at < until:
            piece = max(since, at), min(until, at + SLOT)
            cells[agent, at][0].append(piece)
            if is_busy:
                cells[agent, at][1].append(piece)
            at += SLOT
    for (agent, at), (staffed, busy) in cells.items():
        yield agent, at, covered(busy), covered(staffed)


def schedule_score(t, zone, now):
    names = ("misfit over under required slots failing shares squares weights above shifts known preferred rest_known rested "
             "changes late error contacts told close aht_error aht").split()
    sums = defaultdict(lambda: dict.fromkeys(names, 0.0))

    def add(at, department, **values):
        day = day_start(at, zone)
        monday = to_ms((local(day, zone) - timedelta(days=local(day, zone).weekday())).replace(hour=0, tzinfo=zone))
        for period, start in (("day", day), ("week", monday)):
            for of in ("(all)", department or "(none)"):
                for name, value in values.items():
                    sums[period, start, of][name] += value

    planned = set()
    for s in t.shifts:
        if not s["cancelled_at"]:
            at = day_start(ms(s["start"]), zone)
            while at < ms(s["end"]):
                planned.add(at)
                at = to_ms((local(at, zone) + timedelta(days=1)).replace(hour=0, tzinfo=zone))
    came = {(ms(at), channel, queue): n for (at, channel, queue), n in came_by_slot(t).items()}
    for s in staff_slot(t, zone, now):
        at = ms(s["slot_start"])
        if day_start(at, zone) not in planned:
            continue
        off, over = s["agents_staffed"] - s["required"], at + SLOT <= now
        offered, in_time, lost, _ = came.get((at, s["channel"], s["queue"]), (0, 0, 0, 0))
        failed = s["fails"] if not over else None
        if over and offered and in_time + lost:
            failed = in_time / (in_time + lost) < s["target"]
        share = weight = 0.0
        if not over and s["expected_occupancy"] is not None:
            share, weight = min(s["expected_occupancy"], 1.0), s["agents_staffed"]
        add(at, s["department"], misfit=abs(off), over=max(off, 0), under=max(-off, 0), required=s["required"],
            slots=failed is not None, failing=failed is True, shares=share * weight, squares=share * share * weight,
            weights=weight, above=weight if share > s["cap"] else 0)
    teams = {}
    for row in [*t.shifts, *t.handlings]:
        if row["agent_id"]:
            teams[row["agent_id"]] = max(teams.get(row["agent_id"], ""), row["department"])
    cap = max((num(f["occupancy_cap"]) for f in t.forecasts), default=0.85)
    for agent, at, busy, staffed in agent_slots(t, zone, now):
        if staffed * 2 >= SLOT and at + SLOT <= now:
            share = busy / staffed
            add(at, teams.get(agent), shares=share, squares=share * share, weights=1, above=share > cap)
    last = {}
    for s in sorted(t.shifts, key=lambda s: (ms(s["start"]), s["shift_id"])):
        start, cancelled, published = ms(s["start"]), ms(s["cancelled_at"]), ms(s["published_at"])
        key, stands = (s["agent_id"], cancelled is None), cancelled is None
        before = last.get(key)
        last[key] = ms(s["end"])
        late = any(at is not None and at > start - DAY for at in (published, cancelled))
        add(start, s["department"], shifts=stands, known=stands and bool(s["preferred"]),
            preferred=stands and s["preferred"] == "true", rest_known=stands and before is not None,
            rested=stands and before is not None and before + 11 * 3_600_000 <= start,
            changes=published is not None or cancelled is not None, late=late)
    for a in forecast_accuracy(t, zone, now):
        if a["horizon"] == "1d":
            add(ms(a["day"]), a["department"], error=a["absolute_error"], contacts=a["contacts"], told=a["slots"],
                close=a["within_10"], aht_error=a["aht_error"], aht=a["handle"] if a["aht_error"] else 0)
    for (period, start, department), n in sums.items():
        wape, fit = ratio(n["error"], n["contacts"]), ratio(n["misfit"], n["required"])
        parts = [ratio(n["preferred"], n["known"]), ratio(n["rested"], n["rest_known"]), ratio(n["late"], n["changes"])]
        kind = [parts[0], parts[1], None if parts[2] is None else 1 - parts[2]]
        kind = [part for part in kind if part is not None]
        failing, above, mean = ratio(n["failing"], n["slots"]), ratio(n["above"], n["weights"]), ratio(n["shares"], n["weights"])
        five = [None if wape is None else max(1 - wape, 0.0), None if fit is None else max(1 - fit, 0.0),
                sum(kind) / len(kind) if kind else None, None if failing is None else 1 - failing,
                None if above is None else 1 - above]
        scored = [score for score in five if score is not None]
        yield {"period": period, "start": rfc(start), "department": department,
               "score": 100 * sum(scored) / len(scored) if scored else None, "forecast_score": five[0],
               "forecast_wape": wape, "forecast_within_10_share": ratio(n["close"], n["told"]),
               "fit_score": five[1], "fit": fit, "over": ratio(n["over"], n["required"]),
               "under": ratio(n["under"], n["required"]), "satisfaction_score": five[2], "shifts": int(n["shifts"]),
               "preferred_share": parts[0], "rest_kept_share": parts[1], "late_change_share": parts[2],
               "failing_score": five[3], "slots": int(n["slots"]), "failing_slots": int(n["failing"]),
               "failing_share": failing, "load_score": five[4], "mean_occupancy": mean,
               "occupancy_spread": None if mean is None else math.sqrt(max(n["squares"] / n["weights"] - mean * mean, 0.0)),
               "overloaded_share": above}


VIEWS = {
    "slot_projection": (slot_projection, "slot_start,channel,queue"),
    "schedule_score": (schedule_score, "period,start,department"),
    "staff_slot": (staff_slot, "slot_start,channel,queue"),
    "forecast_accuracy": (forecast_accuracy, "day,channel,queue,horizon"),
    "exposure": (exposure, "day,agent_id"),
    "breaks": (breaks, "day,agent_id"),
    "agent_month": (agent_month, "period,start,agent_id"),
    "churn_risk": (churn_risk, "customer_id"),
    "surges": (surges, "start,channel,queue"),
    "adherence_day": (adherence_day, "day,agent_id"),
}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("tables")
    args.add_argument("--zone", default="Asia/Shanghai")
    args.add_argument("--now", required=True)
    args.add_argument("--out", required=True)
    given = args.parse_args()
    tables, zone, now = Tables(given.tables), ZoneInfo(given.zone), ms(given.now)
    for name, (make, _) in VIEWS.items():
        rows = list(make(tables, zone, now))
        with open(Path(given.out) / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if rows:
                writer.writerow(rows[0])
            writer.writerows([cell(value) for value in row.values()] for row in rows)


if __name__ == "__main__":
    main()
