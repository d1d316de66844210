#!/usr/bin/env bash
# Several instances of one consumer group on one lake, each pinned to one core: how fast they read together, what it costs in
# CPU-seconds, and that the figures are those of one instance, byte for byte.
#
#   benches/scale_out.sh                     builds the release binary first
#   EVENTS=3000000 INSTANCES="1 2 4" benches/scale_out.sh
#
# Instance i is pinned to core i of those that there are, so several share one where there are fewer; Kafka runs on the same cores.
# Seconds count from the first record produced until all are consumed; all instances are ready before. CPU-seconds are those
# of the instances since they were ready. Without words and rules.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
events=${EVENTS:-3000000} partitions=${PARTITIONS:-8} cores=$(nproc)
build --bin callpulse
callpulse=${BINARY:-$target/release/callpulse}

begin
: > "$work/no-rules.toml"
"$callpulse" simulate --contacts $((events / 14)) --rate 1000 --out "$work/events.jsonl" 2> /dev/null
"$python" benches/growth.py key < "$work/events.jsonl" > "$work/keyed"
rm "$work/events.jsonl"
total=$(wc -l < "$work/keyed")

all() { # NAME: the sum of a metric over all instances
    local sum=0 one
    for one in "${https[@]}"; do sum=$((sum + $(metric "$one" "$1"))); done
    echo "$sum"
}
ready() {
    local one
    for one in "${services[@]}"; do kill -0 "$one" 2> /dev/null || fail "an instance has ended"; done
    for one in "${https[@]}"; do curl -fs -o /dev/null "http://$one/readyz" || return 1; done
}
spent() {
    local service
    for service in "${services[@]}"; do cpu "$service"; echo; done | awk '{ sum += $1 } END { print sum }'
}
for n in ${INSTANCES:-1 2 4}; do
    tests/real/kafka.sh topic "$work/kafka" "calls-$n" "$partitions"
    tests/real/kafka.sh topic "$work/kafka" "fleet-$n" 1
    services=() https=()
    for i in $(seq 0 $((n - 1))); do
        https[i]=127.0.0.1:$(free_port)
        CALLPULSE_LOG=warn taskset -c $((i % cores)) "$callpulse" run --data-dir "$work/lake-$n" --http "${https[i]}" --set 'pg.listen="off"' --set 'flight.listen="off"' \
            --set kafka.brokers="$brokers" --set "kafka.group=scale-$n" --set "kafka.topics=[{name=\"calls-$n\"}]" --set kafka.dead_letter_topic= \
            --set "kafka.fleet_topic=fleet-$n" --set 'lexicons=[]' --set "rules=\"$work/no-rules.toml\"" &
        services[i]=$!
    done
    wait_for 120 "$n instances are ready" ready
    sleep 10
    before=$(spent) began=$(date +%s.%N)
    kcat -P -b "$brokers" -t "calls-$n" -K $'\t' -X compression.codec=lz4 -X linger.ms=50 -X partitioner=murmur2_random -q -l "$work/keyed"
    while [ "$(all records_consumed_total)" -lt "$total" ]; do sleep 0.2; done
    seconds=$(since "$began") used=$(spent) shares=
    for one in "${https[@]}"; do shares="$shares $(($(metric "$one" records_consumed_total) * 100 / total))"; done
    for service in "${services[@]}"; do kill -TERM "$service"; done
    for service in "${services[@]}"; do wait "$service"; done
    services=()
    "$callpulse" sql --data-dir "$work/lake-$n" --format csv "select * from kpi_slot order by slot_start, channel, queue, department" > "$work/figures-$n"
    [ "$(wc -l < "$work/figures-$n")" -gt 1 ] || fail "no figures"
    first=${first:-$n}
    cmp "$work/figures-$first" "$work/figures-$n" || fail "$n instances tell other figures than $first"
    alone=${alone:-$seconds}
    awk -v n="$n" -v cores="$cores" -v events="$total" -v seconds="$seconds" -v alone="$alone" -v cpu="$used" -v before="$before" -v shares="$shares" 'BEGIN {
        printf "%d instances on %d of %d cores: %d events in %.1f s (%.0f k/s, %.2f times the first), %.2f CPU-s per million; shares of the records, in per cent:%s\n",
            n, n < cores ? n : cores, cores, events, seconds, events / seconds / 1e3, alone / seconds, (cpu - before) / events * 1e6, shares }'
    rm -rf "$work/lake-$n"
done
say "figures are equal: $(wc -l < "$work/figures-$first") lines of kpi_slot"
