"""Reads canonical events (JSON lines) into dicts whose `time` is integer milliseconds.

Only what the law of the correlator needs is judged here; a record that cannot be
used is counted under the contract's reason for it and left out.
"""

import gzip
import json
import re
from collections import Counter
from datetime import datetime

from slots import to_ms

CONTACT_TYPES = [  # in the order of their rank
    "contact.started", "contact.bot_started", "contact.bot_ended", "contact.queued",
    "contact.offered", "contact.missed", "contact.answered", "contact.held",
    "contact.resumed", "contact.left_queue", "contact.transferred", "contact.ended",
    "contact.wrapped",
]
OTHER_TYPES = {
    "message", "agent.state", "survey", "complaint.opened", "complaint.contacted",
    "complaint.resolved", "complaint.closed", "complaint.reopened",
    "complaint.withdrawn", "promise.made", "promise.kept", "shift.planned",
    "shift.cancelled",
}
# A message has no rank in the contract. It changes no leg and no handling, so any
# fixed place will do: last.
RANK = {kind: rank for rank, kind in enumerate(CONTACT_TYPES)}
RANK["message"] = len(CONTACT_TYPES)

LEFT_REASONS = {"overflow", "callback", "exit_key", "timeout", "no_agent", "closed", "error"}
RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
MAX_BYTES = 1 << 20


class Reject(Exception):
    """A record that cannot be used; its text is the contract's reason."""


def parse_time(value) -> int:
    """RFC 3339 with offset, or integer milliseconds since 1970."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        raise Reject("bad_time")
    try:
        return to_ms(datetime.fromisoformat(value.upper()))
    except ValueError:
        raise Reject("bad_time") from None


def text_field(record: dict, name: str) -> str:
    value = record.get(name)
    if value is None:
        raise Reject("missing_field")
    if not isinstance(value, str) or value == "":
        raise Reject("bad_field")
    return value


def parse_event(line: bytes) -> dict:
    if len(line) > MAX_BYTES:
        raise Reject("too_large")
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise Reject("not_utf8") from None
    except ValueError:
        raise Reject("not_json") from None
    if not isinstance(record, dict):
        raise Reject("not_object")
    kind = text_field(record, "type")
    if kind not in RANK and kind not in OTHER_TYPES:
        raise Reject("unknown_type")
    if len(text_field(record, "id")) > 128:
        raise Reject("bad_field")
    if record.get("time") is None:
        raise Reject("missing_field")
    event = {key: value for key, value in record.items() if value is not None}
    event["time"] = parse_time(record["time"])
    if kind in RANK:
        text_field(record, "contact_id")
    if kind == "contact.queued":
        text_field(record, "queue")
    if kind == "contact.left_queue" and text_field(record, "reason") not in LEFT_REASONS:
        raise Reject("bad_field")
    return event


def open_input(path: str):
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")


def read_events(path: str) -> tuple[list[dict], Counter]:
    """All usable events in the order of the file, and how many records were rejected why."""
    events, rejects = [], Counter()
    with open_input(path) as lines:
        for line in lines:
            line = line.rstrip(b"\r\n")
            if not line.strip():
                continue
            try:
                events.append(parse_event(line))
            except Reject as reject:
                rejects[str(reject)] += 1
    return events, rejects
