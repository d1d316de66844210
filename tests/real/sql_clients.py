"""The Python half of sql_clients.sh: psycopg, psycopg2 with SQLAlchemy and pandas, asyncpg, ADBC and HTTP.

    sql_clients.py local PG_PORT FLIGHT_PORT HTTP_URL SERVER_PID
    sql_clients.py questions DIRECTORY SQL_MD
    sql_clients.py cookbook DIRECTORY SQL_MD PG_PORT FLIGHT_PORT HTTP_URL CLIENT...
    sql_clients.py users PG_PORT FLIGHT_PORT HTTP_URL CERTIFICATE DEPARTMENT AGENT
"""

import asyncio
import concurrent.futures
import csv
import datetime
import decimal
import io
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import asyncpg
import pandas
import psycopg
import sqlalchemy

BIG = "select count(*) from generate_series(1,40000000000) a where a.value %% 7 = 3 and a.value > %s"

# Sorts a GiB.
GREEDY = "select * from (select repeat('x', 500) || value as t from generate_series(1, 2000000)) as long order by t desc"


def said(what):
    print(what, flush=True)


def refused(code, what, work):
    """Holds that `work` fails with this SQLSTATE."""
    try:
        work()
    except psycopg.Error as error:
        assert error.sqlstate == code, f"{what}: {error.sqlstate} {error}"
        return
    raise AssertionError(f"{what} was not refused")


def http(url, sql, token=None, accept="application/json", context=None):
    body = json.dumps({"sql": sql}).encode()
    headers = {"content-type": "application/json", "accept": accept}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{url}/api/v1/sql", body, headers)
    with urllib.request.urlopen(request, context=context) as answer:
        return answer.read()


def idle(pid, after):
    """Holds that the server's CPU time falls, within two minutes, below that of a query. What it does beside (forecasts, a look
    for surges, a compaction) is over then, also in a debug build on a slow machine; a query that goes on takes far longer."""

    def ticks():
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    looks = []
    while not looks or looks[-1] >= 220:
        assert len(looks) < 30, f"the server is busy after {after}: {looks} ticks in 3 s each"
        time.sleep(1)
        before = ticks()
        time.sleep(3)
        looks.append(ticks() - before)
    if len(looks) > 1:
        said(f"busy with other work after {after}: {looks} ticks in 3 s each")


# A client that asks by the extended protocol, and is killed.
ASKING = f"""
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as c:
    print("asks", flush=True)
    c.execute({BIG!r}, (0,))
"""


