"""Slots of a centre's local day, in plain integer milliseconds since 1970 (UTC).

A slot is a piece of the local wall clock, `[start, end)`. Where the clock is put
back, the repeated hour makes slots of its own; so a slot never reaches over a
change of the offset from UTC.
"""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MS = timedelta(milliseconds=1)


def local(ms: int, zone: ZoneInfo) -> datetime:
    """The wall clock at an instant."""
    return (EPOCH + ms * MS).astimezone(zone)


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime, rounded down."""
    return (moment - EPOCH) // MS


def offset_ms(ms: int, zone: ZoneInfo) -> int:
    return local(ms, zone).utcoffset() // MS


def slot_start(ms: int, zone: ZoneInfo, minutes: int) -> int:
    """Start of the slot that holds the instant."""
    wall = local(ms, zone)
    into_day = timedelta(hours=wall.hour, minutes=wall.minute, seconds=wall.second,
                         microseconds=wall.microsecond)
    start = ms - (into_day % timedelta(minutes=minutes)) // MS
    if offset_ms(start, zone) == offset_ms(ms, zone):
        return start
    # The clock changed inside this stretch: the slot begins at the change.
    before, after = start, ms
    while after - before > 1:
        middle = (before + after) // 2
        if offset_ms(middle, zone) == offset_ms(ms, zone):
            after = middle
        else:
            before = middle
    return after


def day_start(ms: int, zone: ZoneInfo) -> int:
    """First instant of the local day. (Where midnight is skipped, `zoneinfo`
    maps it with the offset before the change, which is the same instant.)"""
    wall = local(ms, zone)
    return to_ms(datetime(wall.year, wall.month, wall.day, tzinfo=zone))


def month_start(ms: int, zone: ZoneInfo) -> int:
    wall = local(ms, zone)
    return to_ms(datetime(wall.year, wall.month, 1, tzinfo=zone))


def period_start(kind: str, ms: int, zone: ZoneInfo, minutes: int) -> int:
    """Start of the `slot`, `hour`, `day` or `month` that holds the instant."""
    if kind == "slot":
        return slot_start(ms, zone, minutes)
    if kind == "hour":
        return slot_start(ms, zone, 60)
    return day_start(ms, zone) if kind == "day" else month_start(ms, zone)


def period_length_ms(kind: str, start: int, zone: ZoneInfo, minutes: int) -> int:
    """Length of a period in milliseconds. A day is 23 or 25 hours long where the
    clock changes; a slot and an hour have their nominal length."""
    if kind == "slot":
        return minutes * 60_000
    if kind == "hour":
        return 3_600_000
    wall = local(start, zone)
    if kind == "day":
        following = datetime(wall.year, wall.month, wall.day) + timedelta(days=1)
    else:
        following = datetime(wall.year + wall.month // 12, wall.month % 12 + 1, 1)
    return to_ms(following.replace(tzinfo=zone)) - start


def rfc3339(ms: int) -> str:
    """UTC, always with milliseconds: `1999-02-01T05:00:00.000Z`."""
    return (EPOCH + ms * MS).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
