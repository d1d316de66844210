#!/usr/bin/env bash
# The dashboards and rules on a real Prometheus that scrapes a demo: every expression must answer with a series, every rule
# must be evaluated, every SQL panel must have rows. What asks for names of awaited.txt is reported where they do not exist.
#
#   dashboards.sh CALLPULSE
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -eq 1 ] || fail "usage: dashboards.sh CALLPULSE"
callpulse=$(realpath "$1")
shown=$(cd "$here/../../dashboards" && pwd)

work=$(mktemp -d)
demo=
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 8 "$work"/*.log >&2 || true
    [ -z "$demo" ] || kill "$demo" 2> /dev/null || true
    [ -z "$demo" ] || wait "$demo" 2> /dev/null || true
    "$here/prometheus.sh" stop "$work/prometheus" || true
    rm -rf "$work"
}
trap clean EXIT

"$python" "$shown/generate.py" --check || fail "the dashboards are stale"
"$python" "$here/check_dashboards.py" "$shown"/*.json > "$work/linted" || { cat "$work/linted" >&2; fail "check_dashboards.py"; }
say "$(cat "$work/linted")"
# Grafana's own linter, where somebody has installed it; the rules above are the same, but written by us.
if command -v dashboard-linter > /dev/null; then
    for board in "$shown"/*.json; do
        dashboard-linter lint --strict "$board" > "$work/lint" 2>&1 || { cat "$work/lint" >&2; fail "dashboard-linter: $board"; }
    done
    say "Grafana's dashboard-linter --strict: $(ls "$shown"/*.json | wc -l) dashboards"
else
    say "Grafana's linter: ignored (dashboard-linter is not installed: go install github.com/grafana/dashboard-linter@latest)"
fi
promtool check rules "$shown"/rules/*.rules.yml > "$work/check.log" 2>&1 || fail "promtool check rules"
(cd "$shown/rules" && promtool test rules ./*_test.yml) > "$work/test.log" 2>&1 || fail "promtool test rules"
say "promtool: $(grep -o '[0-9]* rules found' "$work/check.log" | paste -sd ' '), unit tests $(grep -o 'SUCCESS' "$work/test.log" | paste -sd ' ')"

http=127.0.0.1:$(free_port) pg=$(free_port)
# A debug build on a busy machine: whether a panel is quick is not what is looked at here.
"$callpulse" demo --for 60m --rate 10 --set sql.timeout_secs=600 --http "$http" --pg "127.0.0.1:$pg" --flight 127.0.0.1:0 --data-dir "$work/lake" > "$work/demo.log" 2>&1 &
demo=$!
up() { kill -0 "$demo" || fail "the demo has ended"; curl -fs "http://$http/metrics" > /dev/null; }
wait_for 120 "the demo answers" up

monitor=$(free_port)
"$here/prometheus.sh" start "$work/prometheus" "$monitor" "$http"
# The rules as they are, but without half a minute or more of waiting for each step.
for rules in "$shown"/rules/*.rules.yml; do
    sed -E 's/interval: (30s|1m|5m)$/interval: 5s/' "$rules" > "$work/prometheus/$(basename "$rules")"
done
echo 'rule_files: ["*.rules.yml"]' >> "$work/prometheus/prometheus.yml"
kill -HUP "$(cat "$work/prometheus/pid")"

answered() {
    "$python" "$here/ask_dashboards.py" "http://127.0.0.1:$monitor" "$here/awaited.txt" "$shown"/*.json > "$work/asked" 2> "$work/faults"
}
wait_long_enough() {
    local end=$((SECONDS + 180))
    until answered; do
        [ "$SECONDS" -lt "$end" ] || { cat "$work/faults" >&2; fail "$(cat "$work/asked")"; }
        sleep 3
    done
}
wait_long_enough
say "$(cat "$work/asked")"
"$here/prometheus.sh" stop "$work/prometheus"

"$python" "$here/ask_sql_panels.py" "$pg" "$here/awaited.txt" "$shown"/*.json \
    > "$work/panels" 2> "$work/panels.log" || { grep '^fault' "$work/panels.log" >&2; fail "$(cat "$work/panels")"; }
say "$(cat "$work/panels")"
