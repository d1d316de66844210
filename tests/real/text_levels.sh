#!/usr/bin/env bash
# What the scores are worth on labelled Chinese texts of others, beside what simple methods reach on the same texts; and how
# often polite agents are taken for rude ones.
#
#   text_levels.sh BINARY DIR     DIR has reviews_zh.csv and emotion_zh.csv (columns label, text) and chat_agent_lines_zh.csv
set -euo pipefail
. "$(dirname "$0")/lib.sh"
callpulse=$(realpath "$1")
data=${2:?the directory with the labelled texts}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# level NAME FILE TARGET AGAINST HOWNET: AUC above that of a HowNet count with negation. SnowNLP is beaten on the mean of both.
aucs=()
level() {
    local name=$1 file=$2 target=$3 against=$4 hownet=$5 auc f1
    "$callpulse" text eval "$data/$file" --target "$target" ${against:+--against "$against"} > "$dir/said"
    auc=$(awk '$1 == "auc" { print $2 }' "$dir/said")
    f1=$(awk '$1 == "f1" { print $2 }' "$dir/said")
    say "$name: AUC $auc, F1 $f1 (HowNet count with negation: AUC $hownet)"
    awk "BEGIN { exit !($auc > $hownet) }" || fail "$name: AUC $auc is not above $hownet"
    aucs+=("$auc")
}
level "shop reviews, negative" reviews_zh.csv negative "" 0.84
level "posts, angry against happy" emotion_zh.csv angry happy 0.79
mean=$(printf '%s\n' "${aucs[@]}" | awk '{ sum += $1 } END { printf "%.4f", sum / NR }')
say "mean AUC $mean (SnowNLP: 0.865, with reviews that it was partly trained on)"
awk "BEGIN { exit !($mean > 0.865) }" || fail "the mean AUC $mean is not above SnowNLP's"

"$python" - "$data/chat_agent_lines_zh.csv" "$dir/lines.csv" <<'PYTHON'
import csv, sys
rows = list(csv.reader(open(sys.argv[1], encoding="utf-8")))
with open(sys.argv[2], "w", encoding="utf-8", newline="") as out:
    csv.writer(out).writerows([["text"], *([row[0]] for row in rows[1:] if row)])
PYTHON
"$callpulse" text score "$dir/lines.csv" --speaker agent > "$dir/scored.csv"
"$python" - "$dir/scored.csv" <<'PYTHON' || fail "polite agents are taken for rude ones"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], encoding="utf-8")))
rude = {"questioning", "blaming", "scolding", "threatening", "arguing", "impatience", "urging_hang_up", "internal_information"}
bad = [row for row in rows if rude & {hit.split(":")[0] for hit in row["hits"].split(";")}]
negative = [row for row in rows if float(row["sentiment"]) < -0.3]
print(f"  {len(rows)} lines of polite agents: {len(bad)} forbidden ({len(bad) / len(rows):.2%}), "
      f"{len(negative)} below -0.3 ({len(negative) / len(rows):.2%})")
sys.exit(len(bad) > 0.01 * len(rows) or len(negative) > 0.05 * len(rows))
PYTHON
echo "text levels: ok"
