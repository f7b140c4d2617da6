"""Tables: aligned, within the terminal's width, numbers never cut."""

import io

import pyarrow as pa
import pytest
from rich.cells import cell_len

from workbench.cli.table import styled, write_table


def table(columns: dict[str, object], *, terminal: bool = False) -> list[str]:
    rows = pa.table(columns)
    sink = io.BytesIO()
    write_table(rows.schema, rows.to_batches(), sink, terminal=terminal)
    return sink.getvalue().decode().splitlines()


def test_numbers_stand_right_and_text_left() -> None:
    assert table({"n": [1, 1000], "name": ["a", "bb"], "x": [0.5, None]}) == [
        "   n  name    x",
        "   1  a     0.5",
        "1000  bb",
    ]


def test_wide_characters_take_two_cells() -> None:
    lines = table({"name": ["\u6771\u4eac", "ab"], "n": [1, 2]})
    assert cell_len(lines[1]) == cell_len(lines[2])


def test_a_terminal_cuts_text_before_it_drops_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = table({"name": ["x" * 60], "n": [123456]}, terminal=True)
    assert lines[1] == "x" * 31 + "\u2026  123456"
    assert capsys.readouterr().err == ""


def test_times_are_never_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    times = pa.array([0], pa.timestamp("us"))
    assert table({"name": ["x" * 60], "at": times}, terminal=True)[1] == "x" * 14 + "\u2026"
    assert "at" in capsys.readouterr().err
    assert table({"at": times, "name": ["x" * 60]}, terminal=True)[1] == "1970-01-01T00:00:00.000000Z"


def test_columns_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = table({"first": [10**12], "second": [10**12], "third": [10**12]}, terminal=True)
    assert [line.split() for line in lines] == [["first", "second"], ["1000000000000"] * 2]
    assert "third" in capsys.readouterr().err
    assert len(table({"first": [10**12], "second": [10**12], "third": [10**12]})[0].split()) == 3


@pytest.mark.parametrize(
    ("env", "bold"), [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_bold_only_where_it_is_welcome(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], bold: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert styled() is bold
    assert table({"a": [1]}, terminal=True)[0].startswith("\x1b[1m") is bold
