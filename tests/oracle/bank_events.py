"""Converts calls of the "Anonymous Bank" (tab-separated) to canonical events, JSON lines.

How a row is rendered
- `vru_entry` is contact.started and contact.bot_started, `vru_exit` is contact.bot_ended.
- AGENT: queued at `vru_exit`, answered `q_time` later (at once without a queue), ended
  `ser_time` after that, wrapped at the same moment (no after-contact work).
- HANG with a queue: queued at `vru_exit`, ended by the customer `q_time` later.
- HANG without a queue: the bot ended as abandoned; never queued, so never offered.
- PHANTOM: left out.

How dirt is survived. What is odd is named under `attributes.dirt` of contact.started.
- `vru_exit` before `vru_entry`: both are kept as they are written, since the slot goes by
  `vru_exit`; the contact.started then comes after later steps in event time.
- Midnight: `date` is the day of `vru_entry`; `vru_exit` is taken from the day on which it
  lies within 12 hours of it; queue and service are added as durations, so that the written
  ends, which wrap, are not needed.
- HANG with service time: the outcome is believed, the service is not.
- AGENT without server: agent `unknown`. Without start, or with a service of zero: a talk
  of `ser_time` (0) from the moment the wait ends.
- A row that cannot be read, or with an outcome of another name, is left out and counted.
- Overlapping services of one agent need nothing: each contact stands for itself.
"""

import argparse
import json
import sys
from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from events import RANK
from slots import to_ms

HALF_DAY = timedelta(hours=12)
DAY = timedelta(days=1)
UNKNOWN_AGENTS = {"", "NO_SERVER"}


def read_rows(path: str) -> tuple[list[dict], Counter]:
    """The rows as dicts by column name, each distinct row once, and what was left out."""
    left_out = Counter()
    with open(path, encoding="utf-8", errors="replace") as lines:
        header = [name.strip() for name in next(lines, "").rstrip("\r\n").split("\t")]
        rows = {}
        for line in lines:
            if not line.strip():
                continue
            cells = tuple(cell.strip() for cell in line.rstrip("\r\n").split("\t"))
            if len(cells) < len(header):
                left_out["too few columns"] += 1
            elif cells in rows:
                left_out["repeated row"] += 1
            else:
                rows[cells] = dict(zip(header, cells))
    return list(rows.values()), left_out


def clock(text: str) -> timedelta:
    hours, minutes, seconds = (int(part) for part in text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def near(day: datetime, text: str, reference: datetime) -> datetime:
    """The wall-clock time on the day that brings it within 12 hours of the reference."""
    moment = day + clock(text)
    if moment - reference > HALF_DAY:
        return moment - DAY
    if reference - moment > HALF_DAY:
        return moment + DAY
    return moment


def seconds(text: str, name: str, dirt: list[str]) -> int:
    """A duration in milliseconds; a negative one is 0 and dirt."""
    value = int(text)
    if value < 0:
        dirt.append(f"negative_{name}")
    return max(value, 0) * 1000


def contact_events(row: dict, contact_id: str, zone: ZoneInfo) -> list[dict]:
    """The events of one row. Raises ValueError where the row cannot be read."""
    dirt = []
    day = datetime.strptime(row["date"], "%y%m%d")
    entry_wall = day + clock(row["vru_entry"])
    exit_wall = near(day, row["vru_exit"], entry_wall)
    entry, left_vru = (to_ms(wall.replace(tzinfo=zone)) for wall in (entry_wall, exit_wall))
    wait = seconds(row["q_time"], "q_time", dirt)
    talk = seconds(row["ser_time"], "ser_time", dirt)
    has_queue = wait > 0 or clock(row["q_start"]) != timedelta(0) \
        or clock(row["q_exit"]) != timedelta(0)
    served = row["outcome"] == "AGENT"
    agent = "unknown" if row["server"] in UNKNOWN_AGENTS else row["server"]

    if left_vru < entry:
        dirt.append("vru_exit_before_entry")
    if not served and talk > 0:
        dirt.append("service_of_a_hang_up")
    if served and agent == "unknown":
        dirt.append("no_server")
    if served and clock(row["ser_start"]) == timedelta(0):
        dirt.append("no_service_start")
    if served and talk == 0:
        dirt.append("zero_service")

    common = {"contact_id": contact_id, "channel": "voice"}
    if row["customer_id"] not in ("", "0"):
        common["customer_id"] = row["customer_id"]
    known = {"direction": "inbound", "tier": row["priority"],
             "attributes": {"line": row["vru+line"], "call_id": row["call_id"], "dirt": dirt}}

    def event(step, at, **fields):
        return {"id": f"{contact_id}:{step}", "type": f"contact.{step}", "time": at,
                **common, **fields}

    events = [event("started", entry, **known), event("bot_started", entry)]
    if not served and not has_queue:
        return events + [event("bot_ended", left_vru, outcome="abandoned"),
                         event("ended", left_vru, by="customer")]
    events += [event("bot_ended", left_vru, outcome="handover"),
               event("queued", left_vru, queue=row["type"])]
    if not served:
        return events + [event("ended", left_vru + wait, by="customer")]
    # Who hung up is not known, so contact.ended names nobody.
    end = left_vru + wait + talk
    return events + [event("answered", left_vru + wait, agent_id=agent),
                     event("ended", end),
                     event("wrapped", end, agent_id=agent)]


def convert(path: str, zone: ZoneInfo) -> tuple[list[dict], Counter]:
    """All events in the order (time, rank, id), and a count of the rows left out and why."""
    rows, left_out = read_rows(path)
    events, taken = [], Counter()
    for row in rows:
        if row.get("outcome") == "PHANTOM":
            left_out["phantom"] += 1
            continue
        if row.get("outcome") not in ("AGENT", "HANG"):
            left_out["unknown outcome"] += 1
            continue
        # call_id is unique for a line and a day only.
        contact_id = f"{row['date']}-{row['vru+line']}-{row['call_id']}"
        taken[contact_id] += 1
        if taken[contact_id] > 1:
            contact_id += f"-{taken[contact_id]}"
        try:
            events += contact_events(row, contact_id, zone)
        except (ValueError, OverflowError):
            left_out["unreadable row"] += 1
    events.sort(key=lambda e: (e["time"], RANK[e["type"]], e["id"]))
    return events, left_out


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("file")
    args.add_argument("--out", help="JSON lines (default: stdout)")
    args.add_argument("--zone", default="Asia/Jerusalem")
    given = args.parse_args()
    zone = ZoneInfo(given.zone)
    events, left_out = convert(given.file, zone)
    out = open(given.out, "w", encoding="utf-8") if given.out else sys.stdout
    with out:
        for event in events:
            out.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    contacts = sum(e["type"] == "contact.started" for e in events)
    print(f"{contacts} contacts, {len(events)} events, left out: {dict(sorted(left_out.items()))}",
          file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
