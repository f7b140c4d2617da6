"""Members of groups follow their workloads: new ones to a DPU, under a lease, each time proven before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import ExternalError, NotAsMeantError, PlanError, PushRefusedError, UsageError, WorkbenchError
from workbench.workflows import push_log
from workbench.workflows.kernels import prepare_kernel_cache

if TYPE_CHECKING:
    from workbench.policy.loader import Loaded
    from workbench.push.rules import Stage
    from workbench.push.targets import Target
    from workbench.workflows.policy_at import AsOf

#: Seconds for which a statement may be used.
_VALID: Final = 300
#: Members that are told one by one.
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A target's members. follows: whether its rules have groups that do; until: when the lease ends, seconds since 1970.

    came, went: prefixes of members that a group has now and had not, or the other way round; some: the first of them by group,
    with a minus those that went. changed: whether the DPU got other rules by this; where not only the lease was renewed.
    contested: groups whose addresses others claim, too, which are in no group, and why that may be (forced). failing: tests of
    the policy that these members fail. error: why the target kept the members and the lease that it had; where they were sent to
    it (sent), what is wrong with what it has now, or that this is not known.
    """

    target: str
    follows: bool
    came: int = 0
    went: int = 0
    until: int | None = None
    changed: bool = False
    some: tuple[str, ...] = ()
    contested: tuple[str, ...] = ()
    forced: str = ""
    failing: tuple[str, ...] = ()
    sent: bool = False
    error: WorkbenchError | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs; the error in words."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return said | {"error": self.error.message if self.error is not None else ""}


@dataclass(frozen=True, slots=True)
class _Now:
    """Who is asked, what is written down where, and by whom."""

    moment: AsOf
    case: str
    key: str
    force: str


def reconcile(names: Sequence[str], case: Path | None, key: str, force: str = "") -> list[Reconciled]:
    """All targets, or those named, each for itself: what goes wrong with one (its `error`) keeps no other from its members.

    force: why addresses may be in no group since others claim them, too, or a way in be cut. UsageError without a case.
    """
    from workbench.push.targets import known_targets, target_of
    from workbench.settings import load_settings
    from workbench.workflows.policy_at import as_of
    from workbench.workflows.show import reading

    if case is None:
        raise UsageError("who is in the groups is not said", "Name a case: --case DIR.")
    settings = load_settings()
    targets = [target_of(settings, name) for name in names] or list(known_targets(settings).values())
    with reading(case) as reader, as_of(reader, None) as moment:
        now = _Now(moment, str(case.resolve()), key, force)
        return [_or_why_not(target, now) for target in targets]


def _or_why_not(target: Target, now: _Now) -> Reconciled:
    """What became of a target; a refusal, ours or the DPU's, is a line of the log."""
    try:
        return _one(target, now)
    except WorkbenchError as error:
        code = error.code if isinstance(error, PushRefusedError) else "not-sent"
        push_log.note(now.case, "push_refused", target=target.name, digest="", code=code, words=error.message)
        return Reconciled(target.name, True, error=error)


def _one(target: Target, now: _Now) -> Reconciled:
    prepare_kernel_cache()
    from workbench.policy.contested import contested_lines
    from workbench.policy.loader import load
    from workbench.push import channel
    from workbench.push.plans import Recorded, answering, prefixes
    from workbench.push.resident import workbench_dpu as dpu
    from workbench.workflows.push_plan import all_stages, failed_tests
    from workbench.workflows.push_policy import signed_statement

    there = channel.ask(target, "status", bundle="confirmed")
    bundle = channel.confirmed(target, there)
    if bundle is None or not any(one["lease"] for one in bundle["sets"].values()):
        return Reconciled(target.name, False)
    loaded = load([("bundle", bundle["policy"]["text"])])
    contested = tuple(contested_lines(loaded.policy, now.moment.resolver, now.moment.now))
    known = Recorded(now.moment.resolver)
    _ask_all(loaded, known)
    fresh = {name: prefixes(known.of(one["selector"])) for name, one in bundle["sets"].items()}
    sets = {name: {**one, "members": fresh[name]} for name, one in bundle["sets"].items()}
    left = [one for one in all_stages(bundle, answering(sets)) if one.until is None or there["now"] < one.until]
    _refuse_wrong(target, bundle, loaded, left, sets, now.force, contested)
    statement = {
        "kind": "workbench-dpu-members", "target": target.name, "bundle": there["confirmed"]["digest"],
        "sequence": there["members_sequence"] + 1, "expiry": int(there["now"]) + _VALID, "sets": fresh,
    }  # fmt: skip
    came, went = _moved(there["confirmed"]["members"]["sets"], fresh, _called(loaded, bundle["sets"]))
    failing = tuple(failed_tests(loaded, answering(sets), now.moment.now))
    signed = signed_statement(statement, now.key, dpu.MEMBERS)
    try:
        said = channel.ask(target, "members", **signed)
    except ExternalError as error:
        if isinstance(error, PushRefusedError) and error.code != "too-large":  # its answer may be what was too large
            raise
        words = f"what became of the members that were sent is not known: {error.message}"
        push_log.note(now.case, "push_refused", target=target.name, digest=statement["bundle"], code="no-answer", words=words)
        return Reconciled(target.name, True, sent=True, error=error)
    wrong = _wrong(target, left[0], said["text"])
    done = Reconciled(
        target.name, True, len(came), len(went), said["until"], said["changed"],
        (*came[:_MOST], *(f"-{one}" for one in went[:_MOST])), contested, now.force,
        failing, True, wrong,
    )  # fmt: skip
    try:
        push_log.note(
            now.case, "push_reconciled", target=target.name, digest=statement["bundle"], proven=wrong is None,
            sets=sorted(fresh), came=len(came), went=len(went), some=list(done.some), until=done.until,
            contested=list(contested), forced=now.force, failing=list(done.failing),
        )  # fmt: skip
    except WorkbenchError as error:  # the members are there all the same
        done = replace(done, error=wrong or error)
    return done


