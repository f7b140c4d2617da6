from __future__ import annotations

import struct

import pytest

from tests.decode.wire import A4, A6, B4, B6, address, arp, decode, decode_all, eth, ip4, ip6, mac, plain_tcp, tcp, tuple5, udp
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

IP = ip4(6, tcp(40000, 80, b"hello"))
IP6 = ip6(17, udp(5353, 53, b"q", A6, B6))
TUPLE = (A4, B4, 40000, 80, 6)
TUPLE6 = (A6, B6, 5353, 53, 17)


def mpls(payload: bytes, labels: int = 1) -> bytes:
    return b"".join(struct.pack(">I", (16 + n) << 12 | (n == labels - 1) << 8 | 64) for n in range(labels)) + payload


def pppoe(protocol: int, payload: bytes, length: int | None = None) -> bytes:
    body = struct.pack(">H", protocol) + payload
    return struct.pack(">BBHH", 0x11, 0, 7, len(body) if length is None else length) + body


def test_ethernet() -> None:
    row = decode(plain_tcp())
    assert tuple5(row) == TUPLE
    assert (int(row["src_mac"]), int(row["dst_mac"])) == (0x02000000000A, 0x02000000000B)
    assert (row["vlan"], row["inner_vlan"], row["vni"], row["tunnel"]) == (-1, -1, -1, 0)
    assert (row["status"], row["version"], row["wire"]) == (P.FLOW, 4, len(plain_tcp()))


@pytest.mark.parametrize("payload", [IP, IP6], ids=["ip4", "ip6"])
@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (((0x8100, 100),), (100, -1)),
        (((0x8100, 0xE000 | 5),), (5, -1)),
        (((0x8100, 0),), (0, -1)),
        (((0x88A8, 7), (0x8100, 100)), (7, 100)),
        (((0x8100, 7), (0x8100, 100)), (7, 100)),
        (((0x9100, 7), (0x8100, 100), (0x8100, 3)), (7, 100)),
    ],
)
def test_vlan_tags(tags: tuple[tuple[int, int], ...], expected: tuple[int, int], payload: bytes) -> None:
    row = decode(eth(0x0800 if payload is IP else 0x86DD, payload, tags=tags))
    assert (row["vlan"], row["inner_vlan"]) == expected
    assert tuple5(row) == (TUPLE if payload is IP else TUPLE6)


def test_endless_tags_end() -> None:
    row = decode(eth(0x0800, IP, tags=((0x8100, 1),) * 500))
    assert row["status"] == P.FLOW
    row = decode(eth(0x8100, b"\x00"))
    assert (row["status"], row["reason"]) == (P.UNDECODED, R.VLAN_TRUNCATED)


SLL = struct.pack(">HHH8sH", 0, 1, 6, mac("02:00:00:00:00:0a") + b"\0\0", 0x0800)
SLL2 = struct.pack(">HHIHBB8s", 0x0800, 0, 3, 1, 0, 6, mac("02:00:00:00:00:0a") + b"\0\0")
SNAP = b"\xaa\xaa\x03\0\0\0\x08\0"
PKTAP = struct.pack("<III", 108, 1, 1) + bytes(96)


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (12, IP),
        (14, IP),
        (101, IP),
        (228, IP),
        (113, SLL + IP),
        (276, SLL2 + IP),
        (0, struct.pack("<I", 2) + IP),
        (0, struct.pack(">I", 2) + IP),
        (108, struct.pack(">I", 2) + IP),
        (9, b"\xff\x03\x00\x21" + IP),
        (9, b"\x00\x21" + IP),
        (9, b"\x21" + IP),
        (50, b"\xff\x03\x00\x21" + IP),
        (50, b"\x0f\x00\x08\x00" + IP),
        (51, pppoe(0x21, IP)),
        (104, b"\x0f\x00\x08\x00" + IP),
        (107, b"\x18\x41\x03\xcc" + IP),
        (166, b"\x01\x03\x00\x21" + IP),
        (204, b"\x00\xff\x03\x00\x21" + IP),
        (205, b"\x00\x0f\x00\x08\x00" + IP),
        (117, bytes([61]) + bytes(63) + IP),
        (129, b"\x01\x02\x00\x00\xf0" + IP),
        (129, b"\x01\x02\x00\x00\xd4\x00\x00\x01" + IP),
        (258, PKTAP + plain_tcp()),
        (149, PKTAP + plain_tcp()),
        (1, eth(0x8847, mpls(IP))),
        (1, eth(0x8848, mpls(IP, 4))),
        (1, eth(0x8847, mpls(plain_tcp()))),
        (1, eth(0x8847, mpls(b"\0\0\0\0" + plain_tcp()))),
        (1, eth(0x8864, pppoe(0x21, IP))),
        (1, eth(0x8864, pppoe(0x21, IP, length=3))),  # only IP's own length counts
        (1, eth(len(SNAP + IP), SNAP + IP)),
        (1, eth(3 + len(IP), b"\x06\x06\x03" + IP)),
        (1, eth(0x894F, b"\x0f\xc6\x01\x01" + bytes(20) + IP)),
        (1, eth(0x8903, b"\x04\x20" + plain_tcp())),
        (1, eth(0x88E7, b"\0\0\0\1" + plain_tcp())),
    ],
)
def test_every_link_layer_leads_to_the_same_flow(link: int, packet: bytes) -> None:
    row = decode(packet, link=link)
    assert row["status"] == P.FLOW
    assert tuple5(row) == TUPLE
    assert row["payload"] == 5
    assert row["marks"] == P.PORTS  # the checksum was verified, through whatever stood in front


