#!/usr/bin/env bash
# Produce to visible: how old a record is when /metrics and SQL show it, at 10, 50 and 80 per cent of a rate that the service
# can keep up with (SUSTAINABLE events a second; benches/pipeline.sh tells it), over a real Kafka.
#
#   SUSTAINABLE=60000 SECONDS_EACH=60 benches/latency.sh
#
# Broker, simulator, service and probes share the machine; so does what they cost.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
sustainable=${SUSTAINABLE:-60000} each=${SECONDS_EACH:-60} partitions=${PARTITIONS:-4}
build --bin callpulse
callpulse=$target/release/callpulse

begin
# The simulated centre is in its morning, whatever the clock says: then its rate is what it was asked for.
away=$((10#$(date -u +%H) - 10))
zone=Etc/GMT$([ "$away" -ge 0 ] && echo "+$away" || echo "$away")
consumed() {
    curl -fs "http://$http/metrics" | awk '/^callpulse_records_consumed_total/ { sum += $NF } END { printf "%d\n", sum }'
}
ready() { curl -fs -o /dev/null "http://$http/readyz"; }
for share in 10 50 80; do
    topic=latency-$share
    tests/real/kafka.sh topic "$work/kafka" "$topic" "$partitions"
    rate=$((sustainable * share / 100))
    http=127.0.0.1:$(free_port)
    CALLPULSE_LOG=warn "$callpulse" run --set timezone="$zone" --data-dir "$work/lake-$share" --http "$http" --pg 127.0.0.1:0 --flight 127.0.0.1:0 \
        --set kafka.brokers="$brokers" --set "kafka.group=$topic" --set "kafka.topics=[{name=\"$topic\"}]" \
        --set kafka.dead_letter_topic= &
    service=$!
    wait_for 60 "the service is ready" ready
    # Contacts a second: each has about 13 events. Enough of them that the load outlasts the probes.
    "$callpulse" simulate --contacts $((rate * (each + 30) / 13)) --rate "$rate" --live --set timezone="$zone" --brokers "$brokers" \
        --topic "$topic" --partitions "$partitions" 2> "$work/simulate.log" &
    load=$!
    sleep 5
    before=$(consumed)
    sleep 2
    echo "$share % of the sustainable rate: $rate events a second asked for, $((($(consumed) - before) / 2)) seen"
    "$python" benches/latency.py "$brokers" "$topic" "http://$http" "$each"
    kill "$load" 2> /dev/null || true
    wait "$load" 2> /dev/null || true
    load=''
    kill -TERM "$service"
    wait "$service"
    service=''
done
