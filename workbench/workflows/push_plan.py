"""Planning a push: what would run, the proof that it is what the policy means, and what changes against what runs."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import NeedsReasonError, PlanError, PushRefusedError, UsageError
from workbench.workflows import push_impact, push_log
from workbench.workflows.kernels import prepare_kernel_cache

if TYPE_CHECKING:
    from workbench.policy.addresses import AddressSet
    from workbench.policy.loader import Loaded
    from workbench.policy.members import Resolver
    from workbench.policy.model import Policy
    from workbench.policy.resolved import Resolved
    from workbench.push.plans import Plan
    from workbench.push.rules import Stage
    from workbench.push.targets import Target
    from workbench.store.reader import CaseReader

#: Seconds: how long a plan may wait to be applied, a push for its confirmation, rules with one signature.
VALID: Final = 24 * 3600
WINDOW: Final = 600
BREAK_GLASS: Final = 3600
#: How long the first push to a target lets everything pass, so that live connections become known.
ADOPT: Final = 2
_MOST_ROWS: Final = 40
#: Bytes of a request besides its bundle, at most.
_SIGNATURES: Final = 16 << 10


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be planned. break_glass: why one signature must do.

    force: why paths that must stay open may be cut, or addresses be in no group since others claim them, too.
    lease: seconds for which members of groups hold without `reconcile`; 0: they are those of the plan for good.
    text: the policy itself, of an editor; then `policy` is only what mistakes in it are told of.
    """

    policy: Path
    target: str
    case: Path | None = None
    author: str = ""
    window: int = WINDOW
    valid: int = VALID
    force: str = ""
    break_glass: str = ""
    lasting: int = BREAK_GLASS
    lease: int = 0
    text: str = ""


def make_plan(wish: Wish) -> Plan:
    """A plan, not signed yet. PolicyError, PlanError where it must not be pushed, UsageError, FarError, PushRefusedError."""
    prepare_kernel_cache()
    from workbench.policy.contested import contested_lines
    from workbench.policy.contradictions import refuse_contradictions
    from workbench.policy.loader import load
    from workbench.policy.reading import read_policy
    from workbench.policy.written import text_of
    from workbench.push import channel
    from workbench.push.plans import Plan, Recorded
    from workbench.push.resident import workbench_dpu as dpu
    from workbench.push.targets import target_of
    from workbench.settings import load_settings
    from workbench.workflows.policy_at import as_of, perhaps

    settings = load_settings()
    target = target_of(settings, wish.target)
    loaded = load([(str(wish.policy), wish.text)]) if wish.text else read_policy(wish.policy)
    there = channel.ask(target, "status", bundle="confirmed", others=True)
    _refuse_unready(target, there)
    now = int(there["now"])
    old = channel.confirmed(target, there)
    with perhaps(wish.case) as reader, as_of(reader, None) as moment:
        known = Recorded(moment.resolver)
        stages = _stages(target, loaded.policy, known, now, old)
        refuse_contradictions(loaded, stages[0].resolved)
        tested = _tested(loaded, known, moment.now)
        contested = contested_lines(loaded.policy, moment.resolver, moment.now)
        cut, unknown = guard(target, stages)
        _refuse_unreasoned(contested, cut, wish)
        shown = _shown(stages, old, reader, loaded.policy)
    shown |= {"contested": contested, "cut": cut, "unguarded": unknown}
    shown["notes"] += _telling_nobody(target, loaded.policy, there)
    if tested["failed"]:
        raise PlanError(f"the policy fails its own tests: {'; '.join(tested['failed'])}", "See `workbench policy test`.")
    sets = known.sets(wish.case.name if wish.case else "", bounds(loaded.policy), wish.lease)
    texts = rule_texts(target.kind, loaded.policy, sets, now, target.served(), stages, target.sampling)
    text = text_of(loaded.policy)
    first = stages[0].made
    bundle = {
        "version": 1,
        "kind": "workbench-dpu-bundle",
        "target": target.name,
        "dpu": there["id"],
        "dataplane": target.kind,
        "bridge": there["bridge"],
        "sequence": there["sequence"] + 1,
        "previous": there["running"],
        "expiry": now + wish.valid,
        "window": min(wish.window, there["longest_window"]),
        "author": wish.author or push_log.principal(settings),
        "policy": {"name": loaded.policy.metadata.name, "digest": dpu.digest(text.encode()), "text": text},
        "test_report": {**tested, "planned": now, "serves": prefix_texts(target.served()), "forced": wish.force}
        | {"sampling": target.sampling},
        "rules": [{"until": s.until, "text": t, "digest": dpu.digest(t.encode())} for s, t in zip(stages, texts, strict=True)],
        "adopt": first.adopt,
        "adopt_seconds": ADOPT if first.adopt else 0,
        "ids": {str(number): rule_id for number, rule_id in stages[-1].made.ids.items()},
        "sets": sets,
        "break_glass": wish.break_glass,
        "lapses": now + min(wish.lasting, there["longest_break_glass"]) if wish.break_glass else None,
    }
    text = dpu.canonical(bundle).decode()
    room = _room(text)
    skew = now - int(time.time())
    shown |= {"request": room, "most": dpu.MOST, "skew": skew}
    plan = Plan(text, shown, str(wish.case.resolve()) if wish.case else "")
    plan.content()
    push_log.note(
        plan.case, "push_planned", target=target.name, digest=plan.digest, policy=bundle["policy"]["digest"],
        previous=bundle["previous"], allowed=shown["allowed"], denied=shown["denied"], forced=wish.force,
        break_glass=wish.break_glass,
    )  # fmt: skip
    return plan


