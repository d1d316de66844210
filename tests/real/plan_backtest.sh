#!/usr/bin/env bash
# How wrong each model would have been on given series: a table a series, and whether the choice held.
#
#   plan_backtest.sh BINARY DIR     environment: PYTHON
#
# Series are the files of DIR whose names have `calls` in them and that `forecast --history` can read: months, days or times of
# day with a count. Where DIR has a file of own events (`*events*.csv`), series of days and hours are told a second time with it.
# Demanded of each: over all horizons together the chosen errs at most 2 % more than the contender that proved best
# afterwards, and it is better than the seasonal naive at every horizon.
set -euo pipefail
callpulse=$(realpath "${1:?usage: plan_backtest.sh BINARY DIR}")
data=$(realpath "${2:?usage: plan_backtest.sh BINARY DIR}")
. "$(dirname "$0")/lib.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
own=$(find "$data" -maxdepth 1 -name '*events*.csv' | head -n 1)

judge() { # NAME TABLE
    "$python" - "$1" "$2" <<'PYTHON'
import re, sys

name, path = sys.argv[1:]
tables, rows, bands = [], {}, []
for line in open(path, encoding="utf-8"):
    if "WAPE (bias) of" in line:
        rows = {}
        tables.append((line.rsplit("of ", 1)[1].split()[0], rows, []))
    elif line.startswith("model"):
        bands = line.split()[1:-1]
    elif line.startswith("independent n"):
        independent = [int(n) for n in line.split()[2:]] + [None]
        tables[-1] = (*tables[-1][:2], independent)
    elif (match := re.match(r"(\w+) .*%", line)) and match[1] != "chance":
        rows[match[1]] = [float(x) for x in re.findall(r"([\d.]+) % \(", line)], int(line.split()[-1])
failed = False
for unit, rows, independent in tables:
    if not rows:
        sys.exit(f"{name}: no table of {unit}")
    pairs = max(n for _, n in rows.values())
    # A model that could not speak at every origin was judged on other days.
    single = {model: of for model, (of, n) in rows.items() if model != "chosen" and n == pairs}
    chosen, naive = rows["chosen"][0], rows["seasonal_naive"][0]
    best = [min(of[at] for of in single.values()) for at in range(len(chosen))]
    for at, band in enumerate(bands):
        leads = min(single, key=lambda model: single[model][at])
        worse = 100 * (chosen[at] / best[at] - 1)
        verdict = "ok" if worse <= 2 else "" if band != "all" else "TOO FAR"
        if chosen[at] >= naive[at]:
            verdict = "NOT BETTER THAN SEASONAL NAIVE"
        failed |= verdict.isupper()
        # Of few independent origins the best single one is known afterwards only.
        few = independent[at] is not None and independent[at] < 30
        if few and verdict == "":
            verdict = "too few to tell"
        n = f"n {independent[at]:3d}" if independent[at] is not None else "     "
        print(f"  {name} ({unit}) {band:>8} {n}: hand {rows['hand'][0][at]:6.2f}  naive {naive[at]:6.2f}  ets {rows['ets'][0][at]:6.2f}  "
              f"mstl {rows['mstl'][0][at]:6.2f}  best {best[at]:6.2f} ({leads})  chosen {chosen[at]:6.2f} ({worse:+.1f} %)  {verdict}")
sys.exit(failed)
PYTHON
}

failed=0 judged=0
for file in "$data"/*calls*; do
    for events in "" "$own"; do
        name=$(basename "$file")
        given=(--set 'forecast.calendar="none"')
        if [ -n "$events" ]; then given+=(--events "$events"); name="$name with events"; fi
        if ! "$callpulse" forecast --backtest --history "$file" "${given[@]}" > "$work/table" 2> "$work/error"; then
            say "passed over: $(basename "$file"): $(head -n 1 "$work/error")"
            break
        fi
        judge "$name" "$work/table" || failed=1
        judged=$((judged + 1))
        # Own events are dates: they say nothing of months.
        if [ -z "$own" ] || grep -q 'of months' "$work/table"; then break; fi
    done
done
[ "$judged" -gt 0 ] || fail "no series in $data"
[ "$failed" = 0 ] || fail "the choice did not hold"
