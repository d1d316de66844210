#!/usr/bin/env bash
# Through a real Kafka: the same simulated centre, written by kcat and by callpulse itself, read by `callpulse run`,
# once in peace and once with `kill -9` in between; every answer in SQL is that of the oracle. A real Prometheus scrapes
# meanwhile and agrees.
#
#   kafka_e2e.sh BINARY        environment: CONTACTS (default 3000), SEED (7), PYTHON, KEEP=1 keeps the directory
set -euo pipefail
callpulse=$(realpath "${1:?usage: kafka_e2e.sh BINARY}")
. "$(dirname "$0")/lib.sh"

contacts=${CONTACTS:-3000} seed=${SEED:-7}
work=$(mktemp -d) service=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 8 "$work"/*.log >&2 || true
    [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true
    "$here/prometheus.sh" stop "$work/prometheus" || true
    "$here/kafka.sh" stop "$work/kafka" || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

"$callpulse" simulate --contacts "$contacts" --seed "$seed" --out - > "$work/events.jsonl"
events=$(wc -l < "$work/events.jsonl")
[ "$events" -gt "$contacts" ] || fail "$contacts contacts gave $events events"
say "$contacts contacts, $events events"
ask_oracle "$work/events.jsonl" "$work/want"

port=$(free_port)
"$here/kafka.sh" start "$work/kafka" "$port"
brokers=127.0.0.1:$port
for topic in by-kcat by-callpulse dead; do "$here/kafka.sh" topic "$work/kafka" "$topic" 4; done

key_events "$work/events.jsonl" > "$work/keyed"
kcat -P -b "$brokers" -t by-kcat -K $'\t' -z lz4 -X partitioner=murmur2_random -l "$work/keyed"
"$callpulse" simulate --contacts "$contacts" --seed "$seed" --brokers "$brokers" --topic by-callpulse \
    2> "$work/simulate.log" || { cat "$work/simulate.log" >&2; fail "simulate --brokers"; }

# serve NAME TOPIC: starts the service; sets `service` and `http`.
serve() {
    http=127.0.0.1:$(free_port)
    cat > "$work/$1.toml" <<TOML
data_dir = "$work/$1.lake"
[kafka]
brokers = "$brokers"
group = "$1"
topics = [{ name = "$2" }]
dead_letter_topic = "dead"
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
TOML
    "$callpulse" run -c "$work/$1.toml" >> "$work/$1.log" 2>&1 &
    service=$!
    wait_for 60 "the service $1 answers" curl -fs -o "$work/healthz" "http://$http/healthz"
}

# metric NAME: the sum over all series of a metric; 0 where there is none.
metric() {
    curl -fs "http://$http/metrics" | awk -v name="callpulse_$1" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}

consumed() { [ "$(($(metric events_total) + $(metric rejects_total) + $(metric duplicates_total)))" -ge "$events" ]; }
caught_up() { curl -fs -o "$work/readyz" "http://$http/readyz" && [ "$(metric consumer_lag)" -eq 0 ]; }
some_consumed() { [ "$(metric events_total)" -gt 0 ]; }

stop_service() {
    kill -TERM "$service"
    local code=0
    wait "$service" || code=$?
    service=
    [ "$code" -eq 0 ] || { tail -n 20 "$work/$1.log" >&2; fail "callpulse run ended with $code"; }
}

for topic in by-kcat by-callpulse; do
    serve "$topic" "$topic"
    [ "$topic" != by-kcat ] || { monitor=$(free_port); "$here/prometheus.sh" start "$work/prometheus" "$monitor" "$http"; }
    wait_for 300 "$events events of $topic consumed" consumed
    wait_for 60 "caught up with $topic" caught_up
    [ "$(metric events_total)" -eq "$events" ] || fail "$(metric events_total) of $events events counted"
    [ "$(metric rejects_total)" -eq 0 ] || fail "$(metric rejects_total) events rejected"
    say "$topic: $events events consumed"

    if [ "$topic" = by-kcat ]; then
        curl -fs "http://$http/metrics" | promtool check metrics > "$work/promtool" 2>&1 \
            || { cat "$work/promtool" >&2; fail "promtool finds fault with /metrics"; }
        ask() { "$here/prometheus.sh" ask "$monitor" "$1"; }
        scraped() { [ "$(ask 'sum(callpulse_events_total)')" = "$events" ]; }
        wait_for 30 "Prometheus has scraped the end" scraped
        gap=$(ask 'max(max_over_time(callpulse_ledger_gap[1h]))')
        [ "$gap" = 0 ] || fail "ledger_gap was \`$gap\`"
        for pair in legs_offered_total=offered legs_answered_total=answered legs_abandoned_total=abandoned \
            legs_abandoned_short_total=abandoned_short legs_answered_in_time_total=answered_in_time; do
            seen=$(ask "sum(callpulse_${pair%=*})")
            told=$(sql_number "select sum(${pair#*=}) from kpi_slot" --url "http://$http")
            [ "$seen" = "$told" ] || fail "${pair%=*}: Prometheus has \`$seen\`, SQL \`$told\`"
        done
        say "Prometheus: $(wc -l < <(curl -fs "http://$http/metrics" | grep -v '^#')) series, sums as in SQL, ledger closed"
        "$here/prometheus.sh" stop "$work/prometheus"
    fi
    ask_callpulse "$work/$topic.live" --url "http://$http"
    compare "$work/want" "$work/$topic.live"
    stop_service "$topic"
    ask_callpulse "$work/$topic.stored" --data-dir "$work/$topic.lake"
    compare "$work/want" "$work/$topic.stored"
done

# Killed as soon as something has been read, and once more on the way; what was committed is not written twice.
export CALLPULSE_LAKE_COMMIT_SECS=1
for attempt in 1 2; do
    serve crashed by-kcat
    wait_for 60 "something read (attempt $attempt)" some_consumed
    kill -KILL "$service"
    wait "$service" 2> /dev/null || true
    service=
done
serve crashed by-kcat
wait_for 300 "caught up after two crashes" caught_up
# What is read may still wait for its worker, and a stop would leave it to the next start.
all_taken() { [ "$(sql_number "select count(*) from events" --url "http://$http")" -eq "$events" ]; }
wait_for 60 "every event is taken" all_taken
stop_service crashed
unset CALLPULSE_LAKE_COMMIT_SECS
ask_callpulse "$work/crashed.stored" --data-dir "$work/crashed.lake"
compare "$work/want" "$work/crashed.stored"
