from __future__ import annotations

import struct

import pytest

from tests.decode.wire import A4, A6, B4, B6, address, decode, decode_all, eth, ip4, ip6, packed, tcp, tuple5, udp
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

SEGMENT = tcp(40000, 443, b"payload")
SEGMENT6 = tcp(40000, 443, b"payload", A6, B6)
TUPLE, TUPLE6 = (A4, B4, 40000, 443, 6), (A6, B6, 40000, 443, 6)


def four(packet: bytes, **more: int) -> object:
    return decode(eth(0x0800, packet), **more)


def six(packet: bytes) -> object:
    return decode(eth(0x86DD, packet))


def test_options_do_not_move_the_ports() -> None:
    row = four(ip4(6, SEGMENT, options=b"\x07\x27" + bytes(38)))
    assert tuple5(row) == TUPLE
    assert (row["ip_bytes"], row["payload"], row["marks"]) == (60 + 27, 7, P.PORTS)


def test_padding_is_not_payload() -> None:
    row = four(ip4(6, tcp(1, 2)) + bytes(6))
    assert (row["ip_bytes"], row["payload"], row["pay_cap"], row["marks"]) == (40, 0, 0, P.PORTS)


def test_lengths_come_from_headers_when_captured_short() -> None:
    packet = eth(0x0800, ip4(6, tcp(1, 2, bytes(1000))))
    row = decode(packet[:60], wire=len(packet))
    assert (row["ip_bytes"], row["payload"], row["pay_cap"], row["wire"]) == (1040, 1000, 6, 1054)
    assert row["marks"] == P.PORTS | P.CUT | P.L4_UNCHECKED


def test_lengths_are_not_trusted_beyond_the_wire() -> None:
    row = four(ip4(6, SEGMENT, total=60000))
    assert (row["ip_bytes"], row["payload"]) == (47, 7)
    assert row["marks"] & P.L4_UNCHECKED


def test_a_record_that_claims_less_than_it_holds() -> None:
    row = four(ip4(6, SEGMENT), wire=20)
    assert tuple5(row) == TUPLE
    assert (row["wire"], row["ip_bytes"]) == (20, 47)


def test_total_length_zero_is_the_frame() -> None:
    row = four(ip4(6, tcp(1, 2, bytes(70000)), total=0))
    assert (row["ip_bytes"], row["payload"], row["marks"]) == (70040, 70000, P.PORTS)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (ip4(6, SEGMENT)[:19], R.IP_TRUNCATED),
        (b"\x44" + ip4(6, SEGMENT)[1:], R.IP_HEADER_LENGTH),
        (b"\x4f" + ip4(6, b"")[1:], R.IP_HEADER_LENGTH),
        (ip4(6, SEGMENT, total=19), R.IP_TOTAL_LENGTH),
        (b"\x45", R.IP_TRUNCATED),
        (b"", R.IP_TRUNCATED),
        (b"\x60" + bytes(38), R.IP_TRUNCATED),
        (b"\x50" + bytes(50), R.IP_VERSION),
    ],
)
def test_broken_headers(packet: bytes, reason: int) -> None:
    row = four(packet)
    assert (row["status"], row["reason"]) == (P.UNDECODED, reason)


def test_a_bad_header_checksum_is_marked_and_only_when_asked() -> None:
    packet = eth(0x0800, ip4(6, SEGMENT, good=False))
    assert decode(packet)["marks"] == P.PORTS | P.L3_BAD
    assert decode(packet, flags=0)["marks"] == P.PORTS | P.L4_UNCHECKED


def test_fragments_of_ipv4_share_a_key() -> None:
    whole = udp(1000, 2000, bytes(range(200)) * 8)
    first = ip4(17, whole[:800], ident=77, frag=0x2000)
    later = ip4(17, whole[800:], ident=77, frag=100)
    other = ip4(17, whole[800:], ident=78, frag=100)
    rows = decode_all([eth(0x0800, p) for p in (first, later, other)])
    assert rows["marks"][0] == P.FRAG_FIRST | P.PORTS | P.L4_UNCHECKED
    assert rows["marks"][1] == P.FRAG_LATER | P.L4_UNCHECKED
    assert rows["frag_key"][0] == rows["frag_key"][1] != rows["frag_key"][2]
    assert (rows["src_port"].tolist(), rows["proto"].tolist()) == ([1000, 0, 0], [17, 17, 17])
    # together they hold the datagram's payload
    assert rows["payload"][:2].tolist() == [800 - 8, len(whole) - 800]
    assert rows["status"].tolist() == [P.FLOW] * 3


def test_fragments_of_other_networks_do_not_mix() -> None:
    first = ip4(17, udp(1, 2, bytes(100)), ident=77, frag=0x2000)
    rows = decode_all([eth(0x0800, first, tags=((0x8100, vid),)) for vid in (5, 6)])
    assert rows["frag_key"][0] != rows["frag_key"][1]


