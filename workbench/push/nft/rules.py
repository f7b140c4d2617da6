"""Rules of our table as they were read, whichever way nft told them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import BadInputError
from workbench.push.nft import words
from workbench.records.visible import visible

Range = tuple[int, int]


class NftTextError(BadInputError):
    """Text that is no table of nft, or says what ours never says."""

    title = "Rules not understood"


@dataclass(frozen=True, slots=True)
class Test:
    """One thing that a rule asks. about: src, dst, sport, dport, type, proto, family, state, direction, no_syn.

    proto: of ports and types; wide: of addresses; values: ranges of numbers; words: of states; negated: none of them.
    """

    about: str
    proto: int | None = None
    wide: int | None = None
    values: tuple[Range, ...] = ()
    words: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """tests: all must hold. verdict: accept, drop, reject, return, goto, jump, vmap or '' (only counts or logs)."""

    tests: tuple[Test, ...]
    verdict: str
    target: str = ""
    comment: str = ""
    by_state: tuple[tuple[str, str], ...] = ()
    packets: int = 0
    bytes: int = 0
    handle: int = 0


@dataclass(slots=True)
class Chain:
    """rules in order; hook: '' where it is only gone to."""

    rules: list[Rule] = field(default_factory=list)
    hook: str = ""
    kind: str = ""
    priority: int = 0
    policy: str = "accept"


@dataclass(slots=True)
class Table:
    """Our table: chains and sets by name. others: names of other tables seen."""

    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: dict[str, tuple[int, tuple[Range, ...]]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def address(text: Any, wide: int) -> int:
    """An address of the family in text, as a number. ValueError."""
    if not isinstance(text, str):
        raise TypeError(f"`{visible(str(text)[:60])}` is no address")
    return int(ipaddress.IPv4Address(text) if wide == 32 else ipaddress.IPv6Address(text))


def prefix(text: str, length: int, wide: int) -> Range:
    """A prefix as (first, last)."""
    net = ipaddress.ip_network(f"{text}/{int(length)}")
    if net.max_prefixlen != wide:
        raise ValueError(f"`{visible(text[:60])}` is of the other family")
    return int(net[0]), int(net[-1])


def number(value: Any, about: str, proto: int | None = None) -> int:
    """A number, or a word for one, as nft has them for protocols and types."""
    most = 65535 if about in ("sport", "dport") else 255
    if isinstance(value, str) and not value.isdecimal():
        known = words.PROTOCOLS if about == "proto" else {1: words.ICMP, 58: words.ICMP6}.get(proto or 0, {})
        if value not in known:
            raise ValueError(f"`{visible(value[:60])}` is no number here")
        return known[value]
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, str) and len(value) > 5):
        raise ValueError(f"`{visible(str(value)[:60])}` is no number")
    if not 0 <= int(value) <= most:
        raise ValueError(f"{value} is not within 0 to {most}")
    return int(value)
