"""Pipeline health: callpulse itself, from Prometheus."""

from .prometheus import *


def commits_by_minute_right(made):
    made["fieldConfig"]["overrides"].append({
        "matcher": {"id": "byRegexp", "options": "/^a minute/"},
        "properties": [{"id": "unit", "value": "cpm"}, {"id": "custom.axisPlacement", "value": "right"}],
    })
    return made


def board():
    def each(name, by, scale=""):
        return f"{scale}sum by ({by}) (rate(callpulse_{name}<F>[$__rate_interval]))"

    watermark = "time() - {0} (callpulse_watermark_timestamp_seconds<F>)"
    return dashboard(
        "callpulse-pipeline-health",
        "callpulse: pipeline health",
        "Whether callpulse reads everything, in time, and whether its figures add up.",
        VARIABLES + [address()],
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
        down=[TO_READY],
    )
