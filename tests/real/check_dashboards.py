"""The rules that Grafana's public dashboard linter keeps with --strict, and ours, for every dashboard.

    check_dashboards.py DASHBOARD.json...

Data-source variables are named and labelled after their kind; panels have title, description, unit, target and the variable
as data source; dashboards are not editable; query variables reload with the time; a dashboard has one kind of data source,
because the linter reads every target as PromQL where a Prometheus variable comes first. Ours: missing data is never green and
says what it is, every panel leads a level down or names contacts, queues or agents that do, every link leads somewhere, no
table is sorted by a figure of named agents. tests/it/dashboards.rs holds the expressions against the metrics.
"""

import json
import re
import sys

KINDS = {"prometheus": "Prometheus", "postgres": "Postgres"}
GREENS = ("green", "dark-green", "semi-dark-green", "light-green", "super-light-green")
MACROS = {"__timeFilter", "__rate_interval"}


def check_variables(board):
    variables = board["templating"]["list"]
    sources = [one for one in variables if one["type"] == "datasource"]
    yield len(sources) == 1 and variables[0] is sources[0], "one data-source variable, the first"
    kind = sources[0]["query"]
    yield kind in KINDS and sources[0]["name"] == f"{kind}_datasource", "the data-source variable is named after its kind"
    yield sources[0]["label"] == f"{KINDS.get(kind)} data source", "the data-source variable has the linter's label"
    for one in variables:
        if one["type"] == "query":
            yield one["refresh"] == 2, f"variable {one['name']} reloads with the time"
            yield one["multi"] and one["includeAll"] and one["label"], f"variable {one['name']} takes several, or all"
            yield one["datasource"]["uid"] == f"${{{sources[0]['name']}}}", f"variable {one['name']} asks the variable source"
    names = [one["name"] for one in variables]
    wanted = ["job", "instance"] if kind == "prometheus" else ["queue", "channel", "department"]
    yield all(name in names for name in wanted), f"the variables {wanted} exist"


def links_of(panel):
    for one in panel.get("links", []):
        yield one["url"]
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            if one["id"] == "links":
                yield from (link["url"] for link in one["value"])


def check_panel(board, panel, uids):
    source = board["templating"]["list"][0]["name"]
    variables = {one["name"] for one in board["templating"]["list"]}
    field = panel["fieldConfig"]["defaults"]
    yield panel["title"] and len(panel["description"]) > 15, "title and definition"
    yield panel["datasource"]["uid"] == f"${{{source}}}", "the variable as data source"
    yield panel["targets"] and all(t["datasource"] == panel["datasource"] for t in panel["targets"]), "targets of that source"
    yield field["unit"], "a unit"
    mapped = [one["options"]["result"] for one in field["mappings"] if one["options"]["match"] == "null+nan"]
    yield mapped and mapped[0]["text"] == field["noValue"] != "", "a text for no data"
    yield mapped and mapped[0]["color"] not in GREENS, "no green for no data"
    steps = [field["thresholds"]["steps"]]
    for override in panel["fieldConfig"]["overrides"]:
        steps += [one["value"]["steps"] for one in override["properties"] if one["id"] == "thresholds"]
    for one in steps:
        yield one[0]["value"] is None and one[0]["color"] not in GREENS, "a base step that is not green"
        values = [step["value"] for step in one[1:]]
        yield values == sorted(values), "rising steps"
    for url in links_of(panel):
        if url.startswith("/d/"):
            yield re.match(r"/d/([a-z-]+)", url)[1] in uids, f"the link {url} leads to a dashboard"
        else:
            yield "callpulse_url" in variables, f"the link {url} has its variable"
    down = list(links_of(panel)) or board["links"]
    yield down, "a way down"
    for target in panel["targets"]:
        text = target.get("expr", target.get("rawSql", ""))
        yield text, "a question"
        used = set(re.findall(r"\$(\w+)", text))
        yield used <= variables | MACROS, f"only known variables: {sorted(used - variables - MACROS)}"
        if "rawSql" in target:
            yield target["format"] == ("time_series" if panel["type"] == "timeseries" else "table"), "the right format"
            yield panel["type"] != "timeseries" or " AS time" in text, "a column `time`"
            yield panel["type"] in ("stat",) or "ORDER BY" in text, "rows in an order"
            yield not ("agent_id" in text and re.search(r"ORDER BY (handled|occupancy|aht|sentiment|unpleasant)", text)), \
                "no ranking of agents"


def main():
    boards = []
    for file in sys.argv[1:]:
        with open(file, encoding="utf-8") as text:
            boards.append((file.rsplit("/", 1)[-1], json.load(text)))
    uids = {board["uid"] for _, board in boards}
    faults, held = [], 0
    checks = [(name, (uids and len(uids) == len(boards), "uids differ")) for name, _ in boards[:1]]
    for name, board in boards:
        checks += [(name, one) for one in check_variables(board)]
        checks.append((name, (board["editable"] is False and board["schemaVersion"] >= 36, "not editable, current schema")))
        checks.append((name, (board["uid"].startswith("callpulse-") and len(board["uid"]) <= 40, "a fixed uid")))
        ids = [panel["id"] for panel in board["panels"]]
        checks.append((name, (len(set(ids)) == len(ids) > 8, "panels with ids of their own")))
        checks += [(name, (link["url"].removeprefix("/d/") in uids, f"the link {link['url']}")) for link in board["links"]]
        for panel in board["panels"]:
            checks += [(f"{name}: {panel['title']}", one) for one in check_panel(board, panel, uids)]
    for place, (right, what) in checks:
        held += 1
        if not right:
            faults.append(f"{place}: wanted: {what}")
    print("\n".join(faults + [f"{len(boards)} dashboards, {held} checks, {len(faults)} faults"]))
    sys.exit(bool(faults) or held < 1000)


main()
