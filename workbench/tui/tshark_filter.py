"""Flows in tshark's words: a display filter for their packets, by tuple, tags and time.

Two flows of one tuple at one time in different tenants without tags differ in nothing that tshark has a word for.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PORTS: Final = {6: "tcp", 17: "udp", 132: "sctp"}
#: Types of ICMP that have a counterpart, so that both columns are types (as in Zeek).
_ECHO: Final = {1: {0, 8, 9, 10, 13, 14, 15, 16, 17, 18}, 58: {128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145}}
_NETWORK_IDS: Final = {"vxlan": "vxlan.vni", "vxlan-gpe": "vxlan.vni", "geneve": "geneve.vni"}
_EPOCH: Final = dt.datetime(1970, 1, 1)

#: Columns of `flows` that a filter is made of.
COLUMNS: Final = (
    "ts", "ts_end", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "vlan", "inner_vlan", "tunnel", "vni",
)  # fmt: skip


def tshark_filter(flows: Sequence[Mapping[str, Any]]) -> str:
    """The display filter for the packets of any of these flows; '' where none of them has addresses.

    Later fragments have no ports and are not in it. Read with `tshark -o ip.defragment:FALSE -o ipv6.defragment:FALSE`,
    fragmented packets are named by their first fragment.
    """
    terms = list(dict.fromkeys(found for flow in flows if (found := _one(flow))))
    return terms[0] if len(terms) == 1 else " || ".join(f"({term})" for term in terms)


def _one(flow: Mapping[str, Any]) -> str:
    """One flow's filter. Only numbers and addresses that are such get into it: a case may be a stranger's."""
    try:
        src, dst = (_address(str(flow[f"{side}_ip"])) for side in ("src", "dst"))
        family = "ipv6" if src.version == 6 else "ip"
        terms = [f"{family}.addr == {src}", f"{family}.addr == {dst}"]
        if src == dst:
            terms = [f"{family}.src == {src}", f"{family}.dst == {dst}"]
        return " && ".join([*terms, *_times(flow), *_transport(flow, family, str(src), str(dst)), *_tags(flow)])
    except (ValueError, KeyError, TypeError):
        return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; ValueError where that is none. A zone (`fe80::1%...`) may hold anything, and packets have none."""
    if "%" in text:
        raise ValueError(text)
    return ipaddress.ip_address(text)


def _times(flow: Mapping[str, Any]) -> list[str]:
    """From its first packet to its last; to the microsecond, which the columns have, of nanoseconds."""
    first, last = (round((flow[name] - _EPOCH) / dt.timedelta(microseconds=1)) for name in ("ts", "ts_end"))
    return [f"frame.time_epoch >= {_seconds(first)}", f"frame.time_epoch < {_seconds(last + 1)}"]


def _seconds(micros: int) -> str:
    return f"{micros // 10**6}.{micros % 10**6:06}"


def _transport(flow: Mapping[str, Any], family: str, src_ip: str, dst_ip: str) -> list[str]:
    """Ports both ways, or type and code; ICMP errors quote the ports of what they complain of and are left out."""
    proto, src, dst = int(flow["proto"]), flow["src_port"], flow["dst_port"]
    if proto in _PORTS and src is not None and dst is not None:
        word = _PORTS[proto]
        ways = [
            f"({family}.src == {ip} && {word}.srcport == {int(a)} && {word}.dstport == {int(b)})"
            for ip, a, b in ((src_ip, src, dst), (dst_ip, dst, src))
        ]
        return [f"({' || '.join(ways)})", "!icmp && !icmpv6"]
    if proto in _ECHO and src is not None and dst is not None:
        word = "icmp" if proto == 1 else "icmpv6"
        if int(src) in _ECHO[proto]:
            ways = [f"({family}.src == {ip} && {word}.type == {int(n)})" for ip, n in ((src_ip, src), (dst_ip, dst))]
            return [f"({' || '.join(ways)})"]
        return [f"({word}.type == {int(src)} && {word}.code == {int(dst)} && {family}.src == {src_ip})"]
    return [f"{'ipv6.nxt' if family == 'ipv6' else 'ip.proto'} == {proto}"]


def _tags(flow: Mapping[str, Any]) -> list[str]:
    """Its VLANs and its network id; a flow without tags and tunnels has none."""
    terms = [f"vlan.id == {int(flow[name])}" for name in ("vlan", "inner_vlan") if flow.get(name)]
    if flow.get("vlan") is None and not flow.get("tunnel"):
        terms.append("!vlan")
    if flow.get("vni") is not None:
        known = [word for word in str(flow.get("tunnel") or "").split("/") if word in _NETWORK_IDS]
        terms += [f"{_NETWORK_IDS[word]} == {int(flow['vni'])}" for word in known[:1]]
    return terms
