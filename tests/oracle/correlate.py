"""Reference answers: canonical events in, `legs`, `handlings`, `contacts` or `kpi_*` out (CSV).

The law itself is in law.py, the figures in kpi.py. The input is taken as one partition
that has ended: "now" is the greatest event time, the watermark lies `--lateness` before it.
Every event is taken as accepted: whether one came too late depends on the order of
arrival, which this program does not look at; how many might have is said on stderr.
"""

import argparse
import csv
import sys
from collections import defaultdict
from zoneinfo import ZoneInfo

import kpi
from events import RANK, read_events
from law import Contact, QueueRules, Settings
from slots import rfc3339, slot_start

LEGS = ["contact_id", "leg", "channel", "direction", "queue", "department", "customer_id",
        "queued_at", "answered_at", "left_at", "wait_ms", "outcome", "in_time", "agent_id",
        "slot_start", "anomalies", "revision"]
# READING: the contract names anomalies and revision for legs only; a handling has both too.
HANDLINGS = ["contact_id", "handling", "leg", "channel", "queue", "department", "agent_id",
             "customer_id", "started_at", "ended_at", "wrapped_at", "talk_ms", "hold_ms",
             "acw_ms", "handle_ms", "holds", "transferred_to", "ended_by", "anomalies", "revision"]
CONTACTS = ["contact_id", "channel", "direction", "customer_id", "tier", "first_queue",
            "last_queue", "department", "first_agent", "last_agent", "started_at", "ended_at",
            "legs", "handlings", "transfers", "wait_ms", "handle_ms", "outcome", "bot_outcome",
            "resolved", "messages", "first_response_ms", "anomalies", "revision"]
KPI_TABLES = {"kpi_slot": "slot", "kpi_hour": "hour", "kpi_day": "day", "kpi_month": "month"}


class Answer:
    """All contacts of an input, and the tables over them."""

    def __init__(self, events: list[dict], settings: Settings = Settings(),
                 zone: ZoneInfo = ZoneInfo("Asia/Shanghai"), slot_minutes: int = 30):
        self.settings, self.zone, self.slot_minutes = settings, zone, slot_minutes
        self.now = max((e["time"] for e in events), default=0)
        watermark = self.now - settings.lateness_ms
        # Surveys, complaints and promises name a contact but are not part of its log.
        logs = defaultdict(list)
        for event in events:
            if event["type"] in RANK:
                logs[event["contact_id"]].append(event)
        self.contacts = [Contact(contact_id, logs[contact_id], settings, self.now, watermark)
                         for contact_id in sorted(logs)]

    def legs(self) -> list[dict]:
        return [{
            "contact_id": c.contact_id, "leg": leg.number, "channel": leg.channel,
            "direction": c.direction, "queue": leg.queue, "department": leg.department,
            "customer_id": c.customer_id, "queued_at": at(leg.queued_at),
            "answered_at": at(leg.answered_at), "left_at": at(leg.left_at),
            "wait_ms": leg.wait_ms, "outcome": leg.outcome, "in_time": leg.in_time,
            "agent_id": leg.agent_id,
            "slot_start": at(slot_start(leg.queued_at, self.zone, self.slot_minutes)),
            "anomalies": names(leg.anomalies), "revision": len(c.log),
        } for c in self.contacts for leg in c.legs]

    def handlings(self) -> list[dict]:
        return [{
            "contact_id": c.contact_id, "handling": h.number, "leg": h.leg,
            "channel": h.channel, "queue": h.queue, "department": h.department,
            "agent_id": h.agent_id, "customer_id": c.customer_id,
            "started_at": at(h.started_at), "ended_at": at(h.ended_at),
            "wrapped_at": at(h.wrapped_at), "talk_ms": h.talk_ms,
            "hold_ms": None if h.talks() else h.hold_ms, "acw_ms": h.acw_ms,
            "handle_ms": h.handle_ms, "holds": h.holds, "transferred_to": h.transferred_to,
            "ended_by": h.ended_by, "anomalies": names(h.anomalies), "revision": len(c.log),
        } for c in self.contacts for h in c.handlings]

    def contact_rows(self) -> list[dict]:
        rows = []
        for c in self.contacts:
            agents = [h.agent_id for h in c.handlings if h.agent_id]
            anomalies = set().union(c.anomalies, *(p.anomalies for p in c.legs + c.handlings))
            rows.append({
                "contact_id": c.contact_id, "channel": c.channel, "direction": c.direction,
                "customer_id": c.customer_id, "tier": c.tier,
                "first_queue": c.queues_seen[0] if c.queues_seen else None,
                "last_queue": c.queues_seen[-1] if c.queues_seen else None,
                "department": c.department,
                "first_agent": agents[0] if agents else None,
                "last_agent": agents[-1] if agents else None,
                "started_at": at(c.started_at), "ended_at": at(c.ended_at),
                "legs": len(c.legs), "handlings": len(c.handlings),
                "transfers": len(c.of_type("contact.transferred")),
                "wait_ms": sum(leg.wait_ms or 0 for leg in c.legs),
                "handle_ms": sum(h.handle_ms or 0 for h in c.handlings),
                "outcome": c.outcome, "bot_outcome": c.bot_outcome,
                "resolved": c.latest("contact.wrapped", "resolved"),
                "messages": len(c.final_messages), "first_response_ms": c.first_response_ms,
                "anomalies": names(anomalies), "revision": len(c.log),
            })
        return rows

    def kpi(self, kind: str = "slot") -> list[dict]:
        return kpi.kpi_rows(self.contacts, self.settings, self.now, self.zone,
                            self.slot_minutes, kind)

    def table(self, name: str) -> tuple[list[str], list[dict]]:
        if name in KPI_TABLES:
            return kpi.COLUMNS, self.kpi(KPI_TABLES[name])
        return {"legs": lambda: (LEGS, self.legs()),
                "handlings": lambda: (HANDLINGS, self.handlings()),
                "contacts": lambda: (CONTACTS, self.contact_rows())}[name]()

    def perhaps_too_late(self, correlation_ms: int) -> int:
        """Contacts with a silence so long that an engine may have closed them meanwhile."""
        return sum(any(later["time"] - earlier["time"] > correlation_ms
                       for earlier, later in zip(c.log, c.log[1:])) for c in self.contacts)


