"""From what two directions say to rules that judge a connection once.

An entry is one foreign rule: who, whom, which services, and accept, deny or pass. A stage is entries of which the first that
matches decides; pass, and no match, go on to the next stage; behind the last everything is accepted. Egress and ingress are
judged apart and both must accept. Here: egress comes first, in a tier of its own, where accepting means passing on to the tiers
of ingress. Inside one tier there are no stages, so where those of a direction must share one, an entry behind a pass of its stage
loses what that pass matched: products less products, cut into products.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

from workbench.policy.foreign import who
from workbench.policy.foreign.ports import Services
from workbench.policy.foreign.who import Groups, Names, Who
from workbench.policy.model import Policy

Action = Literal["accept", "deny", "pass"]

#: More rules than this come of no policies that people wrote.
MOST_RULES: Final = 20_000

#: Into so many parts passes may cut one entry: each part is said by a group of groups, and nobody would read them.
MOST_PARTS: Final = 500

_LAST_PRIORITY: Final = 65535


class TooManyError(ValueError):
    """There would be more rules than MOST_RULES, or passes cut an entry into more than MOST_PARTS."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule of a stage. name: what our rule is to be called; origin: where it comes from, for people."""

    src: Who
    dst: Who
    services: Services
    action: Action
    name: str
    origin: str


Stage = Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Made:
    """A policy, and by rule's name the lines that say where it comes from."""

    policy: Policy
    notes: dict[str, list[str]]


def policy_of(name: str, egress: Sequence[Stage], ingress: Sequence[Stage], tiers: Sequence[str] = ()) -> Made:
    """One policy of both directions. tiers: which of ours the stages of a single direction are, where each has its own.

    TooManyError where that would be too many rules.
    """
    out, into = [list(map(_meant, stages)) for stages in (egress, ingress)]
    placed: list[tuple[str, Entry, str]] = []
    if any(out) and any(into):
        placed += [("admin", entry, "pass" if entry.action == "accept" else "deny") for entry in flat(out)]
        placed += _staged(into, ("app", "baseline", "default"))
    else:
        single = out if any(out) else into
        placed += (
            _staged(single, tiers) if len(tiers) == len(single) else _staged(single, ("admin", "app", "baseline", "default"))
        )
    if len(placed) > MOST_RULES:
        raise TooManyError(f"this makes more than {MOST_RULES} rules")
    return _written(name, placed)


def _meant(stage: Stage) -> list[Entry]:
    """Entries that mean somebody and something."""
    return [e for e in stage if e.services and who.NOBODY not in (e.src, e.dst)]


def _staged(stages: Sequence[Stage], tiers: Sequence[str]) -> Iterator[tuple[str, Entry, str]]:
    """Each stage in a tier of ours; where there are too many, all in one."""
    if len(tiers) != len(stages):
        stages = [stage for stage in stages if stage]
    said = {"accept": "allow", "deny": "deny", "pass": "pass"}
    if len(stages) == 1:
        tiers = tiers if len(tiers) == 1 else ("app",)
    if len(stages) <= len(tiers):
        for tier, stage in zip(tiers, stages, strict=False):
            yield from ((tier, entry, said[entry.action]) for entry in stage)
    else:
        yield from (("app", entry, said[entry.action]) for entry in flat(stages))


def flat(stages: Iterable[Stage]) -> list[Entry]:
    """One list without pass, of which the first match decides as the stages do."""
    out: list[Entry] = []
    for stage in stages:
        passes: list[Entry] = []
        for entry in stage:
            if entry.action == "pass":
                passes.append(entry)
                continue
            pieces = [entry]
            for passed in passes:
                pieces = [rest for piece in pieces for rest in _less(piece, passed)]
                if len(pieces) > MOST_PARTS:
                    raise TooManyError(f"{entry.origin}: the passes before it cut it into more than {MOST_PARTS} rules")
            out += pieces
    return out


def _less(entry: Entry, taken: Entry) -> list[Entry]:
    """What of an entry another does not match, as entries."""
    common = entry.services & taken.services
    if not common or who.apart(entry.src, taken.src) or who.apart(entry.dst, taken.dst):
        return [entry]
    src = entry.src if who.within(entry.src, taken.src) else who.both(entry.src, taken.src)
    dst = entry.dst if who.within(entry.dst, taken.dst) else who.both(entry.dst, taken.dst)
    rest = [
        replace(entry, src=who.NOBODY if src == entry.src else who.minus(entry.src, taken.src)),
        replace(entry, src=src, dst=who.NOBODY if dst == entry.dst else who.minus(entry.dst, taken.dst)),
        replace(entry, src=src, dst=dst, services=entry.services - taken.services),
    ]
    return _meant(rest)


def _written(name: str, placed: Sequence[tuple[str, Entry, str]]) -> Made:
    """Rules, of which those behind each other may share a priority as long as they say the same."""
    groups, names = Groups(), Names("r", ("default", "unmanaged"))
    rules: list[dict[str, Any]] = []
    notes: dict[str, list[str]] = {}
    changes = sum(a[::2] != b[::2] for a, b in pairwise(placed))
    step = 10 if changes < _LAST_PRIORITY // 10 else 1
    priority, before = 0, ("", "")
    for tier, entry, action in placed:
        if before != (tier, action):
            priority = priority + step if before[0] == tier else step
            before = (tier, action)
        rule = names.give(entry.name)
        notes[rule] = [entry.origin]
        rules.append(
            {
                "name": rule, "tier": tier, "priority": priority, "action": action,
                "from": groups.words(entry.src), "to": groups.words(entry.dst), "services": entry.services.texts(),
            }
        )  # fmt: skip
    said = {
        "apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": name}, "groups": groups.made, "rules": rules,
        "defaults": {"east_west": "allow"},
    }  # fmt: skip
    return Made(Policy.model_validate(said), notes)
