from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.decode import transport
from workbench.flows.telemetry.pairing import ANSWERS, Batch, PairingTable
from workbench.records import telemetry as r
from workbench.records.arrow import arrow_schema

T0 = 1_700_000_000 * 10**9
SERVERS = [(6, 443), (17, 53)]
CLIENT, SERVER = 0xFFFF0A000001, 0xFFFF0A000002


def record(src: int, dst: int, sport: int, dport: int, **more: int) -> np.ndarray[Any, Any]:
    row = r.blank()
    start = T0 + more.pop("at", 0) * 10**6
    values = {
        "src_lo": src,
        "dst_lo": dst,
        "src_port": sport,
        "dst_port": dport,
        "proto": 6,
        "start": start,
        "pkts": 1,
        "bytes": 60,
    }
    values |= {"end": start + more.pop("lasts", 0) * 10**6, "exported": start, "flags": 0x1B} | more
    for name, value in values.items():
        row[getattr(r, name.upper())] = value
    return row


def there(**more: int) -> np.ndarray[Any, Any]:
    return record(CLIENT, SERVER, 40000, 443, **more)


def back(**more: int) -> np.ndarray[Any, Any]:
    return record(SERVER, CLIENT, 443, 40000, **more)


def flows(batches: list[Batch], table: str = "flows") -> list[dict[str, Any]]:
    return [row for batch in batches for row in getattr(batch, table).to_pylist()]


def paired(*records: np.ndarray[Any, Any], active: float = 60) -> tuple[list[dict[str, Any]], PairingTable, list[Batch]]:
    table = PairingTable(SERVERS, active)
    batches = table.add(np.stack(records)) + table.finish()
    return flows(batches), table, batches


