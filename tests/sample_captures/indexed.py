"""The samples' truths beside what our index made of their captures."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "sample_captures"
TRUTHS = sorted(path for path in FOLDER.glob("*.json") if "connections" in json.loads(path.read_text()))
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmp6": 58}
Row = dict[str, Any]
Key = tuple[Any, ...]


def workbench(*words: str) -> Any:
    words = (sys.executable, "-m", "workbench", *words, "--format", "json")
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Indexed:
    """A sample's truth, its capture's bytes, its source and its flows by key, without the port where its program didn't tell."""

    def __init__(self, truth: Row, capture: Path, source: Row, flows: list[Row], case: Path) -> None:
        self.truth, self.bytes, self.source, self.flows, self.case = truth, capture.read_bytes(), source, flows, case
        self.told = {wanted(connection) for connection in truth["connections"]}
        self.by_key: dict[Key, list[Row]] = defaultdict(list)
        for flow in flows:
            key = flow["proto"], flow["src_ip"], flow["src_port"], flow["dst_ip"], flow["dst_port"]
            portless = *key[:2], None, *key[3:]
            self.by_key[key if key in self.told or portless not in self.told else portless].append(flow)

    def found(self, connection: Row) -> list[Row]:
        return self.by_key[wanted(connection)]


def index(truths: list[Path], case: Path) -> dict[str, Indexed]:
    """All of them into one case, a source each; by name."""
    documents = {path.stem: (json.loads(path.read_text()), path.parent) for path in truths}
    captures = {name: folder / document["capture"] for name, (document, folder) in documents.items()}
    workbench("index", *map(str, captures.values()), "--join", "never", "--case", str(case))
    sources = {Path(row["path"]).stem: row for row in workbench("query", "--case", str(case), "SELECT * FROM sources")}
    flows: dict[int, list[Row]] = defaultdict(list)
    for flow in workbench("query", "--case", str(case), "SELECT * FROM flows ORDER BY flow_id"):
        flows[flow["source_id"]].append(flow)
    found = {}
    for name, (document, _) in documents.items():
        source = sources[captures[name].stem]
        found[name] = Indexed(document, captures[name], source, flows[source["source_id"]], case)
    return found


def wanted(c: Row) -> Key:
    return PROTOCOLS[c["proto"]], c["src"], c["src_port"], c["dst"], c["dst_port"]


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8 : at + length - 4]
        at += length


def on_the_wire(secret: Row, data: bytes) -> bool:
    return secret["text"].encode(secret.get("encoding", "utf-8")) in data
