"""What our table does to every packet: a walk through its chains with sets of packets instead of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from workbench.policy import addresses
from workbench.policy.addresses import V4_FIRST, V4_LAST, AddressSet
from workbench.policy.diagrams import Space
from workbench.policy.resolved import Resolved
from workbench.policy.services import TCP, Box
from workbench.push import compiled
from workbench.push.compiled import Compiled, NftLayout
from workbench.push.nft.listing import read_listing
from workbench.push.nft.rules import Rule, Table, Test
from workbench.push.nft.text import read_text
from workbench.push.proof import GOING, INVALID, MIDDLE, NEW, RELATED, REPLY, UNTRACKED, Outcomes, Proof, Situation, Told, compare
from workbench.push.regions import PORTS

SITUATIONS: Final = (NEW, MIDDLE, UNTRACKED, GOING, REPLY, RELATED, INVALID)
_STATES: Final = {"new": "new", "est": "established", "rel": "related", "inv": "invalid", "untracked": "untracked"}
_FIELD: Final = {"src": 3, "dst": 1}
_MAPPED: Final = (V4_FIRST, V4_LAST)


class UnclearError(Exception):
    """A rule that this walk can't follow, in words."""


def read_rules(said: str, layout: NftLayout) -> Table:
    """Our table, from nft's JSON or from the text that we wrote."""
    return read_listing(said, layout.table) if said.lstrip().startswith("{") else read_text(said, layout.table)


def prove(made: Compiled, resolved: Resolved, said: str | None = None, serves: AddressSet = addresses.ANY) -> Proof:
    """Whether our table does what a policy means. said: `nft -j list ruleset`, or None: the text as compiled."""
    if not isinstance(made.layout, NftLayout):
        raise TypeError("compiled for something else")
    walk = Walk(read_rules(made.text if said is None else said, made.layout), made.layout, made.ids)
    return compare(made, resolved, Told(walk.outcomes, SITUATIONS, rejects=True), serves, walk.problems)


class Walk:
    """A table, ready to be walked through."""

    def __init__(self, table: Table, layout: NftLayout, ids: Mapping[int, str]) -> None:
        self.table = table
        self.layout = layout
        self.numbers = {rule_id: number for number, rule_id in ids.items()}
        self.problems: list[str] = []
        self._space: Space | None = None
        self._shares: dict[str, tuple[list[tuple[Rule, Any]], Any]] = {}
        self._settled = {name for name, chain in table.chains.items() if all(map(_is_settled, chain.rules))}
        self._hooks()
        self._mapped()

    def _hooks(self) -> None:
        found = {name: chain for name, chain in self.table.chains.items() if chain.hook}
        for hook in self.layout.hooks:
            chain = found.pop(f"on_{hook}", None)
            if chain is None or (chain.hook, chain.kind, chain.priority) != (hook, "filter", self.layout.priority):
                self.problems.append(f"the chain at hook {hook} is missing or is not where we put it")
        self.problems += [f"a chain of our table is at a hook that we don't use: {chain.hook}" for chain in found.values()]

    def _mapped(self) -> None:
        """As for flows: IPv6 packets with an IPv4 address are in no set of packets, that they are dropped is looked up."""
        entry = self.table.chains.get("entry")
        before = []
        for rule in entry.rules if entry else []:
            if rule.verdict not in ("drop", ""):
                break
            before.append(rule)
        for side in ("src", "dst"):
            if not any(rule.verdict == "drop" and rule.tests == (Test(side, wide=128, values=(_MAPPED,)),) for rule in before):
                self.problems.append(f"IPv6 packets with an IPv4 {side} address are not dropped first of all")

    def outcomes(self, space: Space, situation: Situation, packets: Any) -> Outcomes:
        """What becomes of packets of a family in a situation; at every hook the same, or that is a problem."""
        found: list[Outcomes] = []
        for hook in self.layout.hooks:
            out: Outcomes = {}
            try:
                chain = self.table.chains.get(f"on_{hook}")
                left = packets if chain is None else self._chain(space, f"on_{hook}", packets, situation, out, ("", 0))
                _put(out, ("drop" if chain and chain.policy == "drop" else "pass", compiled.PLUMBING), left)
            except UnclearError as error:
                if str(error) not in self.problems:
                    self.problems.append(str(error))
            found.append({outcome: some for outcome, some in out.items() if some != space.nothing})
        if any(other != found[0] for other in found[1:]):
            self.problems.append("the hooks do different things")
        return found[0]

    def _chain(self, space: Space, name: str, packets: Any, situation: Situation, out: Outcomes, by: tuple[str, int]) -> Any:
        """Packets that a chain hands back. by: the comment that led here, and how deep."""
        if by[1] > 30:
            raise UnclearError("chains go round in circles")
        chain = self.table.chains.get(name)
        if chain is None:
            raise UnclearError(f"there is no chain {name}")
        if name in self._settled:
            return self._shared(space, name, packets, situation, out, by)
        left, back = packets, space.nothing
        for rule in chain.rules:
            if left == space.nothing:
                break
            matched = self._matched(space, rule, situation) & left
            if rule.verdict == "" or matched == space.nothing:
                continue
            left &= ~matched
            comment = rule.comment or by[0]
            verdict, target = rule.verdict, rule.target
            if verdict == "vmap":
                verdict, _, target = dict(rule.by_state).get(_state(situation), "continue").partition(" ")
            if verdict in ("goto", "jump"):
                some = self._chain(space, target, matched, situation, out, (comment, by[1] + 1))
                back, left = (back | some, left) if verdict == "goto" else (back, left | some)
            elif verdict == "return":
                back |= matched
            elif verdict == "continue":
                left |= matched
            elif verdict in ("accept", "drop", "reject"):
                _put(out, self._outcome(verdict, comment), matched)
            else:
                raise UnclearError(f"a verdict that is not ours: {verdict[:40]}")
        return left | back

    def _shared(self, space: Space, name: str, packets: Any, situation: Situation, out: Outcomes, by: tuple[str, int]) -> Any:
        """As _chain, of one that asks for nothing but the packet: what each of its rules takes is the same in every situation."""
        if self._space is not space:
            self._space, self._shares = space, {}
        if name not in self._shares:
            left = space.everything
            shares: list[tuple[Rule, Any]] = []
            for rule in self.table.chains[name].rules:
                matched = self._matched(space, rule, situation) & left
                if rule.verdict and matched != space.nothing:
                    left &= ~matched
                    shares.append((rule, matched))
            self._shares[name] = shares, left
        shares, left = self._shares[name]
        back = left & packets
        for rule, share in shares:
            if (matched := share & packets) == space.nothing:
                continue
            comment = rule.comment or by[0]
            if rule.verdict == "goto":
                back |= self._chain(space, rule.target, matched, situation, out, (comment, by[1] + 1))
            elif rule.verdict == "return":
                back |= matched
            else:
                _put(out, self._outcome(rule.verdict, comment), matched)
        return back

    def _outcome(self, verdict: str, comment: str) -> tuple[str, int]:
        number = self.numbers.get(comment, compiled.PLUMBING)
        return ("pass" if verdict == "accept" else verdict), number

    def _matched(self, space: Space, rule: Rule, situation: Situation) -> Any:
        out = space.everything
        for test in rule.tests:
            found = _packets(space, test, situation)
            out &= found
        return out


