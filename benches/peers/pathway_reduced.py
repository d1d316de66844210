"""The reduced job in Pathway (one worker: its free edition offers at-least-once, which is what it is measured with).

pathway_reduced.py BROKERS TOPIC OUTPUT EVENTS: ends when EVENTS events are counted.
"""

import os
import sys
import threading
import time

import pathway as pw

brokers, topic, output, wanted = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
SLOT_MS = 30 * 60 * 1000


class Event(pw.Schema):
    time: str
    queue: str | None
    duration_ms: int | None
    dial_ms: int | None


events = pw.io.kafka.read(
    {
        "bootstrap.servers": brokers,
        "group.id": f"pathway-reduced-{os.getpid()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": "false",
        "fetch.queue.backoff.ms": "5",
    },
    topic=topic,
    schema=Event,
    format="json",
    autocommit_duration_ms=2000,
)
named = events.filter(pw.this.queue.is_not_none()).select(
    queue=pw.this.queue,
    at=pw.this.time.dt.strptime("%Y-%m-%dT%H:%M:%S.%3f%:z"),
    duration_ms=pw.coalesce(pw.this.duration_ms, 0),
    dial_ms=pw.coalesce(pw.this.dial_ms, 0),
)
slots = named.select(
    pw.this.queue,
    pw.this.duration_ms,
    pw.this.dial_ms,
    slot=pw.this.at.dt.timestamp(unit="ms").num.fill_na(0) // SLOT_MS,
)
sums = slots.groupby(pw.this.slot, pw.this.queue).reduce(
    pw.this.slot,
    pw.this.queue,
    events=pw.reducers.count(),
    duration_ms=pw.reducers.sum(pw.this.duration_ms),
    dial_ms=pw.reducers.sum(pw.this.dial_ms),
)

rows = {}


def changed(key, row, time, is_addition):
    at = (int(row["slot"]) * SLOT_MS, row["queue"])
    if is_addition:
        rows[at] = (row["events"], row["duration_ms"], row["dial_ms"])
    elif rows.get(at) == (row["events"], row["duration_ms"], row["dial_ms"]):
        del rows[at]


pw.io.subscribe(sums, on_change=changed)


def watch():
    while sum(row[0] for row in list(rows.values())) < wanted:
        time.sleep(0.5)
    with open(output, "w", encoding="utf-8") as out:
        for (slot, queue), row in sorted(rows.items()):
            print(slot, queue, *row, sep=",", file=out)
    os._exit(0)


threading.Thread(target=watch, daemon=True).start()
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
