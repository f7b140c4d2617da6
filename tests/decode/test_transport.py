from __future__ import annotations

import struct

import pytest

from tests.decode.wire import A4, A6, B4, B6, decode, eth, icmp, icmp6, ip4, ip6, ones, pseudo, tcp, tuple5, udp
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812


def over4(proto: int, segment: bytes) -> bytes:
    return eth(0x0800, ip4(proto, segment))


def over6(proto: int, segment: bytes) -> bytes:
    return eth(0x86DD, ip6(proto, segment))


def test_tcp_fields() -> None:
    row = decode(
        over4(6, tcp(40000, 80, b"hello", flags=0x1FF, seq=0xFFFFFFFF, ack=0x80000001, window=65535, options=b"\x01" * 40))
    )
    assert (row["seq"], row["ack"], row["window"], row["flags"]) == (0xFFFFFFFF, 0x80000001, 65535, 0x1FF)
    assert (row["payload"], row["pay_cap"], row["pay"]) == (5, 5, 14 + 20 + 60)
    assert row["marks"] == P.PORTS


@pytest.mark.parametrize("have", range(4, 20))
def test_a_cut_tcp_header_still_gives_a_flow(have: int) -> None:
    packet = over4(6, tcp(40000, 80, bytes(100), flags=0x12, options=b"\x01" * 8))
    row = decode(packet[: 34 + have], wire=len(packet))
    assert tuple5(row) == (A4, B4, 40000, 80, 6)
    assert row["payload"] == (100 if have >= 13 else 108)  # the least header where its length was not captured
    assert row["flags"] == (0x12 if have >= 14 else 0)
    assert row["seq"] == (1000 if have >= 8 else 0)
    assert row["marks"] == P.PORTS | P.CUT | P.L4_UNCHECKED


@pytest.mark.parametrize("proto", [6, 17, 132])
@pytest.mark.parametrize("have", range(4))
def test_without_ports_there_is_no_flow(proto: int, have: int) -> None:
    packet = over4(proto, bytes(60))
    row = decode(packet[: 34 + have], wire=len(packet))
    assert (row["status"], row["reason"], row["detail"]) == (P.UNDECODED, R.TRANSPORT_TRUNCATED, proto)


def test_a_tcp_header_cut_on_the_wire_has_ports_but_no_flags() -> None:
    row = decode(over4(6, tcp(1, 2)[:16]))
    assert (row["src_port"], row["flags"], row["payload"]) == (1, 0, 0)


@pytest.mark.parametrize("offset", [0, 4, 15])
def test_a_tcp_header_that_contradicts_itself(offset: int) -> None:
    segment = bytearray(tcp(1, 2, b"xyz", flags=2))
    segment[12] = offset << 4
    row = decode(over4(6, bytes(segment)))
    assert (row["status"], row["flags"], row["payload"]) == (P.FLOW, 0, 0)
    assert row["marks"] == P.PORTS | P.L4_UNCHECKED


def test_udp_payload_is_by_its_own_length() -> None:
    row = decode(over4(17, udp(1, 2, b"abc") + b"\xee" * 9))
    assert (row["payload"], row["pay_cap"], row["ip_bytes"], row["marks"]) == (3, 3, 40, P.PORTS)


@pytest.mark.parametrize(("said", "payload"), [(0, 10), (1, 0), (7, 0), (8, 0), (17, 9), (18, 10), (19, 10), (65535, 10)])
def test_udp_lengths_that_lie_are_bounded_by_ip(said: int, payload: int) -> None:
    row = decode(over4(17, udp(1, 2, bytes(10), length=said)))
    assert (row["payload"], row["status"]) == (payload, P.FLOW)


@pytest.mark.parametrize("build", [over4, over6])
def test_udp_without_a_checksum(build: object) -> None:
    row = decode(build(17, udp(1, 2, b"abc", check=0)))  # type: ignore[operator]
    # RFC 768 allows it; over IPv6 it is an error (RFC 8200, section 8.1)
    assert row["marks"] == P.PORTS | (P.L4_UNCHECKED if build is over4 else P.L4_BAD)


@pytest.mark.parametrize("have", [4, 5, 6, 7])
def test_a_cut_udp_header(have: int) -> None:
    packet = over4(17, udp(1, 2, bytes(50)))
    row = decode(packet[: 34 + have], wire=len(packet))
    assert (row["src_port"], row["dst_port"], row["payload"], row["pay_cap"]) == (1, 2, 50, 0)


