"""CSV and Parquet of any kind by a mapping, and Parquet of our own columns without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from workbench.errors import BadInputError, UsageError
from workbench.store.reader import CaseReader
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest, IndexResult

_MAP = """
columns: {ts: When, src_ip: "from, who", dst_ip: To, dst_port: Port, src_bytes: Bytes}
fixed: {proto: tcp}
separator: ";"
nothing: [n/a]
"""
_CSV = (
    'When;"from, who";To;Port;Bytes;More\r\n'
    "2024-05-01T10:00:00+02:00;192.0.2.1;192.0.2.2;443;1000;x\r\n"
    '1714550401;192.0.2.1;"192.0.2.3";n/a;many;"several\r\nlines; here"\r\n'
    "1714550402;192.0.2.1\r\n"
)


def _import(folder: Path, path: Path, form: str, mapping: str | None = None) -> IndexResult:
    file = None
    if mapping is not None:
        file = folder / "map.yaml"
        file.write_text(mapping)
    return import_logs(IndexRequest((str(path),), folder / "case", form=form, mapping=file))


def _rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    with CaseReader(folder / "case") as reader:
        return reader.query(sql).to_pylist()


def test_a_csv_goes_by_its_mapping(tmp_path: Path) -> None:
    path = tmp_path / "firewall.csv"
    path.write_bytes(_CSV.encode())
    result = _import(tmp_path, path, "csv", _MAP)
    told = {line["reason"]: (line["count"], line["first_frames"]) for line in result.ledger}
    assert told["bad_line"] == (1, "5")
    assert told["values_unread"] == (1, "3")
    flows = _rows(tmp_path, "SELECT ts, dst_ip, dst_port, src_bytes, proto_name FROM flows ORDER BY ts")
    assert [(f["ts"].hour, f["dst_ip"], f["dst_port"], f["src_bytes"]) for f in flows] == [
        (8, "192.0.2.2", 443, 1000),
        (8, "192.0.2.3", None, 0),
    ]


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("columns: {source: When}", "flows has no column source"),
        ("colums: {ts: When}", "colums is no key"),
        ("columns: {ts: n}", "a field cannot be named n"),
        ("into: ledger\ncolumns: {ts: When}", "ledger is no table"),
        ("columns: [ts]", "no list of names"),
    ],
)
def test_a_wrong_mapping_names_what_is_wrong(tmp_path: Path, mapping: str, why: str) -> None:
    (tmp_path / "x.csv").write_text(_CSV)
    with pytest.raises(BadInputError) as caught:
        _import(tmp_path, tmp_path / "x.csv", "csv", mapping)
    assert why in caught.value.message


def test_a_column_that_the_file_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("When,To\n1,2\n")
    result = _import(tmp_path, tmp_path / "x.csv", "csv", "columns: {ts: When, src_ip: Form}")
    assert "has no column Form" in result.refused[0].message
    with pytest.raises(UsageError):
        _import(tmp_path, tmp_path / "x.csv", "csv")


def test_parquet_of_our_columns_comes_back_as_the_same_flows(tmp_path: Path) -> None:
    (tmp_path / "firewall.csv").write_bytes(_CSV.encode())
    _import(tmp_path, tmp_path / "firewall.csv", "csv", _MAP)
    with CaseReader(tmp_path / "case") as reader:
        pq.write_table(reader.query("SELECT * FROM flows"), tmp_path / "flows.parquet")
    (tmp_path / "back").mkdir()
    _import(tmp_path / "back", tmp_path / "flows.parquet", "parquet")
    same = "SELECT * FROM flows ORDER BY flow_id"
    assert _rows(tmp_path / "back", same) == _rows(tmp_path, same)
    result = _import(tmp_path / "back", tmp_path / "flows.parquet", "parquet", "columns: {ts: ts, src_ip: who}")
    assert not result.refused
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(BadInputError):
        _import(tmp_path, tmp_path / "no.parquet", "parquet")
