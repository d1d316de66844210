"""The Python half of growth.sh; recovery.sh takes its open contacts.

growth.py key [QUEUES]    events from standard input behind their keys; each contact's queues are one of so many
growth.py open FIRST LAST  contacts that begin, wait or talk, and do not end: three events each, behind their keys
growth.py phrases COUNT   a lexicon of so many phrases that nobody says, Chinese and English by turns
growth.py plot TABLE      the table of growth.sh as a picture (SVG): CPU-seconds per million events
"""

import json
import random
import re
import sys
import time
import uuid
import zlib

write = sys.stdout.write


def key(queues=None):
    shipped = 9  # queues of the simulated centre
    for line in sys.stdin:
        event = json.loads(line)
        name = event.get("contact_id") or event.get("complaint_id") or event.get("agent_id") or event["id"]
        if queues and "queue" in event:
            part = zlib.crc32(name.encode()) % max(1, int(queues) // shipped)
            line = re.sub(r'"queue":"([^"]*)"', rf'"queue":"\1 {part}"', line)
        write(f"{name}\t{line}")


def open_contacts(first, last):
    began = int(time.time() * 1000) - 60_000
    for n in range(int(first), int(last)):
        name = uuid.UUID(int=(n * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128)
        kinds = ("contact.started", "contact.queued", "contact.answered" if n % 2 else "contact.offered")
        more = (f'"customer_id":"C{n % 700000}",', f'"queue":"q{n % 40}",', f'"agent_id":"A{n % 3000}",')
        for nth in range(3):
            write(f'{name}\t{{"id":"{name}-{nth}","type":"{kinds[nth]}","time":{began + nth * 1000},'
                  f'"contact_id":"{name}",{more[nth]}"channel":"voice"}}\n')


def phrases(count):
    dice = random.Random(1)
    made = set()
    while len(made) < int(count):
        if len(made) % 2:
            made.add("".join(chr(0x4E00 + dice.randrange(3000)) for _ in range(dice.randrange(3, 7))))
        else:
            made.add(" ".join("".join(dice.choice("bcdfghklmnprstvwz") + dice.choice("aeiou") for _ in range(dice.randrange(2, 4)))
                              for _ in range(dice.randrange(2, 4))))
    print('language = "zh"\n\n[[list]]\ncategory = "growth"\nphrases = """')
    print("\n".join(sorted(made)))
    print('"""')


def plot(table):
    groups = {}
    for line in open(table, encoding="utf-8"):
        found = re.match(r"(\D+?)\s+(\d+)\s+\d+ events\s+(\d+) events/s\s+([\d.]+) CPU-s", line)
        groups.setdefault(found[1], []).append((found[2], float(found[4])))
    width, height = 250, 170
    most = max(cost for points in groups.values() for _, cost in points)
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(groups)} {height + 60}" '
          'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>')
    for nth, (name, points) in enumerate(groups.items()):
        left = nth * width + 30
        across = lambda at: left + at * (width - 60) / max(1, len(points) - 1)
        down = lambda cost: 40 + height * (1 - cost / most)
        print(f'<text x="{left - 10}" y="18" font-weight="bold">{name}</text>')
        print(f'<line x1="{left - 10}" x2="{left + width - 45}" y1="{40 + height}" y2="{40 + height}" stroke="#999"/>')
        line = " ".join(f"{across(at):.0f},{down(cost):.0f}" for at, (_, cost) in enumerate(points))
        print(f'<polyline points="{line}" fill="none" stroke="#1f6fb4" stroke-width="2"/>')
        for at, (size, cost) in enumerate(points):
            print(f'<circle cx="{across(at):.0f}" cy="{down(cost):.0f}" r="3" fill="#1f6fb4"/>'
                  f'<text x="{across(at):.0f}" y="{down(cost) - 8:.0f}" text-anchor="middle">{cost:g}</text>'
                  f'<text x="{across(at):.0f}" y="{height + 55}" text-anchor="middle">{int(size):,}</text>')
    print("</svg>")


if __name__ == "__main__":
    {"key": key, "open": open_contacts, "phrases": phrases, "plot": plot}[sys.argv[1]](*sys.argv[2:])
