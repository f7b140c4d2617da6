from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.decode.wire import A4, A6, B4, B6, address, arp, decode, decode_all, eth, icmp, ip4, ip6, tcp, tunnels, tuple5, udp
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

X, Y = "192.0.2.1", "192.0.2.2"
X6, Y6 = "2001:db8:ff::1", "2001:db8:ff::2"
INNER_SRC, INNER_DST = "02:00:00:00:01:01", "02:00:00:00:01:02"
IP = ip4(6, tcp(40000, 80, b"hello"))
IP6 = ip6(6, tcp(40000, 80, b"hello", A6, B6))
FRAME = eth(0x0800, IP, src=INNER_SRC, dst=INNER_DST)
FRAME6 = eth(0x86DD, IP6, src=INNER_SRC, dst=INNER_DST)
TUPLE, TUPLE6 = (A4, B4, 40000, 80, 6), (A6, B6, 40000, 80, 6)


def outer(proto: int, payload: bytes, **more: int) -> bytes:
    return eth(0x0800, ip4(proto, payload, X, Y), **more)


def outer6(proto: int, payload: bytes) -> bytes:
    return eth(0x86DD, ip6(proto, payload, X6, Y6))


def over_udp(port: int, payload: bytes, *, sport: int = 50000, v6: bool = False) -> bytes:
    if v6:
        return outer6(17, udp(sport, port, payload, X6, Y6))
    return outer(17, udp(sport, port, payload, X, Y))


def vxlan(payload: bytes, vni: int = 5001, bits: int = 0x08) -> bytes:
    return struct.pack(">II", bits << 24, vni << 8) + payload


def gpe(following: int, payload: bytes, vni: int = 5001) -> bytes:
    return struct.pack(">BBBBI", 0x0C, 0, 0, following, vni << 8) + payload


