"""Link types: from the first captured byte to an EtherType, a PPP protocol or an IP packet.

Sources: tcpdump.org/linktypes.html, RFC 1662 (PPP in HDLC-like framing), RFC 1547 (Cisco HDLC), RFC 2427 (frame relay),
RFC 1051 and 1201 (ARCNET).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, i64, kernel, le32, mac48
from workbench.decode.cursor import (
    END,
    K_ETHERNET,
    K_IP,
    K_LLC,
    K_PPP,
    K_TYPE,
    POS,
    TYPE,
    fail,
)
from workbench.decode.ether import ETHERNET, PPP, pppoe
from workbench.records import reasons as R  # noqa: N812

NULL: Final = 0
PPP_HDLC: Final = 50
PPP_ETHER: Final = 51
C_HDLC: Final = 104
FRAME_RELAY: Final = 107
LOOP: Final = 108
SLL: Final = 113
PFLOG: Final = 117
ARCNET_LINUX: Final = 129
USER2: Final = 149  # what Apple's systems wrote before PKTAP had a number
PPP_PPPD: Final = 166
PPP_WITH_DIR: Final = 204
C_HDLC_WITH_DIR: Final = 205
IPV4: Final = 228
IPV6: Final = 229
PKTAP: Final = 258
SLL2: Final = 276


@kernel
def _cooked(buf: NDArray[np.uint8], w: Numbers, p: Any, link: int) -> int:
    """Linux cooked captures, both versions: the sender's address is all there is of the link."""
    pos = w[POS]
    size = 16 if link == SLL else 20
    if w[END] - pos < size:
        return fail(w, R.LINK_TRUNCATED, link)
    if link == SLL:
        hardware, length, address, kind = be16(buf, pos + 2), be16(buf, pos + 4), pos + 6, be16(buf, pos + 14)
    else:
        hardware, length, address, kind = be16(buf, pos + 8), i64(buf[pos + 11]), pos + 12, be16(buf, pos)
    if length == 6:
        p.src_mac = mac48(buf, address)
    w[POS] = pos + size
    if hardware == 824:  # ARPHRD_NETLINK: kernel messages, not packets
        return fail(w, R.LINK_TYPE, link)
    if kind == 4:  # 802.2 follows
        return K_LLC
    w[TYPE] = kind
    return K_TYPE


@kernel
def _loopback(buf: NDArray[np.uint8], w: Numbers) -> int:
    """BSD loopback: an address family in the byte order of the capturing host, or of the network."""
    pos = w[POS]
    if w[END] - pos < 4:
        return fail(w, R.LINK_TRUNCATED, 0)
    family = le32(buf, pos)
    if family > 0xFFFF:
        family = be32(buf, pos)
    w[POS] = pos + 4
    # AF_INET everywhere; AF_INET6 on Linux, Windows, NetBSD and OpenBSD, FreeBSD, Darwin
    if family in (2, 10, 23, 24, 28, 30):
        return K_IP
    return fail(w, R.ETHERTYPE, family)


@kernel
def _serial(buf: NDArray[np.uint8], w: Numbers, link: int) -> int:
    """PPP in its framings, Cisco HDLC, frame relay, packet-filter logs and ARCNET."""
    pos, end = w[POS], w[END]
    if link not in (PPP, PPP_HDLC, PPP_ETHER, C_HDLC, FRAME_RELAY, PFLOG, ARCNET_LINUX, PPP_PPPD, PPP_WITH_DIR, C_HDLC_WITH_DIR):
        return fail(w, R.LINK_TYPE, link)
    if end - pos < 6:
        return fail(w, R.LINK_TRUNCATED, link)
    if link in (PPP_WITH_DIR, C_HDLC_WITH_DIR):
        pos += 1
    if link in (PPP, PPP_HDLC, PPP_WITH_DIR, PPP_PPPD):
        # address and control may be left out; pppd puts the direction in place of the address
        if buf[pos + 1] == 3 and (buf[pos] == 0xFF or link == PPP_PPPD):
            pos += 2
        elif link == PPP_HDLC and (buf[pos] == 0x0F or buf[pos] == 0x8F):
            w[POS] = pos
            return _hdlc(buf, w)
        w[POS] = pos
        return K_PPP
    if link in (C_HDLC, C_HDLC_WITH_DIR):
        w[POS] = pos
        return _hdlc(buf, w)
    if link == PPP_ETHER:
        w[POS] = pos
        return pppoe(buf, w)
    if link == FRAME_RELAY:  # RFC 2427: a 2-byte address, UI, then the NLPID
        if buf[pos + 2] == 3 and (buf[pos + 3] == 0xCC or buf[pos + 3] == 0x8E):
            w[POS] = pos + 4
            return K_IP
        return fail(w, R.LLC, be16(buf, pos + 2))
    if link == PFLOG:
        return _pflog(buf, w)
    if link == ARCNET_LINUX:
        return _arcnet(buf, w)
    return fail(w, R.LINK_TYPE, link)


