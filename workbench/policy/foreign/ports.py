"""Sets of services: for each protocol the ranges of its destination ports (of ICMP: its types). With complements, exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from workbench.policy.services import ICMP, ICMP6, PROTOCOLS, SCTP, TCP, UDP

Range = tuple[int, int]

#: Protocols of which a rule can name ports.
PORTED: Final = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP}
_TYPED: Final = (ICMP, ICMP6)
_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}


@dataclass(frozen=True, slots=True)
class Services:
    """parts: protocol and its ranges, ascending; ranges disjoint and apart."""

    parts: tuple[tuple[int, tuple[Range, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __or__(self, other: Services) -> Services:
        return of((proto, span) for one in (self, other) for proto, spans in one.parts for span in spans)

    def __and__(self, other: Services) -> Services:
        theirs = dict(other.parts)
        return of(
            (proto, (max(a[0], b[0]), min(a[1], b[1])))
            for proto, spans in self.parts
            for a in spans
            for b in theirs.get(proto, ())
            if max(a[0], b[0]) <= min(a[1], b[1])
        )

    def __sub__(self, other: Services) -> Services:
        return self & other.complement()

    def complement(self) -> Services:
        """Everything else, of every protocol."""
        mine = dict(self.parts)
        out: list[tuple[int, Range]] = []
        for proto in range(256):
            at = 0
            for first, last in mine.get(proto, ()):
                if at < first:
                    out.append((proto, (at, first - 1)))
                at = last + 1
            if at <= most(proto):
                out.append((proto, (at, most(proto))))
        return of(out)

    def texts(self) -> list[str]:
        """As rules say them."""
        if self == ALL:
            return ["any"]
        out: list[str] = []
        for proto, spans in self.parts:
            name = _NAMES.get(proto, f"proto/{proto}")
            if spans == ((0, most(proto)),):
                out.append(name)
            else:
                out += [f"{name}/{first}" if first == last else f"{name}/{first}-{last}" for first, last in spans]
        return out


def most(proto: int) -> int:
    """The last port or type. Protocols that have neither are whole or not at all."""
    return 255 if proto in _TYPED else 65535


def of(spans: Iterable[tuple[int, Range]]) -> Services:
    """From protocols with ranges, in any order."""
    found: dict[int, list[Range]] = {}
    for proto, span in sorted(spans):
        have = found.setdefault(proto, [])
        if have and span[0] <= have[-1][1] + 1:
            have[-1] = (have[-1][0], max(have[-1][1], span[1]))
        else:
            have.append(span)
    return Services(tuple((proto, tuple(have)) for proto, have in sorted(found.items())))


def whole(*protos: int) -> Services:
    """All of these protocols."""
    return of((proto, (0, most(proto))) for proto in protos)


def ports(proto: int, first: int, last: int) -> Services:
    """A range of ports, or of ICMP types."""
    return of([(proto, (first, last))])


ALL: Final = whole(*range(256))
