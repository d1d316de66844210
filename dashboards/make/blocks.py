"""What panels of both data sources share: colours, thresholds, links, the frame of a dashboard."""

GREY, GREEN, ORANGE, RED, BLUE = "#808080", "green", "orange", "red", "blue"
# The base step is grey, because it is what Grafana paints where there is no value: nothing missing looks fine.
NEUTRAL = [(None, GREY)]
HIGH_IS_GOOD = [(None, GREY), (0, RED), (0.7, ORANGE), (0.8, GREEN)]
ANY_IS_BAD = [(None, GREY), (0, GREEN), (0.000001, RED)]
OCCUPANCY = [(None, GREY), (0, GREEN), (0.85, ORANGE), (0.95, RED)]
SHARE = {"min": 0, "max": 1}


def rising(bad, worse):
    return [(None, GREY), (0, GREEN), (bad, ORANGE), (worse, RED)]


def feeling(low=-1):
    """Steps of a sentiment, which lies between -1 and 1."""
    return [(None, GREY), (low, RED), (-0.2, ORANGE), (0, GREEN)]


def thresholds(steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]}


def defaults(unit, steps, none="no data", **more):
    missing = {"type": "special", "options": {"match": "null+nan", "result": {"text": none, "color": GREY, "index": 0}}}
    return {"unit": unit, "noValue": none, "mappings": [missing], "thresholds": thresholds(steps), **more}


def link(title, url):
    return {"title": title, "url": url, "targetBlank": False}


def board_link(title, uid, *chosen):
    """A link to a dashboard that keeps the time range and the variables named."""
    kept = "".join(f"&${{{name}:queryparam}}" for name in chosen)
    return link(title, f"/d/{uid}?${{__url_time_range}}{kept}")


# A panel's title leads one level down; a contact is the last level, and has a page at callpulse itself.
TO_SLOTS = board_link("Slots, legs and contacts behind it", "callpulse-queues-and-slots", "queue", "channel")
TO_READY = link("What callpulse says of itself", "${callpulse_url:raw}/readyz")
CONTACT = link("The contact's timeline", "${callpulse_url:raw}/contacts/${__value.raw:percentencode}")
QUEUE_CELL = link("Slots of this queue",
                  "/d/callpulse-queues-and-slots?${__url_time_range}&var-queue=${__value.raw:percentencode}")
AGENT_CELL = link("This agent's days and contacts",
                  "/d/callpulse-agents?${__url_time_range}&var-agent=${__value.raw:percentencode}")

STAT_OPTIONS = {
    "graphMode": "none",
    "justifyMode": "auto",
    "orientation": "auto",
    "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    "textMode": "auto",
}
LINES_OPTIONS = {
    "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "right", "showLegend": True},
    "tooltip": {"mode": "multi", "sort": "desc"},
}


def lines_custom(steps, stack, bars=False):
    return {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 20 if stack else 0,
        "lineWidth": 1,
        "showPoints": "never" if bars else "auto",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stack else "none"},
        "thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"},
    }


def address():
    """Where callpulse's own pages are, for the links down to a contact."""
    here = "http://127.0.0.1:8080"
    return {
        "type": "textbox", "name": "callpulse_url", "label": "callpulse's address", "query": here, "hide": 0,
        "current": {"selected": True, "text": here, "value": here},
        "options": [{"selected": True, "text": here, "value": here}],
    }


def dashboard(uid, title, description, variables, links, rows, refresh, since="now-3h", down=()):
    """`rows` is a list of (height, [(width, panel)]); a width of 24 is the whole page. `down` are the links of panels that
    have none of their own."""
    panels, y = [], 0
    for height, row in rows:
        x = 0
        for width, one in row:
            panels.append({"id": len(panels) + 1, "gridPos": {"h": height, "w": width, "x": x, "y": y}, **one})
            if down:
                panels[-1].setdefault("links", list(down))
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
        "time": {"from": since, "to": "now"},
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
        "templating": {"list": variables},
        "panels": panels,
    }