def killed(dsn, pid):
    client = subprocess.Popen([sys.executable, "-c", ASKING, dsn], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"asks\n"
    time.sleep(2)
    assert client.poll() is None, "the query is over before its client is killed"
    client.kill()
    client.wait()
    time.sleep(2)
    idle(pid, "a client of the extended protocol was killed")


def psycopg_checks(dsn, pid):
    with psycopg.connect(dsn, autocommit=True) as c:
        rows = c.execute("select queue, sum(offered) from kpi_slot where offered > %s group by 1", (0,)).fetchall()
        assert rows, "no rows by a parameter"
        since = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        assert c.execute("select count(*) from legs where queued_at > %s", (since,)).fetchone()[0] > 0
        assert c.execute("select count(*) from legs where queue in (%s, %s)", (rows[0][0], "none")).fetchone()[0] > 0
        queues = [row[0] for row in rows]
        one_list(c.cursor(), queues)
        one_list(psycopg.ClientCursor(c), queues)
        text = c.execute("select queued_at, wait_ms, in_time, date from legs order by contact_id, leg limit 5").fetchall()
        binary = c.cursor(binary=True)
        binary.execute("select queued_at, wait_ms, in_time, date from legs order by contact_id, leg limit 5")
        assert len(binary.fetchall()) == len(text) == 5
        for sql in [
            "drop table legs", "insert into legs select * from legs", "update legs set leg = 1", "delete from legs",
            "copy legs to '/tmp/x.parquet'", "create external table l stored as parquet location 'x.parquet'",
            "create table t as select 1", "truncate legs", "select 1 into t where 1 = %s",
        ]:  # with parameters or a prepared statement the driver speaks the extended protocol
            refused("25006", sql, lambda: c.execute(sql, (1,) if "%s" in sql else None, prepare=True))
        refused("42501", "set", lambda: c.execute("set datafusion.execution.batch_size = 3", prepare=True))
        for code, sql in [("42P01", "select * from nope"), ("42703", "select nope from legs"), ("42601", "selec 1"), ("22012", "select 1 / 0")]:
            refused(code, sql, lambda: c.execute(sql, prepare=True))
        try:
            c.execute("select nope from legs", prepare=True)
        except psycopg.Error as error:
            assert error.diag.statement_position == "8", error.diag.statement_position
        began = time.monotonic()
        c.execute("set statement_timeout = '1s'")
        refused("57014", "timeout of the extended protocol", lambda: c.execute(BIG, (0,)))
        said(f"statement_timeout of 1 s by the extended protocol: refused after {time.monotonic() - began:.1f} s")
        c.execute("reset statement_timeout")
        idle(pid, "statement_timeout of the extended protocol")
        refused("53200", "more memory than a query may have", lambda: c.execute(GREEDY, prepare=True))
        assert c.execute("select 1").fetchone() == (1,), "the connection lives on"
        threading.Timer(1.5, c.cancel).start()
        refused("57014", "cancel of the extended protocol", lambda: c.execute(BIG, (0,)))
        idle(pid, "cancel of the extended protocol")
        killed(dsn, pid)
        assert sum(1 for _ in c.cursor().stream("select * from generate_series(1, 20000)")) == 20000
        c.execute("set time zone 'Asia/Shanghai'")
        at = c.execute("select timestamptz '2026-01-01 00:00:00Z'").fetchone()[0]
        assert at.utcoffset() == datetime.timedelta(hours=8), at
    with psycopg.connect(dsn) as c:
        with c.cursor(name="big") as cursor:
            cursor.itersize = 50
            cursor.execute("select * from generate_series(1, 300)")
            assert sum(1 for _ in cursor) == 300
        try:
            c.execute("select nope from legs")
        except psycopg.Error:
            pass
        refused("25P02", "a failed transaction", lambda: c.execute("select 1"))
        c.rollback()
        assert c.execute("select 2").fetchone() == (2,)
    said("psycopg: parameters, lists, binary, refusals, timeout, cancel, disconnect, stream, cursor, transactions")


def one_list(cursor, queues):
    """A list as one parameter is as its elements one by one. A ClientCursor writes it into the statement, as a text."""
    one, other = (queues * 2)[:2]
    times = [datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), None]
    odd = ["a \"quoted\", {odd} \\ name", "NULL", "", "退款"]
    cursor.execute(
        """select count(*) filter (where queue = any(%s)), count(*) filter (where queue in (%s, %s)),
                  count(*) filter (where queue <> all(%s)), count(*) filter (where queue not in (%s, %s)),
                  count(*) filter (where leg = any(%s)), count(*) filter (where leg in (1, 2)),
                  count(*) filter (where wait_ms > all(%s)), count(*) filter (where wait_ms > 1000),
                  count(*) filter (where queue = any(%s)), 0 as none,
                  count(*) filter (where queue <> all(%s)), 0 as unknown,
                  count(*) filter (where queued_at = any(%s)), 0 as then from legs""",
        ([one, other, *odd], one, other, [one, other, *odd], one, other, [1, 2], [1000, -1], [], [one, None], times),
    )
    row = cursor.fetchone()
    assert row[0::2] == row[1::2] and row[0] > 0 and row[4] > 0, row
    cursor.execute("select x from (values (1, '%s'), (2, 'NULL'), (3, ''), (4, '退款')) as v (n, x) where x = any(%%s) order by n" % odd[0], (odd,))
    assert [row[0] for row in cursor.fetchall()] == odd


