"""IPv4 and IPv6: addresses, lengths, fragments, extension headers.

Sources: RFC 791, RFC 8200, RFC 2675 (jumbograms), RFC 4302 (AH), RFC 6275 (mobility), RFC 8754 (segment
routing), and the IANA registry of IPv6 extension header types.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, be64, i64, kernel, u64
from workbench.decode.checksum import sum16
from workbench.decode.cursor import DONE, END, K_TRANSPORT, POS, TYPE, VERIFY, WHOLE, WIRE, fail
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

HOP_BY_HOP: Final = 0
ROUTING: Final = 43
FRAGMENT_HEADER: Final = 44
AH: Final = 51
NO_NEXT: Final = 59
DESTINATION: Final = 60
MOBILITY: Final = 135
HIP: Final = 139
SHIM6: Final = 140

#: More extension headers than any honest packet has.
MAX_EXTENSIONS: Final = 64


@kernel
def ip(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """An IP header of the version its first nibble says, whatever the layer below called it."""
    pos = w[POS]
    if w[END] - pos < 1:
        return fail(w, R.IP_TRUNCATED, 0)
    version = i64(buf[pos]) >> 4
    if version == 4:
        return _ip4(buf, w, p)
    if version == 6:
        return _ip6(buf, w, p)
    return fail(w, R.IP_VERSION, version)


@kernel
def _mix(x: int) -> int:
    """A 64-bit finaliser (the constants of SplitMix64, Steele et al. 2014)."""
    x = u64(x)
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return x ^ (x >> u64(31))


@kernel
def fragment_key(p: Any, proto: int, ident: int) -> int:
    """What all fragments of one packet share: addresses, protocol, identification, tenant network."""
    h = _mix(p.src_hi ^ u64(0x9E3779B97F4A7C15))
    h = _mix(h ^ p.src_lo)
    h = _mix(h ^ p.dst_hi)
    h = _mix(h ^ p.dst_lo)
    h = _mix(h ^ (u64(proto) << u64(32)) ^ u64(ident))
    return _mix(h ^ (u64(np.uint32(p.vni)) << u64(32)) ^ u64(np.uint16(p.vlan)))


@kernel
def _later_fragment(w: Numbers, p: Any, key: int, proto: int) -> int:
    """A row without ports: the flow that owns the key takes it."""
    pos = w[POS]
    p.frag_key = key
    p.marks = (p.marks & P.CUT) | P.FRAG_LATER | P.L4_UNCHECKED
    p.proto = proto
    p.src_port = 0
    p.dst_port = 0
    p.flags = 0
    p.pay = pos
    p.payload = max(0, w[WIRE] - pos)
    p.pay_cap = max(0, w[END] - pos)
    p.status = P.FLOW
    return DONE


@kernel
def _ip4(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    pos, end, wire = w[POS], w[END], w[WIRE]
    if end - pos < 20:
        return fail(w, R.IP_TRUNCATED, 4)
    header = (i64(buf[pos]) & 15) * 4
    if header < 20 or pos + header > wire:
        return fail(w, R.IP_HEADER_LENGTH, header)
    total = be16(buf, pos + 2)
    if total == 0:  # segmentation offload, or larger than the field: the frame's length (RFC 791 has no 0)
        total = wire - pos
    if total < header:
        return fail(w, R.IP_TOTAL_LENGTH, total)
    w[WHOLE] = i64(pos + total <= end)
    wire = min(wire, pos + total)
    mapped = u64(0xFFFF00000000)
    p.src_hi = 0
    p.dst_hi = 0
    p.src_lo = mapped | u64(be32(buf, pos + 12))
    p.dst_lo = mapped | u64(be32(buf, pos + 16))
    p.version = 4
    p.ip_bytes = wire - pos
    proto = i64(buf[pos + 9])
    p.proto = proto
    if pos + header > end:
        return fail(w, R.TRANSPORT_TRUNCATED, proto)
    if w[VERIFY] and sum16(buf, pos, header) != 0xFFFF:
        p.marks |= P.L3_BAD
    bits = be16(buf, pos + 6)
    ident = be16(buf, pos + 4)
    w[POS] = pos + header
    w[WIRE] = wire
    w[END] = min(end, wire)
    w[TYPE] = proto
    if bits & 0x3FFF:
        key = fragment_key(p, proto, ident)
        if bits & 0x1FFF:
            return _later_fragment(w, p, key, proto)
        _first_fragment(w, p, key)
    return K_TRANSPORT


@kernel
def _first_fragment(w: Numbers, p: Any, key: int) -> None:
    w[WHOLE] = 0
    p.frag_key = key
    p.marks |= P.FRAG_FIRST


@kernel
def _ip6(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    pos, end, wire = w[POS], w[END], w[WIRE]
    if end - pos < 40:
        return fail(w, R.IP_TRUNCATED, 6)
    p.src_hi = be64(buf, pos + 8)
    p.src_lo = be64(buf, pos + 16)
    p.dst_hi = be64(buf, pos + 24)
    p.dst_lo = be64(buf, pos + 32)
    p.version = 6
    length = be16(buf, pos + 4)
    proto = i64(buf[pos + 6])
    if length == 0:
        length = _jumbo(buf, pos, end, wire, proto)
    total = 40 + length
    w[WHOLE] = i64(pos + total <= end)
    wire = min(wire, pos + total)
    p.ip_bytes = wire - pos
    w[WIRE] = wire
    w[END] = min(end, wire)
    w[POS] = pos + 40
    w[TYPE] = proto
    if proto in (6, 17, 58):
        p.proto = proto
        return K_TRANSPORT
    return _extensions(buf, w, p)


@kernel
def _jumbo(buf: NDArray[np.uint8], pos: int, end: int, wire: int, proto: int) -> int:
    """The payload's length where the field says 0: the jumbo option's, or the frame's for large sends."""
    if proto == HOP_BY_HOP and end - pos >= 48 and buf[pos + 42] == 0xC2 and buf[pos + 43] == 4:
        return be32(buf, pos + 44)
    if proto in (6, 17):
        return wire - pos - 40
    return 0


