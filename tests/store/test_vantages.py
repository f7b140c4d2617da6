"""What several sensors saw of one conversation is linked, counted once, and put on one clock."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pytest

from tests.store.rows import T0, address, batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter

DAY = 86_400_000_000
Row = dict[str, Any]


def traffic(count: int = 40, seed: int = 1) -> list[Row]:
    """Conversations as they truly were: TCP from ports of their own, a second or so apart."""
    pick = random.Random(seed)
    return [
        {
            "src_ip": f"10.0.0.{pick.randrange(1, 200)}",
            "dst_ip": f"10.0.1.{pick.randrange(1, 5)}",
            "src_port": 20_000 + n * 7,
            "dst_port": 443,
            "t": T0 + n * 1_000_000 + pick.randrange(500_000),
            "length": pick.randrange(20_000, 400_000),
            "src_payload": pick.randrange(50, 900),
            "dst_payload": pick.randrange(50, 9000),
            "rtt": 900,
        }
        for n in range(count)
    ]


def seen(talks: list[Row], source_id: int, offset: int = 0, far: int = 0, **fields: Any) -> list[Row]:
    """Flows as a sensor has them whose clock is `offset` ahead, `far` microseconds behind the first one on the way."""
    rows = []
    for n, talk in enumerate(talks):
        at = talk["t"] + offset + far
        plain = {k: v for k, v in talk.items() if k not in ("t", "length", "rtt")}
        row = flow(n, source_id, ts=at, ts_end=at + talk["length"] - far, duration=talk["length"] / 1e6, **plain)
        row |= {"src_addr": address(1), "dst_addr": address(2), "rtt_us": talk["rtt"] - 2 * far}
        rows.append(row | fields)
    return rows


def case_of(root: Path, *sources: list[Row]) -> CaseReader:
    with CaseWriter(root) as writer:
        for rows in sources:
            add(writer, rows)
    return CaseReader(root)


def add(writer: CaseWriter, rows: list[Row]) -> None:
    source_id = rows[0]["source_id"]
    first = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=max(0, min(row["ts"] for row in rows)))
    writer.add_source(source(source_id, ts_first=first))
    writer.append("flows", batch("flows", rows))
    writer.update_source(source_id, state="ok", flows=len(rows))


def clocks(reader: CaseReader) -> dict[int, Row]:
    return {row["source_id"]: row for row in reader.query("FROM sources").to_pylist()}


def linked(reader: CaseReader) -> set[frozenset[tuple[int, int]]]:
    """Conversations of several flows, each as (source, n)."""
    rows = reader.query("SELECT list(flow_id) AS f FROM links WHERE cause = 'sensor' GROUP BY conversation_id").to_pylist()
    return {frozenset((f >> 40, f & 0xFFFFFFFFFF) for f in row["f"]) for row in rows}


def total(reader: CaseReader) -> tuple[int, int]:
    row = reader.query("SELECT count(*) AS n, sum(src_bytes + dst_bytes)::BIGINT AS b FROM conversations").to_pylist()[0]
    return row["n"], row["b"]


@pytest.mark.parametrize("offset", [-DAY, 0, 1_234_567, DAY])
def test_two_sensors_are_put_on_one_clock_and_count_once(tmp_path: Path, offset: int) -> None:
    talks = traffic()
    first = seen(talks, 1)
    # 70 us further along the way, in a tunnel at the second: the tuple is the same, the network is not
    second = seen(talks, 2, offset, 70, network="vni:5001", tunnel="vxlan", vni=5001)
    with case_of(tmp_path / "case", first, second) as reader:
        one, other = clocks(reader)[1], clocks(reader)[2]
        assert (one["clock_offset_us"], one["clock_error_us"], one["clock_reference"]) == (0, 0, 1)
        assert abs(other["clock_offset_us"] - offset) <= other["clock_error_us"] < 100
        assert (other["clock_reference"], other["clock_flows"]) == (1, len(talks))
        assert linked(reader) == {frozenset({(1, n), (2, n)}) for n in range(len(talks))}
        assert total(reader) == (len(talks), sum(row["src_bytes"] + row["dst_bytes"] for row in first))


def test_what_one_sensor_lost_leaves_the_rest_linked_and_the_fuller_sighting_counts(tmp_path: Path) -> None:
    talks = traffic()
    first, second = seen(talks, 1), seen(talks, 2, 5_000_000, 70)
    for row in first[::5]:  # began late, saw less
        row |= {"ts": row["ts"] + 15_000, "history": "ADadFf", "src_pkts": 3, "src_bytes": 1, "rtt_us": None}
    with case_of(tmp_path / "case", first, second[:30]) as reader:
        assert linked(reader) == {frozenset({(1, n), (2, n)}) for n in range(30)}
        rows = reader.query("SELECT conversation_id & 1048575 AS n, sensor FROM conversations ORDER BY n").to_pylist()
        assert [row["sensor"] for row in rows] == ["s2" if n % 5 == 0 and n < 30 else "s1" for n in range(len(talks))]


def test_a_further_source_joins_what_is_linked(tmp_path: Path) -> None:
    talks = traffic()
    case_of(tmp_path / "case", seen(talks, 1)).close()
    with case_of(tmp_path / "case", seen(talks, 2, 60_000_000, 50)) as reader:
        assert total(reader)[0] == len(talks)
    with case_of(tmp_path / "case", seen(talks[10:], 3, -9_000_000, 120)) as reader:
        assert total(reader)[0] == len(talks)
        assert len(linked(reader)) == len(talks)
        assert sum(len(one) == 3 for one in linked(reader)) == len(talks) - 10
        third = clocks(reader)[3]
        assert abs(third["clock_offset_us"] + 9_000_000) <= third["clock_error_us"]


def test_sensors_that_share_only_a_third_get_one_reference(tmp_path: Path) -> None:
    talks = traffic(60)
    ends = [seen(talks[:30], 1), seen(talks[30:], 2, 3_000_000), seen(talks, 3, -2_000_000, 40)]
    with case_of(tmp_path / "case", *ends) as reader:
        told = clocks(reader)
        assert {row["clock_reference"] for row in told.values()} == {1}
        assert abs(told[2]["clock_offset_us"] - 3_000_000) <= told[2]["clock_error_us"] < 300


def test_the_same_capture_twice_is_one_and_moves_no_clock(tmp_path: Path) -> None:
    talks = traffic()
    with case_of(tmp_path / "case", seen(talks, 1), seen(talks, 2), seen(talks, 3, 700_000, 70)) as reader:
        told = clocks(reader)
        assert told[2]["clock_offset_us"] == 0
        assert abs(told[3]["clock_offset_us"] - 700_000) <= told[3]["clock_error_us"]
        assert total(reader)[0] == len(talks)


def retries(source_id: int, offset: int) -> list[Row]:
    """One resolver asked from one port, again and again."""
    talks = [t | {"src_ip": "10.0.0.9", "dst_ip": "10.0.1.1", "src_port": 53_000, "dst_port": 53} for t in traffic()]
    return seen(talks, source_id, offset, proto=17, proto_name="udp", history="Dd", src_pkts=1, dst_pkts=1)


def scan(source_id: int, offset: int) -> list[Row]:
    """One probe a target from a fixed port: the next day's looks the same."""
    talks = [t | {"src_port": 61_000, "dst_ip": f"10.0.7.{n}"} for n, t in enumerate(traffic())]
    return seen(talks, source_id, offset, history="S", conn_state="S0", dst_pkts=0, src_payload=0, dst_payload=0, rtt_us=None)


