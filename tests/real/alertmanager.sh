#!/usr/bin/env bash
# A real Alertmanager beside the demo: our alerts are seen in it, one resolved here is over there, and what it tells its
# webhook reaches us.
#
#   alertmanager.sh BINARY     needs prometheus-alertmanager and amtool (Debian: prometheus-alertmanager)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
callpulse=$(realpath "$1")
for tool in prometheus-alertmanager amtool; do
    command -v "$tool" > /dev/null || { echo "1 skipped: $tool is not installed"; exit 0; }
done

dir=$(mktemp -d)
stop() {
    for pid in "${demo:-}" "${manager:-}"; do [ -z "$pid" ] || kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$dir"
}
trap stop EXIT
port=$(free_port) http=$(free_port)
cat > "$dir/am.yml" <<YAML
route: { receiver: callpulse, group_wait: 0s, group_interval: 1s, group_by: ['...'] }
receivers:
  - name: callpulse
    webhook_configs: [{ url: "http://127.0.0.1:$http/api/v1/alertmanager", send_resolved: true }]
YAML
prometheus-alertmanager --config.file="$dir/am.yml" --storage.path="$dir/am" --web.listen-address="127.0.0.1:$port" \
    --cluster.listen-address= > "$dir/am.log" 2>&1 &
manager=$!
wait_for 30 "Alertmanager" curl -fs "http://127.0.0.1:$port/-/ready" -o /dev/null

cat > "$dir/rules.toml" <<'TOML'
# Nothing but somebody ends an alert of this rule: one about a wait would be over with the wait, perhaps before it is asked for.
[[rule]]
name = "talk"
title = "A talk of ten seconds"
title_zh = "通话十秒"
when = { talk = { secs = 10 } }
TOML
"$callpulse" demo --rate 40 --http "127.0.0.1:$http" --data-dir "$dir/lake" --set "rules=$dir/rules.toml" \
    --set "notify=[{name=\"am\",kind=\"alertmanager\",url=\"http://127.0.0.1:$port\"}]" > "$dir/demo.log" 2>&1 &
demo=$!
query() { amtool --alertmanager.url="http://127.0.0.1:$port" alert query "$@" -o json; }
seen() { [ "$(query alertname=talk | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" -gt 0 ]; }
# The hour before the demo's present is told first; its alerts are past and are not sent.
wait_for 300 "an alert in Alertmanager" seen
say "Alertmanager has our alerts"

# Alertmanager has the alert a moment before its answer is noted here.
delivered() {
    curl -fs "http://127.0.0.1:$http/api/v1/alerts" \
        | python3 -c 'import json, sys; print(next((a["id"] for a in json.load(sys.stdin) if a["delivered_at"]), ""))' > "$dir/id"
    [ -n "$(cat "$dir/id")" ]
}
wait_for 60 "an open alert that was delivered" delivered
id=$(cat "$dir/id")
here_and_there() { [ "$(query "alert_id=$id" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = 1 ]; }
wait_for 30 "alert $id in Alertmanager" here_and_there
curl -fs -X POST "http://127.0.0.1:$http/api/v1/alerts/$id/resolve" -o /dev/null || fail "alert $id cannot be resolved"
gone() { [ "$(query "alert_id=$id" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = 0 ]; }
wait_for 30 "the end of alert $id in Alertmanager" gone
say "what is resolved here is over there"

curl -fs -X POST "http://127.0.0.1:$port/api/v2/alerts" -H 'content-type: application/json' \
    -d '[{"labels":{"alertname":"LagGrowing","severity":"critical","queue":"话费"},"annotations":{"summary":"Reading falls behind"}}]'
ours() { curl -fs "http://127.0.0.1:$http/api/v1/alerts?rule=LagGrowing" | grep '"source":"alertmanager"' > /dev/null; }
wait_for 30 "Alertmanager's alert here" ours
say "what Alertmanager tells its webhook is here"
[ "$(curl -fs "http://127.0.0.1:$http/api/v1/alerts?status=all&rule=talk" | grep -c '"source":"alertmanager"')" = 0 ] || fail "our own alerts came back"
echo "alertmanager: ok"