@kernel
def _extensions(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """Walk the chain to the upper layer; ESP ends it, and so does a header that nothing follows."""
    proto = w[TYPE]
    for _ in range(MAX_EXTENSIONS):
        pos, end = w[POS], w[END]
        if proto == FRAGMENT_HEADER:
            if end - pos < 8:
                return fail(w, R.IP6_EXTENSION, proto)
            proto = i64(buf[pos])
            bits = be16(buf, pos + 2)
            w[POS] = pos + 8
            if bits & 0xFFF9:  # not an atomic fragment (RFC 6946)
                key = fragment_key(p, 0, be32(buf, pos + 4))
                if bits & 0xFFF8:
                    return _later_fragment(w, p, key, proto)
                _first_fragment(w, p, key)
            continue
        if proto not in (HOP_BY_HOP, ROUTING, DESTINATION, AH, MOBILITY, HIP, SHIM6):
            break
        if end - pos < 8:
            return fail(w, R.IP6_EXTENSION, proto)
        size = (i64(buf[pos + 1]) + 1) * 8
        if proto == AH:
            size = (i64(buf[pos + 1]) + 2) * 4
        following = i64(buf[pos])
        if following == NO_NEXT and proto in (MOBILITY, HIP, SHIM6):
            break  # the header is the message
        if end - pos < size:
            return fail(w, R.IP6_EXTENSION, proto)
        if proto == ROUTING:
            _routing(buf, p, pos, size)
        elif proto == DESTINATION:
            _home_address(buf, p, pos, size)
        proto = following
        w[POS] = pos + size
    else:
        return fail(w, R.IP6_EXTENSION, proto)
    w[TYPE] = proto
    p.proto = proto
    return K_TRANSPORT


@kernel
def _routing(buf: NDArray[np.uint8], p: Any, pos: int, size: int) -> None:
    """The final destination of a packet still on its way: that is whom the flow and the checksum mean."""
    kind, left = buf[pos + 2], buf[pos + 3]
    if left == 0 or size < 24:
        return
    if kind == 0 or kind == 2:  # the last address of the list (RFC 2460), the home address (RFC 6275)
        at = pos + size - 16
    elif kind == 4:  # segments are listed backwards
        at = pos + 8
    else:
        return
    p.dst_hi = be64(buf, at)
    p.dst_lo = be64(buf, at + 8)


@kernel
def _home_address(buf: NDArray[np.uint8], p: Any, pos: int, size: int) -> None:
    """A mobile node's home address option stands for the source (RFC 6275, section 6.3)."""
    at, end = pos + 2, pos + size
    while at + 2 <= end:
        if buf[at] == 0:
            at += 1
            continue
        length = i64(buf[at + 1])
        if buf[at] == 0xC9 and length == 16 and at + 18 <= end:
            p.src_hi = be64(buf, at + 2)
            p.src_lo = be64(buf, at + 10)
            return
        at += 2 + length
