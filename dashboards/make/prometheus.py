"""Panels whose figures come from Prometheus.

In expressions, <Q> stands for the selector of a metric with queue and channel, <F> for that of any other metric. Ratios and
means are made from summed counters, so that they hold for several instances; a rolling gauge of callpulse is shown only as
the series of one queue on one instance.
"""

from .blocks import *

SOURCE = {"type": "prometheus", "uid": "${prometheus_datasource}"}
FLEET = 'job=~"$job", instance=~"$instance"'
QUEUES = FLEET + ', queue=~"$queue", channel=~"$channel"'

BY_QUEUE = " by (queue, channel)"
QUEUE = "{{queue}} {{channel}}"
# With this shortest step, $__rate_interval is at least a quarter of an hour: what stands in a tile is not of one scrape.
QUARTER = "15m"
OVER_QUARTER = " Over the last 15 minutes; longer where the dashboard shows many days."


def rate(name, by=""):
    return f"sum{by} (rate(callpulse_{name}<Q>[$__rate_interval]))"


def legs(by, *names):
    return " + ".join(rate(f"legs_{name}_total", by) for name in names)


ENDED_BUT_SHORT = ("answered", "abandoned", "left")
ENDED = ("answered", "abandoned", "abandoned_short", "left")


def answer_rate(by=""):
    return f"{legs(by, 'answered')} / (({legs(by, *ENDED_BUT_SHORT)}) > 0)"


def abandon_rate(by=""):
    return f"{legs(by, 'abandoned')} / (({legs(by, *ENDED_BUT_SHORT)}) > 0)"


def service_level(by=""):
    return f"{legs(by, 'answered_in_time')} / (({legs(by, *ENDED)}) > 0)"


def mean(histogram, by=""):
    return f"{rate(histogram + '_sum', by)} / ({rate(histogram + '_count', by)} > 0)"


def longest_wait(by=""):
    # 0 where nobody waits, nothing where callpulse is not scraped.
    return (
        f"(time() - min{by} (callpulse_oldest_waiting_timestamp_seconds<Q>))"
        f" or (sum{by} (callpulse_legs_waiting<Q>) == 0)"
    )


def quantile(q, histogram, of):
    return f"histogram_quantile({q}, sum by (le) (rate(callpulse_{histogram}_bucket{of}[$__rate_interval])))"


ANSWER_RATE = "Answered legs / (legs that ended, short abandons left out)."
ABANDON_RATE = "Abandoned legs / (legs that ended, short abandons left out)."
SERVICE_LEVEL = (
    "Legs answered within the target wait of their queue / all legs that ended (short abandons counted): the formula"
    " ans_T/offered by what ended. A queue with another formula has it in the panel of rolling service levels."
)
ASA = "Average speed of answer: mean wait of the answered legs."
AHT = "Average handle time: mean of talk + hold + after-contact work of the handlings closed; outbound left out."
LONGEST = "Now less the moment at which the leg that waits longest entered its queue; 0 where nobody waits."


def panel(kind, title, description, unit, queries, steps=NEUTRAL, interval=None, none="no data", links=(), **field):
    """One panel; `queries` is a list of (expression, legend), one expression a series or more."""
    instant = kind != "timeseries"
    targets = []
    for index, (expression, legend) in enumerate(queries):
        targets.append({
            "datasource": SOURCE,
            "expr": expression.replace("<Q>", "{" + QUEUES + "}").replace("<F>", "{" + FLEET + "}"),
            "format": "table" if kind == "table" else "time_series",
            "instant": instant,
            "range": not instant,
            "legendFormat": legend,
            "refId": chr(ord("A") + index),
        })
    out = {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults(unit, steps, none, **field), "overrides": []},
        "targets": targets,
        **({"links": list(links)} if links else {}),
    }
    if interval:
        out["interval"] = interval
    return out


def stat(title, description, unit, expression, steps=NEUTRAL, interval=None, none="no data", **field):
    out = panel("stat", title, description, unit, [(expression, "")], steps, interval, none,
                color={"mode": "thresholds"}, **field)
    out["options"] = {"colorMode": "background" if len(steps) > 1 else "value", **STAT_OPTIONS}
    return out


def lines(title, description, unit, queries, steps=NEUTRAL, interval=None, none="no data", stack=False, **field):
    custom = lines_custom(steps, stack)
    out = panel("timeseries", title, description, unit, queries, steps, interval, none,
                color={"mode": "palette-classic"}, custom=custom, **field)
    out["options"] = LINES_OPTIONS
    return out


def table(title, description, columns, interval):
    """One row a queue and channel; `columns` is a list of (name, expression, unit, steps)."""
    queries = [(expression, "") for _, expression, _, _ in columns]
    out = panel("table", title, description, "short", queries, NEUTRAL, interval, "–",
                color={"mode": "thresholds"}, custom={"align": "auto", "cellOptions": {"type": "color-text"}})
    renamed = {"queue": "Queue", "channel": "Channel"}
    for target, (name, _, unit, steps) in zip(out["targets"], columns):
        value = f"Value #{target['refId']}"
        renamed[value] = name
        out["fieldConfig"]["overrides"].append({
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "unit", "value": unit}, {"id": "thresholds", "value": thresholds(steps)}],
        })
    out["fieldConfig"]["overrides"].append({
        "matcher": {"id": "byName", "options": "Queue"}, "properties": [{"id": "links", "value": [QUEUE_CELL]}],
    })
    out["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": {"Time": True},
            "indexByName": {old: place for place, old in enumerate(renamed)},
            "renameByName": renamed,
        }},
    ]
    out["options"] = {"cellHeight": "sm", "showHeader": True, "sortBy": [{"desc": True, "displayName": "Waiting"}]}
    return out


def variable(name, label, metric, of, all_value):
    query = f"label_values({metric}{of}, {name})"
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": {"query": query, "refId": f"variable-{name}"},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": all_value,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "hide": 0,
        "options": [],
        "regex": "",
    }


VARIABLES = [
    {
        "type": "datasource",
        "name": "prometheus_datasource",
        "label": "Prometheus data source",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
        "current": {},
        "hide": 0,
        "options": [],
        "regex": "",
    },
    variable("job", "Job", "callpulse_build_info", "", ".+"),
    variable("instance", "Instance", "callpulse_build_info", '{job=~"$job"}', ".+"),
]
# `.*`, not `.+`: handlings of contacts that never entered a queue stand under the empty queue.
QUEUE_VARIABLES = [
    variable("queue", "Queue", "callpulse_legs_waiting", "{" + FLEET + "}", ".*"),
    variable("channel", "Channel", "callpulse_legs_waiting", "{" + FLEET + ', queue=~"$queue"}', ".*"),
]
