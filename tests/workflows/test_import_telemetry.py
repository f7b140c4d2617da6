"""Telemetry into a case: captures of datagrams, files of messages, exporters as sources, what the ledger says."""

from __future__ import annotations

import ipaddress
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.decode.telemetry.messages import (
    BASIC,
    SENT,
    a_set,
    basic,
    header_sample,
    ipfix,
    netflow5,
    netflow5_record,
    sflow,
    template,
)
from workbench.cli.app import run
from workbench.errors import UsageError
from workbench.sources.peek import peek, telemetry_kind
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest, IndexResult

HERE = Path(__file__).parents[2] / "sample_captures"
THERE = basic("192.0.2.1", "198.51.100.2", 40000, 443, packets=3, size=300)
BACK = basic("198.51.100.2", "192.0.2.1", 443, 40000, packets=2, size=2000, start=SENT * 1000 + 1)


def taken(case: Path, *paths: Path, **options: Any) -> IndexResult:
    return index_sources(IndexRequest(tuple(map(str, paths)), case, **options))


def rows(case: Path, sql: str) -> list[dict[str, Any]]:
    with CaseReader(case) as reader:
        found: list[dict[str, Any]] = reader.query(sql).to_pylist()
    return found


def datagrams(path: Path, *messages: tuple[int, bytes]) -> Path:
    """A capture of UDP datagrams, each from 10.0.0.n."""
    path.write_bytes(
        pcap([(SENT + 0.1 * n, udp_frame(who, 9, 5000, 4739, payload)) for n, (who, payload) in enumerate(messages)])
    )
    return path


def test_each_exporter_of_a_capture_is_a_source(tmp_path: Path) -> None:
    one, two = ipfix(template(256, BASIC), a_set(256, THERE + BACK)), netflow5(netflow5_record("192.0.2.7", "192.0.2.8", 1, 2))
    later = basic("192.0.2.1", "198.51.100.2", 40000, 443, packets=3, start=(SENT + 30) * 1000)
    capture = datagrams(
        tmp_path / "a.pcap", (1, one), (2, two), (1, ipfix(a_set(256, later), sequence=5)), (3, b"something else")
    )
    result = taken(tmp_path / "case", capture, telemetry="ipfix")
    assert [(s["kind"], s["state"], s["packets"], s["flows"]) for s in result.sources] == [
        ("ipfix", "ok", 8, 2),
        ("netflow5", "ok", 1, 1),
    ]
    flows = rows(tmp_path / "case", "SELECT flow_id >> 40 AS source, sensor, src_pkts, dst_pkts FROM flows ORDER BY flow_id")
    assert [(f["source"], f["src_pkts"], f["dst_pkts"]) for f in flows] == [(1, 3, 2), (1, 3, 0), (2, 1, 0)]
    assert [f["sensor"] for f in flows] == [s["sensor"] for s in (result.sources[0], *result.sources)]
    ledger = {(line["source_id"], line["reason"]): line["count"] for line in result.ledger}
    assert ledger[(1, "telemetry_read")] == 3
    assert ledger[(1, "telemetry_lost")] == 3
    assert ledger[(1, "records_unpaired")] == 1
    assert ledger[(1, "not_telemetry")] == 1


def test_files_of_messages_in_a_folder_are_one_stream(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "00.dat").write_bytes(ipfix(template(256, BASIC)))
    (folder / "01.dat").write_bytes(ipfix(a_set(256, THERE)) + ipfix(a_set(256, BACK), sequence=1))
    (folder / "notes.txt").write_text("nothing of ours")
    result = taken(tmp_path / "case", folder)
    (source,) = result.sources
    assert (source["kind"], source["sensor"], source["flows"], source["packets"]) == ("ipfix", "flows", 1, 5)
    assert rows(tmp_path / "case", "SELECT count(*) AS n FROM source_files") == [{"n": 2}]
    again = taken(tmp_path / "case", folder)
    assert len(again.skipped) == 1


def test_a_capture_of_telemetry_is_packets_unless_imported(tmp_path: Path) -> None:
    capture = HERE / "telemetry-ipfix.pcapng"
    packets = taken(tmp_path / "case", capture)
    records = taken(tmp_path / "case", capture, telemetry="ipfix")
    assert [s["kind"] for s in (*packets.sources, *records.sources)] == ["pcapng", "ipfix"]
    assert not records.skipped
    assert taken(tmp_path / "case", capture, telemetry="ipfix").skipped == [str(capture)]