def grafana_checks(dsn):
    with psycopg.connect(dsn, autocommit=True) as c:
        panel = """SELECT floor(extract(epoch from slot_start)/900)*900 AS time, queue AS metric, sum(offered) AS offered
            FROM kpi_slot WHERE slot_start BETWEEN '2020-01-01T00:00:00Z' AND '2040-01-02T00:00:00.5Z' GROUP BY 1,2 ORDER BY 1"""
        assert c.execute(panel).fetchall()
        assert c.execute("select time_bucket('900.000s', slot_start), count(*) from kpi_slot group by 1").fetchall()
        tables = """select quote_ident(table_name) as "table" from information_schema.tables
            where quote_ident(table_schema) not in ('information_schema', 'pg_catalog') and table_type = 'BASE TABLE' and
            quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
            FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
            array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
            string_to_array(current_setting('search_path'),',') s)"""
        assert ("legs",) in c.execute(tables).fetchall()
        columns = "SELECT column_name, data_type, udt_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        found = c.execute(columns, ("public", "legs")).fetchall()
        assert ("queued_at", "timestamp with time zone", "timestamptz") in found, found
        assert c.execute("SELECT current_setting('server_version_num')::int/100 as version").fetchone()[0] >= 1200
        assert c.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchall() == []
    said("Grafana: panel, time groups, tables, columns, version")


def sqlalchemy_checks(port):
    for driver in ["psycopg2", "psycopg"]:
        engine = sqlalchemy.create_engine(f"postgresql+{driver}://ana@127.0.0.1:{port}/callpulse")
        assert len(pandas.read_sql("select * from legs limit 3", engine)) == 3
        some = sqlalchemy.text("select count(*) as n from legs where queue = any(:queues)")
        assert pandas.read_sql(some, engine, params={"queues": ["none", "no, ne"]})["n"][0] == 0
        inspector = sqlalchemy.inspect(engine)
        assert "public" in inspector.get_schema_names()
        assert "legs" in inspector.get_table_names() and "kpi_slot" in inspector.get_view_names()
        columns = {column["name"]: column for column in inspector.get_columns("legs")}
        assert columns["queued_at"]["type"].timezone and columns["queued_at"]["comment"], columns
        assert isinstance(columns["wait_ms"]["type"], sqlalchemy.BIGINT) and columns["wait_ms"]["default"] is None, columns
        assert inspector.get_table_comment("legs")["text"]
        assert inspector.get_pk_constraint("legs")["constrained_columns"] == ["contact_id", "leg"]
        assert inspector.get_indexes("legs") == inspector.get_foreign_keys("legs") == inspector.get_unique_constraints("legs") == []
        legs = sqlalchemy.Table("legs", sqlalchemy.MetaData(), autoload_with=engine)
        with engine.connect() as c:
            assert c.execute(sqlalchemy.select(legs.c.queue, sqlalchemy.func.count()).group_by(legs.c.queue)).fetchall()
        engine.dispose()
    said("SQLAlchemy by two drivers and pandas: read_sql, lists, schemas, tables, columns, comments, keys, tables from the catalogue")


async def asyncpg_check(port):
    c = await asyncpg.connect(host="127.0.0.1", port=int(port), user="ana", database="callpulse")
    rows = await c.fetch("select queue, count(*) from legs where wait_ms >= $1 group by 1", 0)
    queues = [row["queue"] for row in rows]
    assert await c.fetchval("select count(*) from legs where queue = any($1)", queues) > 0
    await c.close()
    assert rows
    said("asyncpg: prepared statements, lists")


