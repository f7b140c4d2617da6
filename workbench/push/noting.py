"""What a person should know of a policy's rules before any target has them."""

from __future__ import annotations

from collections.abc import Iterator

from workbench.policy.resolved import Meant, Resolved
from workbench.push.compiled import Note
from workbench.push.regions import cuts, region

_FAMILIES = ((32, "IPv4"), (128, "IPv6"))


def notes_of(resolved: Resolved) -> Iterator[Note]:
    """Families that a rule does not reach, rules that end, and what is cut."""
    for meant in resolved.rules:
        yield from _empty(meant)
        if meant.rule.expires is not None:
            yield Note(
                "expires", meant.rule_id, f"ends {meant.rule.expires} after it is applied, or at that time: the DPU sees to it"
            )
        if cuts(meant):
            yield Note(
                "cut", meant.rule_id, "live connections that it decides on are dropped in both directions until they are idle"
            )
    if not resolved.internal:
        yield Note("family", f"{resolved.name}/default", "nobody is internal: the default holds nowhere")


def _empty(meant: Meant) -> Iterator[Note]:
    missing = [name for wide, name in _FAMILIES if region(meant.src, meant.dst, meant.boxes, wide) is None]
    if len(missing) == 2:
        yield Note("family", meant.rule_id, "matches nobody: it becomes no rule of the target")
    elif missing:
        yield Note("family", meant.rule_id, f"matches nobody of {missing[0]}, which falls to the rules after it and the default")
