"""The Internet checksum (RFC 1071) at memory speed, and the judgement of transport checksums.

Sums are taken over 32-bit words in machine order, in 64-bit accumulators, so that the loop becomes
vector adds; one's complement sums do not care for the byte order until the end (RFC 1071, section 2B).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import be16, i64, kernel, le32, u64
from workbench.records.packet import L4_BAD, L4_OFFLOAD


@kernel
def fold(total: int) -> int:
    """A one's complement sum of up to 48 bits, folded to 16."""
    total = (total & 0xFFFFFFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@kernel
def sum16(buf: NDArray[np.uint8], start: int, length: int) -> int:
    """Folded one's complement sum of `length` bytes as big-endian 16-bit words, zero padded."""
    words = length >> 2
    total = i64(0)
    for i in range(words):
        total += le32(buf, start + (i << 2))
    at = start + (words << 2)
    rest = length & 3
    if rest >= 1:
        total += i64(buf[at])
    if rest >= 2:
        total += i64(buf[at + 1]) << 8
    if rest == 3:
        total += i64(buf[at + 2])
    folded = fold(total)
    return ((folded & 0xFF) << 8) | (folded >> 8)


@kernel
def pseudo_sum(p: Any, proto: int, length: int) -> int:
    """Folded sum of the pseudo-header (RFC 793, RFC 8200 section 8.1).

    Of an IPv4-mapped address only the lower 32 bits count.
    """
    low = u64(0xFFFFFFFF)
    half = u64(32)
    total = u64(proto) + u64(length) + (p.src_lo & low) + (p.dst_lo & low)
    if p.version != 4:
        total += (p.src_hi & low) + (p.src_hi >> half) + (p.src_lo >> half)
        total += (p.dst_hi & low) + (p.dst_hi >> half) + (p.dst_lo >> half)
    return fold(i64(total))


@kernel
def judge(buf: NDArray[np.uint8], p: Any, start: int, length: int, proto: int, field: int) -> int:
    """Marks for a TCP, UDP or ICMPv6 checksum over `length` wholly captured bytes; field: where it stands.

    A card that computes checksums leaves the folded pseudo-header sum in the field, with the length or
    (large sends) without it; such a packet is as good as the card, so it is not called bad.
    """
    pseudo = pseudo_sum(p, proto, length)
    if fold(sum16(buf, start, length) + pseudo) == 0xFFFF:
        return 0
    value = be16(buf, field)
    if value in (pseudo, pseudo_sum(p, proto, 0)):
        return L4_OFFLOAD
    return L4_BAD


@kernel
def judge_icmp(buf: NDArray[np.uint8], start: int, length: int) -> int:
    """Marks for an ICMP or IGMP checksum, which has no pseudo-header."""
    return 0 if sum16(buf, start, length) == 0xFFFF else L4_BAD