def rotated(source_id: int, offset: int) -> list[Row]:
    """Flows that go on for ever, in captures taken one after the other: there from the first packet on."""
    talks = [t | {"t": T0 + n * 1000, "length": 300_000_000} for n, t in enumerate(traffic())]
    udp = seen(talks[:20], source_id, offset, proto=17, proto_name="udp", history="Dd", src_pkts=900, dst_pkts=900)
    return udp + [row | {"history": "DdAa", "flow_id": row["flow_id"] + 100} for row in seen(talks[20:], source_id, offset)]


def polls(source_id: int, offset: int) -> list[Row]:
    """Time servers asked from the port that they answer at, once a minute each."""
    talks = [t | {"src_port": 123, "dst_port": 123, "src_ip": f"10.0.0.{n}"} for n, t in enumerate(traffic())]
    return seen(talks, source_id, offset, proto=17, proto_name="udp", history="Dd", src_pkts=1, dst_pkts=1)


@pytest.mark.parametrize("make", [retries, scan, rotated, polls])
@pytest.mark.parametrize("offset", [64_000_000, 300_000_000])
def test_what_looks_the_same_at_another_time_is_no_clock_and_no_link(tmp_path: Path, make: Any, offset: int) -> None:
    with case_of(tmp_path / "case", make(1, 0), make(2, offset)) as reader:
        assert {row["clock_offset_us"] for row in clocks(reader).values()} == {None}
        assert linked(reader) == set()


def test_repeated_tuples_are_linked_each_with_its_own_once_the_clocks_are_known(tmp_path: Path) -> None:
    talks = traffic()
    first = seen(talks, 1) + [row | {"flow_id": row["flow_id"] + 100} for row in retries(1, 0)]
    second = seen(talks, 2, DAY) + [row | {"flow_id": row["flow_id"] + 100} for row in retries(2, DAY)]
    with case_of(tmp_path / "case", first, second) as reader:
        assert linked(reader) == {frozenset({(1, n), (2, n)}) for n in [*range(40), *range(100, 140)]}


