"""The views of a day's agents, customers and words again, in plain Python, from the base tables as CSV.

    day_views.py DIR --zone Asia/Shanghai --now RFC3339 --out DIR

DIR has legs, handlings, contacts, messages, surveys, complaints, agent_states, events and the like
as `callpulse sql --format csv` writes them. What is split over slots is walked in integer ms, what
follows each other is sorted and looked at pair by pair; no SQL, and nothing of callpulse.
"""

import argparse
import csv
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from plan_views import DAY, MINUTES, SLOT, Tables, cell, covered, ms, num, ratio, rfc
from slots import day_start, local, period_start, slot_start, to_ms


def ends(day, zone):
    return to_ms((local(day, zone) + timedelta(days=1)).replace(hour=0, minute=0, tzinfo=zone))


def days_of(since, until, zone):
    """The local days that [since, until) touches, each with its part."""
    at = day_start(since, zone)
    while at < until:
        end = ends(at, zone)
        yield at, max(since, at), min(until, end)
        at = end


def slots_of(since, until, zone):
    """Slots likewise; what has no length is in the slot of its instant."""
    at = slot_start(since, zone, MINUTES)
    while at < until or at == slot_start(since, zone, MINUTES):
        yield at, max(since, at), max(min(until, at + SLOT), max(since, at))
        at += SLOT


def outbound(row):
    return row["direction"] == "outbound"


def agent_day(t, zone, now):
    cells = defaultdict(lambda: {"contacts": set(), "handled": 0, "outbound": 0, "talk": 0, "hold": 0, "acw": 0, "handle": 0,
                                 "transfers": 0, "missed": 0, "busy": [], "staffed": [], "moods": [], "findings": 0})
    for h in t.handlings:
        if not h["agent_id"]:
            continue
        for day, since, until in days_of(ms(h["started_at"]), ms(h["wrapped_at"]) if h["wrapped_at"] else now, zone):
            c = cells[day, h["agent_id"]]
            c["busy"].append((since, until))
            c["staffed"].append((since, until))
        if not h["wrapped_at"]:
            continue
        c = cells[day_start(ms(h["wrapped_at"]), zone), h["agent_id"]]
        c["contacts"].add(h["contact_id"])
        c["transfers"] += bool(h["transferred_to"]) or h["ended_by"] == "transfer"
        if outbound(h):
            c["outbound"] += 1
        else:
            c["handled"] += 1
            for name in ("talk", "hold", "acw", "handle"):
                c[name] += int(h[f"{name}_ms"] or 0)
    for s in t.agent_states:
        if s["state"] == "available":
            until = min(ms(s["ended_at"]) if s["ended_at"] else now, ms(s["started_at"]) + 31 * DAY)
            for day, since, until in days_of(ms(s["started_at"]), until, zone):
                cells[day, s["agent_id"]]["staffed"].append((since, until))
    for e in t.events:
        if e["type"] == "contact.missed" and e["agent_id"]:
            cells[day_start(ms(e["time"]), zone), e["agent_id"]]["missed"] += 1
    for c in t.contacts:
        if c["ended_at"] and c["last_agent"] and c["sentiment_customer"]:
            cells[day_start(ms(c["ended_at"]), zone), c["last_agent"]]["moods"].append(num(c["sentiment_customer"]))
    for f in t.contact_findings:
        if f["agent_id"]:
            cells[day_start(ms(f["time"]), zone), f["agent_id"]]["findings"] += 1
    for p in t.promises:
        # Broken when it was due, whether or not it was kept later.
        if p["agent_id"] and p["due"] and ms(p["due"]) < now and (not p["kept_at"] or ms(p["kept_at"]) > ms(p["due"])):
            cells[day_start(ms(p["due"]), zone), p["agent_id"]]["findings"] += 1
    for (day, agent), c in cells.items():
        busy, staffed = covered(c["busy"]), covered(c["staffed"])
        yield {"day": rfc(day), "agent_id": agent, "contacts": len(c["contacts"]), "handled": c["handled"],
               "outbound": c["outbound"], "talk_seconds": c["talk"] / 1000, "hold_seconds": c["hold"] / 1000,
               "acw_seconds": c["acw"] / 1000, "handle_seconds": c["handle"] / 1000,
               "aht_seconds": ratio(c["handle"] / 1000, c["handled"]), "transfers": c["transfers"], "missed": c["missed"],
               "busy_seconds": busy / 1000, "staffed_seconds": staffed / 1000, "occupancy": ratio(busy, staffed),
               "sentiment": ratio(sum(c["moods"]), len(c["moods"])), "findings": c["findings"]}


