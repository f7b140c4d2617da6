"""The telemetry samples: what exporters said of the packets that lie beside them, by their own and the collectors' counts."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make import telemetry
from tests import needs
from tests.sample_captures.indexed import FOLDER, Indexed, blocks, index, wanted, workbench

EXPORTS = [export.name for export in telemetry.EXPORTS]
VERSIONS = {"NetFlow 5": (">H", 5), "NetFlow 9": (">H", 9), "IPFIX": (">H", 10), "sFlow 5": (">I", 5)}
"""how a datagram of each format begins"""
UDP_PAYLOAD = 14 + 20 + 8


@pytest.fixture
def packets(samples: dict[str, Indexed]) -> Indexed:
    return samples["telemetry-packets"]


@pytest.fixture(params=EXPORTS)
def export(request: pytest.FixtureRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"telemetry-{request.param}.json").read_text())
    return document


def frames(document: dict[str, Any], folder: Path = FOLDER) -> list[bytes]:
    """The frames of a capture that dumpcap wrote, whole."""
    found = []
    for kind, body in blocks((folder / document["capture"]).read_bytes()):
        if kind == 6:
            (size,) = struct.unpack_from("<I", body, 12)
            found.append(body[20 : 20 + size])
    return found


def records(document: dict[str, Any], folder: Path = FOLDER) -> int:
    """Records or samples as the datagrams' headers count them, where they do (NetFlow 5 and 9: templates count too)."""
    return sum(struct.unpack_from(">H", frame, UDP_PAYLOAD + 2)[0] for frame in frames(document, folder))


def ip_packets(sample: Indexed) -> tuple[int, int]:
    """Packets and bytes of all flows, which are IP's alone."""
    flows = sample.flows
    return sum(f["src_pkts"] + f["dst_pkts"] for f in flows), sum(f["src_bytes"] + f["dst_bytes"] for f in flows)


def check_counts(packets: Indexed, documents: dict[str, dict[str, Any]]) -> None:
    """What exporters and collectors counted is what the packets' capture holds."""
    count, size = ip_packets(packets)
    for name in ("netflow9", "ipfix"):
        said = documents[name]["telemetry"]
        assert (said["exporter_says"]["packets"], said["exporter_says"]["packets_not_ip"]) == (
            count,
            packets.truth["dumpcap"]["packets"] - count,
        )
        assert said["collector_says"] == {"flows": said["exporter_says"]["records"], "packets": count, "bytes": size}
        assert said["exporter_says"]["datagrams"] == documents[name]["dumpcap"]["packets"]
    switch = documents["ipfix-ovs"]["telemetry"]
    assert switch["exporter_says"]["sampled_pkts"] == packets.truth["dumpcap"]["packets"]
    assert switch["exporter_says"]["ipv4_ok"] + switch["exporter_says"]["ipv6_ok"] == count
    assert switch["collector_says"]["flows"] == switch["exporter_says"]["flows"]
    assert documents["netflow5"]["telemetry"]["collector_says"]["packets"] == switch["exporter_says"]["ipv4_ok"]


def test_exporters_and_collectors_counted_the_packets_beside_them(packets: Indexed) -> None:
    check_counts(packets, {name: json.loads((FOLDER / f"telemetry-{name}.json").read_text()) for name in EXPORTS})


def test_every_datagram_is_of_its_format(export: dict[str, Any]) -> None:
    layout, version = VERSIONS[export["telemetry"]["format"]]
    found = frames(export)
    assert len(found) == export["dumpcap"]["packets"] > 0
    assert {struct.unpack_from(layout, frame, UDP_PAYLOAD)[0] for frame in found} == {version}


def test_exports_are_flows_from_the_exporter_to_the_collector(export: dict[str, Any], tmp_path: Path) -> None:
    case, told = tmp_path / "case", export["telemetry"]
    workbench("index", str(FOLDER / export["capture"]), "--case", str(case))
    flows = workbench("query", "--case", str(case), "SELECT * FROM flows")
    assert {(f["src_ip"], f["dst_ip"], f["dst_port"], f["proto"]) for f in flows} == {
        (told["exporter_ip"], told["collector_ip"], told["port"], 17)
    }
    assert sum(f["src_pkts"] for f in flows) == export["dumpcap"]["packets"]


def test_netflow5_says_how_many_records_it_carries() -> None:
    document = json.loads((FOLDER / "telemetry-netflow5.json").read_text())
    assert records(document) == document["telemetry"]["collector_says"]["flows"] > 0


def test_samples_stand_for_about_as_many_packets(packets: Indexed) -> None:
    said = json.loads((FOLDER / "telemetry-sflow.json").read_text())["telemetry"]
    assert said["sampling"] == 4
    assert said["collector_says"]["packets"] == said["sampling"] * said["collector_says"]["flows"]
    assert 0.6 < said["collector_says"]["packets"] / packets.truth["dumpcap"]["packets"] < 1.5


def test_sflow_carries_the_beginning_of_packets_and_so_a_secret(export: dict[str, Any]) -> None:
    secrets = [row["text"].encode() for row in export["planted"]]
    assert bool(secrets) == (export["telemetry"]["format"] == "sFlow 5")
    data = (FOLDER / export["capture"]).read_bytes()
    assert all(secret in data for secret in secrets)
    assert (b"lantern shed ledger" in data) == bool(secrets)


def test_no_export_tells_of_its_machine(export: dict[str, Any]) -> None:
    data = (FOLDER / export["capture"]).read_bytes()
    assert b"/tmp" not in data
    assert b"Linux" not in data
    if export["telemetry"]["name"] == "ipfix":
        assert b"mirror2" in data  # softflowd tells the name of what it reads


def test_payload_is_what_the_sockets_carried(packets: Indexed) -> None:
    talked = [c for c in packets.truth["connections"] if c["program"] == "talk"]
    for connection in talked:
        (flow,) = packets.by_key[wanted(connection)]
        assert (flow["src_payload"], flow["dst_payload"]) == (connection["sent"], connection["received"])
    assert max(flow["duration"] for flow in packets.flows) > 2 * telemetry.ACTIVE


@pytest.mark.lab
@pytest.mark.slow
@needs.root("to make network namespaces")
@needs.program("ovs-vswitchd")
@needs.program("softflowd")
@needs.program("sfcapd")
def test_they_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "LONG", (3, 0.5))
    telemetry.make(tmp_path)
    made = index([tmp_path / "telemetry-packets.json"], tmp_path / "case")["telemetry-packets"]
    documents = {name: json.loads((tmp_path / f"telemetry-{name}.json").read_text()) for name in EXPORTS}
    check_counts(made, documents)
    assert records(documents["netflow5"], tmp_path) == documents["netflow5"]["telemetry"]["collector_says"]["flows"]
