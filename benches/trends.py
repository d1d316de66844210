"""The Python half of trends.sh.

trends.py spread LAKE WEEKS   tells the one week of the lake again, for each week after it
trends.py ask LAKE URL        puts the questions to callpulse at URL, and to DuckDB and chDB over the files of LAKE
"""

import concurrent.futures
import glob
import json
import math
import os
import sys
import time
import urllib.error
import urllib.request

import duckdb

TABLES = ["contacts", "legs", "handlings", "restatements"]
DAY = 86_400_000_000
# The centre's zone is eight hours ahead of UTC, without summer time.
AHEAD = 8 * 3_600_000_000


def spread(lake, weeks):
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'; set preserve_insertion_order = false")
    for table in TABLES:
        files = glob.glob(f"{lake}/{table}/date=*/*.parquet")
        if not files:
            continue
        began, rows = time.monotonic(), 0
        db.execute(f"create or replace table base as select * from read_parquet({files!r}, hive_partitioning = true)")
        columns = db.execute("select column_name, data_type from information_schema.columns where table_name = 'base'").fetchall()
        log = f"{lake}/{table}/_delta_log"
        version = max(int(os.path.basename(name)[:20]) for name in glob.glob(f"{log}/*.json")) + 1
        dates = [row[0] for row in db.execute("select distinct date from base order by 1").fetchall()]
        adds = []
        for week in range(1, weeks):
            for date in dates:
                day = db.execute("select (?::date + ?::integer)::varchar", [date, 7 * week]).fetchone()[0]
                folder = f"{lake}/{table}/date={day}"
                os.makedirs(folder, exist_ok=True)
                path = f"{folder}/part-told-{week:03}.zstd.parquet"
                db.execute(
                    f"copy (select {', '.join(later(name, kind, week) for name, kind in columns if name != 'date')} from base "
                    f"where date = '{date}') to '{path}' "
                    "(format parquet, compression zstd, row_group_size 131072)"
                )
                count = db.execute(f"select count(*) from read_parquet('{path}')").fetchone()[0]
                rows += count
                adds.append({"add": {
                    "path": f"date={day}/{os.path.basename(path)}", "partitionValues": {"date": day}, "size": os.path.getsize(path),
                    "modificationTime": int(time.time() * 1000), "dataChange": True, "stats": json.dumps(stats(db, path, columns)),
                }})
        with open(f"{log}/{version:020}.json", "x", encoding="utf-8") as out:
            out.write("\n".join(json.dumps(add) for add in adds) + "\n")
        base = db.execute("select count(*) from base").fetchone()[0]
        print(f"{table}: {base + rows:,} rows in {len(adds)} files and those of the first week, {time.monotonic() - began:.0f} s", flush=True)


def later(name, kind, week):
    """The column, as it is so many weeks later. A customer comes back within four weeks, then there are others."""
    if kind.startswith("TIMESTAMP"):
        return f"{name} + interval {7 * week} day as {name}"
    if kind == "DATE":
        return f"({name} + {7 * week})::date as {name}"
    if name == "contact_id":
        return f"'w{week}-' || {name} as {name}"
    if name == "customer_id":
        return f"'w{week // 4}-' || {name} as {name}"
    return f'"{name}"'


def stats(db, path, columns):
    """What the lake's own commits say of a file: rows, and the least and greatest of its times."""
    times = [name for name, kind in columns if kind.startswith("TIMESTAMP")]
    parts = [f"min({name}), max({name}), count(*) - count({name})" for name in times]
    values = db.execute(f"select count(*){''.join(', ' + part for part in parts)} from read_parquet('{path}')").fetchone()
    text = lambda value: value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    least, most, nulls = {}, {}, {}
    for at, name in enumerate(times):
        low, high, missing = values[1 + 3 * at : 4 + 3 * at]
        nulls[name] = missing
        if low is not None:
            least[name], most[name] = text(low), text(high)
    return {"numRecords": values[0], "minValues": least, "maxValues": most, "nullCount": nulls}


