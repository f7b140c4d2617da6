"""Whether a dataplane does what a policy means, for every packet; where not, a packet that shows it.

A packet meets a dataplane in one of a few situations (`Situation`): connection tracking knows its connection or does not. For
each of them both sides say which packets get which verdict by which rule, as decision diagrams; equal sets are the same diagram.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from workbench.policy.addresses import V4_FIRST, AddressSet, address_text
from workbench.policy.diagrams import Space
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ANY, ICMP, ICMP6, TCP, Box
from workbench.policy.symbolic import Example
from workbench.push import compiled, regions
from workbench.push.compiled import Compiled
from workbench.push.regions import ICMP_OF, PORTS, cuts, ranges_of, stages, until_last_cut
from workbench.push.regions import region as region_of

_SRC, _DST = 3, 1
#: How many counterexamples are told.
MOST_EXAMPLES: Final = 20


class Situation(NamedTuple):
    """What connection tracking says of a packet. state: its flags on ovs; adopted: of a connection older than the rules.

    ether: None for IP; else another type of frame, 0 for those that no flow of ours asks for.
    """

    name: str
    state: frozenset[str]
    syn: bool = False
    adopted: bool = False
    ether: int | None = None


NEW: Final = Situation("new", frozenset({"new"}), syn=True)
MIDDLE: Final = Situation("new, in mid-stream", frozenset({"new"}))
UNTRACKED: Final = Situation("untracked", frozenset({"untracked"}))
GOING: Final = Situation("established", frozenset({"est"}))
REPLY: Final = Situation("established, a reply", frozenset({"est", "rpl"}))
ADOPTED: Final = Situation("adopted", frozenset({"est"}), adopted=True)
RELATED: Final = Situation("related", frozenset({"rel"}))
INVALID: Final = Situation("invalid", frozenset({"inv"}))
#: Frames of other protocols than IP, ARP first of all; only a bridge has them.
NOT_IP: Final = Situation("not IP", frozenset(), ether=0)
#: Frames with more VLAN tags than the switch reads: what is within may be IP, and whoever gets them may take it for that.
NESTED: Final = tuple(Situation(f"VLAN tags within tags ({kind:#x})", frozenset(), ether=kind) for kind in (0x8100, 0x88A8))
SITUATIONS: Final = (NEW, MIDDLE, GOING, REPLY, ADOPTED, RELATED, INVALID, NOT_IP, *NESTED)

#: (verdict, number of the rule): verdict is pass, drop or reject. Numbers of what is let through as established are not told.
Outcome = tuple[str, int]
Outcomes = dict[Outcome, Any]
KNOWN: Final = ("pass", compiled.ESTABLISHED)
STOPPED: Final = ("drop", compiled.INVALID)
NOT_JUDGED: Final = ("pass", compiled.OTHER)


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A packet for which the dataplane does something else than the policy says. Each outcome: (verdict, rule id)."""

    situation: str
    packet: Example
    meant: tuple[str, str]
    does: tuple[str, str]

    def text(self) -> str:
        """For people, on one line."""
        p = self.packet
        ends = f"{address_text(p.src)} -> {address_text(p.dst)}"
        what = f"proto {p.proto}, ports {p.sport} -> {p.dport}"
        return f"{self.situation}: {ends}, {what}: meant {' by '.join(self.meant)}, does {' by '.join(self.does)}"


@dataclass(frozen=True, slots=True)
class Proof:
    """equal: nothing differs and nothing is in the way. problems: what is wrong besides verdicts, in words."""

    equal: bool
    examples: tuple[Counterexample, ...]
    problems: tuple[str, ...]
    outcomes: int


class Told(NamedTuple):
    """A dataplane's side: what it does with the packets of a family in a situation."""

    outcomes: Any  # (space, situation, packets) -> Outcomes
    situations: Sequence[Situation]
    rejects: bool


def compare(made: Compiled, resolved: Resolved, told: Told, serves: AddressSet, problems: Iterable[str] = ()) -> Proof:
    """Every family and situation."""
    found: list[Counterexample] = []
    numbers = {rule_id: number for number, rule_id in made.ids.items()}
    for n, meant in enumerate(resolved.rules):
        numbers.setdefault(meant.rule_id, -1 - n)  # a rule that was not compiled: nothing has its number
    seen = 0
    for wide in (32, 128):
        meaning = _Meaning(Space(wide), resolved, numbers, serves, told.rejects)
        for situation in told.situations:
            packets = meaning.universe(situation)
            means = meaning.outcomes(situation, packets)
            does = told.outcomes(meaning.space, situation, packets)
            seen += len(means)
            if len(found) < MOST_EXAMPLES:
                found += _differences(meaning.space, situation, means, does, made.ids)
    wrong = tuple(problems)
    return Proof(not found and not wrong, tuple(found[:MOST_EXAMPLES]), wrong, seen)


def _differences(
    space: Space, situation: Situation, means: Outcomes, does: Outcomes, ids: Mapping[int, str]
) -> list[Counterexample]:
    out: list[Counterexample] = []
    for outcome, packets in means.items():
        missing = packets & ~does.get(outcome, space.nothing)
        if missing == space.nothing:
            continue
        for other, theirs in [*does.items(), (("nothing", compiled.PLUMBING), space.everything)]:
            if (missing & theirs) != space.nothing:
                example = _example(space, missing & theirs)
                said = [(verdict, ids.get(number, str(number))) for verdict, number in (outcome, other)]
                out.append(Counterexample(situation.name, example, said[0], said[1]))
                break
        if len(out) >= MOST_EXAMPLES:
            break
    return out


