"""Conversations as lists of finished frames: Ethernet, VLAN, VXLAN, IPv4/IPv6, TCP, UDP, ICMP and ARP with true lengths and
checksums.

A conversation is built once with all addresses, client port and initial sequence numbers zero. :mod:`benchmarks.stamp` later
copies it thousands of times and patches those fields, correcting the checksums incrementally (RFC 1624), so building may be slow
and copying is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NS_PER_MS = 1_000_000
TCP, UDP, ICMP, ICMP6, ARP = 6, 17, 1, 58, 0xFFFF
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
V6_PREFIX = bytes.fromhex("fd00002000000000") + bytes(4)


def ones_sum(data: bytes) -> int:
    """Ones' complement sum of big-endian words (RFC 1071), 0..65535; an odd tail is padded with zero."""
    if len(data) & 1:
        data += b"\0"
    value = int.from_bytes(data, "big")
    return value % 0xFFFF or (0xFFFF if value else 0)


def checksum(data: bytes) -> int:
    """The Internet checksum of ``data``."""
    return ~ones_sum(data) & 0xFFFF


@dataclass(frozen=True, slots=True)
class Wrap:
    """How a conversation's frames are wrapped: VLAN ids (outer first), or a VXLAN network id, and the IP version inside."""

    version: int = 4
    vlans: tuple[int, ...] = ()
    vni: int | None = None

    @property
    def mss(self) -> int:
        """Largest TCP payload without options that fits an MTU of 1500 outside."""
        return 1500 - (20 if self.version == 4 else 40) - 20 - (50 if self.vni is not None else 0)


@dataclass(slots=True)
class Packet:
    """One frame and where :mod:`benchmarks.stamp` patches it; offsets are bytes into ``data``, -1 where absent."""

    time: int
    """ns since the conversation began"""
    side: int
    """0 client to server, 1 server to client"""
    data: bytes
    eth: int
    outer: int
    ip: int
    version: int
    proto: int
    l4: int


@dataclass(slots=True)
class Conversation:
    """Frames of one conversation in time order, with the server's port (0 where there is none)."""

    rng: np.random.Generator
    port: int
    wrap: Wrap = field(default_factory=Wrap)
    rtt: int = NS_PER_MS
    """round trip in ns; half of it passes before a reply"""
    now: int = 0
    packets: list[Packet] = field(default_factory=list)
    ident: int = 1

    def wait(self, milliseconds: float) -> None:
        """Let time pass."""
        self.now += int(milliseconds * NS_PER_MS)

    def turn(self) -> None:
        """Let half a round trip pass."""
        self.now += self.rtt // 2

    def emit(self, side: int, proto: int, l4: bytes, ttl: int = 0) -> None:
        """Add one IP packet that carries ``l4``."""
        version = self.wrap.version
        self.ident = (self.ident + 1) & 0xFFFF
        ttl = ttl or (128 if side == 0 else 64)
        if version == 4:
            head = bytearray(
                b"\x45\0"
                + (20 + len(l4)).to_bytes(2, "big")
                + self.ident.to_bytes(2, "big")
                + b"\x40\0"
                + bytes((ttl, proto))
                + bytes(10)
            )
            head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
            body = bytes(head) + l4
        else:
            body = b"\x60\0\0\0" + len(l4).to_bytes(2, "big") + bytes((proto, ttl)) + (V6_PREFIX + bytes(4)) * 2 + l4
        self._add(side, body, version, proto, 20 if version == 4 else 40, 0x0800 if version == 4 else 0x86DD)

    def emit_arp(self, side: int) -> None:
        """Add an ARP request (side 0) or reply (side 1)."""
        body = b"\0\x01\x08\0\x06\x04" + (1 + side).to_bytes(2, "big") + bytes(20)
        self._add(side, body, 4, ARP, 0, 0x0806)

    def _add(self, side: int, body: bytes, version: int, proto: int, l4: int, ethertype: int) -> None:
        macs = b"\x02\x50\0\0\0\0\x02\x50\0\0\0\0"
        tags = b"".join(
            (b"\x88\xa8" if n == 0 and len(self.wrap.vlans) > 1 else b"\x81\0") + v.to_bytes(2, "big")
            for n, v in enumerate(self.wrap.vlans)
        )
        frame = macs + tags + ethertype.to_bytes(2, "big")
        eth, outer, ip = 0, -1, len(frame)
        frame += body
        if len(frame) < 60:
            frame += bytes(60 - len(frame))
        if self.wrap.vni is not None and proto != ARP:
            frame, outer = _vxlan(frame, self.wrap.vni, self.ident), 14
            eth, ip = 50, ip + 50
        self.packets.append(Packet(self.now, side, frame, eth, outer, ip, version, proto, ip + l4))