def adbc_checks(uri, options):
    with adbc_driver_flightsql.dbapi.connect(uri, db_kwargs=options) as c:
        with c.cursor() as cursor:
            cursor.execute("select queue, sum(offered) as offered from kpi_slot group by 1 order by 1")
            assert cursor.fetch_arrow_table().num_rows > 0
            cursor.execute("select count(*) as n from legs where wait_ms >= $1", (0,))
            assert cursor.fetch_arrow_table().num_rows == 1
            cursor.execute("select value from generate_series(1, 500000)")
            assert cursor.fetch_arrow_table().num_rows == 500_000
            try:
                cursor.execute("drop table legs")
                cursor.fetch_arrow_table()
            except Exception as error:  # the driver has an error of its own for each status
                assert "only reads" in str(error), error
            else:
                raise AssertionError("DDL by Flight SQL")
        info = c.adbc_get_info()
        assert info["vendor_name"] == "callpulse", info
        objects = c.adbc_get_objects(depth="tables").read_all().to_pylist()
        tables = [t["table_name"] for o in objects for s in o["catalog_db_schemas"] for t in s["db_schema_tables"]]
        assert "legs" in tables, tables
        assert c.adbc_get_table_schema("legs").names


def questions(manual):
    """The questions of the manual. A limit cuts among equals as it comes, so it is left out where answers are compared."""
    found = re.findall(r"```sql\n(.*?)```", open(manual, encoding="utf-8").read(), re.S)
    assert len(found) == 30, len(found)
    return [re.sub(r"\s+LIMIT \d+$", "", question.strip().rstrip(";"), flags=re.I) for question in found]


def cookbook(directory, manual, port, flight, url, *clients):
    """The questions of the manual over a lake at rest: the answers of all clients are the same, value by value.

    In DIRECTORY stand the answers of programs that are no Python: N.NAME for each of CLIENTS."""
    asked = questions(manual)
    answers = {name: [read_answer(f"{directory}/{number:02}.{name}") for number in range(len(asked))] for name in clients}
    with psycopg.connect(f"host=127.0.0.1 port={port} user=ana dbname=callpulse", autocommit=True) as c:
        answers["psycopg"] = [c.execute(question).fetchall() for question in asked]
        answers["psycopg-extended"] = [c.execute(question, prepare=True, binary=True).fetchall() for question in asked]
    with adbc_driver_flightsql.dbapi.connect(f"grpc://127.0.0.1:{flight}") as f, f.cursor() as cursor:
        answers["adbc"] = [[tuple(row.values()) for row in by_flight(cursor, question).to_pylist()] for question in asked]
    answers["http-json"] = [[tuple(row.values()) for row in json.loads(http(url, question))] for question in asked]
    answers["http-csv"] = [
        [tuple(row) for row in csv.reader(io.StringIO(http(url, question, accept="text/csv").decode()))][1:] for question in asked
    ]
    values = with_rows = 0
    for number, question in enumerate(asked):
        moves = any(part in question for part in ("now() - ", "live_", "complaint_deadlines"))
        ours = answers["psycopg"][number]
        with_rows += bool(ours)
        for name, told in answers.items():
            theirs = told[number]
            assert len(theirs) == len(ours), (name, question, len(theirs), len(ours))
            if moves:
                continue
            loose = 0.02 if "approx_" in question else 1e-9
            for one, other in zip(in_order(ours), in_order(theirs)):
                values += len(one)
                same = len(one) == len(other) and all(alike(x, y, loose) for x, y in zip(one, other))
                assert same, (name, question, one, other)
    assert with_rows >= 20 and values > 10_000, (with_rows, values)
    said(f"cookbook: {len(asked)} questions, {with_rows} of them with rows, {values} values alike from {', '.join(answers)}")


def by_flight(cursor, question):
    cursor.execute(question)
    return cursor.fetch_arrow_table()


def read_answer(path):
    lines = open(path, encoding="utf-8").read().split("\n")[:-1]
    return [tuple(None if value == "\\N" else value for value in line.split("\x1f")) for line in lines]


