#!/usr/bin/env bash
# What goes wrong around callpulse, with a real Kafka: each time it says what is wrong, loses nothing, and goes on by itself
# when the fault is over.
#
#   faults.sh BINARY [NAME...]    NAME: config broker retention partition disk readonly; all unless said otherwise
#   environment: CONTACTS (default 600), SEED (3), KEEP=1 keeps the directory. disk and readonly need root (a tmpfs).
set -euo pipefail
callpulse=$(realpath "${1:?usage: faults.sh BINARY [NAME...]}")
shift
names=${*:-config broker retention partition disk readonly}
. "$(dirname "$0")/lib.sh"

contacts=${CONTACTS:-600} seed=${SEED:-3}
work=$(mktemp -d) service= http= mounted=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 12 "$work"/*.log >&2 || true
    [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true
    "$here/kafka.sh" stop "$work/kafka" || true
    [ -z "$mounted" ] || umount "$mounted" || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

"$callpulse" simulate --contacts "$contacts" --seed "$seed" --out - > "$work/events.jsonl" 2> "$work/simulate.log"
events=$(wc -l < "$work/events.jsonl")
key_events "$work/events.jsonl" > "$work/keyed"
head -n "$((events / 2))" "$work/keyed" > "$work/first"
tail -n "+$((events / 2 + 1))" "$work/keyed" > "$work/second"
port=$(free_port) brokers=
broker() { "$here/kafka.sh" start "$work/kafka" "$port"; brokers=127.0.0.1:$port; }
# A producer that tries again keeps the order only as an idempotent one.
feed() { kcat -P -b "$brokers" -t "$1" -K $'\t' -z lz4 -X partitioner=murmur2_random -X enable.idempotence=true -l "$2"; }

# config NAME DIR TOPICS: writes NAME.toml.
config() {
    http=127.0.0.1:$(free_port)
    cat > "$work/$1.toml" <<TOML
data_dir = "$2"
[kafka]
brokers = "$brokers"
group = "$1"
topics = $3
dead_letter_topic = ""
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
[lake]
commit_secs = 1
TOML
}
serve() { # NAME
    "$callpulse" run -c "$work/$1.toml" >> "$work/$1.log" 2>&1 &
    service=$!
    wait_for 60 "the service $1 answers" curl -fs -o "$work/healthz" "http://$http/healthz"
}
stop_service() {
    kill -TERM "$service"
    local code=0
    wait "$service" || code=$?
    service=
    [ "$code" -eq 0 ] || fail "callpulse run ended with $code"
}
metric() {
    { curl -fs "http://$http/metrics" || true; } | awk -v name="callpulse_$1" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}
consumed() { [ "$(metric records_consumed_total)" -ge "$1" ]; }
ready() { curl -fs -o "$work/readyz" "http://$http/readyz"; }
# Not ready for this reason: half of the events make it be behind too, for a moment and before any commit is tried.
says_lake_fails() {
    local said
    said=$(curl -s "http://$http/readyz" || true)
    [[ $said == *'the lake cannot be written'* ]]
}
rows() { sql_number "select count(*) from events" --data-dir "$1" 2> /dev/null; }

check_config() {
    printf 'slot_minutes = 7\nlateness_sec = 1\n[kafka]\ntopics = "x"\n' > "$work/wrong.toml"
    local code=0
    "$callpulse" run -c "$work/wrong.toml" > "$work/wrong.out" 2>&1 || code=$?
    [ "$code" -eq 78 ] || fail "config: exit code $code"
    local told
    for told in 'wrong.toml, line 1' 'wrong.toml, line 2' 'wrong.toml, line 4' 'lateness_secs'; do
        grep -q "$told" "$work/wrong.out" || { cat "$work/wrong.out" >&2; fail "config: \`$told\` is not named"; }
    done
    say "config: refused as a whole with code 78, each error with its line and a hint"
}

check_broker() {
    "$here/kafka.sh" topic "$work/kafka" broker 4
    config broker "$work/broker.lake" '[{ name = "broker" }]'
    feed broker "$work/first"
    serve broker
    wait_for 120 "the first half" consumed "$(wc -l < "$work/first")"
    "$here/kafka.sh" stop "$work/kafka"
    sleep 20
    kill -0 "$service" || fail "broker: callpulse has ended with the broker"
    local lines
    lines=$(grep -c 'Kafka: ' "$work/broker.log" || true)
    [ "$lines" -ge 1 ] || fail "broker: not a word about the broker"
    [ "$lines" -le 12 ] || fail "broker: $lines lines about the broker in 20 s"
    broker
    feed broker "$work/second"
    wait_for 120 "everything after the broker came back" consumed "$events"
    [ "$(metric records_consumed_total)" -eq "$events" ] || fail "broker: something was read twice"
    [ "$(metric records_missing_total)" -eq 0 ] || fail "broker: a gap where there is none"
    stop_service
    [ "$(rows "$work/broker.lake")" -eq "$events" ] || fail "broker: $(rows "$work/broker.lake") of $events events"
    say "broker: away for 20 s, $lines lines in the log, $events events once"
}

check_retention() {
    "$here/kafka.sh" topic "$work/kafka" retention 1
    config retention "$work/retention.lake" '[{ name = "retention" }]'
    feed retention "$work/first"
    serve retention
    local first
    first=$(wc -l < "$work/first")
    wait_for 120 "the first half" consumed "$first"
    stop_service
    feed retention "$work/second"
    "$here/kafka.sh" cut "$work/kafka" retention 0 $((first + 100))
    serve retention
    wait_for 120 "the rest" consumed $((events - first - 100))
    [ "$(metric records_missing_total)" -eq 100 ] || fail "retention: $(metric records_missing_total) of 100 missing records"
    grep -q '100 records are gone from Kafka before they were read' "$work/retention.log" \
        || fail "retention: the gap is not in the log"
    stop_service
    [ "$(rows "$work/retention.lake")" -eq $((events - 100)) ] || fail "retention: another number of events"
    say "retention: 100 records deleted before they were read: said in the log and on /metrics, the rest is read"
}

check_partition() {
    "$here/kafka.sh" topic "$work/kafka" wide 2
    config partition "$work/partition.lake" '[{ name = "wide" }]'
    feed wide "$work/first"
    serve partition
    wait_for 120 "the first half" consumed "$(wc -l < "$work/first")"
    "$here/kafka.sh" widen "$work/kafka" wide 3
    kcat -P -b "$brokers" -t wide -p 2 -K $'\t' -l "$work/second"
    wait_for 120 "the added partition" consumed "$events"
    lag_of_added() {
        curl -fs -o "$work/page" "http://$http/metrics" && grep -q '^callpulse_consumer_lag{.*partition="2".*} 0$' "$work/page"
    }
    wait_for 20 "the lag of the added partition is known, and 0" lag_of_added
    stop_service
    [ "$(rows "$work/partition.lake")" -eq "$events" ] || fail "partition: another number of events"
    "$here/kafka.sh" topic "$work/kafka" narrow 2
    config together "$work/together.lake" '[{ name = "wide" }, { name = "narrow" }]'
    sed -i 's/^dead_letter_topic/co_partitioned = true\n&/' "$work/together.toml"
    local code=0
    "$callpulse" run -c "$work/together.toml" > "$work/together.out" 2>&1 || code=$?
    { [ "$code" -eq 78 ] && grep -q 'co-partitioned topics differ' "$work/together.out" && grep -q 'hint' "$work/together.out"; } \
        || { cat "$work/together.out" >&2; fail "partition: unequal co-partitioned topics, code $code"; }
    say "partition: one was added and is read; unequal co-partitioned topics are refused with a hint"
}

# small_disk NAME: a file system of its own, if we may.
small_disk() {
    mounted=$work/$1.disk
    mkdir -p "$mounted"
    mount -t tmpfs -o size=24m tmpfs "$mounted" 2> /dev/null || { mounted=; return 1; }
}

check_disk() {
    small_disk disk || { say "disk: ignored (no right to mount a tmpfs)"; return 0; }
    "$here/kafka.sh" topic "$work/kafka" disk 2
    config disk "$mounted/lake" '[{ name = "disk" }]'
    feed disk "$work/first"
    serve disk
    wait_for 120 "the first half" consumed "$(wc -l < "$work/first")"
    dd if=/dev/zero of="$mounted/filler" bs=64k > "$work/dd.log" 2>&1 || true
    feed disk "$work/second"
    wait_for 120 "not ready, for the lake cannot be written" says_lake_fails
    [ "$(metric lake_commit_failures_total)" -ge 1 ] || fail "disk: no failed commit is counted"
    grep -q 'cannot be written now' "$work/disk.log" || fail "disk: not a word about it"
    [ "$(sql_number "select count(*) from events" --url "http://$http")" -le "$events" ] || fail "disk: too many events"
    rm "$mounted/filler"
    wait_for 180 "ready again" ready
    wait_for 120 "everything" consumed "$events"
    stop_service
    [ "$(rows "$mounted/lake")" -eq "$events" ] || fail "disk: $(rows "$mounted/lake") of $events events"
    umount "$mounted" && mounted=
    say "disk: full, said so, not ready; free again: $events events once"
}

check_readonly() {
    small_disk readonly || { say "readonly: ignored (no right to mount a tmpfs)"; return 0; }
    config readonly "$mounted/lake" '[{ name = "broker" }]'
    mount -o remount,ro "$mounted"
    local code=0
    timeout 60 "$callpulse" run -c "$work/readonly.toml" > "$work/readonly.out" 2>&1 || code=$?
    { { [ "$code" -eq 78 ] || [ "$code" -eq 69 ]; } && grep -q 'hint' "$work/readonly.out"; } \
        || { cat "$work/readonly.out" >&2; fail "readonly: code $code"; }
    umount "$mounted" && mounted=
    say "readonly: refused at the start with code $code and a hint"
}

case " $names " in *" broker "* | *" retention "* | *" partition "* | *" disk "*) broker ;; *) brokers=127.0.0.1:9 ;; esac
for name in $names; do "check_$name"; done
