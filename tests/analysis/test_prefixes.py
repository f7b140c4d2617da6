"""Prefixes in SQL, as text and as filters say what Python's ipaddress says."""

from __future__ import annotations

import ipaddress

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.analysis.prefixes import MAPPED, Prefix, address_of, halves_order, key_of, prefix_sql
from workbench.filters import compile_filter

NEAR = [0, 1, 0x0A000000, 0x0A0000FF, 0x0A000100, 0x7FFFFFFF, 0x80000000, 0xC0A80A09, 0xFFFFFFFF]
HIGH = [0, 1, 0xFFFF, 2**32, (0xFD << 120) + 5, (0xFE80 << 112) + (3 << 64), (0x20010DB8 << 96) + 7, 2**128 - 1]
v4 = st.one_of(st.sampled_from(NEAR), st.integers(0, 2**32 - 1)).map(ipaddress.IPv4Address)
v6 = st.one_of(st.sampled_from(HIGH), st.integers(0, 2**128 - 1)).map(ipaddress.IPv6Address)
addresses = st.one_of(v4, v6.filter(lambda a: a.ipv4_mapped is None))
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def packed(address: Address) -> bytes:
    return address.packed if address.version == 6 else MAPPED + address.packed


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("CREATE TABLE held (src_ip VARCHAR, src_addr BLOB, dst_ip VARCHAR, dst_addr BLOB, src_hi BIGINT, src_lo BIGINT)")
    return made


@settings(deadline=None, max_examples=60)
@given(st.lists(addresses, min_size=1, max_size=6), st.integers(0, 32), st.integers(0, 128))
def test_sql_text_and_filter_agree_with_ipaddress(
    con: duckdb.DuckDBPyConnection, held: list[Address], short: int, long: int
) -> None:
    con.execute("DELETE FROM held")
    halves = [(int.from_bytes(packed(a)[:8], signed=True), int.from_bytes(packed(a)[8:], signed=True)) for a in held]
    rows = [(str(a), packed(a), packed(v4_one), *half) for a, half in zip(held, halves, strict=True)]
    con.executemany("INSERT INTO held VALUES (?, ?, '192.0.2.1', ?, ?, ?)", rows)
    upper, lower = prefix_sql("src_hi", "src_lo", short, long)
    found = con.execute(f"SELECT {upper}, {lower} FROM held").fetchall()
    for address, first in zip(held, found, strict=True):
        made = Prefix.of_key(key_of(*first, short, long), short, long)
        assert made.address == address_of(*first)
        expected = ipaddress.ip_network((address, short if address.version == 4 else long), strict=False)
        assert made.is_v4 == (address.version == 4)
        assert ipaddress.ip_network(str(made)) == expected
        assert str(made) == (str(expected) if not made.is_host else str(expected.network_address))
        assert made.last == packed(expected.broadcast_address)
        inside = [a.version == expected.version and a in expected for a in held]
        condition, values = made.condition("src_addr")
        assert [row[0] for row in con.execute(f"SELECT {condition} FROM held", values).fetchall()] == inside
        kept = compile_filter(made.kept("src"))
        assert [bool(r[0]) for r in con.execute(f"SELECT {kept.sql} FROM held", list(kept.params)).fetchall()] == inside


v4_one = ipaddress.IPv4Address("192.0.2.1")


def test_which_side_a_filter_keeps() -> None:
    prefix = Prefix.of_key(packed(ipaddress.IPv4Address("10.0.7.0"))[:15], 24, 64)
    assert prefix.kept() == "addr == 10.0.7.0/24"
    assert prefix.kept("src") == "src_ip == 10.0.7.0/24"
    assert prefix.kept("dst") == "dst_ip == 10.0.7.0/24"


def test_no_address_has_no_prefix(con: duckdb.DuckDBPyConnection) -> None:
    for lengths in ((8, 32), (13, 45), (0, 0), (32, 128)):
        assert con.execute(f"SELECT {', '.join(prefix_sql('(NULL::BIGINT)', '(NULL::BIGINT)', *lengths))}").fetchone() == (
            None,
            None,
        )


@pytest.mark.parametrize(("short", "long"), [(-1, 64), (33, 64), (24, 129), (24, -1)])
def test_lengths_that_there_are_not(short: int, long: int) -> None:
    with pytest.raises(ValueError, match="no prefixes"):
        prefix_sql("src_hi", "src_lo", short, long)


def test_bytes_that_are_no_key() -> None:
    with pytest.raises(ValueError, match="no key"):
        Prefix.of_key(b"\x20\x01", 24, 64)


@given(st.lists(addresses, min_size=2, max_size=8))
def test_halves_are_ordered_as_bytes_are(con: duckdb.DuckDBPyConnection, held: list[Address]) -> None:
    wide = [packed(address) for address in held]
    halves = [[int.from_bytes(one[n : n + 8], signed=True) for one in wide] for n in (0, 8)]
    sql = f"SELECT a, b FROM (SELECT unnest(?::BIGINT[]) AS a, unnest(?::BIGINT[]) AS b) ORDER BY {halves_order('a', 'b')}"
    assert [address_of(*row) for row in con.execute(sql, halves).fetchall()] == sorted(wide)