def test_two_directions_are_one_flow_of_the_schema() -> None:
    ((flow,), _, (batch,)) = paired(there(pkts=5, bytes=500, lasts=30), back(at=1, pkts=4, bytes=4000, lasts=40))
    assert (flow["src_ip"], flow["src_port"], flow["dst_ip"], flow["dst_port"]) == ("10.0.0.1", 40000, "10.0.0.2", 443)
    assert (flow["src_pkts"], flow["src_bytes"], flow["dst_pkts"], flow["dst_bytes"]) == (5, 500, 4, 4000)
    assert (flow["conn_state"], flow["duration"], flow["proto_name"], flow["sampling"]) == ("SF", 0.041, "tcp", 1)
    assert (batch.packets, batch.unpaired) == (9, 0)
    assert batch.flows.schema.names == arrow_schema("flows").names
    assert {f.name for f in arrow_schema("flows") if not f.nullable} <= {k for k, v in flow.items() if v is not None}
    assert flow["community_id"].startswith("1:")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (there(at=0), back(at=5)),  # earlier start
        (there(flags=0x02), back(flags=0x10)),  # SYN
        (there(flags=0), back(flags=0)),  # server port
    ],
)
def test_the_originator(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> None:
    for order in ((first, second), (second, first)):
        ((flow,), _, _) = paired(*order)
        assert flow["src_port"] == 40000


def test_what_is_told_in_one_direction_only_stays_so() -> None:
    found, _, batches = paired(back(pkts=3))
    assert [(f["src_port"], f["src_pkts"], f["dst_pkts"], f["conn_state"]) for f in found] == [(40000, 0, 3, None)]
    assert batches[0].unpaired == 1


def test_a_record_that_tells_both_directions() -> None:
    ((flow,), _, batches) = paired(there(reverse_pkts=0, reverse_bytes=0, flags=0x02))
    assert (flow["conn_state"], batches[0].unpaired) == ("S0", 0)
    ((flow,), _, _) = paired(back(reverse_pkts=2, reverse_bytes=80, biflow=2))
    assert (flow["src_port"], flow["src_pkts"], flow["dst_pkts"]) == (40000, 2, 1)


def test_pieces_are_one_flow_and_its_slices() -> None:
    pieces = [there(at=n * 60_000, lasts=59_000, pkts=n + 1, reason=2) for n in range(3)]
    ((flow,), table, batches) = paired(*pieces, back(at=10, lasts=100_000, pkts=9))
    assert (flow["src_pkts"], flow["dst_pkts"], flow["duration"]) == (6, 9, 179.0)
    slices = flows(batches, "slices")
    assert [(s["src_pkts"], s["dst_pkts"]) for s in slices] == [(1, 0), (0, 9), (2, 0), (3, 0)]
    assert table.merged == 2


@pytest.mark.parametrize(
    ("more", "count"),
    [
        ({"reason": 2}, 1),
        ({"reason": 4}, 1),
        ({"reason": 1}, 2),
        ({"reason": 3}, 2),
        ({"reason": 0, "flags": 0x18}, 1),  # a short silence
        ({"reason": 0, "at": 30_000}, 2),  # as long as an idle timeout
        ({"reason": 2, "at": 100_000}, 2),
        ({"reason": 0, "sampling": 10}, 2),
        ({"reason": 0, "flags": 0x03}, 2),  # opened again after it was closed
    ],
)
def test_what_is_a_piece(more: dict[str, int], count: int) -> None:
    more = {"at": 14_000, **more}
    first = {k: v for k, v in more.items() if k != "at"}
    assert len(paired(there(lasts=4000, **first), there(**more))[0]) == count


def test_the_same_packets_at_two_interfaces_are_two_flows() -> None:
    seen = [
        there(lasts=50, in_if=1, out_if=2),
        there(lasts=50, in_if=3, out_if=4),
        back(in_if=4, out_if=3),
        back(in_if=2, out_if=1),
    ]
    found = paired(*seen)[0]
    assert [(f["src_pkts"], f["dst_pkts"]) for f in found] == [(1, 1), (1, 1)]


def test_flows_do_not_pair_across_networks_exporters_and_time() -> None:
    assert len(paired(there(vlan=5), back(vlan=6))[0]) == 2
    assert len(paired(there(exporter=0), back(exporter=1))[0]) == 2
    assert len(paired(there(), back(at=66_000))[0]) == 2
    assert len(paired(there(), back(at=64_000))[0]) == 1
    assert [f["network"] for f in paired(there(vlan=5, inner_vlan=7), there(vni=9), there(vrf=3))[0]] == [
        "vlan:5.7",
        "vni:9",
        "vrf:3",
    ]


def test_icmp() -> None:
    ask = record(CLIENT, SERVER, 0, 0x0800, proto=1)
    answer = record(SERVER, CLIENT, 0, 0, proto=1, icmp=0)
    ((flow,), _, _) = paired(answer, ask)
    assert (flow["src_ip"], flow["src_port"], flow["dst_port"], flow["conn_state"]) == ("10.0.0.1", 8, 0, "OTH")
    gone = [record(a, b, 0, 0, proto=1, icmp=0x0303) for a, b in ((CLIENT, SERVER), (SERVER, CLIENT))]
    assert len(paired(*gone)[0]) == 2


def test_icmp_types_answer_each_other_as_in_packets() -> None:
    for row, kernel in ((0, transport.counterpart4), (1, transport.counterpart6)):
        expected = [kernel.py_func(kind) for kind in range(256)]  # type: ignore[attr-defined]
        assert ANSWERS[row].tolist() == [-1 if other < 0 else other & 0xFF for other in expected]


def test_verdicts_and_rules() -> None:
    dropped = there(verdict=r.DENIED, dropped=1, point=57005)
    ((flow,), _, _) = paired(back(point=42, dropped=0), dropped)
    assert (flow["verdict"], flow["rule_id"]) == ("deny", "57005")
    ((flow,), _, _) = paired(there(point=42, dropped=0))
    assert (flow["verdict"], flow["rule_id"]) == ("allow", "42")


def test_a_full_table_closes_the_longest_idle_and_says_so() -> None:
    table = PairingTable(SERVERS, 60, max_open=64)
    rows = np.stack([record(CLIENT + n, SERVER, 40000, 443, at=n) for n in range(1000)])
    found = flows(table.add(rows) + table.finish())
    assert len(found) == 1000
    assert sorted(f["flow_id"] for f in found) == list(range(1000))
    assert table.evicted > 0


def test_flows_end_by_their_exporters_clock() -> None:
    table = PairingTable(SERVERS, 60)
    first = table.add(np.stack([there()] + [record(CLIENT + n, SERVER, 1, 443, at=200_000 + n) for n in range(1 << 17)]))
    assert flows(first)[0]["src_port"] == 40000


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 300), st.integers(0, 5), st.integers(0, 90)), max_size=60)
)
def test_nothing_is_lost_or_counted_twice(told: list[tuple[int, bool, int, int, int]]) -> None:
    rows = [
        (back if reply else there)(
            dst_lo=SERVER, src_lo=CLIENT, exporter=who, at=at * 1000, reason=reason, lasts=lasts * 1000, pkts=3
        )
        for who, reply, at, reason, lasts in told
    ]
    table = PairingTable(SERVERS, 60, max_open=8)
    batches = (table.add(np.stack(rows)) if rows else []) + table.finish()
    found = flows(batches)
    assert sum(f["src_pkts"] + f["dst_pkts"] for f in found) == 3 * len(rows) == sum(b.packets for b in batches)
    totals = {(b.exporter, f["flow_id"]): f for b in batches for f in b.flows.to_pylist()}
    for batch in batches:
        for flow_id in {s["flow_id"] for s in batch.slices.to_pylist()}:
            mine = [s for s in batch.slices.to_pylist() if s["flow_id"] == flow_id]
            assert sum(s["src_pkts"] for s in mine) == totals[(batch.exporter, flow_id)]["src_pkts"]
            assert sum(s["dst_pkts"] for s in mine) == totals[(batch.exporter, flow_id)]["dst_pkts"]


def test_live_flows_end_by_our_clock_whatever_the_exporters_say() -> None:
    table = PairingTable(SERVERS, 60)
    day = 86_400 * 10**9
    table.steady(0)
    assert not table.add(np.stack((there(), there(src_port=2, exported=T0 + day), there(src_port=3, exported=T0 - day))))
    table.steady(60 * 10**9)
    assert not table.tick()
    assert not table.add(np.stack((back(at=59_000, exported=T0),)))
    table.steady(66 * 10**9)
    assert [flow["src_port"] for flow in flows(table.tick())] == [2, 3]
    table.steady(126 * 10**9)
    ((flow,),) = (flows(table.tick()),)
    assert (flow["src_pkts"], flow["dst_pkts"]) == (1, 1)
    assert table.open_flows == 0


def test_open_flows_are_shown_as_they_are_and_stay() -> None:
    table = PairingTable(SERVERS, 60)
    table.steady(0)
    table.add(np.stack((there(exporter=1), back(exporter=1, at=1), there(exporter=2, reason=3), there(exporter=0))))
    shown = table.open_rows({1, 2})
    assert [(batch.exporter, batch.packets) for batch in shown] == [(1, 2), (2, 1)]
    assert [flow["end_reason"] for flow in flows(shown)] == [None, None]
    assert flows(shown)[0]["dst_pkts"] == 1
    assert table.open_rows({7}) == []
    assert shown[0].flows.schema.names == arrow_schema("flows").names
    ended = flows(table.finish())
    assert [(f["flow_id"], f["src_pkts"], f["end_reason"]) for f in ended] == [(0, 1, 4), (0, 1, 4), (0, 1, 3)]
