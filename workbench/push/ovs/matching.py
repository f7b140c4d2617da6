"""A region as OpenFlow matches: every combination of its parts, or a conjunction of its sides, whichever is fewer flows."""

from __future__ import annotations

import ipaddress
from itertools import product

from workbench.errors import PolicyError
from workbench.policy.services import SCTP, TCP, UDP
from workbench.push.regions import ICMP_OF, Range, Ranges, Region, Service, masked

_WORDS = {(32, TCP): "tcp", (32, UDP): "udp", (32, SCTP): "sctp", (128, TCP): "tcp6", (128, UDP): "udp6", (128, SCTP): "sctp6"}
_WORDS |= {(32, ICMP_OF[32]): "icmp", (128, ICMP_OF[128]): "icmp6"}
IP = {32: "ip", 128: "ipv6"}


def flows(region: Region, conjunction: int, actions: str) -> list[tuple[str, str]]:
    """(match, actions) of flows of one priority that do the actions to what is in the region, and to nothing else."""
    sides = [
        None if region.src is None else [f"{_source(region.wide)}={text}" for text in prefixes(region.src, region.wide)],
        None if region.dst is None else [f"{_target(region.wide)}={text}" for text in prefixes(region.dst, region.wide)],
        None if region.services is None else services(region.services, region.wide),
    ]
    some = [side for side in sides if side is not None]
    whole = 1
    for side in some:
        whole *= len(side)
    if len(some) > 1 and sum(map(len, some)) + 1 < whole:
        return _conjunction(some, region.wide, conjunction, actions)
    word = IP[region.wide]
    out = []
    for parts in product(*some):
        said = [part for part in parts if part]
        first = said.pop() if sides[2] is not None else word  # services begin with their protocol
        out.append((",".join([first.split(",")[0], *said, *first.split(",")[1:]]), actions))
    return out


def _conjunction(sides: list[list[str]], wide: int, number: int, actions: str) -> list[tuple[str, str]]:
    out = []
    for n, side in enumerate(sides, 1):
        for part in side:
            match = part if part.split(",")[0].split("=")[0] in _PROTOCOLS else f"{IP[wide]},{part}"
            out.append((match, f"conjunction({number},{n}/{len(sides)})"))
    out.append((f"conj_id={number},{IP[wide]}", actions))
    return out


_PROTOCOLS = frozenset([*_WORDS.values(), *IP.values()])


def _source(wide: int) -> str:
    return "nw_src" if wide == 32 else "ipv6_src"


def _target(wide: int) -> str:
    return "nw_dst" if wide == 32 else "ipv6_dst"


def either_end(ranges: Ranges, wide: int) -> list[str]:
    """Matches of packets from or to any of these."""
    texts = prefixes(ranges, wide)
    return [f"{IP[wide]},{side}={text}" for side in (_source(wide), _target(wide)) for text in texts]


def prefixes(ranges: Ranges, wide: int) -> list[str]:
    """Ranges of a family as prefixes in text, fewest."""
    kind = ipaddress.IPv4Address if wide == 32 else ipaddress.IPv6Address
    out = []
    for first, last in ranges:
        for value, free in masked(first, last, wide):
            out.append(str(kind(value)) + (f"/{wide - free}" if free else ""))
    return out


def services(found: tuple[Service, ...], wide: int) -> list[str]:
    """Matches of protocols, with their ports or types: each begins with the word that its fields need."""
    return list(dict.fromkeys(text for one in found for text in _service(one, wide)))


def _service(one: Service, wide: int) -> list[str]:
    word = _WORDS.get((wide, one.proto or 0), f"{IP[wide]},nw_proto={one.proto}")
    if one.types is not None:
        return [f"{word},icmp_type={kind}" for kind in range(one.types[0], one.types[1] + 1)]
    if one.sport is None and one.dport is None:
        return [word]
    if one.proto not in (TCP, UDP, SCTP):
        raise PolicyError(f"Open vSwitch knows no ports of protocol {one.proto}", "It knows those of TCP, UDP and SCTP.")
    return [word + "".join(parts) for parts in product(_ports("tp_src", one.sport), _ports("tp_dst", one.dport))]


def _ports(name: str, ports: Range | None) -> list[str]:
    if ports is None:
        return [""]
    return [
        f",{name}={value}" if not free else f",{name}={value:#x}/{0xFFFF & -1 << free:#x}" for value, free in masked(*ports, 16)
    ]
