#!/usr/bin/env bash
# One story on the demo centre, with a real Alertmanager beside it: an angry customer, the person on duty is told, takes care
# of it and ends it; nobody answers the next alert, so the lead is told and then the fallback; the roster changes, and the
# next alert goes to whoever is on duty now; the agent sees what the centre advises while the contact goes on.
#
#   story.sh BINARY     needs prometheus-alertmanager and amtool (Debian: prometheus-alertmanager)
set -euo pipefail
. "$(dirname "$0")/lib.sh"
callpulse=$(realpath "${1:?usage: story.sh BINARY}")
for tool in prometheus-alertmanager amtool; do
    command -v "$tool" > /dev/null || { echo "1 skipped: $tool is not installed"; exit 0; }
done

dir=$(mktemp -d)
stop() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 8 "$dir"/*.log >&2 || true
    for pid in "${demo:-}" "${manager:-}"; do [ -z "$pid" ] || kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
    rm -rf "$dir"
}
trap stop EXIT

port=$(free_port) http=$(free_port)
cat > "$dir/am.yml" <<'YAML'
route: { receiver: nobody, group_wait: 0s, group_interval: 1s, group_by: ['...'] }
receivers: [{ name: nobody }]
YAML
prometheus-alertmanager --config.file="$dir/am.yml" --storage.path="$dir/am" --web.listen-address="127.0.0.1:$port" \
    --cluster.listen-address= > "$dir/am.log" 2>&1 &
manager=$!
wait_for 60 "Alertmanager" curl -fs "http://127.0.0.1:$port/-/ready" -o /dev/null

cat > "$dir/rules.toml" <<'TOML'
[[rule]]
name = "story_leaves"
title = "A customer is about to leave"
title_zh = "客户有流失风险"
severity = "critical"
queues = ["story"]
escalate_secs = 5
when = { keyword = { category = "churn", speaker = "customer" } }

[[rule]]
name = "story_help"
title = "Your customer is about to leave"
title_zh = "您的客户有流失风险"
severity = "info"
notify = "agent"
queues = ["story"]
when = { keyword = { category = "churn", speaker = "customer" } }
TOML
cat > "$dir/advice.toml" <<'TOML'
[[advice]]
category = "churn"
queues = ["story"]
text = "Offer a month for free."
text_zh = "可赠送一个月套餐。"
TOML
roster() { # SUPERVISOR
    printf 'date,person,role,queues,start,end\ndaily,%s,supervisor,story,00:00,24:00\ndaily,zhao,lead,story,00:00,24:00\n' "$1" > "$dir/roster.new"
    mv "$dir/roster.new" "$dir/roster.csv"
}
roster wang
printf 'id,name\nwang,王芳\nli,李强\nzhao,赵敏\nchen,陈晨\n' > "$dir/people.csv"
"$callpulse" demo --rate 20 --http "127.0.0.1:$http" --pg 127.0.0.1:0 --flight 127.0.0.1:0 --data-dir "$dir/lake" --set "rules=$dir/rules.toml" \
    --set "advice=$dir/advice.toml" --set "roster=$dir/roster.csv" --set "people=$dir/people.csv" --set "alerts.fallback=chen" \
    --set "notify=[{name=\"am\",kind=\"alertmanager\",url=\"http://127.0.0.1:$port\"}]" > "$dir/demo.log" 2>&1 &
demo=$!
api=http://127.0.0.1:$http/api/v1
wait_for 300 "the demo is ready" curl -fs "http://127.0.0.1:$http/readyz" -o /dev/null

# field PATH: of the JSON on stdin, as in `0.people.0.id`; empty where it is not there.
field() {
    "$python" -c '
import json, sys
value = json.load(sys.stdin)
for part in sys.argv[1].split("."):
    try:
        value = value[int(part)] if part.isdigit() else value[part]
    except (IndexError, KeyError, TypeError):
        value = ""
print(value)' "$1"
}
# angry CONTACT: a chat in which the customer says that it is over.
angry() {
    local contact=$1 now
    now=$(curl -fs "$api/oncall" | field at)
    "$python" - "$contact" "$now" > "$dir/$contact.jsonl" <<'PYTHON'
import json, sys
contact, now = sys.argv[1:]
common = {"contact_id": contact, "time": now, "channel": "chat", "queue": "story"}
for number, (kind, more) in enumerate([
    ("contact.queued", {}), ("contact.answered", {"agent_id": "agent-of-story"}),
    ("message", {"from": "agent", "text": "您好，很高兴为您服务"}),
    ("message", {"from": "customer", "text": "太差了！我要销户，我的电话是13812345678"}),
]):
    print(json.dumps({"id": f"{contact}-{number}", "type": kind, **common, **more}, ensure_ascii=False))
PYTHON
    curl -fs "$api/events" -H 'content-type: application/x-ndjson' --data-binary "@$dir/$contact.jsonl" -o "$dir/taken"
}
alert() { curl -fs "$api/alerts?status=all&rule=story_leaves" > "$dir/alerts"; "$python" - "$dir/alerts" "$1" <<'PYTHON'
import json, sys
print(json.dumps([a for a in json.load(open(sys.argv[1])) if a["contact_id"] == sys.argv[2]], ensure_ascii=False))
PYTHON
}
is() { [ "$(alert "$1" | field "$2")" = "$3" ]; }
over_there() { amtool --alertmanager.url="http://127.0.0.1:$port" alert query "alert_id=$1" -o json | "$python" -c 'import json, sys; print(len(json.load(sys.stdin)))'; }
there() { [ "$(over_there "$1")" = "$2" ]; }

angry story-1
wait_for 60 "the alert about the first customer" is story-1 0.people_names.0 王芳
id=$(alert story-1 | field 0.id)
say "an angry customer: $(alert story-1 | field 0.title), told $(alert story-1 | field 0.people_names.0)"
[ "$(alert story-1 | field 0.advice_zh)" = 可赠送一个月套餐。 ] || fail "the centre's own advice is not there: $(alert story-1)"
quote=$(alert story-1 | field 0.evidence.0.text)
[[ $quote == *我要销户* && $quote != *13812345678* ]] || fail "the words are not there, or not masked: $quote"
wait_for 30 "the alert in Alertmanager" there "$id" 1
# The page listens to this stream.
(timeout 5 curl -fsN "$api/alerts/stream" || true) > "$dir/stream"
grep -q "\"id\":\"$id\"" "$dir/stream" || fail "the page is not told of the alert"
curl -fs "http://127.0.0.1:$http/alerts" | grep '<ul id="alerts">' > /dev/null || fail "there is no page of alerts"
say "it is in Alertmanager and on the page"
(timeout 5 curl -fsN "$api/advice/stream?agent=agent-of-story" || true) > "$dir/advice"
grep -q 'Offer a month for free' "$dir/advice" || fail "the agent is not advised: $(cat "$dir/advice")"
say "the agent sees: 可赠送一个月套餐。"

curl -fs -X POST "$api/alerts/$id/ack" -H 'content-type: application/json' -d '{"by":"wang"}' -o "$dir/acked"
told=$(alert story-1 | field 0.escalations)
sleep 7
is story-1 0.status acknowledged || fail "the acknowledgement is not kept: $(alert story-1)"
is story-1 0.escalations "$told" || fail "somebody else was told although somebody takes care of it"
curl -fs -X POST "$api/alerts/$id/resolve" -H 'content-type: application/json' -d '{"by":"wang"}' -o "$dir/resolved"
is story-1 0.status resolved || fail "it is not over: $(alert story-1)"
wait_for 30 "its end in Alertmanager" there "$id" 0
say "wang took care of it and ended it; it is over in Alertmanager too"

angry story-2
wait_for 60 "the second alert" is story-2 0.people_names.0 王芳
wait_for 60 "the lead is told when nobody answers" is story-2 0.people_names.0 赵敏
wait_for 60 "the fallback is told when the lead does not answer either" is story-2 0.people_names.0 陈晨
say "nobody answered: 王芳, then 赵敏, then 陈晨 were told ($(alert story-2 | field 0.escalations) escalations)"

changed=$SECONDS
roster li
on_duty() { [ "$(curl -fs "$api/oncall?queue=story" | field supervisor.now.0.id)" = "$1" ]; }
wait_for 5 "the new roster in force" on_duty li
say "the new roster is in force after $((SECONDS - changed)) s"
angry story-3
wait_for 60 "the third alert goes to who is on duty now" is story-3 0.people_names.0 李强
say "the next alert went to 李强"

# The customer of the first story leaves; the advice is over with the contact.
now=$(curl -fs "$api/oncall" | field at)
printf '{"id":"story-1-end","type":"contact.ended","contact_id":"story-1","time":"%s","by":"customer"}\n' "$now" \
    | curl -fs "$api/events" -H 'content-type: application/x-ndjson' --data-binary @- -o "$dir/taken"
ended() { [ "$(curl -fs "$api/alerts?status=all&rule=story_help" | "$python" -c '
import json, sys
print(next((a["status"] for a in json.load(sys.stdin) if a["contact_id"] == "story-1"), ""))')" = resolved ]; }
wait_for 60 "the advice ends with the contact" ended
"$callpulse" sql --url "http://127.0.0.1:$http" "select contact_id, status, acknowledged_by, time_to_acknowledge_ms > 0 as timed,
    escalations, notified from alerts where rule = 'story_leaves' order by contact_id" > "$dir/table"
cat "$dir/table"
grep -q 'story-1.*resolved.*wang.*true' "$dir/table" || fail "the table does not tell the story"
echo "story: ok"
