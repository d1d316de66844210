"""How long after it was produced a record is seen in /metrics and in SQL, while the service reads a steady load.

latency.py BROKERS TOPIC URL SECONDS: sends a contact of a queue of its own again and again, and asks until it is there.
Printed: samples, p50, p99, p99.9 and the longest, in milliseconds, for each of the two.
"""

import http.client
import json
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone

brokers, topic, url, seconds = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
host = url.removeprefix("http://").rstrip("/")
producer = subprocess.Popen(
    ["kcat", "-P", "-b", brokers, "-t", topic, "-K", "|", "-X", "linger.ms=0", "-X", "topic.partitioner=murmur2_random"],
    stdin=subprocess.PIPE,
)
run = f"{time.time():.0f}"


def send(number, queue):
    """One contact that is queued; returns when it was handed to the producer."""
    contact = f"probe-{run}-{queue}-{number}"
    event = {
        "id": contact,
        "type": "contact.queued",
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "contact_id": contact,
        "channel": "voice",
        "queue": queue,
    }
    sent = time.perf_counter()
    producer.stdin.write(f"{contact}|{json.dumps(event)}\n".encode())
    producer.stdin.flush()
    return contact, sent


def metric(connection):
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    wanted = 'callpulse_legs_offered_total{channel="voice",queue="probe-metrics"} '
    return next((int(float(line.rsplit(" ", 1)[1])) for line in page.splitlines() if line.startswith(wanted)), 0)


def known(connection, contact):
    body = json.dumps({"sql": f"select count(*) as n from legs where contact_id = '{contact}'"})
    connection.request("POST", "/api/v1/sql", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"SQL answers {answer.status}: {text.decode()}")
    return json.loads(text)[0]["n"] > 0


def through_metrics(found):
    connection = http.client.HTTPConnection(host)
    number, end = metric(connection), time.time() + seconds
    while time.time() < end:
        number += 1
        _, sent = send(number, "probe-metrics")
        while metric(connection) < number:
            time.sleep(0.002)
        found.append((time.perf_counter() - sent) * 1e3)
        # Not in step with whatever the service does at a fixed pace.
        time.sleep(0.05 + (number * 37 % 100) / 1e3)


def through_sql(found):
    connection = http.client.HTTPConnection(host)
    number, end = 0, time.time() + seconds
    while time.time() < end:
        number += 1
        contact, sent = send(number, "probe-sql")
        while not known(connection, contact):
            time.sleep(0.005)
        found.append((time.perf_counter() - sent) * 1e3)
        time.sleep(0.2 + (number * 37 % 100) / 1e3)


found = {"metrics": [], "SQL": []}
threads = [
    threading.Thread(target=through_metrics, args=(found["metrics"],)),
    threading.Thread(target=through_sql, args=(found["SQL"],)),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
producer.stdin.close()
producer.wait()
for name, times in found.items():
    times.sort()

    def at(share):
        return times[min(len(times) - 1, int(share * len(times)))]

    print(
        f"  {name:8} {len(times):6} samples   p50 {at(0.5):6.0f} ms   p99 {at(0.99):6.0f} ms   "
        f"p99.9 {at(0.999):6.0f} ms   longest {times[-1]:6.0f} ms"
    )
