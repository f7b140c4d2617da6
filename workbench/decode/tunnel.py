"""Tunnels: from a transport header that carries another packet to that packet.

Sources: RFC 2784 and 2890 (GRE), RFC 2637 (PPTP), RFC 7637 (NVGRE), draft-foschiano-erspan, RFC 7348 (VXLAN),
draft-ietf-nvo3-vxlan-gpe, RFC 8926 (Geneve), 3GPP TS 29.281 (GTP-U), RFC 2003 and 4213 and 2473 (IP in IP),
RFC 4380 (Teredo), draft-massar-v6ops-ayiya, RFC 7510 (MPLS in UDP), RFC 4023 (MPLS in IP), RFC 3378 (EtherIP).

Before a tunnel is entered the outer row is kept, whole; where the inside turns out not to be a packet the
outer row is what stays, marked. A port alone proves nothing: what follows must look like the tunnel.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bits import Numbers, be16, be32, i64, kernel, u64
from workbench.decode.cursor import (
    DEPTH,
    DONE,
    END,
    FAIL,
    K_ETHERNET,
    K_IP,
    K_MPLS,
    K_NSH,
    K_PPP,
    K_TYPE,
    POS,
    SAVED,
    TYPE,
    WIRE,
    fail,
)
from workbench.records import packet as P  # noqa: N812
from workbench.records import reasons as R  # noqa: N812

_CODE: Final = P.TUNNEL_CODES
GRE: Final = _CODE["gre"]
NVGRE: Final = _CODE["nvgre"]
ERSPAN1: Final = _CODE["erspan1"]
ERSPAN2: Final = _CODE["erspan2"]
ERSPAN3: Final = _CODE["erspan3"]
VXLAN: Final = _CODE["vxlan"]
VXLAN_GPE: Final = _CODE["vxlan-gpe"]
GENEVE: Final = _CODE["geneve"]
GTPU: Final = _CODE["gtpu"]
IPIP: Final = _CODE["ipip"]
SIX_IN_4: Final = _CODE["6in4"]
FOUR_IN_6: Final = _CODE["4in6"]
SIX_IN_6: Final = _CODE["6in6"]
TEREDO: Final = _CODE["teredo"]
AYIYA: Final = _CODE["ayiya"]
MPLS_UDP: Final = _CODE["mpls-udp"]
ETHERIP: Final = _CODE["etherip"]
MPLS_IP: Final = _CODE["mpls-ip"]
MAX_TUNNELS: Final = P.MAX_TUNNELS


@kernel
def tunnel(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    """Enter the tunnel that the row's payload is, if it is one: DONE where it is not."""
    proto = i64(p.proto)
    if proto == 17:
        return _over_udp(buf, w, p, save)
    if proto in (4, 41):
        return _ip_in_ip(w, p, save, proto)
    if proto == 47:
        return _gre(buf, w, p, save)
    if proto == 137:
        w[POS] = p.pay
        return K_MPLS if _enter(w, p, save, MPLS_IP) else FAIL
    if proto == 97 and w[END] - p.pay >= 2 and buf[p.pay] >> 4 == 3:
        w[POS] = p.pay + 2
        return K_ETHERNET if _enter(w, p, save, ETHERIP) else FAIL
    return DONE


@kernel
def _enter(w: Numbers, p: Any, save: NDArray[Any], code: int) -> bool:
    """Keep the outer row and start an inner one; False when the stack is deeper than is followed."""
    save[0] = p
    w[SAVED] = 1
    if not _push(w, p, code):
        return False
    p.marks &= P.CUT | P.FRAG_FIRST
    return True


@kernel
def _push(w: Numbers, p: Any, code: int) -> bool:
    if w[DEPTH] >= MAX_TUNNELS:
        fail(w, R.TUNNEL_DEPTH, code)
        return False
    if w[DEPTH] == 0:
        p.outer_src_hi = p.src_hi
        p.outer_src_lo = p.src_lo
        p.outer_dst_hi = p.dst_hi
        p.outer_dst_lo = p.dst_lo
        p.outer_src_mac = p.src_mac
        p.outer_dst_mac = p.dst_mac
        p.outer_vlan = p.vlan
    w[DEPTH] += 1
    p.tunnel = (p.tunnel << u64(8)) | u64(code)
    return True