def _wrong(target: Target, stage: Stage, text: str) -> NotAsMeantError | None:
    """What a target that took members runs, where that is not what is meant."""
    from workbench.push import rules

    try:
        proof = rules.prove(stage.made, stage.resolved, text, target.served())
        lines = [*proof.problems, *(one.text() for one in proof.examples)][:3]
        if proof.equal:
            return None
    except Exception as error:  # whatever it is, it is no proof
        lines = [error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"]
    return NotAsMeantError(
        f"{target.name} took the members, and runs something else than was meant: {'; '.join(one[:300] for one in lines)}",
        "See `workbench push drift`, and push anew.",
    )


def _ask_all(loaded: Loaded, known: Any) -> None:
    """Ask for every selector of a policy: of rules that hold no longer, and of groups that only tests mean, too."""
    from workbench.policy.members import selector_of

    for group in loaded.policy.groups.values():
        if (selector := selector_of(group)) is not None:
            known(selector, None)


def _refuse_wrong(
    target: Target,
    bundle: Mapping[str, Any],
    loaded: Loaded,
    left: Sequence[Stage],
    sets: Mapping[str, Any],
    force: str,
    contested: Sequence[str],
) -> None:
    """What a plan would be refused for, with the new members, of the rules that hold now and of those after them.

    PolicyError where rules contradict each other, PlanError where addresses are contested or a way in would be cut (then or
    now) and nobody has said why, which are told together, or where the rules would not mean the policy.
    """
    from workbench.policy.contradictions import refuse_contradictions
    from workbench.push import followed
    from workbench.workflows.push_plan import guard

    for one in left:
        refuse_contradictions(loaded, one.resolved)
    cut, _ = guard(target, left)
    why = list(contested)
    if cut and not bundle["test_report"].get("forced"):
        why.append(f"these members would cut {'; '.join(cut)}")
    if why and not force:
        raise PlanError(
            f"{target.name}: {'; '.join(why)}",
            "Mend who claims them (`workbench workloads`), allow what is cut in the policy and push that, or say why: "
            "--force REASON.",
        )
    members = {name: one["members"] for name, one in sets.items()}
    texts = {one["until"]: one["text"] for one in bundle["rules"]}
    for one in left:
        text = texts.get(one.until)
        if text is None or not followed.proven(text, one, sets, members, target.served(), loaded.policy):
            raise PlanError(f"{target.name}: with these members the rules would not mean the policy", "Plan and push it anew.")


def _called(loaded: Loaded, sets: Mapping[str, Any]) -> dict[str, str]:
    """What people call the sets: by the groups of their selectors."""
    from workbench.policy.members import selector_of
    from workbench.push.plans import selector_text

    groups: dict[str, list[str]] = {}
    for name, group in loaded.policy.groups.items():
        if (selector := selector_of(group)) is not None:
            groups.setdefault(selector_text(selector), []).append(name)
    return {name: ", ".join(groups.get(one["selector"], [name])) for name, one in sets.items()}


def _moved(old: Mapping[str, Any], new: Mapping[str, list[str]], called: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Prefixes that came and that went, each behind its group's name: by address, however prefixes were joined."""
    from workbench.policy import addresses
    from workbench.push.plans import prefixes

    came, went = [], []
    for name in sorted(new):
        before, after = (
            addresses.of_ranges(part for text in some for part in addresses.prefix(text).ranges)
            for some in (old.get(name, []), new[name])
        )
        came += [f"{called[name]} {one}" for one in prefixes(after - before)]
        went += [f"{called[name]} {one}" for one in prefixes(before - after)]
    return sorted(came), sorted(went)
