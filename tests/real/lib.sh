# What the checks with real components share. Sourced, with `set -euo pipefail` in force.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
oracle=$(cd "$here/../oracle" && pwd)
python=${PYTHON:-$HOME/.cache/callpulse/venv/bin/python}

# The figures of these tables are compared; columns that only one side has are named, not skipped in silence.
declare -A keys=(
    [kpi_slot]=slot_start,channel,queue,department
    [legs]=contact_id,leg
    [handlings]=contact_id,handling
    [contacts]=contact_id
)
declare -A columns=(
    [kpi_slot]=offered,answered,abandoned,abandoned_short,overflow,callback,exit_key,timeout,no_agent,closed,error,waiting,ledger_gap,answered_in_time,wait_ms_sum,talk_ms_sum,hold_ms_sum,acw_ms_sum,answer_rate,abandon_rate,service_level,asa_seconds,wait_p50_seconds,wait_p90_seconds,wait_p95_seconds,handled,aht_seconds,talk_seconds,hold_seconds,acw_seconds,load_erlangs
    [legs]=channel,direction,queue,department,customer_id,queued_at,answered_at,left_at,wait_ms,outcome,in_time,agent_id,slot_start,anomalies,revision
    [handlings]=leg,channel,queue,department,agent_id,customer_id,started_at,ended_at,wrapped_at,talk_ms,hold_ms,acw_ms,handle_ms,holds,transferred_to,ended_by
    [contacts]=channel,direction,customer_id,tier,first_queue,last_queue,department,first_agent,last_agent,started_at,ended_at,legs,handlings,transfers,wait_ms,handle_ms,outcome,bot_outcome,resolved,messages,first_response_ms
)

# The time-outs of config/default.toml, for the oracle.
timeouts=(--contact-timeout voice=14400 --contact-timeout chat=86400 --contact-timeout email=2592000
    --contact-timeout social=2592000 --contact-timeout video=14400 --contact-timeout sms=604800)

say() { echo "  $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "not within $seconds s: $what"
        sleep 0.2
    done
}

# What the oracle says about EVENTS, into DIR/TABLE.csv; more arguments go to it.
ask_oracle() {
    local events=$1 dir=$2 table
    shift 2
    mkdir -p "$dir"
    for table in "${!keys[@]}"; do
        "$python" "$oracle/correlate.py" "$events" --table "$table" "${timeouts[@]}" "$@" --out "$dir/$table.csv" \
            2> "$dir/$table.log" || { cat "$dir/$table.log" >&2; fail "the oracle cannot answer for $table"; }
    done
}

# What callpulse says, into DIR/TABLE.csv; more arguments say where (--data-dir or --url).
ask_callpulse() {
    local dir=$1 table
    shift
    mkdir -p "$dir"
    for table in "${!keys[@]}"; do
        "$callpulse" sql "$@" --format csv \
            "select ${keys[$table]}, ${columns[$table]} from $table order by ${keys[$table]}" > "$dir/$table.csv" \
            || fail "callpulse sql cannot answer for $table"
    done
}

# Holds two such directories against each other.
compare() {
    local want=$1 got=$2 table
    for table in "${!keys[@]}"; do
        [ "$(wc -l < "$want/$table.csv")" -gt 1 ] || fail "$table: the oracle has no rows, so nothing would be compared"
        "$python" "$oracle/compare.py" "$want/$table.csv" "$got/$table.csv" --key "${keys[$table]}" \
            --columns "${columns[$table]}" --rtol wait_p50_seconds=0.011 --rtol wait_p90_seconds=0.011 \
            --rtol wait_p95_seconds=0.011 > "$got/$table.compared" \
            || { cat "$got/$table.compared" >&2; fail "$table differs from the oracle ($want, $got)"; }
        say "$table: $(tail -n 1 "$got/$table.compared")"
    done
}

# One number of SQL.
sql_number() {
    local query=$1
    shift
    "$callpulse" sql "$@" --format csv "$query" | tail -n 1
}

# The events of a file, each behind its key and a tab. The key is what the contract says: contact_id, for agent events
# agent_id, for complaints without a contact their id.
key_events() {
    "$python" - "$1" <<'PYTHON'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    event = json.loads(line)
    key = event.get("contact_id") or event.get("complaint_id") or event.get("agent_id") or event["id"]
    sys.stdout.write(f"{key}\t{line}")
PYTHON
}
