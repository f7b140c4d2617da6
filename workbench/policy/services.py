"""Services: a protocol with ranges of ports or ICMP types, as text and as boxes of (protocol, source port, destination port)."""

from __future__ import annotations

import difflib
import functools
from typing import Final, NamedTuple

ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMP6: Final = 58
SCTP: Final = 132

#: Protocols by name (IANA protocol numbers); those with ports first.
PROTOCOLS: Final = {
    "tcp": TCP, "udp": UDP, "sctp": SCTP, "udplite": 136, "dccp": 33, "icmp": ICMP, "icmp6": ICMP6,
    "igmp": 2, "ipip": 4, "ipv6": 41, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "pim": 103, "vrrp": 112,
}  # fmt: skip
_PORTED: Final = frozenset({TCP, UDP, SCTP, 136, 33})

#: Types by name (IANA ICMP and ICMPv6 parameters).
ICMP_TYPES: Final = {
    "echo-reply": 0, "unreachable": 3, "redirect": 5, "echo-request": 8, "time-exceeded": 11,
    "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
}  # fmt: skip
ICMP6_TYPES: Final = {
    "unreachable": 1, "packet-too-big": 2, "time-exceeded": 3, "parameter-problem": 4, "echo-request": 128, "echo-reply": 129,
    "router-solicitation": 133, "router-advertisement": 134, "neighbour-solicitation": 135, "neighbour-advertisement": 136,
}  # fmt: skip

#: Services by name (IANA service names, and what data centres call theirs).
NAMED: Final = {
    "dns": "tcp/53 udp/53", "dhcp": "udp/67-68", "dhcp6": "udp/546-547", "ntp": "udp/123", "ssh": "tcp/22", "telnet": "tcp/23",
    "http": "tcp/80", "https": "tcp/443 udp/443", "smtp": "tcp/25", "snmp": "udp/161-162", "syslog": "udp/514 tcp/514 tcp/6514",
    "ldap": "tcp/389 udp/389", "ldaps": "tcp/636", "kerberos": "tcp/88 udp/88", "smb": "tcp/445",
    "netbios": "tcp/139 udp/137-138",
    "rdp": "tcp/3389 udp/3389", "winrm": "tcp/5985-5986", "msrpc": "tcp/135", "nfs": "tcp/2049 udp/2049", "iscsi": "tcp/3260",
    "nvme-tcp": "tcp/4420 tcp/8009", "rocev2": "udp/4791", "slp": "tcp/427 udp/427", "bgp": "tcp/179", "bfd": "udp/3784-3785",
    "mysql": "tcp/3306", "postgres": "tcp/5432", "mssql": "tcp/1433", "oracle": "tcp/1521", "redis": "tcp/6379",
    "mongodb": "tcp/27017", "kafka": "tcp/9092", "etcd": "tcp/2379-2380", "kubernetes-api": "tcp/6443", "kubelet": "tcp/10250",
    "vxlan": "udp/4789", "geneve": "udp/6081", "ipfix": "udp/4739 tcp/4739", "sflow": "udp/6343", "netflow": "udp/2055",
    "ping": "icmp/echo-request icmp6/echo-request", "vmotion": "tcp/8000",
}  # fmt: skip


class Box(NamedTuple):
    """All of these at once, ends included. For ICMP the source port is the type and the destination port anything, as flows."""

    proto: tuple[int, int]
    sport: tuple[int, int]
    dport: tuple[int, int]


_PORTS: Final = (0, 65535)
ANY: Final = Box((0, 255), _PORTS, _PORTS)


@functools.lru_cache(maxsize=65536)
def parse(text: str) -> tuple[Box, ...]:
    """`tcp/443`, `udp/50-60`, `icmp/echo-request`, `gre`, `proto/47`, `dns`, `any`. ValueError names the word and the nearest."""
    word = text.strip().lower()
    if word == "any":
        return (ANY,)
    if word in NAMED:
        return tuple(box for part in NAMED[word].split() for box in parse(part))
    name, slash, rest = word.partition("/")
    if name == "proto":
        return (_numbered(rest, text),)
    if name not in PROTOCOLS:
        raise ValueError(f"`{text}` is no service{_near(name, [*PROTOCOLS, *NAMED, 'any'])}")
    proto = PROTOCOLS[name]
    if not slash:
        return (Box((proto, proto), _PORTS, _PORTS),)
    if proto in (ICMP, ICMP6):
        return (Box((proto, proto), _types(rest, ICMP_TYPES if proto == ICMP else ICMP6_TYPES, text), _PORTS),)
    if proto not in _PORTED:
        raise ValueError(f"`{text}`: {name} has no ports")
    return tuple(Box((proto, proto), _PORTS, ports) for ports in _ports(name, rest, text))


def texts(box: Box) -> str:
    """How a box is written; `parse` reads it back, apart from source ports of protocols that have them."""
    proto = _proto_text(box.proto)
    if box.sport != _PORTS and box.proto[0] in (ICMP, ICMP6):
        return f"{proto}/{_span(box.sport)}" + ("" if box.dport == _PORTS else f" (counterpart {_span(box.dport)})")
    ported = box.proto[0] in _PORTED and box.proto[0] == box.proto[1]
    out = proto if box.dport == _PORTS else f"{proto}/{_span(box.dport)}" if ported else f"{proto} (port {_span(box.dport)})"
    return out if box.sport == _PORTS else f"{out} from port {_span(box.sport)}"


def _numbered(rest: str, text: str) -> Box:
    if not rest.isdecimal() or len(rest) > 3 or int(rest) > 255:
        raise ValueError(f"`{text}`: `{rest}` is no protocol number from 0 to 255")
    return Box((int(rest), int(rest)), _PORTS, _PORTS)


def _ports(proto: str, rest: str, text: str) -> list[tuple[int, int]]:
    if rest and not rest[0].isdecimal():
        if rest not in NAMED:
            raise ValueError(f"`{text}`: `{rest}` is no port{_near(rest, list(NAMED))}")
        found = [part.split("/")[1] for part in NAMED[rest].split() if part.startswith(f"{proto}/")]
        if not found:
            raise ValueError(f"`{text}`: {rest} has no {proto} port; it is {NAMED[rest]}")
        return [_range(part, 65535, text) for part in found]
    return [_range(rest, 65535, text)]


def _types(rest: str, names: dict[str, int], text: str) -> tuple[int, int]:
    if rest in names:
        return names[rest], names[rest]
    if not rest[:1].isdecimal():
        raise ValueError(f"`{text}`: `{rest}` is no ICMP type{_near(rest, list(names))}")
    return _range(rest, 255, text)


def _range(rest: str, most: int, text: str) -> tuple[int, int]:
    first, dash, last = rest.partition("-")
    for part in (first, last) if dash else (first,):
        if not (part.isascii() and part.isdecimal()) or len(part) > 5 or int(part) > most:
            raise ValueError(f"`{text}`: `{part}` is no number from 0 to {most}")
    low, high = int(first), int(last if dash else first)
    if low > high:
        raise ValueError(f"`{text}`: the range ends before it begins; `{high}-{low}` may be meant")
    return low, high


def _near(word: str, names: list[str]) -> str:
    near = difflib.get_close_matches(word, names, 1, 0.5)
    return f"; the nearest is `{near[0]}`" if near else ""


def _span(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


def _proto_text(ends: tuple[int, int]) -> str:
    if ends == (0, 255):
        return "any"
    if ends[0] != ends[1]:
        return f"proto/{_span(ends)}"
    return next((name for name, value in PROTOCOLS.items() if value == ends[0]), f"proto/{ends[0]}")
