"""Wireshark's names over the columns.

Directed names (ip.src, tcp.dstport) speak of the flow's originator and responder; undirected ones mean any of the
columns. A name whose table is not there is left out, so that this list may run ahead of the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from workbench.filters.addresses import family_guard, family_of
from workbench.filters.fields import Field, Kind, Part, Presence, field_of, kind_of, part_of
from workbench.filters.workloads import AMBIGUOUS, workload_fields
from workbench.records.columns import Table

_TCP, _UDP, _SCTP, _DCCP, _UDPLITE = "proto = 6", "proto = 17", "proto = 132", "proto = 33", "proto = 136"
_SOURCE: Final = ("src_hi", "src_lo")
_ICMP, _ICMP6 = "proto = 1", "proto = 58"

#: Any of these columns of flows: name -> (columns, meaning).
_ANY: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "eth.addr": (("src_mac", "dst_mac", "outer_src_mac", "outer_dst_mac"), "either MAC, inner or outer"),
    "eth.src": (("src_mac",), "originator's MAC"),
    "eth.dst": (("dst_mac",), "responder's MAC"),
    "vlan.id": (("vlan", "inner_vlan", "outer_vlan"), "any VLAN tag"),
    "mac": (("src_mac", "dst_mac"), "either end's MAC"),
    "addr": (("src_ip", "dst_ip"), "either end's address, IPv4 or IPv6"),
    "port": (("src_port", "dst_port"), "either end's port, any protocol"),
    "communityid": (("community_id",), "Community ID v1"),
}

#: Addresses of one family.
_ADDRESSES: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "addr": (("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip"), "either end or tunnel endpoint"),
    "host": (("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip"), "either end or tunnel endpoint"),
    "src": (("src_ip",), "originator"),
    "src_host": (("src_ip",), "originator"),
    "dst": (("dst_ip",), "responder"),
    "dst_host": (("dst_ip",), "responder"),
}

_PORTS: Final = {"tcp": _TCP, "udp": _UDP, "sctp": _SCTP, "dccp": _DCCP, "udplite": _UDPLITE}

#: Bits of the TCP flags byte (RFC 9293).
_FLAG_BITS: Final = {
    "fin": 1, "syn": 2, "reset": 4, "push": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128,
}  # fmt: skip

#: Tunnels by Wireshark's name: the words of column `tunnel` that mean it.
_TUNNELS: Final[dict[str, tuple[str, ...]]] = {
    "gre": ("gre", "nvgre", "erspan1", "erspan2", "erspan3"),
    "erspan": ("erspan1", "erspan2", "erspan3"),
    "vxlan": ("vxlan", "vxlan-gpe"),
    "geneve": ("geneve",),
    "gtp": ("gtpu",),
    "teredo": ("teredo",),
    "ayiya": ("ayiya",),
    "etherip": ("etherip",),
    "capwap": ("capwap",),
}

#: IP protocols by Wireshark's name.
_PROTOCOLS: Final = {
    "tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "igmp": 2, "sctp": 132, "esp": 50, "ah": 51, "ospf": 89, "pim": 103,
    "vrrp": 112, "dccp": 33, "udplite": 136, "eigrp": 88, "rsvp": 46, "l2tp": 115,
}  # fmt: skip

#: Names of one column each in tables of application protocols: alias -> (table, column).
_COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "dns.qry.name": ("dns", "query"),
    "dns.qry.type": ("dns", "qtype"),
    "dns.qry.class": ("dns", "qclass"),
    "dns.flags.rcode": ("dns", "rcode"),
    "tls.handshake.extensions_server_name": ("tls", "sni"),
    "tls.handshake.ja3": ("tls", "ja3"),
    "http.request.method": ("http", "method"),
    "http.host": ("http", "host"),
    "http.request.uri": ("http", "path"),
    "http.response.code": ("http", "status"),
    "http.server": ("http", "server"),
    "http.content_type": ("http", "content_type"),
    "ssh.kex.hassh": ("ssh", "hassh"),
    "ssh.kex.hasshserver": ("ssh", "hassh_server"),
    "finding": ("finding_flows", "finding_id"),
    "arp.opcode": ("arp", "operation"),
    "arp.src.hw_mac": ("arp", "src_mac"),
    "arp.src.proto_ipv4": ("arp", "src_ip"),
    "arp.dst.hw_mac": ("arp", "dst_mac"),
    "arp.dst.proto_ipv4": ("arp", "dst_ip"),
}


def field_aliases(tables: Mapping[str, Table]) -> dict[str, Field]:
    """Aliases whose tables and columns are there."""
    made = {field.name: field for field in _flow_aliases(tables["flows"])} if "flows" in tables else {}
    for name, (table, column) in _COLUMNS.items():
        if table in tables and column in tables[table].names:
            made[name] = field_of(tables[table], column, name)
    if {"workloads", "flow_identity"} <= tables.keys():
        made |= {field.name: field for field in workload_fields(tables["workloads"])}
    return made


def absent(tables: Mapping[str, Table]) -> dict[str, str]:
    """Names that mean a table which is not there, and that table."""
    missing = {name: table for name, (table, _) in _COLUMNS.items() if table not in tables}
    return missing | {table: table for table in missing.values()}


def _flow_aliases(flows: Table) -> Iterator[Field]:
    for name, (columns, meaning) in _ANY.items():
        yield _any_of(flows, name, columns, meaning)
    for protocol, family in (("ip", 4), ("ipv6", 6)):
        for end, (columns, meaning) in _ADDRESSES.items():
            yield replace(_any_of(flows, f"{protocol}.{end}", columns, f"{meaning}, IPv{family}"), family=family)
    for name, family in (("ip.proto", 4), ("ipv6.nxt", 6)):
        one = field_of(flows, "proto", name, guard=family_of(_SOURCE, family))
        yield replace(one, meaning=f"protocol of an IPv{family} flow", low=0, high=255)
    for protocol, guard in _PORTS.items():
        for end, columns in (("port", ("src_port", "dst_port")), ("srcport", ("src_port",)), ("dstport", ("dst_port",))):
            meaning = {"port": "either port", "srcport": "originator's port", "dstport": "responder's port"}[end]
            made = _any_of(flows, f"{protocol}.{end}", columns, f"{protocol.upper()} {meaning}")
            yield replace(made, guard=guard, low=0, high=65535)
    yield from _icmp(flows)
    yield from _tcp_flags(flows)
    for name, words in (("vxlan.vni", "vxlan"), ("geneve.vni", "geneve")):
        guard = f"contains(tunnel, '{words}')"
        yield replace(field_of(flows, "vni", name, meaning=f"{words} network id"), guard=guard, low=0, high=2**24 - 1)
    for name in ("frame.time", "frame.time_epoch"):
        made = field_of(flows, "ts", name, meaning="a packet's time: >= asks the last packet, <= the first")
        yield replace(made, bounds=("ts", "ts_end"))


def _any_of(flows: Table, name: str, columns: tuple[str, ...], meaning: str) -> Field:
    first = field_of(flows, columns[0], name)
    kind = Kind.NUMBER if first.kind is Kind.NUMBER else first.kind
    return replace(first, parts=tuple(part_of(flows, c) for c in columns), meaning=meaning, kind=kind)


def _icmp(flows: Table) -> Iterator[Field]:
    """Column src_port is the type; dst_port is the answer's type where answers came, else the code."""
    for name, guard in (("icmp.type", _ICMP), ("icmpv6.type", _ICMP6)):
        one = field_of(flows, "src_port", name, meaning="type of a message of either end", low=0, high=255)
        parts = (part_of(flows, "src_port"), part_of(flows, "dst_port", "dst_pkts > 0"))
        yield replace(one, parts=parts, guard=guard)


