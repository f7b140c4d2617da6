"""Who is meant: expressions over workloads and prefixes, made simpler where that is certain, and the groups that say them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.members import Condition
from workbench.policy.model import RESERVED


@dataclass(frozen=True, slots=True)
class Nets:
    """Anybody with an address in one of these prefixes."""

    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Loads:
    """Workloads of one of these kinds: in one of the namespaces (none said: any), of whom all conditions hold."""

    namespaces: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    kinds: tuple[str, ...] = ("pod",)


@dataclass(frozen=True, slots=True)
class Union:
    """Any of them. Of none: nobody."""

    parts: tuple[Who, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """All of them at once. Of none: everybody."""

    parts: tuple[Who, ...]


@dataclass(frozen=True, slots=True)
class Minus:
    """The first without the second."""

    whole: Who
    less: Who


Who = Nets | Loads | Union | Both | Minus
ANYBODY: Final = Both(())
NOBODY: Final = Union(())
PODS: Final = Loads()


def union(parts: Iterable[Who]) -> Who:
    """Any of them."""
    flat: dict[Who, None] = {}
    for part in parts:
        for one in part.parts if isinstance(part, Union) else (part,):
            flat[one] = None
    if ANYBODY in flat:
        return ANYBODY
    return next(iter(flat)) if len(flat) == 1 else Union(tuple(flat))


def both(*parts: Who) -> Who:
    """All of them at once; workloads that must be of two selections are one selection."""
    flat: list[Who] = []
    for part in parts:
        for one in part.parts if isinstance(part, Both) else (part,):
            other = next((n for n, seen in enumerate(flat) if isinstance(one, Loads) and isinstance(seen, Loads)), None)
            if other is not None:
                one, flat = _merged(flat[other], one), flat[:other] + flat[other + 1 :]
            if one == NOBODY:
                return NOBODY
            if one not in flat:
                flat.append(one)
    return flat[0] if len(flat) == 1 else Both(tuple(flat))


def _merged(one: Who, other: Who) -> Who:
    assert isinstance(one, Loads)
    assert isinstance(other, Loads)
    kinds = tuple(kind for kind in one.kinds if kind in other.kinds)
    namespaces = one.namespaces or other.namespaces
    if one.namespaces and other.namespaces:
        namespaces = tuple(name for name in one.namespaces if name in other.namespaces)
        if not namespaces:
            return NOBODY
    conditions = tuple(dict.fromkeys((*one.conditions, *other.conditions)))
    return Loads(namespaces, conditions, kinds) if kinds and not _contradict(conditions) else NOBODY


def _contradict(conditions: Iterable[Condition]) -> bool:
    """Whether two of them want one label to be different things."""
    wanted: dict[str, set[str]] = {}
    for condition in conditions:
        if condition.operator == "In":
            wanted[condition.key] = wanted.get(condition.key, set(condition.values)) & set(condition.values)
    return not all(wanted.values())


def minus(whole: Who, less: Who) -> Who:
    """The first without the second."""
    if whole in (less, NOBODY) or less == ANYBODY:
        return NOBODY
    if less == NOBODY or apart(whole, less):
        return whole
    if isinstance(whole, Minus):  # so that many of them make no deep tree
        return Minus(whole.whole, union((whole.less, less)))
    return Minus(whole, less)


def nets(texts: Iterable[str]) -> Who:
    """Prefixes, as `prefix` gives them."""
    found = tuple(dict.fromkeys(texts))
    return Nets(found) if found else NOBODY


def prefix(text: str) -> str:
    """A prefix or address as our policies write it; bits behind its length mean nothing, as where it comes from.

    ValueError where it is none.
    """
    try:
        net = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"`{text[:60]}` is no address or prefix") from None
    said = str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)
    addresses.prefix(said)
    return said


def apart(one: Who, other: Who) -> bool:
    """Whether certainly nobody is both."""
    if isinstance(one, Nets) and isinstance(other, Nets):
        mine, theirs = (addresses.of_ranges(r for p in n.prefixes for r in addresses.prefix(p).ranges) for n in (one, other))
        return not mine & theirs
    return isinstance(one, Loads) and isinstance(other, Loads) and _merged(one, other) == NOBODY


def within(one: Who, other: Who) -> bool:
    """Whether certainly everybody in the first is in the second."""
    if one in (other, NOBODY) or other == ANYBODY:
        return True
    if isinstance(one, Loads) and isinstance(other, Loads):
        return _merged(one, other) == one
    return isinstance(other, Union) and any(within(one, part) for part in other.parts)


_NOT_NAMED: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST: Final = 48


class Names:
    """Names that our policies allow, each given once. otherwise: what a name begins with where its text has no letter there."""

    def __init__(self, otherwise: str, taken: Iterable[str]) -> None:
        self._otherwise = otherwise
        self._taken = set(taken)
        self._last: dict[str, int] = {}

    def give(self, text: str) -> str:
        """A name for this text."""
        base = _NOT_NAMED.sub("-", text).strip("-._")[:_LONGEST].rstrip("-._") or self._otherwise
        if not base[0].isalpha():
            base = f"{self._otherwise}-{base}"[:_LONGEST]
        out, n = base, self._last.get(base, 1)
        while out in self._taken:
            n += 1
            out = f"{base}-{n}"
        self._last[base] = n
        self._taken.add(out)
        return out


@dataclass(slots=True)
class Groups:
    """Groups of a policy that is being made, one for each thing that is meant. made: as the model reads them."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    _named: dict[Who, str] = field(default_factory=dict)
    _names: Names = field(default_factory=lambda: Names("g", RESERVED))

    def words(self, who: Who) -> list[str]:
        """What stands in `from` or `to`: any of them."""
        if who == ANYBODY:
            return ["any"]
        if isinstance(who, Nets):
            return list(who.prefixes)
        if isinstance(who, Union):
            return list(dict.fromkeys(word for part in who.parts for word in self.words(part)))
        return [self._name(who)]

    def _word(self, who: Who) -> str:
        """As one word."""
        return self._name(who) if isinstance(who, Union | Nets) and len(self.words(who)) != 1 else self.words(who)[0]

    def _name(self, who: Who) -> str:
        if who not in self._named:
            group = self._group(who)  # its parts first, so that they are named first
            self._named[who] = self._names.give(_called(who))
            self.made[self._named[who]] = group
        return self._named[who]

    def _group(self, who: Who) -> dict[str, Any]:
        if isinstance(who, Nets):
            return {"cidr": list(who.prefixes)}
        if isinstance(who, Loads):
            return _selecting(who)
        if isinstance(who, Union):
            return {"union": self.words(who)}
        if isinstance(who, Both):
            return {"intersection": [self._word(part) for part in who.parts]}
        less = self.words(who.less)
        if who.whole == ANYBODY:
            return {"except": less}
        if isinstance(who.whole, Nets):
            return {"cidr": list(who.whole.prefixes), "except": less}
        return {"intersection": [self._word(who.whole)], "except": less}