@kernel
def _cut(w: Numbers, p: Any, save: NDArray[Any], code: int) -> int:
    """A tunnel whose header was not captured: the outer row, marked."""
    _enter(w, p, save, code)
    return fail(w, R.TUNNEL_TRUNCATED, code)


@kernel
def _ip_in_ip(w: Numbers, p: Any, save: NDArray[Any], proto: int) -> int:
    four, six = (IPIP, SIX_IN_4) if p.version == 4 else (FOUR_IN_6, SIX_IN_6)
    code = four if proto == 4 else six
    w[POS] = p.pay
    return K_IP if _enter(w, p, save, code) else FAIL


@kernel
def _gre(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    pos, end = i64(p.pay), w[END]
    if end - pos < 4:
        return DONE if p.payload < 4 else _cut(w, p, save, GRE)
    bits, kind = be16(buf, pos), be16(buf, pos + 2)
    key_at = pos + (8 if bits & 0xC000 else 4)
    at = key_at + (4 if bits & 0x2000 else 0) + (4 if bits & 0x1000 else 0)
    if bits & 0x87 == 0x81:  # PPTP acknowledgement
        at += 4
    if at > end:
        return _cut(w, p, save, GRE)
    w[POS] = at
    if bits & 7 == 1:
        if kind != 0x880B or not bits & 0x1000:  # an acknowledgement carries nothing
            return DONE
        return K_PPP if _enter(w, p, save, GRE) else FAIL
    if kind == 0x6558 and bits & 0xB000 == 0x2000:
        if not _enter(w, p, save, NVGRE):
            return FAIL
        p.vni = be32(buf, key_at) >> 8
        return K_ETHERNET
    if bits & 7 or bits & 0x4000:  # unknown version; source routes died with RFC 2784
        return DONE
    if not _enter(w, p, save, GRE):
        return FAIL
    w[TYPE] = kind
    if kind in (0x88BE, 0x22EB):
        return _erspan(buf, w, p, bits & 0x1000 != 0)
    if kind == 0x883E:  # WCCP version 2 puts a redirect header in front of the packet
        if end - at >= 4 and buf[at] >> 4 != 4:
            w[POS] = at + 4
        return K_IP
    return K_TYPE


@kernel
def _erspan(buf: NDArray[np.uint8], w: Numbers, p: Any, sequenced: bool) -> int:
    """Types I (no header, no GRE sequence number), II and III (with its optional platform subheader)."""
    pos, end = w[POS], w[END]
    if w[TYPE] == 0x88BE and not sequenced:
        return K_ETHERNET if _push(w, p, ERSPAN1) else FAIL
    if end - pos < 8:
        return fail(w, R.TUNNEL_TRUNCATED, ERSPAN2)
    version = buf[pos] >> 4
    if version == 1:
        w[POS] = pos + 8
        return K_ETHERNET if _push(w, p, ERSPAN2) else FAIL
    if version != 2 or end - pos < 12:
        return fail(w, R.TUNNEL_TRUNCATED, ERSPAN3)
    tail = be16(buf, pos + 10)
    w[POS] = pos + 12 + 8 * (tail & 1)
    if not _push(w, p, ERSPAN3):
        return FAIL
    return K_IP if (tail >> 10) & 0x1F == 2 else K_ETHERNET


@kernel
def port(src: int, dst: int) -> bool:
    """Whether UDP ports may mean a tunnel that this module knows."""
    return dst in (4789, 8472, 4790, 6081, 6635, 2152, 3544, 5072) or src in (2152, 3544, 5072)


@kernel
def _over_udp(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    """By port: the destination's where a tunnel fills the source port with entropy, else either."""
    src, dst = i64(p.src_port), i64(p.dst_port)
    if p.payload < 8:
        return DONE
    if dst in (4789, 8472, 4790):
        return _vxlan(buf, w, p, save, dst)
    if dst == 6081:
        return _geneve(buf, w, p, save)
    if dst == 2152 or src == 2152:
        return _gtpu(buf, w, p, save)
    if dst == 3544 or src == 3544:
        return _teredo(buf, w, p, save)
    if dst == 5072 or src == 5072:
        return _ayiya(buf, w, p, save)
    if dst == 6635:
        w[POS] = p.pay
        return K_MPLS if _enter(w, p, save, MPLS_UDP) else FAIL
    return DONE


@kernel
def _vxlan(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any], port: int) -> int:
    """VXLAN on its port and Linux's old one (policy bits and reserved fields do not matter), and GPE."""
    pos = i64(p.pay)
    code = VXLAN_GPE if port == 4790 else VXLAN
    if w[END] - pos < 8:
        return _cut(w, p, save, code)
    bits = buf[pos]
    if not bits & 8:  # no network id: something else on that port
        return DONE
    if not _enter(w, p, save, code):
        return FAIL
    p.vni = be32(buf, pos + 4) >> 8
    w[POS] = pos + 8
    if port == 4790 and bits & 4:
        following = i64(buf[pos + 3])
        if following in (1, 2):
            return K_IP
        if following == 4:
            return K_NSH
        if following == 5:
            return K_MPLS
        if following != 3:
            return fail(w, R.ETHERTYPE, following)
    return K_ETHERNET


@kernel
def _geneve(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    pos, end = i64(p.pay), w[END]
    if end - pos < 8:
        return _cut(w, p, save, GENEVE)
    if buf[pos] >> 6:
        return DONE
    options = (i64(buf[pos]) & 0x3F) * 4
    if p.payload < 8 + options:
        return DONE
    if not _enter(w, p, save, GENEVE):
        return FAIL
    p.vni = be32(buf, pos + 4) >> 8
    w[TYPE] = be16(buf, pos + 2)
    w[POS] = pos + 8 + options
    if w[POS] > end:
        return fail(w, R.TUNNEL_TRUNCATED, GENEVE)
    return K_TYPE


@kernel
def _gtpu(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    """User packets (type 255) of version 1; extension headers are linked by a type byte at their ends."""
    pos, end = i64(p.pay), w[END]
    if end - pos < 8:
        return _cut(w, p, save, GTPU)
    bits = i64(buf[pos])
    if bits & 0xF0 != 0x30 or buf[pos + 1] != 255:
        return DONE
    at = pos + 8
    if bits & 7:
        at = pos + 12
        following = 0
        if at > end:
            return _cut(w, p, save, GTPU)
        if bits & 4:
            following = i64(buf[pos + 11])
        while following:
            if at >= end:
                return _cut(w, p, save, GTPU)
            size = i64(buf[at]) * 4
            if size == 0 or at + size > end:
                return _cut(w, p, save, GTPU)
            following = i64(buf[at + size - 1])
            at += size
    return _plain_ip(buf, w, p, save, at, GTPU)


@kernel
def _plain_ip(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any], at: int, code: int) -> int:
    """Enter where an IP packet must stand; its lengths have to fit, or this is something else on the port."""
    end, room = w[END], w[WIRE] - at
    if at >= end:
        return DONE
    version = buf[at] >> 4
    if version == 4:
        if room < 20 or (end - at >= 4 and not 20 <= be16(buf, at + 2) <= room):
            return DONE
    elif version == 6:
        if room < 40 or (end - at >= 6 and be16(buf, at + 4) > room - 40):
            return DONE
    else:
        return DONE
    w[POS] = at
    return K_IP if _enter(w, p, save, code) else FAIL


@kernel
def _teredo(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    """An authentication and an origin indication may stand in front of the IPv6 packet, which fills the rest."""
    at, end = i64(p.pay), w[END]
    if end - at >= 4 and be16(buf, at) == 1:
        at += 13 + i64(buf[at + 2]) + i64(buf[at + 3])
    if end - at >= 8 and be16(buf, at) == 0:
        at += 8
    if end - at < 40 or buf[at] >> 4 != 6 or be16(buf, at + 4) != w[WIRE] - at - 40:
        return DONE
    return _plain_ip(buf, w, p, save, at, TEREDO)


@kernel
def _ayiya(buf: NDArray[np.uint8], w: Numbers, p: Any, save: NDArray[Any]) -> int:
    """A forwarded packet behind an identity and a signature of stated lengths."""
    pos, end = i64(p.pay), w[END]
    if end - pos < 8 or buf[pos + 2] & 15 != 1 or buf[pos + 3] not in (4, 41):
        return DONE
    at = pos + 8 + (i64(1) << i64(buf[pos] >> 4)) + i64(buf[pos + 1] >> 4) * 4
    if at >= end or buf[at] >> 4 != (4 if buf[pos + 3] == 4 else 6):
        return DONE
    return _plain_ip(buf, w, p, save, at, AYIYA)
