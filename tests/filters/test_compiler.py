"""What filters compile to: the condition, its values, the names used."""

import pickle

import pytest

from workbench.errors import FilterError
from workbench.filters import compile_filter
from workbench.filters.fields import build
from workbench.records.columns import TABLES, Column, Table, Type


def test_a_blank_filter_keeps_everything() -> None:
    for text in ("", "  \t\n"):
        made = compile_filter(text)
        assert (made.sql, made.params, made.fields, made.needs) == ("true", (), (), ())


def test_values_are_parameters() -> None:
    made = compile_filter("tcp.dstport in {22, 445} && sensor == 'x; DROP' && src_bytes > 1MB")
    assert made.params == (22, 445, "x; DROP", 1_000_000)
    assert made.sql == "((proto = 6 AND dst_port IN (?, ?)) AND sensor = ? AND src_bytes > ?)"
    assert made.fields == ("tcp.dstport", "sensor", "src_bytes")


@pytest.mark.parametrize(
    ("text", "sql", "params"),
    [
        ("service == dcerpc", "list_contains(string_split(service, chr(44)), ?)", ("dcerpc",)),
        ("service in {smb, nfs}", "list_has_any(string_split(service, chr(44)), [?, ?])", ("smb", "nfs")),
        ('service == "smb,dcerpc"', "service = ?", ("smb,dcerpc",)),
        ("service === smb", "service = ?", ("smb",)),
        ('service == "s*"', "(starts_with(service, ?) OR contains(service, ?))", ("s", ",s")),
        ('service == "s?b"', "length(regexp_extract(service, ?)) > 0", ("(^|,)s[^,]b(,|$)",)),
        ("conn_state == SF", "conn_state = ?", ("SF",)),
    ],
)
def test_a_stack_of_services_is_asked_name_by_name(text: str, sql: str, params: tuple[str, ...]) -> None:
    made = compile_filter(text)
    assert (made.sql, made.params) == (sql, params)


def test_a_pattern_of_a_service_is_bounded() -> None:
    with pytest.raises(FilterError, match="more than 1000 characters"):
        compile_filter(f'service == "{"?x" * 501}"')


def test_conditions_of_one_group_on_another_table_hold_for_one_row() -> None:
    made = compile_filter("links.cause == half && tcp && links.conversation_id > 5")
    assert made.sql == "(flow_id IN (SELECT flow_id FROM links WHERE (cause = ? AND conversation_id > ?)) AND proto = 6)"
    assert made.needs == ("links",)
    apart = compile_filter("(links.cause == half && tcp) && links.conversation_id > 5")
    assert apart.sql.count("SELECT flow_id FROM links") == 2


