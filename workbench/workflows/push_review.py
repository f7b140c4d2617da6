"""What a signature is put under, told again from the bundle: what a plan says beside it nobody has signed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import PlanError, UsageError, WorkbenchError
from workbench.workflows import push_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workbench.push.rules import Stage
    from workbench.push.targets import Target
    from workbench.settings import Settings

#: Seconds that a DPU's clock may be off without a word.
_SKEWED: Final = 60
_RULES: Final = "they are not what the policy compiles to here"


def untrue(bundle: Mapping[str, Any], made: Sequence[Stage], settings: Settings) -> str:
    """What of a bundle is not what its policy, or the target's table in these settings, makes of it; '' where nothing is."""
    from workbench.policy import addresses
    from workbench.policy.loader import load

    report, sets = bundle["test_report"], bundle["sets"]
    serves = addresses.of_ranges(part for text in report["serves"] for part in addresses.prefix(text).ranges)
    policy = load([("bundle", bundle["policy"]["text"])]).policy
    try:
        texts = push_plan.rule_texts(
            bundle["dataplane"], policy, sets, report["planned"], serves, list(made), report.get("sampling", 0)
        )
    except PlanError as error:
        return error.message
    if [(one.until, text) for one, text in zip(made, texts, strict=True)] != [(x["until"], x["text"]) for x in bundle["rules"]]:
        return _RULES
    if not all(one.proof.equal for one in made):
        return "they do not mean what the policy says"
    first, last = made[0].made, made[-1].made
    wanted = {
        "adopt": first.adopt,
        "adopt_seconds": push_plan.ADOPT if first.adopt else 0,
        "ids": {str(number): rule_id for number, rule_id in last.ids.items()},
    }
    wrong = [name for name, value in wanted.items() if bundle[name] != value]
    bounds = push_plan.bounds(policy)
    wrong += [f"bound of {name}" for name, one in sets.items() if one["bound"] != bounds]
    wrong += ["name"] if bundle["policy"]["name"] != policy.metadata.name else []
    wrong += ["lapses"] if bool(bundle["break_glass"]) != (bundle["lapses"] is not None) else []
    wrong += ["lease"] if len({one["lease"] for one in sets.values()}) > 1 else []
    target = _known(bundle, settings)
    if target is not None:
        wrong += ["serves"] if report["serves"] != push_plan.prefix_texts(target.served()) else []
        wrong += ["sampling"] if report.get("sampling", 0) != target.sampling else []
        wrong += ["dataplane"] if bundle["dataplane"] != target.kind else []
    return f"{', '.join(wrong)}: not what its policy and the settings make of it" if wrong else ""


def review(bundle: Mapping[str, Any], made: Sequence[Stage], settings: Settings) -> dict[str, Any]:
    """What changes, and what a person should know before. PlanError where paths would be cut and nobody says why."""
    report = bundle["test_report"]
    target = _known(bundle, settings)
    doubts: list[str] = []
    cut: list[str] = []
    if target is None:
        doubts.append(f"the settings have no [targets.{bundle['target']}]: nobody looked at whom it serves and what it would cut")
    else:
        cut, doubts = push_plan.guard(target, made)
    forced = str(report.get("forced") or "")
    if cut and not forced:
        raise PlanError(f"this would cut {'; '.join(cut)}", "Allow it in the policy, or say why it may be: --force REASON.")
    old, said = _running(bundle, target)
    return {
        **push_plan.changes(push_plan.resolved_of(old) if old else None, made[0].resolved),
        "against": old["policy"]["name"] if old else "nothing of ours",
        "cut": cut,
        "forced": forced,
        "doubts": [*doubts, *said],
        "members": {one["selector"]: len(one["members"]) for one in bundle["sets"].values()},
        "lease": max((one["lease"] for one in bundle["sets"].values()), default=0),
        "lapses": _in_words(bundle["lapses"]),
        "expiry": _in_words(bundle["expiry"]),
    }


def _known(bundle: Mapping[str, Any], settings: Settings) -> Target | None:
    """The target as these settings know it; None where whoever signs has no table of it."""
    from workbench.push.targets import target_of

    try:
        return target_of(settings, bundle["target"])
    except UsageError:
        return None


def _running(bundle: Mapping[str, Any], target: Target | None) -> tuple[Mapping[str, Any] | None, list[str]]:
    """The bundle that the DPU has confirmed, and doubts where it can't be asked or something else runs there."""
    from workbench.push import channel

    if target is None:
        return None, ["what changes is told against everything passing: the DPU can't be asked from here"]
    try:
        there = channel.ask(target, "status", bundle="confirmed")
        old = channel.confirmed(target, there)
        if old is not None:
            push_plan.resolved_of(old)
    except WorkbenchError as error:
        return None, [f"what changes is told against everything passing: {error.message}"]
    doubts = []
    if there["running"] != bundle["previous"]:
        doubts.append("something else runs there than when it was planned: it will be refused")
    if abs(skew := int(there["now"] - time.time())) > _SKEWED:
        doubts.append(f"its clock is {skew:+,} s off this machine's: what ends by time ends by its clock")
    return old, doubts


def _in_words(moment: int | None) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment)) if moment is not None else ""
