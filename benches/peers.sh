#!/usr/bin/env bash
# callpulse beside the engines that people would pick instead, in one run, on the same machine and the same topic of a real
# Kafka (benches/peers/README.md says how each is set and why).
#
#   benches/peers.sh                                     builds the release benches first
#   EVENTS=6000000 REPEATS=5 PEERS="flink streams pathway" benches/peers.sh
#
# Each does the reduced job: per half-hour slot and queue, how many events name the queue, and two sums. Results are compared
# line by line with callpulse's own. Printed: seconds and CPU-seconds (user + system, client processes only, start included)
# of each run, then the median of each as a ratio to callpulse's reduced job.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/real/lib.sh
events=${EVENTS:-6000000} repeats=${REPEATS:-5} partitions=${PARTITIONS:-4} peers=${PEERS:-flink streams pathway}
target=${CARGO_TARGET_DIR:-target}
[ -n "${BUILT:-}" ] || cargo build --release --locked --bin callpulse --bench kafka_drain --bench reduced
bench() {
    find "$target/release/deps" -maxdepth 1 -name "$1-*" -type f -perm -u+x -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2
}
callpulse=$target/release/callpulse drain=$(bench kafka_drain) reduced=$(bench reduced)

work=$(mktemp -d)
clean() {
    tests/real/kafka.sh stop "$work/kafka" || true
    rm -rf "$work"
}
trap clean EXIT
declare -A path
for peer in $peers; do path[$peer]=$(benches/peers/fetch.sh "$peer"); done
port=$(free_port)
tests/real/kafka.sh start "$work/kafka" "$port"
brokers=127.0.0.1:$port
tests/real/kafka.sh topic "$work/kafka" bench "$partitions"
# A contact has about 13 events, an agent's states come on top.
"$callpulse" simulate --contacts $((events / 13)) --rate 1000 --brokers "$brokers" --topic bench --partitions "$partitions"

TIMEFORMAT='%R %U %S'
# NAME COMMAND... : runs it, notes its time
measure() {
    local name=$1 spent wall user system
    shift
    spent=$({ time "$@" > "$work/$name.log" 2>&1; } 2>&1) || { tail -n 20 "$work/$name.log" >&2; echo "$name failed" >&2; exit 1; }
    read -r wall user system <<< "$spent"
    awk -v name="$name" -v wall="$wall" -v cpu="$(awk "BEGIN { print $user + $system }")" -v n="$total" 'BEGIN {
        printf "%-10s %8.1f s %8.1f CPU-s %8.0f k/s %8.0f k per CPU-s\n", name, wall, cpu, n / wall / 1e3, n / cpu / 1e3
        print name, cpu, wall >> "'"$work"'/figures" }'
}

total=1
drained=$("$drain" batch "$brokers" bench)
total=$(sed -E 's/.*: ([0-9]+) messages.*/\1/' <<< "$drained")
echo "$total events"
for run in $(seq "$repeats"); do
    echo "run $run"
    measure drain "$drain" batch "$brokers" bench
    measure callpulse "$reduced" "$brokers" bench "$work/callpulse.$run"
    counted=$(tail -n 1 "$work/callpulse.log")
    for peer in $peers; do
        out=$work/$peer.$run
        case $peer in
            flink)
                measure flink java -Xmx2g -XX:+UseParallelGC --add-opens=java.base/java.util=ALL-UNNAMED \
                    --add-opens=java.base/java.lang=ALL-UNNAMED -cp "${path[flink]}" FlinkReduced "$brokers" bench "$out" ;;
            streams)
                measure streams java -Xmx2g -XX:+UseParallelGC -cp "${path[streams]}" StreamsReduced "$brokers" bench "$out" \
                    "$counted" "$work/streams-$run" ;;
            pathway)
                measure pathway "${path[pathway]}" benches/peers/pathway_reduced.py "$brokers" bench "$out" "$counted" ;;
        esac
        cmp <(sort "$work/callpulse.$run") <(sort "$out") || { echo "$peer and callpulse disagree" >&2; exit 1; }
    done
done
echo "every line of every result agrees: $(wc -l < "$work/callpulse.1") slots and queues, $counted events"
median() { awk -v name="$1" '$1 == name { print $2 }' "$work/figures" | sort -g | awk '{ of[NR] = $1 } END {
    print NR % 2 ? of[(NR + 1) / 2] : (of[NR / 2] + of[NR / 2 + 1]) / 2 }'; }
own=$(median callpulse)
for name in drain callpulse $peers; do
    awk -v name="$name" -v cpu="$(median "$name")" -v own="$own" -v n="$repeats" 'BEGIN {
        printf "%-10s median of %d: %8.1f CPU-s, %.2f times callpulse'"'"'s reduced job\n", name, n, cpu, cpu / own }'
done
