"""Every sample against its ground truth: what the programs reported must be what the index holds, and no more.

A truth file may have any of the keys looked at here; a key that isn't there asks nothing. esxi-lateral's own story has its tests
beside this one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make import names
from tests import needs
from tests.sample_captures.indexed import FOLDER, TRUTHS, Indexed, blocks, index, on_the_wire, wanted
from tests.sample_captures.test_esxi_lateral import needs_root
from workbench.records.columns import TABLES
from workbench.workflows.show import reading

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
    ("udp", "answers only"): {"SHR"},  # what was asked went to everybody, from no address
    ("icmp", "answered"): {"OTH"},
    ("icmp", "no answer"): {"OTH"},
}
"""the conn_states, by Zeek's definitions, that each outcome may become"""
ALL_TOGETHER = 6_000_000


@pytest.fixture(params=[path.stem for path in TRUTHS])
def sample(request: pytest.FixtureRequest, samples: dict[str, Indexed]) -> Indexed:
    return samples[request.param]


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


def test_packets_add_up_to_the_recorders_count(sample: Indexed) -> None:
    counted = sample.truth.get("dumpcap", sample.truth.get("built"))
    assert sample.source["packets"] == counted["packets"] == sum(kind == 6 for kind, _ in blocks(sample.bytes))
    assert counted.get("dropped", 0) == 0 == (sample.source["dropped"] or 0)


def test_packets_are_cut_where_the_recorder_was_told(sample: Indexed) -> None:
    kept = {int.from_bytes(body[12:16], "little") for kind, body in blocks(sample.bytes) if kind == 6}
    assert max(kept) <= sample.truth.get("snaplen", 262_144)
    if "snaplen" in sample.truth:
        assert sample.source["snaplen"] == sample.truth["snaplen"]


def test_planted_secrets_are_in_the_capture(sample: Indexed) -> None:
    for secret in sample.truth.get("planted", []):
        assert on_the_wire(secret, sample.bytes) == secret["clear"], secret


def test_hosts_have_their_macs(sample: Indexed) -> None:
    told = {(host["ip"], host["mac"]) for host in sample.truth["hosts"] if "mac" in host}
    addresses, macs = {ip for ip, _ in told}, {mac for _, mac in told}
    near = {(flow["src_ip"], flow["src_mac"]) for flow in sample.flows if flow["src_ip"] in addresses and flow["src_mac"] in macs}
    assert near <= told
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


@pytest.mark.lab
@pytest.mark.slow
@needs_root
@needs.program("nft")
def test_a_sample_made_anew_agrees_with_its_own_truth(tmp_path: Path) -> None:
    document = names.make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"names.pcapng", "names.json"}
    asked = Counter(c["proto"] for c in document["connections"] if c["who"] == "desk" for _ in c["queries"])
    assert asked == {"udp": 12, "tcp": 2}
    made = index([tmp_path / "names.json"], tmp_path / "case")["names"]
    test_every_connection_is_there_with_its_direction_and_state(made)
    test_nothing_else_talks_tcp_or_udp(made)
    test_packets_add_up_to_the_recorders_count(made)
    test_planted_secrets_are_in_the_capture(made)


def test_nothing_planted_stands_in_the_index(samples: dict[str, Indexed]) -> None:
    case = next(iter(samples.values())).case
    raw = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file())
    with reading(case) as reader:
        told = "".join(str(reader.query(f"SELECT * FROM {table.name}").to_pylist()) for table in TABLES)
    assert "esxi-lateral" in told  # the question was asked
    secrets = [secret for sample in samples.values() for secret in sample.truth.get("planted", [])]
    assert len(secrets) > 50
    found = [secret for secret in secrets if secret["text"] in told or secret["text"].encode() in raw or on_the_wire(secret, raw)]
    assert not found
