"""Formats of logs: every shipped file runs on no lines, and one with a mistake is refused with its line and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.store.import_format import FormatError, load_format, load_formats
from workbench.store.importing import ImportEngine
from workbench.store.views import queries_folder

_SHIPPED = sorted((queries_folder() / "imports").glob("*.sql"))
_HEADER = {
    "id": "mine",
    "title": "Mine",
    "description": "words",
    "input": "json",
    "recognise": '["^x"]',
    "times": "seconds",
    "columns": "{n: line}",
    "references": "[me]",
    "fields": "[t, a]",
}
_SQL = "-- into flows\nSELECT n, t AS ts, a AS src_ip FROM rows"


@pytest.mark.parametrize("path", _SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_format_runs_on_no_lines(path: Path, tmp_path: Path) -> None:
    form = load_format(path)
    engine = ImportEngine(tmp_path / "spill")
    try:
        assert len(engine.prepare(form)) == len(form.parts)
    finally:
        engine.close()


def test_the_shipped_formats_are_found() -> None:
    assert "zeek" in load_formats().formats
    assert not load_formats().refused


def _file(folder: Path, changes: dict[str, str | None] | None = None, sql: str = _SQL) -> Path:
    header = {**_HEADER, **(changes or {})}
    lines = [f"{key}: {value}" for key, value in header.items() if value is not None]
    path = folder / "mine.sql"
    path.write_text("/*\n" + "\n".join(lines) + "\n*/\n" + sql + "\n")
    return path


@pytest.mark.parametrize(
    ("changes", "sql", "why", "line"),
    [
        ({"title": None}, _SQL, "lacks title", 1),
        ({"id": "other"}, _SQL, "its id is 'other'", 2),
        ({"input": "xml"}, _SQL, "input is 'xml'", 5),
        ({"recognise": '["("]'}, _SQL, "no regular expression", 6),
        ({"colour": "red"}, _SQL, "colour is no key", 11),
        ({}, "SELECT 1", "no line `-- into TABLE`", 12),
        ({}, "-- into ledger\nSELECT 1", "ledger is no table", 12),
        ({}, "-- into flows\n\n-- into dns\nSELECT n FROM rows", "no SELECT into flows", 12),
    ],
)
def test_an_incomplete_file_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, str | None], sql: str, why: str, line: int
) -> None:
    with pytest.raises(FormatError) as caught:
        load_format(_file(tmp_path, changes, sql))
    assert why in caught.value.message
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("select", "why"),
    [
        ("SELECT n, t AS tz FROM rows", "flows has no column tz"),
        ("SELECT t AS ts FROM rows", "does not yield n"),
        ("SELECT n, nothing AS ts FROM rows", "is refused"),
        ("SELECT n, content AS ts FROM rows, read_text('/etc/hostname')", "is refused"),
        ("SELECT n FROM rows; DROP TABLE chunk", "is refused"),
    ],
)
def test_a_select_that_cannot_be_run_is_refused_before_any_line(tmp_path: Path, select: str, why: str) -> None:
    engine = ImportEngine(tmp_path / "spill")
    try:
        with pytest.raises(FormatError) as caught:
            engine.prepare(load_format(_file(tmp_path, sql=f"-- into flows\n{select}")))
    finally:
        engine.close()
    assert why in caught.value.message
    assert caught.value.line == 12


def test_ones_own_format_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "imports").mkdir()
    _file(tmp_path / "imports")
    (tmp_path / "imports" / "broken.sql").write_text("SELECT 1")
    found = load_formats((tmp_path,))
    assert found.formats["mine"].path == tmp_path / "imports" / "mine.sql"
    assert [path.name for path, _ in found.refused] == ["broken.sql"]
    assert found.recognise(b"x is the beginning") == "mine"
    assert found.recognise(b"\x00x") is None