def _is_settled(rule: Rule) -> bool:
    """Whether what a rule does is the same in every situation, and does not depend on what a chain hands back."""
    asks = any(test.about in ("state", "direction", "no_syn") for test in rule.tests)
    return not asks and rule.verdict in ("", "accept", "drop", "reject", "goto", "return")


def _state(situation: Situation) -> str:
    return next(word for flag, word in _STATES.items() if flag in situation.state)


def _packets(space: Space, test: Test, situation: Situation) -> Any:
    """The packets that a test lets through; what is negated still asks for its family."""
    family = space.everything if test.wide in (None, space.wide) else space.nothing
    if test.about == "family":
        return family
    if test.about == "state":
        return space.everything if _state(situation) in test.words else space.nothing
    if test.about == "direction":
        here = "reply" if "rpl" in situation.state else "original"
        return space.everything if here in test.words else space.nothing
    if test.about == "no_syn":
        return space.nothing if situation.syn else space.services((Box((TCP, TCP), PORTS, PORTS),))
    if test.about in _FIELD:
        found = space.addresses(_FIELD[test.about], tuple(sorted(test.values))) if family != space.nothing else family
        return family & ~found if test.negated else family & found
    boxes = []
    for part in test.values:
        if test.about == "proto":
            boxes.append(Box(part, PORTS, PORTS))
        elif test.about == "dport":
            boxes.append(Box((test.proto or 0, test.proto or 0), PORTS, part))
        else:
            boxes.append(Box((test.proto or 0, test.proto or 0), part, PORTS))
    if test.negated:
        raise UnclearError("protocols or ports that are not: nothing of ours asks that")
    return space.services(tuple(boxes))


def counted(table: Table) -> list[tuple[str, str, int, int]]:
    """(chain, comment, packets, bytes) of every rule with a comment: what each rule of the policy decided on."""
    return [(name, r.comment, r.packets, r.bytes) for name, c in table.chains.items() for r in c.rules if r.comment]


def without(table: Table, rule_id: str) -> Table:
    """The table after the rules of one id are gone, as on its expiry."""
    chains = {n: replace(c, rules=[r for r in c.rules if r.comment != rule_id]) for n, c in table.chains.items()}
    return Table(table.name, chains, table.sets, table.others)


def _put(out: Outcomes, outcome: tuple[str, int], packets: Any) -> None:
    out[outcome] = out[outcome] | packets if outcome in out else packets
