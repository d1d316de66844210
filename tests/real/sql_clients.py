"""The Python half of sql_clients.sh: psycopg, psycopg2 with SQLAlchemy and pandas, asyncpg, ADBC and HTTP.

    sql_clients.py local PG_PORT FLIGHT_PORT HTTP_URL SQL_MD
    sql_clients.py users PG_PORT FLIGHT_PORT HTTP_URL CERTIFICATE DEPARTMENT AGENT
"""

import asyncio
import datetime
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request

import adbc_driver_flightsql.dbapi
import asyncpg
import pandas
import psycopg
import sqlalchemy

BIG = "select count(*) from generate_series(1,40000000) a, generate_series(1,20) b where a.value %% 7 = b.value %% 3 and a.value > %s"


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


def psycopg_checks(dsn):
    with psycopg.connect(dsn, autocommit=True) as c:
        rows = c.execute("select queue, sum(offered) from kpi_slot where offered > %s group by 1", (0,)).fetchall()
        assert rows, "no rows by a parameter"
        since = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        assert c.execute("select count(*) from legs where queued_at > %s", (since,)).fetchone()[0] > 0
        assert c.execute("select count(*) from legs where queue = any(%s)", ([rows[0][0]],)).fetchone()[0] > 0
        text = c.execute("select queued_at, wait_ms, in_time, date from legs order by contact_id, leg limit 5").fetchall()
        binary = c.cursor(binary=True)
        binary.execute("select queued_at, wait_ms, in_time, date from legs order by contact_id, leg limit 5")
        assert len(binary.fetchall()) == len(text) == 5
        for sql in ["drop table legs", "insert into legs select * from legs", "select 1 into t where 1 = %s"]:
            refused("25006", sql, lambda: c.execute(sql, (1,) if "%s" in sql else None))
        began = time.monotonic()
        c.execute("set statement_timeout = '1s'")
        refused("57014", "timeout of the extended protocol", lambda: c.execute(BIG, (0,)))
        assert time.monotonic() - began < 10
        c.execute("reset statement_timeout")
        threading.Timer(1.5, c.cancel).start()
        refused("57014", "cancel of the extended protocol", lambda: c.execute(BIG, (0,)))
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
    said("psycopg: parameters, binary, arrays, refusals, timeout, cancel, stream, cursor, transactions")


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
    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://ana@127.0.0.1:{port}/callpulse")
    assert len(pandas.read_sql("select * from legs limit 3", engine)) == 3
    inspector = sqlalchemy.inspect(engine)
    assert "legs" in inspector.get_table_names() and "kpi_slot" in inspector.get_view_names()
    columns = inspector.get_columns("legs")
    assert any(column["name"] == "queued_at" for column in columns), columns
    assert inspector.get_table_comment("legs")["text"]
    said("SQLAlchemy and pandas: read_sql, names, columns, comments")


async def asyncpg_check(port):
    c = await asyncpg.connect(host="127.0.0.1", port=int(port), user="ana", database="callpulse")
    rows = await c.fetch("select queue, count(*) from legs where wait_ms >= $1 group by 1", 0)
    await c.close()
    assert rows
    said("asyncpg: prepared statements")


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


def cookbook(path, port, flight, url):
    """The questions of the manual: by psycopg, by HTTP and by Flight SQL the same number of rows."""
    questions = [q for q in re.findall(r"```sql\n(.*?)```", open(path, encoding="utf-8").read(), re.S)]
    assert len(questions) == 30, len(questions)
    live = 0
    with psycopg.connect(f"host=127.0.0.1 port={port} user=ana dbname=callpulse", autocommit=True) as c:
        with adbc_driver_flightsql.dbapi.connect(f"grpc://127.0.0.1:{flight}") as f, f.cursor() as cursor:
            for question in questions:
                text = question.strip().rstrip(";")
                rows = len(c.execute(text).fetchall())
                by_http = len(json.loads(http(url, text)))
                cursor.execute(text)
                by_flight = cursor.fetch_arrow_table().num_rows
                # The centre goes on between the three; what is grouped by open things may gain a row.
                if not rows == by_http == by_flight:
                    live += 1
                assert abs(rows - by_http) <= 5 and abs(rows - by_flight) <= 5, (question, rows, by_http, by_flight)
    said(f"cookbook: {len(questions)} questions by three doors ({live} moved on between them)")


def local(port, flight, url, manual):
    dsn = f"host=127.0.0.1 port={port} user=ana dbname=callpulse"
    psycopg_checks(dsn)
    grafana_checks(dsn)
    sqlalchemy_checks(port)
    asyncio.run(asyncpg_check(port))
    adbc_checks(f"grpc://127.0.0.1:{flight}", {})
    said("ADBC Flight SQL: rows, parameters, 500,000 rows, info, objects, refusals")
    for accept in ["application/json", "text/csv", "application/vnd.apache.arrow.stream"]:
        assert http(url, "select count(*) as n from legs", accept=accept)
    said("HTTP: JSON, CSV, Arrow")
    cookbook(manual, port, flight, url)


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
    checked = 0
    for user, (role, password) in users.items():
        with connect(user) as c, adbc_driver_flightsql.dbapi.connect(
            uri, db_kwargs={"username": user, "password": password, **tls}
        ) as f, f.cursor() as cursor:
            for relation in relations:
                by_flight = by_pg = None
                try:
                    answer = c.execute(f"select * from {relation} limit 2000")
                    names = [column.name for column in answer.description]
                    by_pg = answer.fetchall()
                except psycopg.Error as error:
                    assert error.sqlstate == "42501" and role != "admin" and relation == "rejects", (user, relation, error)
                try:
                    cursor.execute(f"select * from {relation} limit 2000")
                    by_flight = cursor.fetch_arrow_table()
                except Exception as error:
                    assert role != "admin" and relation == "rejects", (user, relation, error)
                assert (by_pg is None) == (by_flight is None), (user, relation)
                checked += 2
                if by_pg is None:
                    continue
                rows = [dict(zip(names, row)) for row in by_pg] + by_flight.to_pylist()
                for row in rows:
                    if role == "lead" and row.get("department") is not None and relation != "events":
                        own = row["department"] == department or "contact_id" in row
                        assert own, (user, relation, row["department"])
                    if role == "agent" and relation in ("legs", "handlings", "agent_states", "agent_day", "live_agents"):
                        assert row["agent_id"] == agent, (user, relation, row["agent_id"])
                    if role == "analyst" and row.get("customer_id") is not None:
                        assert row["customer_id"].startswith("p_"), (user, relation, row["customer_id"])
            if role in ("lead", "agent"):
                refused("42501", "EXPLAIN ANALYZE", lambda: c.execute("explain analyze select * from contacts"))
                listed = c.execute("select count(*) from information_schema.tables where table_name = 'rejects'").fetchone()
                assert listed == (0,), listed
    said(f"roles: {checked} answers of {len(relations)} tables and views by two doors, five roles")


if __name__ == "__main__":
    if sys.argv[1] == "local":
        local(*sys.argv[2:])
    else:
        roles(*sys.argv[2:])
