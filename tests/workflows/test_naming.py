"""Flows are named as of their time; late evidence renames the rows that it touches, and no other."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.identity.claimed import claim
from tests.store.rows import T0, batch, flow, index, source
from workbench.cli.app import run
from workbench.errors import CancelledError, CaseBusyError
from workbench.filters import compile_filter
from workbench.store.case import CaseFolder
from workbench.store.reader import CaseReader
from workbench.store.segments import list_segments
from workbench.store.writer import CaseWriter
from workbench.workflows.naming import name_flows, name_quietly
from workbench.workflows.shared_writer import SharedWriter

MINUTE = 60_000_000


def told(n: int, src: int, dst: int, minute: int, network: str = "", source_id: int = 1) -> dict[str, Any]:
    """A flow from 10.0.0.<src> to 10.0.0.<dst> that begins so many minutes after T0."""
    times = {"ts": T0 + minute * MINUTE, "ts_end": T0 + minute * MINUTE + 10}
    return flow(n, source_id, src_ip=f"10.0.0.{src}", dst_ip=f"10.0.0.{dst}", network=network, **times)


def from_to(uid: str, last: int, begin: int | None, end: int | None = None, **fields: Any) -> dict[str, Any]:
    """A claim of 10.0.0.<last> between two minutes after T0."""
    times = {name: None if at is None else T0 + at * MINUTE for name, at in (("ts_from", begin), ("ts_to", end))}
    row = claim(uid, last, name=uid, **fields)
    return row | {name: None if us is None else _moment(us) for name, us in times.items()}


def _moment(us: int) -> Any:
    return pa.scalar(us, pa.timestamp("us")).as_py()


def add(case: Path, source_id: int, **tables: list[dict[str, Any]]) -> None:
    """Add a source with rows of tables."""
    with CaseWriter(case) as writer:
        writer.add_source(source(source_id))
        for table, rows in tables.items():
            writer.append(table, batch(table, rows))
        writer.update_source(source_id, state="ok", flows=len(tables.get("flows", [])))


def names(case: Path) -> dict[int, tuple[str | None, str | None, bool]]:
    """By n of source 1's flows: who src and dst were, and whether one is ambiguous."""
    with CaseReader(case) as reader:
        rows = reader.query(
            "SELECT i.flow_id & 1048575 AS n, s.name AS src, d.name AS dst, i.ambiguous FROM flow_identity i"
            " LEFT JOIN workloads s ON s.workload_id = i.src_wid LEFT JOIN workloads d ON d.workload_id = i.dst_wid"
        )
    return {row["n"]: (row["src"], row["dst"], row["ambiguous"]) for row in rows.to_pylist()}


