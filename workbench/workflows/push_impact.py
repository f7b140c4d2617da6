"""What recorded traffic says of a push: which flows would meet another verdict, and how much of the traffic was seen at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.policy.impact import Change
    from workbench.policy.model import Policy
    from workbench.store.reader import CaseReader

_MOST: Final = 20


def evidence(case: CaseReader | None) -> dict[str, Any]:
    """How much of the traffic the case saw. `safe` is a word for 95% or more, without unknown drops and without sampling."""
    if case is None:
        return {"safe": False, "why": ["no case was asked: nothing says what goes on that this would stop"]}
    from workbench.workflows.policy_coverage import coverage_of

    found = coverage_of(case)
    why = found.why_not_safe()
    return {"packets": found.packets, "dropped": found.dropped, "part": round(found.share, 4), "safe": not why, "why": why}


def impact(case: CaseReader | None, old: Mapping[str, Any] | None, policy: Policy) -> dict[str, Any] | None:
    """Flows of the case whose verdict changes, with members as of the push; None without a case. old: the bundle that runs."""
    if case is None:
        return None
    from workbench.policy.history import read_history, resolver_of
    from workbench.policy.impact import compare
    from workbench.policy.judging import judge
    from workbench.policy.loader import load

    question = case.question()
    history, resolver = read_history(question), resolver_of(question)
    before = judge(history, load([("bundle", old["policy"]["text"])]).policy, resolver) if old else None
    found = compare(history, before, judge(history, policy, resolver), _MOST)
    parts = dict(zip(("denied", "allowed", "undetermined"), found.enforced.sums, strict=True))
    rows = [*found.enforced.denied, *found.enforced.allowed]
    return {
        "flows": found.flows,
        "apart": found.apart,
        **{
            name: {"flows": one.flows, "bytes": one.bytes, "live": one.live, "surviving": one.surviving}
            for name, one in parts.items()
        },
        "pairs": [_row(one) for one in rows[:_MOST]],
    }


def _row(one: Change) -> dict[str, Any]:
    return {
        "kind": one.kind, "from": one.src, "to": one.dst, "service": one.service, "flows": one.flows, "bytes": one.bytes,
        "live": one.live, "surviving": one.surviving, "rule": one.rule, "last_us": one.last,
    }  # fmt: skip
