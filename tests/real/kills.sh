#!/usr/bin/env bash
# Two instances of one consumer group on one lake, killed (`kill -9`) at random moments while a producer writes a known set
# of events. In the end either answers for both, and `legs`, `handlings`, `contacts`, `messages` and `kpi_slot` equal those of
# a replay without faults, byte for byte; `alerts` of contacts, complaints and promises agree with those of a service that reads
# the same topic without faults, in rule, cause (the id follows from both) and event time.
#
#   kills.sh BINARY [KILLS]    KILLS: 100 unless said otherwise
#   environment: CONTACTS (default 4000), SEED (5), CHANCE (seed of the moments; printed), KEEP=1 keeps the directory
set -euo pipefail
callpulse=$(realpath "${1:?usage: kills.sh BINARY [KILLS]}")
kills=${2:-100}
. "$(dirname "$0")/lib.sh"

contacts=${CONTACTS:-4000} seed=${SEED:-5} chance=${CHANCE:-$((RANDOM * 32768 + RANDOM))}
RANDOM=$((chance % 32768))
work=$(mktemp -d)
services=("" "" "") https=("" "" "") producer=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 12 "$work"/*.log >&2 || true
    for service in "${services[@]}" $producer; do kill -KILL "$service" 2> /dev/null || true; done
    "$here/kafka.sh" stop "$work/kafka" || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

"$callpulse" simulate --contacts "$contacts" --seed "$seed" --out - > "$work/events.jsonl"
events=$(wc -l < "$work/events.jsonl")
say "$contacts contacts, $events events, $kills kills, CHANCE=$chance"
"$callpulse" replay --data-dir "$work/files.lake" "$work/events.jsonl" 2> "$work/replay.log" || fail "replay"

declare -A order=(
    [legs]=contact_id,leg [handlings]=contact_id,handling [contacts]=contact_id [messages]=contact_id,id
    [kpi_slot]=slot_start,channel,queue,department
)
# tables DIR MORE...: every column of every row, in order.
tables() {
    local dir=$1 table
    shift
    mkdir -p "$dir"
    for table in "${!order[@]}"; do
        "$callpulse" sql "$@" --format csv "select * from $table order by ${order[$table]}" > "$dir/$table.csv" \
            2> "$dir/$table.err" || { cat "$dir/$table.err" >&2; fail "sql cannot answer for $table"; }
        ! grep -q warning "$dir/$table.err" || { cat "$dir/$table.err" >&2; fail "$table: the writers disagree"; }
        [ "$(wc -l < "$dir/$table.csv")" -gt 1 ] || fail "$table has no rows, so nothing would be compared"
    done
}
tables "$work/want" --data-dir "$work/files.lake"

port=$(free_port)
"$here/kafka.sh" start "$work/kafka" "$port"
brokers=127.0.0.1:$port
"$here/kafka.sh" topic "$work/kafka" calls 6
key_events "$work/events.jsonl" > "$work/keyed"

start_instance() { # NUMBER [NAME FLEET_TOPIC]: one of the two, or a third of a group and a lake of its own
    local n=$1 name=${2:-kills} fleet=${3-fleet}
    https[n]=127.0.0.1:$(free_port)
    cat > "$work/$n.toml" <<TOML
data_dir = "$work/$name.lake"
[kafka]
brokers = "$brokers"
group = "$name"
topics = [{ name = "calls" }]
dead_letter_topic = ""
fleet_topic = "$fleet"
# A dead member is noticed as soon as the broker allows.
properties = { "session.timeout.ms" = "6000", "heartbeat.interval.ms" = "1000" }
[http]
listen = "${https[n]}"
[pg]
listen = "off"
[flight]
listen = "off"
[lake]
commit_secs = 1
snapshot_secs = 5
compact_every_secs = 20
TOML
    "$callpulse" run -c "$work/$n.toml" >> "$work/$n.log" 2>&1 &
    services[n]=$!
}

# metric NUMBER NAME: the sum over all series of a metric; 0 where there is none.
metric() {
    { curl -fs "http://${https[$1]}/metrics" || true; } | awk -v name="callpulse_$2" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}

# The producer: the set in pieces, so that it lasts as long as the kills.
pieces=$((kills * 4))
split -n "l/$pieces" -a 4 "$work/keyed" "$work/piece."
(
    for piece in "$work"/piece.*; do
        kcat -P -b "$brokers" -t calls -K $'\t' -z lz4 -X partitioner=murmur2_random -X enable.idempotence=true -l "$piece"
        sleep 1.3
    done
) > "$work/producer.log" 2>&1 &
producer=$!

start_instance 0
start_instance 1
done_kills=0 busy=0
while [ "$done_kills" -lt "$kills" ]; do
    n=$((RANDOM % 2))
    # Mostly when it has begun to read, sometimes while it starts or takes partitions on.
    if [ $((RANDOM % 4)) -ne 0 ]; then
        for _ in $(seq 40); do
            [ "$(metric $n records_consumed_total)" -eq 0 ] || break
            sleep 0.5
        done
    fi
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    [ "$(metric $n records_consumed_total)" -eq 0 ] || busy=$((busy + 1))
    if ! kill -0 "${services[n]}" 2> /dev/null; then
        wait "${services[n]}" || fail "instance $n ended by itself with $?"
        fail "instance $n ended by itself"
    fi
    kill -KILL "${services[n]}"
    wait "${services[n]}" 2> /dev/null || true
    done_kills=$((done_kills + 1))
    # Now and then both are down at once.
    if [ $((RANDOM % 8)) -eq 0 ]; then
        other=$((1 - n))
        kill -KILL "${services[other]}" && wait "${services[other]}" 2> /dev/null || true
        done_kills=$((done_kills + 1))
        start_instance $other
    fi
    sleep "0.$((RANDOM % 10))"
    start_instance $n
    [ $((done_kills % 10)) -ne 0 ] || say "$done_kills kills"
done
say "$done_kills kills, $busy of them after the instance had read something"
[ "$((busy * 3))" -ge "$done_kills" ] || fail "too few of the kills met an instance that reads"
wait "$producer" || fail "the producer"
producer=

caught_up() { # Both are ready, nothing lags, and every partition is somebody's.
    local n lag=0 parts=0
    for n in 0 1; do
        curl -fs -o "$work/readyz" "http://${https[n]}/readyz" || return 1
        lag=$((lag + $(metric $n consumer_lag)))
        parts=$((parts + $(curl -fs "http://${https[n]}/metrics" | grep -c '^callpulse_consumer_lag{')))
    done
    [ "$lag" -eq 0 ] && [ "$parts" -eq 6 ]
}
wait_for 180 "caught up after $done_kills kills" caught_up
# While both still run, another program reads the directory: every row is there once, whatever the moment.
sleep 2
twice=$(sql_number "select count(*) - count(distinct contact_id) from contacts" --data-dir "$work/kills.lake" 2> "$work/sql.log")
[ "$twice" = 0 ] || fail "$twice contacts are there twice for a reader beside two writers"
# Each of the two answers for both, and neither says that anything is missing.
answers_for_both() {
    local n query
    for n in 0 1; do
        for query in "select count(*) from events" "select count(*) from legs" "select sum(messages) from contacts"; do
            [ "$(sql_number "$query" --url "http://${https[n]}" 2> "$work/sql.log")" = \
                "$(sql_number "$query" --data-dir "$work/files.lake" 2> "$work/sql2.log")" ] || return 1
            ! grep -q warning "$work/sql.log" || return 1
        done
    done
}
wait_for 120 "both instances answer for both" answers_for_both
say "each of the two instances answers SQL for both"
for n in 0 1; do
    [ "$(metric $n ledger_gap)" -eq 0 ] || fail "instance $n: the ledger does not close"
done
for n in 0 1; do
    kill -TERM "${services[n]}"
    code=0
    wait "${services[n]}" || code=$?
    [ "$code" -eq 0 ] || fail "instance $n ended with $code"
    services[n]=
done
tables "$work/got" --data-dir "$work/kills.lake"
for table in "${!order[@]}"; do
    if ! cmp -s "$work/want/$table.csv" "$work/got/$table.csv"; then
        diff "$work/want/$table.csv" "$work/got/$table.csv" | head -n 20 >&2
        fail "$table differs from the replay without faults (CHANCE=$chance)"
    fi
    say "$table: $(($(wc -l < "$work/got/$table.csv") - 1)) rows, the same bytes"
done
# Alerts, against those of one service that is left in peace. What comes after the last event of a partition is told by the
# clock, as long as a service goes on: only what came true before is compared.
alerts() { # DIR
    "$callpulse" sql --data-dir "$1" --format csv "select rule, alert_id, contact_id, dossier, event_time from alerts
        where (coalesce(contact_id, '') <> '' or coalesce(dossier, '') <> '') and event_time <= (select min(newest)
            from (select partition, max(time) as newest from events group by partition))
        order by rule, alert_id" 2> "$work/alerts.err" || { cat "$work/alerts.err" >&2; fail "sql cannot answer for alerts"; }
}
start_instance 2 peace ""
all_read() { [ "$(metric 2 records_consumed_total)" -eq "$events" ] && curl -fs -o "$work/readyz" "http://${https[2]}/readyz"; }
wait_for 300 "the service in peace has read everything" all_read
sleep 5
kill -TERM "${services[2]}"
wait "${services[2]}" || fail "the service in peace ended with $?"
services[2]=
alerts "$work/peace.lake" > "$work/want/alerts.csv"
alerts "$work/kills.lake" > "$work/got/alerts.csv"
rules=$(tail -n +2 "$work/want/alerts.csv" | cut -d, -f1 | sort | uniq -c | awk '{ printf "%s%s %d", sep, $2, $1; sep = ", " }')
[ "$(wc -l < "$work/want/alerts.csv")" -gt 20 ] || fail "hardly an alert ($rules), so nothing would be compared"
if ! cmp -s "$work/want/alerts.csv" "$work/got/alerts.csv"; then
    diff "$work/want/alerts.csv" "$work/got/alerts.csv" | head -n 20 >&2
    fail "the alerts differ from those without faults (CHANCE=$chance)"
fi
say "alerts: $(($(wc -l < "$work/got/alerts.csv") - 1)), the same in rule, cause and event time: $rules"
fenced=$(cat "$work"/[01].log | grep -c "given up, and taken on anew" || true)
say "fenced and begun again: $fenced times; gaps: $(cat "$work"/[01].log | grep -c 'are gone from Kafka' || true)"
