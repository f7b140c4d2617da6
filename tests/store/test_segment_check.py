"""Segments of a stranger: a null where every row of ours has a value is refused in words, not found out by a view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.store.rows import flows, index
from workbench.errors import ForeignCaseError
from workbench.store.case import CaseFolder
from workbench.store.reader import CaseReader
from workbench.store.segments import SegmentFiles

Change = Callable[[pa.Table], pa.Table]


def loose(table: pa.Table) -> pa.Table:
    """The same rows; the schema does not say that there are no nulls."""
    return table.cast(pa.schema([field.with_nullable(True) for field in table.schema]))


def hollow(table: pa.Table) -> pa.Table:
    """One row without a time."""
    times = table["ts"].to_pylist()
    return loose(table).set_column(table.schema.names.index("ts"), "ts", pa.array([None, *times[1:]], pa.timestamp("us")))


def without(table: pa.Table) -> pa.Table:
    """No row has a protocol."""
    return loose(table).drop_columns(["proto"])


def hidden(table: pa.Table) -> pa.Table:
    """A field of that name, never null, within another one; the column itself has nulls."""
    rows = table.num_rows
    inner = pa.StructArray.from_arrays([pa.array([1] * rows)], fields=[pa.field("ts", pa.int64(), nullable=False)])
    return hollow(table).append_column(pa.field("more", inner.type, nullable=False), inner)


def segment(case: Path, change: Change) -> Path:
    """A segment of ours, written again as a stranger would."""
    files = SegmentFiles(CaseFolder.open(case), {7: "s7"})
    files.write("flows", [flows(20, 7)])
    [path] = (case / "segments" / "flows").rglob("*.parquet")
    parquet.write_table(change(parquet.read_table(path, partitioning=None)), path, store_schema=False)
    return path


@pytest.fixture
def case(tmp_path: Path) -> Path:
    index(tmp_path / "case", 10)
    return tmp_path / "case"


def count(reader: CaseReader) -> int:
    return int(reader.query("SELECT count(*) AS n FROM flows")["n"][0].as_py())


@pytest.mark.parametrize("change", [lambda table: table, loose], ids=["ours", "loose"])
def test_whole_rows_are_read_whatever_the_schema_promises(case: Path, change: Change) -> None:
    segment(case, change)
    with CaseReader(case) as reader:
        assert count(reader) == 30


@pytest.mark.parametrize(("change", "column"), [(hollow, "ts"), (without, "proto"), (hidden, "ts")])
def test_a_row_that_lacks_a_value_is_refused_in_words(case: Path, change: Change, column: str) -> None:
    path = segment(case, change)
    with pytest.raises(ForeignCaseError, match=f"has rows without {column}, which every row of flows has") as refused:
        CaseReader(case)
    assert path.name in refused.value.message
    path.unlink()
    with CaseReader(case) as reader:
        assert count(reader) == 10


def test_one_that_comes_later_is_refused_as_well(case: Path) -> None:
    with CaseReader(case) as reader:
        assert count(reader) == 10
        path = segment(case, hollow)
        with pytest.raises(ForeignCaseError, match="without ts"):
            reader.refresh()
        path.unlink()
        reader.refresh()
        assert count(reader) == 10
