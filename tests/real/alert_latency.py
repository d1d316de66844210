"""Writes messages at a steady rate through kcat, some of which raise an alert, and takes the webhook's calls meanwhile."""

import argparse
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TALK = ["我想查一下上个月的账单", "好的，请您稍等，我看一下", "这个套餐每个月多少钱", "系统里显示是五十九元", "那我再想想吧", "您还需要别的吗"]
MARKED_A_SECOND = 10
PIECE = 0.01

told: dict[str, float] = {}


class Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for alert in body["alerts"]:
            if alert["kind"] == "raised":
                told.setdefault(alert["contact_id"], now)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def percentile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    ask = argparse.ArgumentParser()
    for name in ("brokers", "topic"):
        ask.add_argument(f"--{name}", required=True)
    for name in ("hook", "rate", "seconds"):
        ask.add_argument(f"--{name}", type=int, required=True)
    for name in ("p50", "p99"):
        ask.add_argument(f"--{name}", type=float, required=True)
    asked = ask.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", asked.hook), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kcat = subprocess.Popen(
        ["kcat", "-P", "-b", asked.brokers, "-t", asked.topic, "-K", "|", "-X", "partitioner=murmur2_random",
         "-X", "linger.ms=1", "-X", "queue.buffering.max.messages=200000"],
        stdin=subprocess.PIPE,
    )
    said: dict[str, float] = {}
    number = 0

    def message(contact: str, text: str, speaker: str, now: float) -> str:
        nonlocal number
        number += 1
        event = {"id": f"m{number}", "type": "message", "time": int(now * 1000), "contact_id": contact, "channel": "chat",
                 "queue": "cards", "from": speaker, "text": text}
        return f"{contact}|{json.dumps(event, ensure_ascii=False)}\n"

    began = time.time()
    pieces = int(asked.seconds / PIECE)
    each = asked.rate * PIECE
    owed, behind = 0.0, 0.0
    for piece in range(pieces):
        due = began + piece * PIECE
        while (wait := due - time.time()) > 0:
            time.sleep(wait)
        behind = max(behind, time.time() - due)
        owed += each
        lines = []
        while owed >= 1:
            owed -= 1
            text = TALK[number % len(TALK)]
            lines.append(message(f"c{number % 2000}", text, "agent" if number % 2 else "customer", time.time()))
        if piece % int(1 / PIECE / MARKED_A_SECOND) == 0:
            contact = f"marked-{piece}"
            said[contact] = time.time()
            lines.append(message(contact, "太差了，我要销户！", "customer", said[contact]))
        kcat.stdin.write("".join(lines).encode())
        kcat.stdin.flush()
    took = time.time() - began
    kcat.stdin.close()
    kcat.wait()
    end = time.time() + 20
    while len(told) < len(said) and time.time() < end:
        time.sleep(0.1)
    # The first seconds warm up.
    late = sorted((told[contact] - at) * 1000 for contact, at in said.items() if contact in told and at > began + 3)
    missing = len(said) - len(told)
    print(f"  {number} messages in {took:.1f} s ({number / took:.0f} a second; the producer was at most {behind * 1000:.0f} ms behind)")
    print(f"  {len(late)} alerts, {missing} missing: p50 {percentile(late, 0.5):.1f} ms, p90 {percentile(late, 0.9):.1f} ms, "
          f"p99 {percentile(late, 0.99):.1f} ms, most {late[-1]:.1f} ms")
    if missing or percentile(late, 0.5) > asked.p50 or percentile(late, 0.99) > asked.p99:
        sys.exit("FAILED: slower than it must be, or alerts are missing")


main()
