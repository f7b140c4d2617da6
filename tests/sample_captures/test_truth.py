"""Every sample against its ground truth: what the programs reported must be what the index holds, and no more.

A truth file may have any of the keys looked at here; a key that isn't there asks nothing. esxi-lateral's own story has its tests
beside this one.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "sample_captures"
TRUTHS = sorted(path for path in FOLDER.glob("*.json") if "connections" in json.loads(path.read_text()))
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmp6": 58}
FAMILIES = {
    ("tcp", "completed"): {"SF", "RSTO"},  # curl resets what its peer still said when it had all it wanted
    ("tcp", "established"): {"SF", "RSTO", "RSTR"},
    ("tcp", "still open"): {"S1"},
    ("tcp", "refused"): {"REJ"},
    ("tcp", "reset"): {"RSTO", "RSTR"},
    ("tcp", "half-open"): {"RSTO"},
    ("tcp", "no answer"): {"S0"},
    ("tcp", "stray"): {"SH"},  # a FIN of no connection
    ("tcp", "stray, refused"): {"RSTR"},
    ("udp", "answered"): {"SF"},
    ("udp", "refused"): {"S0"},  # the refusal is an ICMP message, and so another flow
    ("udp", "no answer"): {"S0"},
    ("icmp", "answered"): {"OTH"},
    ("icmp", "no answer"): {"OTH"},
}
"""the conn_states, by Zeek's definitions, that each outcome may become"""
ALL_TOGETHER = 6_000_000


def workbench(*words: str) -> Any:
    words = (sys.executable, "-m", "workbench", *words, "--format", "json")
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Indexed:
    """A sample's truth, its capture's bytes, and what our index made of it."""

    def __init__(self, truth: Path, case: Path) -> None:
        self.truth: dict[str, Any] = json.loads(truth.read_text())
        self.capture = truth.parent / self.truth["capture"]
        self.bytes = self.capture.read_bytes()
        self.summary = workbench("index", str(self.capture), "--case", str(case))
        self.flows = workbench("query", "--case", str(case), "SELECT * FROM flows")
        self.by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
        self.told = {wanted(connection) for connection in self.truth["connections"]}
        for flow in self.flows:
            key = flow["proto"], flow["src_ip"], flow["src_port"], flow["dst_ip"], flow["dst_port"]
            portless = *key[:2], None, *key[3:]  # for programs that don't tell their own port
            self.by_key[key if key in self.told or portless not in self.told else portless].append(flow)

    def found(self, connection: dict[str, Any]) -> list[dict[str, Any]]:
        return self.by_key[wanted(connection)]


def wanted(c: dict[str, Any]) -> tuple[Any, ...]:
    return PROTOCOLS[c["proto"]], c["src"], c["src_port"], c["dst"], c["dst_port"]


@pytest.fixture(scope="module", params=TRUTHS, ids=lambda path: path.stem)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    return Indexed(request.param, tmp_path_factory.mktemp("case") / "case")


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length
        yield kind, data[at + 8 : at + length - 4]
        at += length


def on_the_wire(secret: dict[str, Any], data: bytes) -> bool:
    return secret["text"].encode(secret.get("encoding", "utf-8")) in data


def test_every_connection_is_there_with_its_direction_and_state(sample: Indexed) -> None:
    told: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for connection in sample.truth["connections"]:
        told[wanted(connection)].append(connection)
    wrong = []
    for key, connections in told.items():
        states = Counter(flow["conn_state"] for flow in sample.by_key[key])
        for connection in connections:
            family = FAMILIES[connection["proto"], connection["outcome"]]
            hit = next((state for state in sorted(family) if states[state]), None)
            if hit is None:
                wrong.append((connection, dict(states)))
            else:
                states[hit] -= 1
        if +states:
            wrong.append((connections, "more flows than connections", dict(+states)))
    assert not wrong


def test_nothing_else_talks_tcp_or_udp(sample: Indexed) -> None:
    assert [key for key in sample.by_key if key[0] in (6, 17) and key not in sample.told] == []


def test_payload_holds_what_the_programs_sent_and_got(sample: Indexed) -> None:
    for connection in sample.truth["connections"]:
        for told, column in (("body_bytes", "dst_payload"), ("sent_bytes", "src_payload")):
            if told in connection:
                (flow,) = sample.found(connection)
                assert flow[column] >= connection[told], (told, connection, flow[column])
                if connection["outcome"] == "completed":  # headers, TLS and what else frames a body are little beside it
                    assert flow[column] < connection[told] * 1.2 + 4000, (told, connection, flow[column])


def test_packets_add_up_to_dumpcaps_count(sample: Indexed) -> None:
    (source,) = sample.summary["sources"]
    counted = sample.truth["built"] if "built" in sample.truth else sample.truth["dumpcap"]  # built ones had no dumpcap
    assert source["packets"] == counted["packets"] == sum(kind == 6 for kind, _ in blocks(sample.bytes))
    assert "built" in sample.truth or source["dropped"] == counted["dropped"] == 0


def test_planted_secrets_are_in_the_capture(sample: Indexed) -> None:
    for secret in sample.truth.get("planted", []):
        assert on_the_wire(secret, sample.bytes) == secret["clear"], secret


def test_hosts_have_their_macs(sample: Indexed) -> None:
    told = {host["ip"]: host["mac"] for host in sample.truth["hosts"] if "mac" in host}
    near = {
        (flow["src_ip"], flow["src_mac"]) for flow in sample.flows if flow["src_mac"] in told.values() and flow["src_ip"] in told
    }
    assert near == {(address, told[address]) for address, _ in near}
    assert near or not told


def test_file_is_small_whole_and_silent_about_its_machine(sample: Indexed) -> None:
    kinds = Counter(kind for kind, _ in blocks(sample.bytes))
    assert kinds[0x0A0D0D0A] == 1
    assert kinds[10] == 0  # no decryption secrets
    for kind, body in blocks(sample.bytes):
        if kind in (0x0A0D0D0A, 1):
            assert b"Linux" not in body
    assert len(sample.bytes) < 2_000_000


def test_all_of_them_are_small_together_and_have_both_files() -> None:
    captures = [path for path in FOLDER.iterdir() if path.suffix in {".pcap", ".pcapng"}]
    assert sum(path.stat().st_size for path in captures) < ALL_TOGETHER
    assert {path.stem for path in captures} <= {path.stem for path in FOLDER.glob("*.json")}
    assert len(TRUTHS) > 1
