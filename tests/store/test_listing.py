"""Flows come in one order whatever the stretches they are read in."""

import random
from pathlib import Path

import pytest

from tests.store.rows import T0, batch, flow, source
from workbench.errors import CaseBusyError
from workbench.records.columns import FLOWS
from workbench.store.listing import FlowListing
from workbench.store.pages import Where
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles
from workbench.store.writer import CaseWriter

COUNT = 3000


def made(root: Path, *, segments: bool) -> CaseReader:
    """Flows in no order, a third of them at one and the same moment."""
    chance = random.Random(7)
    moments = [T0 + (5_000_000 if n % 3 == 0 else chance.randrange(10_000_000)) for n in range(COUNT)]
    rows = [flow(n, ts=ts, ts_end=ts) for n, ts in enumerate(moments)]
    chance.shuffle(rows)
    cut = COUNT // 2 if segments else COUNT
    with CaseWriter(root) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", rows[:cut]))
        writer.update_source(1, state="ok")
    reader = CaseReader(root)
    if segments:
        SegmentFiles(reader.case, {1: "s1"}).write("flows", [batch("flows", rows[cut:])])
        reader.refresh()
    return reader


@pytest.fixture(scope="module", params=["native", "segments"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CaseReader:
    return made(tmp_path_factory.mktemp("listing") / "case", segments=request.param == "segments")


def ids(found: FlowListing) -> list[int]:
    with found:
        return [n for b in found for n in b.column(found.schema.get_field_index("flow_id")).to_pylist()]


@pytest.mark.parametrize("part", [100, 700, 2999, 3000, 10_000])
@pytest.mark.parametrize("limit", [None, 0, 1, 499, 1500, 5000])
def test_order_and_limit(reader: CaseReader, part: int, limit: int | None) -> None:
    expected = reader.query("SELECT flow_id FROM flows ORDER BY ts, flow_id")["flow_id"].to_pylist()
    assert ids(FlowListing(reader, ["ts", "flow_id"], limit, part)) == expected[:limit]


def test_columns_stand_as_they_were_named(reader: CaseReader) -> None:
    with FlowListing(reader, ["dst_port", "flow_id", "src_ip"], 1) as found:
        assert found.schema.names == ["dst_port", "flow_id", "src_ip"]
        assert next(iter(found)).schema.names == found.schema.names
    with pytest.raises(KeyError):
        FlowListing(reader, ["nonesuch"])


def test_a_case_that_is_rewritten_on_the_way_is_said(tmp_path: Path) -> None:
    reader = made(tmp_path / "case", segments=True)
    with FlowListing(reader, list(FLOWS.names), part=500) as found:
        batches = iter(found)
        next(batches)
        for file in (tmp_path / "case" / "segments").rglob("*.parquet"):
            file.unlink()
        with pytest.raises(CaseBusyError, match="rewritten"):
            list(batches)


@pytest.mark.parametrize("part", [100, 10_000])
def test_a_condition_keeps_its_flows_in_order(reader: CaseReader, part: int) -> None:
    where = Where("src_port < ? AND ts >= make_timestamp(?)", (1024 + 900, T0 + 2_000_000))
    expected = reader.query(
        f"SELECT flow_id FROM flows WHERE src_port < 1924 AND epoch_us(ts) >= {T0 + 2_000_000} ORDER BY ts, flow_id"
    )["flow_id"].to_pylist()
    assert 100 < len(expected) < COUNT
    assert ids(FlowListing(reader, ["ts", "flow_id"], None, part, where)) == expected
    assert ids(FlowListing(reader, ["ts", "flow_id"], 150, part, where)) == expected[:150]
    assert ids(FlowListing(reader, ["flow_id"], None, part, Where("false"))) == []