@pytest.mark.parametrize("name", ["ipfix", "netflow9", "netflow5", "ipfix-ovs"])
def test_every_method_tells_the_conversations_that_packets_do(name: str, tmp_path: Path) -> None:
    """The same traffic by mirror and by exporters; what NetFlow 5 cannot tell is IPv6."""
    truth = json.loads((HERE / f"telemetry-{name}.json").read_text())["telemetry"]
    taken(tmp_path / "case", HERE / "telemetry-packets.pcapng")
    result = taken(tmp_path / "case", HERE / f"telemetry-{name}.pcapng", telemetry="ipfix")
    (source,) = result.sources
    assert next(line["count"] for line in result.ledger if line["reason"] == "telemetry_read") == truth["collector_says"]["flows"]
    told = truth["collector_says"].get("packets", 293)
    assert source["packets"] == told
    what = "src_ip, src_port, dst_ip, dst_port, proto, src_pkts, dst_pkts" + (
        "" if name == "netflow5" else ", src_bytes, dst_bytes"
    )
    tcp = "proto IN (6, 17)" + (" AND src_ip NOT LIKE '%:%'" if name == "netflow5" else "")
    seen, exported = (
        rows(tmp_path / "case", f"SELECT {what} FROM flows WHERE source_id = {n} AND {tcp} ORDER BY ALL") for n in (1, 2)
    )
    assert exported == seen


def test_sampled_headers_are_flows_with_their_rate(tmp_path: Path) -> None:
    truth = json.loads((HERE / "telemetry-sflow.json").read_text())["telemetry"]
    result = taken(tmp_path / "case", HERE / "telemetry-sflow.pcapng", telemetry="sflow")
    counters = rows(tmp_path / "case", "SELECT if_index, max(in_bytes) AS n FROM interface_counters GROUP BY 1 ORDER BY 1")
    assert len(counters) > 1
    assert any(row["n"] for row in counters)
    (source,) = result.sources
    assert source["packets"] == truth["collector_says"]["flows"]
    (found,) = rows(
        tmp_path / "case",
        "SELECT sum(src_pkts + dst_pkts)::INT AS n, (SELECT count(*) FROM arp) AS arp,"
        " min(sampling) AS low, max(sampling) AS high, count(first_offset) AS places FROM flows",
    )
    assert found == {"n": 70, "arp": 2, "low": 4, "high": 4, "places": 0}


def test_rates_and_drops_of_an_agent_are_sources_of_their_own(tmp_path: Path) -> None:
    frame = udp_frame(1, 2, 1000, 2000)
    samples = sflow(header_sample(frame, rate=4), header_sample(frame, rate=8), header_sample(frame, kind=5))
    capture = datagrams(tmp_path / "a.pcap", (1, samples))
    result = taken(tmp_path / "case", capture, telemetry="sflow")
    assert [s["sensor"].partition(" ")[2] for s in result.sources] == ["", "1 in 8", "dropped"]
    found = rows(tmp_path / "case", "SELECT sampling, verdict FROM flows ORDER BY flow_id")
    assert found == [{"sampling": 4, "verdict": None}, {"sampling": 8, "verdict": None}, {"sampling": 1, "verdict": "deny"}]


def test_what_holds_no_telemetry_is_refused_and_hides_no_other(tmp_path: Path) -> None:
    other = datagrams(tmp_path / "other.pcap", (1, b"nothing of the kind"))
    good = tmp_path / "good.dat"
    good.write_bytes(netflow5(netflow5_record("192.0.2.7", "192.0.2.8", 1, 2)))
    result = taken(tmp_path / "case", other, good, telemetry="netflow")
    assert {s["path"].rpartition("/")[2]: s["state"] for s in result.sources} == {"other.pcap": "refused", "good.dat": "ok"}
    assert "holds no NetFlow" in result.refused[0].message


