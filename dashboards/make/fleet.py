"""The rolling figures of a fleet: recording rules that make ratios and means from summed counters, for every window."""

HEAD = """\
# Made by generate.py. The rolling figures of all instances together, for the windows of callpulse's own rolling gauges but
# 15m, which callpulse.rules.yml has. Sums over instances first and division then; no sample where nothing happened. Windows
# are those of the scrape's clock. The service level is answered in time / ended (formula ans_T/offered).
groups:
"""
# The longer a window, the less a step changes it, and the more a step costs.
WINDOWS = [("5m", "30s"), ("30m", "30s"), ("1h", "1m"), ("1d", "5m")]


def rule(name, expression):
    return f"      - record: {name}\n        expr: >-\n          {expression}\n"


def increase(name, window, also=""):
    return rule(f"queue:callpulse_legs_{name}:increase{window}",
                f"sum without (instance{also}) (increase(callpulse_legs_{name}_total[{window}]))")


def ratio(of, to, window):
    return rule(f"queue:callpulse_legs_{of}_per_{to}:ratio_increase{window}",
                f"queue:callpulse_legs_{of}:increase{window} / (queue:callpulse_legs_{to}:increase{window} > 0)")


def mean(histogram, window):
    return rule(f"queue:callpulse_{histogram}:mean{window}",
                f"sum without (instance) (rate(callpulse_{histogram}_sum[{window}]))"
                f" / (sum without (instance) (rate(callpulse_{histogram}_count[{window}])) > 0)")


def rules():
    text = HEAD
    for window, step in WINDOWS:
        text += f"  - name: callpulse-fleet-{window}\n    interval: {step}\n    rules:\n"
        for name in ("answered", "answered_in_time", "abandoned", "abandoned_short"):
            text += increase(name, window)
        text += increase("left", window, ", outcome")
        text += rule(f"queue:callpulse_legs_ended_not_short:increase{window}", " + ".join(
            f"queue:callpulse_legs_{name}:increase{window}" for name in ("answered", "abandoned", "left")))
        text += rule(f"queue:callpulse_legs_ended:increase{window}",
                     f"queue:callpulse_legs_ended_not_short:increase{window}"
                     f" + queue:callpulse_legs_abandoned_short:increase{window}")
        text += ratio("answered", "ended_not_short", window)
        text += ratio("abandoned", "ended_not_short", window)
        text += ratio("answered_in_time", "ended", window)
        text += mean("wait_seconds", window)
        text += mean("handle_seconds", window)
    return text
