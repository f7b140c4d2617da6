"""Packets and captures built byte by byte, with true lengths and checksums unless told otherwise."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Any

import numpy as np

from workbench.decode.framing import Framer, open_framer
from workbench.decode.packets import LAYERS_ONLY, VERIFY_CHECKSUMS, decode_frames
from workbench.records.packet import FRAME, PACKET, TUNNELS

A4, B4 = "10.0.0.1", "10.0.0.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
SRC_MAC, DST_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"


def ones(data: bytes) -> int:
    """RFC 1071, the slow and obvious way."""
    total = 0
    for i in range(0, len(data), 2):
        total += int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packed(address: str) -> bytes:
    return ip_address(address).packed


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def eth(kind: int, payload: bytes, *, src: str = SRC_MAC, dst: str = DST_MAC, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
    """tags: (TPID, TCI), outermost first."""
    shim = b"".join(struct.pack(">HH", tpid, tci) for tpid, tci in tags)
    return mac(dst) + mac(src) + shim + struct.pack(">H", kind) + payload


def ip4(
    proto: int,
    payload: bytes,
    src: str = A4,
    dst: str = B4,
    *,
    options: bytes = b"",
    total: int | None = None,
    ident: int = 0,
    frag: int = 0,
    good: bool = True,
) -> bytes:
    """frag: the flags and offset field as it stands."""
    ihl = 5 + len(options) // 4
    length = ihl * 4 + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBH", 0x40 | ihl, 0, length, ident, frag, 64, proto, 0) + packed(src) + packed(dst) + options
    check = ~ones(head) & 0xFFFF
    if not good:
        check ^= 1
    return head[:10] + struct.pack(">H", check) + head[12:] + payload


def ip6(proto: int, payload: bytes, src: str = A6, dst: str = B6, *, length: int | None = None) -> bytes:
    return (
        struct.pack(">IHBB", 6 << 28, len(payload) if length is None else length, proto, 64) + packed(src) + packed(dst) + payload
    )


def ip_for(src: str, proto: int, payload: bytes, dst: str) -> bytes:
    return ip6(proto, payload, src, dst) if ":" in src else ip4(proto, payload, src, dst)


def pseudo(src: str, dst: str, proto: int, length: int) -> bytes:
    return packed(src) + packed(dst) + struct.pack(">II", length, proto)


def tcp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    src: str = A4,
    dst: str = B4,
    *,
    flags: int = 0x18,
    seq: int = 1000,
    ack: int = 2000,
    options: bytes = b"",
    window: int = 512,
    check: int | None = None,
) -> bytes:
    words = ((5 + len(options) // 4) << 12) | flags
    head = struct.pack(">HHIIHHHH", sport, dport, seq, ack, words, window, 0, 0) + options
    return _sealed(head + payload, 16, src, dst, 6, check)


def udp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    src: str = A4,
    dst: str = B4,
    *,
    length: int | None = None,
    check: int | None = None,
) -> bytes:
    said = 8 + len(payload) if length is None else length
    return _sealed(struct.pack(">HHHH", sport, dport, said, 0) + payload, 6, src, dst, 17, check)


def icmp(kind: int, code: int = 0, rest: bytes = b"\0\1\0\2payload") -> bytes:
    body = struct.pack(">BBH", kind, code, 0) + rest
    return body[:2] + struct.pack(">H", ~ones(body) & 0xFFFF) + body[4:]


def icmp6(kind: int, code: int = 0, rest: bytes = b"\0\1\0\2payload", src: str = A6, dst: str = B6) -> bytes:
    return _sealed(struct.pack(">BBH", kind, code, 0) + rest, 2, src, dst, 58, None)


def _sealed(segment: bytes, at: int, src: str, dst: str, proto: int, check: int | None) -> bytes:
    if check is None:
        check = ~ones(pseudo(src, dst, proto, len(segment)) + segment) & 0xFFFF or 0xFFFF
    return segment[:at] + struct.pack(">H", check) + segment[at + 2 :]


def arp(operation: int = 1, src: str = A4, dst: str = B4, *, hardware: int = 1) -> bytes:
    head = struct.pack(">HHBBH", hardware, 0x0800, 6, 4, operation)
    return head + mac(SRC_MAC) + packed(src) + mac(DST_MAC) + packed(dst)


def plain_tcp(payload: bytes = b"hello") -> bytes:
    return eth(0x0800, ip4(6, tcp(40000, 80, payload)))


def frames_of(packets: list[bytes], *, link: int = 1, wires: list[int] | None = None, gap: bytes = b"") -> tuple[Any, Any]:
    """A buffer that ends with the last packet's last byte, and its FRAME rows. gap: bytes in front of each packet."""
    frames = np.zeros(len(packets), FRAME)
    data = bytearray()
    for n, packet in enumerate(packets):
        data += gap
        frames[n] = (n * 1_000_000, len(data), len(data), len(packet), wires[n] if wires else len(packet), link, 0)
        data += packet
    return np.frombuffer(bytes(data), np.uint8), frames