def slot_load(t, zone, now):
    rows = defaultdict(lambda: {"offered": 0, "load": 0, "contacts": set(), "carried": 0})
    of_leg = {(leg["contact_id"], leg["leg"]): leg for leg in t.legs}

    def key(at, row):
        return at, row["channel"], row["queue"], row["department"]

    for leg in t.legs:
        rows[key(ms(leg["slot_start"]), leg)]["offered"] += 1
    present = defaultdict(set)
    for s in t.agent_states:
        if s["state"] != "offline":
            for at, *_ in slots_of(ms(s["started_at"]), ms(s["ended_at"]) if s["ended_at"] else now, zone):
                present[at].add(s["agent_id"])
    for h in t.handlings:
        leg = of_leg.get((h["contact_id"], h["leg"]))
        cohort = ms(leg["slot_start"]) if leg else slot_start(ms(h["started_at"]), zone, MINUTES)
        # The cohort's load belongs to the leg's queue; so does the handling, which took it from there.
        rows[key(cohort, h)]["load"] += int(h["handle_ms"] or 0)
        for at, since, until in slots_of(ms(h["started_at"]), ms(h["wrapped_at"]) if h["wrapped_at"] else now, zone):
            row = rows[key(at, h)]
            row["contacts"].add(h["contact_id"])
            row["carried"] += until - since
    for (at, channel, queue, department), row in rows.items():
        agents = len(present[at])
        yield {"slot_start": rfc(at), "channel": channel, "queue": queue, "department": department,
               "offered": row["offered"], "offered_erlangs": row["load"] / SLOT, "contacts": len(row["contacts"]),
               "carried_ms": row["carried"], "carried_erlangs": row["carried"] / SLOT, "agents_present": agents,
               "contacts_per_agent": ratio(float(len(row["contacts"])), agents) if agents else None,
               "handle_minutes_per_agent": ratio(row["carried"] / 60_000, agents) if agents else None}


def told_of(t):
    """The contact of each message, for what the message does not say itself."""
    return {c["contact_id"]: c for c in t.contacts}


def sentiment_hour(t, zone, now):
    contacts, groups = told_of(t), defaultdict(list)
    for m in t.messages:
        if m["sentiment"]:
            c = contacts.get(m["contact_id"], {})
            hour = period_start("hour", ms(m["time"]), zone, MINUTES)
            groups[hour, m["channel"] or c.get("channel", ""), m["queue"] or c.get("last_queue", ""), m["speaker"]].append(
                num(m["sentiment"]))
    for (hour, channel, queue, speaker), scores in groups.items():
        felt = [score for score in scores if score != 0]
        yield {"hour": rfc(hour), "channel": channel, "queue": queue, "speaker": speaker, "messages": len(scores),
               "scored": len(felt), "sentiment": ratio(sum(felt), len(felt)), "lowest": min(scores),
               "negative": sum(score < -0.2 for score in scores) / len(scores)}


def keyword_day(t, zone, now):
    contacts, said = told_of(t), defaultdict(list)
    for m in t.messages:
        queue = m["queue"] or contacts.get(m["contact_id"], {}).get("last_queue", "")
        for hit in filter(None, m["hits"].split(";")):
            category, _, phrase = hit.partition(":")
            said[day_start(ms(m["time"]), zone), category, phrase, m["speaker"], queue].append(m["contact_id"])
    for (day, category, phrase, speaker, queue), of in said.items():
        yield {"day": rfc(day), "category": category, "phrase": phrase, "speaker": speaker, "queue": queue,
               "messages": len(of), "contacts": len(set(of))}


def deadline(opened, zone):
    following = local(opened, zone) + timedelta(days=1)
    return to_ms(following.replace(hour=17, minute=0, second=0, microsecond=0, tzinfo=zone))


