"""The law of the correlator, as its text says it: one contact's events in, rows out.

Nothing here is incremental. The whole set of a contact's events is put in its order
(time, rank, id), each event is applied once, and time-outs are judged at the end
against the watermark. That is slow and easy to check against the text.

READING marks a place where the contract leaves a choice.
"""

import json
from dataclasses import dataclass, field

from events import RANK


@dataclass(frozen=True)
class QueueRules:
    target_ms: int = 20_000
    short_ms: int = 5_000
    department: str | None = None


@dataclass(frozen=True)
class Settings:
    defaults: QueueRules = QueueRules()
    queues: dict[str, QueueRules] = field(default_factory=dict)
    lateness_ms: int = 600_000
    acw_timeout_ms: int = 1_800_000
    contact_timeout_ms: int = 86_400_000
    channel_timeout_ms: dict[str, int] = field(default_factory=dict)

    def queue(self, name: str | None) -> QueueRules:
        return self.queues.get(name, self.defaults)

    def timeout_ms(self, channel: str) -> int:
        return self.channel_timeout_ms.get(channel, self.contact_timeout_ms)


@dataclass
class Leg:
    number: int
    channel: str
    queue: str
    department: str | None
    queued_at: int
    answered_at: int | None = None
    left_at: int | None = None  # READING: the leg's end, answered or not
    wait_ms: int | None = None
    outcome: str | None = None  # None while it waits
    in_time: bool | None = None
    agent_id: str | None = None
    anomalies: set[str] = field(default_factory=set)

    def is_open(self) -> bool:
        return self.outcome is None


@dataclass
class Handling:
    number: int
    leg: int | None
    channel: str
    queue: str | None
    department: str | None
    agent_id: str | None
    started_at: int
    cohort_at: int  # instant whose slot is the cohort: queued_at of the leg, else the start
    dial_ms: int = 0
    held_since: int | None = None
    hold_ms: int = 0
    holds: int = 0
    ended_at: int | None = None
    wrapped_at: int | None = None
    transferred_to: str | None = None
    ended_by: str | None = None
    anomalies: set[str] = field(default_factory=set)

    def talks(self) -> bool:
        return self.ended_at is None

    def is_open(self) -> bool:
        return self.wrapped_at is None

    def end_talk(self, at: int) -> None:
        if self.held_since is not None:
            self.hold_ms += at - self.held_since
            self.held_since = None
        self.ended_at = at

    @property
    def talk_ms(self) -> int | None:
        return None if self.talks() else self.ended_at - self.started_at - self.hold_ms

    @property
    def acw_ms(self) -> int | None:
        return None if self.is_open() else self.wrapped_at - self.ended_at

    @property
    def handle_ms(self) -> int | None:
        """talk + hold + ACW, and dialling where the answer names it."""
        if self.is_open():
            return None
        return self.talk_ms + self.hold_ms + self.acw_ms + self.dial_ms


def in_order(events: list[dict]) -> list[dict]:
    """The distinct events of one contact in the order (time, rank, id).

    READING: should two events share an id and differ, the first in that order counts
    (then the smaller text), so that the order of arrival cannot matter.
    """
    def key(event):
        return (event["time"], RANK[event["type"]], event["id"],
                json.dumps(event, sort_keys=True, ensure_ascii=False))
    distinct = {}
    for event in sorted(events, key=key):
        distinct.setdefault(event["id"], event)
    return list(distinct.values())


