"""The flow table against the reference model: the same packets give the same rows, however they are cut into chunks."""

from __future__ import annotations

import itertools

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.packets import comparable, feed, rows, run
from tests.flows.reference import NS, Model, Packet
from workbench.flows.table import FlowTable
from workbench.settings import FlowSettings

SERVERS = frozenset({(6, 80), (6, 443), (17, 53)})
PORTS = ("80/tcp", "443/tcp", "53/udp")
TUPLES = ((1, 2, 40000, 80, 6), (1, 2, 443, 80, 6), (3, 4, 1000, 2000, 6), (1, 2, 5353, 53, 17), (5, 6, 0, 0, 47))
STARTS = (0, 1, 1000, 0x7FFFFFF0, 0xFFFFFF00, 0xFFFFFFFF)
FLAGS = (2, 18, 16, 24, 17, 4, 20, 16, 24, 16, 0, 3, 6, 5, 1, 19)


@st.composite
def conversations(draw: st.DrawFn, most: int = 60) -> list[Packet]:
    """Packets of a few tuples whose numbers stay near each other: out of order, again, lost, wrapped, badly closed."""
    bases = draw(st.tuples(st.sampled_from(STARTS), st.sampled_from(STARTS)))
    cursor: dict[tuple[int, int], int] = {}
    clock, offset, found = 10**18, 0, []
    for _ in range(draw(st.integers(1, most))):
        which = draw(st.integers(0, len(TUPLES) - 1)) if draw(st.integers(0, 3)) == 0 else 0
        src, dst, sport, dport, proto = TUPLES[which]
        side = draw(st.integers(0, 1))
        if side:
            src, dst, sport, dport = dst, src, dport, sport
        clock += draw(st.sampled_from((1000, 10**6, 10**6, NS, 5 * NS - 1, 5 * NS, 5 * NS + 1, 59 * NS, 61 * NS, 300 * NS)))
        offset += draw(st.sampled_from((100, 1500, 1 << 22, 1 << 25)))
        flags = draw(st.sampled_from(FLAGS))
        payload = draw(st.sampled_from((0, 0, 1, 100, 1460, 17000))) if proto != 6 or not flags & 2 or draw(st.booleans()) else 0
        at = cursor.setdefault((which, side), bases[side])
        jump = draw(st.sampled_from((0, 0, 0, 0, 0, 1, -1, -100, 100, 1460, -1460, 3000, 1 << 21)))
        seq = (at + jump) & 0xFFFFFFFF
        length = payload + (flags & 1) + (flags >> 1 & 1)
        if jump >= 0:
            cursor[which, side] = (seq + length) & 0xFFFFFFFF
        back = draw(st.sampled_from((0, 0, 0, 1, 100, -1, -1460)))
        ack = (cursor.get((which, 1 - side), bases[1 - side]) - back) & 0xFFFFFFFF
        found.append(
            Packet(
                clock,
                src,
                dst,
                sport,
                dport,
                proto,
                flags if proto == 6 else 0,
                seq,
                ack if flags & 16 else 0,
                payload,
                cap=draw(st.sampled_from((None, None, None, None, 0))),
                window=draw(st.sampled_from((1000, 1000, 1000, 0))),
                ip_bytes=40 + payload,
                marks=(32 if proto in (6, 17) else 0) | draw(st.sampled_from((0, 0, 0, 0, 4, 8, 512))),
                offset=offset,
            )
        )
    return found


@pytest.mark.parametrize("policy", ["auto", "verify", "ignore"])
@given(packets=conversations())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_same_rows_as_the_reference(policy: str, packets: list[Packet]) -> None:
    model = Model(checksums=policy, servers=SERVERS)
    for p in packets:
        model.packet(p)
    got = run(packets, checksums=policy, likely_server_ports=PORTS)
    want = model.finish()
    for ours, theirs in zip(got, want, strict=True):
        assert ours == theirs


@given(packets=conversations(most=150), chunk=st.integers(1, 40), drains=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_chunks_do_not_matter(packets: list[Packet], chunk: int, drains: bool) -> None:
    whole = FlowTable(1, "here", FlowSettings(likely_server_ports=PORTS, application=False))
    feed(whole, rows(packets))
    want = comparable(whole.finish())
    table = FlowTable(1, "here", FlowSettings(likely_server_ports=PORTS, application=False))
    made = rows(packets)
    parts = []
    for start in range(0, len(made), chunk):
        feed(table, made[start : start + chunk])
        if drains:
            parts.append(table.drain())
    parts.append(table.finish())
    merged = {
        name: pa.concat_tables([pa.Table.from_batches([p[name]]) for p in parts])
        for name in ("flows", "flow_slices", "flow_blocks")
    }
    got = comparable(merged)
    assert got == want


@given(packets=conversations(), jitter=st.lists(st.integers(-10 * NS, 10 * NS), min_size=60, max_size=60))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_packets_are_conserved_whatever_the_clock_says(packets: list[Packet], jitter: list[int]) -> None:
    for p, j in zip(packets, jitter, strict=False):
        p.ts += j
    table = FlowTable(1, "here", FlowSettings(application=False))
    feed(table, rows(packets), 7)
    out = table.finish()
    flows = out["flows"].to_pylist()
    assert sum(f["src_pkts"] + f["dst_pkts"] for f in flows) == len(packets) == table.packets
    assert sum(f["src_bytes"] + f["dst_bytes"] for f in flows) == sum(p.ip_bytes for p in packets)
    assert sorted(f["flow_id"] & 0xFFFF for f in flows) == list(range(len(flows)))
    assert table.flows == len(flows)
    back = sum(b.ts < a.ts for a, b in itertools.pairwise(packets))
    assert sum(line.count for line in table.ledger() if line.reason == "clock_back") == back
    sums: dict[int, list[int]] = {}
    for s in out["flow_slices"].to_pylist():
        total = sums.setdefault(s["flow_id"], [0] * 4)
        for i, name in enumerate(("src_pkts", "dst_pkts", "src_bytes", "dst_bytes")):
            total[i] += s[name]
    for f in flows:
        if f["flow_id"] in sums:
            assert sums[f["flow_id"]] == [f["src_pkts"], f["dst_pkts"], f["src_bytes"], f["dst_bytes"]]