def decode_all(
    packets: list[bytes], *, link: int = 1, wires: list[int] | None = None, flags: int = VERIFY_CHECKSUMS, gap: bytes = b""
) -> Any:
    buf, frames = frames_of(packets, link=link, wires=wires, gap=gap)
    rows = np.zeros(len(packets), PACKET)
    rows["status"] = 99
    decode_frames(buf, frames, len(frames), rows, flags)
    return rows


def decode(packet: bytes, *, link: int = 1, wire: int | None = None, flags: int = VERIFY_CHECKSUMS) -> Any:
    """One packet's row, by the short cut and by the layers, which must agree."""
    wires = None if wire is None else [wire]
    quick = decode_all([packet], link=link, wires=wires, flags=flags)[0]
    slow = decode_all([packet], link=link, wires=wires, flags=flags | LAYERS_ONLY)[0]
    assert view(quick) == view(slow)
    return slow


def view(row: Any) -> dict[str, Any]:
    """What a row says: its fields as plain values, without those that mean nothing in it."""
    fields = {name: row[name].item() for name in PACKET.names or ()}
    if fields["status"] == 2:
        return {k: fields[k] for k in ("ts", "rec", "end", "wire", "status", "reason", "detail", "marks")}
    if not fields["tunnel"]:
        for name in list(fields):
            if name.startswith("outer_"):
                del fields[name]
    if fields["proto"] != 6 or fields["marks"] & 2 or fields["status"]:
        for name in ("seq", "ack", "window", "flags"):
            del fields[name]
    if not fields["marks"] & 3:
        del fields["frag_key"]
    if not fields["marks"] & 64:
        del fields["reason"], fields["detail"]
    return fields


def address(row: Any, side: str) -> str:
    """side: src, dst, outer_src or outer_dst."""
    high, low = int(row[f"{side}_hi"]), int(row[f"{side}_lo"])
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ip_address(low & 0xFFFFFFFF))
    return str(ip_address(((high << 64) | low).to_bytes(16, "big")))


def tunnels(row: Any) -> str:
    """As `flows.tunnel` shows it."""
    code, names = int(row["tunnel"]), []
    while code:
        names.append(TUNNELS[code & 0xFF])
        code >>= 8
    return "/".join(names)


def tuple5(row: Any) -> tuple[str, str, int, int, int]:
    return address(row, "src"), address(row, "dst"), int(row["src_port"]), int(row["dst_port"]), int(row["proto"])


# --- captures -------------------------------------------------------------------------------------------------------------


def pcap_file(
    records: list[tuple[int, bytes]],
    *,
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    link: int = 1,
    snaplen: int = 262144,
    version: tuple[int, int] = (2, 4),
) -> bytes:
    """records: (nanoseconds, packet)."""
    unit = 1 if magic == 0xA1B23C4D else 1000
    out = [struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, link)]
    for ts, packet in records:
        head = struct.pack(order + "IIII", ts // 10**9, ts % 10**9 // unit, len(packet), len(packet))
        if magic == 0xA1B2CD34:
            head += struct.pack(order + "IHBB", 1, 0x0800, 0, 0)
        out.append(head + packet)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += b"\0" * (-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def section(order: str = "<", options: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, *version, -1) + options, order)


def interface(order: str = "<", *, link: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", link, 0, snaplen) + options, order)


def enhanced(
    packet: bytes, ticks: int = 0, number: int = 0, order: str = "<", *, options: bytes = b"", wire: int | None = None
) -> bytes:
    head = struct.pack(
        order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet) if wire is None else wire
    )
    return block(6, head + packet + b"\0" * (-len(packet) % 4) + options, order)


def simple(packet: bytes, order: str = "<", wire: int | None = None) -> bytes:
    return block(3, struct.pack(order + "I", len(packet) if wire is None else wire) + packet, order)


def obsolete(packet: bytes, ticks: int = 0, number: int = 0, drops: int = 0xFFFF, order: str = "<") -> bytes:
    head = struct.pack(order + "HHIIII", number, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(2, head + packet, order)


def read(data: bytes, *, step: int | None = None, rows: int = 64) -> tuple[Framer, Any, list[bytes]]:
    """Frame a whole stream as the pipeline does, `step` bytes at a time: the framer, FRAME rows, the packets' bytes."""
    framer = open_framer(data[:4096])
    buf = np.frombuffer(data, np.uint8)
    chunk = np.zeros(rows, FRAME)
    found, packets = [], []
    start, end = 0, len(data) if step is None else min(step, len(data))
    while True:
        n, at = framer.frame(buf, start, end, end == len(data), chunk)
        assert start <= at <= end
        assert 0 <= n <= rows
        for f in chunk[:n]:
            found.append(f.copy())
            packets.append(data[int(f["off"]) : int(f["off"]) + int(f["cap"])])
        if n == 0 and at == start:
            if end == len(data):
                break
            end = min(len(data), end + (step or 0))
        start = at
    return framer, np.array(found, FRAME), packets