def geneve(kind: int, payload: bytes, vni: int = 77, options: bytes = b"") -> bytes:
    return struct.pack(">BBHI", len(options) // 4, 0, kind, vni << 8) + options + payload


def gre(kind: int, payload: bytes, bits: int = 0, fields: bytes = b"") -> bytes:
    return struct.pack(">HH", bits, kind) + fields + payload


def gtp(payload: bytes, bits: int = 0x30, optional: bytes = b"", kind: int = 255) -> bytes:
    return struct.pack(">BBHI", bits, kind, len(optional) + len(payload), 0xCAFE) + optional + payload


ERSPAN2 = struct.pack(">HHI", 0x1000 | 5, 7, 0)
ERSPAN3 = struct.pack(">HHIHH", 0x2000 | 5, 7, 1, 0, 0)
ERSPAN3_SUB = struct.pack(">HHIHHQ", 0x2000 | 5, 7, 1, 0, 1, 99)
ERSPAN3_IP = struct.pack(">HHIHH", 0x2000 | 5, 7, 1, 0, 2 << 10)
NSH = b"\x0f\xc6\x01\x03" + bytes(20)
LABEL = struct.pack(">I", 16 << 12 | 0x100 | 64)
ETHERNET_INSIDE: list[tuple[str, int, Callable[[bytes], bytes]]] = [
    ("vxlan", 5001, lambda f: over_udp(4789, vxlan(f))),
    ("vxlan", 5001, lambda f: over_udp(8472, vxlan(f))),
    ("vxlan", 5001, lambda f: over_udp(4789, vxlan(f, bits=0x88))),  # group policy
    ("vxlan", 5001, lambda f: over_udp(4789, vxlan(f), v6=True)),
    ("vxlan", 0xFFFFFF, lambda f: over_udp(4789, vxlan(f, 0xFFFFFF))),
    ("vxlan-gpe", 5001, lambda f: over_udp(4790, gpe(3, f))),
    ("vxlan-gpe", 5001, lambda f: over_udp(4790, vxlan(f))),
    ("vxlan-gpe", 5001, lambda f: over_udp(4790, gpe(4, NSH + f))),
    ("geneve", 77, lambda f: over_udp(6081, geneve(0x6558, f))),
    ("geneve", 77, lambda f: over_udp(6081, geneve(0x6558, f, options=bytes(252)))),
    ("geneve", 77, lambda f: over_udp(6081, geneve(0x6558, f), v6=True)),
    ("nvgre", 0x123456, lambda f: outer(47, gre(0x6558, f, 0x2000, struct.pack(">I", 0x123456 << 8 | 9)))),
    ("gre", -1, lambda f: outer(47, gre(0x6558, f))),
    ("erspan1/gre", -1, lambda f: outer(47, gre(0x88BE, f))),
    ("erspan2/gre", -1, lambda f: outer(47, gre(0x88BE, ERSPAN2 + f, 0x1000, bytes(4)))),
    ("erspan3/gre", -1, lambda f: outer(47, gre(0x22EB, ERSPAN3 + f, 0x1000, bytes(4)))),
    ("erspan3/gre", -1, lambda f: outer(47, gre(0x22EB, ERSPAN3_SUB + f, 0x1000, bytes(4)))),
    ("mpls-udp", -1, lambda f: over_udp(6635, LABEL + f)),
    ("mpls-ip", -1, lambda f: outer(137, LABEL + f)),
    ("etherip", -1, lambda f: outer(97, b"\x30\x00" + f)),
]
IP_INSIDE: list[tuple[str, int, Callable[[bytes], bytes]]] = [
    ("gre", -1, lambda p: outer(47, gre(0x0800, p))),
    ("gre", -1, lambda p: outer(47, gre(0x0800, p, 0xB000, bytes(12)))),
    ("gre", -1, lambda p: outer(47, gre(0x880B, b"\xff\x03\x00\x21" + p, 0x3001, bytes(8)))),
    ("gre", -1, lambda p: outer(47, gre(0x880B, b"\x21" + p, 0x3081, bytes(12)))),
    ("gre", -1, lambda p: outer(47, gre(0x8847, LABEL + p))),
    ("gre", -1, lambda p: outer(47, gre(0x883E, bytes(4) + p))),
    ("erspan3/gre", -1, lambda p: outer(47, gre(0x22EB, ERSPAN3_IP + p, 0x1000, bytes(4)))),
    ("vxlan-gpe", 5001, lambda p: over_udp(4790, gpe(1, p))),
    ("vxlan-gpe", 5001, lambda p: over_udp(4790, gpe(5, LABEL + p))),
    ("geneve", 77, lambda p: over_udp(6081, geneve(0x0800, p))),
    ("gtpu", -1, lambda p: over_udp(2152, gtp(p))),
    ("gtpu", -1, lambda p: over_udp(50000, gtp(p), sport=2152)),
    ("gtpu", -1, lambda p: over_udp(2152, gtp(p, 0x32, bytes(4)))),
    ("gtpu", -1, lambda p: over_udp(2152, gtp(p, 0x34, b"\0\0\0\x85" + b"\x01\x10\x01\x20" + b"\x02" + bytes(6) + b"\0"))),
    ("ipip", -1, lambda p: outer(4, p)),
    ("4in6", -1, lambda p: outer6(4, p)),
]


@pytest.mark.parametrize(("name", "vni", "wrap"), ETHERNET_INSIDE)
def test_tunnels_that_carry_frames(name: str, vni: int, wrap: Callable[[bytes], bytes]) -> None:
    for inner, expected in ((FRAME, TUPLE), (FRAME6, TUPLE6)):
        row = decode(wrap(inner))
        assert (tunnels(row), row["vni"], tuple5(row)) == (name, vni, expected)
        assert address(row, "outer_src") in (X, X6)
        assert address(row, "outer_dst") in (Y, Y6)
        assert (int(row["src_mac"]), int(row["dst_mac"])) == (0x020000000101, 0x020000000102)
        assert (int(row["outer_src_mac"]), int(row["outer_dst_mac"])) == (0x02000000000A, 0x02000000000B)
        assert (row["vlan"], row["outer_vlan"], row["payload"]) == (-1, -1, 5)
        assert row["marks"] == P.PORTS


@pytest.mark.parametrize(("name", "vni", "wrap"), IP_INSIDE)
def test_tunnels_that_carry_packets(name: str, vni: int, wrap: Callable[[bytes], bytes]) -> None:
    row = decode(wrap(IP))
    assert (tunnels(row), row["vni"], tuple5(row)) == (name, vni, TUPLE)
    assert int(row["src_mac"]) == int(row["outer_src_mac"]) == 0x02000000000A  # the only Ethernet header there is
    assert (row["ip_bytes"], row["payload"], row["marks"]) == (len(IP), 5, P.PORTS)


@pytest.mark.parametrize(
    ("name", "packet"),
    [
        ("6in4", outer(41, IP6)),
        ("6in6", outer6(41, IP6)),
        ("gre", outer(47, gre(0x86DD, IP6))),
        ("gtpu", over_udp(2152, gtp(IP6))),
        ("teredo", over_udp(3544, IP6)),
        ("teredo", over_udp(50000, b"\0\0" + bytes(6) + IP6, sport=3544)),
        ("teredo", over_udp(3544, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6) + IP6)),
        ("ayiya", over_udp(5072, bytes([0x44, 0x52, 0x11, 41]) + bytes(4 + 16 + 20) + IP6)),
        ("gre", outer(47, gre(0x880B, b"\x00\x57" + IP6, 0x3001, bytes(8)))),
    ],
)
def test_ipv6_in_tunnels(name: str, packet: bytes) -> None:
    row = decode(packet)
    assert (tunnels(row), tuple5(row), row["marks"]) == (name, TUPLE6, P.PORTS)


