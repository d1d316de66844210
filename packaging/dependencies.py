#!/usr/bin/env python3
"""What callpulse is built from.

    dependencies.py check            hold it against deny.toml: licences, sources, crates that must not be there, one Arrow
    dependencies.py advisories DB    hold Cargo.lock against a clone of https://github.com/rustsec/advisory-db
    dependencies.py sbom [FILE]      a CycloneDX 1.5 list of it (JSON; stdout without FILE)

`check` and `sbom` read `cargo metadata --locked` with the default features, `advisories` reads Cargo.lock, which has all of
them; nothing is asked of a network where the crates are there. Needs Python 3.11 and cargo.
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


def version_of(text):
    """A version as something that can be compared: a pre-release comes before its release."""
    text = text.split("+")[0]
    numbers, _, pre = text.partition("-")
    parts = [int(part) for part in numbers.split(".")]
    before = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")] if pre else [(2, 0, "")]
    return (parts + [0, 0])[:3], before


def within(version, requirement):
    """Whether a version meets a requirement as Cargo writes them: comparators separated by commas."""
    version = version_of(version)
    for part in (part.strip() for part in requirement.split(",")):
        if part in ("", "*"):
            continue
        operator, text = re.fullmatch(r"(>=|<=|>|<|=|\^|~)?\s*([0-9][^\s]*)", part).groups()
        text = text.removesuffix(".*")
        bound, given = version_of(text), text.split("-")[0].count(".") + 1
        if operator in (">=", "<=", ">", "<"):
            fits = {">=": version >= bound, "<=": version <= bound, ">": version > bound, "<": version < bound}[operator]
        else:
            # Up to which number nothing may change: all given ones for `=`, the first but the patch for `~`, and for `^` the
            # first that is not 0.
            numbers = bound[0]
            first = next((at for at, number in enumerate(numbers[:given]) if number), given - 1)
            fixed = {"=": given - 1, "~": min(given - 1, 1)}.get(operator, first)
            fits = version >= bound and version[0][: fixed + 1] == numbers[: fixed + 1]
            if operator == "=" and given == 3:
                fits = version == bound
        if not fits:
            return False
    return True


def advisories(database):
    # The check itself must be able to fail.
    assert within("0.17.14", ">= 0.17.12") and not within("0.17.11", ">= 0.17.12") and not within("1.0.0-rc.1", ">=1.0.0")
    assert within("1.4.2", "^1.2") and not within("2.0.0", "1.2") and not within("0.3.1", "^0.2.9") and within("0.2.10", "^0.2.9")
    assert within("1.2.9", "~1.2.3") and not within("1.3.0", "~1.2.3") and within("1.5.0", ">=1.2, <2") and within("3.1.4", "*")
    rules = tomllib.loads((ROOT / "deny.toml").read_text(encoding="utf-8"))["advisories"]
    known = {entry["id"]: entry["reason"] for entry in rules.get("ignore", [])}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    locked = {}
    for entry in lock["package"]:
        locked.setdefault(entry["name"], []).append(entry["version"])
    files = sorted((Path(database) / "crates").glob("*/RUSTSEC-*.md"))
    if len(files) < 500:
        sys.exit(f"FAILED: `{database}` has {len(files)} advisories; it is no clone of https://github.com/rustsec/advisory-db")
    newest, met, faults, unused = "", [], [], dict(known)
    for file in files:
        text = file.read_text(encoding="utf-8")
        told = tomllib.loads(re.match(r"```toml\n(.*?)\n```", text, re.DOTALL).group(1))
        advisory, fine = told["advisory"], told["versions"].get("patched", []) + told["versions"].get("unaffected", [])
        newest = max(newest, str(advisory["date"]))
        if "withdrawn" in advisory:
            continue
        for version in locked.get(advisory["package"], []):
            if any(within(version, requirement) for requirement in fine):
                continue
            title = re.search(r"^# (.*)$", text, re.MULTILINE).group(1)
            kind = advisory.get("informational", "vulnerability")
            line = f"{advisory['id']} ({kind}): {advisory['package']} {version}: {title}"
            if advisory["id"] in known:
                unused.pop(advisory["id"], None)
                met.append(f"{line}\n  decided: {known[advisory['id']]}")
            else:
                faults.append(line)
    faults += [f"deny.toml ignores {name}, which nothing here has" for name in unused]
    print(f"{len(files)} advisories, the newest of {newest}, against {len(lock['package'])} packages of Cargo.lock: "
          f"{len(met)} decided upon, {len(faults)} not")
    for line in met:
        print(line)
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
        case ["advisories", database]:
            advisories(database)
        case ["sbom", *path] if len(path) < 2:
            sbom(path[0] if path else None)
        case _:
            sys.exit(__doc__)
