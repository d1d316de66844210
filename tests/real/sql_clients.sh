#!/usr/bin/env bash
# The SQL doors with the clients that people use: psql, psycopg, psycopg2 with SQLAlchemy and pandas, asyncpg, ADBC, JDBC and
# curl, against a running demo: once as the administrator on this machine, once with users, roles and encryption.
#
#   sql_clients.sh CALLPULSE
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ $# -eq 1 ] || fail "usage: sql_clients.sh CALLPULSE"
callpulse=$(realpath "$1")
docs=$(cd "$here/../../docs" && pwd)

work=$(mktemp -d)
demo= still=
stop() {
    [ -z "$demo" ] || kill "$demo" 2> /dev/null || true
    [ -z "$demo" ] || wait "$demo" 2> /dev/null || true
    demo=
}
clean() {
    local code=$?
    [ "$code" -eq 0 ] || tail -n 15 "$work"/*.log >&2 || true
    stop
    [ -z "$still" ] || kill "$still" 2> /dev/null || true
    [ -z "$still" ] || wait "$still" 2> /dev/null || true
    rm -rf "$work"
}
trap clean EXIT

start() { # ARGUMENTS: a demo on free ports; sets http, pg and flight
    http=127.0.0.1:$(free_port) pg=127.0.0.1:$(free_port) flight=127.0.0.1:$(free_port)
    "$callpulse" demo --for 30m --rate 10 --http "$http" --pg "$pg" --flight "$flight" "$@" > "$work/demo.log" 2>&1 &
    demo=$!
    up() { kill -0 "$demo" || fail "the demo has ended"; curl -kfs "$scheme://$http/healthz" > /dev/null; }
    wait_for 120 "the demo answers" up
}
refuses() { # SQLSTATE DSN SQL: psql must fail with this code, or text
    local out
    out=$(psql "$2" -v VERBOSITY=verbose -Xc "$3" 2>&1) && fail "psql did: $3"
    grep -q "$1" <<< "$out" || fail "wanted $1 of: $3; got: $out"
}
ticks() { awk '{ print $14 + $15 }' "/proc/$demo/stat"; } # hundredths of a second of CPU time that the demo has taken
idle() { # WHAT: the CPU time of the demo falls below that of a query within two minutes. What it does beside (forecasts, a look
    # for surges, a compaction) is over then, also in a debug build on a slow machine; a query that goes on takes far longer.
    local before spent=
    for _ in $(seq 30); do
        sleep 1
        before=$(ticks)
        sleep 3
        spent=$(($(ticks) - before))
        [ "$spent" -ge 220 ] || return 0
        echo "busy after $1: $spent ticks in 3 s"
    done
    fail "the server is busy after $1: $spent ticks in the last 3 s"
}

# --- the administrator on this machine -------------------------------------------------------------------------------------
scheme=http
# Queries may hold little, so that one that wants too much is known soon; the time that a busy machine takes is no fault.
start --data-dir "$work/lake" --set sql.memory_mib=256 --set sql.timeout_secs=600
dsn="host=127.0.0.1 port=${pg#*:} user=ana dbname=callpulse"
loaded() { [ "$(psql "$dsn" -XAtc 'select count(*) > 200 from legs')" = t ]; }
wait_for 180 "legs in SQL" loaded

for what in '\d' '\d+' '\dt' '\dt+' '\dv' '\dv+' '\d legs' '\d+ legs' '\d kpi_slot' '\d+ kpi_slot' '\l' '\l+' '\dn' '\dn+' \
    '\du' '\du+' '\df' '\df+' '\dT' '\dp' '\z legs' '\ddp' '\drds' '\di' '\sv kpi_slot' '\conninfo'; do
    psql "$dsn" -v ON_ERROR_STOP=1 -Xc "$what" > "$work/psql.out" 2>&1 || fail "psql $what: $(cat "$work/psql.out")"
done
psql "$dsn" -Xc '\sv kpi_slot' | grep -i 'select' > /dev/null || fail "psql shows no text of kpi_slot"
psql "$dsn" -XAtc "select version(), current_setting('server_version_num')" | grep '^PostgreSQL 1' > /dev/null || fail version
for sql in 'drop table legs' 'insert into legs select * from legs' "update legs set leg = 1" 'delete from legs' \
    "copy legs to '$work/x.parquet'" "create external table l stored as parquet location 'x.parquet'" 'select 1 into t' \
    'create table t as select 1' 'truncate legs'; do
    refuses 25006 "$dsn" "$sql"
done
[ ! -e "$work/x.parquet" ] || fail "COPY wrote a file"
refuses 42501 "$dsn" 'set datafusion.execution.batch_size = 3'
refuses 42P01 "$dsn" 'select * from nope'
refuses 42703 "$dsn" 'select nope from legs'
refuses 42601 "$dsn" 'selec 1'
refuses 22012 "$dsn" 'select 1 / 0'
refuses 53200 "$dsn" "select * from (select repeat('x', 500) || value as t from generate_series(1, 2000000)) as long order by t desc"
# psql tells no code of a connection that fails.
refuses 'database "other" does not exist' "host=127.0.0.1 port=${pg#*:} user=ana dbname=other" 'select 1'
place=$(psql "$dsn" -Xc 'select nope from legs' 2>&1) || true
grep -q '\^' <<< "$place" || fail "no place of the mistake: $place"

big='select count(*) from generate_series(1,40000000000) a where a.value%7=3'
began=$SECONDS before=$(ticks)
refuses 57014 "$dsn options='-c statement_timeout=1s'" "$big"
# CPU time, so that a busy machine does not count: two cores for 3 s, and what the demo does beside.
spent=$(($(ticks) - before))
[ "$spent" -lt 900 ] || fail "a query of 1 s took $spent hundredths of a second of CPU time, in $((SECONDS - began)) s"
say "statement_timeout of 1 s: refused after $((SECONDS - began)) s, $((spent * 10)) ms of CPU time"
idle statement_timeout
psql "$dsn" -v VERBOSITY=verbose -Xc "$big" > "$work/cancel.out" 2>&1 & client=$!
sleep 1
# On a busy machine psql may not have begun yet: it asks to cancel what is not there.
interrupted() { kill -INT "$client" 2> /dev/null || return 0; sleep 1; ! kill -0 "$client" 2> /dev/null; }
wait_for 60 "a cancelled query ends" interrupted
wait "$client" && fail "a cancelled query went on"
grep -q 57014 "$work/cancel.out" || fail "cancel: $(cat "$work/cancel.out")"
idle cancel
psql "$dsn" -Xc "$big" > /dev/null 2>&1 & client=$!
sleep 2
kill -9 "$client"
wait "$client" 2> /dev/null || true
sleep 2
idle "a client was killed"
say "psql: catalogue, refusals, codes and places, timeout, cancel, disconnect"

"$python" "$here/sql_clients.py" local "${pg#*:}" "${flight#*:}" "http://$http" "$demo"

# --- JDBC ------------------------------------------------------------------------------------------------------------------
jar() { # GROUP/ARTIFACT VERSION: the file of a driver; nothing where it cannot be had
    local file=$HOME/.m2/repository/${1}/$2/${1##*/}-$2.jar group=${1%/*}
    command -v java > /dev/null && command -v mvn > /dev/null || return 0
    [ -e "$file" ] || timeout 300 mvn -q -B dependency:get -Dtransitive=false \
        "-Dartifact=${group//\//.}:${1##*/}:$2" > "$work/mvn.log" 2>&1 || return 0
    echo "$file"
}
driver=$(jar org/postgresql/postgresql 42.7.7)
arrow=$(jar org/apache/arrow/flight-sql-jdbc-driver 18.3.0)
[ -n "$driver" ] || say "JDBC: ignored (no java, mvn or driver)"
[ -n "$arrow" ] || say "JDBC of Flight SQL: ignored (no java, mvn or driver)"
[ -z "$driver" ] || java -cp "$driver" "$here/SqlClient.java" "jdbc:postgresql://127.0.0.1:${pg#*:}/callpulse?user=ana&connectTimeout=120" || fail JDBC
stop