def _example(space: Space, packets: Any) -> Example:
    found = space.witness(packets)
    if found is None:
        raise AssertionError("an empty set has no example")
    shift = V4_FIRST if space.wide == 32 else 0
    return Example(found[3] + shift, found[1] + shift, found[0], found[4], found[2])


class _Meaning:
    """What a policy means in one family."""

    def __init__(self, space: Space, resolved: Resolved, numbers: Mapping[str, int], serves: AddressSet, rejects: bool) -> None:
        self.space = space
        self.resolved = resolved
        self.numbers = numbers
        self.rejects = rejects
        ends = ranges_of(serves, space.wide)
        self.served = space.everything
        if ends is not None:
            self.served &= space.addresses(_SRC, ends) | space.addresses(_DST, ends)
        self._judged: list[tuple[Meant | int, Any]] | None = None
        self._cutting: dict[bool, list[tuple[Meant, Any]]] = {}

    def universe(self, situation: Situation) -> Any:
        """The packets that there can be: types of ICMP are a byte; what is not tracked is never established."""
        space = self.space
        right = ICMP_OF[space.wide]
        out = space.everything & ~space.services((Box((right, right), (256, 65535), PORTS),))
        if situation.state not in ({"new"}, {"untracked"}) and space.wide == 128:
            out &= ~space.services(tuple(Box((ICMP6, ICMP6), (kind, kind), PORTS) for kind in regions.UNTRACKED))
        return out & self._box(TCP) if situation is MIDDLE else out

    def _box(self, proto: int) -> Any:
        return self.space.services((Box((proto, proto), PORTS, PORTS),))

    def outcomes(self, situation: Situation, packets: Any) -> Outcomes:
        """Which packets should get which verdict by which rule."""
        if situation.ether is not None:
            return {STOPPED if situation in NESTED else NOT_JUDGED: packets}
        out: Outcomes = {}
        wrong = self._box(ICMP_OF[160 - self.space.wide])
        _add(out, STOPPED, packets & wrong)
        packets &= ~wrong
        here = packets & self.served
        _add(out, NOT_JUDGED, packets & ~self.served)
        if situation is INVALID:
            _add(out, STOPPED, here)
        elif situation is RELATED:
            _add(out, KNOWN, here)
        elif "est" in situation.state:
            cut = self._cut(here, back="rpl" in situation.state, both=situation.adopted, out=out)
            _add(out, KNOWN, here & ~cut)
        else:
            if situation is MIDDLE:
                here &= ~self._cut(here, back=True, both=False, out=out)
            for meant, theirs in self._judge():
                _add(out, self._outcome(meant), here & theirs)
        return {outcome: found for outcome, found in out.items() if found != self.space.nothing}

    def _cut(self, here: Any, back: bool, both: bool, out: Outcomes) -> Any:
        """What is cut as it goes or as a reply, put to the outcomes; all of it."""
        whole = self.space.nothing
        for as_reply in (True, False) if both else (back,):
            if as_reply not in self._cutting:
                found = self._first(until_last_cut(self.resolved), as_reply)[0]
                self._cutting[as_reply] = [(meant, theirs) for meant, theirs in found if cuts(meant)]
            before = whole
            for meant, theirs in self._cutting[as_reply]:
                _add(out, ("drop", self.numbers[meant.rule_id]), here & theirs & ~before)
                whole |= theirs
        return whole & here

    def _outcome(self, meant: Meant | int) -> Outcome:
        if isinstance(meant, int):
            action = self.resolved.default if meant == compiled.DEFAULT else "allow"
            number = meant
        else:
            action, number = meant.rule.action, self.numbers[meant.rule_id]
        if action == "reject" and not self.rejects:
            action = "deny"
        return {"allow": "pass", "deny": "drop", "reject": "reject"}[action], number

    def _judge(self) -> list[tuple[Meant | int, Any]]:
        """Who decides on what, the default and nobody included."""
        if self._judged is None:
            found, left = self._first(stages(self.resolved), False)
            inside = self.space.product(self.resolved.internal, self.resolved.internal, (ANY,))
            rest: list[tuple[Meant | int, Any]] = [(compiled.DEFAULT, left & inside), (compiled.UNMANAGED, left & ~inside)]
            self._judged = [*found, *rest]
        return self._judged

    def _first(self, runs: list[list[Meant]], back: bool) -> tuple[list[tuple[Meant, Any]], Any]:
        """Who of the rules decides on what, and what is left. back: of replies to it."""
        reach = self.space.everything
        out: list[tuple[Meant, Any]] = []
        for run in runs:
            left, passed = reach, self.space.nothing
            for meant in run:
                taken = self._matched(meant, back) & left
                left &= ~taken
                if meant.rule.action == "pass":
                    passed |= taken
                else:
                    out.append((meant, taken))
            reach = left | passed
        return out, reach

    def _matched(self, meant: Meant, back: bool) -> Any:
        if not back:
            return self.space.product(meant.src, meant.dst, meant.boxes)
        found = region_of(meant.src, meant.dst, meant.boxes, self.space.wide, back=True)
        if found is None:
            return self.space.nothing
        boxes = _boxes(found.services)
        return self.space.product(meant.dst, meant.src, boxes)


def _boxes(services: Any) -> tuple[Box, ...]:
    if services is None:
        return (ANY,)
    return tuple(
        Box((one.proto, one.proto), one.types or one.sport or PORTS, one.dport or PORTS)
        if one.proto in (ICMP, ICMP6)
        else Box((one.proto, one.proto), one.sport or PORTS, one.dport or PORTS)
        for one in services
    )


def _add(out: Outcomes, outcome: Outcome, packets: Any) -> None:
    out[outcome] = out[outcome] | packets if outcome in out else packets
