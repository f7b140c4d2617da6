from __future__ import annotations

import ipaddress
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.dns_wire import (
    Said,
    address,
    answer,
    framed,
    handed_over,
    message,
    name,
    netbios,
    query,
    question,
    record,
)
from workbench.decode.application import dns, llmnr, mdns, nbns
from workbench.decode.application.dns_names import KINDS
from workbench.decode.application.dns_reader import DnsReader
from workbench.decode.application.protocol import Context, Protocol, Read
from workbench.records.columns import BY_NAME


def read(reader: DnsReader, said: list[Said], ended: list[int] | None = None) -> Read:
    rows, arena = handed_over(said)
    return reader.read(rows, arena, np.array(ended or [], np.int64))


def table(got: Read) -> list[dict[str, Any]]:
    if "dns" not in got.tables:
        return []
    columns = got.tables["dns"]
    assert set(columns) == {"n", *BY_NAME["dns"].names} - {"flow_id"}
    lists = {key: column.tolist() if isinstance(column, np.ndarray) else column.to_pylist() for key, column in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def rows(*said: Said, ended: list[int] | None = None) -> list[dict[str, Any]]:
    return table(read(DnsReader(), list(said), ended))


def answered(*records: bytes, qtype: int = 1, flags: int = 0x8180) -> dict[str, Any]:
    (row,) = rows(Said(0, 1, answer("example.com", records, qtype, flags=flags), side=1))
    return row


def test_a_query_and_its_answer_are_a_row() -> None:
    records = [record(5, name("web.example.net"), ttl=60), address("192.0.2.7"), address("2001:db8::7", 0xFFFFFFFF)]
    reply = answer("www.Example.COM", records)
    (row,) = rows(Said(3, 1.5, query("wWw.example.com")), Said(3, 1.523001, reply, side=1))
    assert row == {
        "n": 3,
        "ts": 1_500_000,
        "query": "www.example.com",
        "qtype": "A",
        "qclass": "IN",
        "rcode": "NOERROR",
        "answers": "web.example.net,192.0.2.7,2001:db8::7",
        "ttls": "60,300,4294967295",
        "rtt_us": 23_001,
        "trans_id": 7,
        "kind": "dns",
        "opcode": "QUERY",
        "flags": "rd,ra",
        "query_bytes": len(query("www.example.com")),
        "answer_bytes": len(reply),
    }


def test_over_tcp_two_bytes_of_length_stand_ahead() -> None:
    said = [
        Said(0, 1, framed(query("a.example")), proto=6),
        Said(0, 2, framed(answer("a.example", [address("192.0.2.1")])), 1, proto=6),
    ]
    (row,) = rows(*said)
    assert (row["query"], row["answers"], row["rtt_us"]) == ("a.example", "192.0.2.1", 1_000_000)
    assert row["query_bytes"] == len(query("a.example"))


def test_nobody_answers_until_the_flow_ends_or_half_a_minute_has_passed() -> None:
    reader = DnsReader()
    assert table(read(reader, [Said(0, 10, query("a.example")), Said(1, 11, query("b.example", 28))])) == []
    (row,) = table(read(reader, [], [1]))
    assert (row["query"], row["qtype"], row["rcode"], row["answers"], row["rtt_us"]) == ("b.example", "AAAA", None, None, None)
    assert (row["answer_bytes"], row["flags"]) == (None, "rd")
    assert table(read(reader, [Said(2, 40, query("c.example"))])) == []
    (late,) = table(read(reader, [Said(2, 40.1, answer("c.example"), side=1), Said(2, 40.2, query("d.example"))], [5, 9]))[1:]
    assert (late["n"], late["query"]) == (0, "a.example")
    (after,) = table(read(reader, [Said(0, 41, answer("a.example"), side=1)]))
    assert (after["rtt_us"], after["query_bytes"], after["rcode"]) == (None, None, "NOERROR")


def test_an_answer_half_a_minute_later_is_nobodys_wherever_the_blocks_end() -> None:
    said = [Said(0, 1, query("a.example")), Said(0, 31.1, answer("a.example"), side=1)]
    together = rows(*said)
    reader = DnsReader()
    apart = [row for one in said for row in table(read(reader, [one]))]
    assert sorted(map(str, together)) == sorted(map(str, apart))
    assert [row["rtt_us"] for row in together] == [None, None]


def test_answers_find_their_query_by_flow_id_and_question() -> None:
    got = rows(
        Said(0, 1, query("a.example", ident=1)),
        Said(1, 2, query("a.example", ident=1)),
        Said(0, 3, query("a.example", ident=2)),
        Said(0, 4, query("b.example", ident=1)),
        Said(0, 5, query("a.example", ident=1)),  # asked again: the first is answered
        Said(0, 6, answer("b.example", ident=1), side=1),
        Said(0, 7, answer("a.example", ident=1), side=1),
        Said(1, 8, answer("a.example", ident=1), side=1),
        Said(0, 9, answer("a.example", qtype=28, ident=1), side=1),
        Said(0, 10, message(1, 0x8185), side=1),  # without a question, as some refuse
        ended=[0, 1],
    )
    assert [(row["ts"] // 1_000_000, row["rtt_us"], row["rcode"]) for row in got] == [
        (4, 2_000_000, "NOERROR"),
        (1, 6_000_000, "NOERROR"),
        (2, 6_000_000, "NOERROR"),
        (9, None, "NOERROR"),
        (5, 5_000_000, "REFUSED"),
        (3, None, None),
    ]
    assert got[4]["query"] == "a.example"


@pytest.mark.parametrize(
    ("rtype", "data", "shown"),
    [
        (2, name("ns1.example.com"), "ns1.example.com"),
        (12, name("host.example.com"), "host.example.com"),
        (39, b"\0", "."),
        (15, struct.pack(">H", 10) + name("mx.example.com"), "10 mx.example.com"),
        (33, struct.pack(">HHH", 0, 5, 389) + b"\2dc\xc0\x0c", "0 5 389 dc.example.com"),
        (6, name("ns1.example.com") + name("admin.example.com") + bytes(20), "ns1.example.com"),
        (16, b"\x05hello", "TXT 6"),
        (65, bytes(30), "HTTPS 30"),
        (54, b"", "TYPE54 0"),
        (65280, bytes(3), "TYPE65280 3"),
        (1, bytes(5), "A 5"),
        (28, bytes(4), "AAAA 4"),
        (15, bytes(2), "MX 2"),
    ],
)
def test_data_is_shown_where_it_is_a_name(rtype: int, data: bytes, shown: str) -> None:
    row = answered(record(rtype, data), address("192.0.2.9"))
    assert row["answers"] == f"{shown},192.0.2.9"
    assert row["ttls"] == "300,300"


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "1::",
        "2001:db8::1:0:0:1",
        "1:0:2:0:3:0:4:0",
        "1:2:3:4:5:6:7:8",
        "fe80::a:0:0:b",
        "0:1::",
        "1:0:0:2::3",
        "::2:0:0:0",
    ],
)
def test_addresses_are_written_as_rfc_5952_has_them(text: str) -> None:
    assert answered(address(text), qtype=28)["answers"] == str(ipaddress.ip_address(text))


