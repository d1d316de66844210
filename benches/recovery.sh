#!/usr/bin/env bash
# Start and recovery: with CONTACTS contacts open (a million), how long until the service answers and has caught up, after it
# was stopped in order, and after it was killed while more came in.
#
#   CONTACTS=1000000 benches/recovery.sh
#
# Printed for each start: seconds until /healthz, until /readyz (state restored, assigned, caught up), CPU-seconds and memory
# then, open contacts, and that the ledger closes. Kafka runs on the same machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
contacts=${CONTACTS:-1000000} partitions=${PARTITIONS:-4}
build --bin callpulse
callpulse=${BINARY:-$target/release/callpulse}

begin
tests/real/kafka.sh topic "$work/kafka" open "$partitions"

# Contacts that have begun, wait or talk, and do not end: FIRST LAST, keyed, three events each.
produce() { "$python" benches/growth.py open "$1" "$2" | kcat -P -b "$brokers" -t open -K $'\t' -X compression.codec=lz4 -X linger.ms=50 -q; }
start() { # NAME: starts the service, waits until it has caught up, prints the row
    local began health ready
    http=127.0.0.1:$(free_port)
    began=$(date +%s.%N)
    CALLPULSE_LOG=warn "$callpulse" run --data-dir "$work/lake" --http "$http" --pg 127.0.0.1:0 --flight 127.0.0.1:0 \
        --set kafka.brokers="$brokers" --set kafka.group=recovery --set 'kafka.topics=[{name="open"}]' --set kafka.dead_letter_topic= &
    service=$!
    until curl -fs -o "$work/healthz" "http://$http/healthz"; do kill -0 "$service" || fail "it has ended"; sleep 0.05; done
    health=$(since "$began")
    until curl -fs -o "$work/readyz" "http://$http/readyz" && [ "$(metric "$http" consumer_lag)" -eq 0 ]; do
        kill -0 "$service" || fail "it has ended"
        sleep 0.1
    done
    ready=$(since "$began")
    sleep 1
    printf '%-28s healthz %6s s  ready %6s s  %6.1f CPU-s  %5d MiB  %8d open contacts  ledger gap %d\n' "$1" "$health" "$ready" \
        "$(cpu "$service")" \
        "$(awk '/VmRSS/ { print int($2 / 1024) }' "/proc/$service/status")" "$(metric "$http" open_contacts)" "$(metric "$http" ledger_gap)"
}
end() { # SIGNAL
    local began
    began=$(date +%s.%N)
    kill "-$1" "$service"
    wait "$service" 2> /dev/null || true
    service=
    printf '%-28s %6s s\n' "ended by SIG$1" "$(since "$began")"
}
produce 0 "$contacts"
start "from nothing"
end TERM
start "after a stop in order"
# A tenth more comes in; it is killed in the middle of it.
produce "$contacts" $((contacts + contacts / 20))
produce $((contacts + contacts / 20)) $((contacts + contacts / 10)) &
more=$!
sleep 1
end KILL
wait "$more"
start "after kill -9 and a tenth more"
end TERM