def _vxlan(frame: bytes, vni: int, ident: int) -> bytes:
    """``frame`` in VXLAN (RFC 7348) over UDP without a checksum, IPv4 and Ethernet; outer addresses zero."""
    udp_len = 16 + len(frame)
    head = bytearray(b"\x45\0" + (20 + udp_len).to_bytes(2, "big") + ident.to_bytes(2, "big") + b"\x40\0\x40\x11" + bytes(10))
    head[10:12] = checksum(bytes(head)).to_bytes(2, "big")
    source = 49152 + (vni * 2654435761 >> 7) % 16384
    udp = source.to_bytes(2, "big") + (4789).to_bytes(2, "big") + udp_len.to_bytes(2, "big") + b"\0\0"
    return b"\x02\x60\0\0\0\0\x02\x60\0\0\0\0\x08\0" + bytes(head) + udp + b"\x08\0\0\0" + vni.to_bytes(3, "big") + b"\0" + frame


def _pseudo(version: int, proto: int, length: int) -> int:
    """Sum of the pseudo header with zero address tails."""
    if version == 4:
        return proto + length
    return ones_sum((V6_PREFIX + bytes(4)) * 2) + proto + length


def _with_checksum(segment: bytearray, at: int, version: int, proto: int) -> bytes:
    total = ones_sum(bytes(segment)) + _pseudo(version, proto, len(segment))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    value = ~total & 0xFFFF
    if proto == UDP and value == 0:
        value = 0xFFFF
    segment[at : at + 2] = value.to_bytes(2, "big")
    return bytes(segment)


def udp(conversation: Conversation, side: int, payload: bytes) -> None:
    """Send one datagram."""
    ports = (0, conversation.port) if side == 0 else (conversation.port, 0)
    segment = bytearray(
        ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + b"\0\0" + payload
    )
    conversation.emit(side, UDP, _with_checksum(segment, 6, conversation.wrap.version, UDP))


def echo(conversation: Conversation, side: int, sequence: int, payload: bytes) -> None:
    """Send one echo request (side 0) or reply (side 1); the identifier is patched like a client port."""
    version = conversation.wrap.version
    kind = (8, 0) if version == 4 else (128, 129)
    body = bytearray(bytes((kind[side], 0, 0, 0, 0, 0)) + sequence.to_bytes(2, "big") + payload)
    if version == 4:
        body[2:4] = checksum(bytes(body)).to_bytes(2, "big")
        conversation.emit(side, ICMP, bytes(body))
    else:
        conversation.emit(side, ICMP6, _with_checksum(body, 2, 6, ICMP6))