def complaint_deadlines(t, zone, now):
    for k in t.complaints:
        if not k["opened_at"]:
            continue
        due = deadline(ms(k["opened_at"]), zone)
        contacted, withdrawn, closed = (ms(k[name]) for name in ("contacted_at", "withdrawn_at", "closed_at"))
        if contacted is not None and contacted <= due:
            in_time = True
        elif withdrawn is not None and withdrawn <= due:
            in_time = None
        else:
            in_time = False if contacted is not None or due < now else None
        yield {"complaint_id": k["complaint_id"], "deadline_at": rfc(due), "in_time": in_time,
               "overdue": contacted is None and withdrawn is None and closed is None and due < now,
               "seconds_left": (due - now) / 1000 if contacted is None and withdrawn is None else None,
               "department": k["department"], "contact_id": k["contact_id"], "opened_at": k["opened_at"],
               "status": k["status"]}


def complaint_day(t, zone, now):
    contacts = told_of(t)
    by_id = {k["complaint_id"]: k for k in t.complaints}
    days = defaultdict(Counter)
    for told in complaint_deadlines(t, zone, now):
        k = by_id[told["complaint_id"]]
        department = told["department"] or contacts.get(told["contact_id"], {}).get("department", "")
        count = days[day_start(ms(told["opened_at"]), zone), department]
        count["complaints"] += 1
        count["contacted_in_time"] += told["in_time"] is True
        count["decided"] += told["in_time"] is not None
        for name in ("resolved", "closed", "withdrawn"):
            count[name] += bool(k[f"{name}_at"])
        count["reopened"] += int(k["reopened"] or 0) > 0
        for verdict in ("upheld", "rejected", "pacified"):
            count[verdict] += k["verdict"] == verdict
        who = k["customer_id"] or contacts.get(k["contact_id"], {}).get("customer_id", "")
        count["repeated"] += bool(who) and any(
            o is not k and o["opened_at"] and who == (o["customer_id"] or contacts.get(o["contact_id"], {}).get("customer_id", ""))
            and (ms(o["opened_at"]), o["complaint_id"]) < (ms(k["opened_at"]), k["complaint_id"])
            and ms(k["opened_at"]) - ms(o["opened_at"]) <= 30 * DAY for o in t.complaints)
    for c in t.contacts:
        days[day_start(ms(c["started_at"]), zone), c["department"]]["contacts"] += 1
    for (day, department), n in days.items():
        yield {"day": rfc(day), "department": department, "complaints": n["complaints"],
               "contacted_in_time": n["contacted_in_time"], "decided": n["decided"],
               "in_time_rate": ratio(float(n["contacted_in_time"]), n["decided"]), "resolved": n["resolved"],
               "closed": n["closed"], "reopened": n["reopened"], "withdrawn": n["withdrawn"], "upheld": n["upheld"],
               "contacts": n["contacts"], "complaint_rate": ratio(float(n["complaints"]), n["contacts"]),
               "rejected": n["rejected"], "pacified": n["pacified"], "repeated": n["repeated"]}


def by_customer(t, only_needs):
    """Each customer's contacts in order; of those that may be needs, without a short abandon that is followed at once."""
    found = defaultdict(list)
    for c in t.contacts:
        if c["customer_id"] and not (only_needs and c["direction"] in ("outbound", "callback")):
            found[c["customer_id"]].append(c)
    for of in found.values():
        of.sort(key=lambda c: (ms(c["started_at"]), c["contact_id"]))
    if not only_needs:
        return found
    return {who: [c for c, after in zip(of, [*of[1:], None]) if not (
        c["outcome"] == "abandoned_short" and after and ms(after["started_at"]) - ms(c["started_at"]) <= 600_000)]
        for who, of in found.items()}


def alike(a, b):
    return not a["topic"] or not b["topic"] or a["topic"] == b["topic"]


def repeat_contacts(t, zone, now):
    for who, needs in by_customer(t, True).items():
        for c in needs:
            at = ms(c["started_at"])
            before = [ms(e["started_at"]) for e in needs if 0 < at - ms(e["started_at"]) <= 30 * DAY and alike(c, e)]
            if before:
                yield {"contact_id": c["contact_id"], "customer_id": who, "channel": c["channel"],
                       "queue": c["first_queue"], "topic": c["topic"], "previous_at": rfc(max(before)),
                       "gap_seconds": (at - max(before)) / 1000,
                       "previous_7d": sum(at - e <= 7 * DAY for e in before), "previous_30d": len(before)}


