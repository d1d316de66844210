"""Asks a Prometheus every expression of the dashboards, and what it made of the rules.

    ask_dashboards.py PROMETHEUS_URL AWAITED DASHBOARD.json...

Every expression must answer with at least one series whose last value is a number, but for those that are empty in a centre
without faults, which are named below and only have to be understood. Every rule must have been evaluated without error, and
every recording rule must have a sample. What asks a metric of the list AWAITED and stays empty is reported as awaited.
"""

import json
import math
import sys
import urllib.error
import urllib.parse
import urllib.request

# Empty until the first reject: a reason has no series before.
QUIET = {("callpulse-pipeline-health", "Rejects by reason")}
# What Grafana would put in, with "All" chosen everywhere; the demo is too young for a quarter of an hour, and too small for a minute.
VARIABLES = {"$__rate_interval": "5m", "$job": ".+", "$instance": ".+", "$queue": ".*", "$channel": ".*"}


def get(base, path, **query):
    address = f"{base}{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        return {"result": [], "error": error.read().decode(errors="replace")}


def recorded_of(metric):
    """The part of a recorded name that stands for the metric."""
    return ":" + metric.removesuffix("_total") + ":"


def panels(dashboard):
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            if "expr" not in target:
                continue
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield panel["title"], expression


def main():
    base, awaited_file, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    with open(awaited_file, encoding="utf-8") as text:
        awaited = [line.split()[1] for line in text if line.startswith("metric ")]
    faults, quiet, waits, asked = [], [], {}, 0

    def awaits(expression):
        # The metric itself must be absent: one that has series and an expression that is empty all the same is a fault.
        names = [name for name in awaited if name in expression or recorded_of(name) in expression]
        return next((n for n in names if not get(base, "/api/v1/query", query=f'{{__name__=~"{n}(_bucket)?"}}')["result"]), None)

    for file in files:
        with open(file, encoding="utf-8") as text:
            dashboard = json.load(text)
        for title, expression in panels(dashboard):
            asked += 1
            where = f"{dashboard['title']} / {title}: {expression}"
            if "$" in expression:
                faults.append(f"unknown variable in {where}")
                continue
            answer = get(base, "/api/v1/query", query=expression)
            numbers = [r for r in answer["result"] if math.isfinite(float(r["value"][1]))]
            if "error" in answer:
                faults.append(f"{answer['error']} in {where}")
            elif not numbers and (dashboard["uid"], title) in QUIET:
                quiet.append(title)
            elif not numbers and (name := awaits(expression)):
                waits.setdefault(name, set()).add(f"{dashboard['uid']}/{title}")
            elif not numbers:
                faults.append(f"no series with a number in {where}")
    rules = [rule for group in get(base, "/api/v1/rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        if rule["health"] != "ok":
            faults.append(f"rule {rule['name']} is {rule['health']}: {rule.get('lastError', 'not evaluated')}")
        elif rule["type"] == "recording" and not get(base, "/api/v1/query", query=rule["name"])["result"]:
            if name := awaits(rule["query"]):
                waits.setdefault(name, set()).add(f"rule {rule['name']}")
            else:
                faults.append(f"rule {rule['name']} recorded nothing")
    if not asked or not rules:
        faults.append(f"{asked} expressions and {len(rules)} rules: nothing was checked")
    for fault in faults:
        print(fault, file=sys.stderr)
    for name, askers in sorted(waits.items()):
        print(f"awaited: {name} has no series in this binary; not tried: {', '.join(sorted(askers))}")
    print(f"{asked} expressions and {len(rules)} rules asked, {len(faults)} faults; empty without faults in the centre: "
          f"{', '.join(quiet) or 'none'}")
    sys.exit(bool(faults))


main()
