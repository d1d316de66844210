"""Asks the panels of the dashboards about an outage whose truth is known; see outage.sh.

    outage.py CALLPULSE LAKE DASHBOARDS BACKTEST QUEUE FROM TO
"""

import csv
import datetime
import io
import json
import re
import subprocess
import sys
import zoneinfo

callpulse, lake, dashboards, backtest, flooded, began, ended = sys.argv[1:]


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


BEGAN, ENDED = time_of(began), time_of(ended)
SLOT = datetime.timedelta(minutes=30)


def panels(board):
    """All panels of a dashboard, those in rows too."""
    left = json.load(open(f"{dashboards}/{board}.json", encoding="utf-8"))["panels"]
    while left:
        panel = left.pop()
        left += panel.get("panels", [])
        yield panel


def ask(board, title, since, until, queue=None):
    """The rows of a panel's statement over a span of time, for all queues or one; macros and variables as Grafana fills them."""
    [target] = [target for panel in panels(board) if panel.get("title") == title for target in panel["targets"]]
    span = f"'{since.isoformat()}' AND '{until.isoformat()}'"
    sql = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {span}", target["rawSql"])
    chosen = {"queue": f"'{queue}'" if queue else "'__all'"}
    sql = re.sub(r"\$(queue|channel|department|agent)\b", lambda name: chosen.get(name[1], "'__all'"), sql)
    answer = subprocess.run(
        [callpulse, "sql", "--data-dir", lake, "--format", "csv", sql], capture_output=True, encoding="utf-8"
    )
    assert answer.returncode == 0, f"{title}: {answer.stderr}"
    rows = list(csv.DictReader(io.StringIO(answer.stdout)))
    assert rows, f"the panel `{title}` shows nothing"
    return rows


def share(row, name):
    return float(row[name]) if row[name] else None


# The centre's whole day, as the operator has it on the screen; the outage has at least one whole slot.
midnight = BEGAN.astimezone(zoneinfo.ZoneInfo("Asia/Shanghai")).replace(hour=0, minute=0, second=0, microsecond=0)
day = (midnight, midnight + datetime.timedelta(days=1))
first_whole = BEGAN.replace(minute=0, second=0, microsecond=0)
while first_whole < BEGAN - datetime.timedelta(minutes=5):
    first_whole += SLOT
zoomed = (first_whole, first_whole + SLOT - datetime.timedelta(milliseconds=1))
assert first_whole + SLOT <= ENDED + datetime.timedelta(minutes=10), f"no slot lies within {began} to {ended}"


def is_before(start):
    return start + SLOT <= BEGAN + datetime.timedelta(minutes=5)


# 1. Where: the flooded queue stands out of its own course and of the others.
offered = {}
for row in ask("queues-and-slots", "Offered by queue, by slot", *day):
    offered.setdefault(row["queue"], {})[time_of(row["time"])] = int(row["offered"])
times = {}
for queue, slots in offered.items():
    before = [count for start, count in slots.items() if is_before(start)]
    if sum(before) >= 20:
        times[queue] = slots.get(first_whole, 0) / (sum(before) / len(before))
others = max(factor for queue, factor in times.items() if queue != flooded)
assert times[flooded] >= 2.5 and times[flooded] >= 1.5 * others, f"traffic against before: {times}"
print(f"  Offered by queue, by slot: {flooded} has {times[flooded]:.1f} times its traffic, any other {others:.1f} at most")

# 2. What it costs: the rates of this queue fall in that slot, and were good before.
rates = {time_of(row["time"]): row for row in ask("queues-and-slots", "Answer rate, service level, abandon rate, by slot", *day, flooded)}
before = [share(row, "answer rate") for start, row in rates.items() if is_before(start)]
during = rates[first_whole]
assert before and min(before) > 0.8, f"answer rate before: {before}"
assert share(during, "answer rate") < 0.7 < min(before), f"answer rate during the outage: {during}"
assert share(during, "abandon rate") > 0.3, during
print(f"  Answer rate, by slot: {min(before):.2f} before, {share(during, 'answer rate'):.2f} in the outage; "
      f"service level {share(during, 'service level'):.2f}, abandon rate {share(during, 'abandon rate'):.2f}")

# 3. The table of queues, zoomed to that slot: the flooded one has most of what was abandoned.
table = ask("queues-and-slots", "Queues in the chosen time", *zoomed)
abandoned = {}
for row in table:
    abandoned[row["queue"]] = abandoned.get(row["queue"], 0) + int(row["abandoned"])
assert max(abandoned, key=abandoned.get) == flooded, abandoned
assert all(int(row["ledger_gap"]) == 0 for row in table), table
print(f"  Queues in the chosen time: {abandoned[flooded]} of {sum(abandoned.values())} that hung up waited for {flooded}; ledger gap 0")

# 4. The way down to the contacts: the longest waits are of this queue.
waits = ask("queues-and-slots", "Longest waits without an answer", *zoomed)[:20]
of_it = sum(row["queue"] == flooded for row in waits)
assert of_it >= len(waits) / 2 and all(row["contact_id"] for row in waits), waits
print(f"  Longest waits without an answer: {of_it} of the first {len(waits)} are of {flooded}, each with its contact")

# 5. Why: what the customers say.
said = [row for row in ask("voice-of-the-customer", "Phrases", *day) if row["speaker"] == "customer"]
assert said[0]["category"] == "crisis", said[:3]
print(f"  Phrases: customers say `{said[0]['phrase']}` most, {said[0]['contacts']} contacts ({said[0]['category']})")

# 6. The rules tell of it, of this queue first, within ten minutes.
samples, rule = {}, None
for line in open(backtest, encoding="utf-8"):
    if line.startswith("  {"):
        samples[rule].append(json.loads(line))
    elif re.fullmatch(r"\w+\n", line):
        rule = line.strip()
        samples[rule] = []
for rule in ("service_level_low", "abandon_rate_high"):
    told = [time_of(hit["time"]) for hit in samples[rule] if hit["queue"] == flooded and BEGAN <= time_of(hit["time"]) <= ENDED]
    assert told, f"{rule} does not tell of {flooded}: {samples[rule]}"
    after = (min(told) - BEGAN).total_seconds()
    assert after <= 600, f"{rule} tells of {flooded} after {after} s"
    print(f"  {rule}: told of {flooded} {after / 60:.1f} minutes after the outage began")
