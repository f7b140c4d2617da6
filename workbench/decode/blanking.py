"""Packet blocks without what people said: application payload zeroed in copies that `pcapng_copy` has just made.

Headers and lengths stay, so that the copy still tells which flow it is of and how much was said. What is no flow keeps
its first bytes only: nobody knows what the rest holds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from workbench.decode.bits import exported, i64
from workbench.records.packet import ARP, FLOW, FRAME, PACKET

#: Bytes of an enhanced packet block in front of the packet, and around it.
HEAD: Final = 28
AROUND: Final = 32
#: Bytes kept of what could not be decoded (an Ethernet header) and of ARP (behind two VLAN tags).
UNKNOWN_KEPT: Final = 14
ARP_KEPT: Final = 50

_FRAMES: Final = types.Array(from_dtype(FRAME), 1, "C")
_PACKETS: Final = types.Array(from_dtype(PACKET), 1, "C")


@exported(types.int64(_FRAMES, _PACKETS, types.int64, types.uint8[::1]))
def blank_payloads(frames: NDArray[Any], packets: NDArray[Any], n: int, out: NDArray[np.uint8]) -> int:
    """Zero the payload of frames[:n], which stand one behind another as blocks without options at the start of `out`.

    packets: the same, decoded. Returns the bytes gone over; less than all of them where `out` is too short.
    """
    at = i64(0)
    size = i64(len(out))
    for i in range(min(n, len(frames), len(packets))):
        f, p = frames[i], packets[i]
        cap, off = i64(f.cap), i64(f.off)
        length = AROUND + ((cap + 3) & ~3)
        if length > size - at:
            break
        keep = i64(UNKNOWN_KEPT)
        if p.status == FLOW and off <= i64(p.pay) <= off + cap:
            keep = i64(p.pay) - off
        elif p.status == ARP:
            keep = i64(ARP_KEPT)
        for j in range(at + HEAD + min(keep, cap), at + HEAD + cap):
            out[j] = 0
        at += length
    return at
