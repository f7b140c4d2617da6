"""The common cases in one piece, several times faster than walking the layers one by one.

Ethernet, up to two tags, IPv4 without options or IPv6 without extension headers, TCP or UDP; the same again
inside VXLAN, Geneve, NVGRE or ERSPAN. Wherever a packet is anything else, or contradicts itself, the answer
is False and the layers start over from its first byte; so this module decides nothing on its own, and a test
holds it to what the layers say.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode import tunnel as T  # noqa: N812  the codes
from workbench.decode.bits import be16, be32, be64, i64, kernel, le32, u64
from workbench.decode.checksum import fold, judge
from workbench.records import packet as P  # noqa: N812

_VXLAN: Final = T.VXLAN
_GENEVE: Final = T.GENEVE
_NVGRE: Final = T.NVGRE
_ERSPAN2: Final = (T.GRE << 8) | T.ERSPAN2
_ERSPAN3: Final = (T.GRE << 8) | T.ERSPAN3
_MAPPED: Final = 0xFFFF << 32


@kernel
def _headers(buf: NDArray[np.uint8], p: Any, pos: int, end: int, verify: int) -> tuple[int, int, int, bool]:
    """Ethernet, tags and IP: where the payload starts and stops, its protocol (0: not plain), a bad IPv4 sum."""
    if end - pos < 42:
        return 0, 0, 0, False
    p.dst_mac = (be32(buf, pos) << 16) | be16(buf, pos + 4)
    p.src_mac = (be32(buf, pos + 6) << 16) | be16(buf, pos + 10)
    p.vlan = -1
    p.inner_vlan = -1
    kind = be16(buf, pos + 12)
    at = pos + 14
    if kind in (0x8100, 0x88A8):
        p.vlan = be16(buf, at) & 0xFFF
        kind = be16(buf, at + 2)
        at += 4
        if kind == 0x8100:
            p.inner_vlan = be16(buf, at) & 0xFFF
            kind = be16(buf, at + 2)
            at += 4
    if kind == 0x0800:
        # 20 bytes of header, no fragment: everything else is not plain
        if end - at < 28 or buf[at] != 0x45 or be16(buf, at + 6) & 0x3FFF:
            return 0, 0, 0, False
        stop = at + be16(buf, at + 2)
        p.src_hi = 0
        p.src_lo = u64(_MAPPED) | u64(be32(buf, at + 12))
        p.dst_hi = 0
        p.dst_lo = u64(_MAPPED) | u64(be32(buf, at + 16))
        p.version = 4
        p.ip_bytes = stop - at
        bad = (
            verify != 0
            and fold(le32(buf, at) + le32(buf, at + 4) + le32(buf, at + 8) + le32(buf, at + 12) + le32(buf, at + 16)) != 0xFFFF
        )
        return at + 20, stop, i64(buf[at + 9]), bad
    if kind == 0x86DD and end - at >= 48 and buf[at] >> 4 == 6:
        stop = at + 40 + be16(buf, at + 4)
        p.src_hi = be64(buf, at + 8)
        p.src_lo = be64(buf, at + 16)
        p.dst_hi = be64(buf, at + 24)
        p.dst_lo = be64(buf, at + 32)
        p.version = 6
        p.ip_bytes = stop - at
        return at + 40, stop, i64(buf[at + 6]), False
    return 0, 0, 0, False


@kernel
def _tcp(buf: NDArray[np.uint8], p: Any, start: int, stop: int, end: int) -> bool:
    if end - start < 20:
        return False
    head = (i64(buf[start + 12]) >> 4) * 4
    if head < 20 or head > stop - start:
        return False
    p.src_port = be16(buf, start)
    p.dst_port = be16(buf, start + 2)
    p.seq = be32(buf, start + 4)
    p.ack = be32(buf, start + 8)
    p.flags = be16(buf, start + 12) & 0x1FF
    p.window = be16(buf, start + 14)
    p.pay = start + head
    p.payload = stop - start - head
    p.pay_cap = max(0, min(end, stop) - start - head)
    return True


@kernel
def _udp(buf: NDArray[np.uint8], p: Any, start: int, stop: int, end: int) -> bool:
    if end - start < 8 or stop - start < 8:
        return False
    length = be16(buf, start + 4)
    if length < 8 or length > stop - start or (p.version == 6 and be16(buf, start + 6) == 0):
        return False
    p.src_port = be16(buf, start)
    p.dst_port = be16(buf, start + 2)
    p.flags = 0
    p.pay = start + 8
    p.payload = length - 8
    p.pay_cap = max(0, min(end, start + length) - start - 8)
    return True


@kernel
def _inside(buf: NDArray[np.uint8], p: Any, proto: int, start: int, stop: int, end: int) -> tuple[int, int]:
    """Where the frame in a tunnel starts, and the tunnel's codes; 0: this is no tunnel; -1: the layers know."""
    if proto == 17:
        if end - start < 24 or stop - start < 24:
            return (0 if end - start >= 8 and not T.port(be16(buf, start), be16(buf, start + 2)) else -1), 0
        port = be16(buf, start + 2)
        if not T.port(be16(buf, start), port):
            return 0, 0
        length = be16(buf, start + 4)
        if length < 16 or length > stop - start or end < stop:
            return -1, 0
        if port in (4789, 8472) and buf[start + 8] & 8:
            p.vni = be32(buf, start + 12) >> 8
            return start + 16, _VXLAN
        if port == 6081 and be16(buf, start + 10) == 0x6558 and buf[start + 8] >> 6 == 0:
            p.vni = be32(buf, start + 12) >> 8
            return start + 16 + (i64(buf[start + 8]) & 0x3F) * 4, _GENEVE
        return -1, 0
    if proto == 47 and end - start >= 24 and end >= stop:
        bits, kind = be16(buf, start), be16(buf, start + 2)
        if bits == 0x2000 and kind == 0x6558:
            p.vni = be32(buf, start + 4) >> 8
            return start + 8, _NVGRE
        if bits == 0x1000 and kind == 0x88BE and buf[start + 8] >> 4 == 1:
            return start + 16, _ERSPAN2
        if bits == 0x1000 and kind == 0x22EB and buf[start + 8] >> 4 == 2 and be16(buf, start + 18) & 0x7C01 == 0:
            return start + 20, _ERSPAN3
    return -1, 0


