"""Rules that contradict each other, that decide nothing, that have ended, or that let everything through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from workbench.policy import addresses, examples, idle, services
from workbench.policy.contradictions import MOST, contradictions
from workbench.policy.lint_guards import is_guard
from workbench.policy.linted import Finding, Linted
from workbench.policy.model import Rule, lasts, until
from workbench.policy.resolved import Meant
from workbench.policy.services import Box
from workbench.policy.wording import packet_text

#: How long before its end a rule is said to end soon.
SOON: Final = timedelta(days=1)

_IDLE: Final = {
    "redundant": "it decides nothing: what it says is said already by ",
    "shadowed": "no packet reaches it, and it says otherwise than the rules before it: ",
}


def contradictory(view: Linted) -> Iterator[Finding]:
    """Which of two verdicts holds may not be a matter of chance."""
    found = contradictions(view.resolved)
    for n, (one, other) in enumerate(found, 1):
        more = f"; there may be more, only {MOST} are told" if n == MOST else ""
        yield view.at_rule(
            other.rule.name, "error", "contradiction",
            f"{other.rule.action}, where `{one.rule.name}` says {one.rule.action} at the same tier and priority, such as of"
            f" {_shared(view, one, other)}: give one of them another priority{more}",
        )  # fmt: skip


def without_effect(view: Linted) -> Iterator[Finding]:
    """Rules without which the policy says the same, whoever has which label; and those between whose ends no packet goes.

    One that is only needless may cut sessions or log, a guard may be there to be seen, and a default may be written out: those
    are left alone.
    """
    rules = {meant.rule_id: meant.rule for meant in view.together.rules}
    default = f"{view.policy.metadata.name}/default"
    for found in idle.without_effect(view.together):
        rule = rules[found.rule_id]
        if found.kind == "empty":
            yield from _empty(view, rule)
        elif found.kind != "needless":
            yield view.at_rule(rule.name, "warning", found.kind, _IDLE[found.kind] + _named(found.covered_by))
        elif rule.existing == "keep" and not rule.log and not is_guard(rule) and found.covered_by != (default,):
            said = f"without it the policy says the same: {_named(found.covered_by)} would decide alike"
            yield view.at_rule(rule.name, "note", "needless", said)


def _named(rule_ids: Iterable[str]) -> str:
    """Rules by their names; `default` and `unmanaged` are what happens where none matches."""
    return ", ".join(f"`{rule_id.rpartition('/')[2]}`" for rule_id in rule_ids)


def _empty(view: Linted, rule: Rule) -> Iterator[Finding]:
    for key, words in (("from", rule.from_), ("to", rule.to)):
        if view.never_anybody(words):
            yield view.at_rule(rule.name, "warning", "empty", f"`{', '.join(words)}` can mean nobody", key)
            return
    if not view.selecting.intersection((*rule.from_, *rule.to)):
        said = "no packet goes between its ends: they have no address family in common"
        yield view.at_rule(rule.name, "warning", "empty", said)


def ended(view: Linted) -> Iterator[Finding]:
    """Rules that have ended, or will within a day."""
    for rule in view.policy.rules:
        if rule.expires is None or lasts(rule.expires):
            continue
        end = until(rule.expires, view.at)
        if end <= view.at:
            yield view.at_rule(rule.name, "warning", "expired", f"it ended at {rule.expires}: it is not in force", "expires")
        elif end - view.at <= SOON:
            yield view.at_rule(rule.name, "note", "expires-soon", f"it ends at {rule.expires}, within a day", "expires")


def wide(view: Linted) -> Iterator[Finding]:
    """Rules that let everything through from anybody to anybody, or between everybody inside."""
    for meant in view.resolved.rules:
        if meant.rule.action != "allow" or services.ANY not in meant.boxes:
            continue
        if meant.src == addresses.ANY and meant.dst == addresses.ANY:
            yield view.at_rule(
                meant.rule.name, "warning", "allow-any", "it lets everything through, from anybody to anybody", "from"
            )
        elif not view.members.internal - meant.src and not view.members.internal - meant.dst:
            said = "it lets everything through between internal ends"
            default = view.policy.defaults.east_west
            also = f": the default, {default}, never holds there" if default != "allow" else ""
            yield view.at_rule(meant.rule.name, "warning", "allow-any", said + also, "from")


def _shared(view: Linted, one: Meant, other: Meant) -> str:
    """A packet that both rules match."""
    src, dst = one.src & other.src, one.dst & other.dst
    for mine in one.boxes:
        for theirs in other.boxes:
            box = Box(*((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(mine, theirs, strict=True)))
            if all(first <= last for first, last in box) and (packet := examples.of_sets(src, dst, (box,))):
                return packet_text(packet, view.called)
    raise AssertionError("rules that contradict each other share a packet")
