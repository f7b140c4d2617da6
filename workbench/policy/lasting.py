"""What a verdict leaves unsaid: whether live sessions are cut, and until when it holds. Policies that agree now may part later.

Both are compared exactly, as verdicts are: sessions by telling stops that cut from stops that keep, time by looking again after
every end of a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from workbench.policy import symbolic
from workbench.policy.model import until
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.rows import Rows

#: Kinds of change between policies that stop the same packets, and what they are.
SESSIONS: Final = {
    "cut": "stopped by both, and sessions that are open are cut now that were kept",
    "kept": "stopped by both, and sessions that are open are kept now that were cut",
}
#: Different ends of rules that are looked behind at most: each is a comparison of its own.
MOST_ENDS: Final = 200


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule that is the same but for a key, or that one side lacks. old, new: the key's value; None: no such rule."""

    key: str
    meant: Meant
    old: str | None
    new: str | None

    @property
    def words(self) -> str:
        """`site/web: expires never -> 2h`."""
        return f"{self.meant.rule_id}: {self.key} {self.old or 'no such rule'} -> {self.new or 'no such rule'}"


def sessions(old: Resolved, new: Resolved, most: int = 1000) -> Iterator[tuple[str, Rows]]:
    """Every kind of SESSIONS with its rows; none at all where no rule of either cuts."""
    if not any(meant.rule.existing == "cut" for one in (old, new) for meant in one.rules):
        return
    found = symbolic.difference(_by_session(old), _by_session(new), most)
    yield "cut", found.rejected
    yield "kept", found.silenced


def _by_session(resolved: Resolved) -> Resolved:
    """The same, where to reject is to stop and cut, to deny is to stop and keep."""
    rules = tuple(
        meant
        if meant.rule.action not in symbolic.BLOCKED
        else replace(meant, rule=meant.rule.model_copy(update={"action": "reject" if meant.rule.existing == "cut" else "deny"}))
        for meant in resolved.rules
    )
    return replace(resolved, rules=rules, default="deny" if resolved.default in symbolic.BLOCKED else resolved.default)


def ends(at: datetime, *policies: Resolved) -> list[datetime]:
    """When rules in force end, each time once, in order; those of a length of time are applied at `at`."""
    found = (_end(meant, at) for one in policies for meant in one.rules)
    return sorted({end for end in found if end is not None and end > at})


def after(resolved: Resolved, at: datetime, end: datetime) -> Resolved:
    """A policy of `at` as it is once everything is over that ends until `end`; members stay who they are."""
    return replace(resolved, rules=tuple(m for m in resolved.rules if (over := _end(m, at)) is None or over > end))


def _end(meant: Meant, at: datetime) -> datetime | None:
    if meant.rule.expires is None:
        return None
    try:
        return until(meant.rule.expires, at)
    except OverflowError:  # beyond any calendar: never
        return None


def rule_changes(old: Resolved, new: Resolved) -> list[RuleChange]:
    """Rules that differ in `existing`, `expires` or `log`; those of one side only are told where they end."""
    named = {meant.rule.name: meant for meant in old.rules}
    alike = {meant.key(): meant for meant in old.rules}
    out: list[RuleChange] = []
    seen: set[str] = set()
    for meant in new.rules:
        before = named.get(meant.rule.name) or alike.get(meant.key())
        if before is None:
            if meant.rule.expires is not None:
                out.append(RuleChange("expires", meant, None, meant.rule.expires))
            continue
        seen.add(before.rule.name)
        pairs = [(key, text(before), text(meant)) for key, text in _KEYS.items()]
        out += [RuleChange(key, meant, one, other) for key, one, other in pairs if one != other]
    gone = (meant for meant in old.rules if meant.rule.name not in seen and meant.rule.expires is not None)
    return out + [RuleChange("expires", meant, meant.rule.expires, None) for meant in gone]


_KEYS: Final[dict[str, Callable[[Meant], str]]] = {
    "existing": lambda meant: meant.rule.existing,
    "expires": lambda meant: meant.rule.expires or "never",
    "log": lambda meant: "true" if meant.rule.log else "false",
}
