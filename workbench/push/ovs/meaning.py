"""What flows do to every packet: a walk through our tables with sets of packets instead of one.

It knows the actions that our flows have and no others, and starts where packets do, at table 0. What it can't follow is a problem
of the proof, never passed over.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from operator import and_
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.diagrams import Space
from workbench.policy.resolved import Resolved
from workbench.policy.services import ICMP6, Box
from workbench.push import compiled
from workbench.push.compiled import Compiled, OvsLayout
from workbench.push.ovs.packets import UnclearError, any_of, joined
from workbench.push.ovs.reading import Match, Read, ReadFlow, read_flows
from workbench.push.ovs.tables import AS_A_REPLY, DONE, HOOK_PRIORITY, PHASE, Tables, tables_of
from workbench.push.proof import (
    INVALID,
    KNOWN,
    NOT_JUDGED,
    SITUATIONS,
    STOPPED,
    Outcomes,
    Proof,
    Situation,
    Told,
    compare,
)
from workbench.push.regions import PORTS, UNTRACKED

_SRC, _DST = 3, 1
_MAPPED: Final = (V4_FIRST, V4_LAST)
_SET: Final = re.compile(
    r"(?:set_field:(0x[0-9a-f]{1,8}|[0-9]{1,10})->reg(\d\d?)|load:(0x[0-9a-f]{1,8}|[0-9]{1,10})->NXM_NX_REG(\d\d?)\[\])"
)
_RESUBMIT: Final = re.compile(r"resubmit\(,(\d{1,3})\)")
_TRACK: Final = re.compile(r"ct\(table=(\d{1,3}),zone=(\d{1,5})\)")
_LABEL: Final = (
    r"(?:set_field:(0x[0-9a-f]{1,16})->ct_label"
    r"|load:(0x[0-9a-f]{1,16})->NXM_NX_CT_LABEL\[0\.\.63\],load:0(?:x0)?->NXM_NX_CT_LABEL\[64\.\.127\])"
)
_COMMIT: Final = re.compile(rf"ct\(commit,zone=(\d{{1,5}}),exec\({_LABEL}\)\)")
_CONJUNCTION: Final = re.compile(r"conjunction\((\d{1,10}),(\d)/(\d)\)")
_SAMPLE: Final = re.compile(r"sample\([a-z0-9_=,]{1,200}\)")


@dataclass(frozen=True, slots=True)
class _Step:
    """Flows of one table and priority that do the same: they are one set of packets."""

    priority: int
    cookie: int
    actions: tuple[str, ...]
    matches: tuple[Match | tuple[tuple[Match, ...], ...], ...]


@dataclass(frozen=True, slots=True)
class _Context:
    """What the packets of a walk have in common. tracked: they have been through connection tracking."""

    situation: Situation
    register: int = 0
    tracked: bool = False
    number: int = compiled.PLUMBING
    committed: int | None = None


_Place = tuple[int, _Context]
_Shares = tuple[list[tuple[_Step, Any]], Any]


class _Waiting:
    """Packets on their way to tables; those that come to one alike go on together."""

    def __init__(self, turn: Callable[[_Place], int]) -> None:
        self._turn = turn
        self._queue: list[tuple[int, int, _Place]] = []
        self._packets: dict[_Place, Any] = {}
        self._added = 0

    def add(self, place: _Place, packets: Any) -> None:
        """Put packets to those that wait for a place."""
        if place in self._packets:
            self._packets[place] = self._packets[place] | packets
            return
        self._packets[place] = packets
        self._added += 1
        heapq.heappush(self._queue, (self._turn(place), self._added, place))

    def first(self) -> tuple[_Place, Any] | None:
        """What is next, and its packets."""
        if not self._queue:
            return None
        place = heapq.heappop(self._queue)[2]
        return place, self._packets.pop(place)


def prove(made: Compiled, resolved: Resolved, said: str | None = None, serves: AddressSet = addresses.ANY) -> Proof:
    """Whether flows do what a policy means. said: a dump of the bridge; None: the text as compiled."""
    if not isinstance(made.layout, OvsLayout):
        raise TypeError("compiled for something else")
    read = read_flows(made.text if said is None else said, made.layout.ours, made.layout.register)
    walk = Walk(read, tables_of(made.layout))
    return compare(made, resolved, Told(walk.outcomes, SITUATIONS, rejects=False), serves, walk.problems)


class Walk:
    """The flows of a bridge, ready to be walked through."""

    def __init__(self, read: Read, tables: Tables) -> None:
        self.tables = tables
        self.problems: list[str] = []
        self.steps: dict[int, list[_Step]] = {}
        self._by_register: dict[int, tuple[dict[int, list[_Step]], list[_Step]]] = {}
        self._known: dict[tuple[int, int, int | None], Any] = {}
        self._shares: dict[tuple[int, int | None], _Shares] = {}
        self._space: Space | None = None
        self._most_turns = 10 * len(read.flows) + 100
        here: dict[int, list[ReadFlow]] = defaultdict(list)
        for flow in read.flows:
            here[flow.table].append(flow)
        for table, flows in here.items():
            self.steps[table] = self._grouped(table, flows)
            self._index(table)
        self._asking = self._who_asks()
        parts = {table: _parts(steps) for table, steps in self.steps.items()}
        self._settled = {table for table, some in parts.items() if not any(map(_asks, some))}
        self._others(read)
        self._labels()
        self._mapped(read)

    def _who_asks(self) -> set[int]:
        """The tables where it matters what the register says: they ask, or send on to one that does without setting it."""
        out = {t for t, steps in self.steps.items() for s in steps for m in s.matches if isinstance(m, Match) and m.register}
        while True:
            more = {table for table, steps in self.steps.items() if any(_sends_on(step, out) for step in steps)} - out
            if not more:
                return out
            out |= more

    def _others(self, read: Read) -> None:
        first, last = self.tables.entry, self.tables.last
        for table, priority, cookie in read.others:
            if first <= table <= last:
                self.problems.append(f"a flow of someone else is in our table {table} (cookie {cookie:#x})")
            elif table == 0 and priority >= HOOK_PRIORITY:
                self.problems.append(f"a flow of someone else in table 0 may come before our hook (cookie {cookie:#x})")
        for table in self.steps:
            if table and not first <= table <= last:
                self.problems.append(f"a flow with our cookie is in table {table}, which is not ours")

    def _labels(self) -> None:
        """Flows by label, which sets of packets don't have, must all do what the flow of no label does."""
        t = self.tables
        for table, steps in self.steps.items():
            for step in steps:
                for match in step.matches:
                    label = match.label if isinstance(match, Match) else None
                    if label is None or (label[0] == t.cookie(compiled.ADOPTED) and table != t.established):
                        continue
                    if table != t.established or step.actions != (f"resubmit(,{t.passing})",):
                        self.problems.append(f"a flow by label in table {table} does something else than let it pass")

    def _mapped(self, read: Read) -> None:
        """IPv6 packets from or to where policies have IPv4 are in no set of packets: that they are dropped is looked up."""
        first = max((flow.priority for flow in read.flows if flow.table == self.tables.entry), default=0)
        for side in ("src", "dst"):
            if not any(
                getattr(flow.match, side) == _MAPPED and flow.actions == ("drop",) and flow.match.proto is None
                for flow in read.flows
                if flow.table == self.tables.entry and flow.priority == first and flow.match.wide == 128
            ):
                self.problems.append(f"IPv6 packets with an IPv4 {side} address are not dropped first of all")

    def _grouped(self, table: int, flows: list[ReadFlow]) -> list[_Step]:
        clauses: dict[tuple[int, int], dict[int, list[Match]]] = defaultdict(lambda: defaultdict(list))
        sides: dict[tuple[int, int], int] = {}
        plain: list[ReadFlow] = []
        for flow in flows:
            joined = [_CONJUNCTION.fullmatch(action) for action in flow.actions]
            if not any(joined):
                plain.append(flow)
                continue
            for found in joined:
                if found is None:
                    self.problems.append(f"table {table}: a conjunction among other actions")
                    continue
                key = int(found[1]), flow.priority
                clauses[key][int(found[2])].append(flow.match)
                if sides.setdefault(key, int(found[3])) != int(found[3]):
                    self.problems.append(f"table {table}: conjunction {key[0]} has different numbers of sides")
        out: list[_Step] = []
        plain.sort(key=lambda flow: (-flow.priority, flow.cookie, flow.actions))
        for (priority, cookie, actions), group in groupby(plain, key=lambda flow: (flow.priority, flow.cookie, flow.actions)):
            matches: list[Match | tuple[tuple[Match, ...], ...]] = []
            for flow in group:
                if flow.match.conjunction is None:
                    matches.append(flow.match)
                    continue
                key = flow.match.conjunction, flow.priority
                found_sides = clauses.pop(key, {})
                if sorted(found_sides) == list(range(1, sides.get(key, -1) + 1)):  # else a side is empty: nothing matches
                    own = (Match(wide=flow.match.wide),)
                    matches.append((own, *(tuple(found_sides[n]) for n in sorted(found_sides))))
            out.append(_Step(priority, cookie, actions, tuple(matches)))
        if clauses:
            self.problems.append(f"table {table}: sides of a conjunction that nothing asks for")
        return out

    def _index(self, table: int) -> None:
        """Steps for one value of the register, and those that ask less of it: a table has a few for each rule."""
        exact: dict[int, list[_Step]] = defaultdict(list)
        rest: list[_Step] = []
        for step in self.steps[table]:
            values = {
                m.register[0] if isinstance(m, Match) and m.register and m.register[1] == 0xFFFFFFFF else None
                for m in step.matches
            }
            if len(values) == 1 and None not in values:
                exact[values.pop() or 0].append(step)
            else:
                rest.append(step)
        rest.sort(key=lambda step: -step.priority)
        self._by_register[table] = exact, rest

    def outcomes(self, space: Space, situation: Situation, packets: Any) -> Outcomes:
        """What becomes of packets of a family in a situation."""
        out: Outcomes = {}
        if self._space is not space:
            self._space, self._known, self._shares = space, {}, {}
        waiting = _Waiting(self._turn)
        waiting.add((0, _Context(situation)), packets)
        turns = 0
        try:
            while (found := waiting.first()) is not None:
                turns += 1
                if turns > self._most_turns:
                    raise UnclearError("flows go round in circles")
                self._table(space, found[0], found[1], waiting, out)
        except UnclearError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))
        return {outcome: found for outcome, found in out.items() if found != space.nothing}

    def _turn(self, place: _Place) -> int:
        """Tables in the order of a packet's way, so that packets that take different ways there are together when they arrive."""
        table, context = place
        t = self.tables
        if table == t.verdict:
            return t.last + 1 if context.register & PHASE == AS_A_REPLY else 3 * t.last
        if table == 0 and context.register & DONE:
            return 4 * t.last
        if t.judge(0) <= table < t.reply(0):
            return 2 * t.last + table
        return 3 * t.last + table if table in (t.established, t.passing) else table

    def _table(self, space: Space, here: _Place, packets: Any, waiting: _Waiting, out: Outcomes) -> None:
        table, context = here
        if table == 0 and context.register & DONE:
            self._end(space, packets, context, out, "pass")
            return
        exact, rest = self._by_register.get(table, ({}, []))
        here_only = exact.get(context.register, [])
        steps = sorted([*here_only, *rest], key=lambda step: -step.priority) if here_only else rest
        if table in self._settled:
            key = table, context.situation.ether
            if key not in self._shares:
                self._shares[key] = self._shared(space, table, steps, context, space.everything)
            shares, left = self._shares[key]
            left = left & packets
        else:
            shares, left = self._shared(space, table, steps, context, packets)
        for step, share in shares:
            if (matched := share & packets) != space.nothing:
                self._act(space, step, matched, here, waiting, out)
        if table == 0:  # only flows of others are left: the hook is not there, or leaves packets out
            _put(out, ("pass", compiled.PLUMBING), left)
        else:
            _put(out, STOPPED, left)

    def _shared(self, space: Space, table: int, steps: list[_Step], context: _Context, packets: Any) -> _Shares:
        """What of these packets each step takes, and what none does."""
        left = packets
        out: list[tuple[_Step, Any]] = []
        for _, level in groupby(steps, key=lambda step: step.priority):
            before = left
            for step in level:
                matched = self._matched(space, step, context) & before
                if matched == space.nothing:
                    continue
                if left is not before and (matched & ~left) != space.nothing:  # the first of a level meets none
                    raise UnclearError(f"table {table}, priority {step.priority}: flows of one priority meet")
                left &= ~matched
                out.append((step, matched))
            if left == space.nothing:
                break
        return out, left

    def _act(self, space: Space, step: _Step, packets: Any, here: _Place, waiting: _Waiting, out: Outcomes) -> None:
        t = self.tables
        table, context = here
        number = step.cookie & 0xFFFFFFFF
        own = context.number if number == compiled.PLUMBING else number
        c = context if table >= t.judge(0) else replace(context, number=own)  # rules are told from each other by the register
        for place, action in enumerate(step.actions):
            last = place == len(step.actions) - 1
            if found := _SET.fullmatch(action):
                if int(found[2] or found[4]) != t.layout.register:
                    raise UnclearError(f"a register that is not ours is set: {action}")
                c = replace(c, register=int(found[1] or found[3], 0))
            elif found := _COMMIT.fullmatch(action):
                label = int(found[2] or found[3], 16)
                if int(found[1]) != t.layout.zone or label >> 32 != t.layout.ours or not c.tracked:
                    raise UnclearError(f"a connection is remembered where it should not be: {action}")
                c = replace(c, committed=label & 0xFFFFFFFF)
            elif action == "ct_clear":
                c = replace(c, tracked=False)
            elif (found := _RESUBMIT.fullmatch(action)) and last:
                if int(found[1]) == 0 and c.tracked:
                    raise UnclearError("packets go on to others with our connection tracking")
                self._on(space, int(found[1]), packets, c, waiting)
                return
            elif (found := _TRACK.fullmatch(action)) and last and int(found[2]) == t.layout.zone:
                unknown = packets & self._untracked(space)
                for state, some in ((INVALID, unknown), (c.situation, packets & ~unknown)):
                    self._on(space, int(found[1]), some, replace(c, situation=state, tracked=True), waiting)
                return
            elif not _SAMPLE.fullmatch(action) and action != "drop":
                raise UnclearError(f"an action that is not ours: {action[:100]}")
        self._end(space, packets, replace(c, number=own), out, "drop")

    def _on(self, space: Space, table: int, packets: Any, context: _Context, waiting: _Waiting) -> None:
        """On to a table, together with what else goes there alike. What the register says is forgotten where nobody asks it."""
        if packets == space.nothing:
            return
        c = context if table in self._asking or table == 0 else replace(context, register=0)
        waiting.add((table, c), packets)

    def _end(self, space: Space, packets: Any, context: _Context, out: Outcomes, verdict: str) -> None:
        number = context.number
        if verdict == "drop":
            _put(out, ("drop", number) if number != compiled.INVALID else STOPPED, packets)
        elif "new" not in context.situation.state:
            _put(out, NOT_JUDGED if number == compiled.OTHER else KNOWN, packets)
        elif context.committed is None:
            untracked = packets & self._untracked(space)
            _put(out, ("pass", number), packets if number == compiled.OTHER else untracked)
            if number != compiled.OTHER:  # a connection that nobody remembers: its replies would be judged
                _put(out, ("pass, but is not remembered", number), packets & ~untracked)
        else:
            _put(out, ("pass", number if number == context.committed else compiled.PLUMBING), packets)

    def _untracked(self, space: Space) -> Any:
        if space.wide == 32:
            return space.nothing
        return space.services(tuple(Box((ICMP6, ICMP6), (kind, kind), PORTS) for kind in UNTRACKED))

    def _matched(self, space: Space, step: _Step, context: _Context) -> Any:
        key = space.wide, id(step), context.situation.ether
        if key in self._known:
            return self._known[key]
        parts: list[Any] = []
        asks = False
        for match in step.matches:
            sides = ((match,),) if isinstance(match, Match) else match
            asks = asks or any(_asks(part) for side in sides for part in side)
            found = [any_of(space, [part for part in side if _holds(part, context, self.tables)]) for side in sides]
            parts.append(reduce(and_, found))
        out = joined(space, parts)
        if not asks:
            self._known[key] = out
        return out