def plain(value):
    """A value in a form that is the same whichever client had it: a number, an instant in seconds, or a text."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, decimal.Decimal)):
        return float(value)
    if isinstance(value, datetime.datetime):
        return (value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)).timestamp()
    if isinstance(value, (list, tuple)):
        return "{" + ",".join(str(plain(one)) for one in value) + "}"
    text = str(value)
    if text in ("t", "f"):
        return "true" if text == "t" else "false"
    try:
        return float(text)
    except ValueError:
        pass
    if re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d", text):
        return plain(datetime.datetime.fromisoformat(re.sub(r"\+00$", "+00:00", text)))
    if re.match(r"\[.*\]$", text):
        return plain(json.loads(text))
    return text


def alike(one, other, loose):
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= loose * max(1.0, abs(one))
    return one == other


def in_order(rows):
    """Rows in an order of their own. Floats are rounded in it: their last digit depends on the order of adding up."""
    rows = [tuple(plain(value) for value in row) for row in rows]
    return sorted(rows, key=lambda row: [f"{value:.6g}" if isinstance(value, float) else value for value in row])


def streams(flight, port, url, pid):
    """Results that are larger than what the server may hold of them come through, on every door."""

    def held():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1]) // 1024

    # About 400 MiB.
    rows = 1_000_000
    sql = f"select value, repeat('x', 400) as filling from generate_series(1, {rows})"
    most = before = held()
    with adbc_driver_flightsql.dbapi.connect(f"grpc://127.0.0.1:{flight}") as c, c.cursor() as cursor:
        cursor.execute(sql)
        count = 0
        for batch in cursor.fetch_record_batch():
            count += batch.num_rows
            most = max(most, held())
        assert count == rows, count
    with psycopg.connect(f"host=127.0.0.1 port={port} user=ana dbname=callpulse", autocommit=True) as c:
        for count, _ in enumerate(c.cursor().stream(sql, size=1000), 1):
            if count % 50_000 == 0:
                most = max(most, held())
        assert count == rows, count
    body = json.dumps({"sql": sql}).encode()
    headers = {"content-type": "application/json", "accept": "text/csv"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/api/v1/sql", body, headers)) as answer:
        count = 0
        while piece := answer.read(1 << 20):
            count += piece.count(b"\n")
            most = max(most, held())
        assert count == rows + 1, count
    assert most - before < 200, f"the server holds {most - before} MiB more"
    said(f"streams: {rows} rows of 400 bytes by Flight SQL, PostgreSQL and HTTP; the server held {most - before} MiB more at most")


def local(port, flight, url, pid):
    dsn = f"host=127.0.0.1 port={port} user=ana dbname=callpulse"
    psycopg_checks(dsn, pid)
    grafana_checks(dsn)
    sqlalchemy_checks(port)
    asyncio.run(asyncpg_check(port))
    adbc_checks(f"grpc://127.0.0.1:{flight}", {})
    said("ADBC Flight SQL: rows, parameters, 500,000 rows, info, objects, refusals")
    for accept in ["application/json", "text/csv", "application/vnd.apache.arrow.stream"]:
        assert http(url, "select count(*) as n from legs", accept=accept)
    said("HTTP: JSON, CSV, Arrow")
    streams(flight, port, url, pid)


def roles(port, flight, url, certificate, department, agent):
    context = ssl.create_default_context(cafile=certificate)
    tls = {"adbc.flight.sql.client_option.tls_root_certs": open(certificate).read()}
    uri = f"grpc+tls://localhost:{flight}"
    users = {
        "boss": ("admin", os.environ["CALLPULSE_ADMIN"]),
        "ana": ("analyst", os.environ["CALLPULSE_ANALYST"]),
        "sue": ("supervisor", os.environ["CALLPULSE_SUPERVISOR"]),
        "lea": ("lead", os.environ["CALLPULSE_LEAD"]),
        "a17": ("agent", os.environ["CALLPULSE_AGENT"]),
    }
    adbc_checks(uri, {"adbc.flight.sql.authorization_header": f"Bearer {os.environ['CALLPULSE_TOKEN']}", **tls})
    for token in [None, "cp_wrong"]:
        try:
            http(url, "select 1", token, context=context)
        except urllib.error.HTTPError as error:
            assert error.code == 401, error
        else:
            raise AssertionError(f"HTTP with {token}")
    dsn = f"host=localhost port={port} dbname=callpulse sslmode=verify-full sslrootcert={certificate}"

    def connect(user):
        return psycopg.connect(f"{dsn} user={user} password={users[user][1]}", autocommit=True)

    with connect("boss") as c:
        relations = [row[0] for row in c.execute("select table_name from information_schema.tables").fetchall()]
    assert "legs" in relations and "rejects" in relations and len(relations) > 30, relations

    def closed(role, relation):
        """What docs/security.md keeps from a role: records as they came, and how agents are from who only compares."""
        return relation == "rejects" and role != "admin" or relation == "exposure" and role == "analyst"

    def by_postgres(connection, sql, prepare):
        answer = connection.execute(sql, prepare=prepare)
        names = [column.name for column in answer.description]
        return [dict(zip(names, row)) for row in answer.fetchall()]

    def by_flight(cursor, sql):
        cursor.execute(sql)
        return cursor.fetch_arrow_table().to_pylist()

    def wrong_row(user, role, relation, row):
        """What a row shows that its reader must not see; nothing where it is right."""
        if role == "lead" and row.get("department") is not None and relation != "events":
            # `(all)` is all that the reader sees. Of own contacts that went on to another department, or that it
            # has a complaint about, its name is seen: docs/security.md.
            of_contacts = "contact_id" in row or relation in ("complaint_day", "agent_month")
            if row["department"] not in (department, "(all)") and not of_contacts:
                return (user, relation, row["department"])
        if role == "agent" and relation in ("legs", "handlings", "agent_states", "agent_day", "live_agents"):
            if row["agent_id"] != agent:
                return (user, relation, row["agent_id"])
        if role == "analyst" and row.get("customer_id") is not None and not row["customer_id"].startswith("p_"):
            return (user, relation, row["customer_id"])
        return None

    def walk(turn, user, role, password):
        """Every relation, each by one of the doors in turn (both with SQL_WALK=full), so that each role comes by both."""
        answers, seen = 0, set()
        with connect(user) as c, adbc_driver_flightsql.dbapi.connect(
            uri, db_kwargs={"username": user, "password": password, **tls}
        ) as f, f.cursor() as cursor:
            for place, relation in enumerate(relations):
                sql = f"select * from {relation} limit 2000"
                # The simple and the extended protocol in turn.
                doors = [lambda: by_postgres(c, sql, place % 4 < 2), lambda: by_flight(cursor, sql)]
                if os.environ.get("SQL_WALK") != "full":
                    doors = [doors[(place + turn) % 2]]
                for door in doors:
                    try:
                        rows = door()
                    except psycopg.Error as error:
                        assert error.sqlstate == "42501" and closed(role, relation), (user, relation, error)
                    except adbc_driver_manager.Error as error:
                        assert closed(role, relation), (user, relation, error)
                    else:
                        assert not closed(role, relation), f"{user} reads {relation}"
                        seen.update(filter(None, (wrong_row(user, role, relation, row) for row in rows)))
                    answers += 1
            if role in ("lead", "agent"):
                for prepare in [False, True]:
                    explain = "explain analyze select * from contacts"
                    refused("42501", "EXPLAIN ANALYZE", lambda: c.execute(explain, prepare=prepare))
                listed = c.execute("select count(*) from information_schema.tables where table_name = 'rejects'").fetchone()
                assert listed == (0,), listed
        return answers, seen

    # Two roles at once, one for each of two cores.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        walks = [pool.submit(walk, turn, user, *who) for turn, (user, who) in enumerate(users.items())]
        walked = [one.result() for one in walks]
    checked = sum(answers for answers, _ in walked)
    seen = set().union(*(found for _, found in walked))
    assert not seen, f"rows of others: {sorted(seen)}"
    said(f"roles: {checked} answers of {len(relations)} tables and views by two doors, five roles")


if __name__ == "__main__":
    if sys.argv[1] == "local":
        local(*sys.argv[2:])
    elif sys.argv[1] == "questions":
        for number, question in enumerate(questions(sys.argv[3])):
            with open(f"{sys.argv[2]}/{number:02}.sql", "w", encoding="utf-8") as file:
                file.write(question)
    elif sys.argv[1] == "cookbook":
        cookbook(*sys.argv[2:])
    else:
        roles(*sys.argv[2:])
