#!/usr/bin/env bash
# What growth costs: CPU-seconds per million events, events/s and memory of the whole pipeline, as partitions, queues, open
# contacts, phrases and slots of the day grow, one at a time, the rest as in the first line of each.
#
#   benches/growth.sh                                   builds the release binary first; half an hour on two cores
#   EVENTS=1000000 OPEN="10000 100000 1000000" OUT=growth.svg benches/growth.sh
#
# Each line is a run of `callpulse run` over a topic of a real Kafka, into an empty lake, from start to durable rows: about
# 3 CPU-seconds of each are the start itself. Without words and rules but where phrases grow.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
events=${EVENTS:-1000000} out=${OUT:-}
build --bin callpulse
callpulse=${BINARY:-$target/release/callpulse}

begin
: > "$work/no-rules.toml"
quiet=(--set 'lexicons=[]' --set "rules=\"$work/no-rules.toml\"")
"$callpulse" simulate --contacts $((events / 14)) --rate 1000 --out "$work/events.jsonl" 2> /dev/null

# The events on standard input, each behind its key, to a topic.
produce() { # TOPIC PARTITIONS
    tests/real/kafka.sh topic "$work/kafka" "$1" "$2"
    kcat -P -b "$brokers" -t "$1" -K $'\t' -X compression.codec=lz4 -X linger.ms=50 -q
}
step=0
through() { # WHAT SIZE TOPIC RECORDS MORE...: one run, and its line
    local what=$1 size=$2 topic=$3 records=$4
    shift 4
    step=$((step + 1))
    read_through "$brokers" "$topic" "$records" "$work/lake-$step" "$@"
    rm -rf "$work/lake-$step"
    awk -v what="$what" -v size="$size" -v n="$records" -v consuming="$consuming" -v used="$used" -v most="$most" -v open="$open" 'BEGIN {
        printf "%-14s %8d %9d events %8.0f events/s %6.2f CPU-s per million %6d MiB at most %8d contacts open at the end\n",
            what, size, n, n / consuming, used / n * 1e6, most, open }' | tee -a "$work/table"
}

records=$(wc -l < "$work/events.jsonl")
for size in ${PARTITIONS:-1 4 16 64}; do
    "$python" benches/growth.py key < "$work/events.jsonl" | produce "partitions-$size" "$size"
    through partitions "$size" "partitions-$size" "$records" "${quiet[@]}"
done
for size in ${QUEUES:-10 100 1000 5000}; do
    "$python" benches/growth.py key "$size" < "$work/events.jsonl" | produce "queues-$size" 4
    through queues "$size" "queues-$size" "$records" "${quiet[@]}"
done
for size in ${SLOTS:-60 30 15}; do
    through "slot minutes" "$size" partitions-4 "$records" "${quiet[@]}" --set "slot_minutes=$size"
done
for size in ${PHRASES:-100 1000 10000 50000}; do
    "$python" benches/growth.py phrases "$size" > "$work/phrases-$size.toml"
    through phrases "$size" partitions-4 "$records" --set "lexicons=[\"$work/phrases-$size.toml\"]" --set "rules=\"$work/no-rules.toml\""
done
for size in ${OPEN:-10000 100000 1000000}; do
    "$python" benches/growth.py open 0 "$size" | produce "open-$size" 4
    through "open contacts" "$size" "open-$size" $((size * 3)) "${quiet[@]}"
done
[ -z "$out" ] || "$python" benches/growth.py plot "$work/table" > "$out"