# --- questions -------------------------------------------------------------------------------------------------------------

SUMS = "offered, answered, abandoned, answered_in_time, wait_ms_sum, handled, handle_ms_sum"


def kpi(slot, only="true", duck=True):
    """The figures by `slot` (microseconds), as the other engines make them of rows."""
    count = (lambda condition: f"count(*) filter (where {condition})") if duck else (lambda condition: f"countIf({condition})")
    total = "sum(case when outcome = 'answered' then wait_ms else 0 end)"
    other = "is distinct from 'outbound'" if duck else "IS NULL OR direction <> 'outbound'"
    at = lambda column: f"epoch_us({column})" if duck else f"toUnixTimestamp64Micro({column})"
    return f"""
        select piece, channel, queue, {', '.join(f'sum({name}) as {name}' for name in SUMS.split(', '))} from (
            select {slot(at('slot_start'))} as piece, channel, queue, count(*) as offered, {count("outcome = 'answered'")} as answered,
                {count("outcome = 'abandoned'")} as abandoned, {count("outcome = 'answered' and in_time")} as answered_in_time,
                {total} as wait_ms_sum, 0 as handled, 0 as handle_ms_sum
            from legs where {only.format(at=at('slot_start'))} group by 1, 2, 3
            union all
            select {slot(at('wrapped_at'))}, channel, queue, 0, 0, 0, 0, 0, count(*), sum(coalesce(handle_ms, 0))
            from handlings where wrapped_at is not null and (direction {other}) and {only.format(at=at('wrapped_at'))} group by 1, 2, 3
        ) as parts group by 1, 2, 3"""


def day(micros):
    return f"cast(floor(({micros} + {AHEAD}) / {DAY}) as bigint) * {DAY} - {AHEAD}"


def half_hour(micros):
    return f"cast(floor({micros} / 1800000000) as bigint) * 1800000000"


def questions(newest, queue):
    year = newest - 365 * DAY
    ours = "arrow_cast(slot_start, 'Int64') as piece, channel, queue"
    one = f"queue = '{queue}' and {{at}} >= {year} and {{at}} < {newest}"
    word = "select started_at, unnest(string_split(keywords, ';')) as word from contacts where keywords is not null"
    month = "cast(floor((epoch_us(started_at) + {0}) / 2629800000000) as bigint)"
    return {
        "figures by day and queue, 25 months": (
            f"select {ours}, {SUMS} from kpi_day where offered + handled > 0", kpi(day), kpi(day, duck=False)),
        "one queue by slot, a year": (
            f"select {ours}, {SUMS} from kpi_slot where queue = '{queue}' and arrow_cast(slot_start, 'Int64') >= {year} "
            f"and arrow_cast(slot_start, 'Int64') < {newest} and offered + handled > 0",
            kpi(half_hour, one), kpi(half_hour, one, duck=False)),
        "phrases by month, 25 months": (
            f"select floor((arrow_cast(started_at, 'Int64') + {AHEAD}) / 2629800000000) as month, word, count(*) as n from "
            "(select started_at, unnest(string_to_array(keywords, ';')) as word from contacts where keywords is not null) group by 1, 2",
            f"select {month.format(AHEAD)} as month, word, count(*) as n from ({word}) group by 1, 2",
            f"select floor((toUnixTimestamp64Micro(started_at) + {AHEAD}) / 2629800000000) as month, word, count(*) as n from contacts "
            "array join splitByChar(';', assumeNotNull(keywords)) as word where keywords is not null group by 1, 2"),
        "longest waits by queue, 25 months": (
            "select queue, max(wait_ms) as longest, count(distinct agent_id) as agents from legs group by 1",
            "select queue, max(wait_ms), count(distinct agent_id) from legs group by 1",
            "select queue, max(wait_ms), count(distinct agent_id) from legs group by 1"),
        "first-contact resolution by day, 25 months": (
            "select arrow_cast(day, 'Int64') as piece, channel, queue, contacts, repeated from fcr_day", fcr(True), fcr(False)),
    }


