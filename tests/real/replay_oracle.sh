#!/usr/bin/env bash
# Files through `callpulse replay`: the answers in SQL are the oracle's; the same events in another order and twice give
# the same bytes.
#
#   replay_oracle.sh BINARY    environment: CONTACTS (default 5000), SEED (11), PYTHON, KEEP=1 keeps the directory,
#                              BANK_TSV: the "Anonymous Bank" calls of a month, for the same check with real calls
set -euo pipefail
callpulse=$(realpath "${1:?usage: replay_oracle.sh BINARY}")
. "$(dirname "$0")/lib.sh"

contacts=${CONTACTS:-5000} seed=${SEED:-11}
work=$(mktemp -d)
clean() { if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi; }
trap clean EXIT

# replay NAME ZONE FILE: into the lake NAME, and the answers into NAME.got.
replay() {
    "$callpulse" replay --data-dir "$work/$1.lake" --set "timezone=$2" "$3" 2> "$work/$1.log" \
        || { cat "$work/$1.log" >&2; fail "replay of $3"; }
    ask_callpulse "$work/$1.got" --data-dir "$work/$1.lake" --set "timezone=$2"
}

# check NAME ZONE FILE
check() {
    ask_oracle "$3" "$work/$1.want" --zone "$2"
    replay "$1" "$2" "$3"
    compare "$work/$1.want" "$work/$1.got"

    "$python" "$oracle/shuffle.py" "$3" "$work/$1-shuffled.jsonl" --seed 3 --repeat 2
    replay "$1-shuffled" "$2" "$work/$1-shuffled.jsonl"
    zstd -q "$3" -o "$work/$1.jsonl.zst"
    replay "$1-zst" "$2" "$work/$1.jsonl.zst"
    local table other
    for table in "${!keys[@]}"; do
        for other in shuffled zst; do
            cmp "$work/$1.got/$table.csv" "$work/$1-$other.got/$table.csv" || fail "$1: $table differs when $other"
        done
    done
    say "$1: shuffled and twice, and compressed: the same bytes"
}

"$callpulse" simulate --contacts "$contacts" --seed "$seed" --out - > "$work/simulated.jsonl"
say "simulated: $contacts contacts, $(wc -l < "$work/simulated.jsonl") events"
check simulated Asia/Shanghai "$work/simulated.jsonl"

if [ -n "${BANK_TSV:-}" ]; then
    "$python" "$oracle/bank_events.py" "$BANK_TSV" --zone Asia/Jerusalem --out "$work/bank.jsonl" 2> "$work/bank.log"
    say "bank: $(tail -n 1 "$work/bank.log")"
    check bank Asia/Jerusalem "$work/bank.jsonl"
else
    say "bank: ignored (BANK_TSV names no file)"
fi