def _tcp_flags(flows: Table) -> Iterator[Field]:
    parts: tuple[Part, ...] = (part_of(flows, "src_flags"), part_of(flows, "dst_flags"))
    one = field_of(flows, "src_flags", "tcp.flags", meaning="flags seen from either end, ORed")
    yield replace(one, parts=parts, guard=_TCP, kind=kind_of(flows.column("src_flags")))
    for bit, mask in _FLAG_BITS.items():
        made = replace(one, name=f"tcp.flags.{bit}", kind=Kind.SWITCH, mask=mask, low=0, high=1)
        yield replace(made, parts=parts, guard=_TCP, meaning=f"whether any packet had {bit.upper()}")


def presences(tables: Mapping[str, Table]) -> dict[str, Presence]:
    """Protocol names."""
    if "flows" not in tables:
        return {}
    made = [Presence("frame", "true", "every flow"), Presence("eth", "src_mac IS NOT NULL", "flows with an Ethernet header")]
    made += [Presence(name, f"proto = {number}", f"flows of {name.upper()}, innermost") for name, number in _PROTOCOLS.items()]
    for name, words in _TUNNELS.items():
        seen = " OR ".join(f"contains(tunnel, '{word}')" for word in _shortest(words))
        made.append(Presence(name, f"({seen})", f"flows in a {name.upper()} tunnel"))
    made.append(
        Presence("vlan", "(vlan IS NOT NULL OR inner_vlan IS NOT NULL OR outer_vlan IS NOT NULL)", "flows with a VLAN tag")
    )
    for name, family in (("ip", 4), ("ipv6", 6)):
        either = f"{family_of(_SOURCE, family)} OR {family_guard('outer_src_ip', family)}"
        made.append(Presence(name, f"({either})", f"IPv{family} flows, or in a tunnel over IPv{family}"))
    made.append(Presence("service.unexpected", _unexpected, "flows whose protocol contradicts their port"))
    if "flow_identity" in tables:
        made.append(Presence("workload.ambiguous", AMBIGUOUS, "flows of which several workloads claim an end with equal right"))
    made.append(Presence("tcp.analysis.retransmission", "retransmits > 0", "flows with segments sent again"))
    return {presence.name: presence for presence in made}


def _unexpected() -> str:
    from workbench.filters.unexpected import unexpected_condition  # knows all protocols: loaded where it is asked

    return unexpected_condition()


def _shortest(words: tuple[str, ...]) -> list[str]:
    """Words that hold no other of the list: gre finds nvgre, too."""
    return [word for word in words if not any(other != word and other in word for other in words)]
