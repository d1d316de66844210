#!/usr/bin/env python3
"""What callpulse is built from.

    dependencies.py check          hold it against deny.toml: licences, sources, crates that must not be there, one Arrow
    dependencies.py sbom [FILE]    a CycloneDX 1.5 list of it (JSON; stdout without FILE)

Both read `cargo metadata --locked` with the default features; nothing is asked of a network where the crates are there.
Needs Python 3.11 and cargo. Advisories are not looked at: see docs/security.md.
"""

import json
import re
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Of these there must be one: batches of another version are other types.
ONE = ["arrow-array", "arrow-schema", "datafusion", "deltalake", "parquet", "rdkafka", "tokio", "rustls"]


def metadata():
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"cargo metadata failed:\n{done.stderr}")
    return json.loads(done.stdout)


def shipped(meta):
    """The packages behind the binary, not those of tests and builds, and who needs whom."""
    nodes = {node["id"]: node for node in meta["resolve"]["nodes"]}
    needs, waiting, found = {}, [meta["resolve"]["root"]], set()
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.add(package)
        normal = [
            dep["pkg"] for dep in nodes[package]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])
        ]
        needs[package] = normal
        waiting.extend(normal)
    packages = {package["id"]: package for package in meta["packages"]}
    return {package: packages[package] for package in found}, needs


def fulfilled(expression, allowed):
    """Whether a SPDX expression can be met with these licences; the old `MIT/Apache-2.0` is an OR."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def peek():
        return words[place] if place < len(words) else None

    def take():
        nonlocal place
        place += 1
        return words[place - 1]

    def one():
        if peek() == "(":
            take()
            result = either()
            take()
            return result
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allowed

    def both():
        result = one()
        while peek() == "AND":
            take()
            result = one() and result
        return result

    def either():
        result = both()
        while peek() == "OR":
            take()
            result = both() or result
        return result

    return either() and place == len(words)


def check():
    rules = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))
    allowed = set(rules["licenses"]["allow"])
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    banned = {ban["crate"]: ban["reason"] for ban in rules["bans"]["deny"]}
    # The check itself must be able to fail.
    assert fulfilled("(MIT OR GPL-3.0) AND Apache-2.0 WITH LLVM-exception", allowed)
    assert not fulfilled("MIT AND GPL-3.0", allowed) and not fulfilled("AGPL-3.0", allowed)
    meta = metadata()
    packages, _ = shipped(meta)
    faults, used, versions = [], {}, {}
    for package in packages.values():
        name, version = package["name"], package["version"]
        versions.setdefault(name, set()).add(version)
        if name in banned:
            faults.append(f"{name} {version} must not be there: {banned[name]}")
        if package["source"] is None:
            if package["id"] != meta["resolve"]["root"]:
                faults.append(f"{name} {version} comes from a path")
        elif package["source"] not in registries:
            faults.append(f"{name} {version} comes from {package['source']}")
        licence = package["license"]
        if not licence:
            faults.append(f"{name} {version} names no licence")
        elif not fulfilled(licence, allowed):
            faults.append(f"{name} {version} is under `{licence}`, which deny.toml does not allow")
        else:
            used[licence] = used.get(licence, 0) + 1
    for name in ONE:
        if len(versions.get(name, ())) != 1:
            faults.append(f"of {name} there must be one version, there are {sorted(versions.get(name, ()))}")
    twice = sorted(name for name, found in versions.items() if len(found) > 1)
    print(f"{len(packages)} packages, {len(used)} licence expressions, {len(twice)} in more than one version: {', '.join(twice)}")
    for fault in faults:
        print(f"FAILED: {fault}")
    sys.exit(1 if faults else 0)


def sbom(path):
    meta = metadata()
    packages, needs = shipped(meta)

    def purl(package):
        return f"pkg:cargo/{package['name']}@{package['version']}"

    def component(package, kind):
        made = {
            "type": kind, "bom-ref": purl(package), "name": package["name"], "version": package["version"],
            "purl": purl(package), "scope": "required",
        }
        if package["license"]:
            made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        if package["description"]:
            made["description"] = " ".join(package["description"].split())
        if package["repository"]:
            made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        return made

    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    sums = {(entry["name"], entry["version"]): entry.get("checksum") for entry in lock["package"]}
    root = packages[meta["resolve"]["root"]]
    components = []
    for package in sorted(packages.values(), key=purl):
        if package is root:
            continue
        made = component(package, "library")
        if found := sums.get((package["name"], package["version"])):
            made["hashes"] = [{"alg": "SHA-256", "content": found}]
        components.append(made)
    refs = {package: purl(packages[package]) for package in packages}
    listed = [
        {"ref": refs[package], "dependsOn": sorted({refs[need] for need in needs[package]})} for package in sorted(packages)
    ]
    # The same packages make the same list: its number follows from them.
    names = "\n".join(sorted(refs.values()))
    bom = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, names)}",
        "metadata": {"component": component(root, "application")},
        "components": components, "dependencies": listed,
    }
    text = json.dumps(bom, indent=1, ensure_ascii=False) + "\n"
    if path:
        Path(path).write_text(text, encoding="utf-8")
        print(f"{path}: {len(components)} components", file=sys.stderr)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["check"]:
            check()
        case ["sbom", *path] if len(path) < 2:
            sbom(path[0] if path else None)
        case _:
            sys.exit(__doc__)
