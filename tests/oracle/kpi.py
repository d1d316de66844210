"""`kpi_slot` and its coarser sisters, from legs and handlings, by the contract's formulas."""

import math
from collections import defaultdict
from zoneinfo import ZoneInfo

from law import Contact, Settings
from slots import period_length_ms, period_start, rfc3339

OUTCOMES = ["answered", "abandoned", "abandoned_short", "overflow", "callback", "exit_key",
            "timeout", "no_agent", "closed", "error"]
COLUMNS = ["slot_start", "channel", "queue", "department", "offered", *OUTCOMES, "waiting",
           "ledger_gap", "answered_in_time", "wait_ms_sum", "talk_ms_sum", "hold_ms_sum",
           "acw_ms_sum", "answer_rate", "abandon_rate", "service_level", "asa_seconds",
           "wait_p50_seconds", "wait_p90_seconds", "wait_p95_seconds", "handled", "aht_seconds",
           "talk_seconds", "hold_seconds", "acw_seconds", "load_erlangs"]


def ratio(part: float, whole: float) -> float | None:
    """No traffic gives NULL, never 0 % or 100 %."""
    return part / whole if whole else None


def percentile_seconds(waits_ms: list[int], q: float) -> float | None:
    """READING: of the waits of answered legs, as ASA is; between the values around rank q * (n - 1)."""
    if not waits_ms:
        return None
    waits_ms, rank = sorted(waits_ms), q * (len(waits_ms) - 1)
    lower, upper = waits_ms[math.floor(rank)], waits_ms[math.ceil(rank)]
    return (lower + (upper - lower) * (rank % 1)) / 1000


class Cell:
    """What one slot, channel, queue and department hold."""

    def __init__(self):
        self.legs = []        # cohort clock: by the slot in which the leg was queued
        self.closed = []      # event clock: handlings by the slot of their close, no outbound ones
        self.cohort_ms = 0    # handle time of the cohort, for the offered load

    def row(self, settings: Settings, now: int, length_ms: int) -> dict:
        count = {o: sum(leg.outcome == o for leg in self.legs) for o in OUTCOMES}
        waiting = [leg for leg in self.legs if leg.is_open()]
        # A leg that waits within its target says nothing yet, so it leaves the denominators.
        undecided = sum(now - leg.queued_at <= settings.queue(leg.queue).target_ms
                        for leg in waiting)
        offered = len(self.legs)
        decided = offered - undecided
        waits = [leg.wait_ms for leg in self.legs if leg.outcome == "answered"]
        in_time = sum(leg.outcome == "answered"
                      and leg.wait_ms <= settings.queue(leg.queue).target_ms for leg in self.legs)
        handled = len(self.closed)
        talk = sum(h.talk_ms for h in self.closed)
        hold = sum(h.hold_ms for h in self.closed)
        acw = sum(h.acw_ms for h in self.closed)

        def mean_seconds(total_ms):
            return ratio(total_ms / 1000, handled)

        return {
            "offered": offered, **count, "waiting": len(waiting),
            "ledger_gap": offered - sum(count.values()) - len(waiting),
            "answered_in_time": in_time, "wait_ms_sum": sum(waits),
            "talk_ms_sum": talk, "hold_ms_sum": hold, "acw_ms_sum": acw,
            "answer_rate": ratio(count["answered"], decided - count["abandoned_short"]),
            "abandon_rate": ratio(count["abandoned"], decided - count["abandoned_short"]),
            "service_level": ratio(in_time, decided),
            "asa_seconds": ratio(sum(waits) / 1000, len(waits)),
            "wait_p50_seconds": percentile_seconds(waits, 0.50),
            "wait_p90_seconds": percentile_seconds(waits, 0.90),
            "wait_p95_seconds": percentile_seconds(waits, 0.95),
            "handled": handled,
            "aht_seconds": mean_seconds(sum(h.handle_ms for h in self.closed)),
            "talk_seconds": mean_seconds(talk), "hold_seconds": mean_seconds(hold),
            "acw_seconds": mean_seconds(acw),
            "load_erlangs": self.cohort_ms / length_ms,
        }


def kpi_rows(contacts: list[Contact], settings: Settings, now: int, zone: ZoneInfo,
             minutes: int, kind: str = "slot") -> list[dict]:
    """Rows of kpi_slot, kpi_hour, kpi_day or kpi_month (`kind`), in the order of their key."""
    cells = defaultdict(Cell)

    def cell(at, part):
        return cells[period_start(kind, at, zone, minutes),
                     part.channel, part.queue, part.department]

    for contact in contacts:
        for leg in contact.legs:
            cell(leg.queued_at, leg).legs.append(leg)
        for handling in contact.handlings:
            if handling.is_open():
                continue
            # READING: the offered load has the outbound handlings too; only the figures
            # by the slot of the close leave them out.
            cell(handling.cohort_at, handling).cohort_ms += handling.handle_ms
            if contact.direction != "outbound":
                cell(handling.wrapped_at, handling).closed.append(handling)

    def in_sight(key):
        return tuple("" if part is None else part for part in key)

    rows = []
    for key in sorted(cells, key=in_sight):
        start, channel, queue, department = key
        rows.append({"slot_start": rfc3339(start), "channel": channel, "queue": queue,
                     "department": department,
                     **cells[key].row(settings, now, period_length_ms(kind, start, zone, minutes))})
    return rows