def _selecting(loads: Loads) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": list(loads.kinds)}
    if loads.namespaces:
        out["namespace"] = list(loads.namespaces)
    equal: dict[str, str] = {}
    more: list[dict[str, Any]] = []
    for condition in loads.conditions:
        if condition.operator == "In" and len(condition.values) == 1 and condition.key not in equal:
            equal[condition.key] = condition.values[0]
        elif condition.values:
            more.append({"key": condition.key, "operator": condition.operator, "values": list(condition.values)})
        else:
            more.append({"key": condition.key, "operator": condition.operator})
    if loads.conditions:
        out["labels"] = {"matchLabels": equal, "matchExpressions": more}
    return out


def _called(who: Who) -> str:
    """A name that says what is meant, as far as a name can."""
    if isinstance(who, Loads):
        kinds = "" if who.kinds == ("pod",) and (who.namespaces or who.conditions) else "-".join(f"{k}s" for k in who.kinds)
        spaces = "-".join(who.namespaces[:2]) + ("-and-more" if len(who.namespaces) > 2 else "")
        labels = (
            f"{'not-' if c.operator in ('NotIn', 'DoesNotExist') else ''}{'-'.join(c.values[:2]) or c.key}"
            for c in who.conditions
        )
        return "-".join(part for part in (kinds, spaces, *labels) if part)
    if isinstance(who, Nets):
        return "nets"
    if isinstance(who, Minus):
        return f"{_called(who.whole)}-but"
    return "-".join(map(_called, who.parts[:2])) if who.parts else "any"
