"""Signatures under a plan: who is for it, and whether a DPU that knows certain people would take it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import PlanError, UsageError
from workbench.workflows import push_log

if TYPE_CHECKING:
    from workbench.push.plans import Plan


#: Given what `push_review.review` found; raises where whoever signs says no.
Asked = Callable[["Plan", dict[str, Any]], None]


def sign_plan(path: Path, key: str, asked: Asked | None = None) -> Plan:
    """Sign a plan as its author; an approval of before stays. UsageError without a key, PlanError, ExternalError.

    asked: is shown what the plan changes before it is signed.
    """
    from workbench.audit.heads import sign
    from workbench.push.plans import read_plan, write_plan
    from workbench.push.resident import workbench_dpu as dpu

    plan = read_plan(path)
    bundle = plan.content()
    _looked_at(plan, bundle, asked)
    signed = replace(plan, signature=sign(plan.bundle.encode(), needed_key(key), dpu.POLICY))
    write_plan(path, signed)
    push_log.note(
        plan.case,
        "push_signed",
        target=bundle["target"],
        digest=plan.digest,
        **push_log.signer(signed.signature),
        author=bundle["author"],
        break_glass=bundle["break_glass"],
    )
    return signed


def approve_plan(path: Path, key: str, asked: Asked | None = None) -> Plan:
    """Approve a plan that somebody else has signed. Whether it was somebody else is for the DPU to say, by its own signers.

    asked: as for `sign_plan`.
    """
    from workbench.audit.heads import sign
    from workbench.push.plans import read_plan, write_plan
    from workbench.push.resident import workbench_dpu as dpu

    plan = read_plan(path)
    bundle = plan.content()
    if not plan.signature:
        raise PlanError(f"{path} is not signed yet", "Its author signs first: `workbench push sign`.")
    _looked_at(plan, bundle, asked)
    approval = sign(plan.bundle.encode(), needed_key(key), dpu.APPROVAL)
    if dpu.read_signature(approval)[0] == dpu.read_signature(plan.signature)[0]:
        raise UsageError("that key has signed the plan", "Somebody else approves it, with a key of their own.")
    approved = replace(plan, approval=approval)
    write_plan(path, approved)
    push_log.note(plan.case, "push_approved", target=bundle["target"], digest=plan.digest, **push_log.signer(approval))
    return approved


def verify_plan(path: Path, signers: Path | None) -> list[tuple[str, bool, str]]:
    """(what was looked at, whether it holds, in words): signatures by these signers, and rules that are the policy's."""
    from workbench.push.plans import read_plan
    from workbench.settings import load_settings

    plan = read_plan(path)
    bundle = plan.content()
    named = signers or (Path(text).expanduser() if (text := load_settings().audit.allowed_signers) else None)
    wrong = untrue(bundle)
    found = [("rules", not wrong, wrong or "they are what the policy compiles to, and proven to mean it")]
    if named is None:
        return [*found, ("signatures", False, "nobody's can be told without allowed signers: name them with --signers")]
    return [*found, *_signatures(plan, bundle, named)]


def _signatures(plan: Plan, bundle: dict[str, Any], signers: Path) -> list[tuple[str, bool, str]]:
    from workbench.push.resident import workbench_dpu as dpu

    found: list[tuple[str, bool, str]] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            (folder / "allowed_signers").write_text(signers.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"{signers} cannot be read: {error.strerror}") from error
        data, who = plan.bundle.encode(), ("", "")
        try:
            who = dpu.verify(folder, data, plan.signature, dpu.POLICY)
            found.append(("signature", who[0] == bundle["author"], f"{who[0]} ({who[1]}); the author is {bundle['author']}"))
        except dpu.Refused as error:
            found.append(("signature", False, f"{error.code}: {error.message}"))
        if bundle["break_glass"]:
            return [*found, ("approval", True, f"none is needed: break-glass, {bundle['break_glass']}")]
        try:
            other = dpu.verify(folder, data, plan.approval, dpu.APPROVAL)
            twice = other[1] == who[1] or other[0] == who[0]
            found.append(("approval", not twice, f"{other[0]} ({other[1]})" + (", who has signed it" if twice else "")))
        except dpu.Refused as error:
            found.append(("approval", False, f"{error.code}: {error.message}"))
    return found


def untrue(bundle: dict[str, Any]) -> str:
    """What of a bundle is not what its policy compiles to here and now; '' where nothing is."""
    from workbench.settings import load_settings
    from workbench.workflows import push_plan, push_review

    return push_review.untrue(bundle, push_plan.all_stages(bundle), load_settings())


def _looked_at(plan: Plan, bundle: dict[str, Any], asked: Asked | None) -> None:
    """PlanError: no good signature gets under rules that are not the policy's, or that cut a way in unforced."""
    from workbench.settings import load_settings
    from workbench.workflows import push_plan, push_review

    made, settings = push_plan.all_stages(bundle), load_settings()
    wrong = push_review.untrue(bundle, made, settings)
    if wrong:
        raise PlanError(f"the plan's rules: {wrong}", "Plan again with this version of the workbench.")
    found = push_review.review(bundle, made, settings)
    if asked is not None:
        asked(plan, found)


def needed_key(key: str) -> str:
    """The key to sign with: the one named, or the settings'. UsageError where there is none."""
    from workbench.settings import load_settings

    found = key or load_settings().audit.signing_key
    if not found:
        raise UsageError("there is no key to sign with", "Name one with --key, or set audit.signing_key.")
    return str(Path(found).expanduser())
