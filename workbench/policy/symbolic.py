"""What policies let through, for all packets at once: differences, equality, containment, what never gets through, idle rules."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from workbench.policy.addresses import V4_FIRST, AddressSet, of_ranges
from workbench.policy.diagrams import Product, Space
from workbench.policy.model import TIERS
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import Box

#: Verdicts that stop a packet.
BLOCKED: Final = frozenset({"deny", "reject"})

#: How many rules may differ before looking only at what they touch costs more than looking at everything.
_FEW: Final = 100


@dataclass(frozen=True, slots=True)
class Row:
    """Packets from any of src to any of dst of any of the services. packets: how many headers that is, exactly."""

    src: AddressSet
    dst: AddressSet
    services: tuple[Box, ...]
    packets: int


@dataclass(frozen=True, slots=True)
class Example:
    """One concrete packet; addresses as in policy.addresses."""

    src: int
    dst: int
    proto: int
    sport: int
    dport: int


@dataclass(frozen=True, slots=True)
class Rows:
    """A set of packets as disjoint rows. packets: how many it has, with those of rows that were left out; widest first."""

    rows: tuple[Row, ...]
    packets: int
    example: Example | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a change lets through that was stopped, and stops that was let through."""

    allowed: Rows
    denied: Rows

    def __bool__(self) -> bool:
        return bool(self.allowed.packets or self.denied.packets)


def with_verdict(space: Space, resolved: Resolved, verdicts: frozenset[str], rules: Iterable[Meant] | None = None) -> Any:
    """The packets that get one of these verdicts, judged by these rules (all where none are said)."""
    inside = space.product(resolved.internal, resolved.internal, (Box((0, 255), (0, 65535), (0, 65535)),))
    after = inside if resolved.default in verdicts else space.nothing
    if "unmanaged" in verdicts:
        after |= space.everything & ~inside
    tiers: dict[str, list[Meant]] = {tier: [] for tier in TIERS}
    for meant in resolved.rules if rules is None else rules:
        tiers[meant.rule.tier].append(meant)
    for tier in reversed(TIERS):
        out = after
        for meant in reversed(tiers[tier]):
            matched = space.product(meant.src, meant.dst, meant.boxes)
            if meant.rule.action == "pass":
                out = (matched & after) | (out & ~matched)
            elif meant.rule.action in verdicts:
                out |= matched
            else:
                out &= ~matched
        after = out
    return after


def difference(old: Resolved, new: Resolved, most: int = 1000) -> Difference:
    """What is newly allowed and newly denied, exactly; at most so many rows of each are listed."""
    allowed, denied = [], []
    changed = _changed(old, new)
    judged = [(one, one.rules if changed is None else _touching(one, changed)) for one in (old, new)]
    for wide in (32, 128):
        space = Space(wide)
        stopped_before, stopped_after = (with_verdict(space, one, BLOCKED, rules) for one, rules in judged)
        if stopped_before == stopped_after:
            continue
        within = space.everything
        if changed is not None:
            within = space.nothing
            for meant in changed:
                within |= space.product(meant.src, meant.dst, meant.boxes)
        allowed.append((space, stopped_before & ~stopped_after & within))
        denied.append((space, stopped_after & ~stopped_before & within))
    return Difference(_listed(allowed, most), _listed(denied, most))


def newly_allowed(old: Resolved, new: Resolved) -> Rows:
    """What new lets through and old does not: nothing where new is contained in old."""
    return difference(old, new).allowed


def let_through(resolved: Resolved, src: AddressSet, dst: AddressSet, boxes: tuple[Box, ...], most: int = 1000) -> Rows:
    """What of these packets is not stopped: nothing where the policy keeps `never`."""
    found = []
    for wide in (32, 128):
        space = Space(wide)
        found.append((space, space.product(src, dst, boxes) & ~with_verdict(space, resolved, BLOCKED)))
    return _listed(found, most)


@dataclass(frozen=True, slots=True)
class Idle:
    """A rule that decides nothing. kind: `empty` (nobody is meant), `redundant` (those before say the same) or `shadowed`.

    covered_by: the rules before it that take its packets.
    """

    rule_id: str
    kind: str
    covered_by: tuple[str, ...]


def idle(resolved: Resolved) -> list[Idle]:
    """Rules that no packet reaches, in the order in which rules are tried."""
    spaces = Space(32), Space(128)
    reach = [space.everything for space in spaces]
    out: list[Idle] = []
    for tier in TIERS:
        left = list(reach)
        passed = [space.nothing for space in spaces]
        for meant in (m for m in resolved.rules if m.rule.tier == tier):
            matched = [space.product(meant.src, meant.dst, meant.boxes) for space in spaces]
            taken = [m & rest for m, rest in zip(matched, left, strict=True)]
            if all(t == space.nothing for t, space in zip(taken, spaces, strict=True)):
                out.append(_why_idle(resolved, meant, spaces, matched))
            left = [rest & ~m for rest, m in zip(left, matched, strict=True)]
            if meant.rule.action == "pass":
                passed = [p | t for p, t in zip(passed, taken, strict=True)]
        reach = [rest | p for rest, p in zip(left, passed, strict=True)]
    return out


