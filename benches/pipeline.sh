#!/usr/bin/env bash
# The whole pipeline against the bare wire, in one run on the same topic: a real Kafka holds EVENTS realistic events (mixed
# types, about 300 bytes, lz4); a bare batch consumer of librdkafka drains them and looks at nothing; then `callpulse run`
# reads them from the beginning into an empty lake (decode, correlate, windows, metrics, Delta tables).
#
#   benches/pipeline.sh                   builds the release binaries first
#   EVENTS=6000000 REPEATS=3 KEEP_EVENTS_TABLE=true WORDS=false benches/pipeline.sh
#
# Printed per run: events/s, CPU-seconds (user + system, of the client process only) per million events, the ratio of the
# two CPU figures, the most memory. KEEP_EVENTS_TABLE=false leaves the table `events` out, as `lake.events` may. WORDS=true reads
# every message by the shipped word lists and goes by the shipped alert rules; false has neither.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
events=${EVENTS:-6000000} repeats=${REPEATS:-3} partitions=${PARTITIONS:-4} keep=${KEEP_EVENTS_TABLE:-true} words=${WORDS:-false}
build --bin callpulse --bench kafka_drain
callpulse=${BINARY:-$target/release/callpulse} drain=$(bench_binary kafka_drain)

without=()
begin
tests/real/kafka.sh topic "$work/kafka" bench "$partitions"
# A contact has about 14 events, with its part of the agents' states.
"$callpulse" simulate --contacts $((events / 14)) --rate 1000 --brokers "$brokers" --topic bench --partitions "$partitions"

: > "$work/no-rules.toml"
[ "$words" = true ] || without=(--set 'lexicons=[]' --set "rules=\"$work/no-rules.toml\"")

for run in $(seq "$repeats"); do
    drained=$("$drain" batch "$brokers" bench)
    echo "run $run  $drained"
    total=$(sed -E 's/.*: ([0-9]+) messages.*/\1/' <<< "$drained")
    drain_cpu=$(sed -E 's/.* ([0-9.]+) CPU-s,.*/\1/' <<< "$drained")
    read_through "$brokers" bench "$total" "$work/lake-$run" --set "lake.events=$keep" "${without[@]}"
    awk -v run="$run" -v n="$total" -v drain="$drain_cpu" -v used="$used" -v most="$most" -v keep="$keep" -v words="$words" \
        -v consuming="$consuming" -v lasting="$lasting" 'BEGIN {
        printf "run %s  callpulse: %d events consumed in %.1f s (%.0f k/s), durable after %.1f s; %.2f CPU-s per million (drain %.2f); ratio %.3f; most memory %s MiB; table events: %s, words: %s\n",
            run, n, consuming, n / consuming / 1e3, lasting, used / n * 1e6, drain / n * 1e6, drain / used, most, keep, words }'
    "$callpulse" sql --data-dir "$work/lake-$run" --format csv \
        "select sum(offered) as offered, sum(answered) as answered, sum(ledger_gap) as ledger_gap from kpi_slot"
    rm -rf "$work/lake-$run"
done