def identity(case: Path) -> dict[int, dict[str, Any]]:
    """Rows of flow_identity by flow."""
    with CaseReader(case) as reader:
        return {row["flow_id"]: row for row in reader.query("SELECT * FROM flow_identity").to_pylist()}


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Ten flows a minute apart between 10.0.0.1 and 10.0.0.2, and one of another network; 10.0.0.1 is reused at minute 5."""
    root = tmp_path / "case"
    rows = [told(n, 1, 2, n) for n in range(10)] + [told(10, 1, 3, 2, "vlan:9")]
    claims = [from_to("old", 1, 0, 5), from_to("new", 1, 5), from_to("other", 1, 0, network="vlan:9", confidence=0.9)]
    add(root, 1, flows=rows, claims=claims)
    return root


def test_each_flow_has_the_name_of_who_held_its_address_when_it_began(case: Path) -> None:
    result = name_flows(case)
    assert names(case) == {n: ("old" if n < 5 else "new", None, False) for n in range(10)} | {10: ("old", None, False)}
    assert (result.looked, result.named, result.ambiguous, result.kept) == (11, 11, 0, True)


def test_late_evidence_changes_the_rows_it_touches_and_no_other(case: Path) -> None:
    name_flows(case)
    before = identity(case)
    add(case, 2, claims=[from_to("late", 2, 3, 6)])
    result = name_flows(case)
    after = identity(case)
    assert {n & 1048575 for n in after if after[n] != before.get(n)} == {3, 4, 5}
    assert result.looked == 3
    add(case, 3, claims=[from_to("rival", 1, 8)])
    assert name_flows(case).looked == 2
    last = identity(case)
    assert {n & 1048575 for n in last if last[n] != after[n]} == {8, 9}
    assert names(case)[9] == (None, None, True)
    assert last[max(k for k in last if k & 1048575 == 9)]["src_claimants"] == 2


def test_a_second_naming_with_nothing_new_writes_nothing(case: Path) -> None:
    name_flows(case)
    files = list_segments(CaseFolder(case))
    assert not name_flows(case).kept
    assert list_segments(CaseFolder(case)) == files


def test_flows_that_come_later_are_looked_up_alone(case: Path) -> None:
    name_flows(case)
    add(case, 2, flows=[told(0, 1, 9, 7, source_id=2)])
    assert name_flows(case).looked == 1
    assert len(identity(case)) == 12


def test_an_address_that_nobody_claims_any_more_loses_its_name(case: Path) -> None:
    name_flows(case)
    add(case, 2, claims=[from_to("new", None, None, 7)])
    name_flows(case)
    assert {n for n in names(case) if n < 10} == set(range(7))


def test_names_are_one_set_for_every_reader_beside_the_findings_and_go_into_the_next_index(case: Path) -> None:
    inode = (case / "case.duckdb").stat().st_ino
    with CaseReader(case) as reader:
        name_flows(case)
        reader.refresh()
        assert reader.query("SELECT count(*) AS n FROM flow_identity")["n"][0].as_py() == 11
        assert reader.settled
    assert (case / "case.duckdb").stat().st_ino == inode, "the index was copied"
    kept = identity(case)
    add(case, 2)
    assert list_segments(CaseFolder(case)) == []
    with duckdb.connect(os.fspath(case / "case.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM workloads").fetchall() == [(3,)]
    assert identity(case) == kept
    assert name_flows(case).looked == 0


def test_a_cancelled_naming_leaves_the_old_names(case: Path) -> None:
    name_flows(case)
    before = identity(case)
    add(case, 2, claims=[from_to("late", 2, 0)])
    cancel = threading.Event()
    with pytest.raises(CancelledError):
        name_flows(case, progress=lambda _: cancel.set(), cancel=cancel)
    assert identity(case) == before
    assert not list(case.rglob("*.tmp"))


def test_a_case_that_is_being_written_is_not_named_and_says_so(case: Path) -> None:
    with CaseWriter(case) as writer:
        with pytest.raises(CaseBusyError):
            name_flows(case)
        assert "not named" in name_quietly(writer.case.root)


def test_a_case_without_claims_costs_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    index(tmp_path / "case", 20)
    assert not name_flows(tmp_path / "case").kept
    assert not list((tmp_path / "case").rglob("*.parquet"))


def test_neighbour_discovery_claims_an_address_for_a_mac(tmp_path: Path) -> None:
    """Who asks and who answers, from the first to the last packet; who has no address yet claims none."""
    root = tmp_path / "case"
    macs = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02"}
    icmp = {"proto": 58, "proto_name": "ipv6-icmp", "src_port": 135, "dst_port": 136, **macs}
    both = {"src_ip": "fd00::1", "dst_ip": "fd00::2", "src_pkts": 2, "dst_pkts": 2}
    rows = [
        flow(0, **icmp, **both, ts=T0, ts_end=T0 + 5 * MINUTE),
        flow(1, **icmp, src_ip="::", dst_ip="ff02::1:ff00:9", src_pkts=1, dst_pkts=0, ts=T0, ts_end=T0),
        flow(2, **icmp | {"src_port": 128}, src_ip="fd00::7", dst_ip="fd00::8", src_pkts=1, dst_pkts=1, ts=T0, ts_end=T0),
    ]
    add(root, 1, flows=rows)
    name_flows(root)
    with CaseReader(root) as reader:
        held = reader.query("SELECT ip, mac, ts_from, origin, confidence FROM workloads ORDER BY ip").to_pylist()
    assert [(one["ip"], one["mac"], one["origin"], one["confidence"]) for one in held] == [
        ("fd00::1", "02:00:00:00:00:01", "nd", 0.2),
        ("fd00::2", "02:00:00:00:00:02", "nd", 0.2),
    ]
    assert {one["ts_from"] for one in held} == {_moment(T0)}


def test_arp_leases_and_answers_of_names_are_claims_of_the_case_itself(tmp_path: Path) -> None:
    root = tmp_path / "case"
    heard = {"source_id": 1, "network": "", "operation": 1, "src_ip": "10.0.0.1", "eth_src": "02:00:00:00:00:01"}
    arp = [
        heard | {"ts": T0, "src_mac": "02:00:00:00:00:01"},
        heard | {"ts": T0 + 4 * MINUTE, "src_mac": "02:00:00:00:00:02"},
        heard | {"ts": T0, "src_mac": "02:00:00:00:00:07", "src_ip": "0.0.0.0"},
    ]
    ack = {"flow_id": 1 << 40, "version": "4", "client_mac": "02:00:00:00:00:05", "message": "ACK", "assigned_ip": "10.0.0.5"}
    dhcp = [
        ack | {"ts": T0, "message": "REQUEST", "host_name": "desk", "assigned_ip": None},
        ack | {"ts": T0 + 1, "lease": 3600},
        ack | {"ts": T0 + 6 * MINUTE, "message": "RELEASE", "client_ip": "10.0.0.5", "assigned_ip": None},
    ]
    dns = [
        {
            "flow_id": 1 << 40,
            "ts": T0,
            "kind": "dns",
            "query": "db.example",
            "rcode": "NOERROR",
            "answers": "10.0.0.6,10.0.0.7",
            "ttls": "60,60",
        },
        {"flow_id": 1 << 40, "ts": T0, "kind": "dns", "query": "txt.example", "rcode": "NOERROR", "answers": "TXT:12,fd00::zz"},
    ]
    rows = [told(n, (1, 5, 6)[n % 3], 7, n + 1) for n in range(9)]
    add(root, 1, flows=rows, arp=arp, dhcp=dhcp, dns=dns)
    name_flows(root)
    with CaseReader(root) as reader:
        found = reader.query(
            "SELECT i.flow_id & 255 AS n, s.uid AS src, s.name, d.name AS dst FROM flow_identity i"
            " LEFT JOIN workloads s ON s.workload_id = i.src_wid LEFT JOIN workloads d ON d.workload_id = i.dst_wid ORDER BY 1"
        ).to_pylist()
    one, two = "mac:02:00:00:00:00:01", "mac:02:00:00:00:00:02"
    desk = ("mac:02:00:00:00:00:05", "desk")
    name = ("dns:db.example", "db.example")
    wanted = {0: (one, None), 1: desk, 2: name, 3: (two, None), 4: desk, 6: (two, None)}
    assert {r["n"]: (r["src"], r["name"]) for r in found if r["src"]} == wanted
    assert {r["n"] for r in found if r["dst"] == "db.example"} == {0, 1, 2, 3}


def test_filters_and_views_ask_who_the_ends_were(case: Path) -> None:
    labels = {"namespace": "shop", "labels": '{"app.kubernetes.io/name": "web", "tier": "x"}', "node": "n1"}
    broken = from_to("odd", 9, 0, labels="{no json")
    add(case, 2, claims=[from_to("front", 2, 0, None, **labels), from_to("twin", 3, 0), from_to("rival", 3, 0), broken])
    name_flows(case)
    every, old, new = set(range(11)), {0, 1, 2, 3, 4, 10}, {5, 6, 7, 8, 9}
    wanted = {
        "workload == new": new,
        'workload == "n*"': new,
        "src.workload == front": set(),
        "dst.workload == front": every - {10},
        'workload == "shop/fr*"': every - {10},
        "workload.namespace == shop && label.tier == x": every - {10},
        'dst.label.app.kubernetes.io/name == "web" && src.workload == old': old - {10},
        "workload.node in {n1}": every - {10},
        "label.nothing": set(),
        "workload.ambiguous": {10},
        "!src.workload": set(),
        "workload not in {old}": new,
    }
    with CaseReader(case) as reader:
        for text, flows in wanted.items():
            made = compile_filter(text)
            found = reader.query(f"SELECT flow_id & 255 AS n FROM flows WHERE {made.sql}", made.params)
            assert set(found["n"].to_pylist()) == flows, text
        named = reader.query("SELECT * FROM flows_named WHERE flow_id & 255 = 10").to_pylist()[0]
        assert (named["src_name"], named["dst_name"], named["dst_claimants"], named["ambiguous"]) == ("old", None, 2, True)
        claimants = reader.query("SELECT name FROM flow_claimants WHERE flow_id & 255 = 10 AND side = 'dst' ORDER BY 1")
        assert claimants["name"].to_pylist() == ["rival", "twin"]
        pairs = reader.query("SELECT src_name, dst_name, flows, bytes, services FROM workload_pairs ORDER BY 1").to_pylist()
    sizes = [sum(300 + n + 4000 for n in sorted(some)) for some in (new, old - {10})]
    assert [tuple(row.values()) for row in pairs] == [
        ("new", "front", 5, sizes[0], "tcp/443"),
        ("old", "front", 5, sizes[1], "tcp/443"),
    ]


def test_workloads_are_listed_as_of_a_time(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name_flows(case)

    def listed(*words: str) -> list[str]:
        assert run(["workloads", "--case", str(case), "--format", "json", *words]) == 0
        return [row["name"] for row in json.loads(capfd.readouterr().out)]

    assert listed() == ["old", "new", "other"]
    assert listed("--at", "2023-11-14 22:14:00") == ["old", "other"]
    assert listed("--at", "now") == ["new", "other"]
    assert listed("--at", "2023-01-01") == []
    assert run(["workloads", "--case", str(case), "--at", "tea"]) == 2
    assert '--at: "tea" is not a time' in capfd.readouterr().err


def test_flows_of_a_live_source_are_named_as_they_come_and_all_of_them_at_its_end(case: Path) -> None:
    name_flows(case)
    with CaseWriter(case, live=True) as writer:
        writer.add_source(source(2))
        writer.append("flows", batch("flows", [told(0, 1, 9, 1, source_id=2), told(1, 1, 9, 9, source_id=2)]))
        writer.commit(now=True)
        assert name_flows(case, locked=True).looked == 2
        writer.append("flows", batch("flows", [told(2, 1, 9, 9, source_id=2)]))
        writer.commit(now=True)
        assert name_flows(case, locked=True).looked == 2, "the one of minute 1 was not looked up again"
        assert len(identity(case)) == 14
        writer.append("flows", batch("flows", [told(3, 1, 9, 2, source_id=2)]))
        writer.commit(now=True)
        name_flows(case, locked=True)
        writer.update_source(2, state="ok")
    assert len(identity(case)) == 14, "what is told late waits"
    name_flows(case)
    assert len(identity(case)) == 15


def test_a_case_that_is_written_live_has_names_when_it_is_closed(tmp_path: Path) -> None:
    shared = SharedWriter(tmp_path / "case")
    with shared.joined() as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [told(0, 1, 2, 1)]))
        writer.append("claims", batch("claims", [from_to("pod", 1, 0)]))
        writer.update_source(1, state="ok")
    assert names(tmp_path / "case") == {0: ("pod", None, False)}


def test_a_mac_without_a_name_takes_no_names_place(tmp_path: Path) -> None:
    """ARP knows no name; whoever asked DNS was told one for that address, as long as the answer may be kept."""
    root = tmp_path / "case"
    heard = {"source_id": 1, "network": "", "operation": 1, "src_ip": "10.0.0.6", "src_mac": "02:00:00:00:00:06"}
    answer = {"kind": "dns", "query": "db.example", "rcode": "NOERROR", "answers": "10.0.0.6", "ttls": "60"}
    dns = [answer | {"flow_id": 1 << 40, "ts": T0 + MINUTE}]
    add(root, 1, flows=[told(0, 6, 7, 2)], arp=[heard | {"ts": T0}, heard | {"ts": T0 + 40 * MINUTE}], dns=dns)
    name_flows(root)
    with CaseReader(root) as reader:
        held = reader.query("SELECT name, mac, origin FROM workloads WHERE ip = '10.0.0.6' ORDER BY ts_from").to_pylist()
    mac = ("02:00:00:00:00:06", "arp")
    assert [(one["name"], one["mac"], one["origin"]) for one in held] == [(None, *mac), ("db.example", None, "dns"), (None, *mac)]
