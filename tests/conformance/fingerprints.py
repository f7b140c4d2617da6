"""JA3, JA3S, JA4 and HASSH that others published for captures of the set, and whether this program makes the same.

Which are to be trusted: NOTES.md of the set. nDPI's JA4 is of its own making and counts only where JA4_CHECK.tsv confirms it;
the other JA4+ methods are no part of this program.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tests.conformance.captures import folder, manifest
from tests.conformance.checks import reading


class Print(NamedTuple):
    """One fingerprint that a source says is in a capture."""

    source: str
    capture: str
    kind: str
    value: str


_NDPI = re.compile(r"\[JA3([CS]): ([0-9a-f]{32})\]")
_SURICATA = re.compile(r"\b(ja3s?\.hash|ja4|hassh\.hash): ?\"?([0-9a-z_]{20,})")
_ARKIME = {"ja3": "ja3", "ja3s": "ja3s", "ja4": "ja4", "hassh": "hassh", "hasshServer": "hassh_server"}
_COLUMNS = {"ja3": "ja3", "ja3s": "ja3s", "ja4": "ja4", "hassh": "hassh", "hassh_server": "hassh_server"}


def expected() -> list[Print]:
    """Every published fingerprint that is to be trusted, once a source and capture."""
    found = {*_confirmed()}
    for capture, row in manifest().items():
        for name in row["expected_files"].replace(",", " ").split():
            path = folder() / name
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    found.update(_of(capture, name, file.read_text(errors="replace")))
    return sorted(found)


def _confirmed() -> Iterator[Print]:
    with (folder() / "JA4_CHECK.tsv").open(newline="") as lines:
        unsure = {row["file"]: set((row["published_only"] or "").split(",")) for row in csv.DictReader(lines, delimiter="\t")}
    for capture in unsure:
        told = manifest()[capture]["expectation"]
        if "ja4=" in told:
            counted = told.split("ja4=")[1].split(";")[0].split(",")
            for value in {one.rpartition(":")[2] for one in counted} - unsure[capture] - {""}:  # `2:t12d...`: said twice
                yield Print("JA4_CHECK.tsv", capture, "ja4", value)


def _of(capture: str, name: str, text: str) -> Iterator[Print]:
    if name.startswith("ndpi/"):
        for side, value in _NDPI.findall(text):
            yield Print("nDPI", capture, "ja3" if side == "C" else "ja3s", value)
    elif name.startswith("suricata/"):
        for kind, value in _SURICATA.findall(text):
            yield Print("Suricata", capture, kind.removesuffix(".hash"), value)
    elif name.endswith(".json") and name.startswith("arkime/"):
        for session in json.loads(text).get("sessions3", []):
            body = session.get("body", {})
            for part in (body.get("tls", {}), body.get("ssh", {})):
                for theirs, ours in _ARKIME.items():
                    for value in _listed(part.get(theirs)):
                        yield Print("Arkime", capture, ours, value)
    elif name.endswith(".json") and name.startswith("ja4/"):
        for stream in _streams(text):
            for key, value in stream.items():
                if re.fullmatch(r"JA4(\.\d+)?", key) and value:
                    yield Print("FoxIO", capture, "ja4", value)
                elif key in ("ssh_extras", "extras") and isinstance(value, dict):
                    for theirs, ours in (("hassh", "hassh"), ("hassh_server", "hassh_server")):
                        if value.get(theirs):
                            yield Print("FoxIO", capture, ours, value[theirs])


def _streams(text: str) -> list[dict[str, Any]]:
    try:
        told = json.loads(text)
    except ValueError:
        return []
    return [stream for stream in told if isinstance(stream, dict)] if isinstance(told, list) else []


def _listed(value: object) -> Iterable[str]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def missing(prints: list[Print]) -> list[Print]:
    """Those that this program does not make of the capture."""
    made: dict[str, set[str]] = {}
    for one in prints:
        if one.capture not in made:
            made[one.capture] = {
                str(row[column])
                for table in ("tls", "quic", "ssh")
                for row in reading(one.capture).rows(table)
                for column in _COLUMNS
                if row.get(column)
            }
    return [one for one in prints if one.value not in made[one.capture]]