def fcr_day(t, zone, now):
    needs, said, days = by_customer(t, True), defaultdict(list), defaultdict(list)
    for s in t.surveys:
        if s["resolved"]:
            said[s["contact_id"]].append(s["resolved"] == "true")
    for c in t.contacts:
        if c["customer_id"] and c["outcome"] == "answered" and c["direction"] not in ("outbound", "callback"):
            at = ms(c["started_at"])
            later = [ms(n["started_at"]) - at for n in needs[c["customer_id"]] if ms(n["started_at"]) > at and alike(c, n)]
            days[day_start(at, zone), c["channel"], c["first_queue"]].append((min(later, default=None), at, said[c["contact_id"]]))
    for (day, channel, queue), of in days.items():
        answers = [answer for *_, answers in of for answer in answers]
        row = {"day": rfc(day), "channel": channel, "queue": queue, "contacts": len(of),
               "survey_fcr": ratio(float(sum(answers)), len(answers)), "survey_n": len(answers)}
        for window, suffix in ((7, ""), (1, "_1d"), (30, "_30d")):
            repeated = sum(gap is not None and gap <= window * DAY for gap, *_ in of)
            row["fcr" + suffix] = (len(of) - repeated) / len(of)
            row["maturity" + suffix] = sum(at + window * DAY <= now for _, at, _ in of) / len(of)
            if not suffix:
                row["repeated"] = repeated
        yield row


def bot_ends(t, zone):
    """Contacts whose self-service has ended, each with whether the customer was back within a day."""
    back = set()
    for every in by_customer(t, False).values():
        # Whom the centre calls has not come back.
        of = [c for c in every if c["direction"] not in ("outbound", "callback") or c["bot_outcome"]]
        for c, after in zip(of, of[1:]):
            if ms(after["started_at"]) - ms(c["started_at"]) <= DAY:
                back.add(c["contact_id"])
    for c in t.contacts:
        if c["bot_outcome"]:
            yield day_start(ms(c["started_at"]), zone), c, c["bot_outcome"] == "contained" and c["contact_id"] in back


def bot_day(t, zone, now):
    days = defaultdict(Counter)
    for day, c, returned in bot_ends(t, zone):
        days[day, c["channel"]].update(["all", c["bot_outcome"], *(["returned"] if returned else [])])
    for (day, channel), n in days.items():
        yield {"day": rfc(day), "channel": channel, "bot_contacts": n["all"], "contained": n["contained"],
               "handover": n["handover"], "abandoned": n["abandoned"], "returned_24h": n["returned"],
               "containment_rate": n["contained"] / n["all"],
               "net_containment_rate": (n["contained"] - n["returned"]) / n["all"]}


def bot_handover(t, zone, now):
    groups, of_day = defaultdict(list), Counter()
    for day, c, returned in bot_ends(t, zone):
        groups[day, c["channel"], c["topic"]].append((c, returned))
        of_day[day, c["channel"]] += 1
    for (day, channel, topic), of in groups.items():
        failed = [c for c, returned in of if returned or c["bot_outcome"] != "contained"]
        phrases = Counter(phrase for c in failed for phrase in c["keywords"].split(";")
                          if phrase and phrase.split(":")[0] not in ("greeting", "farewell", "empathy"))
        often = sorted(phrases, key=lambda phrase: (-phrases[phrase], phrase.encode()))[:5]
        yield {"day": rfc(day), "channel": channel, "topic": topic, "bot_contacts": len(of),
               "handover": sum(c["bot_outcome"] == "handover" for c, _ in of),
               "abandoned": sum(c["bot_outcome"] == "abandoned" for c, _ in of),
               "returned_24h": sum(returned for _, returned in of), "failure_share": len(failed) / len(of),
               "common_share": len(of) / of_day[day, channel], "keywords": ";".join(often)}


def answers_of(surveys):
    csat, nps, ces, resolved = ([s[name] for s in surveys if s[name]] for name in ("csat", "nps", "ces", "resolved"))
    net = sum(int(n) >= 9 for n in nps) - sum(int(n) <= 6 for n in nps)
    return {"responses": len(surveys), "csat": ratio(float(sum(int(n) >= 4 for n in csat)), len(csat)),
            "csat_n": len(csat), "nps": ratio(100.0 * net, len(nps)), "nps_n": len(nps),
            "ces": ratio(float(sum(map(int, ces))), len(ces)), "ces_n": len(ces),
            "resolved_rate": ratio(float(resolved.count("true")), len(resolved)), "resolved_n": len(resolved)}


