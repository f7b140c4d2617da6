"""Link layers: from the first captured byte to an EtherType, a PPP protocol or an IP packet.

Sources: tcpdump.org/linktypes.html, IEEE 802.3 and 802.1Q, RFC 1042 (SNAP), RFC 1661/1662 (PPP),
RFC 2516 (PPPoE), RFC 3032 (MPLS), RFC 8300 (NSH), RFC 826 (ARP).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, i64, kernel, le32, mac48, u64
from workbench.decode.cursor import (
    DONE,
    END,
    K_ARP,
    K_ETHERNET,
    K_IP,
    K_LLC,
    K_MPLS,
    K_NSH,
    K_PPP,
    K_TYPE,
    POS,
    TYPE,
    WIRE,
    fail,
)
from workbench.records import packet as P  # noqa: N812  many constants of one module
from workbench.records import reasons as R  # noqa: N812

NULL: Final = 0
ETHERNET: Final = 1
PPP: Final = 9
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
        return _pppoe(buf, w)
    if link == FRAME_RELAY and buf[pos + 2] == 3:  # RFC 2427: a 2-byte address, UI, then the NLPID
        if buf[pos + 3] == 0xCC or buf[pos + 3] == 0x8E:
            w[POS] = pos + 4
            return K_IP
        return fail(w, R.LLC, i64(buf[pos + 3]))
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


@kernel
def ethernet(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """An Ethernet header, the innermost so far: its addresses replace those of the one around it."""
    pos = w[POS]
    if w[END] - pos < 14:
        return fail(w, R.LINK_TRUNCATED, ETHERNET)
    p.dst_mac = mac48(buf, pos)
    p.src_mac = mac48(buf, pos + 6)
    p.vlan = -1
    p.inner_vlan = -1
    w[TYPE] = be16(buf, pos + 12)
    w[POS] = pos + 14
    return K_TYPE


@kernel
def ether_type(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """What an EtherType says comes next; tags are taken here, the first two are kept."""
    pos, end, kind = w[POS], w[END], w[TYPE]
    while kind in (0x8100, 0x88A8, 0x9100, 0x9200):
        if end - pos < 4:
            return fail(w, R.VLAN_TRUNCATED, kind)
        tag = be16(buf, pos) & 0xFFF
        if p.vlan < 0:
            p.vlan = tag
        elif p.inner_vlan < 0:
            p.inner_vlan = tag
        kind = be16(buf, pos + 2)
        pos += 4
    w[POS] = pos
    w[TYPE] = kind
    if kind in (0x0800, 0x86DD):
        return K_IP
    if kind in (0x0806, 0x8035):
        return K_ARP
    if kind <= 1500:
        return K_LLC
    if kind in (0x8847, 0x8848):
        return K_MPLS
    return _rare_type(buf, w, kind)


@kernel
def _rare_type(buf: NDArray[np.uint8], w: Numbers, kind: int) -> int:
    pos = w[POS]
    if kind == 0x8864:
        return _pppoe(buf, w)
    if kind == 0x8863:
        return fail(w, R.PPPOE_CONTROL, kind)
    if kind == 0x894F:
        return K_NSH
    if kind == 0x6558:  # transparent Ethernet bridging
        return K_ETHERNET
    if kind == 0x880B:
        return K_PPP
    if kind == 0x8903:  # FabricPath: a tag, then the frame as it came in
        w[POS] = pos + 2
        return K_ETHERNET
    if kind == 0x88E7:  # provider backbone bridges (802.1ah): a 4-byte I-TAG, then the customer's frame
        w[POS] = pos + 4
        return K_ETHERNET
    if kind in (0x8809, 0x8808, 0x88CC, 0x888E, 0x8902, 0x9000, 0x893A):
        return fail(w, R.LINK_CONTROL, kind)
    return fail(w, R.ETHERTYPE, kind)


@kernel
def llc(buf: NDArray[np.uint8], w: Numbers) -> int:
    """IEEE 802.2: SNAP leads on to an EtherType, SAP 6 to IP; everything else stays undecoded."""
    pos, end = w[POS], w[END]
    if end - pos < 3:
        return fail(w, R.LINK_TRUNCATED, ETHERNET)
    saps = be16(buf, pos)
    if saps == 0x0606 and buf[pos + 2] == 3:
        w[POS] = pos + 3
        return K_IP
    if saps == 0xAAAA and buf[pos + 2] == 3 and end - pos >= 8:
        organisation = be32(buf, pos + 2) & 0xFFFFFF
        w[TYPE] = be16(buf, pos + 6)
        w[POS] = pos + 8
        if organisation in (0, 0xF8) and w[TYPE] > 1500:  # RFC 1042, and bridged 802.1H
            return K_TYPE
        return fail(w, R.LLC, saps)
    return fail(w, R.LLC, saps)


@kernel
def _pppoe(buf: NDArray[np.uint8], w: Numbers) -> int:
    """A PPPoE session header. Its length is not used: it may only exclude padding, and IP's own does that."""
    pos = w[POS]
    if w[END] - pos < 8:
        return fail(w, R.LINK_TRUNCATED, 0x8864)
    if buf[pos] != 0x11 or buf[pos + 1] != 0:
        return fail(w, R.PPPOE_CONTROL, i64(buf[pos + 1]))
    w[POS] = pos + 6
    return K_PPP


