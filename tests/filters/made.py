"""A capture of what the sample captures lack: tags, tunnels, IPv6, fragments, resets and rarer protocols."""

from __future__ import annotations

import struct

from tests.decode.wire import arp, eth, icmp, icmp6, ip4, ip6, pcap_file, tcp, udp

#: 2026-11-22 12:00 UTC, nanoseconds: hours before the sample captures begin.
START = 1_795_348_800 * 10**9

A, B, C = "10.99.0.1", "10.99.0.2", "192.168.7.9"
A6, B6 = "fd00:99::1", "fd00:99::2"
VTEP1, VTEP2 = "172.31.0.1", "172.31.0.2"
IP4, IP6, VLAN, QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
SYN, SYN_ACK, ACK, FIN_ACK, RST = 0x02, 0x12, 0x10, 0x11, 0x14


def connection(sport: int, dport: int, src: str, dst: str, payload: bytes = b"hello") -> list[tuple[bool, bytes]]:
    """(from the originator, segment) of a TCP connection that is opened, used and closed."""
    said = [
        (True, SYN, b"", 100, 0),
        (False, SYN_ACK, b"", 500, 101),
        (True, ACK | 8, payload, 101, 501),
        (False, ACK, b"", 501, 101 + len(payload)),
        (True, FIN_ACK, b"", 101 + len(payload), 501),
        (False, FIN_ACK, b"", 501, 102 + len(payload)),
    ]
    return [
        (
            out,
            tcp(
                *((sport, dport) if out else (dport, sport)),
                data,
                *((src, dst) if out else (dst, src)),
                flags=flags,
                seq=seq,
                ack=ack,
            ),
        )
        for out, flags, data, seq, ack in said
    ]


def over4(
    proto: int, segments: list[tuple[bool, bytes]], src: str, dst: str, tags: tuple[tuple[int, int], ...] = ()
) -> list[bytes]:
    return [eth(IP4, ip4(proto, data, *((src, dst) if out else (dst, src))), tags=tags) for out, data in segments]


def apart(segments: list[tuple[bool, bytes]]) -> list[bytes]:
    """A connection whose directions carry different tags."""
    return [over4(6, [one], A, B, ((VLAN, 301 if one[0] else 302),))[0] for one in segments]


def over6(proto: int, segments: list[tuple[bool, bytes]], src: str, dst: str) -> list[bytes]:
    return [eth(IP6, ip6(proto, data, *((src, dst) if out else (dst, src)))) for out, data in segments]


def carried(port: int, header: bytes, inner: list[bytes]) -> list[bytes]:
    """Ethernet frames in UDP between the tunnel's ends."""
    return [eth(IP4, ip4(17, udp(50000, port, header + frame, VTEP1, VTEP2), VTEP1, VTEP2)) for frame in inner]


def in_gre(kind: int, inner: list[bytes], *, sequence: bool = False, header: bytes = b"") -> list[bytes]:
    made = []
    for n, packet in enumerate(inner):
        front = struct.pack(">HH", 0x1000 if sequence else 0, kind) + (struct.pack(">I", n) if sequence else b"")
        made.append(eth(IP4, ip4(47, front + header + packet, VTEP2, VTEP1)))
    return made


def packets() -> list[bytes]:
    """In the order of the capture."""
    vxlan = struct.pack(">II", 0x08000000, 5001 << 8)
    geneve = struct.pack(">HHI", 0, 0x6558, 77 << 8)
    erspan2 = struct.pack(">HHI", 0x1000, 9, 0)
    whole = udp(7000, 7001, b"f" * 3000, A, B)
    sctp = struct.pack(">HHII", 5000, 3868, 0, 0) + struct.pack(">BBHIIHHI", 1, 0, 20, 1, 65535, 1, 1, 1)
    quoted = ip4(17, udp(6000, 9, b"x", A, B), A, B)
    return [
        *over4(6, connection(40001, 8080, A, B), A, B, ((VLAN, 100),)),
        *over4(17, [(True, udp(5353, 5354, b"q", A, B)), (False, udp(5354, 5353, b"r", B, A))], A, B, ((QINQ, 200), (VLAN, 7))),
        *carried(4789, vxlan, over4(6, connection(40002, 445, C, "192.168.7.10"), C, "192.168.7.10")),
        *carried(6081, geneve, over4(17, [(True, udp(1111, 2222, b"g", C, "192.168.7.11"))], C, "192.168.7.11")),
        *in_gre(IP4, [ip4(1, icmp(8), C, "192.168.7.12"), ip4(1, icmp(0), "192.168.7.12", C)]),
        *in_gre(0x88BE, over4(6, [(True, tcp(40003, 9000, b"", C, B, flags=SYN))], C, B), sequence=True, header=erspan2),
        *over6(6, connection(40004, 443, A6, B6, b"over six"), A6, B6),
        *over6(58, [(True, icmp6(128, src=A6, dst=B6)), (False, icmp6(129, src=B6, dst=A6))], A6, B6),
        *over6(17, [(True, udp(546, 547, b"d", "fe80::a", "ff02::1:2"))], "fe80::a", "ff02::1:2"),
        *over4(6, [(True, tcp(40005, 25, b"", A, C, flags=SYN)), (False, tcp(25, 40005, b"", C, A, flags=RST))], A, C),
        *over4(132, [(True, sctp)], A, B),
        eth(IP4, ip4(17, whole[:1480], A, B, ident=77, frag=0x2000)),
        eth(IP4, ip4(17, whole[1480:2960], A, B, ident=77, frag=0x2000 | 185)),
        eth(IP4, ip4(17, whole[2960:], A, B, ident=77, frag=370)),
        *over4(1, [(True, icmp(8)), (False, icmp(0))], A, B),
        *over4(17, [(True, udp(6000, 9, b"x", A, B))], A, B),
        eth(IP4, ip4(1, icmp(3, 3, b"\0\0\0\0" + quoted), B, A)),
        *over4(50, [(True, struct.pack(">II", 7, 1) + b"e" * 32)], A, B),
        *over4(2, [(True, struct.pack(">BBH4s", 0x16, 0, 0, bytes([239, 1, 1, 1])))], A, "239.1.1.1"),
        *over4(89, [(True, b"\2\1" + struct.pack(">H", 44) + b"\0" * 40)], A, "224.0.0.5"),
        *over4(
            6,
            [(True, tcp(40006, 81, b"a", A, B, flags=0x18, seq=1)), (True, tcp(40006, 81, b"a", A, B, flags=0x38, seq=1))],
            A,
            B,
        ),
        *over4(17, [(True, udp(9123, 9123, b"same", A, B))], A, B),
        *apart(connection(40007, 8443, A, B)),
        eth(0x0806, arp(1, A, B)),
        eth(0x0806, arp(2, B, A)),
    ]


def capture() -> bytes:
    """The packets a quarter of a second apart."""
    return pcap_file([(START + n * 250_000_000, packet) for n, packet in enumerate(packets())])
