#!/usr/bin/env bash
# Questions about 25 months of a large centre, to callpulse, DuckDB and chDB, over the same Parquet files.
#
#   LEGS=100000000 benches/trends.sh        needs some 30 GB in $TMPDIR; LEGS=10000000 a tenth of it
#   LAKE=DIR benches/trends.sh              keeps the lake there, and asks the one that is there already
#
# A week of the simulated centre is replayed into a lake, and told again for each of 109 weeks, with contacts and customers of
# their own. Then dates that are over are summed up (`callpulse maintain`, timed), the lake is served, and each question is put
# to each engine until it was answered three times; the shortest time counts, and the answers must be the same. At the end
# twelve panels are asked for at once.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/real/lib.sh
legs=${LEGS:-100000000} weeks=109
target=${CARGO_TARGET_DIR:-target}
[ -n "${BUILT:-}" ] || cargo build --release --locked --bin callpulse
callpulse=${BINARY:-$target/release/callpulse}
peer=$(benches/peers/fetch.sh trends)

work=$(mktemp -d) service=
lake=${LAKE:-$work/lake}
clean() {
    [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true
    tests/real/kafka.sh stop "$work/kafka" || true
    rm -rf "$work"
}
trap clean EXIT

settings=(--data-dir "$lake" --set lake.events=false --set timezone=Asia/Shanghai)
if [ ! -e "$lake" ]; then
    # Of ten contacts some eight enter a queue; a centre of this rate has them in a week.
    contacts=$((legs / weeks * 10 / 8)) rate=$(awk -v n="$legs" 'BEGIN { printf "%.2f", n / 1.5e6 }')
    # The lake is told again in whole weeks that end yesterday.
    start=$(date -u -d "$((weeks * 7 + 7)) days ago" +%Y-%m-%dT16:00:00Z)
    "$callpulse" simulate --contacts "$contacts" --rate "$rate" --start "$start" --set timezone=Asia/Shanghai --out "$work/events.jsonl" 2> /dev/null
    "$callpulse" replay "${settings[@]}" "$work/events.jsonl" 2> "$work/replay.log" || { tail "$work/replay.log"; exit 1; }
    rm "$work/events.jsonl"
    "$peer" benches/trends.py spread "$lake" "$weeks"
fi
du -sh "$lake" | awk '{ print "on disk: " $1 }'

say "sums of the dates that are over:"
TIMEFORMAT='%R s, %U CPU-s'
time "$callpulse" maintain "${settings[@]}" --set lake.vacuum_hours=10000 2> "$work/maintain.log" || { tail "$work/maintain.log"; exit 1; }
du -sh "$lake/_sums" | awk '{ print "sums on disk: " $1 }'

port=$(free_port)
tests/real/kafka.sh start "$work/kafka" "$port"
tests/real/kafka.sh topic "$work/kafka" still 1
http=127.0.0.1:$(free_port)
CALLPULSE_LOG=warn "$callpulse" run "${settings[@]}" --http "$http" --pg 127.0.0.1:0 --flight 127.0.0.1:0 --set sql.timeout_secs=600 --set sql.memory_mib=8192 \
    --set "kafka.brokers=127.0.0.1:$port" --set kafka.group=still --set 'kafka.topics=[{name="still"}]' --set kafka.dead_letter_topic= &
service=$!
ready() { kill -0 "$service" || fail "the service has ended"; curl -fs -o /dev/null "http://$http/readyz"; }
wait_for 300 "the service is ready" ready
"$peer" benches/trends.py ask "$lake" "http://$http"
awk '/VmHWM/ { printf "most memory of callpulse: %d MiB\n", $2 / 1024 }' "/proc/$service/status"