def fcr(duck):
    at = "epoch_us({0})" if duck else "toUnixTimestamp64Micro({0})"
    later = at.format("started_at")
    lead, frame = ("lead", "") if duck else ("leadInFrame", "rows between unbounded preceding and unbounded following")
    again = "count(again_at)" if duck else "countIf(again_contact <> '')"
    return f"""
        with came as (
            select contact_id, customer_id, topic, {later} as start, outcome, channel, first_queue, direction,
                {lead}({later}) over (partition by customer_id order by started_at, contact_id {frame}) as next_start
            from contacts where customer_id is not null and (direction is null or direction not in ('outbound', 'callback'))
        ), needs as (
            select customer_id as later_customer, topic as later_topic, start as later_start from came
            where not (coalesce(outcome, '') = 'abandoned_short' and coalesce({'next_start' if duck else 'nullIf(next_start, 0)'}, start + {DAY}) <= start + 600000000)
        ), firsts as (
            select contact_id, customer_id, topic, start, channel, first_queue from came where outcome = 'answered'
        ), again as (
            select contact_id as again_contact, min(later_start) as again_at from firsts join needs on customer_id = later_customer
            where later_start > start and later_start <= start + {7 * DAY} and (topic = later_topic or topic is null or later_topic is null)
            group by 1
        )
        select {day('start')} as piece, channel, first_queue, count(*),
            {again}
        from firsts left join again on contact_id = again_contact group by 1, 2, 3"""


def panels(newest, queue):
    month, quarter = newest - 30 * DAY, newest - 91 * DAY
    since = lambda at: f"slot_start >= arrow_cast({at}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    return [
        f"select slot_start, sum(offered) as offered, sum(answered) as answered from kpi_slot where {since(newest - 7 * DAY)} group by 1 order by 1",
        f"select slot_start, answer_rate, service_level from kpi_slot where queue = '{queue}' and {since(newest - 7 * DAY)} order by 1",
        f"select queue, sum(offered) as offered from kpi_day where {since(month)} group by 1 order by 2 desc",
        f"select slot_start, queue, service_level from kpi_day where {since(quarter)} order by 1",
        f"select slot_start, queue, aht_seconds from kpi_day where {since(quarter)} order by 1",
        f"select slot_start, queue, wait_p90_seconds from kpi_day where {since(month)} order by 1",
        "select slot_start, sum(offered) as offered, sum(abandoned) as abandoned from kpi_month group by 1 order by 1",
        "select slot_start, queue, answer_rate, service_level, asa_seconds, aht_seconds from kpi_month order by 1",
        f"select queue, channel, sum(ledger_gap) as gap from kpi_day where {since(quarter)} group by 1, 2",
        "select sum(offered) as offered, sum(handled) as handled from kpi_day",
        f"select slot_start, load_erlangs from kpi_hour where queue = '{queue}' and {since(month)} order by 1",
        f"select slot_start, wait_p50_seconds, wait_p90_seconds, wait_p95_seconds from kpi_day where queue = '{queue}' order by 1",
    ]


# --- engines ---------------------------------------------------------------------------------------------------------------


def callpulse(url, sql):
    request = urllib.request.Request(
        f"{url}/api/v1/sql", json.dumps({"sql": sql}).encode(), {"content-type": "application/json", "accept": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=900) as answer:
            return [tuple(row.values()) for row in json.loads(answer.read())]
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()[:300]) from error


def duck(lake):
    db = duckdb.connect()
    db.execute("set timezone = 'UTC'; set threads = 2; set memory_limit = '8GB'")
    restated = glob.glob(f"{lake}/restatements/*/*.parquet")
    for table in ["contacts", "legs", "handlings"]:
        rows = f"select * from read_parquet('{lake}/{table}/*/*.parquet', hive_partitioning = true)"
        if restated:
            rows += f" anti join (select contact_id, old_revision as revision from read_parquet({restated!r})) using (contact_id, revision)"
        db.execute(f"create view {table} as {rows}")
    return lambda sql: db.execute(sql).fetchall()


