"""What follows a link header: Ethernet and its tags, LLC, PPP, PPPoE, MPLS, NSH, and ARP, which ends there.

Sources: IEEE 802.3, 802.1Q and 802.1ah, RFC 1042 (SNAP), RFC 1661 (PPP), RFC 2516 (PPPoE), RFC 3032 and 4448 (MPLS),
RFC 8300 (NSH), RFC 826 (ARP). Lengths in these headers are not used: they may only exclude padding, and IP's own does that.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, i64, kernel, mac48, u64
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

#: LINKTYPE_ values that stand in a row's detail.
ETHERNET: Final = 1
PPP: Final = 9


@kernel
def pppoe(buf: NDArray[np.uint8], w: Numbers) -> int:
    """A PPPoE session header. Its length is not used: it may only exclude padding, and IP's own does that."""
    pos = w[POS]
    if w[END] - pos < 8:
        return fail(w, R.LINK_TRUNCATED, 0x8864)
    if buf[pos] != 0x11 or buf[pos + 1] != 0:
        return fail(w, R.PPPOE_CONTROL, i64(buf[pos + 1]))
    w[POS] = pos + 6
    return K_PPP


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
        return pppoe(buf, w)
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