# --- users, roles, encryption ----------------------------------------------------------------------------------------------
users="$work/users.toml"
add() { "$callpulse" user add "$@" --set "users=\"$users\"" 2> /dev/null; }
boss=$(add boss --role admin)
robot=$(add robot --role admin --token)
ana=$(add ana --role analyst)
sue=$(add sue --role supervisor --department retail)
export CALLPULSE_ADMIN=$boss CALLPULSE_TOKEN=$robot CALLPULSE_ANALYST=$ana CALLPULSE_SUPERVISOR=$sue
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2> /dev/null
if "$callpulse" demo --for 5s --set "tls.certificate=\"$work/cert.pem\"" --set "tls.key=\"$work/none.pem\"" \
    > "$work/nokey.log" 2>&1; then
    fail "it started without a key"
fi
grep -q 'none.pem' "$work/nokey.log" || fail "the missing key is not named"
if "$callpulse" demo --for 5s --set 'pg.listen="0.0.0.0:0"' > "$work/open.log" 2>&1; then
    fail "it started on all addresses without users"
fi

scheme=https
start --data-dir "$work/lake2" --set "users=\"$users\"" --set "tls.certificate=\"$work/cert.pem\"" --set "tls.key=\"$work/key.pem\""
base="host=localhost hostaddr=127.0.0.1 port=${pg#*:} dbname=callpulse"
for user in boss nobody; do
    wrong=$(PGPASSWORD=wrong psql "$base user=$user" -Xc 'select 1' 2>&1) && fail "$user comes in with a wrong password"
    grep -q 'password authentication failed' <<< "$wrong" || fail "a wrong password of $user: $wrong"