@kernel
def _outside(p: Any, codes: int) -> None:
    """What was read so far is a tunnel's outer side."""
    p.outer_src_hi = p.src_hi
    p.outer_src_lo = p.src_lo
    p.outer_dst_hi = p.dst_hi
    p.outer_dst_lo = p.dst_lo
    p.outer_src_mac = p.src_mac
    p.outer_dst_mac = p.dst_mac
    p.outer_vlan = p.vlan
    p.tunnel = u64(codes)


@kernel
def plain(buf: NDArray[np.uint8], p: Any, off: int, cap: int, wire: int, verify: int) -> bool:
    """Fill the row of an Ethernet frame; False where the layers must do it."""
    if wire < cap:
        return False
    pos, end, beyond = i64(off), off + cap, off + wire
    marks = i64(P.CUT | P.PORTS) if cap < wire else i64(P.PORTS)
    p.tunnel = 0
    p.vni = -1
    while True:
        start, stop, proto, bad = _headers(buf, p, pos, end, verify)
        if proto == 0 or stop > beyond:
            return False
        length, field = stop - start, start + 16
        if proto == 6:
            if not _tcp(buf, p, start, stop, end):
                return False
            break
        following, codes = _inside(buf, p, proto, start, stop, end)
        if following == 0:
            if not _udp(buf, p, start, stop, end):
                return False
            length, field = be16(buf, start + 4), start + 6
            break
        if following < 0 or p.tunnel:
            return False
        _outside(p, codes)
        pos = following
        beyond = stop if proto != 17 else start + be16(buf, start + 4)
        end = min(end, beyond)
    p.proto = proto
    p.status = P.FLOW
    if bad:
        marks |= P.L3_BAD
    if verify and stop <= end and be16(buf, field) | (proto == 6):
        marks |= judge(buf, p, start, length, proto, field)
    else:
        marks |= P.L4_UNCHECKED
    p.marks = marks
    return True
