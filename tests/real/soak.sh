#!/usr/bin/env bash
# A service under a steady load: memory stays flat, lag zero, files bounded, nothing is lost, and the ledger closes at every
# look. Files that compaction has replaced stay for an hour at least, for readers of older versions; they are told of, and
# those that are in force are bounded.
#
#   soak.sh BINARY [MINUTES]    MINUTES: 30 unless said otherwise
#   environment: WARM (minutes before them, 25: a contact that is over is watched for twenty, so memory grows for that long),
#   RATE (events/s; default 500: take half of what the machine sustains), LOOK (seconds between two looks, 15),
#   FILES_MAX (files that the newest versions of the tables are made of, 300), GROWTH_MIB (most that memory may grow from the first half to the second, 64; or by a twentieth where that is more), KEEP=1
set -euo pipefail
callpulse=$(realpath "${1:?usage: soak.sh BINARY [MINUTES]}")
warm=${WARM:-25}
minutes=$((${2:-30} + warm))
. "$(dirname "$0")/lib.sh"

rate=${RATE:-500} look=${LOOK:-15} files_max=${FILES_MAX:-300} growth_max=${GROWTH_MIB:-64}
work=$(mktemp -d) service= producer=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 12 "$work"/*.log >&2 || true
    for process in $producer $service; do kill -KILL "$process" 2> /dev/null || true; done
    "$here/kafka.sh" stop "$work/kafka" || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

port=$(free_port)
"$here/kafka.sh" start "$work/kafka" "$port"
brokers=127.0.0.1:$port
"$here/kafka.sh" topic "$work/kafka" soak 4
http=127.0.0.1:$(free_port)
# It is afternoon in the simulated centre, whatever the clock says: its agents are at work. At 15:00 it publishes the next day's
# shifts, for ten minutes: before what is measured, or after it.
hour=$([ "$((10#$(date -u +%M)))" -ge 5 ] && echo 15 || echo 14)
away=$(((10#$(date -u +%H) - hour + 36) % 24 - 12))
zone=Etc/GMT$([ "$away" -ge 0 ] && echo "+$away" || echo "$away")
cat > "$work/run.toml" <<TOML
data_dir = "$work/lake"
timezone = "$zone"
# What a slot holds grows while it runs and goes when the next begins. Slots as long as half of what is measured make the two
# halves alike in that, wherever in a slot they begin.
slot_minutes = 15
# Closed contacts stay in memory for this long, an hour by default; here so that what goes weighs against what comes well
# before the middle of the run.
correlation_secs = 120
lateness_secs = 60
[kafka]
brokers = "$brokers"
group = "soak"
topics = [{ name = "soak" }]
dead_letter_topic = ""
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
[lake]
commit_secs = 5
snapshot_secs = 60
compact_every_secs = 60
vacuum_hours = 1
TOML
"$callpulse" run -c "$work/run.toml" > "$work/run.log" 2>&1 &
service=$!
wait_for 120 "the service answers" curl -fs -o "$work/healthz" "http://$http/healthz"
metric() {
    { curl -fs "http://$http/metrics" || true; } | awk -v name="callpulse_$1" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}
# Data files in force: what the log of each table adds and does not remove.
live_files() {
    "$python" - "$work/lake" <<'PYTHON'
import glob, json, sys
live = set()
for log in glob.glob(f"{sys.argv[1]}/*/_delta_log"):
    for commit in sorted(glob.glob(f"{log}/*.json")):
        for line in open(commit, encoding="utf-8"):
            action = json.loads(line)
            if "add" in action:
                live.add((log, action["add"]["path"]))
            if "remove" in action:
                live.discard((log, action["remove"]["path"]))
print(len(live))
PYTHON
}
# What the process itself holds; pages of the program and of files that are mapped are the system's to take back.
memory() { awk '/RssAnon/ { print int($2 / 1024) }' "/proc/$service/status"; }

"$callpulse" simulate --live --calm --contacts $((rate * (minutes * 60 + 120) / 10)) --rate "$rate" --seed 8 --set timezone="$zone" \
    --brokers "$brokers" --topic soak > "$work/simulate.log" 2>&1 &
producer=$!
echo "second events lag rss_mib live_files ledger_gap files" > "$work/looks"
began=$SECONDS
lagging=0
while [ $((SECONDS - began)) -lt $((minutes * 60)) ]; do
    sleep "$look"
    kill -0 "$service" || fail "the service has ended by itself"
    kill -0 "$producer" 2> /dev/null || fail "the producer has ended by itself"
    lag=$(metric consumer_lag) gap=$(metric ledger_gap)
    echo "$((SECONDS - began)) $(metric events_total) $lag $(memory) $(live_files) $gap $(find "$work/lake" -type f | wc -l)" >> "$work/looks"
    [ "$gap" -eq 0 ] || fail "the ledger does not close: $gap"
    # A look may fall between two fetches: it is the lag that stays which counts.
    if [ "$lag" -gt $((rate * 5)) ]; then lagging=$((lagging + 1)); else lagging=0; fi
    [ "$lagging" -lt 3 ] || fail "it does not keep up: a lag of $lag"
done
kill -TERM "$producer" && wait "$producer" 2> /dev/null || true
producer=
caught_up() { [ "$(metric consumer_lag)" -eq 0 ]; }
wait_for 60 "a lag of zero at the end" caught_up
consumed=$(metric records_consumed_total)
kill -TERM "$service"
code=0
wait "$service" || code=$?
service=
[ "$code" -eq 0 ] || fail "callpulse run ended with $code"
stored=$(sql_number "select count(*) from events" -c "$work/run.toml")
[ "$stored" -eq "$consumed" ] || fail "$stored of $consumed records are stored"
# Memory, once it is warm: the mean of the second half against that of the first.
"$python" - "$work/looks" "$growth_max" "$files_max" "$((warm * 60))" <<'PYTHON'
import sys
rows = [[int(cell) for cell in line.split()] for line in list(open(sys.argv[1]))[1:]]
rows = [row for row in rows if row[0] >= int(sys.argv[4])]
n = len(rows)
if n < 10:
    sys.exit(f"FAILED: only {n} looks")
mean = lambda part: sum(row[3] for row in part) / len(part)
first, last = mean(rows[:n // 2]), mean(rows[n // 2:])
tenths = " ".join(f"{mean(rows[n * i // 10:n * (i + 1) // 10]):.0f}" for i in range(10))
files = max(row[4] for row in rows)
lag = max(row[2] for row in rows)
print(f"  {n} looks from {rows[0][0]} to {rows[-1][0]} s: {rows[-1][1]} events, greatest lag {lag}, memory {first:.0f} MiB in the first half and "
      f"{last:.0f} MiB in the second (by tenths {tenths}; most {max(row[3] for row in rows)}), at most {files} data files in force, "
      f"{rows[-1][6]} files of all kinds at the end")
if last - first > max(int(sys.argv[2]), first / 20):
    sys.exit(f"FAILED: memory grows by {last - first:.0f} MiB")
if files > int(sys.argv[3]):
    sys.exit(f"FAILED: {files} data files in force")
PYTHON
say "nothing lost: $stored records consumed and stored, ledger gap 0 at every look"