@pytest.mark.parametrize(
    ("text", "message", "position", "length", "near"),
    [
        ("tcp.prot == 443", 'unknown field "tcp.prot" at column 1; did you mean tcp.port?', 0, 8, "tcp.port"),
        ('tcp.port == "abc"', '"abc" is not a number, which tcp.port holds (column 13)', 12, 5, None),
        ("tcp.port = 443", "= is not a sign of filters at column 10", 9, 1, "=="),
        ("tcp.port ==", "a value is missing at column 12", 11, 0, None),
        ("443 == tcp.port", 'a field was expected, not "443" (column 1)', 0, 3, None),
        ("ip.addr == fd00::1", '"fd00::1" is an IPv6 address, ip.addr holds IPv4 (column 12)', 11, 7, None),
        ("tcp.port == 70000", '"70000" is out of range for tcp.port (0 to 65535) (column 13)', 12, 5, None),
        ("src_bytes == 99999999999999999999", '"99999999999999999999" is out of range for src_bytes', 13, 20, None),
        ("ts >= -15", '"-15" has no unit: -15s, -15m or -15h (column 7)', 6, 3, None),
        ("ts == 2026-02-30", '"2026-02-30" is no time there ever was', 6, 10, None),
        ("ts == 2026-01-01T00:00:00.1234567Z", "finer than the microsecond that times are kept to", 6, 28, None),
        ("tcp.port in 3", 'a set was expected, not "3" at column 13', 12, 1, "{"),
        ("tcp.port in {9..1}", "the range 9..1 goes backwards (column 14)", 13, 4, None),
        ("tcp.port contains 4", "contains is for text; tcp.port holds a number (column 10)", 9, 8, None),
        ("tcp.port == 1 == 2", 'a second comparison, "==", at column 15', 14, 2, "&&"),
        ("tcp.port 443", 'a comparison was expected, not "443" at column 10', 9, 3, "=="),
        ("eth.src[0:3] == 1", "slices are not supported at column 8", 7, 1, None),
        ("len(sensor) > 3", "functions such as len() are not supported at column 4", 3, 1, None),
        ("sensor == a b", '"b" does not follow at column 13', 12, 1, None),
        ('sensor == "abc', 'a text that begins with " and never ends at column 11', 10, 4, '"'),
        ('sensor matches "a**"', "* repeats nothing in the pattern at column 16", 15, 5, None),
        ("src_flags & 010", '"010" may mean an octal number (column 13)', 12, 3, None),
        ("arp", "ARP packets are part of no flow, so no flow is ARP (column 1)", 0, 3, None),
        ("tcp == 6", '"tcp" is a protocol or table: it is there or not, it has no value (column 5)', 4, 2, None),
        ("frame.time == 5", "of a flow's packets only the first and last time are known", 11, 2, None),
        ("tcp)", "a ) without its ( at column 4", 3, 1, None),
        ("tcp &&", "a condition is missing at column 7", 6, 0, None),
        ("a\0", "a filter cannot have the character U+0000 (column 2)", 1, 1, None),
        ("(tcp || udp", "a parenthesis is not closed at column 12", 11, 0, ")"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str, position: int, length: int, near: str | None) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    error = caught.value
    assert message in error.message
    assert (error.position, error.length, error.near) == (position, length, near)
    assert int(error.exit_code) == 2


def test_a_table_that_the_case_lacks_is_said() -> None:
    with pytest.raises(FilterError, match="this case has no table links"):
        compile_filter("links.cause == half", tables=["flows"])


def test_a_table_that_is_added_brings_its_fields_and_aliases() -> None:
    """What a later table needs here: nothing, where its columns are named as the aliases expect."""
    dns = Table("dns", "questions", (Column("flow_id", Type.BIGINT, "flow"), Column("query", Type.VARCHAR, "name")))
    names = build([*TABLES, dns])
    made = compile_filter('dns && dns.qry.name contains "corp" && dns.query != "corp.example"', names=names)
    assert made.sql == (
        "flow_id IN (SELECT flow_id FROM dns WHERE (contains(query, ?) AND (query IS NOT NULL AND (query = ?) IS NOT TRUE)))"
    )
    assert made.needs == ("dns",)


def test_times_are_exact_to_the_microsecond() -> None:
    made = compile_filter("ts == 2026-11-22T18:00:00.123456+01:30 || ts == -1us || ts == 1700000000.000001", now=1_000_000)
    assert made.params == (1795365000123456, 999_999, 1_700_000_000_000_001)


def test_an_error_survives_pickling() -> None:
    error = FilterError("m", "r", position=3, length=2, near="n")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.remedy, copy.position, copy.length, copy.near) == ("m", "r", 3, 2, "n")


def test_many_conditions_stay_as_flat_as_the_database_takes_them() -> None:
    duckdb = pytest.importorskip("duckdb")
    made = compile_filter(" ^^ ".join(["tcp", "udp", "dst_port == 53"] * 1001))
    row = "SELECT 6 AS proto, 53 AS dst_port, 1 AS flow_id"
    # 1001 of tcp are true, none of udp, 1001 of the port: an even number
    assert duckdb.sql(f"SELECT {made.sql} AS kept FROM ({row})", params=made.params).fetchall() == [(False,)]
    often = " && ".join(f"!(links.conversation_id == {n})" for n in range(128))
    asked = compile_filter(often)
    links = "links AS (SELECT 1 AS flow_id, 128 AS conversation_id)"
    sql = f"WITH {links}, flows AS ({row}) SELECT count(*) FROM flows WHERE {asked.sql}"
    assert duckdb.sql(sql, params=asked.params).fetchall() == [(1,)]
    with pytest.raises(FilterError, match="more than 128 times"):
        compile_filter(f"{often} && links.cause == half && (tcp || links.cause == half)")
