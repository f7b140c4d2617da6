"""What rules match, family by family, in the parts that dataplanes know: ranges of addresses, protocols, ports, ICMP types.

Policies judge the five fields of a flow; a dataplane also knows families. Two things differ, and both are dropped before any rule
is asked: ICMP of the wrong family, and IPv6 packets from or to ::ffff:0:0/96, where policies have IPv4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from workbench.errors import PolicyError
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.model import TIERS
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ICMP, ICMP6, Box

Range = tuple[int, int]
Ranges = tuple[Range, ...]

PORTS: Final[Range] = (0, 65535)
ICMP_OF: Final = {32: ICMP, 128: ICMP6}

#: ICMPv6 that connection tracking does not track: multicast listeners, router and neighbour discovery (RFC 2710, 3810, 4861).
UNTRACKED: Final = (130, 131, 132, 133, 134, 135, 136, 143)

#: Types of questions and their answers (RFC 792, 950, 4443): of an established connection each direction has one of them.
_ANSWERS: Final = {ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, ICMP6: {128: 129}}


class Service(NamedTuple):
    """One protocol (None: all) with ranges of ports or of ICMP types. None: whatever there is."""

    proto: int | None = None
    sport: Range | None = None
    dport: Range | None = None
    types: Range | None = None


class Region(NamedTuple):
    """What a rule matches in one family: any of src to any of dst by any of the services; None: all of them."""

    wide: int
    src: Ranges | None
    dst: Ranges | None
    services: tuple[Service, ...] | None


def region(src: AddressSet, dst: AddressSet, boxes: Iterable[Box], wide: int, back: bool = False) -> Region | None:
    """The region of a family, or of the replies to it; None where it is empty."""
    ends = [ranges_of(found, wide) for found in ((dst, src) if back else (src, dst))]
    services = _services(boxes, wide, back)
    if () in ends or services == ():
        return None
    return Region(wide, ends[0], ends[1], services)


def ranges_of(found: AddressSet, wide: int) -> Ranges | None:
    """The addresses of a family as numbers of its own width; None for all of them, () for none.

    IPv6 ranges on both sides of where IPv4 lies become one: no such packet gets that far, and there are far fewer prefixes.
    """
    if wide == 32:
        out = tuple((first - V4_FIRST, last - V4_FIRST) for first, last in found.v4().ranges)
        return None if out == ((0, 0xFFFFFFFF),) else out
    joined: list[Range] = []
    for first, last in found.v6().ranges:
        if joined and joined[-1][1] == V4_FIRST - 1 and first == V4_LAST + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return None if joined == [(0, (1 << 128) - 1)] else tuple(joined)


def _services(boxes: Iterable[Box], wide: int, back: bool) -> tuple[Service, ...] | None:
    out: dict[Service, None] = {}
    for box in boxes:
        found = _service(box, wide, back)
        if found == [Service()]:
            return None
        out.update(dict.fromkeys(found))
    return _joined(list(out))


def _service(box: Box, wide: int, back: bool) -> list[Service]:
    if box == Box((0, 255), PORTS, PORTS):
        return [Service()]
    proto = box.proto[0]
    if proto != box.proto[1]:
        raise PolicyError(f"services of several protocols with ports can't be compiled: {box}", "Write one service for each.")
    if proto in (ICMP, ICMP6):
        return _types(box, wide, back) if proto == ICMP_OF[wide] else []
    sport, dport = (box.dport, box.sport) if back else (box.sport, box.dport)
    return [Service(proto, None if sport == PORTS else sport, None if dport == PORTS else dport)]


def _types(box: Box, wide: int, back: bool) -> list[Service]:
    proto = ICMP_OF[wide]
    first, last = box.sport[0], min(box.sport[1], 255)
    if (first, last) == (0, 255):
        return [Service(proto)]
    if not back:
        return [Service(proto, types=(first, last))] if first <= last else []
    return [Service(proto, types=(answer, answer)) for asked, answer in _ANSWERS[proto].items() if first <= asked <= last]


def _joined(found: list[Service]) -> tuple[Service, ...]:
    """Destination ports and types that touch become one range; what is within a whole protocol goes."""
    whole = {one.proto for one in found if one == Service(one.proto)}
    out = [Service(proto) for proto in sorted(p for p in whole if p is not None)]
    groups: dict[tuple[int | None, Range | None, bool], list[Range]] = {}
    for one in found:
        if one.proto in whole:
            continue
        if one.sport is not None and one.dport is None:  # replies: joined by their source ports
            groups.setdefault((one.proto, None, True), []).append(one.sport)
        else:
            groups.setdefault((one.proto, one.sport, False), []).append(one.types or one.dport or PORTS)
    for (proto, sport, by_source), ranges in groups.items():
        for part in merged(ranges):
            if proto in (ICMP, ICMP6):
                out.append(Service(proto, types=part))
            elif by_source:
                out.append(Service(proto, sport=part))
            else:
                out.append(Service(proto, sport, part))
    return tuple(out)


def merged(ranges: list[Range]) -> list[Range]:
    """Sorted, neither overlapping nor touching."""
    out: list[Range] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def masked(first: int, last: int, width: int) -> list[tuple[int, int]]:
    """A range as (value, free bits), fewest."""
    out: list[tuple[int, int]] = []
    while first <= last:
        free = width if first == 0 else (first & -first).bit_length() - 1
        while first + (1 << free) - 1 > last:
            free -= 1
        out.append((first, free))
        first += 1 << free
    return out


def stages(resolved: Resolved) -> list[list[Meant]]:
    """Rules in runs: `pass` skips to the next one. Tiers without a `pass` join those after them. At least one, at most six."""
    out: list[list[Meant]] = [[]]
    for tier in TIERS:
        here = [meant for meant in resolved.rules if meant.rule.tier == tier]
        out[-1] += here
        if any(meant.rule.action == "pass" for meant in here):
            out.append([])
    return out


def cuts(meant: Meant) -> bool:
    """Whether a rule also stops connections that are established."""
    return meant.rule.existing == "cut"


def until_last_cut(resolved: Resolved) -> list[list[Meant]]:
    """The stages up to the last rule that cuts: what decides whether an established connection is cut. [] where none does."""
    runs = stages(resolved)
    while runs and not any(map(cuts, runs[-1])):
        runs.pop()
    if runs:
        last = max(i for i, meant in enumerate(runs[-1]) if cuts(meant))
        runs[-1] = runs[-1][: last + 1]
    return runs
