"""Runs every SQL statement of the dashboards, variables included, on the PostgreSQL wire.

    ask_sql_panels.py PG_PORT AWAITED DASHBOARD.json...

Macros and variables are put in as Grafana does: $__timeFilter as BETWEEN two instants, a chosen variable as quoted texts.
Each statement runs with "All" chosen and with one value chosen. Every statement must be answered; every one must have rows,
but for those that are empty in a young centre, which are named below. A statement that asks a table of the list of what is
awaited is reported as such where the server does not know that table.
"""

import json
import queue
import re
import sys
import threading
import time

import psycopg

# Empty in a centre that is one hour old and without faults.
QUIET = {
    ("callpulse-trends", "This week and the one before, by hour"),
    ("callpulse-voice-of-the-customer", "Rushes"),
    ("callpulse-plan-and-schedule", "Forecast error"),
    ("callpulse-plan-and-schedule", "Least that chance allows"),
    ("callpulse-plan-and-schedule", "Slots within 10 %"),
    ("callpulse-plan-and-schedule", "Forecast error by day and horizon"),
    ("callpulse-plan-and-schedule", "Forecast error of handle times"),
    ("callpulse-plan-and-schedule", "Forecast by queue"),
    ("callpulse-plan-and-schedule", "Slots to come that lack agents"),
    # The demo has no long waits in every run.
    ("callpulse-queues-and-slots", "Waiting now"),
}
ALL = {name: "'__all'" for name in ("queue", "channel", "department", "agent")}
ONE = {"queue": "'sales','vip'", "channel": "'voice'", "department": "'Sales'", "agent": "'A1001'"}
# As many panels as a browser has loaded at once; the server works on four.
CONNECTIONS = 4
SPAN = "'2000-01-01T00:00:00Z' AND '2100-01-01T00:00:00Z'"


def filled(statement, values):
    statement = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {SPAN}", statement)
    statement = re.sub(r"\$(queue|channel|department|agent)\b", lambda found: values[found[1]], statement)
    if "$" in statement:
        raise ValueError(f"a macro or variable is not known: {statement}")
    return statement


def ask_all(port, wanted):
    """The answer of each statement: columns, number of rows, error. One connection asks one after the other, as a panel does."""
    answers, left = {}, queue.SimpleQueue()
    for one in wanted:
        left.put(one)

    def work():
        # Without parameters the driver speaks the simple protocol, as Grafana does.
        with psycopg.connect(f"host=127.0.0.1 port={port} user=grafana dbname=callpulse", autocommit=True) as connection:
            while True:
                try:
                    statement, where = left.get_nowait()
                except queue.Empty:
                    return
                began = time.monotonic()
                try:
                    cursor = connection.execute(statement)
                    answers[statement] = ([column.name for column in cursor.description], len(cursor.fetchall()), None)
                except psycopg.Error as error:
                    answers[statement] = ([], 0, str(error).splitlines()[0])
                print(f"{time.monotonic() - began:6.1f} s {where}: {answers[statement][2] or 'ok'}", file=sys.stderr, flush=True)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def statements(board):
    for one in board["templating"]["list"]:
        if one["type"] == "query" and isinstance(one["query"], str):
            yield f"variable {one['name']}", one["query"], None
    for panel in board["panels"]:
        for target in panel["targets"]:
            if "rawSql" in target:
                yield panel["title"], target["rawSql"], target["format"]


def main():
    port, awaited_file, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(awaited_file, encoding="utf-8") as text:
        awaited = {line.split()[1] for line in text if line.startswith("table ")}
    faults, waits, quiet, done = [], {}, [], []
    for file in files:
        with open(file, encoding="utf-8") as text:
            board = json.load(text)
        for title, raw, form in statements(board):
            whole = filled(raw, ALL)
            done.append((board, title, form, whole, True))
            if filled(raw, ONE) != whole:
                done.append((board, title, form, filled(raw, ONE), False))
    answers = ask_all(port, {statement: f"{board['uid']} / {title}" for board, title, _, statement, _ in done}.items())
    for board, title, form, statement, is_whole in done:
        columns, rows, error = answers[statement]
        where = f"{board['title']} / {title}: {statement}"
        missing = sorted(name for name in awaited if re.search(rf"\b{name}\b", statement)
                         and error and name in error and "not found" in error)
        if missing:
            waits.setdefault(missing[0], set()).add(f"{board['uid']}/{title}")
        elif error:
            faults.append(f"{error} in {where}")
        elif not rows and is_whole and (board["uid"], title) in QUIET:
            quiet.append(title)
        elif not rows and is_whole:
            faults.append(f"no rows in {where}")
        elif form == "time_series" and "time" not in columns:
            faults.append(f"no column `time` in {where}")
    if len(done) < 100:
        faults.append(f"only {len(done)} statements: too few were found")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    for table, panels in sorted(waits.items()):
        print(f"awaited: table {table} is not in this binary; not tried: {', '.join(sorted(panels))}")
    print(f"{len(done)} statements of SQL panels asked, {len(faults)} faults, {sum(map(len, waits.values()))} panels awaited;"
          f" without rows in a young centre: {', '.join(sorted(set(quiet))) or 'none'}")
    sys.exit(bool(faults))


main()
