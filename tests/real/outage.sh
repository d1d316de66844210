#!/usr/bin/env bash
# A surprise of the simulator as an operator sees it: an outage floods one queue for most of an hour. The panels of the
# dashboards are asked with the statements that they hold, and must show where it is, when it began, what it costs and what
# the customers say; the rules that watch figures must tell of that queue, soon.
#
#   outage.sh CALLPULSE [SEED]      a seed whose first outage has a whole slot; 5 has
set -euo pipefail
. "$(dirname "$0")/lib.sh"
callpulse=$(realpath "${1:?usage: outage.sh CALLPULSE [SEED]}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$callpulse" simulate --seed "${2:-5}" --rate 10 --contacts 4000 --out "$work/events.jsonl" 2> "$work/simulate.log"
# The simulator's own account: incident in QUEUE from T to T: WHAT
IFS=$'\t' read -r queue from to < <(sed -nE '0,/^incident/s/^incident in (.*) from (\S+) to (\S+): .*/\1\t\2\t\3/p' "$work/simulate.log") \
    || fail "no incident: $(cat "$work/simulate.log")"
"$callpulse" replay "$work/events.jsonl" --data-dir "$work/lake" 2> "$work/replay.log" || fail "$(cat "$work/replay.log")"
"$callpulse" backtest --data-dir "$work/lake" --rules "$here/../../config/rules.toml" --samples 20 > "$work/backtest.txt" 2> "$work/backtest.log" \
    || fail "$(cat "$work/backtest.log")"
"$python" -B "$here/outage.py" "$callpulse" "$work/lake" "$here/../../dashboards" "$work/backtest.txt" "$queue" "$from" "$to"
