"""FRAME rows to PACKET rows: the layers put together, one pass over the captured bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, exported, i64, kernel, u64
from workbench.decode.checksum import judge, sum16
from workbench.decode.cursor import (
    DEPTH,
    DETAIL,
    DONE,
    END,
    FAIL,
    FRAGMENT,
    K_ARP,
    K_ETHERNET,
    K_IP,
    K_LLC,
    K_MPLS,
    K_NSH,
    K_PPP,
    K_TRANSPORT,
    K_TYPE,
    LAYERS,
    MAX_LAYERS,
    POS,
    REASON,
    SAVED,
    SLOTS,
    VERIFY,
    WHOLE,
    WIRE,
)
from workbench.decode.ip import ip
from workbench.decode.link import arp, ether_type, ethernet, link_layer, llc, mpls, nsh, ppp
from workbench.decode.transport import transport
from workbench.decode.tunnel import tunnel
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

#: `flags` of decode_frames.
VERIFY_CHECKSUMS: Final = 1

#: What kernels take as a buffer: contiguous bytes, which they never write.
BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
FRAMES: Final = types.Array(from_dtype(P.FRAME), 1, "C")
PACKETS: Final = types.Array(from_dtype(P.PACKET), 1, "C")


@kernel
def _plain(buf: NDArray[np.uint8], p: Any, off: int, cap: int, wire: int, link: int, verify: int) -> bool:
    """The common case in one piece: Ethernet, at most one tag, IPv4 without options, TCP or UDP, no tunnel.

    False where any of that does not hold; the layers then start over and overwrite what was written.
    """
    if link != 1 or cap < 58 or wire < cap:
        return False
    kind = be16(buf, off + 12)
    pos = off + 14
    tag = -1
    if kind == 0x8100:
        tag = be16(buf, off + 14) & 0xFFF
        kind = be16(buf, off + 16)
        pos += 4
    # version 4, header of 20 bytes, no fragment: everything else is not plain
    if kind != 0x0800 or buf[pos] != 0x45 or be16(buf, pos + 6) & 0x3FFF:
        return False
    proto = i64(buf[pos + 9])
    total = be16(buf, pos + 2)
    end = off + cap
    start = pos + 20
    stop = pos + total
    # lengths: header there in full, the packet inside the frame as it was on the wire
    if stop > off + wire:
        return False
    src_port, dst_port = be16(buf, start), be16(buf, start + 2)
    cut = end < stop
    if proto == 6:
        head = (i64(buf[start + 12]) >> 4) * 4
        if head < 20 or total < 20 + head or start + 20 > end:
            return False
        p.seq = be32(buf, start + 4)
        p.ack = be32(buf, start + 8)
        p.flags = be16(buf, start + 12) & 0x1FF
        p.window = be16(buf, start + 14)
        length = stop - start
        field = start + 16
        given = True
    elif proto == 17:
        length = be16(buf, start + 4)
        if length < 8 or length > stop - start or tunnel_port(src_port, dst_port):
            return False
        head = 8
        p.flags = 0
        field = start + 6
        given = be16(buf, field) != 0
    else:
        return False
    marks = P.PORTS
    if cap < wire:
        marks |= P.CUT
    if verify and sum16(buf, pos, 20) != 0xFFFF:
        marks |= P.L3_BAD
    mapped = u64(0xFFFF00000000)
    p.src_hi = 0
    p.src_lo = mapped | u64(be32(buf, pos + 12))
    p.dst_hi = 0
    p.dst_lo = mapped | u64(be32(buf, pos + 16))
    p.dst_mac = (be32(buf, off) << 16) | be16(buf, off + 4)
    p.src_mac = (be32(buf, off + 6) << 16) | be16(buf, off + 10)
    p.tunnel = 0
    p.pay = start + head
    p.payload = length - head
    p.pay_cap = max(0, min(end, start + length) - start - head)
    p.ip_bytes = total
    p.vni = -1
    p.src_port = src_port
    p.dst_port = dst_port
    p.vlan = tag
    p.inner_vlan = -1
    p.proto = proto
    p.version = 4
    p.status = P.FLOW
    if verify and given and not cut:
        marks |= judge(buf, p, start, length, proto, field)
    else:
        marks |= P.L4_UNCHECKED
    p.marks = marks
    return True


@kernel
def tunnel_port(src: int, dst: int) -> bool:
    """Whether a UDP port may mean a tunnel (workbench.decode.tunnel decides)."""
    return (
        dst == 4789
        or dst == 8472
        or dst == 4790
        or dst == 6081
        or dst == 6635
        or dst == 2152
        or src == 2152
        or dst == 3544
        or src == 3544
        or dst == 5072
        or src == 5072
    )


@kernel
def _layers(
    buf: NDArray[np.uint8],
    w: Numbers,
    packets: NDArray[Any],
    i: int,
    save: NDArray[Any],
    off: int,
    cap: int,
    wire: int,
    link: int,
) -> None:
    """Walk every layer of one packet and leave its row finished."""
    p = packets[i]
    _begin(w, p, off, cap, wire)
    if cap == 0:
        w[REASON] = R.EMPTY
        w[DETAIL] = link
        kind = FAIL
    else:
        kind = link_layer(buf, w, p, link)
    while kind > DONE:
        w[LAYERS] += 1
        if w[LAYERS] > MAX_LAYERS:
            w[REASON] = R.TUNNEL_DEPTH
            w[DETAIL] = 0
            kind = FAIL
        elif kind == K_TRANSPORT:
            kind = transport(buf, w, p)
            if kind == DONE:
                kind = tunnel(buf, w, p, save)
        elif kind == K_IP:
            kind = ip(buf, w, p)
        elif kind == K_ETHERNET:
            kind = ethernet(buf, w, p)
        elif kind == K_TYPE:
            kind = ether_type(buf, w, p)
        else:
            kind = _rare_layer(buf, w, p, kind)
    if kind == DONE:
        return
    reason, detail = w[REASON], w[DETAIL]
    if w[SAVED]:
        packets[i] = save[0]
        p.marks |= P.INNER_UNDECODED
    else:
        p.status = P.UNDECODED
        p.tunnel = 0
    p.reason = reason
    p.detail = detail


@kernel
def _rare_layer(buf: NDArray[np.uint8], w: Numbers, p: Any, kind: int) -> int:
    if kind == K_ARP:
        return arp(buf, w, p)
    if kind == K_LLC:
        return llc(buf, w)
    if kind == K_MPLS:
        return mpls(buf, w)
    if kind == K_PPP:
        return ppp(buf, w)
    if kind == K_NSH:
        return nsh(buf, w)
    return FAIL


@kernel
def _begin(w: Numbers, p: Any, off: int, cap: int, wire: int) -> None:
    w[POS] = off
    w[END] = off + cap
    # a record may claim fewer bytes on the wire than were captured: what is there is believed
    w[WIRE] = off + max(cap, wire)
    w[DEPTH] = 0
    w[SAVED] = 0
    w[REASON] = 0
    w[DETAIL] = 0
    w[FRAGMENT] = 0
    w[WHOLE] = 0
    w[LAYERS] = 0
    p.tunnel = 0
    p.vni = -1
    p.vlan = -1
    p.inner_vlan = -1
    p.src_mac = -1
    p.dst_mac = -1
    p.marks = P.CUT if cap < wire else 0
    p.frag_key = 0
    p.reason = 0
    p.detail = 0


@exported(types.int64(BUFFER, FRAMES, types.int64, PACKETS, types.int64, types.int64[::1], PACKETS))
def _decode(
    buf: NDArray[np.uint8],
    frames: NDArray[Any],
    n: int,
    packets: NDArray[Any],
    flags: int,
    w: Numbers,
    save: NDArray[Any],
) -> int:
    """Rows done: n, or the number of the first frame that lies outside the buffer."""
    size = i64(len(buf))
    w[VERIFY] = flags & 1
    for i in range(n):
        f = frames[i]
        off, cap = i64(f.off), i64(f.cap)
        if off < 0 or off > size or cap > size - off:
            return i
        p = packets[i]
        p.ts = f.ts
        p.rec = f.rec
        p.end = off + cap
        p.wire = f.wire
        if not _plain(buf, p, off, cap, i64(f.wire), i64(f.link), flags & 1):
            _layers(buf, w, packets, i, save, off, cap, i64(f.wire), i64(f.link))
    return n


def decode_frames(buf: NDArray[np.uint8], frames: NDArray[Any], n: int, packets: NDArray[Any], flags: int) -> None:
    """Decode frames[:n], which lie in `buf`, into packets[:n], in the same order.

    flags: VERIFY_CHECKSUMS or 0. Every row gets a status; nothing outside the captured bytes is read.
    ValueError where `n` is more than either array holds, or a frame lies outside the buffer.
    """
    if not 0 <= n <= min(len(frames), len(packets)):
        raise ValueError(f"{n} frames asked for, {len(frames)} given, room for {len(packets)}")
    if _decode(buf, frames, n, packets, flags, np.zeros(SLOTS, np.int64), np.empty(1, P.PACKET)) < n:
        raise ValueError("a frame lies outside its buffer")
