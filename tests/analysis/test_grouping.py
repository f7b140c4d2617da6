"""Groups of flows are what counting them by hand gives, in a case of one file and in one with segments."""

import random
from collections import defaultdict
from typing import Any

import pytest

from tests.store.rows import T0, address, batch, flow, source
from workbench.analysis import grouping
from workbench.analysis.grouping import MEASURES, group_flows
from workbench.errors import CancelledError
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles
from workbench.store.writer import CaseWriter

COUNT = 2000
HTTPS = Where("dst_port = ?", (443,))


def rows() -> list[dict[str, Any]]:
    chance = random.Random(11)
    made = []
    for n in range(COUNT):
        src, dst = chance.randrange(12), 100 + chance.randrange(30)
        fields = {
            "src_ip": f"10.0.0.{src}" if src else None,
            "src_addr": address(src) if src else None,
            "dst_ip": f"10.0.0.{dst}",
            "dst_addr": address(dst),
            "dst_port": chance.choice([443, 22, 53, None]),
            "service": chance.choice(["tls", "tls\x1b[2J", None]),
            "src_bytes": chance.randrange(10_000),
            "ts": T0 + chance.randrange(10_000_000),
        }
        made.append(flow(n, **fields, ts_end=fields["ts"] + chance.randrange(10_000_000)))
    return made


@pytest.fixture(scope="module", params=["native", "segments"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    root = tmp_path_factory.mktemp("grouping") / "case"
    made = rows()
    cut = COUNT // 2 if request.param == "segments" else COUNT
    with CaseWriter(root) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", made[:cut]))
        writer.update_source(1, state="ok")
    reader = CaseReader(root)
    if cut < COUNT:
        SegmentFiles(reader.case, {1: "s1"}).write("flows", [batch("flows", made[cut:])])
        reader.refresh()
    assert reader.native == (cut == COUNT)
    return reader


def by_hand(keys: tuple[str, ...], kept: Any) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    found = defaultdict(list)
    for row in rows():
        if kept(row):
            found[tuple(row[key] for key in keys)].append(row)
    return {key: summed(keys, group) for key, group in found.items()}


def summed(keys: tuple[str, ...], group: list[dict[str, Any]]) -> tuple[Any, ...]:
    if "src_ip" in keys and "dst_ip" not in keys:
        peers = {row["dst_ip"] for row in group}
    elif "dst_ip" in keys and "src_ip" not in keys:
        peers = {row["src_ip"] for row in group}
    else:
        peers = {(row["src_ip"], row["dst_ip"]) for row in group}
    packets = sum(row["src_pkts"] + row["dst_pkts"] for row in group)
    size = sum(row["src_bytes"] + row["dst_bytes"] for row in group)
    times = min(row["ts"] for row in group), max(row["ts_end"] for row in group)
    return len(group), packets, size, *times, len(peers)


@pytest.mark.parametrize("keys", [("src_ip",), ("dst_ip", "dst_port"), ("service",), ("src_ip", "dst_ip", "dst_port", "service")])
@pytest.mark.parametrize("where", [EVERYTHING, HTTPS], ids=["all", "https"])
@pytest.mark.parametrize("by", ["flows", "peers"])
def test_groups_are_what_counting_by_hand_gives(reader: CaseReader, keys: tuple[str, ...], where: Where, by: str) -> None:
    found = group_flows(reader.question(), keys, where, by=by)
    expected = by_hand(keys, (lambda row: True) if where is EVERYTHING else (lambda row: row["dst_port"] == 443))
    assert found.rows.column_names == [*keys, *MEASURES]
    got = {}
    for n in range(found.rows.num_rows):
        row = found.rows.slice(n, 1)
        times = tuple(row[name].cast("int64")[0].as_py() for name in ("first", "last"))
        counts = [row[name][0].as_py() for name in ("flows", "packets", "bytes", "peers")]
        got[tuple(row[key][0].as_py() for key in keys)] = (*counts[:3], *times, counts[3])
    assert got == expected
    assert found.total == len(expected)
    amounts = found.rows[by].to_pylist()
    assert amounts == sorted(amounts, reverse=True)


@pytest.mark.parametrize("by", ["src_ip", *MEASURES])
@pytest.mark.parametrize("descending", [True, False])
def test_any_column_orders_them_and_what_is_missing_stands_last(reader: CaseReader, by: str, descending: bool) -> None:
    values = group_flows(reader, ["src_ip"], by=by, descending=descending).rows[by].to_pylist()
    there = [value for value in values if value is not None]
    assert values == sorted(there, reverse=descending) + [None] * (len(values) - len(there))


def test_of_very_many_groups_the_first_are_given_and_all_are_counted(reader: CaseReader, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = group_flows(reader, ["src_ip", "dst_ip"], by="bytes")
    monkeypatch.setattr(grouping, "MOST_GROUPS", 7)
    for by in ("bytes", "peers"):
        assert group_flows(reader, ["src_ip", "dst_ip"], by=by).total == whole.total > 7
    assert group_flows(reader, ["src_ip", "dst_ip"], by="bytes").rows == whole.rows.slice(0, 7)


def test_no_flows_no_groups(reader: CaseReader) -> None:
    found = group_flows(reader, ["ts", "src_ip"], Where("false"))
    assert (found.total, found.rows.num_rows) == (0, 0)
    assert found.rows.column_names == ["ts", "src_ip", *MEASURES]


def test_what_cannot_be_grouped_by_is_refused(reader: CaseReader) -> None:
    for keys in ([], ["src_ip", "src_ip"], ["src_ip", "dst_ip", "proto", "vlan", "vni"]):
        with pytest.raises(ValueError, match="1 to 4"):
            group_flows(reader, keys)
    for keys, by in ((["src_ip; DROP"], "flows"), (["src_ip"], "dst_ip"), (["src_ip"], "1; DROP")):
        with pytest.raises(KeyError):
            group_flows(reader, keys, by=by)


def test_a_stopped_question_groups_nothing(reader: CaseReader) -> None:
    question = reader.question()
    question.stop()
    with pytest.raises(CancelledError):
        group_flows(question, ["src_ip"])
