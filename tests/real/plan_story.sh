#!/usr/bin/env bash
# The demo's tomorrow (or the day after): a forecast, a roster with a hole at ten o'clock, an alert that the slot will fail, another roster, and the
# gap is closed; the score before and after.
#
#   plan_story.sh BINARY      environment: PYTHON, KEEP=1 keeps the directory, DAYS (8) and RATE (0.12) of the history that the
#                             demo finds in its lake (a long run: DAYS=28 RATE=1), LIMIT (5) seconds that a change may take
set -euo pipefail
callpulse=$(realpath "${1:?usage: plan_story.sh BINARY}")
. "$(dirname "$0")/lib.sh"
days=${DAYS:-8} rate=${RATE:-0.12} limit=${LIMIT:-5}

work=$(mktemp -d)
stop() {
    [ -z "${demo:-}" ] || { kill "$demo" 2> /dev/null || true; wait "$demo" 2> /dev/null || true; }
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap stop EXIT

# A history up to the demo's day, so that there is something to learn from. The demo lives now where that is a working day's
# noon, else at half past ten of the last one.
day=$("$python" -c '
from datetime import datetime, timedelta, timezone
now = datetime.now(timezone(timedelta(hours=8)))
back = 0
if not (9 <= now.hour < 20 and now.weekday() < 5):
    while True:
        at = (now - timedelta(days=back)).replace(hour=10, minute=30, second=0, microsecond=0)
        if at.weekday() < 5 and at <= now:
            break
        back += 1
print((now - timedelta(days=back)).date())')
start=$(date -d "$day -$days days" +%Y-%m-%dT00:00:00+08:00)
("$callpulse" simulate --rate "$rate" --contacts 1000000 --seed 5 --start "$start" --out - 2> /dev/null || true) \
    | "$python" -c '
import json, sys
from datetime import datetime, timezone
end = datetime.fromisoformat(sys.argv[1] + "T00:00:00+08:00")
for line in sys.stdin:
    time = json.loads(line)["time"]
    at = datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time / 1000, timezone.utc)
    if at >= end:
        break
    sys.stdout.write(line)
' "$day" > "$work/history.jsonl"
say "history: $(wc -l < "$work/history.jsonl") events of $days days"
"$callpulse" --data-dir "$work/lake" replay "$work/history.jsonl" 2> "$work/replay.log" || { cat "$work/replay.log"; fail "replay"; }

# The simulated centre publishes its own roster of tomorrow at three in the afternoon; from then on the day after is planned.
cat > "$work/rules.toml" <<'TOML'
[[rule]]
name = "slot_will_fail"
title = "A slot to come has too few agents"
clear_secs = 0
when = { slot_fails = { within_secs = 216000, missing = 1 } }
TOML
http=$(free_port) pg=$(free_port) flight=$(free_port)
roster=$work/roster.csv
echo agent_id,start,end,queues,role > "$roster"
"$callpulse" demo --rate 5 --http "127.0.0.1:$http" --pg "127.0.0.1:$pg" --flight "127.0.0.1:$flight" --data-dir "$work/lake" \
    --set "roster=$roster" --set "rules=$work/rules.toml" > "$work/demo.log" 2>&1 &
demo=$!

"$python" - "http://127.0.0.1:$http" "$roster" "$limit" <<'PYTHON'
import csv, json, os, sys, time, urllib.error, urllib.request
from datetime import datetime

url, roster, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def sql(text):
    return ask("/api/v1/sql", {"sql": text})


def until(what, seconds, look):
    """Waits until `look` has an answer; how long that took."""
    began = time.monotonic()
    while True:
        try:
            found = look()
        except (OSError, urllib.error.HTTPError):
            found = None
        if found:
            return found, time.monotonic() - began
        if time.monotonic() - began > seconds:
            sys.exit(f"FAILED: not within {seconds} s: {what}")
        time.sleep(0.2)


def within(what, took):
    print(f"  {what}: {took:.1f} s")
    if took > limit:
        sys.exit(f"FAILED: {what} took {took:.1f} s, more than {limit:g} s")


def hour():
    return sql("SELECT (CAST(arrow_cast(now(), 'Int64') AS BIGINT) - CAST(arrow_cast(local_day(now()), 'Int64') AS BIGINT)) / 3600000000 AS hour")


clock, _ = until("an answer", 300, hour)
day = 1 if clock[0]["hour"] < 13 else 2
TOMORROW = f"slot_start >= local_clock(now(), {day}, 0) AND slot_start < local_clock(now(), {day + 1}, 0)"
plan, took = until("a forecast for tomorrow", 300, lambda: sql(
    f"SELECT slot_start, queue, SUM(contacts) AS contacts, SUM(agents_required) AS needed, MAX(model) AS model "
    f"FROM forecast_slot WHERE {TOMORROW} GROUP BY slot_start, queue ORDER BY slot_start, queue"))
print(f"  forecast for tomorrow: {sum(row['contacts'] for row in plan):.0f} contacts in {len(plan)} slots of queues")
ten = sql(f"SELECT local_clock(now(), {day}, 600) AS ten")[0]["ten"]
busiest = max((row for row in plan if row["slot_start"] == ten), key=lambda row: row["needed"])
queue = busiest["queue"]
until("the service is ready", 300, lambda: urllib.request.urlopen(url + "/readyz", timeout=10).status == 200)


def write(hole):
    """A roster that has whoever is needed in every slot, but for the hole."""
    with open(roster + ".new", "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["agent_id", "start", "end", "queues", "role"])
        for row in plan:
            start = datetime.fromisoformat(row["slot_start"])
            end = datetime.fromtimestamp(start.timestamp() + 1800, start.tzinfo)
            for at in range(0 if hole and (row["slot_start"], row["queue"]) == (ten, queue) else int(row["needed"])):
                rows.writerow([f"plan-{row['queue']}-{at}", start.isoformat(), end.isoformat(), row["queue"], "agent"])
    os.replace(roster + ".new", roster)


def slot():
    return sql(f"SELECT SUM(agents_staffed) AS staffed, SUM(agents_required) AS needed, SUM(gap) AS gap, bool_or(fails) AS fails "
               f"FROM staff_slot WHERE queue = '{queue}' AND slot_start = local_clock(now(), {day}, 600)")[0]


def filled():
    other = sql(f"SELECT SUM(agents_staffed) AS staffed FROM staff_slot WHERE {TOMORROW}")[0]
    return (other["staffed"] or 0) > 0


def score():
    return sql("SELECT score, fit_score, failing_score, failing_slots, under FROM schedule_score WHERE period = 'day' "
               f"AND department = '(all)' AND start = local_clock(now(), {day}, 0)")[0]


def alerts():
    # The alert of that hole, by its slot; today's own roster of the demo may have others.
    start = datetime.fromisoformat(ten).timestamp() * 1000
    told = ask("/api/v1/alerts?rule=slot_will_fail&limit=1000")
    return [alert for alert in told if alert["queue"] == queue
            and alert["figures"]["slot_start_ms"] <= start < alert["figures"]["slot_end_ms"]]


write(hole=True)
_, took = until("the roster", 60, filled)
within("the roster with a hole is in force", took)
before = slot()
print(f"  {queue} at 10:00 tomorrow: needs {before['needed']}, has {before['staffed']:g}, fails: {before['fails']}")
if not (before["fails"] and before["gap"] < 0):
    sys.exit("FAILED: the hole is no gap")
alert, took = until("an alert that the slot will fail", 60, alerts)
within("an alert says that the slot will fail", took)
worse = score()

write(hole=False)
after, took = until("the gap is closed", 60, lambda: (lambda found: found if found["gap"] >= 0 else None)(slot()))
within("the gap is closed", took)
print(f"  {queue} at 10:00 tomorrow: needs {after['needed']}, has {after['staffed']:g}")
_, took = until("the end of the alert", 60, lambda: not alerts())
print(f"  the alert is over: {took:.1f} s later")
better = score()
for name in ("score", "fit_score", "failing_score", "failing_slots", "under"):
    print(f"  {name}: {worse[name]} before, {better[name]} after")
if not (better["score"] > worse["score"] and better["failing_slots"] < worse["failing_slots"]):
    sys.exit("FAILED: the score is not better")
PYTHON
echo "plan story: ok"
