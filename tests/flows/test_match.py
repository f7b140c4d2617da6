"""What the flow table counted is found again, packet for packet, from the rows alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.packets import MAPPED, NOTHING
from workbench.flows.match import Ends, FlowMatcher
from workbench.flows.table import FlowTable
from workbench.records.packet import ARP, FLOW, FRAG_FIRST, FRAG_LATER, ICMP_PAIRED, PACKET, PORTS, UNDECODED
from workbench.settings import FlowSettings

NS = 10**9
#: ICMP: (type, code, counterpart or None), by protocol.
ICMP = {1: [(8, 0, 0), (0, 0, 8), (3, 1, None), (3, 3, None), (11, 0, None), (13, 0, 14)]}
ICMP[58] = [(128, 0, 129), (129, 0, 128), (135, 0, 136), (136, 0, 135), (1, 4, None), (130, 0, 131)]


@st.composite
def packet_rows(draw: st.DrawFn, most: int = 120) -> Any:
    """Packets of few hosts, ports and networks, so that flows meet, end, begin anew and overlap in time."""
    count = draw(st.integers(1, most))
    out = np.zeros(count, PACKET)
    ts = 1000 * NS
    for i, row in enumerate(out):
        ts = max(1, ts + draw(st.sampled_from([0, 1000, NS, 20 * NS, 70 * NS, 400 * NS, -NS, -90 * NS])))
        row["ts"], row["rec"] = ts, 100 * i
        row["status"] = draw(st.sampled_from([FLOW] * 12 + [ARP, UNDECODED]))
        a, b = draw(st.sampled_from([(1, 2), (2, 1), (1, 3), (1, 1)]))
        row["src_lo"], row["dst_lo"] = MAPPED | a, MAPPED | b
        row["proto"] = draw(st.sampled_from([6, 6, 17, 17, 1, 58, 47]))
        row["vlan"], row["inner_vlan"] = draw(st.sampled_from([(-1, -1), (-1, -1), (0, -1), (0, 7), (5, -1), (5, 7)]))
        row["tunnel"], row["vni"] = draw(st.sampled_from([(0, -1), (0, -1), (6, 77), (6, 78), (10, -1)]))
        row["outer_vlan"], row["src_mac"], row["dst_mac"] = -1, -1, -1
        row["ip_bytes"], row["wire"], row["payload"] = 60, 74, 20
        _transport(draw, row)
    return out


def _transport(draw: st.DrawFn, row: Any) -> None:
    if row["proto"] in (6, 17):
        row["src_port"], row["dst_port"] = draw(st.sampled_from([(1000, 80), (80, 1000), (1000, 1000), (0, 0)]))
        row["marks"] = PORTS
        if row["proto"] == 6:
            row["flags"] = draw(st.sampled_from([2, 18, 16, 24, 17, 4]))
            row["seq"] = draw(st.integers(0, 3)) * 1000
    elif row["proto"] in ICMP and draw(st.booleans()):
        kind, code, other = draw(st.sampled_from(ICMP[int(row["proto"])]))
        row["src_port"], row["dst_port"] = kind, code if other is None else other
        row["marks"] = PORTS | (ICMP_PAIRED if other is not None else 0)
    fragment = draw(st.sampled_from([0, 0, 0, FRAG_FIRST, FRAG_LATER]))
    if fragment == FRAG_LATER:
        row["src_port"] = row["dst_port"] = row["flags"] = row["marks"] = 0
    if fragment:
        row["marks"] |= fragment
        row["frag_key"] = draw(st.integers(1, 4))


def ends_of(flows: list[dict[str, Any]]) -> Ends:
    def numbers(name: str) -> Any:
        return np.array([-1 if row[name] is None else row[name] for row in flows], np.int64)

    def addresses(name: str) -> Any:
        return np.frombuffer(b"".join(row[name] for row in flows), ">u8").reshape(-1, 2).astype(np.uint64)

    names = ("src_port", "dst_port", "proto", "vni", "vlan", "inner_vlan")
    return Ends(
        addresses("src_addr"),
        addresses("dst_addr"),
        first=numbers("first_offset"),
        last=numbers("last_offset"),
        **{name: numbers(name) for name in names},
    )


def found_again(
    flows: list[dict[str, Any]], packets: Any, scope: str, chunk: int, sides: int = 3
) -> tuple[FlowMatcher, list[tuple[int, int, int]]]:
    """The matcher, and (packet, place of its flow in `flows`, side) of every packet that it finds."""
    matcher = FlowMatcher(ends_of(flows), scope, sides)
    out = []
    for start in range(0, len(packets), chunk):
        part = np.ascontiguousarray(packets[start : start + chunk])
        chosen, found = np.zeros(len(part), np.int64), np.zeros(len(part), np.int64)
        m = matcher.match(part, len(part), 7, chosen, found)
        out += [(start + int(i), int(matcher.order[f >> 1]), int(f & 1)) for i, f in zip(chosen[:m], found[:m], strict=True)]
    return matcher, out


@pytest.mark.parametrize("scope", ["both", "vni", "vlan", "none"])
@given(packets=packet_rows(), chunk=st.integers(1, 50))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_flow_gets_the_packets_that_were_counted(scope: str, packets: Any, chunk: int) -> None:
    table = FlowTable(1, "here", FlowSettings(key_scope=scope, application=False))  # type: ignore[arg-type]
    table.update(NOTHING, packets, len(packets), 7)
    flows = table.finish()["flows"].to_pylist()
    if not flows:
        return
    _, found = found_again(flows, packets, scope, chunk)
    assert len(found) == table.packets
    assert len({i for i, _, _ in found}) == len(found)
    for place, row in enumerate(flows):
        mine = [(i, side) for i, at, side in found if at == place]
        assert sum(1 for _, side in mine if side == 0) == row["src_pkts"]
        assert sum(1 for _, side in mine if side == 1) == row["dst_pkts"]
        assert (mine[0][0] * 100 + 7, mine[-1][0] * 100 + 7) == (row["first_offset"], row["last_offset"])


@given(packets=packet_rows(most=40), pick=st.randoms())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_some_flows_and_one_side_of_them(packets: Any, pick: Any) -> None:
    """What is found of a flow does not depend on which others are looked for; every packet is still counted."""
    table = FlowTable(1, "here", FlowSettings(application=False))
    table.update(NOTHING, packets, len(packets), 7)
    flows = table.finish()["flows"].to_pylist()
    if not flows:
        return
    some = pick.sample(range(len(flows)), pick.randint(1, len(flows)))
    _, everything = found_again(flows, packets, "both", 2048)
    for sides in (1, 2):
        matcher, found = found_again([flows[n] for n in some], packets, "both", 2048, sides)
        assert [(i, some[at], side) for i, at, side in found] == [
            (i, at, side) for i, at, side in everything if at in some and side == sides - 1
        ]
        assert matcher.rows["src_seen"].sum() == sum(flows[n]["src_pkts"] for n in some)
        assert matcher.rows["dst_seen"].sum() == sum(flows[n]["dst_pkts"] for n in some)


def test_there_must_be_room() -> None:
    flows = [
        {
            "src_addr": bytes(16),
            "dst_addr": bytes(16),
            "first_offset": 0,
            "last_offset": 0,
            "proto": 6,
            "src_port": 1,
            "dst_port": 2,
            "vni": None,
            "vlan": None,
            "inner_vlan": None,
        }
    ]
    with pytest.raises(ValueError, match="room for 1"):
        FlowMatcher(ends_of(flows), "both").match(np.zeros(2, PACKET), 2, 0, np.zeros(1, np.int64), np.zeros(1, np.int64))
