#!/usr/bin/env python3
"""Makes the Grafana dashboards of this folder; `--check` fails where a JSON file is not what this script makes.

In expressions, <Q> stands for the selector of a metric with queue and channel, <F> for that of any other metric. Ratios and
means are made from summed counters, so that they hold for several instances; a rolling gauge of callpulse is shown only as
the series of one queue on one instance.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
SOURCE = {"type": "prometheus", "uid": "${prometheus_datasource}"}
FLEET = 'job=~"$job", instance=~"$instance"'
QUEUES = FLEET + ', queue=~"$queue", channel=~"$channel"'

GREY, GREEN, ORANGE, RED = "#808080", "green", "orange", "red"
# The base step is grey, because it is what Grafana paints where there is no value: nothing missing looks fine.
NEUTRAL = [(None, GREY)]
HIGH_IS_GOOD = [(None, GREY), (0, RED), (0.7, ORANGE), (0.8, GREEN)]
ANY_IS_BAD = [(None, GREY), (0, GREEN), (0.000001, RED)]

BY_QUEUE = " by (queue, channel)"
QUEUE = "{{queue}} {{channel}}"
# With this shortest step, $__rate_interval is at least a quarter of an hour: what stands in a tile is not of one scrape.
QUARTER = "15m"
OVER_QUARTER = " Over the last 15 minutes; longer where the dashboard shows many days."


def rising(bad, worse):
    return [(None, GREY), (0, GREEN), (bad, ORANGE), (worse, RED)]


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


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def defaults(unit, steps, none="no data", **more):
    missing = {"type": "special", "options": {"match": "null+nan", "result": {"text": none, "color": GREY, "index": 0}}}
    return {"unit": unit, "noValue": none, "mappings": [missing], "thresholds": thresholds(steps), **more}


def panel(kind, title, description, unit, queries, steps=NEUTRAL, interval=None, none="no data", **field):
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
    }
    if interval:
        out["interval"] = interval
    return out


def stat(title, description, unit, expression, steps=NEUTRAL, interval=None, none="no data", **field):
    out = panel("stat", title, description, unit, [(expression, "")], steps, interval, none,
                color={"mode": "thresholds"}, **field)
    out["options"] = {
        "colorMode": "background" if len(steps) > 1 else "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return out


def lines(title, description, unit, queries, steps=NEUTRAL, interval=None, none="no data", stack=False, **field):
    custom = {
        "drawStyle": "line",
        "fillOpacity": 20 if stack else 0,
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stack else "none"},
        "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
    }
    out = panel("timeseries", title, description, unit, queries, steps, interval, none,
                color={"mode": "palette-classic"}, custom=custom, **field)
    out["options"] = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "right", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
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


def dashboard(uid, title, description, variables, links, rows, refresh):
    """`rows` is a list of (height, [(width, panel)]); a width of 24 is the whole page."""
    panels, y = [], 0
    for height, row in rows:
        x = 0
        for width, one in row:
            panels.append({"id": len(panels) + 1, "gridPos": {"h": height, "w": width, "x": x, "y": y}, **one})
            x += width
        assert x == 24, f"a row of {title} is {x} wide"
        y += height
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["callpulse"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "refresh": refresh,
        "annotations": {"list": []},
        "links": [
            {
                "type": "link", "title": name, "url": f"/d/{target}", "tooltip": tip, "icon": "dashboard", "tags": [],
                "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False,
            }
            for name, target, tip in links
        ],
        "templating": {"list": VARIABLES + variables},
        "panels": panels,
    }


def operations():
    def both(make):
        return make(BY_QUEUE)

    per_queue = [
        ("Waiting", f"sum{BY_QUEUE} (callpulse_legs_waiting<Q>)", "short", rising(5, 20)),
        ("Longest wait", longest_wait(BY_QUEUE), "s", rising(60, 180)),
        ("Handled now", f"sum{BY_QUEUE} (callpulse_handlings_active<Q>)", "short", NEUTRAL),
        ("Offered in slot", f"sum{BY_QUEUE} (callpulse_slot_offered<Q>)", "short", NEUTRAL),
        ("Answered in slot", f"sum{BY_QUEUE} (callpulse_slot_answered<Q>)", "short", NEUTRAL),
        ("Answer rate", both(answer_rate), "percentunit", HIGH_IS_GOOD),
        ("Service level", both(service_level), "percentunit", HIGH_IS_GOOD),
        ("Abandon rate", both(abandon_rate), "percentunit", rising(0.05, 0.1)),
        ("ASA", mean("wait_seconds", BY_QUEUE), "s", NEUTRAL),
        ("AHT", mean("handle_seconds", BY_QUEUE), "s", NEUTRAL),
    ]
    share = {"min": 0, "max": 1}
    return dashboard(
        "callpulse-operations-now",
        "callpulse: operations now",
        "What happens in the centre now: who waits, how many are answered, and how fast.",
        QUEUE_VARIABLES,
        [("Pipeline health", "callpulse-pipeline-health", "Can these figures be trusted now?")],
        [
            (4, [
                (4, stat("Waiting", "Legs that wait in a queue now.", "short",
                         "sum (callpulse_legs_waiting<Q>)", rising(20, 50))),
                (4, stat("Longest wait", LONGEST, "s", longest_wait(), rising(60, 180))),
                (4, stat("Answer rate", ANSWER_RATE + OVER_QUARTER, "percentunit", answer_rate(), HIGH_IS_GOOD,
                         QUARTER, "no traffic", **share)),
                (4, stat("Service level", SERVICE_LEVEL + OVER_QUARTER, "percentunit", service_level(), HIGH_IS_GOOD,
                         QUARTER, "no traffic", **share)),
                (4, stat("ASA", ASA + OVER_QUARTER, "s", mean("wait_seconds"), rising(20, 60), QUARTER, "no traffic")),
                (4, stat("AHT", AHT + OVER_QUARTER, "s", mean("handle_seconds"), NEUTRAL, QUARTER, "no traffic")),
            ]),
            (4, [
                (4, stat("Handled now", "Handlings that go on: talk, hold or after-contact work.", "short",
                         "sum (callpulse_handlings_active<Q>)")),
                (4, stat("Agents available", "Agents in state available: logged in and free for the next contact."
                         " All queues: an agent belongs to no single one.", "short",
                         'sum (callpulse_agents{' + FLEET + ', state="available"})', [(None, GREY), (0, RED), (1, GREEN)])),
                (4, stat("Offered in the running slot", "Legs that entered a queue since the running slot began.", "short",
                         "sum (callpulse_slot_offered<Q>)")),
                (4, stat("Answered in the running slot", "Legs that entered a queue since the running slot began and have"
                         " been answered. Those that still wait are among the offered only.", "short",
                         "sum (callpulse_slot_answered<Q>)")),
                (4, stat("Load of the running slot", "Handle time so far of the legs that entered in the running slot /"
                         " length of the slot, in Erlang. It grows until the slot ends.", "suffix: Erl",
                         "sum (callpulse_slot_load_erlangs<Q>)", decimals=1)),
                (4, stat("Abandon rate", ABANDON_RATE + OVER_QUARTER, "percentunit", abandon_rate(), rising(0.05, 0.1),
                         QUARTER, "no traffic", **share)),
            ]),
            (11, [
                (24, table("Queues", "One row a queue and channel. Waiting, longest wait, handled now and slot as in the"
                           f" tiles. {ANSWER_RATE} {ABANDON_RATE} {SERVICE_LEVEL} {ASA} {AHT}{OVER_QUARTER} A dash is no"
                           " traffic.", per_queue, QUARTER)),
            ]),
            (8, [
                (12, lines("Offered, answered, abandoned", "Legs a minute: that entered a queue, that an agent answered,"
                           " whose customer hung up at or after the short-abandon limit, and before it.", "cpm", [
                               (f"60 * {rate('legs_offered_total')}", "offered"),
                               (f"60 * {rate('legs_answered_total')}", "answered"),
                               (f"60 * {rate('legs_abandoned_total')}", "abandoned"),
                               (f"60 * {rate('legs_abandoned_short_total')}", "abandoned short"),
                           ], min=0)),
                (12, lines("Waiting by queue", "Legs that wait now.", "short",
                           [(f"sum{BY_QUEUE} (callpulse_legs_waiting<Q>)", QUEUE)], stack=True, min=0)),
            ]),
            (8, [
                (12, lines("Longest wait by queue", LONGEST, "s", [(longest_wait(BY_QUEUE), QUEUE)], rising(60, 180), min=0)),
                (12, lines("Wait until the answer", "The wait under which half, 9 of 10 and 19 of 20 of the answered legs"
                           " stayed, from the buckets of wait_seconds: exact at a bucket's edge, interpolated between.", "s", [
                               (quantile(0.5, "wait_seconds", "<Q>"), "p50"),
                               (quantile(0.9, "wait_seconds", "<Q>"), "p90"),
                               (quantile(0.95, "wait_seconds", "<Q>"), "p95"),
                           ], interval="5m", none="nobody answered", min=0)),
            ]),
            (8, [
                (12, lines("Answer rate by queue", ANSWER_RATE + " Over at least 5 minutes.", "percentunit",
                           [(answer_rate(BY_QUEUE), QUEUE)], HIGH_IS_GOOD, "5m", "no traffic", **share)),
                (12, lines("Rolling service level, by each queue's own formula", "Share of the legs that ended in the last 15"
                           " minutes of event time and were served in time, by the formula that is configured for the"
                           " queue. A ratio of one instance: not to be averaged.", "percentunit",
                           [('callpulse_rolling_service_level_ratio{' + QUEUES + ', window="15m"}', QUEUE + " {{instance}}")],
                           HIGH_IS_GOOD, none="no traffic", **share)),
            ]),
            (8, [
                (12, lines("Agents by state", "Agents in each state, of all queues; offline left out.", "short",
                           [('sum by (state) (callpulse_agents{' + FLEET + ', state!="offline"})', "{{state}}")],
                           stack=True, min=0)),
                (12, lines("Legs that left without agent, by outcome", "Legs a minute that left the queue without agent and"
                           " without hang-up: overflow, callback, exit key, timeout, no agent, closed, error.", "cpm",
                           [("60 * sum by (outcome) (rate(callpulse_legs_left_total<Q>[$__rate_interval]))", "{{outcome}}")],
                           min=0)),
            ]),
            (8, [
                (12, lines("Handle time and its parts", AHT + " Talk, hold and after-contact work are means over the same"
                           " handlings and add up to it, but for dialling.", "s", [
                               (mean("handle_seconds"), "handle"),
                               (mean("talk_seconds"), "talk"),
                               (mean("hold_seconds"), "hold"),
                               (mean("acw_seconds"), "after-contact work"),
                           ], interval="5m", none="no traffic", min=0)),
                (12, lines("First response", "Mean time from the first answer of a contact to the first message of an agent"
                           " after it, by channel.", "s",
                           [(mean("first_response_seconds", " by (channel)"), "{{channel}}")],
                           interval="5m", none="no traffic", min=0)),
            ]),
        ],
        "10s",
    )


def commits_by_minute_right(made):
    made["fieldConfig"]["overrides"].append({
        "matcher": {"id": "byRegexp", "options": "/^a minute/"},
        "properties": [{"id": "unit", "value": "cpm"}, {"id": "custom.axisPlacement", "value": "right"}],
    })
    return made


def pipeline():
    def each(name, by, scale=""):
        return f"{scale}sum by ({by}) (rate(callpulse_{name}<F>[$__rate_interval]))"

    watermark = "time() - {0} (callpulse_watermark_timestamp_seconds<F>)"
    return dashboard(
        "callpulse-pipeline-health",
        "callpulse: pipeline health",
        "Whether callpulse reads everything, in time, and whether its figures add up.",
        [],
        [("Operations now", "callpulse-operations-now", "The centre's figures")],
        [
            (4, [
                (4, stat("Instances", "Processes of callpulse that Prometheus reaches.", "short",
                         "count (callpulse_build_info<F>)", [(None, RED), (1, GREEN)], none="not scraped")),
                (4, stat("Records read", "Records a second, read from all topics.", "recps",
                         "sum (rate(callpulse_records_consumed_total<F>[$__rate_interval]))")),
                (4, stat("Lag", "Records between callpulse's position and the end, of all partitions.", "short",
                         "sum (callpulse_consumer_lag<F>)", rising(1000, 10000))),
                (4, stat("Watermark age", "Now less the event time up to which the partition that is furthest is taken as"
                         " complete. It is lateness_secs (600 s) at best, and grows while no event comes.", "s",
                         watermark.format("max"), rising(900, 1800))),
                (4, stat("Ledger gap", "Legs that the ledgers of all recent slots lack or have too many. Anything but 0 is a"
                         " fault of callpulse.", "short", "sum (callpulse_ledger_gap<F>)", ANY_IS_BAD)),
                (4, stat("Rejected", "Records a minute that could not be used.", "cpm",
                         "60 * sum (rate(callpulse_records_rejected_total<F>[$__rate_interval]))", ANY_IS_BAD)),
            ]),
            (8, [
                (12, lines("Events by type", "Events a second, by type.", "eps",
                           [(each("events_total", "type"), "{{type}}")], stack=True, min=0)),
                (12, lines("Rejects by reason", "Records a minute that could not be used, by reason. A reason has a series"
                           " from its first record on; the tile above tells rejects from no scrape.", "cpm",
                           [(each("rejects_total", "topic, reason", "60 * "), "{{topic}} {{reason}}")],
                           none="no reject so far, or no data", min=0)),
            ]),
            (8, [
                (12, lines("Lag by partition", "Records between the position and the end of the partition.", "short",
                           [("sum by (topic, partition) (callpulse_consumer_lag<F>)", "{{topic}}/{{partition}}")],
                           rising(1000, 10000), min=0)),
                (12, lines("Watermark age by partition", "Now less the event time up to which the partition is taken as"
                           " complete: lateness_secs (600 s) at best. A partition without traffic grows older, which is no"
                           " fault.", "s",
                           [(watermark.format("max by (topic, partition)"), "{{topic}}/{{partition}}")])),
            ]),
            (8, [
                (12, lines("Applied, duplicate, rejected", "What became of the records read, a second; the three add up to"
                           " read.", "recps", [
                               ("sum (rate(callpulse_records_consumed_total<F>[$__rate_interval]))", "read"),
                               ("sum (rate(callpulse_records_applied_total<F>[$__rate_interval]))", "applied"),
                               ("sum (rate(callpulse_records_duplicate_total<F>[$__rate_interval]))", "duplicate"),
                               ("sum (rate(callpulse_records_rejected_total<F>[$__rate_interval]))", "rejected"),
                           ], min=0)),
                (12, lines("Late, restated, split, unknown fields", "A minute: events behind the watermark, contacts whose"
                           " written rows were replaced, contacts seen on two partitions (of a sample of one in 64), and"
                           " fields that the contract does not name.", "cpm", [
                               ("60 * sum (rate(callpulse_late_events_total<F>[$__rate_interval]))", "late events"),
                               ("60 * sum (rate(callpulse_restatements_total<F>[$__rate_interval]))", "restatements"),
                               ("60 * sum (rate(callpulse_contacts_on_two_partitions_total<F>[$__rate_interval]))",
                                "contacts on two partitions"),
                               ("60 * sum (rate(callpulse_unknown_fields_total<F>[$__rate_interval]))", "unknown fields"),
                           ], min=0)),
            ]),
            (8, [
                (12, lines("Event latency", "Time from reading an event to its being visible, from the buckets of"
                           " event_latency_seconds.", "s", [
                               (quantile(0.5, "event_latency_seconds", "<F>"), "p50"),
                               (quantile(0.99, "event_latency_seconds", "<F>"), "p99"),
                           ], [(None, GREY), (0, GREEN), (1, RED)], none="no event", min=0)),
                (12, commits_by_minute_right(lines("Commits to the lake", "Mean time that a commit of rows took, and commits a minute. Only commits"
                           " that succeeded count: none while records are read means that the lake cannot be written.", "s", [
                               ("sum by (instance) (rate(callpulse_lake_commit_seconds_sum<F>[$__rate_interval]))"
                                " / (sum by (instance) (rate(callpulse_lake_commit_seconds_count<F>[$__rate_interval])) > 0)",
                                "mean {{instance}}"),
                               ("60 * sum by (instance) (rate(callpulse_lake_commit_seconds_count<F>[$__rate_interval]))",
                                "a minute {{instance}}"),
                           ], interval="1m", none="no commit", min=0))),
            ]),
            (8, [
                (8, lines("Open contacts", "Contacts that are not closed; they are held in memory.", "short",
                          [("sum by (instance) (callpulse_open_contacts<F>)", "{{instance}}")], min=0)),
                (8, lines("Memory", "Resident memory of the process.", "bytes",
                          [("process_resident_memory_bytes<F>", "{{instance}}")], min=0)),
                (8, lines("CPU", "Cores in use: CPU seconds a second.", "suffix: cores",
                          [("rate(process_cpu_seconds_total<F>[$__rate_interval])", "{{instance}}")], min=0, decimals=2)),
            ]),
            (8, [
                (12, lines("Ledger gap by queue", "Legs that the ledgers of all recent slots lack or have too many; anything"
                           " but 0 is a fault of callpulse.", "short",
                           [("sum by (queue, channel) (callpulse_ledger_gap<F>)", QUEUE)], ANY_IS_BAD)),
                (12, lines("Folded series", "Legs and handlings a minute that were counted under queue __other__ because"
                           " there were too many series (metrics.max_series).", "cpm",
                           [("60 * sum (rate(callpulse_series_folded_total<F>[$__rate_interval]))", "folded")], ANY_IS_BAD,
                           min=0)),
            ]),
        ],
        "30s",
    )


def main():
    stale = []
    for name, made in (("operations-now.json", operations()), ("pipeline-health.json", pipeline())):
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        file = HERE / name
        if sys.argv[1:] == ["--check"]:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale.append(name)
        elif sys.argv[1:]:
            sys.exit("usage: generate.py [--check]")
        else:
            file.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not what generate.py makes: {', '.join(stale)}; hint: python3 dashboards/generate.py")


main()
