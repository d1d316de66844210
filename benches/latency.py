"""How long after it was produced something is seen: a leg in /metrics, a leg in SQL, an alert at a webhook; while the service
reads a steady load.

latency.py BROKERS TOPIC URL HOOK_PORT SECONDS: sends a record of a contact of its own again and again, and asks until it is
there. Printed for each of the three: samples, p50, p90, p99, p99.9 where there are a thousand, and the longest, in ms.
"""

import http.client
import http.server
import json
import sys
import threading
import time
from datetime import datetime, timezone

from confluent_kafka import Producer

brokers, topic, url, hook, seconds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
host = url.removeprefix("http://").rstrip("/")
producer = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "partitioner": "murmur2_random"})
run = f"{time.time():.0f}"
# How long one record may take before the bench gives up.
PATIENCE = 30


def send(contact, **fields):
    """One event of a contact; returns when it was handed to the producer."""
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    event = {"id": contact, "time": moment, "contact_id": contact, **fields}
    sent = time.perf_counter()
    producer.produce(topic, key=contact, value=json.dumps(event, ensure_ascii=False))
    producer.poll(0)
    return sent


def queued(name, number):
    contact = f"probe-{run}-{name}-{number}"
    return contact, send(contact, type="contact.queued", channel="voice", queue=f"probe-{name}")


def until(there, pause, sent, what):
    while not there():
        if time.perf_counter() - sent > PATIENCE:
            raise SystemExit(f"FAILED: not within {PATIENCE} s: {what}")
        time.sleep(pause)
    return (time.perf_counter() - sent) * 1e3


def through_metrics(found):
    connection = http.client.HTTPConnection(host)

    def seen():
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            if line.startswith("callpulse_legs_offered_total{") and 'queue="probe-metrics"' in line:
                return int(float(line.rsplit(" ", 1)[1]))
        return 0

    number, end = seen(), time.time() + seconds
    while time.time() < end:
        number += 1
        contact, sent = queued("metrics", number)
        found.append(until(lambda: seen() >= number, 0.002, sent, f"{contact} in /metrics"))
        # Not in step with whatever the service does at a fixed pace.
        time.sleep(0.01 + (number * 37 % 100) / 1e3)


def through_sql(found):
    connection = http.client.HTTPConnection(host)

    def known(contact):
        body = json.dumps({"sql": f"select count(*) as n from legs where contact_id = '{contact}'"})
        connection.request("POST", "/api/v1/sql", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"SQL answers {answer.status}: {text.decode()}")
        return json.loads(text)[0]["n"] > 0

    number, end = 0, time.time() + seconds
    while time.time() < end:
        number += 1
        contact, sent = queued("sql", number)
        found.append(until(lambda: known(contact), 0.005, sent, f"{contact} in SQL"))
        time.sleep(0.1 + (number * 37 % 100) / 1e3)


told = {}


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        now = time.perf_counter()
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for alert in body["alerts"]:
            if alert["kind"] == "raised":
                told.setdefault(alert["contact_id"], now)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def through_webhook(found):
    said, number, end = {}, 0, time.time() + seconds
    while time.time() < end:
        number += 1
        contact = f"probe-{run}-webhook-{number}"
        said[contact] = send(
            contact, type="message", channel="chat", queue="probe-webhook", **{"from": "customer"}, text="太差了，暗号拍岸惊涛！"
        )
        time.sleep(0.02 + (number * 37 % 100) / 1e3)
    last = time.perf_counter()
    until(lambda: len(told.keys() & said.keys()) == len(said), 0.05, last, "the alerts that are missing at the webhook")
    found.extend((told[contact] - sent) * 1e3 for contact, sent in said.items())


server = http.server.ThreadingHTTPServer(("127.0.0.1", hook), Hook)
threading.Thread(target=server.serve_forever, daemon=True).start()
failed = []
found = {}


def probe(name, go):
    try:
        go(found.setdefault(name, []))
    except (SystemExit, OSError) as error:
        failed.append(str(error))


probes = {"/metrics": through_metrics, "SQL": through_sql, "webhook": through_webhook}
threads = [threading.Thread(target=probe, args=it) for it in probes.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for name in probes:
    times = sorted(found[name])
    if not times:
        continue

    def at(share):
        return times[min(len(times) - 1, int(share * len(times)))]

    rare = f"p99.9 {at(0.999):6.0f} ms   " if len(times) >= 1000 else ""
    print(
        f"  {name:8} {len(times):6} samples   p50 {at(0.5):6.0f} ms   p90 {at(0.9):6.0f} ms   p99 {at(0.99):6.0f} ms   "
        f"{rare}longest {times[-1]:6.0f} ms",
        flush=True,
    )
if failed:
    sys.exit("; ".join(failed))