def test_tenants_with_one_tuple_at_one_time_are_told_apart_by_network_or_not_at_all(tmp_path: Path) -> None:
    talks = traffic()
    twin = seen(talks[:1], 1, network="vni:7")[0] | {"flow_id": (1 << 40) + 100}

    def other(network: str) -> list[Row]:
        return [*seen(talks, 2, 0, 50), seen(talks[:1], 2, 0, 50, network=network)[0] | {"flow_id": (2 << 40) + 100}]

    with case_of(tmp_path / "same", [*seen(talks, 1), twin], other("vni:7")) as reader:
        assert {frozenset({(1, 0), (2, 0)}), frozenset({(1, 100), (2, 100)})} <= linked(reader)
    with case_of(tmp_path / "differs", [*seen(talks, 1), twin], other("vlan:3")) as reader:
        assert frozenset({(1, 0), (2, 0)}) in linked(reader)
        assert not any((1, 100) in one or (2, 100) in one for one in linked(reader))


def test_halves_at_one_sensor_are_the_whole_of_another(tmp_path: Path) -> None:
    talks = traffic()
    first = seen(talks, 1, network="vni:1")
    first[0] |= {"dst_pkts": 0, "dst_bytes": 0}
    turned = [talks[0] | {"src_ip": talks[0]["dst_ip"], "dst_ip": talks[0]["src_ip"], "src_port": 443}]
    back = seen(turned, 1, 10, network="vni:2", dst_port=talks[0]["src_port"], src_pkts=4, dst_pkts=0, dst_bytes=0)[0]
    back |= {"flow_id": (1 << 40) + 100, "src_addr": address(2), "dst_addr": address(1)}
    with case_of(tmp_path / "case", [*first, back], seen(talks, 2, 0, 50)) as reader:
        causes = reader.query("SELECT cause, count(*) AS n FROM links GROUP BY 1 ORDER BY 1").to_pylist()
        assert causes == [{"cause": "half", "n": 2}, {"cause": "sensor", "n": 80}]
        assert total(reader)[0] == len(talks)


def test_one_tuple_repeated_without_end_costs_no_square(tmp_path: Path) -> None:
    talks = traffic()
    many = [
        row | {"flow_id": (row["source_id"] << 40) + 1000 + n, "ts": T0 + n * 10, "ts_end": T0 + n * 10}
        for n, row in enumerate(retries(1, 0)[:1] * 20_000)
    ]
    more = [row | {"flow_id": (2 << 40) + 1000 + n, "source_id": 2} for n, row in enumerate(many)]
    with case_of(tmp_path / "case", seen(talks, 1) + many, seen(talks, 2) + more) as reader:
        assert len(linked(reader)) >= len(talks)
        assert total(reader)[0] <= 40_000 + len(talks)


def test_a_case_of_one_source_is_left_alone(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", seen(traffic(), 1)) as reader:
        assert clocks(reader)[1]["clock_offset_us"] is None
        assert linked(reader) == set()


def test_counts_and_times_that_nobody_could_have_seen_stop_nothing(tmp_path: Path) -> None:
    talks = traffic()
    most = 2**63 - 1
    wild = {"src_pkts": most, "dst_pkts": most, "src_payload": most, "dst_payload": most}
    first, second = seen(talks, 1), seen(talks, 2, 0, 50)
    for rows in (first, second):
        rows[0] |= wild
        rows[1] |= wild | {"ts": -(2**62), "ts_end": 2**62}
    with case_of(tmp_path / "case", first, second) as reader:
        assert linked(reader) == {frozenset({(1, n), (2, n)}) for n in range(len(talks)) if n != 1}


def test_a_conversation_is_seen_hop_by_hop_on_one_clock(tmp_path: Path) -> None:
    talks = traffic()
    ends = [seen(talks, 1), seen(talks, 2, DAY, 70, network="vni:5001", tunnel="vxlan"), seen(talks, 3, -5_000_000, 200)]
    ends[1][4] |= {"src_pkts": 4}  # one lost on the way there, and one on the way back before the first sensor
    ends[2][4] |= {"src_pkts": 4, "dst_pkts": 6}
    with case_of(tmp_path / "case", *ends) as reader:
        (stands,) = reader.query("SELECT conversation_id AS c FROM links WHERE flow_id = ?", [(1 << 40) + 4]).to_pylist()
        one, two, three = reader.query("FROM hops WHERE conversation_id = ? ORDER BY hop", [stands["c"]]).to_pylist()
        assert [(h["hop"], h["sensor"], h["network"]) for h in (one, two, three)] == [
            (1, "s1", ""), (2, "s2", "vni:5001"), (3, "s3", "")
        ]  # fmt: skip
        assert (one["latency_us"], one["lost_there"], one["round_trip_us"]) == (None, None, None)
        assert (two["lost_there"], two["lost_back"], two["round_trip_us"]) == (1, 0, 140)
        assert (three["lost_there"], three["lost_back"], three["round_trip_us"]) == (0, 2, 260)
        assert abs(two["latency_us"] - 70) <= two["latency_error_us"]
        assert abs(three["latency_us"] - 130) <= three["latency_error_us"]
        assert reader.query("SELECT count(*) AS n FROM hops").to_pylist() == [{"n": 3 * len(talks)}]
