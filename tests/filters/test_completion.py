"""What is offered at the cursor: the cursor is where the § stands."""

import pytest

from workbench.filters import Completion, compile_filter, complete

SEEN = {
    "conn_state": ["SF", "S0", "REJ"],
    "src_ip": ["10.0.0.1", "10.0.0.9"],
    "dst_ip": ["10.0.0.9", "10.1.0.1"],
    "outer_src_ip": [],
    "outer_dst_ip": [],
    "sensor": ["dpu one", 'say "x"', "a*b", "back\\slash", "and"],
    "links.cause": ["half"],
    "service": ["smb,dcerpc", "smb", "tls"],
}


def seen(column: str, prefix: str, limit: int, guard: str) -> list[str]:
    return [value for value in SEEN.get(column, []) if value.startswith(prefix)][:limit]


def offered(marked: str, limit: int = 50) -> list[Completion]:
    cursor = marked.index("§")
    return complete(marked.replace("§", "", 1), cursor, seen, limit)


def texts(marked: str) -> list[str]:
    return [one.text for one in offered(marked)]


def test_fields_begin_so_or_have_a_word_that_does() -> None:
    assert texts("tcp.po§")[0] == "tcp.port"
    assert texts("syn§")[0] == "tcp.flags.syn"
    assert "conn_state" in texts("sta§")
    assert texts("con_state§")[0] == "conn_state"
    assert texts("TCP.DST§") == ["tcp.dstport"]
    assert offered("tcp.port§")[0].detail == "TCP either port"
    assert len(offered("§", limit=7)) == 7


@pytest.mark.parametrize(
    "before", ["", "tcp && ", "tcp and ", "!", "not ", "(", "tcp || !(", "port == 1 ^^ ", "sensor == 'and' && "]
)
def test_a_field_is_wanted_after(before: str) -> None:
    assert "rtt_us" in texts(f"{before}rt§"), before


def test_a_word_is_replaced_whole() -> None:
    one = offered("tcp && ip.a§dd == 10.0.0.1")[0]
    assert (one.start, one.end, one.text, one.kind) == (7, 13, "ip.addr", "field")
    (one,) = [one for one in offered("conn_state == S§XX && tcp") if one.text == "SF"]
    assert (one.start, one.end) == (14, 17)
    (one,) = [one for one in offered('conn_state == "S§') if one.text == '"SF"']
    assert (one.start, one.end) == (14, 16)


def test_names_within_stacks_are_offered() -> None:
    assert texts("service == §") == ["smb", "dcerpc", "tls", '"smb,dcerpc"']
    assert texts("service == dce§") == ["dcerpc"]
    assert texts('service == "smb,§') == ['"smb,dcerpc"']
    assert "===" in texts("service §")
    assert "===" not in texts("conn_state §")


def test_operators_fit_the_field() -> None:
    assert texts("tcp.port §")[:3] == ["==", "!=", "in"]
    assert "contains" in texts("conn_state §")
    assert "contains" not in texts("tcp.port §")
    assert texts("conn_state co§") == ["contains"]
    assert texts("tcp.port =§") == ["=="]
    assert offered("tcp.port =§")[0].start == 9
    assert texts("frame.time §")[:4] == [">=", "<=", ">", "<"]
    assert texts("src_flags §")[-6:-5] == ["&"]
    assert texts("tcp §") == ["and", "or", "xor", "&&", "||"]


def test_values_are_those_seen() -> None:
    assert texts("conn_state == §") == ["SF", "S0", "REJ"]
    assert texts("conn_state == S§") == ["SF", "S0"]
    assert texts("conn_state in {SF, R§") == ["REJ"]
    assert texts("ip.addr == 10.0§") == ["10.0.0.1", "10.0.0.9"]
    assert texts("links.cause == §") == ["half"]
    assert offered("ip.addr == 10.1§")[0] == Completion(11, 15, "10.1.0.1", "value", "seen in dst_ip")
    assert texts("tcp.flags.syn == §") == ["1", "0"]
    assert texts("proto == icmp§") == ["icmp", "icmpv6"]
    assert "-15m" in texts("ts >= -§")
    assert complete("conn_state == ", 14) == []


def test_ports_of_one_protocol_are_looked_for_among_its_flows_responders_first() -> None:
    asked: list[tuple[str, str]] = []

    def source(column: str, prefix: str, limit: int, guard: str) -> list[str]:
        asked.append((column, guard))
        return {"src_port": ["50123"], "dst_port": ["443"]}[column]

    assert [one.text for one in complete("tcp.port == ", 12, source)] == ["443", "50123"]
    assert asked == [("dst_port", "(proto = 6)"), ("src_port", "(proto = 6)")]
    asked.clear()
    complete("src_port == ", 12, source)
    assert asked == [("src_port", "")]


def test_values_mean_themselves_in_the_filter() -> None:
    for text, value in zip(texts("sensor == §"), SEEN["sensor"], strict=True):
        made = compile_filter(f"sensor == {text}")
        assert (made.sql, made.params) == ("sensor = ?", (value,))


def test_after_a_value_conditions_are_joined() -> None:
    assert texts("tcp.port == 443 §") == ["and", "or", "xor", "&&", "||"]
    assert texts("tcp.port == 443 a§") == ["and"]
    assert texts("tcp.port in §") == ["{"]
    assert texts("tcp.port in {80 §") == [",", "}", ".."]
    assert texts("(tcp) §") == ["and", "or", "xor", "&&", "||"]