def survey_day(t, zone, now):
    contacts, given, ended = told_of(t), defaultdict(list), defaultdict(list)
    answering = {s["contact_id"] for s in t.surveys}
    for s in t.surveys:
        c = contacts.get(s["contact_id"], {})
        given[day_start(ms(s["time"]), zone), s["channel"] or c.get("channel", ""),
              s["queue"] or c.get("last_queue", "")].append(s)
    for c in t.contacts:
        if c["ended_at"]:
            ended[day_start(ms(c["ended_at"]), zone), c["channel"], c["last_queue"]].append(c["contact_id"] in answering)
    for key in given.keys() | ended.keys():
        yield {"day": rfc(key[0]), "channel": key[1], "queue": key[2], **answers_of(given[key]),
               "contacts": len(ended[key]), "contacts_answering": sum(ended[key]),
               "response_rate": ratio(float(sum(ended[key])), len(ended[key]))}


def survey_slot(t, zone, now):
    contacts, first, groups = told_of(t), {}, defaultdict(list)
    for leg in t.legs:
        at = ms(leg["slot_start"])
        first[leg["contact_id"]] = min(at, first.get(leg["contact_id"], at))
    for s in t.surveys:
        c = contacts.get(s["contact_id"])
        if c:
            at = first.get(c["contact_id"], slot_start(ms(c["started_at"]), zone, MINUTES))
            groups[at, c["channel"], c["last_queue"], s["agent_id"] or c["last_agent"]].append((s, c))
    for (at, channel, queue, agent), of in groups.items():
        told = answers_of([s for s, _ in of])
        waits = [int(c["wait_ms"]) for _, c in of if c["wait_ms"]]
        moods = [num(c["sentiment_customer"]) for _, c in of if c["sentiment_customer"]]
        yield {"slot_start": rfc(at), "channel": channel, "queue": queue, "agent_id": agent,
               "responses": told["responses"], "csat": told["csat"], "csat_n": told["csat_n"], "nps": told["nps"],
               "nps_n": told["nps_n"], "ces": told["ces"], "ces_n": told["ces_n"],
               "wait_seconds": ratio(sum(waits) / 1000, len(waits)), "sentiment": ratio(sum(moods), len(moods))}


