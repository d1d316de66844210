"""What of packaging/ can be checked without Docker, Helm and Kubernetes: that files parse and agree with each other and with
config/default.toml, and that systemd takes the unit.

    check_packaging.py REPOSITORY
"""

import pathlib
import re
import subprocess
import sys
import tomllib

import yaml

root = pathlib.Path(sys.argv[1])
packaging = root / "packaging"
faults, held = [], 0


def hold(right, what):
    global held
    held += 1
    if not right:
        faults.append(what)


def keys_of(table, before=""):
    for key, value in table.items():
        yield before + key
        if isinstance(value, dict):
            yield from keys_of(value, f"{before}{key}.")


def check_config(text, where):
    for key in keys_of(tomllib.loads(text)):
        hold(key in known, f"{where}: no key `{key}` in config/default.toml")


with open(root / "config/default.toml", "rb") as file:
    default = tomllib.load(file)
with open(root / "tests/real/awaited.txt", encoding="utf-8") as text:
    awaited = [line.split()[1] for line in text if line.startswith("key ")]
known = set(keys_of(default)) | set(awaited)
ports = {name: int(default[name]["listen"].rsplit(":", 1)[1]) for name in ("http", "pg", "flight")}

# YAML.
files = {file: list(yaml.safe_load_all(file.read_text(encoding="utf-8"))) for file in sorted(packaging.rglob("*.y*ml"))
         if "templates" not in file.parts}
hold(len(files) >= 7, f"only {len(files)} YAML files")
for file in sorted((root / "dashboards").rglob("*.y*ml")):
    yaml.safe_load(file.read_text(encoding="utf-8"))

# Dockerfile.
docker = (packaging / "Dockerfile").read_text(encoding="utf-8")
uid = re.search(r"--uid (\d+)", docker)[1]
hold(f"USER {uid}:" in docker, "Dockerfile: USER is not the user that was made")
hold(f"EXPOSE {ports['http']} {ports['pg']} {ports['flight']}" in docker, "Dockerfile: EXPOSE against the default ports")
for path in re.findall(r"^COPY (?:--chmod=\d+ )?(packaging/\S+)", docker, re.M):
    hold((root / path).exists(), f"Dockerfile: no {path}")
cargo = tomllib.loads((root / "Cargo.toml").read_text(encoding="utf-8"))
for feature in re.search(r"--features (\S+)", docker)[1].split(","):
    hold(feature in cargo["features"], f"Dockerfile: no feature {feature}")
rust = re.search(r"FROM rust:([\d.]+)", docker)[1]
hold(rust == cargo["package"]["rust-version"], f"Dockerfile: Rust {rust}, Cargo.toml {cargo['package']['rust-version']}")
hold("HEALTHCHECK" in docker and '"/healthz"' in docker, "Dockerfile: HEALTHCHECK")

# Compose.
compose = files[packaging / "compose.yaml"][0]
for name, service in compose["services"].items():
    hold(service["network_mode"] == "host", f"compose: {name} is not on the host's network")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        exists = (packaging / source).resolve().exists() if source.startswith(".") else source in compose["volumes"]
        hold(exists, f"compose: {name} mounts {source}, which is not there")
    for other in service.get("depends_on", []):
        hold(other in compose["services"], f"compose: {name} depends on {other}")
    hold(":" in service["image"] or service["image"] == "callpulse", f"compose: {name} has no fixed version")
    listening = [str(part) for part in service.get("command", []) if "listen-address=" in str(part)]
    hold(all(re.search(r"=(127\.0\.0\.1:\d+)?$", part) for part in listening), f"compose: {name} is open to others")
