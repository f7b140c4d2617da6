"""Half flows find their other half, once, and conversations count it once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.rows import T0, address, batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter


def half(n: int, network: str, back: bool = False, at: int = 0, length: int = 1000, **fields: Any) -> dict[str, Any]:
    """A one-sided flow between hosts 1 and 2, or back."""
    a, b = (2, 1) if back else (1, 2)
    ports = (443, 5000) if back else (5000, 443)
    row = flow(n, fields.pop("source_id", 1), network=network, ts=T0 + at, ts_end=T0 + at + length, duration=length / 1e6)
    row |= {"src_ip": f"10.0.0.{a}", "dst_ip": f"10.0.0.{b}", "src_addr": address(a), "dst_addr": address(b)}
    row |= {"src_port": ports[0], "dst_port": ports[1], "dst_pkts": 0, "dst_bytes": 0, "dst_payload": 0}
    return row | {"src_pkts": 10 + n, "src_bytes": 100 + n, "src_payload": n} | fields


def case_of(root: Path, rows: list[dict[str, Any]], sources: tuple[int, ...] = (1,)) -> CaseReader:
    with CaseWriter(root) as writer:
        for source_id in sources:
            writer.add_source(source(source_id, state="ok"))
        writer.append("flows", batch("flows", rows))
    return CaseReader(root)


def pairs(reader: CaseReader) -> set[tuple[int, int]]:
    rows = reader.query("SELECT conversation_id AS a, flow_id AS b FROM links WHERE flow_id <> conversation_id").to_pylist()
    return {(r["a"] & 0xFFFFFFFFFF, r["b"] & 0xFFFFFFFFFF) for r in rows}


def test_two_halves_become_one_conversation_with_both_directions(tmp_path: Path) -> None:
    rows = [half(0, "vlan:1", at=0), half(1, "vlan:2", back=True, at=200), flow(2, network="vlan:1", src_ip="10.9.9.9")]
    with case_of(tmp_path / "case", rows) as reader:
        assert pairs(reader) == {(0, 1)}
        assert reader.query("SELECT reason, kind, count FROM ledger").to_pylist() == [
            {"reason": "half_flows", "kind": "note", "count": 1}
        ]
        found = reader.query("SELECT * FROM conversations ORDER BY conversation_id").to_pylist()
        assert len(found) == 2
        both = found[0]
        assert (both["src_ip"], both["dst_ip"], both["src_pkts"], both["dst_pkts"]) == ("10.0.0.1", "10.0.0.2", 10, 11)
        assert (both["src_bytes"], both["dst_bytes"], both["flows"]) == (100, 101, 2)
        assert (both["network"], both["network_back"]) == ("vlan:1", "vlan:2")
        assert both["duration"] == pytest.approx(0.0012)
        assert (found[1]["flows"], found[1]["network_back"]) == (1, None)
        total = reader.query("SELECT sum(src_bytes + dst_bytes) AS n FROM conversations").to_pylist()
        assert total == reader.query("SELECT sum(src_bytes + dst_bytes) AS n FROM flows").to_pylist()


def test_an_answer_that_was_told_alone_is_turned_back_when_its_other_half_is_found(tmp_path: Path) -> None:
    turned = {
        "src_pkts": 0,
        "src_bytes": 0,
        "src_payload": None,
        "dst_pkts": 7,
        "dst_bytes": 700,
        "dst_payload": None,
        "history": None,
    }
    macs = {"src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02"}
    rows = [
        half(0, "vni:1", history=None),
        half(1, "", at=200, **turned, **macs),
        half(2, "vni:9", at=300, **{**turned, "history": "^d"}),
    ]
    with case_of(tmp_path / "case", rows) as reader:
        assert pairs(reader) == {(0, 1)}
        (both, other) = reader.query("SELECT * FROM conversations ORDER BY conversation_id").to_pylist()
        assert (both["src_ip"], both["src_pkts"], both["dst_pkts"], both["dst_bytes"]) == ("10.0.0.1", 10, 7, 700)
        assert (other["src_pkts"], other["dst_pkts"]) == (0, 7)  # of packets: its history would say the opposite
        (back,) = reader.query("FROM flows WHERE flow_id & 1 = 1").to_pylist()
        assert (back["src_ip"], back["src_port"], back["dst_ip"], back["dst_port"]) == ("10.0.0.2", 443, "10.0.0.1", 5000)
        assert (back["src_pkts"], back["dst_pkts"], back["src_mac"]) == (7, 0, "02:00:00:00:00:02")


@pytest.mark.parametrize(
    "other",
    [
        half(1, "vlan:1", back=True),  # the same network: the flow table has had its reasons
        half(1, "vlan:2"),  # the same direction
        half(1, "vlan:2", back=True, src_port=444),
        half(1, "vlan:2", back=True, proto=17, proto_name="udp"),
        half(1, "vlan:2", back=True, dst_pkts=1),  # has both directions
        half(1, "vlan:2", back=True, at=301_002_000),  # long after the TCP timeout
        half(1, "vlan:2", back=True, source_id=2),
        half(1, "vlan:2", back=True, src_addr=address(7)),
    ],
)
def test_what_is_no_other_half_stays_alone(tmp_path: Path, other: dict[str, Any]) -> None:
    with case_of(tmp_path / "case", [half(0, "vlan:1"), other], (1, 2)) as reader:
        assert pairs(reader) == set()
        assert reader.query("SELECT count(*) AS n FROM ledger").to_pylist() == [{"n": 0}]
        assert reader.query("SELECT count(*) AS n FROM conversations").to_pylist() == [{"n": 2}]


def test_each_flow_is_in_one_pair_with_the_nearest(tmp_path: Path) -> None:
    rows = [
        half(0, "vni:1", at=0),
        half(1, "vni:2", back=True, at=100),
        half(2, "vni:1", at=10_000_000),
        half(3, "vni:2", back=True, at=10_000_100),
        half(4, "vni:2", back=True, at=10_000_300),
    ]
    with case_of(tmp_path / "case", rows) as reader:
        assert pairs(reader) == {(0, 1), (2, 3)}


def test_icmp_and_flows_without_ports_are_matched_by_what_they_have(tmp_path: Path) -> None:
    ping = {"proto": 1, "proto_name": "icmp"}
    bare = {"proto": 47, "proto_name": "gre", "src_port": None, "dst_port": None}
    rows = [
        half(0, "vlan:1", src_port=8, dst_port=0, **ping),
        half(1, "vlan:2", back=True, at=50, src_port=0, dst_port=8, **ping),
        half(2, "vlan:1", **bare),
        half(3, "vlan:2", back=True, at=50, **bare),
    ]
    with case_of(tmp_path / "case", rows) as reader:
        assert pairs(reader) == {(0, 1), (2, 3)}


def test_a_later_index_stitches_its_own_flows_and_keeps_old_links(tmp_path: Path) -> None:
    case_of(tmp_path / "case", [half(0, "a"), half(1, "b", back=True, at=5)]).close()
    rows = [half(0, "a", source_id=2), half(1, "b", back=True, at=5, source_id=2)]
    with case_of(tmp_path / "case", rows, (2,)) as reader:
        links = reader.query("SELECT flow_id >> 40 AS s, count(*) AS n FROM links GROUP BY 1 ORDER BY 1").to_pylist()
        assert links == [{"s": 1, "n": 2}, {"s": 2, "n": 2}]


def test_one_tuple_repeated_without_end_costs_no_square(tmp_path: Path) -> None:
    """40,000 halves of one tuple: joined pair by pair that would be 400 million rows."""
    rows = [half(n, f"vlan:{1 + n % 2}", back=bool(n % 2), at=n * 10, length=0) for n in range(40_000)]
    with case_of(tmp_path / "case", rows) as reader:
        found = reader.query("SELECT count(*) AS n, count(DISTINCT flow_id) AS d FROM links").to_pylist()[0]
        assert found["n"] == found["d"]
        assert found["n"] <= 40_000
        assert reader.query("SELECT sum(flows) AS n FROM conversations").to_pylist() == [{"n": 40_000}]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    halves=st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 400_000_000), st.integers(0, 50_000_000)), max_size=12
    )
)
def test_no_flow_is_ever_counted_twice(tmp_path_factory: pytest.TempPathFactory, halves: list[Any]) -> None:
    rows = [half(n, f"vlan:{net}", back, at, length) for n, (back, net, at, length) in enumerate(halves)]
    with case_of(tmp_path_factory.mktemp("x") / "case", rows or [flow(0)]) as reader:
        links = reader.query("SELECT flow_id, conversation_id FROM links").to_pylist()
        assert len({r["flow_id"] for r in links}) == len(links)
        assert reader.query("SELECT sum(flows) AS n FROM conversations").to_pylist() == [{"n": len(rows) or 1}]
        total = "SELECT sum(src_pkts + dst_pkts)::BIGINT AS n FROM "
        assert reader.query(total + "conversations").to_pylist() == reader.query(total + "flows").to_pylist()