class Contact:
    """One contact, after all its events and the time-outs that the watermark allows."""

    def __init__(self, contact_id: str, events: list[dict], settings: Settings,
                 now: int, watermark: int):
        self.contact_id = contact_id
        self.settings = settings
        self.log = in_order(events)
        self.legs: list[Leg] = []
        self.handlings: list[Handling] = []
        self.queues_seen: list[str] = []
        self.last_ended: int | None = None
        self.anomalies: set[str] = set()

        # READING: what the contact says about itself counts from its earliest event that
        # says it, in the contact's order, and holds for all its rows.
        self.channel = self.earliest("channel") or "voice"
        self.direction = self.earliest("direction")
        self.customer_id = self.earliest("customer_id")
        self.tier = self.earliest("tier")

        for event in self.log:
            self.apply(event)
        self.time_out(watermark)
        self.judge_waiting(now)

    # -- what the whole log says

    def earliest(self, name: str):
        return next((e[name] for e in self.log if name in e), None)

    def latest(self, kind: str, name: str):
        return next((e[name] for e in reversed(self.log)
                     if e["type"] == kind and name in e), None)

    def of_type(self, kind: str) -> list[dict]:
        return [e for e in self.log if e["type"] == kind]

    # -- the events, one by one

    def apply(self, event: dict) -> None:
        step = {
            "contact.queued": self.queued,
            "contact.answered": self.answered,
            "contact.held": self.held,
            "contact.resumed": self.resumed,
            "contact.left_queue": self.left_queue,
            "contact.transferred": self.transferred,
            "contact.ended": self.ended,
            "contact.wrapped": self.wrapped,
        }.get(event["type"])
        if step:
            step(event)

    def open_leg(self) -> Leg | None:
        """There is never more than one: a second queue closes the first leg."""
        return next((leg for leg in self.legs if leg.is_open()), None)

    def close_leg(self, leg: Leg, outcome: str, at: int) -> None:
        leg.outcome, leg.left_at, leg.wait_ms = outcome, at, at - leg.queued_at
        leg.in_time = outcome == "answered" and leg.wait_ms <= self.settings.queue(leg.queue).target_ms

    def queued(self, event: dict) -> None:
        leg = self.open_leg()
        if leg and leg.queue == event["queue"]:
            leg.anomalies.add("requeued")
            return
        if leg:
            self.close_leg(leg, "overflow", event["time"])
            leg.anomalies.add("no_exit")
        rules = self.settings.queue(event["queue"])
        self.legs.append(Leg(
            number=len(self.legs) + 1,
            channel=event.get("channel") or self.channel,
            queue=event["queue"],
            department=rules.department or event.get("department"),
            queued_at=event["time"]))
        self.queues_seen.append(event["queue"])

    def answered(self, event: dict) -> None:
        leg = self.open_leg()
        if leg:
            self.close_leg(leg, "answered", event["time"])
            leg.answered_at = event["time"]
            leg.agent_id = event.get("agent_id")
            # READING: with a leg, the handling has the leg's queue, channel and department.
            queue, channel, department = leg.queue, leg.channel, leg.department
            cohort_at = leg.queued_at
        else:
            # READING: the contact's last queue is the last that a leg or a handling had.
            queue = event.get("queue") or (self.queues_seen[-1] if self.queues_seen else None)
            channel = event.get("channel") or self.channel
            department = self.settings.queue(queue).department or event.get("department")
            cohort_at = event["time"]
            if queue:
                self.queues_seen.append(queue)
        dial = event.get("dial_ms")
        self.handlings.append(Handling(
            number=len(self.handlings) + 1, leg=leg.number if leg else None,
            channel=channel, queue=queue, department=department,
            agent_id=event.get("agent_id"), started_at=event["time"], cohort_at=cohort_at,
            dial_ms=max(0, dial) if isinstance(dial, int) else 0))

    def talk_of(self, event: dict) -> Handling | None:
        """The open talk of the event's agent; none named: the latest open one."""
        agent = event.get("agent_id")
        return next((h for h in reversed(self.handlings)
                     if h.talks() and (agent is None or h.agent_id == agent)), None)

    def held(self, event: dict) -> None:
        talk = self.talk_of(event)
        if talk and talk.held_since is None:
            talk.held_since = event["time"]
            talk.holds += 1

    def resumed(self, event: dict) -> None:
        talk = self.talk_of(event)
        if talk and talk.held_since is not None:
            talk.hold_ms += event["time"] - talk.held_since
            talk.held_since = None

    def left_queue(self, event: dict) -> None:
        leg = self.open_leg()
        if leg:
            self.close_leg(leg, event["reason"], event["time"])

    def transferred(self, event: dict) -> None:
        talk = self.talk_of(event)
        if talk:
            talk.end_talk(event["time"])
            talk.transferred_to = event.get("to_queue") or event.get("to_agent")

    def ended(self, event: dict) -> None:
        self.last_ended = event["time"]
        leg = self.open_leg()
        if leg and event.get("by") == "system":
            self.close_leg(leg, "error", event["time"])
        elif leg:
            short = event["time"] - leg.queued_at < self.settings.queue(leg.queue).short_ms
            self.close_leg(leg, "abandoned_short" if short else "abandoned", event["time"])
        for talk in self.handlings:
            if talk.talks():
                talk.end_talk(event["time"])
                # READING: ended_by is the `by` of the contact.ended that ended the talk.
                talk.ended_by = event.get("by")

    def wrapped(self, event: dict) -> None:
        agent, at = event.get("agent_id"), event["time"]
        own = [h for h in self.handlings if agent is None or h.agent_id == agent]
        for handling in own:  # in the order of their opening: the oldest first
            if not handling.talks() and handling.is_open() \
                    and at - handling.ended_at <= self.settings.acw_timeout_ms:
                handling.wrapped_at = at
                return
        for handling in own:
            if handling.talks():
                handling.end_talk(at)
                handling.wrapped_at = at
                return

    # -- what the passing of time does

    def time_out(self, watermark: int) -> None:
        """READING: a time-out has passed when the watermark is greater than its end, since
        an event at the very end would still have been in time."""
        for handling in self.handlings:
            if not handling.talks() and handling.is_open() \
                    and watermark > handling.ended_at + self.settings.acw_timeout_ms:
                handling.wrapped_at = handling.ended_at
                handling.anomalies.add("no_wrap")

        # READING: the time-out of a contact runs from its last event.
        last = self.log[-1]["time"]
        leg = self.open_leg()
        talks = [h for h in self.handlings if h.talks()]
        self.timed_out = (self.last_ended is None or leg is not None or talks != []) \
            and watermark > last + self.settings.timeout_ms(self.channel)
        if not self.timed_out:
            return
        self.anomalies.add("never_ended")
        if leg:
            self.close_leg(leg, "error", last)
            leg.anomalies.add("never_ended")
        for talk in talks:
            talk.end_talk(last)
            talk.wrapped_at = last
            talk.anomalies.add("never_ended")

    def judge_waiting(self, now: int) -> None:
        """A leg that waits beyond its target is lost for the service level already."""
        leg = self.open_leg()
        if leg and now - leg.queued_at > self.settings.queue(leg.queue).target_ms:
            leg.in_time = False

    # -- figures of the contact

    @property
    def started_at(self) -> int:
        """READING: the earliest contact.started, else the contact's first event."""
        started = self.of_type("contact.started")
        return (started or self.log)[0]["time"]

    @property
    def ended_at(self) -> int | None:
        """READING: the last contact.ended, as long as no leg waits and nobody talks after it
        (a queued callback opens the contact again); after a time-out, the last event."""
        if self.timed_out:
            return self.log[-1]["time"]
        if self.open_leg() or any(h.talks() for h in self.handlings):
            return None
        return self.last_ended

    @property
    def bot_outcome(self) -> str | None:
        return self.latest("contact.bot_ended", "outcome")

    @property
    def outcome(self) -> str | None:
        if self.handlings:
            return "answered"
        if self.legs:
            return self.legs[-1].outcome
        by_bot = {"contained": "contained", "abandoned": "abandoned_in_bot"}.get(self.bot_outcome)
        if by_bot:
            return by_bot
        return "ended_before_queue" if self.ended_at is not None else None

    @property
    def final_messages(self) -> list[dict]:
        return [e for e in self.of_type("message") if e.get("final", True) is not False]

    @property
    def first_response_ms(self) -> int | None:
        if not self.handlings:
            return None
        first = self.handlings[0].started_at
        return next((e["time"] - first for e in self.final_messages
                     if e.get("from") == "agent" and e["time"] >= first), None)

    @property
    def department(self) -> str | None:
        """READING: the first department that a leg or a handling had, else the earliest named."""
        parts = sorted(self.legs + self.handlings,
                       key=lambda p: p.queued_at if isinstance(p, Leg) else p.started_at)
        return next((p.department for p in parts if p.department), self.earliest("department"))
