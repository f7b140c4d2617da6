"""The bytes that leave on stdout or into a file, compared with files beside this one."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from workbench.cli.formats import Format, choose_format
from workbench.cli.output import Batches, write_rows
from workbench.errors import MissingPathError, QueryError, UsageError

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = pa.schema(
    [
        ("flow_id", pa.int64()),
        ("ts", pa.timestamp("us")),
        ("name", pa.utf8()),
        ("src_addr", pa.binary()),
        ("duration", pa.float64()),
        ('odd "name"', pa.bool_()),
    ]
)
ROWS = pa.table(
    [
        [1, 2, 3],
        [0, 1_700_000_000_123_456, None],
        ['says "hi", twice\r\n', "", "\x1b]0;owned\x07\u202eevil [/bold]"],
        [b"\x00\x00\xff\xff\x0a\x00\x00\x01", None, b""],
        [0.5, float("nan"), None],
        [True, False, None],
    ],
    schema=SCHEMA,
)


class Stdout(io.TextIOWrapper):
    """A stdout that is, or is not, a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def written(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def stdout_of(monkeypatch: pytest.MonkeyPatch, rows: Batches, form: Format, *, terminal: bool = False) -> bytes:
    out = Stdout(terminal)
    monkeypatch.setattr("sys.stdout", out)
    write_rows(rows, form)
    monkeypatch.undo()
    return out.written()


@pytest.mark.parametrize("form", [Format.JSON, Format.CSV, Format.TABLE])
@pytest.mark.parametrize("chunk", [None, 1])
def test_golden(monkeypatch: pytest.MonkeyPatch, form: Format, chunk: int | None) -> None:
    written = stdout_of(monkeypatch, ROWS.to_reader(chunk), form)
    if form is Format.TABLE and chunk == 1:  # widths come from the first batch: one row here
        assert written.count(b"\n") == 4
        return
    assert written == (GOLDEN / f"rows.{'txt' if form is Format.TABLE else form.value}").read_bytes()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (Format.JSON, b"[]\n"),
        (Format.CSV, b'flow_id,ts,name,src_addr,duration,"odd ""name"""\r\n'),
        (Format.TABLE, b'flow_id  ts  name  src_addr  duration  odd "name"\n'),
    ],
)
def test_no_rows(monkeypatch: pytest.MonkeyPatch, form: Format, expected: bytes) -> None:
    assert stdout_of(monkeypatch, ROWS.slice(0, 0).to_reader(), form) == expected


@pytest.mark.parametrize("form", [Format.TABLE, Format.CSV, Format.JSON])
def test_a_terminal_is_never_sent_a_control_character_from_a_cell(monkeypatch: pytest.MonkeyPatch, form: Format) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "300")
    text = stdout_of(monkeypatch, ROWS.to_reader(), form, terminal=True).decode()
    assert not set(text) & {chr(n) for n in [*range(9), 11, 12, *range(14, 32), *range(127, 160)]}
    assert "\u202e" not in text
    assert "[/bold]" in text


def test_parquet_keeps_types_and_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped = stdout_of(monkeypatch, ROWS.to_reader(1), Format.PARQUET)
    write_rows(ROWS.to_reader(), Format.PARQUET, tmp_path / "rows.parquet")
    for source in (pa.BufferReader(piped), tmp_path / "rows.parquet"):
        found = parquet.read_table(source)
        assert found.schema.equals(SCHEMA)
        assert str(found.to_pylist()) == str(ROWS.to_pylist())  # NaN is not equal to itself


def test_names_that_come_twice_are_told_apart_in_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.Table.from_arrays([pa.array([n]) for n in range(5)], ["a", "a", "a_1", "b", "a"])
    assert stdout_of(monkeypatch, rows.to_reader(), Format.JSON) == b'[\n{"a": 0, "a_2": 1, "a_1": 2, "b": 3, "a_3": 4}\n]\n'
    assert stdout_of(monkeypatch, rows.to_reader(), Format.CSV) == b"a,a,a_1,b,a\r\n0,1,2,3,4\r\n"


def test_what_parquet_cannot_hold_is_wrong_usage(tmp_path: Path) -> None:
    rows = pa.table({"i": [pa.MonthDayNano([1, 2, 3])]})
    with pytest.raises(UsageError, match="interval"):
        write_rows(rows.to_reader(), Format.PARQUET, tmp_path / "rows.parquet")
    assert list(tmp_path.iterdir()) == []


def test_parquet_row_groups_are_whole(tmp_path: Path) -> None:
    rows = pa.table({"n": range(300_000)})
    write_rows(rows.to_reader(1000), Format.PARQUET, tmp_path / "rows.parquet")
    found = parquet.ParquetFile(tmp_path / "rows.parquet")
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [123_000, 123_000, 54_000]
    assert found.read().equals(rows)


class Failing:
    """A result that breaks after `good` batches."""

    schema = SCHEMA

    def __init__(self, good: int) -> None:
        self.good = good

    def __iter__(self):
        yield from ROWS.to_batches() * self.good
        raise QueryError("division by zero")


@pytest.mark.parametrize("form", list(Format))
def test_a_query_that_fails_at_once_leaves_stdout_empty(monkeypatch: pytest.MonkeyPatch, form: Format) -> None:
    out = Stdout(terminal=False)
    monkeypatch.setattr("sys.stdout", out)
    with pytest.raises(QueryError):
        write_rows(Failing(0), form)
    assert out.written() == b""


def test_a_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    target.write_text("before")
    with pytest.raises(QueryError):
        write_rows(Failing(1), Format.CSV, target)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]
    write_rows(ROWS.to_reader(), Format.CSV, target)
    assert target.read_bytes() == (GOLDEN / "rows.csv").read_bytes()
    with pytest.raises(MissingPathError, match="absent"):
        write_rows(ROWS.to_reader(), Format.CSV, tmp_path / "absent" / "rows.csv")


@pytest.mark.parametrize(
    ("asked", "output", "terminal", "chosen"),
    [
        (None, None, True, Format.TABLE),
        (None, None, False, Format.CSV),
        (Format.JSON, None, True, Format.JSON),
        (Format.PARQUET, None, False, Format.PARQUET),
        (None, "rows.parquet", True, Format.PARQUET),
        (None, "rows.JSON", True, Format.JSON),
        (None, "rows", True, Format.CSV),
        (Format.TABLE, "rows.csv", False, Format.TABLE),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch, asked: Format | None, output: str | None, terminal: bool, chosen: Format
) -> None:
    monkeypatch.setattr("sys.stdout", Stdout(terminal))
    assert choose_format(asked, Path(output) if output else None) is chosen


def test_parquet_is_refused_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Stdout(terminal=True))
    with pytest.raises(UsageError, match="Parquet"):
        choose_format(Format.PARQUET, None)