def test_a_file_that_ends_in_a_message_keeps_what_was_before(tmp_path: Path) -> None:
    whole = ipfix(template(256, BASIC), a_set(256, THERE)) + ipfix(a_set(256, BACK + THERE), sequence=1)
    cut = tmp_path / "cut.ipfix"
    cut.write_bytes(whole[:-20])
    result = taken(tmp_path / "case", cut)
    assert result.sources[0]["flows"] == 1
    assert "telemetry_malformed" in {line["reason"] for line in result.ledger}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = str(tmp_path / "case")
    assert run(["import", "netflow", str(HERE / "telemetry-netflow5.pcapng"), "--case", case, "--format", "json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert set(summary) == {"case", "sources", "ledger", "seconds"}
    assert [s["kind"] for s in summary["sources"]] == ["netflow5"]
    assert run(["import", "smoke-signals", "x", "--case", case]) == 2
    assert run(["import", "sflow", str(HERE / "telemetry-netflow5.pcapng"), "--case", str(tmp_path / "b")]) == 3


@pytest.mark.parametrize(
    "head",
    [b"", bytes(100), b"\0\x0a" + bytes(98), b"\0\x09\0\x01" + bytes(96), b"\0\x05\xff\xff" + bytes(96), b"#!/bin/sh\n" * 10],
)
def test_what_is_no_telemetry_is_not_taken_for_it(head: bytes) -> None:
    assert telemetry_kind(head) is None


def test_a_first_look_knows_every_kind(tmp_path: Path) -> None:
    five = netflow5(netflow5_record("192.0.2.7", "192.0.2.8", 1, 2))
    for kind, message in (("ipfix", ipfix(template(256, BASIC))), ("netflow5", five), ("sflow", sflow(header_sample(bytes(60))))):
        path = tmp_path / kind
        path.write_bytes(message)
        seen = peek(str(path))
        assert seen is not None
        assert seen.kind == kind


def test_addresses_of_exporters_are_told_in_both_families() -> None:
    from workbench.workflows.telemetry import _address

    high, low = struct.unpack(">QQ", ipaddress.ip_address("2001:db8::1").packed)
    assert _address(high, low) == "2001:db8::1"
    assert _address(0, 0xFFFF0A000001) == "10.0.0.1"


def test_another_key_scope_is_another_case(tmp_path: Path) -> None:
    capture = HERE / "telemetry-ipfix.pcapng"
    taken(tmp_path / "case", capture, telemetry="ipfix")
    with pytest.raises(UsageError):
        taken(tmp_path / "case", capture, telemetry="ipfix", key_scope="none")


@needs.program("nfpcapd")
@needs.program("nfdump")
def test_a_folder_of_nfdumps_files_is_one_stream(tmp_path: Path) -> None:
    files = tmp_path / "nfcapd"
    files.mkdir()
    subprocess.run(["nfpcapd", "-r", str(HERE / "beacon.pcapng"), "-w", str(files)], check=True, capture_output=True)
    told = subprocess.run(["nfdump", "-R", str(files), "-I"], check=True, capture_output=True, text=True).stdout
    sums = {name: int(count) for name, _, count in (line.partition(": ") for line in told.splitlines()) if count.isdigit()}
    result = taken(tmp_path / "case", files)  # as `index` and `open` do: the files say themselves what they are
    (source,) = result.sources
    assert (source["kind"], source["state"], source["packets"]) == ("nfdump", "ok", sums["Packets"])
    (line,) = rows(tmp_path / "case", "SELECT count FROM ledger WHERE reason = 'telemetry_read'")
    assert line["count"] == sums["Flows"]
    sql = "SELECT sum(src_bytes + dst_bytes) AS bytes, count(*) AS flows FROM flows"
    (total,) = rows(tmp_path / "case", sql)
    assert total["bytes"] == sums["Bytes"]
    assert 0 < total["flows"] < sums["Flows"]  # both directions of one are paired


def test_a_file_of_nfdump_that_is_not_read_is_refused_with_why(tmp_path: Path) -> None:
    (tmp_path / "nfcapd.1").write_bytes(struct.pack("<HHII", 0xA50C, 1, 1, 0) + bytes(300))
    result = taken(tmp_path / "case", tmp_path / "nfcapd.1")
    assert [source["state"] for source in result.sources] == ["refused"]
    assert "LZO" in str(result.refused[0])
