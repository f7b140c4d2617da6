"""Small captures written by hand, for tests that need a file and not a protocol."""

from __future__ import annotations

import struct
from pathlib import Path


def udp_frame(src: int, dst: int, sport: int, dport: int, payload: bytes = b"x") -> bytes:
    """Ethernet/IPv4/UDP; src and dst are the last two bytes of 10.0/16; no UDP checksum (RFC 768 allows it)."""
    udp = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0) + payload
    head = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(udp),
        0,
        0,
        64,
        17,
        0,
        bytes((10, 0, *divmod(src, 256))),
        bytes((10, 0, *divmod(dst, 256))),
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    check = 0xFFFF - ((total & 0xFFFF) + (total >> 16))
    head = head[:10] + struct.pack(">H", check) + head[12:]
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\x00" + head + udp


def pcap(frames: list[tuple[float, bytes]], link: int = 1) -> bytes:
    """A little-endian, microsecond pcap of (seconds, frame)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)]
    for ts, frame in frames:
        out.append(struct.pack("<IIII", int(ts), round(ts % 1 * 1e6), len(frame), len(frame)) + frame)
    return b"".join(out)


def write_flows(path: Path, flows: int, packets_each: int = 2, start: float = 1_700_000_000.0) -> Path:
    """A capture of `flows` UDP flows of `packets_each` packets, 1 ms apart."""
    frames = []
    for n in range(flows):
        for k in range(packets_each):
            a, b, p = n % 251 + 1, 300 + n % 7, 1024 + n % 60000
            frame = udp_frame(a, b, p, 53) if k % 2 == 0 else udp_frame(b, a, 53, p)
            frames.append((start + (n * packets_each + k) / 1000, frame))
    path.write_bytes(pcap(frames))
    return path


def packets_of(data: bytes) -> list[tuple[int, int, bytes]]:
    """(time in ns, wire length, bytes) of the enhanced packets of a little-endian pcapng; a plain reader, for what is written."""
    found, units, at = [], [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        assert struct.unpack_from("<I", data, at + length - 4) == (length,)
        if kind == 1:
            units.append(10 ** (9 - dict(options_of(data[at + 16 : at + length - 4])).get(9, b"\x06")[0]))
        elif kind == 6:
            interface, high, low, captured, wire = struct.unpack_from("<IIIII", data, at + 8)
            found.append(((high << 32 | low) * units[interface], wire, data[at + 28 : at + 28 + captured]))
        at += length
    return found


def blocks_of(data: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of every block of a little-endian pcapng."""
    found, at = [], 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        found.append((kind, data[at + 8 : at + length - 4]))
        at += length
    return found


def options_of(body: bytes) -> list[tuple[int, bytes]]:
    """(code, value) of little-endian options; `body` begins with the first."""
    found, at = [], 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from("<HH", body, at)
        if code == 0:
            break
        found.append((code, body[at + 4 : at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return found