@pytest.mark.parametrize(("name", "vni", "wrap"), ETHERNET_INSIDE)
def test_tags_and_arp_inside(name: str, vni: int, wrap: Callable[[bytes], bytes]) -> None:
    row = decode(wrap(eth(0x0800, IP, src=INNER_SRC, dst=INNER_DST, tags=((0x88A8, 9), (0x8100, 8)))))
    assert (row["vlan"], row["inner_vlan"], row["outer_vlan"]) == (9, 8, -1)
    row = decode(wrap(eth(0x0806, arp(2), src=INNER_SRC, dst=INNER_DST)))
    assert (row["status"], row["src_port"], tunnels(row), row["vni"]) == (P.ARP, 2, name, vni)
    assert int(row["src_mac"]) == 0x020000000101


def test_outer_tag() -> None:
    row = decode(outer(17, udp(5, 4789, vxlan(FRAME), X, Y), tags=((0x8100, 300),)))
    assert (row["vlan"], row["outer_vlan"]) == (-1, 300)
    row = decode(outer(4, IP, tags=((0x8100, 300),)))
    assert (row["vlan"], row["outer_vlan"]) == (300, 300)


@pytest.mark.parametrize(
    ("packet", "reason", "detail"),
    [
        (over_udp(4789, vxlan(eth(0x88CC, bytes(40)))), R.LINK_CONTROL, 0x88CC),
        (over_udp(4789, vxlan(FRAME[:10])), R.LINK_TRUNCATED, 1),
        (over_udp(4789, vxlan(eth(0x0800, b"\x45" + bytes(9)))), R.IP_TRUNCATED, 4),
        (over_udp(6081, geneve(0x1234, bytes(60))), R.ETHERTYPE, 0x1234),
        (over_udp(6635, LABEL + b"\x30" + bytes(40)), R.MPLS_PAYLOAD, 3),
        (outer(47, gre(0x2001, bytes(40))), R.ETHERTYPE, 0x2001),
        (outer(47, gre(0x88BE, b"\x90" + bytes(40), 0x1000, bytes(4))), R.TUNNEL_TRUNCATED, 5),
        (outer(4, bytes(40)), R.IP_VERSION, 0),
        (outer(41, b""), R.IP_TRUNCATED, 0),
    ],
)
def test_an_inside_that_is_no_packet_leaves_the_outer_flow(packet: bytes, reason: int, detail: int) -> None:
    row = decode(packet)
    assert (row["status"], address(row, "src"), address(row, "dst")) == (P.FLOW, X, Y)
    assert row["marks"] & P.INNER_UNDECODED
    assert (row["tunnel"], row["reason"], row["detail"]) == (0, reason, detail)
    plain = {17: P.PORTS | P.INNER_UNDECODED}.get(int(row["proto"]), P.L4_UNCHECKED | P.INNER_UNDECODED)
    assert row["marks"] == plain


