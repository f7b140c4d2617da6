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


def in_halves(number: int) -> tuple[int, int]:
    packed = number.to_bytes(16, "big")
    return int.from_bytes(packed[:8], "big", signed=True), int.from_bytes(packed[8:], "big", signed=True)


@given(st.lists(intervals, min_size=1, max_size=3), st.lists(numbers, min_size=1, max_size=8))
def test_text_blob_numbers_and_counting_agree(
    con: duckdb.DuckDBPyConnection, asked: list[tuple[int, int]], held: list[int]
) -> None:
    held = [*held, *(max(0, end - 1) for pair in asked for end in pair), *(end for pair in asked for end in pair)]
    wanted = merged(asked)
    expected = [any(a <= n <= b for a, b in wanted) for n in held]
    rows = [(n, address_text(one), one.to_bytes(16, "big"), *in_halves(one)) for n, one in enumerate(held)]
    con.execute("CREATE OR REPLACE TEMP TABLE held (n INTEGER, t VARCHAR, b BLOB, hi BIGINT, lo BIGINT)")
    con.executemany("INSERT INTO held VALUES (?, ?, ?, ?, ?)", rows)
    numbered = ("hi", "lo")
    for text, blob, halves in (
        ("t", None, None),
        (None, "b", None),
        ("t", "b", None),
        ("t", "b", numbered),
        (None, "b", numbered),
    ):
        made = one_of(text, blob, wanted, halves)
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


PREFIXES = ["::/0", "0.0.0.0/0", "ff00::/8", "::ffff:0:0/96", "::ffff:10.0.0.0/104", "8000::/1", "::/1", "fd00::/63", "fd00::/64"]
PREFIXES += ["fd00::/65", "2001:db8::8000:0:0:0/65", "2001:db8::/127", "10.0.0.0/8", "128.0.0.0/1", "10.0.0.5", "fe80::1"]
prefixes = st.one_of(
    st.sampled_from(PREFIXES).map(ipaddress.ip_network),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda p: ipaddress.ip_network(p, strict=False)),
    st.tuples(st.integers(0, LAST), st.integers(0, 128)).map(lambda p: ipaddress.ip_network(p, strict=False)),
)


@given(prefixes, st.lists(numbers, max_size=6))
def test_a_prefix_of_numbers_is_what_ipaddress_says(
    con: duckdb.DuckDBPyConnection, prefix: ipaddress.IPv4Network | ipaddress.IPv6Network, held: list[int]
) -> None:
    """Mapped addresses are IPv4 addresses: they are in IPv4 prefixes, and in no IPv6 prefix but those of mapped ones."""
    asked = read_address(str(prefix))
    assert asked is not None
    held += [min(max(at, 0), LAST) for end in (asked.first, asked.last) for at in (end - 1, end, end + 1)]
    texts = [ipaddress.ip_address(address_text(one)) for one in held]
    mapped = asked.family == 4
    v4 = (
        ipaddress.ip_network(address_text(asked.first)).supernet(new_prefix=prefix.prefixlen - 96 * (prefix.version == 6))
        if mapped
        else prefix
    )
    expected = [one.version == v4.version and one in v4 for one in texts]
    made = one_of("t", "b", within([(asked.first, asked.last)], asked.family), ("hi", "lo"))
    con.execute("CREATE OR REPLACE TEMP TABLE held (n INTEGER, hi BIGINT, lo BIGINT)")
    con.executemany("INSERT INTO held VALUES (?, ?, ?)", [(n, *in_halves(one)) for n, one in enumerate(held)])
    found = con.execute(f"SELECT {made.text} FROM held ORDER BY n", list(made.params)).fetchall()
    assert [bool(row[0]) for row in found] == expected, made
    family = addresses.family_of(("hi", "lo"), asked.family)
    found = con.execute(f"SELECT {family} FROM held ORDER BY n").fetchall()
    assert [row[0] for row in found] == [one.version == asked.family for one in texts]


def test_no_address_is_in_no_family_and_in_nothing(con: duckdb.DuckDBPyConnection) -> None:
    nothing = "(SELECT NULL::BIGINT AS hi, NULL::BIGINT AS lo)"
    for family in (4, 6):
        assert con.execute(f"SELECT {addresses.family_of(('hi', 'lo'), family)} FROM {nothing}").fetchone() == (None,)
    made = one_of("t", "b", [(0, LAST)], ("hi", "lo"))
    assert con.execute(f"SELECT ({made.text}) IS TRUE FROM {nothing}", list(made.params)).fetchone() == (False,)


def test_many_addresses_of_many_networks_are_one_set_of_texts() -> None:
    few = one_of("t", "b", [(n << 64, n << 64) for n in range(16)], ("hi", "lo"))
    many = one_of("t", "b", [(n << 64, n << 64) for n in range(17)], ("hi", "lo"))
    assert "hi" in few.text
    assert many.text.startswith("t IN (")