def test_sctp() -> None:
    row = decode(over4(132, struct.pack(">HHII", 36412, 5000, 7, 8) + bytes(16)))
    assert tuple5(row) == (A4, B4, 36412, 5000, 132)
    assert (row["payload"], row["marks"]) == (16, P.PORTS | P.L4_UNCHECKED)


@pytest.mark.parametrize(
    ("kind", "other", "reply"),
    [
        (8, 0, False),
        (0, 8, True),
        (13, 14, False),
        (14, 13, True),
        (15, 16, False),
        (16, 15, True),
        (17, 18, False),
        (18, 17, True),
        (10, 9, False),
        (9, 10, True),
    ],
)
def test_icmp_pairs(kind: int, other: int, reply: bool) -> None:
    row = decode(over4(1, icmp(kind, 5)))
    assert tuple5(row) == (A4, B4, kind, other, 1)
    assert row["marks"] == P.PORTS | P.ICMP_PAIRED | (P.ICMP_REPLY if reply else 0)
    assert row["payload"] == 7


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12, 42, 255])
def test_icmp_one_way_shows_its_code(kind: int) -> None:
    row = decode(over4(1, icmp(kind, 13)))
    assert (row["src_port"], row["dst_port"], row["marks"]) == (kind, 13, P.PORTS)


@pytest.mark.parametrize(
    ("kind", "other", "reply"),
    [
        (128, 129, False),
        (129, 128, True),
        (133, 134, False),
        (134, 133, True),
        (135, 136, False),
        (136, 135, True),
        (130, 131, False),
        (131, 130, True),
        (139, 140, False),
        (140, 139, True),
        (144, 145, False),
        (145, 144, True),
    ],
)
def test_icmp6_pairs(kind: int, other: int, reply: bool) -> None:
    row = decode(over6(58, icmp6(kind)))
    assert tuple5(row) == (A6, B6, kind, other, 58)
    assert row["marks"] == P.PORTS | P.ICMP_PAIRED | (P.ICMP_REPLY if reply else 0)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 132, 137, 143])
def test_icmp6_one_way(kind: int) -> None:
    row = decode(over6(58, icmp6(kind, 4)))
    assert (row["src_port"], row["dst_port"], row["marks"]) == (kind, 4, P.PORTS)


def test_icmp_of_the_wrong_family_is_just_a_protocol() -> None:
    row = decode(over6(1, icmp(8)))
    assert tuple5(row) == (A6, B6, 0, 0, 1)
    row = decode(over4(58, icmp6(128)))
    assert tuple5(row) == (A4, B4, 0, 0, 58)


def test_icmp_cut_to_type_and_code() -> None:
    packet = over4(1, icmp(3, 1))
    row = decode(packet[:36], wire=len(packet))
    assert (row["src_port"], row["dst_port"], row["payload"]) == (3, 1, 7)
    row = decode(packet[:35], wire=len(packet))
    assert (row["status"], row["reason"]) == (P.UNDECODED, R.TRANSPORT_TRUNCATED)


CASES = [
    (over4, 6, lambda **k: tcp(1, 2, b"abcde", **k)),
    (over4, 17, lambda **k: udp(1, 2, b"abcde", **k)),
    (over6, 6, lambda **k: tcp(1, 2, b"abcde", A6, B6, **k)),
    (over6, 17, lambda **k: udp(1, 2, b"abcde", A6, B6, **k)),
]


@pytest.mark.parametrize(("over", "proto", "segment"), CASES)
def test_checksums_good_bad_and_left_to_the_card(over: object, proto: int, segment: object) -> None:
    good = segment()  # type: ignore[operator]
    a, b = (A4, B4) if over is over4 else (A6, B6)
    partial = ones(pseudo(a, b, proto, len(good)))
    large_send = ones(pseudo(a, b, proto, 0))
    build = over  # type: ignore[assignment]
    assert decode(build(proto, good))["marks"] == P.PORTS  # type: ignore[operator]
    assert decode(build(proto, segment(check=0x1234)))["marks"] == P.PORTS | P.L4_BAD  # type: ignore[operator]
    for left in (partial, large_send):
        assert decode(build(proto, segment(check=left)))["marks"] == P.PORTS | P.L4_OFFLOAD  # type: ignore[operator]
    assert decode(build(proto, good), flags=0)["marks"] == P.PORTS | P.L4_UNCHECKED  # type: ignore[operator]


def test_icmp_checksums() -> None:
    for packet in (over4(1, icmp(8)), over6(58, icmp6(128))):
        assert not decode(packet)["marks"] & (P.L4_BAD | P.L4_UNCHECKED)
        assert decode(packet[:-1] + b"\xaa")["marks"] & P.L4_BAD