def _why_idle(resolved: Resolved, meant: Meant, spaces: tuple[Space, Space], matched: list[Any]) -> Idle:
    if all(m == space.nothing for m, space in zip(matched, spaces, strict=True)):
        return Idle(meant.rule_id, "empty", ())
    covering: list[Meant] = []
    rest = list(matched)
    for before in resolved.rules[: resolved.rules.index(meant)]:
        theirs = [space.product(before.src, before.dst, before.boxes) for space in spaces]
        if any(t & r != space.nothing for t, r, space in zip(theirs, rest, spaces, strict=True)):
            if before.rule.action == "pass" and before.rule.tier != meant.rule.tier:
                continue
            covering.append(before)
            rest = [r & ~t for r, t in zip(rest, theirs, strict=True)]
    same = all(before.rule.action == meant.rule.action for before in covering)
    return Idle(meant.rule_id, "redundant" if same else "shadowed", tuple(before.rule_id for before in covering))


def _touching(resolved: Resolved, changed: list[Meant]) -> tuple[Meant, ...]:
    """The rules that may share packets with one of these."""
    return tuple(meant for meant in resolved.rules if any(_near(meant, other) for other in changed))


def _near(one: Meant, other: Meant) -> bool:
    """Whether two rules may share packets, by the outermost addresses of each: quick, and never wrongly no."""
    a, b = one.dst.ranges, other.dst.ranges
    if not a or not b or a[0][0] > b[-1][1] or b[0][0] > a[-1][1]:
        return False
    a, b = one.src.ranges, other.src.ranges
    return bool(a and b) and a[0][0] <= b[-1][1] and b[0][0] <= a[-1][1]


def _changed(old: Resolved, new: Resolved) -> list[Meant] | None:
    """The rules that are not in both in one order, where they are few; None where everything may have changed.

    A packet that none of them matches meets the same rules in the same order on both sides, so only theirs need judging.
    """
    if (old.internal, old.default) != (new.internal, new.default):
        return None
    where: dict[tuple[object, ...], int] = {}
    for n, meant in enumerate(new.rules):
        where.setdefault(meant.key(), n)
    pairs: list[tuple[int, int]] = []
    seen: set[int] = set()
    for i, meant in enumerate(old.rules):
        n = where.get(meant.key(), -1)
        if n >= 0 and n not in seen:
            seen.add(n)
            pairs.append((i, n))
    kept = _ascending([n for _, n in pairs])
    ours = {pairs[k][0] for k in kept}
    theirs = {pairs[k][1] for k in kept}
    out = [m for i, m in enumerate(old.rules) if i not in ours] + [m for i, m in enumerate(new.rules) if i not in theirs]
    return out if len(out) <= _FEW else None


def _ascending(values: list[int]) -> list[int]:
    """Places of a longest ascending part of a list (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, value in enumerate(values):
        at = bisect_left(tails, value)
        before.append(ends[at - 1] if at else -1)
        tails[at : at + 1] = [value]
        ends[at : at + 1] = [place]
    out: list[int] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        out.append(place)
        place = before[place]
    return out[::-1]


def _listed(parts: list[tuple[Space, Any]], most: int) -> Rows:
    rows: list[Row] = []
    total = 0
    example = None
    for space, packets in parts:
        total += space.count(packets)
        found = space.witness(packets)
        if found is not None and example is None:
            shift = V4_FIRST if space.wide == 32 else 0
            example = Example(found[3] + shift, found[1] + shift, found[0], found[4], found[2])
        rows += _merged([_row(space, product) for product in space.products(packets, most)])
    rows.sort(key=lambda row: (-row.packets, row.src.ranges, row.dst.ranges))
    return Rows(tuple(rows[:most]), total, example)


def _row(space: Space, product: Product) -> tuple[AddressSet, AddressSet, frozenset[Box]]:
    proto, dst, dport, src, sport = product
    shift = V4_FIRST if space.wide == 32 else 0
    ends = [of_ranges((first + shift, last + shift) for first, last in ranges) for ranges in (src, dst)]
    return ends[0], ends[1], frozenset(Box(p, s, d) for p in proto for s in sport for d in dport)


def _merged(parts: list[tuple[AddressSet, AddressSet, frozenset[Box]]]) -> list[Row]:
    """Fewer rows: those that differ in one of from, to and service only become one, until none do."""
    before = -1
    while len(parts) != before:
        before = len(parts)
        services: dict[tuple[AddressSet, AddressSet], frozenset[Box]] = {}
        for src, dst, boxes in parts:
            services[src, dst] = services.get((src, dst), frozenset()) | boxes
        froms: dict[tuple[AddressSet, frozenset[Box]], AddressSet] = {}
        for (src, dst), boxes in services.items():
            froms[dst, boxes] = froms[dst, boxes] | src if (dst, boxes) in froms else src
        tos: dict[tuple[AddressSet, frozenset[Box]], AddressSet] = {}
        for (dst, boxes), src in froms.items():
            tos[src, boxes] = tos[src, boxes] | dst if (src, boxes) in tos else dst
        parts = [(src, dst, boxes) for (src, boxes), dst in tos.items()]
    return [
        Row(src, dst, tuple(sorted(boxes)), src.count() * dst.count() * sum(map(_points, boxes))) for src, dst, boxes in parts
    ]


def _points(box: Box) -> int:
    out = 1
    for first, last in box:
        out *= last - first + 1
    return out
