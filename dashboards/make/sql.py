"""Panels whose rows come from SQL, by Grafana's PostgreSQL data source.

Rates are made from sums, never from a mean of rates; without traffic they are NULL. Every query keeps to the chosen time by
$__timeFilter. A chosen variable is a list of quoted texts; "All" is '__all', so that rows without queue, channel or
department are among all, and such a condition reads ('__all' IN ($queue) OR queue IN ($queue)).
"""

from .blocks import *

SOURCE = {"type": "grafana-postgresql-datasource", "uid": "${postgres_datasource}"}

ANSWER_RATE = "CAST(SUM(answered) AS DOUBLE) / NULLIF(SUM(offered - waiting + waiting_late - abandoned_short), 0)"
ABANDON_RATE = "CAST(SUM(abandoned) AS DOUBLE) / NULLIF(SUM(offered - waiting + waiting_late - abandoned_short), 0)"
SERVICE_LEVEL = "CAST(SUM(answered_in_time) AS DOUBLE) / NULLIF(SUM(offered - waiting + waiting_late), 0)"
ASA = "SUM(wait_ms_sum) / 1000.0 / NULLIF(SUM(answered), 0)"
AHT = "SUM(handle_ms_sum) / 1000.0 / NULLIF(SUM(handled), 0)"
LOAD = "SUM(load_erlangs)"

# What the figures mean, for descriptions.
MEANS = {
    "offered": "Offered: legs that entered a queue.",
    "answer_rate": "Answer rate: answered / (offered - short abandons); who still waits within the target is left out.",
    "abandon_rate": "Abandon rate: abandoned / (offered - short abandons).",
    "service_level": "Service level: answered within the target wait / offered (formula ans_T/offered); who waits beyond the"
                     " target counts as lost.",
    "asa": "ASA: mean wait of the answered.",
    "aht": "AHT: mean of talk, hold, after-contact work and dialling per handling closed in the time; outbound left out.",
    "load": "Offered load: handle time of the legs that entered / length of the slot, in Erlang.",
}


def means(*names):
    return " ".join(MEANS[name] for name in names)


def chosen(variable, column=None):
    column = column or variable
    return f"('__all' IN (${variable}) OR {column} IN (${variable}))"


def among(*variables, **columns):
    """The condition that rows are among what is chosen; a keyword names another column."""
    parts = [chosen(variable) for variable in variables]
    parts += [chosen(variable, column) for variable, column in columns.items()]
    return " AND ".join(parts)


ALL_THREE = among("queue", "channel", "department")
# An agent's department is that of its newest state; rows of agents do not bear it.
AGENTS_CHOSEN = (
    "('__all' IN ($agent) OR agent_id IN ($agent)) AND ('__all' IN ($department) OR agent_id IN"
    " (SELECT agent_id FROM live_agents WHERE department IN ($department)))"
)


def panel(kind, title, description, unit, queries, steps=NEUTRAL, none="no data", overrides=(), links=(), **field):
    """One panel; `queries` are SQL texts. Lines want a column `time`, texts become labels."""
    form = "time_series" if kind == "timeseries" else "table"
    targets = [
        {
            "datasource": SOURCE,
            "rawSql": " ".join(query.split()),
            "rawQuery": True,
            "editorMode": "code",
            "format": form,
            "refId": chr(ord("A") + index),
        }
        for index, query in enumerate(queries)
    ]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults(unit, steps, none, **field), "overrides": list(overrides)},
        "targets": targets,
        **({"links": list(links)} if links else {}),
    }


def stat(title, description, unit, query, steps=NEUTRAL, none="no data", links=(), **field):
    out = panel("stat", title, description, unit, [query], steps, none, links=links, color={"mode": "thresholds"}, **field)
    out["options"] = {"colorMode": "background" if len(steps) > 1 else "value", **STAT_OPTIONS}
    return out


def lines(title, description, unit, queries, steps=NEUTRAL, none="no data", stack=False, bars=False, overrides=(), links=(),
          **field):
    queries = [queries] if isinstance(queries, str) else queries
    out = panel("timeseries", title, description, unit, queries, steps, none, overrides, links,
                color={"mode": "palette-classic"}, custom=lines_custom(steps, stack, bars), **field)
    out["options"] = LINES_OPTIONS
    return out


def bars(title, description, unit, query, none="no data", links=(), **field):
    """Bars over a column of texts, the first of the query."""
    out = panel("barchart", title, description, unit, [query], NEUTRAL, none, links=links,
                color={"mode": "palette-classic"}, custom={"fillOpacity": 80, "lineWidth": 1}, **field)
    out["options"] = {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "orientation": "auto", "stacking": "none", "showValue": "auto", "xTickLabelSpacing": 100,
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return out


def table(title, description, query, columns, none="–", links=()):
    """Rows as they come; `columns` maps a column to (unit, steps, link), each of which may be None."""
    overrides = []
    for name, (unit, steps, to) in columns.items():
        properties = []
        if unit:
            properties.append({"id": "unit", "value": unit})
        if steps:
            properties.append({"id": "thresholds", "value": thresholds(steps)})
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        if to:
            properties.append({"id": "links", "value": [to]})
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    out = panel("table", title, description, "none", [query], NEUTRAL, none, overrides, links,
                color={"mode": "thresholds"}, custom={"align": "auto", "cellOptions": {"type": "auto"}})
    out["options"] = {"cellHeight": "sm", "showHeader": True, "sortBy": []}
    return out


def variable(name, label, query):
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": "'__all'",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "sort": 1,
        "hide": 0,
        "options": [],
        "regex": "",
    }


POSTGRES = {
    "type": "datasource",
    "name": "postgres_datasource",
    "label": "Postgres data source",
    "query": "postgres",
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "current": {},
    "hide": 0,
    "options": [],
    "regex": "",
}
DEPARTMENT = variable("department", "Department",
                      "SELECT DISTINCT department FROM legs WHERE department IS NOT NULL ORDER BY 1")
CHANNEL = variable("channel", "Channel", "SELECT DISTINCT channel FROM legs WHERE channel IS NOT NULL ORDER BY 1")
QUEUE = variable("queue", "Queue", "SELECT DISTINCT queue FROM legs WHERE queue IS NOT NULL ORDER BY 1")
AGENT = variable("agent", "Agent", "SELECT DISTINCT agent_id FROM live_agents ORDER BY 1")
QUEUE_VARIABLES = [POSTGRES, DEPARTMENT, QUEUE, CHANNEL, address()]
AGENT_VARIABLES = [POSTGRES, DEPARTMENT, QUEUE, CHANNEL, AGENT, address()]