@kernel
def _hdlc(buf: NDArray[np.uint8], w: Numbers) -> int:
    """Cisco HDLC: address, control, EtherType (RFC 1547, section 4.3.1)."""
    pos = w[POS]
    if w[END] - pos < 4:
        return fail(w, R.LINK_TRUNCATED, 0)
    w[TYPE] = be16(buf, pos + 2)
    w[POS] = pos + 4
    if w[TYPE] == 0x8035:  # SLARP keepalives, not RARP
        return fail(w, R.LINK_CONTROL, 0x8035)
    return K_TYPE


@kernel
def _pflog(buf: NDArray[np.uint8], w: Numbers) -> int:
    """OpenBSD packet-filter log: its first byte is the header's length, padded to four."""
    size = (i64(buf[w[POS]]) + 3) & ~3
    if size < 8 or w[END] - w[POS] < size:
        return fail(w, R.LINK_TRUNCATED, PFLOG)
    w[POS] += size
    return K_IP


@kernel
def _arcnet(buf: NDArray[np.uint8], w: Numbers) -> int:
    """ARCNET as Linux captures it: source, destination, offset, then the protocol id (RFC 1051, RFC 1201)."""
    pos = w[POS]
    kind = buf[pos + 4]
    if kind in (0xF0, 0xF1):  # RFC 1051, no fragmentation header
        w[POS] = pos + 5
        if kind == 0xF0:
            return K_IP
        return fail(w, R.ARP_MALFORMED, 7)
    if kind in (0xD4, 0xC4):  # RFC 1201: a flag and a sequence number
        w[POS] = pos + 8
        if buf[pos + 5] == 0 and w[END] >= pos + 8:
            return K_IP
    return fail(w, R.ETHERTYPE, i64(kind))


@kernel
def _pktap(buf: NDArray[np.uint8], w: Numbers, p: Any, link: int) -> int:
    """Apple's per-packet header: its length, a record type, then the link type of the packet behind it."""
    pos = w[POS]
    if w[END] - pos < 12:
        return fail(w, R.LINK_TRUNCATED, link)
    size, inner = le32(buf, pos), le32(buf, pos + 8)
    if link == USER2 and (size < 108 or size > 512 or le32(buf, pos + 4) > 1):
        return fail(w, R.LINK_TYPE, link)  # a user-defined type of somebody else
    if size < 12 or size > w[END] - pos:
        return fail(w, R.LINK_TRUNCATED, link)
    w[POS] = pos + size
    return _known(buf, w, p, inner)


@kernel
def _known(buf: NDArray[np.uint8], w: Numbers, p: Any, link: int) -> int:
    if link == ETHERNET:
        return K_ETHERNET
    if link in (12, 14, 101, IPV4, IPV6):
        return K_IP
    if link in (SLL, SLL2):
        return _cooked(buf, w, p, link)
    if link in (NULL, LOOP):
        return _loopback(buf, w)
    return _serial(buf, w, link)


@kernel
def link_layer(buf: NDArray[np.uint8], w: Numbers, p: Any, link: int) -> int:
    """The first step: by the interface's link type."""
    if link in (PKTAP, USER2):
        return _pktap(buf, w, p, link)
    return _known(buf, w, p, link)
