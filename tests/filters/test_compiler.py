"""What filters compile to: the condition, its values, the names used."""

import pytest

from workbench.errors import FilterError
from workbench.filters import compile_filter


def test_a_blank_filter_keeps_everything() -> None:
    for text in ("", "  \t\n"):
        made = compile_filter(text)
        assert (made.sql, made.params, made.fields, made.needs) == ("true", (), (), ())


def test_values_are_parameters() -> None:
    made = compile_filter("tcp.dstport in {22, 445} && sensor == 'x; DROP' && src_bytes > 1MB")
    assert made.params == (22, 445, "x; DROP", 1_000_000)
    assert made.sql == "((proto = 6 AND dst_port IN (?, ?)) AND sensor = ? AND src_bytes > ?)"
    assert made.fields == ("tcp.dstport", "sensor", "src_bytes")


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
        ("tcp.port = 443", "= is no sign of the filter language, at column 10", 9, 1, "=="),
        ("tcp.port ==", "a value is missing at column 12", 11, 0, None),
        ("(tcp || udp", "a parenthesis is not closed at column 12", 11, 0, ")"),
    ],
)
def test_errors_say_where_and_what(text: str, message: str, position: int, length: int, near: str | None) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    error = caught.value
    assert (error.message, error.position, error.length, error.near) == (message, position, length, near)
    assert int(error.exit_code) == 2


def test_a_table_that_the_case_lacks_is_said() -> None:
    with pytest.raises(FilterError, match="this case has no table links"):
        compile_filter("links.cause == half", tables=["flows"])