def house(lake):
    from chdb import session

    chdb = session.Session()
    chdb.query("set max_threads = 2; set join_use_nulls = 0")
    restated = glob.glob(f"{lake}/restatements/*/*.parquet")
    chdb.query("create database lake")
    for table in ["contacts", "legs", "handlings"]:
        rows = f"select * from file('{lake}/{table}/*/*.parquet', Parquet)"
        if restated:
            rows += f" as t left anti join (select contact_id, old_revision as revision from file('{lake}/restatements/*/*.parquet', Parquet)) as r using (contact_id, revision)"
        chdb.query(f"create view lake.{table} as {rows}")
    chdb.query("use lake")

    def ask(sql):
        answer = str(chdb.query(sql, "JSONCompactEachRow"))
        return [tuple(json.loads(line)) for line in answer.splitlines() if line]

    return ask


def plain(rows):
    """Rows in one form and order, whatever engine they come from."""

    def value(it):
        if it is None:
            return ""
        try:
            return float(it)
        except ValueError:
            return str(it)

    return sorted((tuple(value(it) for it in row) for row in rows), key=str)


def best(ask, sql):
    """The shortest of three times, and the answer; or why there is none."""
    least, answer = math.inf, None
    for _ in range(3):
        began = time.monotonic()
        try:
            answer = ask(sql)
        except Exception as error:  # every engine has its own
            return None, f"{type(error).__name__}: {str(error)[:200]}"
        least = min(least, time.monotonic() - began)
        if least > 60:
            break
    return least, answer


def ask(lake, url):
    ours = lambda sql: callpulse(url, sql)
    others = {"DuckDB": duck(lake)}
    try:
        others["chDB"] = house(lake)
    except ImportError:
        print("chDB: ignored (not installed)")
    legs, newest = others["DuckDB"](f"select count(*), max(epoch_us(slot_start)) from read_parquet('{lake}/legs/*/*.parquet')")[0]
    newest = newest // 1_800_000_000 * 1_800_000_000
    queue = ours("select queue from kpi_day group by 1 order by sum(offered) desc limit 1")[0][0]
    print(f"{legs:,} legs; seconds, the shortest of three", flush=True)
    differ = []
    for name, (own, in_duck, in_house) in questions(newest, queue).items():
        seconds, answer = best(ours, own)
        line = f"{name}: callpulse " + (f"{seconds:.2f}" if seconds is not None else f"no answer ({answer})")
        for engine, sql in [("DuckDB", in_duck), ("chDB", in_house)]:
            if engine not in others:
                continue
            took, told = best(others[engine], sql)
            line += f", {engine} " + (f"{took:.2f}" if took is not None else f"no answer ({told})")
            if seconds is not None and took is not None:
                line += f" ({seconds / took:.2f})"
                if plain(answer) != plain(told):
                    differ.append(f"{name}: {engine} tells {len(told)} rows, callpulse {len(answer)}; "
                                  f"{[pair for pair in zip(plain(answer), plain(told)) if pair[0] != pair[1]][:2]}")
        print(line, flush=True)
    asked = panels(newest, queue)
    for round in ["first", "second"]:
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
            rows = sum(len(answer) for answer in pool.map(ours, asked))
        print(f"twelve panels at once, the {round} time: {time.monotonic() - began:.2f} s, {rows} rows", flush=True)
    if differ:
        sys.exit("answers differ: " + "; ".join(differ))
    print("the answers are the same")


if __name__ == "__main__":
    {"spread": lambda lake, weeks: spread(lake, int(weeks)), "ask": ask}[sys.argv[1]](*sys.argv[2:])
