"""The same events (JSON lines) in another order, and repeated; each line stays as it is.

With `--within S` the disorder is bounded: no event stands behind one whose event time is
more than S seconds later. Repeats obey the same bound. The same seed gives the same file.
"""

import argparse
import json
import random
import sys

from events import Reject, open_input, parse_time


def time_of(line: bytes) -> int | None:
    try:
        return parse_time(json.loads(line)["time"])
    except (Reject, ValueError, KeyError, TypeError):
        return None


def shuffled(lines: list[bytes], seed: int, repeat: int = 1,
             within: float | None = None) -> list[bytes]:
    chance = random.Random(seed)
    lines = [line for line in lines for _ in range(repeat)]
    if within is None:
        chance.shuffle(lines)
        return lines
    # a before b means a.time <= key(a) <= key(b) <= b.time + S: that is the bound.
    keyed, last = [], 0
    for line in lines:
        time = time_of(line)
        last = last if time is None else time  # a record without time keeps its neighbour's
        keyed.append((last + chance.uniform(0, within * 1000), chance.random(), line))
    return [line for _, _, line in sorted(keyed)]


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("input", help="JSON lines, plain or .gz")
    args.add_argument("output")
    args.add_argument("--seed", type=int, required=True)
    args.add_argument("--repeat", type=int, default=1, help="how often each event stands in the output")
    args.add_argument("--within", type=float, help="bound of the disorder, seconds of event time")
    given = args.parse_args()
    with open_input(given.input) as lines:
        lines = [line.rstrip(b"\r\n") for line in lines if line.strip()]
    with open(given.output, "wb") as out:
        for line in shuffled(lines, given.seed, given.repeat, given.within):
            out.write(line + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
