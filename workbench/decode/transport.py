"""Transport headers: ports, flags, payload, checksums. Every other protocol is a flow without ports.

Sources: RFC 9293 (TCP), RFC 768 (UDP), RFC 9260 (SCTP), RFC 792 and RFC 4443 (ICMP), and Zeek's pairing of
ICMP types. A header cut by the snap length still gives a flow where its ports were captured.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, i64, kernel
from workbench.decode.checksum import judge, judge_icmp
from workbench.decode.cursor import DONE, END, POS, TYPE, VERIFY, WHOLE, WIRE, fail
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

ICMP: Final = 1
IGMP: Final = 2
TCP: Final = 6
UDP: Final = 17
ICMP6: Final = 58
SCTP: Final = 132


@kernel
def transport(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """Fill the rest of the row; DONE, or FAIL where not even the ports are there."""
    proto = w[TYPE]
    p.flags = 0
    p.status = P.FLOW
    if proto == TCP:
        return _tcp(buf, w, p)
    if proto == UDP:
        return _udp(buf, w, p)
    if proto == ICMP and p.version == 4:
        return _icmp(buf, w, p, False)
    if proto == ICMP6 and p.version == 6:
        return _icmp(buf, w, p, True)
    if proto == SCTP:
        if w[END] - w[POS] < 4:
            return fail(w, R.TRANSPORT_TRUNCATED, proto)
        _ports(buf, w, p)
        _payload(w, p, 12)
        p.marks |= P.L4_UNCHECKED
        return DONE
    p.src_port = 0
    p.dst_port = 0
    _payload(w, p, 0)
    p.marks |= P.L4_UNCHECKED
    return DONE


@kernel
def _payload(w: Numbers, p: Any, header: int) -> None:
    """Everything behind the header, as far as the IP length goes."""
    pos = w[POS] + header
    p.pay = pos
    p.payload = max(0, w[WIRE] - pos)
    p.pay_cap = max(0, w[END] - pos)


@kernel
def _ports(buf: NDArray[np.uint8], w: Numbers, p: Any) -> None:
    p.src_port = be16(buf, w[POS])
    p.dst_port = be16(buf, w[POS] + 2)
    p.marks |= P.PORTS


@kernel
def _tcp(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    pos, end, wire = w[POS], w[END], w[WIRE]
    have = end - pos
    if have < 4:
        return fail(w, R.TRANSPORT_TRUNCATED, TCP)
    _ports(buf, w, p)
    if have < 20:
        return _tcp_cut(buf, w, p)
    header = (i64(buf[pos + 12]) >> 4) * 4
    p.seq = be32(buf, pos + 4)
    p.ack = be32(buf, pos + 8)
    p.window = be16(buf, pos + 14)
    if header < 20 or pos + header > wire:
        # contradicts itself: a packet of the flow, but none of its bits can be believed. Nothing behind the least header is
        # one: what is blanked begins there
        p.pay, p.payload, p.pay_cap = pos + 20, 0, 0
        p.marks |= P.L4_UNCHECKED
        return DONE
    p.flags = be16(buf, pos + 12) & 0x1FF
    _payload(w, p, header)
    if w[VERIFY] and w[WHOLE]:
        p.marks |= judge(buf, p, pos, wire - pos, TCP, pos + 16)
    else:
        p.marks |= P.L4_UNCHECKED
    return DONE


@kernel
def _tcp_cut(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """A TCP header cut by the snap length: what is there counts, its length is the least where unknown."""
    pos, end, wire = w[POS], w[END], w[WIRE]
    have = end - pos
    p.seq = be32(buf, pos + 4) if have >= 8 else 0
    p.ack = be32(buf, pos + 8) if have >= 12 else 0
    p.window = be16(buf, pos + 14) if have >= 16 else 0
    header = i64(20)
    # a header cut on the wire itself (a tiny fragment, damage) says nothing about the connection
    if wire - pos >= 20:
        if have >= 13:
            header = max(i64(20), (i64(buf[pos + 12]) >> 4) * 4)
        if have >= 14:
            p.flags = be16(buf, pos + 12) & 0x1FF
    _payload(w, p, header)
    p.marks |= P.L4_UNCHECKED
    return DONE


@kernel
def _udp(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    pos, end, wire = w[POS], w[END], w[WIRE]
    if end - pos < 4:
        return fail(w, R.TRANSPORT_TRUNCATED, UDP)
    _ports(buf, w, p)
    length = wire - pos
    if end - pos >= 6:
        said = be16(buf, pos + 4)
        if 8 <= said <= length:  # 0 is a jumbogram or a large send; anything else below 8 is damage
            length = said
        elif 0 < said < 8:
            length = i64(8)
    w[WIRE] = min(wire, pos + length)
    w[END] = min(end, w[WIRE])
    _payload(w, p, 8)
    p.marks |= P.L4_UNCHECKED
    if w[VERIFY] and w[WHOLE] and w[END] - pos >= 8 and be16(buf, pos + 4) >= 8:
        field = be16(buf, pos + 6)
        if field or p.version == 6:
            p.marks = (p.marks & ~P.L4_UNCHECKED) | judge(buf, p, pos, length, UDP, pos + 6)
    return DONE


@kernel
def _icmp(buf: NDArray[np.uint8], w: Numbers, p: Any, six: bool) -> int:
    pos, end, wire = w[POS], w[END], w[WIRE]
    if end - pos < 2:
        return fail(w, R.TRANSPORT_TRUNCATED, w[TYPE])
    kind = i64(buf[pos])
    p.src_port = kind
    p.marks |= P.PORTS
    other = counterpart6(kind) if six else counterpart4(kind)
    if other >= 0:
        p.dst_port = other & 0xFF
        p.marks |= P.ICMP_PAIRED
        if other & 0x100:
            p.marks |= P.ICMP_REPLY
    else:
        p.dst_port = i64(buf[pos + 1])
    _payload(w, p, 8)
    length = wire - pos
    if not (w[VERIFY] and w[WHOLE]) or length < 4:
        p.marks |= P.L4_UNCHECKED
    elif six:
        p.marks |= judge(buf, p, pos, length, ICMP6, pos + 2)
    else:
        p.marks |= judge_icmp(buf, pos, length)
    return DONE


@kernel
def counterpart4(kind: int) -> int:
    """The ICMP type on the other side of an exchange, plus 256 where `kind` is the answer; -1: one-way."""
    if kind == 8:  # echo
        return 0
    if kind == 0:
        return 8 | 0x100
    if kind in (13, 15, 17):  # time stamp, information, mask
        return kind + 1
    if kind in (14, 16, 18):
        return (kind - 1) | 0x100
    if kind == 10:  # router solicitation
        return 9
    if kind == 9:
        return 10 | 0x100
    return -1


@kernel
def counterpart6(kind: int) -> int:
    """The same for ICMPv6: echo, router and neighbour discovery, MLD, node information, home agents."""
    if kind in (128, 133, 135, 139, 144):
        return kind + 1
    if kind in (129, 134, 136, 140, 145):
        return (kind - 1) | 0x100
    if kind == 130:  # multicast listener query and report
        return 131
    if kind == 131:
        return 130 | 0x100
    return -1