def _room(bundle: str) -> int:
    """Bytes of the request that applies a bundle. PlanError where a DPU would not take it, or could not answer with its rules."""
    from workbench.push.resident import workbench_dpu as dpu

    size = len(json.dumps(bundle)) + _SIGNATURES
    if size > dpu.MOST:
        raise PlanError(
            f"the rules make a request of {size / 1e6:.1f} MB; a DPU takes {dpu.MOST / 1e6:.1f} MB",
            "Use fewer rules, or prefixes in place of single addresses.",
        )
    return size


def _refuse_unreasoned(contested: Sequence[str], cut: Sequence[str], wish: Wish) -> None:
    """NeedsReasonError with all that somebody must say why for, and has not: one reason is for what was seen together.

    contested: groups that the rules leave addresses out of, since others claim those, too. cut: paths that must stay open.
    """
    if wish.force or not (contested or cut):
        return
    ways = []
    if contested:
        ways.append("mend who claims them (`workbench workloads`)")
    if cut:
        ways.append("allow it in the policy")
    advice = f"{' and '.join(ways)}, or say why it may be: --force REASON."
    raise NeedsReasonError(
        "; ".join([*contested, *([f"this would cut {'; '.join(cut)}"] if cut else [])]), advice[0].upper() + advice[1:]
    )


def _telling_nobody(target: Target, policy: Policy, there: Mapping[str, Any]) -> list[str]:
    """Rules with `log` that shall be told, on a switch that knows nobody to tell."""
    if not target.sampling or there.get("tells") is True or not any(rule.log for rule in policy.rules):
        return []
    return [f"{target.name}: its switch knows no collectors for rules with `log`, they tell nobody: enrol it again"]


def bounds(policy: Policy) -> list[str]:
    """Where members may come from: what is internal, or anywhere where nothing is said of that."""
    return [str(ipaddress.ip_network(text)) for text in policy.internal] or ["0.0.0.0/0", "::/0"]


def rule_texts(
    kind: str,
    policy: Policy,
    sets: Mapping[str, Any],
    planned: int,
    serves: AddressSet,
    stages: list[Stage],
    sampling: int = 0,
) -> list[str]:
    """The rules as a bundle has them: as compiled, or templates where members follow under a lease.

    PlanError where they should follow and can't.
    """
    from workbench.push import followed

    if not any(one["lease"] for one in sets.values()):
        return [stage.made.text for stage in stages]
    return followed.templates(kind, policy, sets, planned, serves, stages, sampling)


def _refuse_unready(target: Target, there: Mapping[str, Any]) -> None:
    """PushRefusedError for what the DPU would refuse anyway, before anybody signs it."""
    from workbench.push import channel

    if there["running"] is None:
        down = (there["down"] or {}).get("message", "")
        raise PushRefusedError(f"{target.name}: the dataplane does not answer: {down}", "See the switch's log there.", "down")
    if there["pending"]:
        raise PushRefusedError(f"{target.name}: a push waits for its confirmation", "Confirm it or roll it back first.", "busy")
    if there.get("occupied"):  # not there where a resident of before does not look
        raise channel.refusal(target, "occupied", there["occupied"])
    if there.get("owner"):
        raise channel.refusal(target, "owned", f"{there['bridge']} is run by another ({there['owner']}), which can end our flows")


def _stages(target: Target, policy: Policy, resolver: Resolver, now: int, old: Mapping[str, Any] | None) -> list[Stage]:
    """The rules, proven. PlanError with the packets that show where they are not."""
    from workbench.push import rules

    before = {int(number): rule_id for number, rule_id in old["ids"].items()} if old else None
    found = rules.stages(target.kind, policy, resolver, now, target.served(), before, sampling=target.sampling)
    for stage in found:
        if not stage.proof.equal:
            wrong = [*stage.proof.problems, *(one.text() for one in stage.proof.examples)][:3]
            raise PlanError(f"the rules are not what the policy means: {'; '.join(wrong)}", "This is a fault of ours: report it.")
    return found


def _tested(loaded: Loaded, resolver: Resolver, now: datetime) -> dict[str, Any]:
    return {"tests": len(loaded.policy.tests), "failed": failed_tests(loaded, resolver, now)}


