#!/usr/bin/env bash
# Produce to visible: how old a record is when /metrics, SQL and a webhook show it, at 10, 50 and 80 per cent of a rate that the
# service can keep up with (SUSTAINABLE events a second, words and rules on; tests/real/soak.sh fails beyond it), over a real Kafka.
#
#   SUSTAINABLE=5000 SECONDS_EACH=120 SHARES="10 50 80" benches/latency.sh
#
# Broker, simulator, service and probes share the machine; so does what they cost.
set -euo pipefail
cd "$(dirname "$0")/.."
. benches/lib.sh
sustainable=${SUSTAINABLE:-5000} each=${SECONDS_EACH:-120} shares=${SHARES:-10 50 80} partitions=${PARTITIONS:-4}
build --bin callpulse
callpulse=$target/release/callpulse
probes=$(benches/peers/fetch.sh latency)

begin
# The simulated centre is in its morning, whatever the clock says: then its rate is what it was asked for.
away=$(((10#$(date -u +%H) + 14) % 24))
[ "$away" -le 12 ] || away=$((away - 24))
zone=Etc/GMT$([ "$away" -ge 0 ] && echo "+$away" || echo "$away")
# What the probe of the webhook says, and nobody else.
cat > "$work/rules.toml" <<'TOML'
[[rule]]
name = "probe"
severity = "critical"
when = { keyword = { phrase = "拍岸惊涛", speaker = "customer" } }
TOML
cat > "$work/words.toml" <<'TOML'
[[list]]
category = "probe"
phrases = ["拍岸惊涛"]
TOML
hook=$(free_port)
for share in $shares; do
    topic=latency-$share
    tests/real/kafka.sh topic "$work/kafka" "$topic" "$partitions"
    rate=$((sustainable * share / 100))
    http=127.0.0.1:$(free_port)
    cat > "$work/run.toml" <<TOML
data_dir = "$work/lake-$share"
timezone = "$zone"
rules = ["config/rules.toml", "$work/rules.toml"]
lexicons = ["zh_words", "zh_service", "en", "$work/words.toml"]
[kafka]
brokers = "$brokers"
group = "$topic"
topics = [{ name = "$topic" }]
dead_letter_topic = ""
[http]
listen = "$http"
[pg]
listen = "off"
[flight]
listen = "off"
[[notify]]
name = "hook"
kind = "webhook"
rules = ["probe"]
url = "http://127.0.0.1:$hook/"
TOML
    CALLPULSE_LOG=warn "$callpulse" run -c "$work/run.toml" &
    service=$!
    wait_for 60 "the service is ready" curl -fs -o "$work/ready" "http://$http/readyz"
    # The load begins a quarter of an hour ago, so that contacts of every age are there; what is past is written at once.
    "$callpulse" simulate --contacts $((rate * (each + 1200) / 10)) --rate "$rate" --live --calm --start "$(date -u -d '-15 minutes' +%FT%TZ)" \
        --set timezone="$zone" --brokers "$brokers" --topic "$topic" --partitions "$partitions" > "$work/simulate.log" 2>&1 &
    load=$!
    # Now is reached when what comes in a second is no more than what is asked for.
    before=0 seen=$((rate * 100))
    until [ "$seen" -gt 0 ] && [ "$seen" -lt $((rate * 2)) ]; do
        sleep 5
        kill -0 "$load" || { tail -n 5 "$work/simulate.log" >&2; fail "the simulator has ended"; }
        now=$(metric "$http" records_consumed_total)
        seen=$(((now - before) / 5)) before=$now
    done
    cpu_before=$(cpu "$service") began=$(date +%s.%N)
    "$probes" benches/latency.py "$brokers" "$topic" "http://$http" "$hook" "$each" > "$work/found"
    now=$(metric "$http" records_consumed_total) took=$(since "$began")
    awk -v share="$share" -v rate="$rate" -v n="$((now - before))" -v took="$took" -v cpu="$(cpu "$service")" -v before="$cpu_before" 'BEGIN {
        printf "%d %% of the sustainable rate: %d events a second asked for, %.0f seen, %.2f of a core\n", share, rate, n / took, (cpu - before) / took }'
    cat "$work/found"
    kill "$load" 2> /dev/null || true
    wait "$load" 2> /dev/null || true
    load=''
    kill -TERM "$service"
    wait "$service"
    service=''
done