@pytest.mark.parametrize(
    ("link", "packet"),
    [
        (101, IP6),
        (229, IP6),
        (0, struct.pack("<I", 30) + IP6),
        (108, struct.pack(">I", 24) + IP6),
        (9, b"\xff\x03\x00\x57" + IP6),
        (1, eth(0x8864, pppoe(0x57, IP6))),
        (1, eth(0x8847, mpls(IP6))),
        (1, eth(0x86DD, IP6)),
    ],
)
def test_ipv6_over_them(link: int, packet: bytes) -> None:
    assert tuple5(decode(packet, link=link)) == TUPLE6


def test_cooked_captures_know_the_sender() -> None:
    for link, head in ((113, SLL), (276, SLL2)):
        row = decode(head + IP, link=link)
        assert (int(row["src_mac"]), int(row["dst_mac"])) == (0x02000000000A, -1)


def test_cooked_vlan() -> None:
    row = decode(SLL[:-2] + struct.pack(">HHH", 0x8100, 42, 0x0800) + IP, link=113)
    assert row["vlan"] == 42


@pytest.mark.parametrize(
    ("link", "packet", "reason", "detail"),
    [
        (1, eth(0x88CC, bytes(50)), R.LINK_CONTROL, 0x88CC),
        (1, eth(0x8809, bytes(50)), R.LINK_CONTROL, 0x8809),
        (1, eth(0x88E5, bytes(50)), R.ETHERTYPE, 0x88E5),
        (1, eth(38, b"\x42\x42\x03" + bytes(35)), R.LLC, 0x4242),
        (1, eth(38, b"\xaa\xaa\x03\x00\x00\x0c\x20\x00" + bytes(30)), R.LLC, 0xAAAA),
        (1, eth(0x8863, bytes(40)), R.PPPOE_CONTROL, 0x8863),
        (1, eth(0x8864, pppoe(0xC021, bytes(30))), R.PPPOE_CONTROL, 0xC021),
        (1, eth(0x8864, pppoe(0x2B, bytes(30))), R.PPP_PROTOCOL, 0x2B),
        (1, eth(0x8847, b"\0\0\0\0" * 9), R.MPLS_TRUNCATED, 0),
        (1, eth(0x8847, mpls(b"\x30" + bytes(30))), R.MPLS_PAYLOAD, 3),
        (1, b"\x02" * 13, R.LINK_TRUNCATED, 1),
        (1, b"", R.EMPTY, 1),
        (105, bytes(60), R.LINK_TYPE, 105),
        (147, bytes(3), R.LINK_TYPE, 147),
        (149, bytes(60), R.LINK_TYPE, 149),
        (113, SLL[:10], R.LINK_TRUNCATED, 113),
        (113, struct.pack(">HHH8sH", 0, 824, 0, bytes(8), 0) + bytes(20), R.LINK_TYPE, 113),
        (0, struct.pack("<I", 7) + IP, R.ETHERTYPE, 7),
        (104, b"\x8f\x00\x80\x35" + bytes(20), R.LINK_CONTROL, 0x8035),
        (1, eth(0x0800, b"\x10" + bytes(60)), R.IP_VERSION, 1),
    ],
)
def test_what_is_no_packet_of_ours_says_why(link: int, packet: bytes, reason: int, detail: int) -> None:
    row = decode(packet, link=link)
    assert (row["status"], row["reason"], row["detail"]) == (P.UNDECODED, reason, detail)


@pytest.mark.parametrize("operation", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("kind", [0x0806, 0x8035])
def test_arp(operation: int, kind: int) -> None:
    packet = eth(kind, arp(operation), tags=((0x8100, 9),))
    row = decode(packet)
    assert row["status"] == P.ARP
    assert (address(row, "src"), address(row, "dst"), row["src_port"]) == (A4, B4, operation)
    assert (row["pay"], row["pay_cap"], row["vlan"]) == (18, 28, 9)
    assert int(row["src_mac"]) == 0x02000000000A


@pytest.mark.parametrize("body", [arp()[:27], arp(hardware=7), arp()[:4] + b"\x08" + arp()[5:]])
def test_arp_that_is_not_ipv4_over_ethernet(body: bytes) -> None:
    row = decode(eth(0x0806, body))
    assert (row["status"], row["reason"]) == (P.UNDECODED, R.ARP_MALFORMED)


def test_rows_do_not_inherit_from_the_packet_before() -> None:
    tagged, bare = eth(0x0800, IP, tags=((0x88A8, 3), (0x8100, 4))), IP
    rows = decode_all([tagged, plain_tcp()])
    assert (rows[1]["vlan"], rows[1]["inner_vlan"]) == (-1, -1)
    rows = decode_all([bare], link=101)
    assert (int(rows[0]["src_mac"]), int(rows[0]["dst_mac"]), rows[0]["vlan"]) == (-1, -1, -1)
