"""Frames made by hand, checksums right, for probing what a dataplane lets through; each is known by a number in its payload."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from workbench.policy.addresses import V4, V4_FIRST

TCP, UDP, ICMP, ICMP6, SCTP = 6, 17, 1, 58, 132
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MARK = b"probe:"


@dataclass(frozen=True)
class Probe:
    """One connection. Addresses as in policy.addresses; sport is the identifier of an echo."""

    number: int
    src: int
    dst: int
    proto: int
    sport: int
    dport: int

    def back(self) -> Probe:
        """The same connection, seen from its other end."""
        return replace(self, src=self.dst, dst=self.src, sport=self.dport, dport=self.sport)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(probe: Probe, step: int, back: bool, macs: tuple[bytes, bytes]) -> bytes:
    """The packet of a step of a connection (0 opens, 1 answers, 2 and on go on), from one end or the other. macs: to, from."""
    here = probe.back() if back else probe
    wide = 4 if here.src in V4 else 16
    src, dst = ((end - V4_FIRST if wide == 4 else end).to_bytes(wide) for end in (here.src, here.dst))
    body = _transport(here, step, back, src, dst)
    if wide == 4:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), probe.number & 0xFFFF, 0x4000, 64, here.proto, 0) + src + dst
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return b"".join([*macs, b"\x08\x00", head, body])
    return b"".join([*macs, b"\x86\xdd", struct.pack("!IHBB", 6 << 28, len(body), here.proto, 64), src, dst, body])


def _transport(here: Probe, step: int, back: bool, src: bytes, dst: bytes) -> bytes:
    data = MARK + struct.pack("!IBB", here.number, step, back)
    if here.proto == TCP:
        flags = {0: SYN, 1: SYN | ACK}.get(step, PSH | ACK)
        opening = step < 2
        seq, ack = (5000, 1001) if back else (1000, 0)
        if not opening:
            seq, ack = (5001, 1001) if back else (1001, 5001)
        body = struct.pack("!HHIIBBHHH", here.sport, here.dport, seq, ack, 5 << 4, flags, 64000, 0, 0) + data
        at = 16
        if opening:
            body = body[:20] + data  # data on a SYN: how the probe is known; nobody here minds
            body = body[:4] + struct.pack("!I", seq - (len(data) if not back else 0)) + body[8:]
            if back:
                body = body[:4] + struct.pack("!I", 5001 - len(data) - 1) + body[8:]
            else:
                body = body[:4] + struct.pack("!I", 1001 - len(data) - 1) + body[8:]
    elif here.proto == UDP:
        body, at = struct.pack("!HHHH", here.sport, here.dport, 8 + len(data), 0) + data, 6
    elif here.proto in (ICMP, ICMP6):
        identifier = here.dport if back else here.sport
        kind = {ICMP: (8, 0), ICMP6: (128, 129)}[here.proto][back]
        body, at = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + data, 2
        if here.proto == ICMP:
            return body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    elif here.proto == SCTP:
        return _sctp(here, step, back, data)
    else:
        return struct.pack("!HH", 0, 0x6558) + data  # a plain GRE header; other protocols take it for data
    pseudo = src + dst + struct.pack("!II", len(body), here.proto)
    return body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]


def _sctp(here: Probe, step: int, back: bool, data: bytes) -> bytes:
    """INIT, INIT ACK, then DATA (RFC 9260), with the tags that the two ends have told each other."""
    tags = 0x1001, 0x2002
    own, other = (tags[1], tags[0]) if back else tags
    if step < 2:  # an INIT with a parameter that nobody knows, and may pass over
        chunk = struct.pack("!BBHIIHHIHH", step + 1, 0, 24 + len(data), own, 65536, 10, 10, 1, 0x8FFF, 4 + len(data))
    else:
        chunk = struct.pack("!BBHIHHI", 0, 3, 16 + len(data), step, 0, step, 0)
    head = struct.pack("!HHI", here.sport, here.dport, 0 if step == 0 else other)
    body = chunk + data + b"\0" * (-len(data) % 4)
    return head + struct.pack("<I", _crc32c(head + b"\0\0\0\0" + body)) + body


def _crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    left = 0xFFFFFFFF
    for byte in data:
        left ^= byte
        for _ in range(8):
            left = left >> 1 ^ 0x82F63B78 * (left & 1)
    return left ^ 0xFFFFFFFF


def number_of(data: bytes) -> tuple[int, int, bool] | None:
    """(number, step, back) of a probe in a frame."""
    at = data.find(MARK)
    if at < 0 or len(data) < at + len(MARK) + 6:
        return None
    number, step, back = struct.unpack_from("!IBB", data, at + len(MARK))
    return number, step, bool(back)