done
PGPASSWORD=$boss psql "$base user=boss sslmode=verify-full sslrootcert=$work/cert.pem" -XAtc 'select current_user' | grep -x boss > /dev/null \
    || fail "verify-full"
many() { [ "$(PGPASSWORD=$boss psql "$base user=boss" -XAtc 'select count(*) > 100 from legs' 2> /dev/null)" = t ]; }
wait_for 180 "legs in SQL" many
lead=$(PGPASSWORD=$boss psql "$base user=boss" -XAtc "select department from legs where department is not null group by 1 order by count(*) desc limit 1")
agent=$(PGPASSWORD=$boss psql "$base user=boss" -XAtc "select agent_id from handlings where agent_id is not null group by 1 order by count(*) desc limit 1")
CALLPULSE_LEAD=$(add lea --role lead --department "$lead")
CALLPULSE_AGENT=$(add a17 --role agent --agent-id "$agent")
export CALLPULSE_LEAD CALLPULSE_AGENT
# A changed users file takes force by itself. Asked once a second: who is wrong too often has to wait.
entered() { sleep 1; PGPASSWORD=$CALLPULSE_AGENT psql "$base user=a17" -XAtc 'select 1' > /dev/null 2>&1; }
wait_for 30 "the new users may come in" entered
"$python" "$here/sql_clients.py" users "${pg#*:}" "${flight#*:}" "https://localhost:${http#*:}" "$work/cert.pem" "$lead" "$agent"
"$callpulse" user remove a17 --set "users=\"$users\"" 2> /dev/null
gone() { ! entered; }
wait_for 30 "the user who was taken out is out" gone
log=$(cat "$work"/lake2/_audit/audit-*.jsonl)
grep -q '"outcome":"refused"' <<< "$log" || fail "no refusal in the audit log"
grep -q '"user":"a17"' <<< "$log" || fail "no query of the agent in the audit log"
for secret in "$boss" "$robot" "$ana" "$CALLPULSE_LEAD"; do
    ! grep -qF "$secret" <<< "$log" || fail "a secret stands in the audit log"
    ! grep -qF "$secret" "$users" || fail "a secret stands in the users file"
    ! grep -qF "$secret" "$work/demo.log" || fail "a secret stands in the log"
done
say "users: SCRAM, TLS, roles at every door, changed file, audit log"

# --- the manual's questions over a lake at rest: every client has the same answers -------------------------------------------
# The lake of the first demo, served beside an empty topic of the second one's broker.
broker=$(grep -o 'Kafka *127\.0\.0\.1:[0-9]*' "$work/demo.log" | grep -o '127.*')
echo '{}' | kcat -P -b "$broker" -t still -q
http=127.0.0.1:$(free_port) pg=127.0.0.1:$(free_port) flight=127.0.0.1:$(free_port)
"$callpulse" run --http "$http" --pg "$pg" --flight "$flight" --data-dir "$work/lake" --set "kafka.brokers=$broker" --set kafka.group=still \
    --set 'kafka.topics=[{name="still"}]' --set sql.timeout_secs=600 > "$work/still.log" 2>&1 &
still=$!
ready() { kill -0 "$still" || fail "the service has ended"; curl -fs "http://$http/readyz" > /dev/null; }
wait_for 120 "the service is ready" ready
mkdir "$work/questions"
"$python" "$here/sql_clients.py" questions "$work/questions" "$docs/sql.md"
dsn="host=127.0.0.1 port=${pg#*:} user=ana dbname=callpulse"
by_psql() {
    local question
    for question in "$work"/questions/*.sql; do
        psql "$dsn" -XAt -v ON_ERROR_STOP=1 -F $'\x1f' -P 'null=\N' -f "$question" > "${question%sql}psql" || return 1
    done
}
by_psql & asking=("$!")
clients=(psql)
if [ -n "$driver" ]; then
    java -cp "$driver" "$here/SqlClient.java" "jdbc:postgresql://127.0.0.1:${pg#*:}/callpulse?user=ana&connectTimeout=120" "$work/questions" jdbc & asking+=("$!")
    clients+=(jdbc)
fi
if [ -n "$arrow" ]; then
    java --add-opens=java.base/java.nio=ALL-UNNAMED -cp "$arrow" "$here/SqlClient.java" \
        "jdbc:arrow-flight-sql://127.0.0.1:${flight#*:}/?useEncryption=false" "$work/questions" arrow-jdbc 2> "$work/arrow.log" & asking+=("$!")
    clients+=(arrow-jdbc)
fi
for client in "${asking[@]}"; do wait "$client" || fail "the questions of the manual by one of ${clients[*]}"; done
"$python" "$here/sql_clients.py" cookbook "$work/questions" "$docs/sql.md" "${pg#*:}" "${flight#*:}" "http://$http" "${clients[@]}"
kill "$still"
