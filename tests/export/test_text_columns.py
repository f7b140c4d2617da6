"""One value has one text, in every format, whatever is in it."""

import csv
import datetime as dt
import decimal
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.export.text_columns import csv_column, is_numeric, json_column, rows_table, text_column, visible_column


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        (
            [0, None, 1_700_000_000_123_456],
            pa.timestamp("us"),
            ["1970-01-01T00:00:00.000000Z", None, "2023-11-14T22:13:20.123456Z"],
        ),
        ([-1], pa.timestamp("us"), ["1969-12-31T23:59:59.999999Z"]),
        ([253_402_300_800_000_000], pa.timestamp("us"), ["10000-01-01T00:00:00.000000Z"]),
        ([1], pa.timestamp("ns"), ["1970-01-01T00:00:00.000000001Z"]),
        ([0], pa.timestamp("us", "Europe/Vienna"), ["1970-01-01T00:00:00.000000Z"]),
        ([b"\x00\xff", None, b""], pa.binary(), ["00ff", None, ""]),
        ([b"ab", None], pa.binary(2), ["6162", None]),
        ([b"\x01"], pa.large_binary(), ["01"]),
        ([True, False, None], pa.bool_(), ["true", "false", None]),
        ([-5, None], pa.int64(), ["-5", None]),
        ([0.1, None, 1.0], pa.float64(), ["0.1", None, "1"]),
        ([decimal.Decimal(2**100)], pa.decimal128(38, 0), [str(2**100)]),
        ([dt.date(2024, 2, 29)], pa.date32(), ["2024-02-29"]),
        ([[1, None]], pa.list_(pa.int32()), ["[1, null]"]),
        ([{"at": dt.datetime(2024, 1, 1), "b": b"\x0f"}], pa.struct({"at": pa.timestamp("us"), "b": pa.binary()}), None),
        ([None], pa.null(), [None]),
        ([2**63 - 1, -(2**63) + 1, 0], pa.timestamp("us"), ["infinity", "-infinity", "1970-01-01T00:00:00.000000Z"]),
        ([pa.MonthDayNano([1, 2, 3_000_000_004])], pa.month_day_nano_interval(), ["P1M2DT3.000000004S"]),
    ],
)
def test_text(values: list[Any], kind: pa.DataType, texts: list[str | None] | None) -> None:
    column = pa.array(values, kind)
    expected = texts or ['{"at": "2024-01-01T00:00:00Z", "b": "0f"}']
    assert text_column(column).to_pylist() == expected
    assert text_column(pa.concat_arrays([column, column]).slice(len(values))).to_pylist() == expected
    assert text_column(column).type == pa.utf8()


def test_a_slice_of_blobs_starts_where_it_should() -> None:
    blobs = pa.array([b"\x01", None, b"\x02\x03", b"\x04"], pa.binary())
    assert text_column(blobs.slice(1, 2)).to_pylist() == [None, "0203"]


def test_dictionaries_are_as_their_values() -> None:
    column = pa.array(['a"b', None, "", "tcp"]).dictionary_encode()
    assert text_column(column).to_pylist() == ['a"b', None, "", "tcp"]
    assert csv_column(column).to_pylist() == ['"a""b"', "", '""', "tcp"]
    assert json_column(column).to_pylist() == ['"a\\"b"', "null", '""', '"tcp"']
    assert is_numeric(pa.dictionary(pa.int8(), pa.int64()))
    assert not is_numeric(column.type)


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_json_says_what_was_there(values: list[str | None]) -> None:
    texts = json_column(pa.array(values, pa.utf8())).to_pylist()
    assert [json.loads(text) for text in texts] == values
    assert all(text.isprintable() or not text.isascii() for text in texts)


@given(st.lists(st.none() | st.floats()))
def test_json_has_no_word_for_infinity(values: list[float | None]) -> None:
    read = [json.loads(text) for text in json_column(pa.array(values, pa.float64())).to_pylist()]
    finite = [v if v is not None and v - v == 0 else None for v in values]
    assert read == finite


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1))
def test_csv_reads_back(values: list[str | None]) -> None:
    row = ",".join(csv_column(pa.array(values, pa.utf8())).to_pylist())
    read = list(csv.reader(io.StringIO(row + "\r\n", newline="")))
    assert read == [[value or "" for value in values]] or (len(values) == 1 and not values[0])


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_a_terminal_gets_is_printable(values: list[str | None]) -> None:
    shown = visible_column(pa.array(values, pa.utf8())).to_pylist()
    assert [text is None for text in shown] == [value is None for value in values]
    assert all(text is None or text.isprintable() for text in shown)


def test_rows_become_a_table_with_nulls_for_what_they_lack() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.utf8())])
    assert rows_table([{"a": 1, "c": 2}, {"b": "x"}], schema).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert rows_table([], schema).num_rows == 0
