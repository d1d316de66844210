#!/usr/bin/env bash
# How long an alert takes from the producer of a message to the webhook that is told, over a real Kafka while RATE messages a
# second go through. Prints p50 and p99, and fails beyond P50_MS and P99_MS.
#
#   alert_latency.sh BINARY     a release build; environment: RATE (5000 messages/s), SECONDS_LONG (60), P50_MS (50), P99_MS (500)
set -euo pipefail
callpulse=$(realpath "${1:?usage: alert_latency.sh BINARY}")
. "$(dirname "$0")/lib.sh"
command -v kcat > /dev/null || { echo "1 skipped: kcat is not installed"; exit 0; }

work=$(mktemp -d) service=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 8 "$work"/*.log >&2 || true
    [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true
    "$here/kafka.sh" stop "$work/kafka" || true
    rm -rf "$work"
}
trap clean EXIT

port=$(free_port)
"$here/kafka.sh" start "$work/kafka" "$port"
for topic in calls dead; do "$here/kafka.sh" topic "$work/kafka" "$topic" 4; done
hook=$(free_port) http=127.0.0.1:$(free_port)
cat > "$work/rules.toml" <<'TOML'
[[rule]]
name = "leaves"
severity = "critical"
when = { keyword = { phrase = "我要销户", speaker = "customer" } }
TOML
cat > "$work/words.toml" <<'TOML'
[[list]]
category = "churn"
phrases = ["我要销户"]
TOML
cat > "$work/callpulse.toml" <<TOML
data_dir = "$work/lake"
rules = ["$work/rules.toml"]
lexicons = ["zh_words", "zh_service", "en", "$work/words.toml"]
[kafka]
brokers = "127.0.0.1:$port"
group = "latency"
topics = [{ name = "calls" }]
dead_letter_topic = "dead"
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
[[notify]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:$hook/"
TOML
"$callpulse" run -c "$work/callpulse.toml" > "$work/service.log" 2>&1 &
service=$!
wait_for 60 "the service is ready" curl -fs -o "$work/ready" "http://$http/readyz"
"$python" "$here/alert_latency.py" --brokers "127.0.0.1:$port" --topic calls --hook "$hook" --rate "${RATE:-5000}" \
    --seconds "${SECONDS_LONG:-60}" --p50 "${P50_MS:-50}" --p99 "${P99_MS:-500}"
echo "alert latency: ok"