def extension(kind: int, following: int, size: int = 8, body: bytes = b"") -> bytes:
    return bytes([following, size // 8 - 1]) + (body or b"\x01" + bytes([size - 4])).ljust(size - 2, b"\0")


def chain(*kinds: int, final: int = 6) -> tuple[int, bytes]:
    out = b""
    following = final
    for kind in reversed(kinds):
        out = bytes([following, 4]) + bytes(22) + out if kind == 51 else extension(kind, following, 16) + out
        following = kind
    return following, out


@pytest.mark.parametrize(
    "kinds", [(0,), (60,), (43,), (51,), (135,), (139,), (140,), (0, 60, 43, 60), (0, 60, 43, 51, 60, 135, 139, 140), (60,) * 30]
)
def test_every_extension_header_is_walked(kinds: tuple[int, ...]) -> None:
    first, headers = chain(*kinds)
    row = six(ip6(first, headers + SEGMENT6))
    assert tuple5(row) == TUPLE6
    assert (row["ip_bytes"], row["payload"], row["marks"]) == (40 + len(headers) + 27, 7, P.PORTS)


def test_esp_ends_the_chain() -> None:
    first, headers = chain(0, final=50)
    row = six(ip6(first, headers + bytes(40)))
    assert (row["proto"], row["payload"], row["status"]) == (50, 40, P.FLOW)


@pytest.mark.parametrize("kind", [135, 139, 140])
def test_a_header_that_is_itself_the_message(kind: int) -> None:
    row = six(ip6(kind, extension(kind, 59, 16)))
    assert (row["proto"], row["status"]) == (kind, P.FLOW)


def test_no_next_header() -> None:
    row = six(ip6(59, b""))
    assert (row["proto"], row["payload"], row["status"]) == (59, 0, P.FLOW)


@pytest.mark.parametrize(
    "packet", [ip6(0, b"\x06\x00"), ip6(60, b"\x06\xff" + bytes(30)), ip6(44, bytes(7)), ip6(60, extension(60, 60) * 90)]
)
def test_broken_chains(packet: bytes) -> None:
    row = six(packet)
    assert (row["status"], row["reason"]) == (P.UNDECODED, R.IP6_EXTENSION)


def test_fragments_of_ipv6() -> None:
    whole = udp(1000, 2000, bytes(1600), A6, B6)
    first = ip6(44, struct.pack(">BBHI", 17, 0, 1, 0xABCD) + whole[:800])
    later = ip6(44, struct.pack(">BBHI", 17, 0, 800, 0xABCD) + whole[800:])
    atomic = ip6(44, struct.pack(">BBHI", 6, 0, 0, 0xABCD) + SEGMENT6)
    rows = decode_all([eth(0x86DD, p) for p in (first, later, atomic)])
    assert rows["marks"].tolist() == [P.FRAG_FIRST | P.PORTS | P.L4_UNCHECKED, P.FRAG_LATER | P.L4_UNCHECKED, P.PORTS]
    assert rows["frag_key"][0] == rows["frag_key"][1] != 0
    assert rows["payload"].tolist() == [792, len(whole) - 800, 7]
    assert tuple5(rows[2]) == TUPLE6


def test_jumbo() -> None:
    segment = tcp(1, 2, bytes(70000), A6, B6)
    option = b"\xc2\x04" + struct.pack(">I", 8 + len(segment))
    row = six(ip6(0, bytes([6, 0]) + option + segment, length=0))
    assert (row["ip_bytes"], row["payload"], row["marks"]) == (40 + 8 + 20 + 70000, 70000, P.PORTS)
    row = six(ip6(6, segment, length=0))  # large sends leave the option out
    assert (row["payload"], row["marks"]) == (70000, P.PORTS)


@pytest.mark.parametrize(
    ("kind", "addresses"),
    [(0, ["2001:db8::77", B6]), (2, [B6]), (4, [B6, "2001:db8::77"])],
)
def test_the_final_destination_is_the_flows(kind: int, addresses: list[str]) -> None:
    body = bytes([kind, 1]) + bytes(4) + b"".join(packed(a) for a in addresses)
    header = extension(43, 6, 8 + 16 * len(addresses), body)
    row = six(ip6(43, header + SEGMENT6, dst="2001:db8::99"))
    assert address(row, "dst") == B6
    assert row["marks"] == P.PORTS  # and the checksum is over it


def test_nothing_left_keeps_the_destination() -> None:
    header = extension(43, 6, 24, bytes([0, 0]) + bytes(4) + packed("2001:db8::77"))
    row = six(ip6(43, header + SEGMENT6))
    assert (address(row, "dst"), row["marks"]) == (B6, P.PORTS)


def test_home_address_is_the_source() -> None:
    header = extension(60, 6, 24, b"\x01\x02\x00\x00\xc9\x10" + packed(A6))
    row = six(ip6(60, header + SEGMENT6, src="2001:db8::50"))
    assert (address(row, "src"), row["marks"]) == (A6, P.PORTS)


@pytest.mark.parametrize("proto", [0, 2, 50, 51, 89, 103, 112, 253, 255])
def test_any_other_protocol_is_a_flow_without_ports(proto: int) -> None:
    row = four(ip4(proto, bytes(40)))
    assert tuple5(row) == (A4, B4, 0, 0, proto)
    assert (row["payload"], row["marks"]) == (40, P.L4_UNCHECKED)
