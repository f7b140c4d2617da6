"""No text raises anything but a FilterError; what compiles runs, means what it says, and holds no value."""

import re
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.filters.oracle import SECOND, T0, Made, Row, filters, flow_rows
from workbench.errors import FilterError
from workbench.filters import Filter, compile_filter, complete, shown_sql
from workbench.filters.addresses import V4, V4_LAST
from workbench.filters.fields import registry
from workbench.filters.pattern import check_pattern
from workbench.records.columns import TABLES, Type

NOW = T0 + 3600 * SECOND
ODD = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table there is, empty, with all types as cases have them."""
    with duckdb.connect() as made:
        for table in TABLES:
            made.execute(f"CREATE TABLE {table.name} ({', '.join(f'{c.name} {c.type}' for c in table.columns)})")
        yield made


def run(con: duckdb.DuckDBPyConnection, made: Filter) -> list[int]:
    return [row[0] for row in con.execute(f"SELECT flow_id FROM flows WHERE {made.sql} ORDER BY 1", list(made.params)).fetchall()]


def fill(con: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    types = {c.name: c.type for c in next(t for t in TABLES if t.name == "flows").columns}
    con.execute("DELETE FROM flows")
    con.execute("DELETE FROM flow_slices")
    for n, row in enumerate(rows):
        columns = {k: v for k, v in row.items() if k in types} | {"flow_id": n, "source_id": 1, "sampling": 1, "proto_name": "x"}
        marks = ["make_timestamp(?)" if types[name] is Type.TIMESTAMP else "?" for name in columns]
        con.execute(f"INSERT INTO flows ({', '.join(columns)}) VALUES ({', '.join(marks)})", list(columns.values()))
        for one in row["slices"]:
            con.execute(
                "INSERT INTO flow_slices (flow_id, src_pkts, dst_pkts) VALUES (?, ?, ?)", [n, one["src_pkts"], one["dst_pkts"]]
            )


@settings(ODD, max_examples=100)
@given(st.lists(filters, min_size=8, max_size=8), st.lists(flow_rows(), min_size=6, max_size=6))
def test_a_filter_keeps_the_flows_that_it_names(con: duckdb.DuckDBPyConnection, asked: list[Made], rows: list[Row]) -> None:
    fill(con, rows)
    for made in asked:
        compiled = compile_filter(made.text, now=NOW)
        assert compiled.sql.count("?") == len(compiled.params)
        expected = [n for n, row in enumerate(rows) if made.holds(row)]
        assert run(con, compiled) == expected, (made.text, compiled)
        shown = con.execute(f"SELECT flow_id FROM ({shown_sql(compiled)}) ORDER BY 1").fetchall()
        assert [row[0] for row in shown] == expected, shown_sql(compiled)


# --- any text ---------------------------------------------------------------------------------------------------------------

PIECES = [
    *registry().names, "==", "!=", "===", "!==", "~=", "<", "<=", ">", ">=", "contains", "matches", "~", "in", "not in", "{",
    "}", ",", "..", "(", ")", "!", "not", "&&", "||", "^^", "and", "or", "xor", "&", "=", "[0:3]", "len(", '"', "'", "\\",
    "\0", "\ud800", "\u202e", "0", "1", "-1", "443", "0x1bb", "0b1", "010", "99999999999999999999999", "-9223372036854775809",
    "1e400", "1.5", "0.1us", "1MB", "1XB", "9" * 5000, "10.0.0.1", "10.0.0.0/8", "10.0.0.0/33", "::/0", "::ffff:1.2.3.4",
    "fe80::1%eth0", "1.2.3.4/::", "00:0c:29:*", "aa-bb", "2026-11-22", "9999-12-31T23:59:59.999999-23:59", "0000-00-00",
    "2026-02-30", "-15m", "-999999999999w", "now", "-1000000h", "1h1h1h", '"2026-11-22 18:00"', "'; DROP TABLE flows; --",
    '"\\xff"', '"\\u0000"', 'r"\\d+"', '"(a{500}){500}"', '"(?=x)"', '"["', '"a**"', '"*"', "te*t", "???", "S0", "true",
    "half", "\u0661", "\u2028", "\x1b[2J",
]  # fmt: skip
glued = st.lists(st.sampled_from(PIECES), max_size=12).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda sign: sign.join(pieces))
)
mutated = st.tuples(filters.map(lambda made: made.text), st.integers(0, 200), st.sampled_from(PIECES)).map(
    lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
)
any_text = st.one_of(
    st.text(max_size=40), st.text(alphabet="abct.port=<>!&|()[]{}\"'\\0123456789:/*? \t\n~,^-", max_size=40), glued, mutated
)


@settings(ODD, max_examples=600)
@given(any_text)
@example("(" * 30_000)
@example("!" * 30_000 + "tcp")
@example("(" * 63 + "tcp" + ")" * 63)
@example("tcp && " * 8_000 + "tcp")
@example("tcp || udp && " * 4_000 + "tcp")
@example("port in {" + ",".join(map(str, range(4096))) + "}")
@example("ip.addr in {" + ",".join(f"10.{n}.0.0/17" for n in range(256)) + "}")
@example("sensor in {" + ",".join(f"x{n}*" for n in range(256)) + "}")
@example("a" * 65_536)
@example("a" * 65_537)
@example('sensor == "' + "\U0010ffff" * 10_000 + '"')
@example('sensor matches "' + "(" * 400 + '"')
def test_any_text_is_a_filter_or_a_filter_error(con: duckdb.DuckDBPyConnection, text: str) -> None:
    try:
        made = compile_filter(text, now=NOW)
    except FilterError as caught:
        error = caught
    else:
        run(con, made)
        con.execute(shown_sql(made)).fetchall()
        return
    assert 0 <= error.position <= len(text)
    assert 0 <= error.length <= len(text) - error.position
    assert error.message


@settings(ODD, max_examples=250)
@given(any_text, st.integers(-5, 60))
def test_completing_never_fails(text: str, cursor: int) -> None:
    seen = ["plain", "with space", 'with "quote"', "*", "\x1b", "\0", "and"]
    for one in complete(text, cursor, lambda column, prefix, limit, guard: seen):
        assert 0 <= one.start <= one.end <= len(text)
        assert one.text


# --- no value in the SQL ----------------------------------------------------------------------------------------------------

#: Quoted texts and numbers that the program itself writes.
OUR_TEXTS = (
    "chr(44)",
    "':'",
    "'::'",
    "'0'",
    "''",
    "'i'",
    "'\\'",
    "'gre'",
    "'erspan1'",
    "'erspan2'",
    "'erspan3'",
    "'vxlan'",
    "'geneve'",
)


@settings(ODD, max_examples=250)
@given(filters, st.integers(10**7, 2**62))
def test_no_value_is_in_the_sql(made: Made, number: int) -> None:
    sql = compile_filter(f"({made.text}) && src_bytes != {number}", now=NOW).sql
    for text in OUR_TEXTS:
        sql = sql.replace(text, "")
    assert "'" not in sql
    assert '"' not in sql
    assert {int(n) for n in re.findall(r"(?<![\w])\d+", sql)} <= {0, 1, 2, 4, 6, 8, 17, 32, 58, V4, V4_LAST}, sql


# --- patterns ---------------------------------------------------------------------------------------------------------------

ATOMS = [
    "a", "Z", "é", ".", "^", "$", "|", "(", ")", "(?:", "(?i:", "(?i)", "(?P<n>", "(?=", "[", "]", "[^", "-", "a-z", "z-a",
    "\\d", "\\W", "\\b", "\\1", "\\pL", "\\x41", "\\x{10ffff}", "\\x{d800}", "\\x{110000}", "\\C", "\\Q", "\\E", "\\.", "\\",
    "*", "+", "?", "{2}", "{2,5}", "{1000}", "{1001}", "{5,2}", "{3,}", "{", "}", "[:alpha:]", "[[:alpha:]]",
    "[[:nonesuch:]]", "\\n", "\\_", "{0}", "{31}", "{33}", "\u2028", "[a-\\d]", "\\8", "[\\b]", "[]a]", "[^]a]", "[a-]",
    "[-a]", "[a-b-c]", "&&", "~~",
]  # fmt: skip


@settings(ODD, max_examples=1000)
@given(st.one_of(st.lists(st.sampled_from(ATOMS), max_size=10).map("".join), st.text(max_size=15)))
@example("((((a{10}){10}){10}){10}){10}")
@example("(" * 48 + "a" + ")" * 48)
@example("[a-z]{1000}")
@example(".{1000}")
@example("(a|b|c|d|e){200}" * 3)
@example("\\W" * 400)
def test_what_passes_the_check_re2_takes(con: duckdb.DuckDBPyConnection, pattern: str) -> None:
    if "\0" in pattern or check_pattern(pattern) is not None:
        return
    try:
        pattern.encode()
    except UnicodeEncodeError:
        return
    con.execute("SELECT regexp_matches(x, ?, 'i') FROM (VALUES ('some text'), ('')) t(x)", [pattern]).fetchall()


@pytest.mark.parametrize(
    "pattern",
    [
        "^a.*b$",
        "(foo|bar)+",
        "[a-z0-9_.-]{2,5}",
        r"\d{1,3}\.\d+",
        "(?i)x",
        "[[:alpha:]]+",
        r"\x41",
        "a{0,}",
        "",
        "é+",
        "[]a]",
        r"^\w+\s*$",
    ],
)
def test_usual_patterns_pass(pattern: str) -> None:
    assert check_pattern(pattern) is None
