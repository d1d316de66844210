"""Compares two CSV files by key; exit code 0 the same, 1 a difference, 2 they cannot be compared.

An empty field is NULL and equals only an empty field. Numbers may differ by a relative
1e-9 (`--rtol`) unless both are written as integers. Times are compared as instants (one
without an offset is UTC). `true` equals `True`. Columns must be the same in both files,
save those named by `--ignore`, or where `--columns` or `--shared` says what is compared.
"""

import argparse
import csv
import math
import re
import sys
from collections import Counter
from datetime import datetime, timezone

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
INTEGER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def plain(text: str) -> str:
    """One spelling for values that have several."""
    if INSTANT.fullmatch(text):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return text.lower() if text in ("True", "False") else text


def same(a: str, b: str, rtol: float) -> bool:
    a, b = plain(a), plain(b)
    if a == b:
        return True
    if not (NUMBER.fullmatch(a) and NUMBER.fullmatch(b)):
        return False
    if INTEGER.fullmatch(a) and INTEGER.fullmatch(b):
        return False
    return math.isclose(float(a), float(b), rel_tol=rtol, abs_tol=0.0)


def read(path: str) -> tuple[list[str], list[dict]]:
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, restkey="(too many fields)", restval="")
        rows = list(reader)
        return list(reader.fieldnames or []), rows


def by_key(rows: list[dict], key: list[str]) -> tuple[dict, list]:
    found = {tuple(plain(row[k]) for k in key): row for row in rows}
    seen = Counter(tuple(plain(row[k]) for k in key) for row in rows)
    return found, [k for k, n in seen.items() if n > 1]


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("a")
    args.add_argument("b")
    args.add_argument("--key", required=True, help="columns, separated by commas")
    args.add_argument("--columns", help="compare these only")
    args.add_argument("--ignore", default="", help="do not compare these")
    args.add_argument("--shared", action="store_true", help="compare what both files have")
    args.add_argument("--rtol", action="append", default=[], help="R for all, or COLUMN=R")
    args.add_argument("--show", type=int, default=10, help="differences printed")
    given = args.parse_args()

    (names_a, rows_a), (names_b, rows_b) = read(given.a), read(given.b)
    key = given.key.split(",")
    ignored = set(filter(None, given.ignore.split(",")))
    if given.columns:
        columns = [c for c in given.columns.split(",") if c not in key]
    else:
        both = set(names_a) & set(names_b)
        alone = (set(names_a) ^ set(names_b)) - ignored
        if alone and not given.shared:
            print(f"columns in one file only: {', '.join(sorted(alone))} (hint: --shared or --ignore)")
            return 2
        columns = [c for c in names_a if c in both - ignored - set(key)]
    lacking = [c for c in key + columns if c not in names_a or c not in names_b]
    if lacking:
        print(f"columns lacking: {', '.join(lacking)}")
        return 2
    every, rtol = 1e-9, {}
    for text in given.rtol:
        column, _, value = text.rpartition("=")
        if column:
            rtol[column] = float(value)
        else:
            every = float(value)

    a, twice_a = by_key(rows_a, key)
    b, twice_b = by_key(rows_b, key)
    faults = [f"key twice in {p}: {k}" for p, ks in ((given.a, twice_a), (given.b, twice_b)) for k in ks]
    faults += [f"only in {given.a}: {k}" for k in a if k not in b]
    faults += [f"only in {given.b}: {k}" for k in b if k not in a]
    by_column = Counter()
    for k in a:
        for column in columns if k in b else []:
            if not same(a[k][column], b[k][column], rtol.get(column, every)):
                by_column[column] += 1
                faults.append(f"{k} {column}: `{a[k][column]}` != `{b[k][column]}`")
    for fault in faults[:given.show]:
        print(fault)
    if len(faults) > given.show:
        print(f"... and {len(faults) - given.show} more")
    print(f"{len(rows_a)} and {len(rows_b)} rows, {len(columns)} columns compared, "
          f"{len(faults)} differences {dict(by_column) or ''}".rstrip())
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
