"""The figures of an "Anonymous Bank" calls file, straight from its table with pandas.

It shares no code with the events' way (bank_events.py, law.py, kpi.py): both must come to
the same numbers. Offered = AGENT + HANG after queueing, by the slot of `vru_exit`; wait =
`q_time`; talk = `ser_time`; a handling ends at `vru_exit` + wait + talk.
"""

import argparse
import sys

import numpy as np
import pandas as pd

COUNTS = ["offered", "answered", "abandoned", "abandoned_short", "answered_in_time",
          "wait_ms_sum", "handled", "talk_ms_sum"]


def of_day(column: pd.Series) -> pd.Series:
    """`h:mm:ss` as seconds of the day; NaN where it cannot be read."""
    parts = column.str.extract(r"^\s*(\d+):(\d+):(\d+)\s*$").astype(float)
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


def load(path: str, zone: str) -> pd.DataFrame:
    raw = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3,
                      encoding="utf-8", encoding_errors="replace", index_col=False)
    raw.columns = raw.columns.str.strip()
    raw = raw.apply(lambda column: column.fillna("").str.strip()).drop_duplicates()
    day = pd.to_datetime(raw["date"], format="%y%m%d", errors="coerce")
    entry, out_of_vru = of_day(raw["vru_entry"]), of_day(raw["vru_exit"])
    # A difference of more than half a day is midnight between the two.
    out_of_vru += 86400 * ((entry - out_of_vru) > 43200)
    out_of_vru -= 86400 * ((out_of_vru - entry) > 43200)
    number = {name: pd.to_numeric(raw[name], errors="coerce") for name in ("q_time", "ser_time")}
    calls = pd.DataFrame({
        "queue": raw["type"],
        "served": raw["outcome"] == "AGENT",
        "hung_up": raw["outcome"] == "HANG",
        "wait": number["q_time"].clip(lower=0),
        "talk": number["ser_time"].clip(lower=0),
        "in_queue": (of_day(raw["q_start"]) > 0) | (of_day(raw["q_exit"]) > 0)
                    | (number["q_time"] > 0),
        "wall": day + pd.to_timedelta(out_of_vru, unit="s"),
    })
    readable = calls[["wait", "talk", "wall"]].notna().all(axis=1) & entry.notna()
    print(f"{len(raw)} distinct rows, {int((~readable).sum())} unreadable", file=sys.stderr)
    calls = calls[readable & (calls["served"] | (calls["hung_up"] & calls["in_queue"]))].copy()
    first = np.ones(len(calls), dtype=bool)  # a repeated hour: its first pass
    calls["queued"] = calls["wall"].dt.tz_localize(
        zone, ambiguous=first, nonexistent=pd.Timedelta(hours=1))
    calls["ended"] = calls["queued"] + pd.to_timedelta(calls["wait"] + calls["talk"], unit="s")
    return calls


def expected(calls: pd.DataFrame, by: str, minutes: int, target: float, short: float) -> pd.DataFrame:
    """One row per period (`slot`, `day`, or one `total`) and queue, named as in kpi_slot."""
    def period(moment: pd.Series) -> pd.Series:
        if by == "total":
            return pd.Series(pd.Timestamp(0, tz="UTC"), index=moment.index)
        if by == "day":
            return moment.dt.normalize().dt.tz_convert("UTC")
        # Floor the wall clock, not the instant: slots belong to the local day.
        wall = moment.dt.tz_localize(None)
        return (moment - (wall - wall.dt.floor(f"{minutes}min"))).dt.tz_convert("UTC")

    legs = calls.assign(
        slot_start=period(calls["queued"]),
        offered=1,
        answered=calls["served"].astype(int),
        abandoned=(calls["hung_up"] & (calls["wait"] >= short)).astype(int),
        abandoned_short=(calls["hung_up"] & (calls["wait"] < short)).astype(int),
        answered_in_time=(calls["served"] & (calls["wait"] <= target)).astype(int),
        wait_ms_sum=(calls["wait"] * 1000).where(calls["served"], 0).astype("int64"))
    handlings = calls[calls["served"]]
    handlings = handlings.assign(
        slot_start=period(handlings["ended"]), handled=1,
        talk_ms_sum=(handlings["talk"] * 1000).astype("int64"))
    key = ["slot_start", "queue"]
    table = pd.concat([legs[key + COUNTS[:6]], handlings[key + COUNTS[6:]]])
    table = table.groupby(key)[COUNTS].sum().astype("int64").reset_index()

    asked = (table["offered"] - table["abandoned_short"]).replace(0, np.nan)
    table["answer_rate"] = table["answered"] / asked
    table["abandon_rate"] = table["abandoned"] / asked
    table["service_level"] = table["answered_in_time"] / table["offered"].replace(0, np.nan)
    table["asa_seconds"] = table["wait_ms_sum"] / table["answered"].replace(0, np.nan) / 1000
    table["aht_seconds"] = table["talk_ms_sum"] / table["handled"].replace(0, np.nan) / 1000
    table["slot_start"] = table["slot_start"].dt.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return table


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("file")
    args.add_argument("--by", default="slot", choices=["slot", "day", "total"])
    args.add_argument("--all-queues", action="store_true", help="one line for all queues together")
    args.add_argument("--zone", default="Asia/Jerusalem")
    args.add_argument("--slot", type=int, default=30, help="minutes")
    args.add_argument("--target", type=float, default=20, help="seconds")
    args.add_argument("--short", type=float, default=5, help="seconds")
    args.add_argument("--out", help="CSV (default: stdout)")
    given = args.parse_args()
    calls = load(given.file, given.zone)
    if given.all_queues:
        calls["queue"] = ""
    table = expected(calls, given.by, given.slot, given.target, given.short)
    table.to_csv(given.out or sys.stdout, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
