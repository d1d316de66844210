#!/usr/bin/env python3
"""Makes the Grafana dashboards and the fleet's recording rules of this folder; `--check` fails where a file is not what this
script makes. The parts are in make/: blocks (frame and colours), prometheus and sql (panels), and a module a dashboard.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
from make import agents, fleet, operations, pipeline, plan, queues, trends, voice  # noqa: E402

HERE = pathlib.Path(__file__).parent


def made():
    boards = {
        "operations-now.json": operations, "queues-and-slots.json": queues, "agents.json": agents,
        "voice-of-the-customer.json": voice, "plan-and-schedule.json": plan, "trends.json": trends,
        "pipeline-health.json": pipeline,
    }
    files = {name: json.dumps(board.board(), indent=2, ensure_ascii=False) + "\n" for name, board in boards.items()}
    files["rules/callpulse-fleet.rules.yml"] = fleet.rules()
    return files


def main():
    stale = []
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: generate.py [--check]")
    for name, text in made().items():
        file = HERE / name
        if sys.argv[1:] == ["--check"]:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale.append(name)
        else:
            file.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"not what generate.py makes: {', '.join(stale)}; hint: python3 dashboards/generate.py")


main()