def at(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def names(anomalies: set[str]) -> str | None:
    return ";".join(sorted(anomalies)) or None


def write_csv(columns: list[str], rows: list[dict], out) -> None:
    """NULL is an empty field, a boolean `true` or `false`, a double has all its digits."""
    def plain(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else value
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([plain(row[column]) for column in columns] for row in rows)


def parse_queue(text: str, defaults: QueueRules) -> tuple[str, QueueRules]:
    """`name=SALES,target=15,short=3,department=Shop`; all but the name may be left out."""
    parts = dict(part.split("=", 1) for part in text.split(","))
    name = parts.pop("name")
    rules = QueueRules(
        target_ms=round(float(parts.pop("target", defaults.target_ms / 1000)) * 1000),
        short_ms=round(float(parts.pop("short", defaults.short_ms / 1000)) * 1000),
        department=parts.pop("department", None))
    if parts:
        raise ValueError(f"unknown key `{min(parts)}`")
    return name, rules


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("events", help="JSON lines, plain or .gz")
    args.add_argument("--table", required=True,
                      choices=["legs", "handlings", "contacts", *KPI_TABLES])
    args.add_argument("--out", help="CSV file (default: stdout)")
    args.add_argument("--zone", default="Asia/Shanghai")
    args.add_argument("--slot", type=int, default=30, choices=[15, 30, 60], help="minutes")
    args.add_argument("--target", type=float, default=20, help="target wait, seconds")
    args.add_argument("--short", type=float, default=5, help="short abandon, seconds")
    args.add_argument("--queue", action="append", default=[],
                      help="name=N[,target=S][,short=S][,department=D]; repeatable")
    args.add_argument("--lateness", type=float, default=600, help="seconds")
    args.add_argument("--acw-timeout", type=float, default=1800, help="seconds")
    args.add_argument("--contact-timeout", action="append", default=[],
                      help="seconds for all channels, or CHANNEL=SECONDS; repeatable")
    args.add_argument("--correlation", type=float, default=3600, help="seconds; for the note only")
    given = args.parse_args()

    defaults = QueueRules(round(given.target * 1000), round(given.short * 1000))
    every, by_channel = Settings().contact_timeout_ms, {}
    for text in given.contact_timeout:
        channel, _, seconds = text.rpartition("=")
        if channel:
            by_channel[channel] = round(float(seconds) * 1000)
        else:
            every = round(float(seconds) * 1000)
    settings = Settings(
        defaults=defaults, queues=dict(parse_queue(text, defaults) for text in given.queue),
        lateness_ms=round(given.lateness * 1000), acw_timeout_ms=round(given.acw_timeout * 1000),
        contact_timeout_ms=every, channel_timeout_ms=by_channel)

    events, rejects = read_events(given.events)
    answer = Answer(events, settings, ZoneInfo(given.zone), given.slot)
    columns, rows = answer.table(given.table)
    if given.out:
        with open(given.out, "w", encoding="utf-8", newline="") as out:
            write_csv(columns, rows, out)
    else:
        write_csv(columns, rows, sys.stdout)
    print(f"{len(events)} events, {len(answer.contacts)} contacts, {len(rows)} rows, "
          f"rejects: {dict(sorted(rejects.items()))}", file=sys.stderr)
    silent = answer.perhaps_too_late(round(given.correlation * 1000))
    if silent:
        print(f"note: {silent} contacts are silent for more than {given.correlation:g} s between two "
              "events; an engine that had closed them may call the later ones too_late",
              file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
