#!/usr/bin/env bash
# Views about plans and people against plain Python: six days of a simulated centre, forecast in the middle and at the end.
#
#   plan_oracle.sh BINARY    environment: PYTHON, KEEP=1 keeps the directory
set -euo pipefail
callpulse=$(realpath "${1:?usage: plan_oracle.sh BINARY}")
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
clean() { if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi; }
trap clean EXIT

"$callpulse" simulate --rate 0.25 --contacts 4000 --seed 5 --out "$work/all.jsonl" 2> /dev/null
# What happened before the fourth day, what came then, and what is left out: it ends while contacts wait and agents talk.
"$python" - "$work" <<'PYTHON'
import json, sys
from datetime import datetime

work, middle = sys.argv[1], datetime.fromisoformat("2026-03-05T10:07:00+08:00")


def moment(event):
    time = event["time"]
    return datetime.fromisoformat(time) if isinstance(time, str) else datetime.fromtimestamp(time / 1000, middle.tzinfo)


with open(f"{work}/all.jsonl", encoding="utf-8") as lines:
    events = [(moment(json.loads(line)), line) for line in lines]
starts = sorted(at for at, line in events if '"contact.started"' in line)
end = starts[len(starts) * 95 // 100]
with open(f"{work}/1.jsonl", "w", encoding="utf-8") as first, open(f"{work}/2.jsonl", "w", encoding="utf-8") as second:
    for at, line in events:
        if at < end:
            (first if at < middle else second).write(line)
PYTHON
lake=(--data-dir "$work/lake")
"$callpulse" replay "${lake[@]}" "$work/1.jsonl" 2> "$work/log"
"$callpulse" forecast "${lake[@]}" --format csv > /dev/null 2>> "$work/log"
"$callpulse" replay "${lake[@]}" "$work/2.jsonl" 2>> "$work/log"
"$callpulse" forecast "${lake[@]}" --format csv > /dev/null 2>> "$work/log"

mkdir -p "$work/tables" "$work/want" "$work/got"
for table in forecasts shifts legs handlings contacts messages surveys complaints agent_states events contact_findings \
    promises; do
    "$callpulse" sql "${lake[@]}" --format csv "select * from $table" > "$work/tables/$table.csv"
done
now=$(sql_number "select now()" "${lake[@]}")
"$python" "$oracle/plan_views.py" "$work/tables" --now "$now" --out "$work/want"
"$python" "$oracle/day_views.py" "$work/tables" --now "$now" --out "$work/want" > "$work/day_views"

check() { # NAME KEY COLUMNS SQL
    "$callpulse" sql "${lake[@]}" --format csv "select $2, $3 from ($4) as v" > "$work/got/$1.csv"
    [ "$(wc -l < "$work/want/$1.csv")" -gt 1 ] || fail "$1: the oracle has no rows, so nothing would be compared"
    "$python" "$oracle/compare.py" "$work/want/$1.csv" "$work/got/$1.csv" --key "$2" --columns "$3" --rtol 1e-6 \
        > "$work/got/$1.compared" || { head -20 "$work/got/$1.compared" >&2; fail "$1 differs from the oracle"; }
    say "$1: $(tail -n 1 "$work/got/$1.compared")"
}

check staff_slot slot_start,channel,queue agents_staffed,gap,expected_service_level,expected_occupancy,fails \
    "select * from staff_slot"
check forecast_accuracy day,channel,queue,horizon \
    slots,contacts,forecast,absolute_error,wape,bias,within_10,poisson_floor,in_interval_share,aht_wape \
    "select * from forecast_accuracy"
check exposure day,agent_id handled,unpleasant,longest_run,last_run "select * from exposure where handled > 0"
check breaks day,agent_id breaks,break_seconds,work_seconds,longest_stretch_seconds,breaks_missed \
    "select * from exposure where work_seconds > 0"
check agent_month period,start,agent_id \
    handled,aht_seconds,resolved_n,resolved_share,resolved_margin,csat_n,csat,csat_margin \
    "select * from agent_month where period = 'month' and (handled > 0 or resolved_n > 0 or csat_n > 0)"
check churn_risk customer_id risk,contacts,complaints,open_complaints,repeats,abandoned,lowest_csat \
    "select * from churn_risk"
check surges start,channel,queue until,contacts,expected,deviations "select * from surges"
check adherence_day day,agent_id planned_seconds,worked_seconds,adherence,conformance,shrinkage \
    "select * from adherence_day"
check slot_projection slot_start,channel,queue \
    elapsed_share,offered,expected,projected_offered,answered_in_time,lost,service_level,projected_service_level_worst,projected_service_level,projected_service_level_best \
    "select * from slot_projection"
check schedule_score period,start,department \
    score,forecast_score,forecast_wape,forecast_within_10_share,fit_score,fit,over,under,satisfaction_score,shifts,preferred_share,rest_kept_share,late_change_share,failing_score,slots,failing_slots,failing_share,load_score,mean_occupancy,occupancy_spread,overloaded_share \
    "select * from schedule_score"
# All other views of the contract; kpi_* are held against the oracle by replay_oracle.sh.
compared=0
while read -r name key columns; do
    case $name in
        complaint_deadlines) columns=deadline_at,in_time,overdue,seconds_left,status ;;
    esac
    check "$name" "$key" "$columns" "select * from $name"
    compared=$((compared + 1))
done < "$work/day_views"
[ "$compared" = 15 ] || fail "$compared of 15 views were compared"