def theme_surges(t, zone, now):
    slots, opened = defaultdict(lambda: defaultdict(set)), defaultdict(set)
    first_queue = {c["contact_id"]: c["first_queue"] for c in t.contacts}
    for c in t.contacts:
        at = slot_start(ms(c["started_at"]), zone, MINUTES)
        opened["topic", at - day_start(at, zone)].add(at)
        if c["topic"]:
            slots["topic", c["topic"]][at].add(c["contact_id"])
    for m in t.messages:
        if m["speaker"] == "customer" and m["sentiment"]:
            at = slot_start(ms(m["time"]), zone, MINUTES)
            for kind in ("category", "phrase"):
                opened[kind, at - day_start(at, zone)].add(at)
            for hit in filter(None, m["hits"].split(";")):
                category, _, phrase = hit.partition(":")
                slots["category", category][at].add(m["contact_id"])
                slots["phrase", phrase][at].add(m["contact_id"])
    for (kind, theme), by_slot in slots.items():
        for at, contacts in by_slot.items():
            queues = [first_queue.get(contact, "") for contact in contacts]
            if at < now - 31 * DAY:
                continue
            clock = at - day_start(at, zone)
            # Whole days of the calendar, whatever clocks did in between.
            before = [other for other in opened[kind, clock] if at - 28 * DAY - DAY // 2 <= other < at]
            if not before:
                continue
            count, expected = len(queues), sum(len(by_slot.get(other, ())) for other in before) / len(before)
            off = (count - expected) / (max(expected, 1.0) + (0.1 * expected) ** 2) ** 0.5
            if count >= 1.5 * expected and count >= expected + 5 and off >= 5:
                often = Counter(queue for queue in queues if queue)
                named = sorted(often, key=lambda queue: (-often[queue], queue.encode()))[:3]
                yield {"start": rfc(at), "until": rfc(at + SLOT), "kind": kind, "theme": theme, "contacts": count, "expected": expected,
                       "times": ratio(float(count), expected), "deviations": off, "queues": ";".join(named),
                       "lasts": at + SLOT >= slot_start(now, zone, MINUTES)}


def live_queues(t, zone, now):
    today = day_start(now, zone)
    rows = defaultdict(lambda: {"waiting": [], "active": 0, "legs": [], "closed": [], "outbound": 0})

    def row(of):
        return rows[of["channel"], of["queue"], of["department"]]

    for leg in t.legs:
        if not leg["outcome"]:
            row(leg)["waiting"].append(ms(leg["queued_at"]))
        if day_start(ms(leg["slot_start"]), zone) == today:
            row(leg)["legs"].append(leg)
    for h in t.handlings:
        if not h["wrapped_at"]:
            row(h)["active"] += 1
        elif day_start(ms(h["wrapped_at"]), zone) == today and outbound(h):
            row(h)["outbound"] += 1
        elif day_start(ms(h["wrapped_at"]), zone) == today:
            row(h)["closed"].append(sum(int(h[f"{name}_ms"] or 0) for name in ("talk", "hold", "acw")))
    for (channel, queue, department), r in rows.items():
        # A queue whose handlings of today were all outbound is there, with nothing to count.
        if not (r["waiting"] or r["active"] or r["legs"] or r["closed"] or r["outbound"]):
            continue
        outcome = Counter(leg["outcome"] for leg in r["legs"])
        answered = [leg for leg in r["legs"] if leg["outcome"] == "answered"]
        # A leg that waits leaves the denominators until it has waited longer than the target.
        hidden = sum(not leg["outcome"] and leg["in_time"] != "false" for leg in r["legs"])
        offered = len(r["legs"])
        yield {"channel": channel, "queue": queue, "department": department, "waiting": len(r["waiting"]),
               "longest_wait_seconds": (now - min(r["waiting"])) / 1000 if r["waiting"] else None,
               "handlings_active": r["active"], "offered": offered, "answered": len(answered),
               "answer_rate": ratio(float(len(answered)), offered - hidden - outcome["abandoned_short"]),
               "service_level": ratio(float(sum(leg["in_time"] == "true" for leg in answered)), offered - hidden),
               "asa_seconds": ratio(sum(int(leg["wait_ms"]) for leg in answered) / 1000, len(answered)),
               "aht_seconds": ratio(sum(r["closed"]) / 1000, len(r["closed"]))}


def live_agents(t, zone, now):
    newest = {}
    for s in t.agent_states:
        if not s["ended_at"]:
            known = newest.get(s["agent_id"])
            if not known or (ms(s["started_at"]), s["id"]) > (ms(known["started_at"]), known["id"]):
                newest[s["agent_id"]] = s
    active = Counter(h["agent_id"] for h in t.handlings if not h["wrapped_at"])
    for agent, s in newest.items():
        yield {"agent_id": agent, "state": s["state"], "reason": s["reason"], "since": s["started_at"],
               "seconds": (now - ms(s["started_at"])) / 1000, "handlings_active": active[agent]}


VIEWS = {
    "agent_day": (agent_day, "day,agent_id"),
    "slot_load": (slot_load, "slot_start,channel,queue,department"),
    "sentiment_hour": (sentiment_hour, "hour,channel,queue,speaker"),
    "keyword_day": (keyword_day, "day,category,phrase,speaker,queue"),
    "complaint_deadlines": (complaint_deadlines, "complaint_id"),
    "complaint_day": (complaint_day, "day,department"),
    "repeat_contacts": (repeat_contacts, "contact_id"),
    "fcr_day": (fcr_day, "day,channel,queue"),
    "bot_day": (bot_day, "day,channel"),
    "bot_handover": (bot_handover, "day,channel,topic"),
    "survey_day": (survey_day, "day,channel,queue"),
    "survey_slot": (survey_slot, "slot_start,channel,queue,agent_id"),
    "theme_surges": (theme_surges, "start,kind,theme"),
    "live_queues": (live_queues, "channel,queue,department"),
    "live_agents": (live_agents, "agent_id"),
}


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("tables")
    args.add_argument("--zone", default="Asia/Shanghai")
    args.add_argument("--now", required=True)
    args.add_argument("--out", required=True)
    given = args.parse_args()
    tables, zone, now = Tables(given.tables), ZoneInfo(given.zone), ms(given.now)
    for name, (make, key) in VIEWS.items():
        rows = list(make(tables, zone, now))
        with open(Path(given.out) / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            if rows:
                writer.writerow(rows[0])
            writer.writerows([cell(value) for value in row.values()] for row in rows)
        # What is compared: the key, then all other columns.
        others = [column for column in (rows[0] if rows else []) if column not in key.split(",")]
        print(name, key, ",".join(others))


if __name__ == "__main__":
    main()