def test_mapped_addresses_end_in_dotted_decimals() -> None:
    assert answered(address("::ffff:192.0.2.1"), qtype=28)["answers"] == "::ffff:192.0.2.1"


def test_names_are_escaped_as_in_a_zone_file() -> None:
    label = b'a.b\\"(c);@$, \x1b\xff-_'
    (row,) = rows(Said(0, 1, query(bytes([len(label)]) + label + b"\2IO\0")), ended=[0])
    assert row["query"] == 'a\\.b\\\\\\"\\(c\\)\\;\\@\\$\\044\\032\\027\\255-_.io'
    longest = (b"\x3f" + b"\xfe" * 63) * 3 + b"\x3d" + b"\xfe" * 61 + b"\0"
    (row,) = rows(Said(0, 1, query(longest)), ended=[0])
    assert row["query"] == ".".join(["\\254" * 63] * 3 + ["\\254" * 61])


@pytest.mark.parametrize(
    "asked",
    [
        b"\xc0\x0c\0\1\0\1",  # to itself
        b"\xc0\x04\0\1\0\1",  # into the header
        b"\1a\xc0\x0c\0\1\0\1",  # a loop
        b"\x40a\0\0\1\0\1",
        b"\x3f" + b"a" * 30,
        b"\1a\0\0\1\0",
        b"\1a\xc0",
        (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",  # longer than a name may be
    ],
)
def test_names_that_cannot_be_are_counted(asked: bytes) -> None:
    got = read(DnsReader(), [Said(0, 1, message(7, 0x0100, [asked]))], [0])
    assert (got.malformed, table(got), got.seen) == (1, [], [0])


def test_a_name_may_hide_behind_a_pointer_forward() -> None:
    hidden = message(7, 0x0100, [b"\xc0\x12\0\1\0\1", question("evil.example")])
    assert rows(Said(0, 1, hidden), ended=[0])[0]["query"] == "evil.example"


def test_what_is_malformed_behind_the_question_leaves_what_was_before() -> None:
    whole = answer("a.example", [address("192.0.2.1"), address("192.0.2.2")])
    got = read(DnsReader(), [Said(0, 1, whole[:-3], side=1), Said(1, 1, whole[:-3], side=1, whole=len(whole))])
    assert [row["answers"] for row in table(got)] == ["192.0.2.1", "192.0.2.1"]
    assert [row["answer_bytes"] for row in table(got)] == [len(whole) - 3, len(whole)]
    assert (got.malformed, got.seen.tolist()) == (1, [1, 1])  # a message that was cut is not malformed
    broken = answer("a.example", [address("192.0.2.1"), record(5, b"\xc0\xff")])
    assert table(read(DnsReader(), [Said(0, 1, broken)]))[0]["answers"] == "192.0.2.1"


def test_away_from_home_all_of_it_must_be_readable() -> None:
    whole = answer("a.example", [address("192.0.2.1")])
    away = (40000, 9953)
    got = read(DnsReader(), [Said(0, 1, whole, 1, away), Said(0, 2, whole[:-1], 1, away), Said(0, 3, whole[:-1], 1)])
    assert got.seen is not None
    assert got.seen.tolist() == [1, 0, 1]
    broken = message(7, 0x8180, [question("a.example")], [record(5, b"\xc0\xff")])
    fragment = [Said(0, 1, whole[:-1], 1, away, whole=len(whole)), Said(0, 2, broken, 1, away, whole=900)]
    assert [row["ts"] for row in table(got)] == [1_000_000, 3_000_000]
    got = read(DnsReader(), fragment)  # what was cut must be right as far as it goes
    assert (got.malformed, [row["ts"] for row in table(got)]) == (0, [1_000_000])


def test_multicast_dns_announces_without_being_asked() -> None:
    ports = (5353, 5353)
    asked = message(0, 0, [question("_ipp._tcp.local", 12, 0x8001)])
    told = message(0, 0x8400, [], [record(12, b"\3hp \5local\0", name("_ipp._tcp.local"), 4500, 0x8001)])
    got = read(
        DnsReader(), [Said(0, 1, asked, ports=ports), Said(0, 2, told, ports=ports), Said(1, 3, told, ports=ports)], [0, 1]
    )
    first, second, third = table(got)
    assert (first["query"], first["answers"], first["kind"], first["flags"], first["qtype"]) == (
        None,
        "hp\\032.local",
        "mdns",
        "aa",
        None,
    )
    assert (second["n"], second["ttls"]) == (1, "4500")
    assert (third["query"], third["qtype"], third["qclass"], third["rcode"]) == ("_ipp._tcp.local", "PTR", "IN", None)


def test_link_local_multicast_names() -> None:
    got = read(DnsReader(), [Said(0, 1, query("wpad", flags=0), ports=(50000, 5355))], [0])
    assert [(row["kind"], row["query"], row["flags"]) for row in table(got)] == [("llmnr", "wpad", "")]


def test_netbios_names_are_decoded() -> None:
    ports = (137, 137)
    asked = message(9, 0x0110, [question(netbios("WORKGROUP", 0x1B), 32)])
    held = record(32, b"\0\0\xc0\0\2\5", netbios("WORKGROUP", 0x1B), 60)
    status = record(33, bytes(65), netbios("*"))
    got = rows(
        Said(0, 1, asked, ports=ports),
        Said(0, 1.5, message(9, 0x8580, [], [held]), 1, ports),
        Said(0, 2, message(10, 0x8580 | 3, [], [status]), 1, ports),
        Said(0, 3, message(11, 0x2910, [question(netbios("PC-1")[:-1] + b"\5scope\0", 32)]), ports=ports),
        Said(0, 4, query("plain.example", 1), ports=ports),
        Said(0, 5, query(b"\x20" + b"Z" * 32 + b"\0", 300), ports=ports),
        ended=[0],
    )
    assert [row["query"] for row in got] == ["workgroup<1b>", "*<00>", "pc-1<00>.scope", "plain.example", "z" * 32]
    assert [row["answers"] for row in got] == ["192.0.2.5", "NBSTAT 65", None, None, None]
    assert [row["qtype"] for row in got] == ["NB", "NBSTAT", "NB", "A", "TYPE300"]
    assert [row["opcode"] for row in got] == ["QUERY", "QUERY", "REGISTRATION", "QUERY", "QUERY"]
    assert [row["rcode"] for row in got] == ["NOERROR", "NAM_ERR", None, None, None]
    assert [row["flags"] for row in got] == ["aa,rd,ra", "aa,rd,ra", "rd,b", "rd", "rd"]
    assert got[0]["rtt_us"] == 500_000


def test_numbers_without_a_name_say_so() -> None:
    (row,) = rows(Said(0, 1, message(1, 0xBB0F, [question("x", 65280, 65000)]), side=1))
    assert (row["qtype"], row["qclass"], row["rcode"], row["opcode"], row["flags"]) == (
        "TYPE65280", "CLASS65000", "RCODE15", "OPCODE7", "tc,rd",
    )  # fmt: skip
    (row,) = rows(Said(0, 1, message(1, 0x2800, [question("x", 6, 42)])), ended=[0])
    assert (row["qtype"], row["qclass"], row["opcode"]) == ("SOA", "CLASS42", "UPDATE")


def test_edns_adds_to_the_response_code() -> None:
    reply = message(
        7, 0x8180, [question("a.example")], [], [record(6, name("x") + bytes(21))], [record(41, b"", b"\0", 0x01008000)]
    )
    assert rows(Said(0, 1, reply))[0]["rcode"] == "BADVERS"


def test_a_list_without_end_is_cut() -> None:
    many = [address("192.0.2.1")] * 600
    (row,) = rows(Said(0, 1, answer("a.example", many)))
    assert row["answers"].startswith("192.0.2.1,192.0.2.1,")
    assert row["answers"].endswith(",...")
    assert 4000 < len(row["answers"]) < 4300
    roots = [record(2, b"\0", b"\0", 0xFFFFFFFF)] * 3000
    (row,) = rows(Said(0, 1, answer("a.example", roots)))
    assert len(row["ttls"]) < 4300


def test_more_than_buffers_hold_comes_in_pieces() -> None:
    text = ".".join(["x" * 60] * 4)
    said = [Said(k, k / 1e5, answer(text, [address("192.0.2.1")] * 250, ident=k % 65536)) for k in range(600)]
    said += [Said(k, 1 + k / 1e5, query(text, ident=k)) for k in range(20_000)]
    got = rows(*said, ended=list(range(20_000)))
    assert len(got) == 20_600
    assert {row["query"] for row in got} == {text}
    assert sum(row["answers"] is not None for row in got) == 600


def test_the_oldest_give_way_when_too_many_wait() -> None:
    reader = DnsReader()
    first = table(read(reader, [Said(k, 1, query("a.example")) for k in range(32_768 + 3)]))
    assert [row["n"] for row in first] == [0, 1, 2]
    assert len(table(read(reader, [Said(5, 2, answer("a.example"), 1)], list(range(40_000))))) == 32_768
    assert len(table(read(reader, [Said(k, 3, query("b.example")) for k in range(40_000)], list(range(40_000))))) == 40_000


def test_one_flow_that_asks_the_same_for_ever_costs_no_more() -> None:
    reader = DnsReader()
    got = table(
        read(
            reader,
            [Said(0, 1, query("a.example", ident=0)) for _ in range(20_000)]
            + [Said(0, 2, answer("a.example", ident=0), 1)] * 20_000,
        )
    )
    assert sum(row["rtt_us"] is not None for row in got) == 20_000


def test_nothing_is_read_without_bytes() -> None:
    messages, arena = handed_over([Said(0, 1, query("a.example")), Said(0, 1, b""), Said(0, 1, b"\0", proto=6)])
    messages["flags"][0] = 2
    got = DnsReader().read(messages, arena, np.empty(0, np.int64))
    assert (got.tables, got.seen.tolist(), got.malformed) == ({}, [0, 0, 0], 2)
    messages["at"] = 1 << 40
    assert DnsReader().read(messages, arena, np.empty(0, np.int64)).tables == {}


@pytest.mark.parametrize("protocol", [dns.PROTOCOL, mdns.PROTOCOL, llmnr.PROTOCOL, nbns.PROTOCOL])
def test_the_protocols_make_their_reader(protocol: Protocol) -> None:
    assert protocol.batch is not None
    assert protocol.batch(Context()).read(*handed_over([]), np.empty(0, np.int64)).tables == {}
    assert protocol.name in KINDS


WHOLE = [
    query("www.example.com"),
    answer("www.example.com", [record(5, b"\3cdn\xc0\x10"), address("192.0.2.7"), address("2001:db8::7")]),
    answer("_ldap._tcp.example.com", [record(33, struct.pack(">HHH", 0, 5, 389) + b"\2dc\xc0\x0c")], 33),
    message(0, 0x8400, [], [record(12, b"\3hp \5local\0", name("_ipp._tcp.local")), record(16, b"\5hello", b"\xc0\x0c")]),
    message(9, 0x8580, [], [record(32, b"\0\0\xc0\0\2\5", netbios("WORKGROUP", 0x1B), 60)]),
]
PORTS = [(40000, 53), (5353, 5353), (50000, 5355), (137, 137), (40000, 9953)]


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A message with bytes changed, cut, or continued with another."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(
            st.one_of(st.sampled_from([0, 0x3F, 0xC0, 0x0C, 0xFF]), st.integers(0, 255))
        )
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        other = draw(st.sampled_from(WHOLE))
        data[at:] = other[draw(st.integers(0, len(other))) :] if draw(st.booleans()) else b""
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(bent(), st.sampled_from(PORTS), st.integers(0, 2), st.sampled_from([6, 17]), st.integers(0, 40)), max_size=8
    )
)
def test_whatever_comes_rows_are_whole(parts: list[tuple[bytes, tuple[int, int], int, int, int]]) -> None:
    said = [Said(n, ts, framed(data) if proto == 6 else data, 0, ports, proto) for data, ports, n, proto, ts in parts]
    reader = DnsReader()
    got = table(read(reader, said)) + table(read(reader, [], [0, 1, 2]))
    assert len(got) <= len(said)
    for row in got:
        assert row["kind"] in ("dns", "mdns", "llmnr", "nbns")
        assert all(value is None or (value.isascii() and value.isprintable()) for value in row.values() if isinstance(value, str))
        assert (row["rtt_us"] is None) or 0 <= row["rtt_us"] <= 30_000_000
        if row["answers"] is not None:
            assert row["answers"].count(",") == row["ttls"].count(",")
