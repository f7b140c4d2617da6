"""The table around the kernels: growth and its bound, side tables, batches, the ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.flows.packets import MAPPED, NOTHING, feed, rows
from tests.flows.reference import NS, Packet
from workbench.flows.table import FlowTable
from workbench.records.arrow import arrow_schema
from workbench.records.packet import ARP, PACKET, TUNNEL_CODES, UNDECODED
from workbench.settings import FlowSettings

FRAG_FIRST, FRAG_LATER = 1, 2


def table(**settings: object) -> FlowTable:
    return FlowTable(3, "here", FlowSettings(application=False, **settings))  # type: ignore[arg-type]


def udp(n: int, ts: int, src: int = 1, dst: int = 2, port: int = 1000, **more: object) -> Packet:
    return Packet(ts, src, dst, port, 9, 17, payload=n, ip_bytes=28 + n, **more)  # type: ignore[arg-type]


def scan(count: int, start: int, step: int, seed: int) -> np.ndarray:
    """One SYN a flow, random tuples."""
    random = np.random.default_rng(seed)
    out = np.zeros(count, PACKET)
    for name in ("vlan", "inner_vlan", "outer_vlan", "vni"):
        out[name] = -1
    out["version"], out["proto"], out["flags"], out["marks"], out["ip_bytes"] = 4, 6, 2, 32, 40
    for side in ("src", "dst"):
        out[f"{side}_lo"] = MAPPED | random.integers(0, 2**32, count, np.uint64)
        out[f"{side}_port"] = random.integers(0, 2**16, count)
    out["ts"] = start + step * np.arange(count)
    return out


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_batches_have_the_schema_of_the_column_list() -> None:
    t = table()
    feed(t, rows([udp(5, NS), Packet(NS, 1, 2, 3, 4, 6, 2)]))
    for open_rows in (t.open_rows(),):
        assert open_rows.num_rows == 2
        assert open_rows.column("end_reason").null_count == 2
    out = t.finish()
    assert set(out) == {"flows", "flow_slices", "flow_blocks", "arp", "tunnels"}
    for name, batch in out.items():
        batch.validate(full=True)
        want = arrow_schema(name)
        assert batch.schema.names == want.names
        for field in batch.schema:
            kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
            assert kind == want.field(field.name).type, field.name
    row = out["flows"].to_pylist()[0]
    assert row["flow_id"] == 3 << 40
    assert (row["sensor"], row["proto_name"], row["sampling"], row["service"]) == ("here", "udp", 1, None)
    assert row["src_addr"] == bytes(10) + b"\xff\xff\0\0\0\1"
    assert (row["src_hi"], row["src_lo"]) == (0, (0xFFFF << 32) + 1)
    assert (row["src_mac"], row["dst_mac"]) == ("02:00:00:00:00:01", "02:00:00:00:00:02")


def test_a_scan_stays_inside_the_bound() -> None:
    t = table(max_open_flows=20_000)
    t.update(NOTHING, scan(2048, NS, 1000, 0), 2048, 0)
    before, flows, evicted = resident(), 0, 0
    for i in range(1, 200):
        t.update(NOTHING, scan(2048, NS + i * 2048_000, 1000, i), 2048, 0)
        assert t.open_flows <= 20_000
        batch = t.drain()["flows"]
        flows += batch.num_rows
        evicted += sum(r == 5 for r in batch.column("end_reason").to_pylist())
    out = t.finish()["flows"]
    assert flows + out.num_rows == t.flows == t.packets == 200 * 2048
    assert evicted == next(line.count for line in t.ledger() if line.reason == "flow_table_full")
    assert evicted >= 200 * 2048 - 20_000 - 2048
    assert resident() - before < 60 << 20


def test_what_is_over_leaves_though_nobody_comes_back() -> None:
    t = table()
    for i in range(60):
        t.update(NOTHING, scan(2048, NS + i * NS, 1000, i), 2048, 0)
    assert t.open_flows < 30 * 2048  # an attempt lasts 5 s: 10,240 flows and what the sweep is behind
    assert t.pending() > 30 * 2048


def test_the_index_grows() -> None:
    t = table()
    packets = scan(50_000, NS, 10, 7)
    feed(t, packets)
    feed(t, packets)  # every tuple is found again
    assert t.flows == t.open_flows == len({tuple(p) for p in packets[["src_lo", "dst_lo", "src_port", "dst_port"]].tolist()})


def test_more_than_anybody_drains_is_set_aside() -> None:
    t = table(max_open_flows=1024)
    for i in range(0, 600_000, 60_000):
        t.update(NOTHING, scan(60_000, NS + i, 1, i), 60_000, 0)
    assert t.drain()["flows"].num_rows + t.finish()["flows"].num_rows == t.flows


def test_later_fragments_join_their_first_or_are_orphans() -> None:
    packets = rows(
        [
            udp(1480, NS, marks=32 | FRAG_FIRST),
            Packet(NS + 1, 1, 2, 0, 0, 17, payload=100, ip_bytes=120, marks=FRAG_LATER),
            Packet(NS + 2, 1, 2, 0, 0, 17, payload=7, ip_bytes=27, marks=FRAG_LATER),
            Packet(40 * NS, 1, 2, 0, 0, 17, payload=7, ip_bytes=27, marks=FRAG_LATER),
        ]
    )
    packets["frag_key"] = (77, 77, 78, 77)
    t = table()
    feed(t, packets)
    (row,) = t.finish()["flows"].to_pylist()
    assert (row["src_pkts"], row["src_bytes"], row["src_payload"]) == (2, 1508 + 120, 1580)
    assert t.orphans == 2
    assert [(line.reason, line.count, line.first_frames) for line in t.ledger()] == [("fragment_orphan", 2, (3, 4))]


@pytest.mark.parametrize(
    ("scope", "vlan", "inner", "vni", "network"),
    [
        ("both", -1, -1, -1, ""),
        ("both", 0, -1, -1, ""),
        ("both", 100, -1, -1, "vlan:100"),
        ("both", 100, 7, -1, "vlan:100.7"),
        ("both", 0, 7, -1, "vlan:7"),
        ("both", -1, -1, 5001, "vni:5001"),
        ("both", 100, -1, 5001, "vni:5001/vlan:100"),
        ("both", -1, -1, 0, "vni:0"),
        ("both", -1, -1, 0xFFFFFF, "vni:16777215"),
        ("vni", 100, 7, 5001, "vni:5001"),
        ("vlan", 100, 7, 5001, "vlan:100.7"),
        ("none", 100, 7, 5001, ""),
    ],
)
def test_networks(scope: str, vlan: int, inner: int, vni: int, network: str) -> None:
    packets = rows([udp(1, NS), udp(1, NS + 1)])
    packets["vlan"][1], packets["inner_vlan"][1], packets["vni"][1] = vlan, inner, vni
    packets["tunnel"][1] = TUNNEL_CODES["vxlan"] if vni >= 0 else 0
    t = table(key_scope=scope)
    feed(t, packets)
    found = [r["network"] for r in t.finish()["flows"].to_pylist()]
    assert sorted(found) == sorted({"", network})


def test_outer_side_is_turned_with_the_flow_and_summed() -> None:
    packets = rows([udp(1, NS), Packet(NS + 5, 2, 1, 9, 1000, 17), udp(1, 2 * NS, src=5, port=53)])
    packets["tunnel"] = TUNNEL_CODES["gre"] << 8 | TUNNEL_CODES["erspan3"]
    packets["vni"], packets["outer_vlan"], packets["wire"] = 9, 30, 100
    packets["outer_src_lo"] = MAPPED | np.array([11, 12, 11], np.uint64)
    packets["outer_dst_lo"] = MAPPED | np.array([12, 11, 12], np.uint64)
    packets["outer_src_mac"], packets["outer_dst_mac"] = 1, 2
    t = table(likely_server_ports=("53/udp",))
    feed(t, packets)
    out = t.finish()
    first, flipped = sorted(out["flows"].to_pylist(), key=lambda r: r["flow_id"])
    assert (first["tunnel"], first["vni"], first["outer_vlan"]) == ("erspan3/gre", 9, 30)
    assert (first["outer_src_ip"], first["outer_dst_ip"], first["outer_src_mac"]) == ("0.0.0.11", "0.0.0.12", "00:00:00:00:00:01")
    assert (flipped["history"], flipped["outer_src_ip"], flipped["outer_src_mac"]) == ("^d", "0.0.0.12", "00:00:00:00:00:02")
    sums = {(r["outer_src_ip"], r["outer_dst_ip"]): (r["packets"], r["bytes"]) for r in out["tunnels"].to_pylist()}
    assert sums == {("0.0.0.11", "0.0.0.12"): (2, 200), ("0.0.0.12", "0.0.0.11"): (1, 100)}


def test_arp_rows() -> None:
    body = bytes.fromhex("0001080006040001 0200000000aa 0a000001 000000000000 0a000002")
    buf = np.frombuffer(bytes(14) + body, np.uint8).copy()
    packets = rows([Packet(NS, 0x0A000001, 0x0A000002, 1, 0, 0)])
    packets["status"], packets["pay"], packets["end"], packets["vlan"] = ARP, 14, 42, 5
    t = table()
    t.update(buf, packets, 1, 1000)
    (row,) = t.drain()["arp"].to_pylist()
    assert (row["operation"], row["src_ip"], row["dst_ip"], row["network"]) == (1, "10.0.0.1", "10.0.0.2", "vlan:5")
    assert (row["src_mac"], row["dst_mac"]) == ("02:00:00:00:00:aa", "00:00:00:00:00:00")
    assert (row["record_offset"], row["vlan"], t.arp_packets, t.packets) == (1000, 5, 1, 0)


def test_icmp_pairs_share_a_row_and_errors_do_not() -> None:
    paired = [Packet(NS, 1, 2, 8, 0, 1, marks=32 | 128), Packet(NS + 1, 2, 1, 0, 8, 1, marks=32 | 128 | 256)]
    errors = [Packet(NS + 2, 1, 2, 3, 3, 1, marks=32), Packet(NS + 3, 2, 1, 3, 3, 1, marks=32)]
    t = table()
    feed(t, rows([*paired, *errors]))
    found = sorted(t.finish()["flows"].to_pylist(), key=lambda r: r["flow_id"])
    assert [(r["src_ip"], r["src_port"], r["dst_port"], r["src_pkts"], r["dst_pkts"], r["conn_state"]) for r in found] == [
        ("0.0.0.1", 8, 0, 1, 1, "OTH"),
        ("0.0.0.1", 3, 3, 1, 0, "OTH"),
        ("0.0.0.2", 3, 3, 1, 0, "OTH"),
    ]
    assert all(r["history"] is None for r in found)


def test_undecoded_packets_are_nobodys() -> None:
    packets = rows([udp(1, NS), udp(1, NS)])
    packets["status"][1] = UNDECODED
    t = table()
    feed(t, packets)
    assert (t.packets, t.flows, t.ts_first, t.ts_last) == (1, 1, NS, NS)


def test_frame_numbers_are_those_given() -> None:
    """Where packets of the source are left out, the ledger still names frames of the file."""
    t = table()
    packets = np.zeros(8, PACKET)
    packets["status"] = UNDECODED
    packets["ts"] = [10, 9, 20, 19, 30, 29, 40, 39]
    for start in (0, 4):
        t.update(NOTHING, packets[start : start + 4], 4, 0, np.arange(4) * 10 + 1000 * (start + 1))
    (line,) = t.ledger()
    assert (line.reason, line.first_frames) == ("clock_back", (1010, 1030, 5010, 5030))
    with pytest.raises(ValueError, match="given"):
        t.update(NOTHING, packets, 8, 0, np.arange(7))


def test_an_empty_table_finishes() -> None:
    t = table()
    assert (t.ts_first, t.ts_last, t.ledger()) == (None, None, [])
    assert all(batch.num_rows == 0 for batch in t.finish().values())
    with pytest.raises(ValueError, match="2 packets"):
        t.update(NOTHING, rows([udp(1, 1)]), 2, 0)
