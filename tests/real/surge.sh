#!/usr/bin/env bash
# A surge that happened: on 3 February 1999 from 13:00 the call centre of a bank had several times the usual calls. The view
# says so, and so does a rule in a back-test, at that time and at few others.
#
#   surge.sh BINARY TSV     TSV: calls of the "Anonymous Bank", 1 to 10 February 1999
set -euo pipefail
. "$(dirname "$0")/lib.sh"
callpulse=$(realpath "$1")
tsv=${2:?the calls of the bank}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

"$python" "$oracle/bank_events.py" "$tsv" --zone Asia/Jerusalem --out "$dir/bank.jsonl" 2> "$dir/bank.log"
at=(--data-dir "$dir/lake" --set timezone=Asia/Jerusalem)
"$callpulse" "${at[@]}" replay "$dir/bank.jsonl" 2> "$dir/replay.log" || { cat "$dir/replay.log" >&2; fail "replay"; }
"$callpulse" "${at[@]}" sql --format csv "select start, queue, slots, contacts, round(expected, 1) as expected, round(deviations, 1) as deviations
    from surges order by start" > "$dir/surges"
sed 's/^/  /' "$dir/surges"
grep -q '^1999-02-03T11:[03]0' "$dir/surges" || fail "the view has no surge on 3 February at 13:00 (11:00 UTC)"

cat > "$dir/rules.toml" <<'TOML'
[[rule]]
name = "surge"
severity = "critical"
when = { surge = { times = 2, at_least = 30, deviations = 5 } }

[[rule]]
name = "queue_full"
for_secs = 30
when = { gauge = { name = "waiting", above = 10 } }
TOML
sed 's/times = 2, at_least = 30/times = 1.5, at_least = 10/' "$dir/rules.toml" > "$dir/milder.toml"
"$callpulse" "${at[@]}" backtest --rules "$dir/rules.toml" --against "$dir/milder.toml" --samples 20 --format json > "$dir/hits.json"
"$python" - "$dir/hits.json" <<'PYTHON' || fail "the back-test does not say so"
import json, sys
rules = {rule["rule"]: rule for rule in json.load(open(sys.argv[1]))}
surge = rules["surge"]
print(f"  back-test: {surge['hits']} surges ({surge['hits_a_day']} a day); the milder file has {surge['against']}")
for sample in surge["samples"]:
    print(f"    {sample}")
on_the_day = [s for s in surge["samples"] if s["time"].startswith("1999-02-03T1")]
sys.exit(not on_the_day or surge["hits"] > 20 or surge["against"] < surge["hits"] or surge["only_here"] > surge["hits"])
PYTHON
echo "surge: ok"