class TcpTalk:
    """A TCP connection inside a :class:`Conversation`: sequence numbers, delayed ACKs, retransmissions, ends of both sorts."""

    def __init__(self, conversation: Conversation, *, stamps: bool, loss: float = 0.0) -> None:
        self.line = conversation
        self.stamps = stamps
        self.loss = loss
        self.seq = [0, 0]
        self.window = [64240, 65160]
        self.mss = conversation.wrap.mss - (12 if stamps else 0)

    def _segment(self, side: int, flags: int, payload: bytes = b"", seq: int | None = None, *, window: int | None = None) -> None:
        options = b""
        if flags & SYN:
            options = b"\x02\x04" + self.line.wrap.mss.to_bytes(2, "big") + b"\x04\x02"
        if self.stamps and not flags & RST:
            tick = 1_000_000 + self.line.now // NS_PER_MS
            options += (b"" if flags & SYN else b"\x01\x01") + b"\x08\x0a" + tick.to_bytes(4, "big")
            options += (0 if flags & SYN and not flags & ACK else max(tick - self.line.rtt // NS_PER_MS, 1)).to_bytes(4, "big")
        if flags & SYN:
            options += b"\x01\x03\x03\x07"
        options += b"\x01" * (-len(options) % 4)
        at = self.seq[side] if seq is None else seq
        peer = self.seq[1 - side] if flags & ACK else 0
        ports = (0, self.line.port) if side == 0 else (self.line.port, 0)
        size = self.window[side] if window is None else window
        head = (
            ports[0].to_bytes(2, "big")
            + ports[1].to_bytes(2, "big")
            + (at & 0xFFFFFFFF).to_bytes(4, "big")
            + (peer & 0xFFFFFFFF).to_bytes(4, "big")
        )
        head += bytes(((20 + len(options)) << 2, flags)) + size.to_bytes(2, "big") + b"\0\0\0\0" + options
        self.line.emit(side, TCP, _with_checksum(bytearray(head + payload), 16, self.line.wrap.version, TCP))

    def connect(self) -> None:
        """Three-way handshake."""
        self._segment(0, SYN)
        self.seq[0] = 1
        self.line.turn()
        self._segment(1, SYN | ACK)
        self.seq[1] = 1
        self.line.turn()
        self._segment(0, ACK)
        self.window = [502, 509]

    def send(self, side: int, data: bytes) -> None:
        """Send ``data`` in full segments; the peer acknowledges every second one and the last."""
        pieces = range(0, len(data), self.mss)
        for n, start in enumerate(pieces):
            piece = data[start : start + self.mss]
            last = start + self.mss >= len(data)
            lost = self.loss > 0 and self.line.rng.random() < self.loss
            self._segment(side, ACK | (PSH if last else 0), piece)
            if lost:  # the receiver lost it behind the sensor: it comes again after a duplicate acknowledgement
                self.line.turn()
                self._segment(1 - side, ACK)
                self.line.wait(3.0)
                self._segment(side, ACK | PSH, piece)
            self.seq[side] += len(piece)
            self.line.now += 12_000 + int(self.line.rng.integers(0, 9_000))
            if n & 1 or last:
                self.line.now += self.line.rtt // 8
                self._segment(1 - side, ACK)

    def keepalive(self, side: int) -> None:
        """A keep-alive probe and its answer (RFC 9293, 3.8.4)."""
        self._segment(side, ACK, seq=self.seq[side] - 1)
        self.line.turn()
        self._segment(1 - side, ACK)

    def close(self, side: int = 0) -> None:
        """Orderly end, begun by ``side``."""
        self.line.turn()
        self._segment(side, FIN | ACK)
        self.seq[side] += 1
        self.line.turn()
        self._segment(1 - side, FIN | ACK)
        self.seq[1 - side] += 1
        self.line.turn()
        self._segment(side, ACK)

    def reset(self, side: int) -> None:
        """Abrupt end by ``side``."""
        self.line.turn()
        self._segment(side, RST | ACK, window=0)

    def attempt(self, answer: str, tries: int = 1) -> None:
        """A connection attempt that fails or is dropped at once: ``answer`` is none, rst or syn (half-open scan)."""
        for n in range(tries):
            if n:
                self.line.wait(1000.0 * n)
            self.seq[0] = 0
            self._segment(0, SYN)
        self.seq[0] = 1
        self.line.turn()
        if answer == "rst":
            self._segment(1, RST | ACK, window=0)
        elif answer == "syn":
            self._segment(1, SYN | ACK)
            self.seq[1] = 1
            self.line.turn()
            self._segment(0, RST, window=0)
