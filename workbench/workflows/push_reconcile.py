"""Members of groups follow their workloads: new ones to a DPU, under a lease, each time proven before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import PlanError, UsageError
from workbench.workflows import push_log
from workbench.workflows.kernels import prepare_kernel_cache

if TYPE_CHECKING:
    from workbench.policy.members import Resolver
    from workbench.push.rules import Stage
    from workbench.push.targets import Target

#: Seconds for which a statement may be used.
_VALID: Final = 300


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A target's members. follows: whether its rules have groups that do; until: when the lease ends, seconds since 1970."""

    target: str
    follows: bool
    came: int = 0
    went: int = 0
    until: int | None = None


def reconcile(names: Sequence[str], case: Path | None, key: str) -> list[Reconciled]:
    """All targets, or those named. UsageError without a case, PlanError where rules would not mean the policy any more."""
    from workbench.push.targets import known_targets, target_of
    from workbench.settings import load_settings
    from workbench.workflows.policy_at import as_of
    from workbench.workflows.show import reading

    if case is None:
        raise UsageError("who is in the groups is not said", "Name a case: --case DIR.")
    settings = load_settings()
    targets = [target_of(settings, name) for name in names] or list(known_targets(settings).values())
    with reading(case) as reader, as_of(reader, None) as moment:
        return [_one(target, moment.resolver, str(case.resolve()), key) for target in targets]


def _one(target: Target, resolver: Resolver, case: str, key: str) -> Reconciled:
    prepare_kernel_cache()
    from workbench.policy.loader import load
    from workbench.push import channel, followed, rules
    from workbench.push.plans import Recorded, answering, prefixes
    from workbench.push.resident import workbench_dpu as dpu
    from workbench.workflows.push_plan import current_stage
    from workbench.workflows.push_policy import signed_statement

    there = channel.ask(target, "status", bundle="confirmed")
    bundle = dpu.parse_bundle(there["bundle"]) if there.get("bundle") else None
    if bundle is None or not any(one["lease"] for one in bundle["sets"].values()):
        return Reconciled(target.name, False)
    known = Recorded(resolver)
    current_stage(bundle, 0, known)  # asks for every selector
    fresh = {name: prefixes(known.answers[one["selector"]]) for name, one in bundle["sets"].items()}
    now = dict(bundle["sets"])
    now = {name: {**one, "members": fresh[name]} for name, one in now.items()}
    stage = current_stage(bundle, int(there["now"]), answering(now))
    policy = load([("bundle", bundle["policy"]["text"])]).policy
    text = next(one["text"] for one in bundle["rules"] if one["until"] is None or there["now"] < one["until"])
    if not followed.proven(text, stage, now, fresh, target.served(), policy):
        raise PlanError(f"{target.name}: with these members the rules would not mean the policy", "Plan and push it anew.")
    _refuse_cut(target, bundle, stage)
    statement = {
        "kind": "workbench-dpu-members", "target": target.name, "bundle": there["confirmed"]["digest"],
        "sequence": there["members_sequence"] + 1, "expiry": int(there["now"]) + _VALID, "sets": fresh,
    }  # fmt: skip
    said = channel.ask(target, "members", **signed_statement(statement, key, dpu.MEMBERS))
    if not rules.prove(stage.made, stage.resolved, said["text"], target.served()).equal:
        raise PlanError(f"{target.name} runs something else than was meant", "See `workbench push drift`, and push anew.")
    came, went = _moved(there["confirmed"]["members"]["sets"], fresh)
    some = [*sorted(came)[:20], *(f"-{one}" for one in sorted(went)[:20])]
    detail = {"sets": sorted(fresh), "came": len(came), "went": len(went), "some": some}
    push_log.note(case, "push_reconciled", target=target.name, digest=statement["bundle"], **detail)
    return Reconciled(target.name, True, len(came), len(went), said["until"])


def _refuse_cut(target: Target, bundle: Mapping[str, Any], stage: Stage) -> None:
    """PlanError: a new member must not close the way in either, unless that was forced when the rules were planned."""
    from workbench.workflows.push_plan import guard

    cut, _ = guard(target, [stage])
    if cut and not bundle["test_report"].get("forced"):
        raise PlanError(f"{target.name}: these members would cut {'; '.join(cut)}", "Allow it in the policy, and push that.")


def _moved(old: Mapping[str, Any], new: Mapping[str, list[str]]) -> tuple[set[str], set[str]]:
    before = {f"{name} {one}" for name, members in old.items() for one in members}
    after = {f"{name} {one}" for name, members in new.items() for one in members}
    return after - before, before - after