def failed_tests(loaded: Loaded, resolver: Resolver, now: datetime) -> list[str]:
    """The policy's own tests that fail with these members, each with what it gets instead."""
    from workbench.policy.expected import check

    outcomes = check(loaded, resolver, now)
    return [f"{one.test.name}: {one.verdict or 'nothing'} instead of {one.test.expect}" for one in outcomes if not one.passed]


def _shown(stages: list[Stage], old: Mapping[str, Any] | None, case: CaseReader | None, policy: Policy) -> dict[str, Any]:
    """What a person reads before signing."""
    report = stages[0].made.report
    return {
        **changes(resolved_of(old) if old else None, stages[0].resolved),
        "against": old["policy"]["name"] if old else "nothing of ours",
        "lines": report.lines,
        "size": report.size,
        "notes": [f"{note.rule_id}: {note.text}" for note in report.notes],
        "proven": f"{sum(stage.proof.outcomes for stage in stages)} outcomes",
        "stages": [stage.until for stage in stages],
        "evidence": push_impact.evidence(case),
        "impact": push_impact.impact(case, old, policy),
    }


def guard(target: Target, stages: Sequence[Stage]) -> tuple[list[str], list[str]]:
    """Paths that must stay open and would be cut by any of these rules, and what could not be found out."""
    from workbench.push import lockout

    paths, unknown = lockout.guarded(target)
    return sorted({path for stage in stages for path in lockout.cut(target, stage.resolved, paths)}), unknown


def changes(running: Resolved | None, new: Resolved) -> dict[str, Any]:
    """What is newly allowed and denied against what runs; against everything passing where nothing of ours does."""
    from workbench.policy import symbolic
    from workbench.policy.addresses import address_text
    from workbench.policy.wording import services_text

    change = symbolic.difference(running or _everything(new), new, _MOST_ROWS)
    rows = [
        {"change": word, "from": part.src.texts()[:8], "to": part.dst.texts()[:8], "service": services_text(part.services)}
        for word, found in (("allowed", change.allowed), ("denied", change.denied))
        for part in found.rows
    ]
    examples = {
        word: f"{address_text(one.src)} -> {address_text(one.dst)} proto {one.proto} port {one.dport}"
        for word, one in (("allowed", change.allowed.example), ("denied", change.denied.example))
        if one is not None
    }
    return {
        "allowed": str(change.allowed.packets),
        "denied": str(change.denied.packets),
        "changes": rows,
        "examples": examples,
    }


def _everything(new: Resolved) -> Resolved:
    """What holds where nothing of ours runs: everything passes."""
    from dataclasses import replace

    return replace(new, name="nothing", rules=(), default="allow")


def resolved_of(bundle: Mapping[str, Any]) -> Resolved:
    """The policy of a bundle with the members that it was signed with, as of now."""
    return current_stage(bundle, int(time.time())).resolved


def current_stage(bundle: Mapping[str, Any], now: int, resolver: Resolver | None = None) -> Stage:
    """The rules of a bundle that hold at a time, made anew from its policy: what runs is proven against these."""
    return next(stage for stage in all_stages(bundle, resolver) if stage.until is None or now < stage.until)


def all_stages(bundle: Mapping[str, Any], resolver: Resolver | None = None) -> list[Stage]:
    """All rules of a bundle, made anew from its policy and the members that it was signed with, or those of a resolver.

    PlanError where it does not say as of when.
    """
    prepare_kernel_cache()
    from workbench.policy import addresses
    from workbench.policy.loader import load
    from workbench.push import rules
    from workbench.push.plans import answering

    policy = load([("bundle", bundle["policy"]["text"])]).policy
    report = bundle["test_report"]
    try:
        serves = addresses.of_ranges(part for text in report["serves"] for part in addresses.prefix(text).ranges)
        planned = int(report["planned"])
        before = {int(number): rule_id for number, rule_id in bundle["ids"].items()}
        sampling = int(report.get("sampling", 0))  # plans of before have none
    except (KeyError, TypeError, ValueError) as error:
        raise PlanError("the plan does not say as of when it was made", "Plan again.") from error
    return rules.stages(
        bundle["dataplane"], policy, resolver or answering(bundle["sets"]), planned, serves, before, sampling=sampling
    )


def prefix_texts(found: AddressSet) -> list[str]:
    """As a bundle has them."""
    from workbench.push.plans import prefixes

    return prefixes(found)


def parse_seconds(text: str, what: str) -> int:
    """`120s`, `10m`, `2h`; UsageError."""
    from workbench.policy.model import until

    start = datetime(2000, 1, 1, tzinfo=UTC)
    try:
        seconds = int((until(text, start) - start).total_seconds())
        if seconds <= 0 or not text[-1:].isalpha() or "T" in text:
            raise ValueError
    except ValueError:
        raise UsageError(f"{what}: {text!r} is no length of time", "Write such as 120s, 10m or 2h.") from None
    return seconds
