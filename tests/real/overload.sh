#!/usr/bin/env bash
# A backlog that is there before callpulse starts, and hot keys: one queue that has nine calls of ten, one contact with very
# many messages. Memory stays bounded, lag falls to 0, every event is counted once.
#
#   overload.sh BINARY    environment: CONTACTS (default 2000), MESSAGES of the one contact (20000; the long form has
#                         1000000), MEMORY_MIB allowed (1500), KEEP=1 keeps the directory
set -euo pipefail
callpulse=$(realpath "${1:?usage: overload.sh BINARY}")
. "$(dirname "$0")/lib.sh"

contacts=${CONTACTS:-2000} messages=${MESSAGES:-20000} allowed=${MEMORY_MIB:-1500}
work=$(mktemp -d) service=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 12 "$work"/*.log >&2 || true
    [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true
    "$here/kafka.sh" stop "$work/kafka" || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap clean EXIT

# The centre of the simulator, where nine queues of ten become one; and the contact that never stops talking.
"$callpulse" simulate --contacts "$contacts" --seed 9 --out - > "$work/events.jsonl" 2> "$work/simulate.log"
"$python" - "$work/events.jsonl" "$messages" > "$work/hot.jsonl" <<'PYTHON'
import json, random, sys
dice = random.Random(9)
hot = set()
last = 0
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    queue = event.get("queue")
    if queue and (queue in hot or len(hot) < 8):
        hot.add(queue)
        event["queue"] = "hot"
    sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")
start = json.loads(open(sys.argv[1], encoding="utf-8").readline())["time"]
import datetime
at = datetime.datetime.fromisoformat(start.replace("Z", "+00:00")) if isinstance(start, str) else None
base = int(at.timestamp() * 1000) if at else start
count = int(sys.argv[2])
def tell(number, kind, time, **more):
    event = {"id": f"hot-{number}", "type": kind, "time": time, "contact_id": "the-one", "channel": "chat", **more}
    sys.stdout.write(json.dumps(event) + "\n")
tell(0, "contact.queued", base, queue="hot")
tell(1, "contact.answered", base + 1000, agent_id="a-hot")
for i in range(count):
    tell(i + 2, "message", base + 2000 + i * 20, **{"from": dice.choice(["customer", "agent"]), "text": "are you there"})
tell(count + 2, "contact.ended", base + 3000 + count * 20, by="customer")
tell(count + 3, "contact.wrapped", base + 4000 + count * 20, agent_id="a-hot")
PYTHON
events=$(wc -l < "$work/hot.jsonl")
key_events "$work/hot.jsonl" > "$work/keyed"
port=$(free_port)
"$here/kafka.sh" start "$work/kafka" "$port"
brokers=127.0.0.1:$port
"$here/kafka.sh" topic "$work/kafka" backlog 4
kcat -P -b "$brokers" -t backlog -K $'\t' -z lz4 -X partitioner=murmur2_random -X enable.idempotence=true -l "$work/keyed"
say "backlog: $events events of $contacts contacts, one of them with $messages messages"

http=127.0.0.1:$(free_port)
cat > "$work/run.toml" <<TOML
data_dir = "$work/lake"
# The one contact is told after all the others.
lateness_secs = 604800
[kafka]
brokers = "$brokers"
group = "overload"
topics = [{ name = "backlog" }]
dead_letter_topic = ""
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
[lake]
commit_secs = 2
TOML
began=$SECONDS
"$callpulse" run -c "$work/run.toml" > "$work/run.log" 2>&1 &
service=$!
wait_for 60 "the service answers" curl -fs -o "$work/healthz" "http://$http/healthz"
metric() {
    { curl -fs "http://$http/metrics" || true; } | awk -v name="callpulse_$1" '
        $1 == name || index($1, name "{") == 1 { sum += $NF } END { printf "%d\n", sum }'
}
code=$(curl -s -o "$work/readyz" -w '%{http_code}' "http://$http/readyz")
behind() { metric consumer_lag; }
[ "$code" -eq 503 ] || [ "$(behind)" -le 10000 ] || fail "ready with a lag of $(behind)"
all() { [ "$(metric records_consumed_total)" -ge "$events" ] && [ "$(behind)" -eq 0 ]; }
wait_for 1500 "all $events events" all
took=$((SECONDS - began))
[ "$(metric records_consumed_total)" -eq "$events" ] || fail "$(metric records_consumed_total) of $events records"
[ "$(metric events_total)" -eq "$events" ] || fail "$(metric events_total) of $events events counted"
[ "$(metric ledger_gap)" -eq 0 ] || fail "the ledger does not close"
told=$(sql_number "select messages from contacts where contact_id = 'the-one'" --url "http://$http")
[ "$told" = "$messages" ] || fail "the one contact has \`$told\` messages"
memory=$(($(awk '/VmHWM/ { print $2 }' "/proc/$service/status") / 1024))
kill -TERM "$service"
code=0
wait "$service" || code=$?
service=
[ "$code" -eq 0 ] || fail "callpulse run ended with $code"
stored=$(sql_number "select count(*) from events" --data-dir "$work/lake")
[ "$stored" = "$events" ] || fail "$stored of $events events are stored"
say "caught up in $took s ($((events / (took > 0 ? took : 1))) events/s), most memory (VmHWM) $memory MiB, nothing lost"
[ "$memory" -le "$allowed" ] || fail "more than $allowed MiB"
