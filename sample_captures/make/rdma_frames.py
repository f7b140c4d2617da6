"""Frames of RoCEv2: InfiniBand transport packets in UDP datagrams to port 4791.

Layout: InfiniBand Architecture Specification volume 1, chapter 9 (BTH, DETH, RETH, AtomicETH, AETH, ImmDt), and its annex A17
(RoCEv2: the UDP encapsulation, and what the invariant CRC leaves out).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from ipaddress import ip_address

PORT = 4791
RC, UD = 0x00, 0x60
CNP = 0x81
OPERATIONS = {
    0: "SEND_FIRST", 1: "SEND_MIDDLE", 2: "SEND_LAST", 4: "SEND_ONLY", 6: "RDMA_WRITE_FIRST", 7: "RDMA_WRITE_MIDDLE",
    8: "RDMA_WRITE_LAST", 9: "RDMA_WRITE_LAST_WITH_IMMEDIATE", 10: "RDMA_WRITE_ONLY", 12: "RDMA_READ_REQUEST",
    13: "RDMA_READ_RESPONSE_FIRST", 14: "RDMA_READ_RESPONSE_MIDDLE", 15: "RDMA_READ_RESPONSE_LAST",
    16: "RDMA_READ_RESPONSE_ONLY", 17: "ACKNOWLEDGE", 18: "ATOMIC_ACKNOWLEDGE", 20: "FETCH_ADD",
}  # fmt: skip
"""the low five bits of an opcode -> the operation's name"""
OPCODES = {name: number for number, name in OPERATIONS.items()}


@dataclass(frozen=True, slots=True)
class Port:
    """One side's network port."""

    name: str
    ip: str
    mac: str


def opcode_name(opcode: int) -> str:
    """``RC_SEND_FIRST`` and so on."""
    if opcode == CNP:
        return "CNP"
    return f"{'UD' if opcode & 0xE0 == UD else 'RC'}_{OPERATIONS[opcode & 0x1F]}"


def bth(
    opcode: int, qp: int, psn: int, *, payload: int = 0, solicited: bool = False, ack: bool = False, becn: bool = False
) -> bytes:
    """Base transport header, 12 bytes; the pad count makes the payload a multiple of four. Partition 0xffff."""
    pad = -payload % 4
    return struct.pack(">BBHII", opcode, solicited << 7 | pad << 4, 0xFFFF, becn << 30 | qp, ack << 31 | psn)


def reth(address: int, key: int, length: int) -> bytes:
    """RDMA extended transport header: where in the far memory, under which key, how much."""
    return struct.pack(">QII", address, key, length)


def aeth(syndrome: int, msn: int) -> bytes:
    """ACK extended transport header: 0x1f a plain acknowledgement, 0x60 a sequence error, 0x2n receiver not ready."""
    return struct.pack(">I", syndrome << 24 | msn)


def deth(qkey: int, qp: int) -> bytes:
    """Datagram extended transport header: the queue key and the queue pair it comes from."""
    return struct.pack(">II", qkey, qp)


def atomic_eth(address: int, key: int, add: int) -> bytes:
    """Atomic extended transport header of a fetch and add."""
    return struct.pack(">QIQQ", address, key, add, 0)


def frame(
    src: Port, dst: Port, udp_port: int, transport: bytes, payload: bytes, *, ecn: int = 2, identification: int = 0
) -> bytes:
    """Ethernet, IPv4 or IPv6, UDP, the transport headers, the payload with its padding, the invariant CRC."""
    body = transport + payload + bytes(-len(payload) % 4)
    udp_size = 8 + len(body) + 4
    here, there = ip_address(src.ip), ip_address(dst.ip)
    if here.version == 4:
        head = struct.pack(
            ">BBHHHBBH4s4s", 0x45, ecn, 20 + udp_size, identification, 0x4000, 64, 17, 0, here.packed, there.packed
        )
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        kind, masked = 0x0800, head[:1] + b"\xff" + head[2:8] + b"\xff" + head[9:10] + b"\xff\xff" + head[12:]
    else:
        head = struct.pack(">IHBB16s16s", 6 << 28 | ecn << 20 | udp_port, udp_size, 17, 64, here.packed, there.packed)
        kind, masked = 0x86DD, b"\x6f\xff\xff\xff" + head[4:7] + b"\xff" + head[8:]
    udp = struct.pack(">HHHH", udp_port, PORT, udp_size, 0)
    if here.version == 6:  # over IPv6 a checksum is due (RFC 8200, 8.1); over IPv4 RoCEv2 leaves it zero
        crc = icrc(masked, udp, body)
        pseudo = here.packed + there.packed + struct.pack(">II", udp_size, 17)
        udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp + body + crc) or 0xFFFF)
    ethernet = bytes.fromhex((dst.mac + src.mac).replace(":", "")) + struct.pack(">H", kind)
    return ethernet + head + udp + body + icrc(masked, udp, body)


def icrc(masked_ip: bytes, udp: bytes, body: bytes) -> bytes:
    """The invariant CRC: CRC-32 over eight 0xff for the missing LRH, then the packet with what routers change set to ones."""
    masked = b"\xff" * 8 + masked_ip + udp[:6] + b"\xff\xff" + body[:4] + b"\xff" + body[5:]
    return struct.pack("<I", zlib.crc32(masked))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total
