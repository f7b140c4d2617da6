from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.store.rows import T0, batch, flow, source
from workbench.store.decisions import APART, Logged, Said, keep_decisions
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter

BEGAN = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=T0)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Flows of a switch that tells by rule (source 1), the same ends seen in a capture (2), and another switch's (3)."""
    told = [flow(0, rule_id="0", verdict="allow"), flow(1, rule_id="7", verdict="deny"), flow(2)]
    seen = [flow(0, 2), flow(1, 2), flow(4, 2, proto=1, src_port=8, dst_port=0)]
    other = [flow(0, 3, src_ip="10.9.0.1", rule_id="7", verdict="deny")]
    with CaseWriter(tmp_path / "case") as writer:
        for number, rows in ((1, told), (2, seen), (3, other)):
            writer.add_source(source(number, kind="pcap" if number == 2 else "ipfix"))
            writer.append("flows", batch("flows", rows))
            writer.update_source(number, state="ok")
    return tmp_path / "case"


POINTS = {0: ("web/in", "allow"), 7: ("web/no-smb", "deny")}


def kept(case: Path) -> list[tuple[int, int, str, str, str, int]]:
    with CaseReader(case) as reader:
        rows = reader.query("SELECT * FROM verdicts ORDER BY flow_id, origin").to_pylist()
    mask = (1 << 40) - 1
    return [(r["flow_id"] >> 40, r["flow_id"] & mask, r["verdict"], r["rule_id"], r["origin"], r["packets"]) for r in rows]


def logged(n: int, **other: object) -> Logged:
    row = flow(n)
    values = {
        "ts": BEGAN + dt.timedelta(milliseconds=n), "rule_id": "web/no-smb", "verdict": "deny", "proto": 6,
        "src_ip": row["src_ip"], "dst_ip": row["dst_ip"], "src_port": row["src_port"], "dst_port": 443,
    }  # fmt: skip
    return Logged(**(values | other))  # type: ignore[arg-type]


def test_numbers_of_rules_in_ipfix_become_verdicts_once(case: Path) -> None:
    said = Said("dpu7", "ab" * 32, POINTS, sensors=("s1",))
    assert keep_decisions(case, said).verdicts == 4
    assert keep_decisions(case, said).verdicts == 0
    told = [(0, "allow", "web/in", "ovs-ipfix", 9), (1, "deny", "web/no-smb", "ovs-ipfix", 9)]
    assert kept(case) == [(source_id, *one) for source_id in (1, 2) for one in told]  # a capture's flows of the same ends, too


def test_without_a_sensor_every_exporter_is_meant_and_no_number_of_a_capture(case: Path) -> None:
    keep_decisions(case, Said("dpu7", None, POINTS))
    assert [(source_id, n) for source_id, n, *_ in kept(case)] == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]
    with CaseWriter(case) as writer:
        writer.add_source(source(4, kind="pcap"))
        writer.append("flows", batch("flows", [flow(8, 4, rule_id="7")]))
        writer.update_source(4, state="ok")
    assert keep_decisions(case, Said("dpu8", None, POINTS)).verdicts == 5


def test_what_a_switch_tells_is_of_the_flows_of_those_ends_at_that_time(tmp_path: Path) -> None:
    apart, told = APART // dt.timedelta(microseconds=1), [flow(n, rule_id="7") for n in range(7)]

    def shifted(n: int, by: int) -> dict[str, object]:
        return {"ts": told[n]["ts"] + by, "ts_end": told[n]["ts_end"] + by}

    turned = {"src_ip": "10.0.1.1", "dst_ip": "10.0.0.1", "src_port": 443, "dst_port": 1025}
    changes = (
        {}, turned, {"network": "vlan:101"}, {"dst_port": 444}, shifted(4, 500 + apart), shifted(5, 501 + apart),
        shifted(6, -501 - apart),
    )  # fmt: skip
    seen = [flow(n, 2, **change) for n, change in enumerate(changes)]
    tenant = {"src_ip": "10.0.0.0", "src_port": 1024, "network": "vlan:9"}
    seen.append(flow(7, 2, **tenant, **shifted(0, 0)))  # with the same addresses
    with CaseWriter(tmp_path / "case") as writer:
        for number, kind, rows in ((1, "ipfix", told), (2, "pcap", seen), (3, "netflow", [flow(0, 3)])):
            writer.add_source(source(number, kind=kind))
            writer.append("flows", batch("flows", rows))
            writer.update_source(number, state="ok")
    keep_decisions(tmp_path / "case", Said("dpu7", None, POINTS, ("s1",)))
    assert [n for source_id, n, *_ in kept(tmp_path / "case") if source_id == 2] == [0, 1, 2, 4]
    assert not [n for source_id, n, *_ in kept(tmp_path / "case") if source_id == 3]