config = (packaging / "callpulse.toml").read_text(encoding="utf-8")
check_config(config, "callpulse.toml")
brokers = tomllib.loads(config)["kafka"]["brokers"]
hold(brokers in compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"], "compose: Kafka's address")
for topic in ("callpulse.events", "callpulse.dead-letters"):
    hold(topic in config and topic in str(compose["services"]["topics"]["command"]), f"compose: topic {topic}")
grafana = compose["services"]["grafana"]["environment"]
provisioned = (root / "dashboards/provisioning/datasources/callpulse.yaml").read_text(encoding="utf-8")
for name in re.findall(r"\$\{(\w+)\}", provisioned):
    hold(name in grafana, f"compose: Grafana lacks {name}")
hold(grafana["CALLPULSE_POSTGRES"].endswith(str(ports["pg"])), "compose: port of the PostgreSQL wire")
scraped = files[packaging / "prometheus/prometheus.yml"][0]
hold(scraped["scrape_configs"][0]["static_configs"][0]["targets"] == [f"127.0.0.1:{ports['http']}"], "prometheus: target")
hold(scraped["scrape_configs"][0]["job_name"] == "callpulse", "prometheus: the alerts look for the job callpulse")

# Chart. Helm itself is not at hand: every value that a template names must exist, blocks must be closed.
chart = packaging / "helm/callpulse"
values = files[chart / "values.yaml"][0]
check_config(values["config"], "values.yaml")
two = files[chart / "values-two-instances.yaml"][0]
check_config(two["config"], "values-two-instances.yaml")
hold(set(two) <= set(values), f"values-two-instances.yaml: {set(two) - set(values)} are no values")
version = files[chart / "Chart.yaml"][0]["appVersion"]
hold(version == cargo["package"]["version"], f"Chart.yaml: appVersion {version}")
for file in sorted((chart / "templates").iterdir()):
    text = file.read_text(encoding="utf-8")
    for path in re.findall(r"\.Values\.([\w.]+)", text):
        node = values
        for part in path.split("."):
            node = node.get(part, KeyError) if isinstance(node, dict) else KeyError
        hold(node is not KeyError, f"{file.name}: no value `{path}`")
    opened = len(re.findall(r"\{\{-? *(?:if|with|range|define)\b", text))
    closed = len(re.findall(r"\{\{-? *end\b", text))
    hold(opened == closed, f"{file.name}: {opened} blocks opened, {closed} closed")
    hold(text.count("{{") == text.count("}}"), f"{file.name}: braces")
    for key in re.findall(r"^ +- ([a-z_.]+)=\"", text, re.M):
        hold(key in known, f"{file.name}: no key `{key}` in config/default.toml")
stateful = (chart / "templates/statefulset.yaml").read_text(encoding="utf-8")
hold(f"runAsUser: {uid}" in stateful, "statefulset: another user than the image's")
for port in ports.values():
    hold(f"containerPort: {port} " in stateful, f"statefulset: port {port}")

# Kubernetes without Helm.
for document in files[packaging / "kubernetes/two-instances.yaml"]:
    hold({"apiVersion", "kind", "metadata"} <= set(document), "two-instances.yaml: no Kubernetes object")
    if document["kind"] == "ConfigMap":
        check_config(document["data"]["callpulse.toml"], "two-instances.yaml")
    if document["kind"] == "StatefulSet":
        pod = document["spec"]["template"]["spec"]
        hold(str(pod["securityContext"]["runAsUser"]) == uid, "two-instances.yaml: another user than the image's")
        mounted = {one["name"] for one in pod["containers"][0]["volumeMounts"]}
        hold(mounted == {one["name"] for one in pod["volumes"]}, "two-instances.yaml: volumes against mounts")

# systemd: the unit with a program that is there.
unit = (packaging / "callpulse.service").read_text(encoding="utf-8")
for line in unit.splitlines():
    if line.startswith(("ExecStart", "ExecReload=/usr")):
        hold("/usr/local/bin/callpulse -c /etc/callpulse/callpulse.toml" in line, f"callpulse.service: {line}")
try:
    here = pathlib.Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    trial = here / "callpulse.service"
    trial.write_text(unit.replace("/usr/local/bin/callpulse", "/bin/true"), encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", trial], capture_output=True, text=True, check=False)
    hold(verified.returncode == 0 and not verified.stderr.strip(), f"systemd-analyze verify: {verified.stderr}")
    judged = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15", trial], capture_output=True,
                            text=True, check=False)
    hold(judged.returncode == 0, f"systemd-analyze security: {judged.stdout.strip().splitlines()[-1:]}")
    systemd = ""
except FileNotFoundError:
    systemd = "; ignored (systemd-analyze is not installed): the unit"

print("\n".join(faults + [f"{held} checks of packaging, {len(faults)} faults; awaited keys: {', '.join(awaited) or 'none'}{systemd}"]))
sys.exit(bool(faults) or held < 80)