def _sends_on(step: _Step, tables: set[int]) -> bool:
    """Whether packets go on to one of these tables with the register as it is."""
    if any(_SET.fullmatch(action) for action in step.actions):
        return False
    found = [_RESUBMIT.fullmatch(action) or _TRACK.fullmatch(action) for action in step.actions]
    return any(one is not None and int(one[1]) in tables for one in found)


def _parts(steps: list[_Step]) -> Iterator[Match]:
    """Every match of these steps, those of conjunctions too."""
    for step in steps:
        for match in step.matches:
            yield from [match] if isinstance(match, Match) else [part for side in match for part in side]


def _asks(match: Match) -> bool:
    """Whether it asks for more than the packet itself."""
    return bool(match.state) or any(part is not None for part in (match.register, match.label, match.syn, match.ether))


def _holds(match: Match, context: _Context, tables: Tables) -> bool:
    """What a flow asks besides the packet itself."""
    if match.register is not None and context.register & match.register[1] != match.register[0] & match.register[1]:
        return False
    if match.ether not in (None, context.situation.ether) or (context.situation.ether is not None and match.wide is not None):
        return False
    state = {*context.situation.state, "trk"} if context.tracked else set()
    if any((name in state) != wanted for name, wanted in match.state.items()):
        return False
    if match.syn is not None and match.syn != context.situation.syn:
        return False
    if match.label is not None:
        label = tables.cookie(compiled.ADOPTED) if context.tracked and context.situation.adopted else 0
        return label & match.label[1] == match.label[0] & match.label[1]
    return True


def _put(out: Outcomes, outcome: tuple[str, int], packets: Any) -> None:
    out[outcome] = out[outcome] | packets if outcome in out else packets