def test_logged_packets_find_their_flows_at_every_sensor(case: Path) -> None:
    turned = {"src_ip": "10.0.1.1", "dst_ip": "10.0.0.1", "src_port": 443, "dst_port": 1025}  # of a connection that was cut
    lines = [
        logged(1),
        logged(1, ts=BEGAN, **turned),
        logged(4, proto=1, src_port=8, dst_port=0),
        logged(3),
        logged(0, src_port=9),
    ]
    found = keep_decisions(case, Said("dpu7", None, {}, logged=lines))
    assert found.unmatched == 2
    assert [(s, n, r, p) for s, n, _, r, _, p in kept(case)] == [
        (1, 1, "web/no-smb", 2),
        (2, 1, "web/no-smb", 2),
        (2, 4, "web/no-smb", 1),
    ]


@pytest.mark.parametrize(("late", "there"), [(APART, 1), (APART + dt.timedelta(milliseconds=2), 0)])
def test_a_log_line_of_another_time_is_of_no_flow(case: Path, late: dt.timedelta, there: int) -> None:
    found = keep_decisions(case, Said("dpu7", None, {}, logged=[logged(1, ts=BEGAN + late + dt.timedelta(microseconds=1500))]))
    assert (found.unmatched, bool(found.verdicts)) == (1 - there, bool(there))


def test_no_verdict_is_of_another_tenant(tmp_path: Path) -> None:
    ping = {"proto": 1, "src_ip": "10.0.0.4", "src_port": 8, "dst_port": 0}
    ends = {"src_ip": "10.0.0.3", "src_port": 1027}  # of 3, in another VLAN later
    told = [flow(0, rule_id="7"), flow(1, rule_id="7", network="vlan:9"), flow(3, rule_id="7"), flow(4, rule_id="7", **ping)]
    seen = [
        flow(0, 2, network="vni:200"), flow(1, 2, network="vlan:9"), flow(2, 2, src_ip="10.0.0.1", src_port=1025),
        flow(3, 2, network="vlan:5"), flow(5, 2, **ends, network="vlan:6"), flow(4, 2, **ping, network="vni:100"),
        flow(6, 2, network="vlan:5"),
    ]  # fmt: skip
    with CaseWriter(tmp_path / "case") as writer:
        for number, kind, rows in ((1, "ipfix", told), (2, "pcap", seen)):
            writer.add_source(source(number, kind=kind))
            writer.append("flows", batch("flows", rows))
            writer.update_source(number, state="ok")
    lines = [logged(n) for n in (0, 1, 3, 6)] + [logged(4, proto=1, src_port=8, dst_port=0)]
    keep_decisions(tmp_path / "case", Said("dpu7", None, POINTS, ("s1",), logged=lines))
    found = [(n, origin) for source_id, n, *_, origin, _ in kept(tmp_path / "case") if source_id == 2]
    both = ["nft-log", "ovs-ipfix"]
    assert sorted(found) == [*((1, one) for one in both), *((3, one) for one in both), (6, "nft-log")]  # none of a tunnel


def test_counters_are_kept_and_the_view_has_what_telemetry_said_itself(case: Path) -> None:
    row = {
        "target": "dpu7", "ts": BEGAN, "since": None, "digest": None, "rule_id": "web/in", "verdict": "allow", "packets": 5,
        "bytes": 300, "offload": "unknown",
    }  # fmt: skip
    assert keep_decisions(case, Said("dpu7", None, POINTS, ("s1",), counters=[row])).counters == 1
    with CaseReader(case) as reader:
        assert reader.query("SELECT rule_id, packets FROM rule_counters").to_pylist() == [{"rule_id": "web/in", "packets": 5}]
        rows = reader.query("SELECT origin, rule_id FROM decisions WHERE flow_id = ? ORDER BY 1", [1 << 40]).to_pylist()
    assert rows == [{"origin": "ovs-ipfix", "rule_id": "web/in"}, {"origin": "telemetry", "rule_id": "0"}]