@kernel
def ppp(buf: NDArray[np.uint8], w: Numbers) -> int:
    """A PPP protocol field, one byte or two (RFC 1661, section 2); 0xFF03 in front is stepped over."""
    pos, end = w[POS], w[END]
    if end - pos >= 2 and buf[pos] == 0xFF and buf[pos + 1] == 3:
        pos += 2
    if end - pos < 2:
        return fail(w, R.LINK_TRUNCATED, PPP)
    if buf[pos] & 1:  # compressed
        protocol = i64(buf[pos])
        pos += 1
    else:
        protocol = be16(buf, pos)
        pos += 2
    w[POS] = pos
    if protocol in (0x21, 0x57):
        return K_IP
    if protocol in (0x281, 0x283):
        return K_MPLS
    if protocol == 0x31:  # bridged: flags and MAC type, then Ethernet (RFC 3518)
        w[POS] = pos + 2
        return K_ETHERNET
    if protocol >= 0x8000:
        return fail(w, R.PPPOE_CONTROL, protocol)
    return fail(w, R.PPP_PROTOCOL, protocol)


@kernel
def mpls(buf: NDArray[np.uint8], w: Numbers) -> int:
    """A label stack; what follows has no type field, so its first nibble decides (RFC 4928, RFC 4385)."""
    pos, end = w[POS], w[END]
    while True:
        if end - pos < 4:
            return fail(w, R.MPLS_TRUNCATED, 0)
        bottom = buf[pos + 2] & 1
        pos += 4
        if bottom:
            break
    if end - pos < 1:
        return fail(w, R.MPLS_TRUNCATED, 0)
    nibble = buf[pos] >> 4
    w[POS] = pos
    if nibble in (4, 6) and _like_ip(buf, pos, end):
        return K_IP
    for lengths in (False, True):  # an EtherType tells more than an 802.3 length, which any small number can be
        if end - pos >= 14 and _like_ethernet(buf, pos, lengths):
            return K_ETHERNET
        if end - pos >= 18 and _control_word(buf, pos, w[WIRE]) and _like_ethernet(buf, pos + 4, lengths):
            w[POS] = pos + 4
            return K_ETHERNET
    return fail(w, R.MPLS_PAYLOAD, i64(nibble))


@kernel
def _like_ip(buf: NDArray[np.uint8], pos: int, end: int) -> bool:
    """Whether an IP header can stand here: a MAC address may begin with the same nibble."""
    if buf[pos] >> 4 == 6:
        return end - pos >= 40
    return end - pos >= 20 and buf[pos] & 15 >= 5 and be16(buf, pos + 2) >= 20


@kernel
def _control_word(buf: NDArray[np.uint8], pos: int, wire: int) -> bool:
    """Whether a pseudo-wire control word can stand here (RFC 4448): no flags, and a length for short frames only."""
    return buf[pos] == 0 and (buf[pos + 1] == 0 or i64(buf[pos + 1]) == wire - pos)


@kernel
def _like_ethernet(buf: NDArray[np.uint8], pos: int, lengths: bool) -> bool:
    """Whether an Ethernet header can stand here: its EtherType is one that leads on, or is an 802.3 length."""
    kind = be16(buf, pos + 12)
    if lengths:
        return 2 < kind <= 1500
    return kind in (0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x8847, 0x8864, 0x88CC, 0x8809)


@kernel
def nsh(buf: NDArray[np.uint8], w: Numbers) -> int:
    """A network service header (RFC 8300): its length in words, then its next protocol."""
    pos = w[POS]
    if w[END] - pos < 8:
        return fail(w, R.LINK_TRUNCATED, 0x894F)
    size = (i64(buf[pos + 1]) & 0x3F) * 4
    following = buf[pos + 3]
    if size < 8 or w[END] - pos < size:
        return fail(w, R.LINK_TRUNCATED, 0x894F)
    w[POS] = pos + size
    if following in (1, 2):
        return K_IP
    if following == 3:
        return K_ETHERNET
    if following == 4:
        return K_NSH
    if following == 5:
        return K_MPLS
    return fail(w, R.ETHERTYPE, 0x894F)


@kernel
def arp(buf: NDArray[np.uint8], w: Numbers, p: Any) -> int:
    """ARP and RARP for IPv4 over Ethernet; `pay` is where its 28 bytes stand, for the hardware addresses."""
    pos = w[POS]
    if w[END] - pos < 28:
        return fail(w, R.ARP_MALFORMED, 0)
    hardware = be16(buf, pos)
    if be16(buf, pos + 2) != 0x0800 or be16(buf, pos + 4) != 0x0604 or hardware not in (1, 6):
        return fail(w, R.ARP_MALFORMED, hardware)
    mapped = u64(0xFFFF00000000)
    p.src_hi = 0
    p.dst_hi = 0
    p.src_lo = mapped | u64(be32(buf, pos + 14))
    p.dst_lo = mapped | u64(be32(buf, pos + 24))
    p.src_port = be16(buf, pos + 6)
    p.dst_port = 0
    p.proto = 0
    p.version = 4
    p.marks &= P.CUT
    p.pay = pos
    p.pay_cap = 28
    p.payload = 28
    p.ip_bytes = 0
    p.status = P.ARP
    return DONE