@pytest.mark.parametrize(
    "packet",
    [
        over_udp(4789, b"\0" * 40),  # no network id
        over_udp(4789, b""),
        over_udp(6081, b"\xc0" + bytes(30)),
        over_udp(2152, gtp(b"", 0x32, bytes(4), kind=1)),  # echo
        over_udp(2152, b"\x12\x34 some other protocol"),
        over_udp(2152, gtp(b"\x45\0\xff\xff" + bytes(40))),  # an inner length that cannot be
        over_udp(3544, b"\x60" + bytes(60)),
        over_udp(5072, bytes(40)),
        outer(47, gre(0x880B, b"", 0x2081, bytes(8))),  # an acknowledgement
        outer(47, gre(0x0800, IP, 0x4000)),
        outer(47, b"\0"),
        outer(97, b"\x40" + bytes(30)),
    ],
)
def test_a_port_alone_makes_no_tunnel(packet: bytes) -> None:
    row = decode(packet)
    assert (row["status"], row["tunnel"], address(row, "src")) == (P.FLOW, 0, X)
    assert not row["marks"] & P.INNER_UNDECODED


def test_tunnels_in_tunnels() -> None:
    inner = over_udp(4789, vxlan(FRAME, 2))
    row = decode(
        outer(47, gre(0x6558, eth(0x0800, ip4(4, ip4(17, udp(9, 6081, geneve(0x6558, inner, 1), A4, B4), A4, B4), A4, B4))))
    )
    assert (tunnels(row), row["vni"], tuple5(row)) == ("vxlan/geneve/ipip/gre", 2, TUPLE)
    assert address(row, "outer_src") == X


def test_deeper_than_followed_leaves_the_last_outer_flow() -> None:
    packet = IP
    for _ in range(7):
        packet = ip4(4, packet)
    row = decode(eth(0x0800, ip4(4, packet, X, Y)))
    assert (tunnels(row), tuple5(row), row["marks"]) == ("/".join(["ipip"] * 8), TUPLE, P.PORTS)
    row = decode(eth(0x0800, ip4(4, ip4(4, packet, X, Y), X, Y)))
    assert (row["status"], row["proto"], row["reason"]) == (P.FLOW, 4, R.TUNNEL_DEPTH)
    assert row["marks"] & P.INNER_UNDECODED


@pytest.mark.parametrize(("name", "vni", "wrap"), ETHERNET_INSIDE + IP_INSIDE)
def test_captured_short_anywhere(name: str, vni: int, wrap: Callable[[bytes], bytes]) -> None:
    """However little was captured, the outer flow is told, or the inner one, and lengths stay the headers'."""
    packet = wrap(IP if (name, vni, wrap) in IP_INSIDE else FRAME)
    start = 54 if packet[12:14] == b"\x86\xdd" else 34
    for cut in range(start + 4, len(packet)):
        row = decode(packet[:cut], wire=len(packet))
        assert row["status"] == P.FLOW
        assert row["marks"] & P.CUT
        if row["tunnel"]:
            assert tuple5(row) == TUPLE
            assert row["payload"] in (5, 5 + 20 - 20)
            assert row["ip_bytes"] == len(IP)
        else:
            assert address(row, "src") in (X, X6)


def test_a_first_fragment_is_entered_and_later_ones_keep_its_key() -> None:
    whole = udp(7, 4789, vxlan(FRAME + bytes(1000)), X, Y)
    first = eth(0x0800, ip4(17, whole[:600], X, Y, ident=5, frag=0x2000))
    later = eth(0x0800, ip4(17, whole[600:], X, Y, ident=5, frag=75))
    rows = decode_all([first, later])
    assert tuple5(rows[0]) == TUPLE
    assert rows["marks"][0] & P.FRAG_FIRST
    assert rows["marks"][1] == P.FRAG_LATER | P.L4_UNCHECKED
    assert rows["frag_key"][0] == rows["frag_key"][1]


def test_icmp_errors_are_not_entered() -> None:
    row = decode(outer(1, icmp(3, 1, bytes(4) + IP)))
    assert (row["proto"], row["tunnel"], row["src_port"], row["dst_port"]) == (1, 0, 3, 1)
