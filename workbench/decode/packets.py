"""FRAME rows to PACKET rows: the layers put together, one pass over the captured bytes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, exported, i64, kernel, prefetch
from workbench.decode.cursor import (
    DEPTH,
    DETAIL,
    DONE,
    END,
    FAIL,
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
from workbench.decode.ether import arp, ether_type, ethernet, llc, mpls, nsh, ppp
from workbench.decode.ip import ip
from workbench.decode.link import link_layer
from workbench.decode.plain import plain
from workbench.decode.transport import transport
from workbench.decode.tunnel import tunnel
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

#: `flags` of decode_frames: verify checksums; take no short cut (the same rows, slower: for tests).
VERIFY_CHECKSUMS: Final = 1
LAYERS_ONLY: Final = 2

#: How many packets ahead headers are fetched into the cache.
_AHEAD: Final = 8

#: What kernels take as a buffer: contiguous bytes, which they never write.
BUFFER: Final = types.Array(types.uint8, 1, "C", readonly=True)
FRAMES: Final = types.Array(from_dtype(P.FRAME), 1, "C")
PACKETS: Final = types.Array(from_dtype(P.PACKET), 1, "C")


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
        if i + _AHEAD < n:
            prefetch(buf, frames[i + _AHEAD].off)
            prefetch(buf, frames[i + _AHEAD].off + 64)
        p = packets[i]
        p.ts = f.ts
        p.rec = f.rec
        p.end = off + cap
        p.wire = f.wire
        if f.link != 1 or flags & LAYERS_ONLY or not plain(buf, p, off, cap, i64(f.wire), flags & 1):
            _layers(buf, w, packets, i, save, off, cap, i64(f.wire), i64(f.link))
    return n


def decode_frames(buf: NDArray[np.uint8], frames: NDArray[Any], n: int, packets: NDArray[Any], flags: int) -> None:
    """Decode frames[:n], which lie in `buf`, into packets[:n], in the same order.

    flags: VERIFY_CHECKSUMS and LAYERS_ONLY, ORed. Every row gets a status; nothing outside the captured bytes is read.
    ValueError where `n` is more than either array holds, or a frame lies outside the buffer.
    """
    if not 0 <= n <= min(len(frames), len(packets)):
        raise ValueError(f"{n} frames asked for, {len(frames)} given, room for {len(packets)}")
    if _decode(buf, frames, n, packets, flags, np.zeros(SLOTS, np.int64), np.empty(1, P.PACKET)) < n:
        raise ValueError("a frame lies outside its buffer")
