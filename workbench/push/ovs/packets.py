"""Matches of flows as sets of packets.

Long lists of addresses are what costs: those of one side of a conjunction are made one set at once, which the policy's own side
of the proof then has already.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from workbench.policy.diagrams import Space
from workbench.policy.services import ICMP, ICMP6, TCP, Box
from workbench.push.ovs.reading import Match
from workbench.push.regions import PORTS, merged

_DST: Final = 1
_SRC: Final = 3


class UnclearError(Exception):
    """A flow that cannot be followed, in words."""


def any_of(space: Space, matches: Sequence[Match]) -> Any:
    """The packets of a family that any of these flows asks for."""
    sides: dict[int, list[tuple[int, int]]] = {_DST: [], _SRC: []}
    rest: list[Any] = []
    for match in matches:
        field = _only_address(space, match)
        if field is None:
            rest.append(packets_of(space, match))
        else:
            sides[field].append(match.dst if field == _DST else match.src)  # type: ignore[arg-type]
    for field, ranges in sides.items():
        if ranges:
            rest.append(space.addresses(field, tuple(merged(ranges))) & space.everything)
    return joined(space, rest)


def _only_address(space: Space, match: Match) -> int | None:
    """The field of the one address that a flow of this family asks for, and nothing else; None for all others."""
    if match.wide != space.wide or match.proto is not None or match.syn is not None or (match.src is None) == (match.dst is None):
        return None
    return _DST if match.src is None else _SRC


def joined(space: Space, parts: list[Any]) -> Any:
    """All of these sets together, by halves: neighbours join while they are small."""
    while len(parts) > 1:
        parts = [parts[i] | parts[i + 1] if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0] if parts else space.nothing


def packets_of(space: Space, match: Match) -> Any:
    """The packets of a family that a flow asks for."""
    if match.wide is None and (match.proto is not None or match.src or match.dst):
        raise UnclearError("a flow asks for addresses or protocols of no family")
    if match.wide not in (None, space.wide):
        return space.nothing
    out = space.everything
    if match.proto is not None:
        sport = match.types if match.proto in (ICMP, ICMP6) and match.types else match.sport
        out = space.services((Box((match.proto, match.proto), sport or PORTS, match.dport or PORTS),))
    if match.syn is not None and match.proto != TCP:
        raise UnclearError("TCP flags of something else")
    for field, end in ((_DST, match.dst), (_SRC, match.src)):
        if end is not None:
            out = out & space.addresses(field, (end,))
    return out & space.everything if match.src is None or match.dst is None else out
