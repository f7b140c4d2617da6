"""Addresses as intervals: every way of asking a column gives the same rows as counting does."""

import ipaddress
import itertools

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.filters import addresses
from workbench.filters.addresses import LAST, V4, V4_LAST, address_text, merged, one_of, read_address, within

NEAR = [0, 1, 0x0A000000, 0x0A0000FF, 0x0A000100, 0x0A0FFFFF, 0x7FFFFFFF, 0x80000000, 0xAC100000, 0xC0A80A09, 0xFFFFFFFF]
HIGH = [0, 1, 0xFFFF, V4 - 1, V4_LAST + 1, 0xFD << 120, (0xFD << 120) + 5, (0xFE80 << 112) + (3 << 64), LAST]
v4 = st.one_of(st.sampled_from(NEAR), st.integers(0, 2**32 - 1)).map(lambda n: V4 + n)
numbers = st.one_of(v4, st.sampled_from(HIGH), st.integers(0, LAST))
intervals = st.tuples(numbers, numbers).map(lambda pair: (min(pair), max(pair)))


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@given(st.lists(intervals, min_size=1, max_size=3), st.lists(numbers, min_size=1, max_size=8))
def test_text_blob_and_counting_agree(con: duckdb.DuckDBPyConnection, asked: list[tuple[int, int]], held: list[int]) -> None:
    held = [*held, *(max(0, end - 1) for pair in asked for end in pair), *(end for pair in asked for end in pair)]
    wanted = merged(asked)
    expected = [any(a <= n <= b for a, b in wanted) for n in held]
    rows = [(n, address_text(one), one.to_bytes(16, "big")) for n, one in enumerate(held)]
    for text, blob in (("t", None), (None, "b"), ("t", "b")):
        made = one_of(text, blob, wanted)
        con.execute("CREATE OR REPLACE TEMP TABLE held (n INTEGER, t VARCHAR, b BLOB)")
        con.executemany("INSERT INTO held VALUES (?, ?, ?)", rows)
        found = con.execute(f"SELECT {made.text} FROM held ORDER BY n", list(made.params)).fetchall()
        assert [bool(row[0]) for row in found] == expected, made


@given(st.lists(intervals, max_size=5))
def test_merged_are_apart_and_the_same(asked: list[tuple[int, int]]) -> None:
    made = merged(asked)
    assert all(b + 1 < c for (_, b), (c, _) in itertools.pairwise(made))
    for end in [end for pair in asked for end in pair]:
        for n in (end - 1, end, end + 1):
            assert any(a <= n <= b for a, b in made) == any(a <= n <= b for a, b in asked)


@given(st.lists(intervals, max_size=3), st.sampled_from([0, 4, 6]))
def test_families_do_not_overlap(asked: list[tuple[int, int]], family: int) -> None:
    for a, b in within(asked, family):
        assert a <= b
        assert family == 0 or (a >= V4 and b <= V4_LAST) == (family == 4)


@pytest.mark.parametrize(
    ("text", "first", "last", "family"),
    [
        ("10.0.0.1", V4 + 0x0A000001, V4 + 0x0A000001, 4),
        ("10.0.0.77/8", V4 + 0x0A000000, V4 + 0x0AFFFFFF, 4),
        ("::ffff:10.0.0.1", V4 + 0x0A000001, V4 + 0x0A000001, 4),
        ("FD00::/8", 0xFD << 120, (0xFE << 120) - 1, 6),
        ("::/0", 0, LAST, 6),
        ("0.0.0.0/0", V4, V4_LAST, 4),
    ],
)
def test_notations(text: str, first: int, last: int, family: int) -> None:
    assert read_address(text) == addresses.Network(first, last, family)


@pytest.mark.parametrize(
    "text", ["", "10", "10.0.0", "10.0.0.256", "10.0.0.1/33", "fe80::1%eth0", "1.2.3.4/255.0.0.0", ":", "::1/129"]
)
def test_what_is_no_address(text: str) -> None:
    assert read_address(text) is None


@given(st.integers(0, LAST))
def test_texts_are_canonical(number: int) -> None:
    text = address_text(number)
    found = read_address(text)
    assert found is not None
    assert found.first == found.last == number
    assert (":" not in text) == (V4 <= number <= V4_LAST)
    assert text == text.lower()
    assert text == str(ipaddress.ip_address(text))
