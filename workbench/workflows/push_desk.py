"""What a person who pushes from a screen needs beside the commands: where plans are kept, who has signed by now, what waits."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import ExternalError, ForeignCaseError, PlanError, WorkbenchError
from workbench.workflows import push_log
from workbench.workflows.push_signers import judged

if TYPE_CHECKING:
    from workbench.push.channel import Limit
    from workbench.push.plans import Plan
    from workbench.settings import Settings
    from workbench.workflows.push_policy import Status

#: The folder of a case that plans are kept in.
FOLDER: Final = "plans"
#: What a signature is for, as a resident has it; and seconds that it may take to say what waits.
_POLICY, _APPROVAL = "dpu-policy", "dpu-approval"
_PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class Desk:
    """Targets of the settings with their tables as text, and who pushes. settings: where the file is, for who has no target."""

    targets: tuple[tuple[str, str], ...]
    principal: str
    key: str
    settings: str


def desk() -> Desk:
    """By the settings as they are now. SettingsError where a table is wrong."""
    from workbench.push.targets import known_targets
    from workbench.settings import load_settings, settings_path

    settings: Settings = load_settings()
    rows = []
    for name, one in known_targets(settings).items():
        serves = ", ".join((*one.ports, *one.prefixes)) or "every end that crosses it"
        rows.append((name, f"{one.kind} at {one.far}{f', bridge {one.bridge}' if one.bridge else ''}, serves {serves}"))
    return Desk(tuple(rows), push_log.principal(settings), settings.audit.signing_key, str(settings_path()))


def keep_plan(case: Path, plan: Plan) -> Path:
    """Write a plan to its case: `plans/TARGET-NUMBER-POLICY-DIGEST.plan`, where every command takes it.

    ForeignCaseError where `plans` is a link to elsewhere, ExternalError or MissingPathError where it can't be written.
    """
    from workbench.push.plans import write_plan

    folder = case / FOLDER
    if folder.is_symlink():
        raise ForeignCaseError(f"{folder} is a link to elsewhere", "Nothing is written through it: take it away.")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ExternalError(f"{folder} can't be made: {error.strerror}", "See who may write to the case.") from error
    bundle = plan.content()
    name = f"{bundle['target']}-{bundle['sequence']}-{bundle['policy']['name']}-{plan.digest[:8]}.plan"
    path = folder / name
    write_plan(path, plan)
    return path


def drop_plan(path: Path) -> None:
    """Take away a plan that another one was made in place of; one with a signature stays."""
    from workbench.push.plans import read_plan

    with contextlib.suppress(OSError, WorkbenchError):
        if not read_plan(path).signature:
            path.unlink()


def export_plan(plan: Plan, to: Path) -> Path:
    """A copy for somebody else to approve; into a folder under the name `workbench.plan`. MissingPathError."""
    from workbench.push.plans import write_plan

    to = to.expanduser()
    to = to / "workbench.plan" if to.is_dir() else to
    write_plan(to, plan)
    return to


def gathered(path: Path, others: tuple[Path, ...] = ()) -> Plan:
    """The plan in a file with the signatures that came to it, or to copies of it, by now.

    Signatures that do not hold for its bytes are left out. What a copy has that the file lacks, or has worse, is written to the
    file. A copy that can't be read, or is another plan, is passed over: it may be about to be written.
    MissingPathError, PlanError.
    """
    from workbench.push.plans import read_plan, write_plan

    there = read_plan(path)
    plan = _best(replace(there, signature="", approval=""), there)
    for other in others:
        try:
            said = read_plan(other)
        except WorkbenchError:
            continue
        if said.bundle == plan.bundle:
            more = _best(plan, said)
            if more != plan:
                write_plan(path, more)
                plan = more
    return plan


def _best(plan: Plan, said: Plan) -> Plan:
    """A plan with each signature of another one that holds better than its own."""
    signature = max((plan.signature, said.signature), key=lambda one: judged(plan.bundle, one, _POLICY).worth)
    approval = max((plan.approval, said.approval), key=lambda one: judged(plan.bundle, one, _APPROVAL).worth)
    return replace(
        plan,
        signature=signature if judged(plan.bundle, signature, _POLICY).worth else "",
        approval=approval if judged(plan.bundle, approval, _APPROVAL).worth else "",
    )


def stamp(paths: tuple[Path, ...]) -> tuple[int, ...]:
    """Whether any of these files is another one than before; costs a stat each."""
    found: list[int] = []
    for path in paths:
        try:
            there = path.stat()
        except OSError:
            found += (0, 0, 0)
        else:
            found += (there.st_mtime_ns, there.st_ino, there.st_size)  # two writes of one tick of the clock have one time
    return tuple(found)


def who_signed(plan: Plan) -> tuple[str, str]:
    """(signer, approver) of a plan, as their signatures under it hold: the settings' name for the key and its fingerprint.

    '' where nobody has, or a signature does not hold; a key that the settings do not know is called unverified.
    """
    return judged(plan.bundle, plan.signature, _POLICY).who, judged(plan.bundle, plan.approval, _APPROVAL).who


def same_plan(digest: str) -> Any:
    """For `push_sign`: what is signed is the plan that is on the screen. PlanError where its file has become another one.

    The second part of what comes back gathers what was found before the signature.
    """
    found: dict[str, Any] = {}

    def asked(plan: Plan, review: dict[str, Any]) -> None:
        if plan.digest != digest:
            raise PlanError(f"the file has another plan now: {plan.digest[:16]}", "Plan again.")
        found.update(review)

    return asked, found


def refuse_unsigned(plan: Plan, digest: str, author: bool) -> None:
    """PlanError where a plan of `gathered` is not the one that was just signed, or has no signature that holds."""
    if plan.digest != digest:
        raise PlanError(f"the file has another plan now: {plan.digest[:16]}", "Plan again.")
    if not (plan.signature if author else plan.approval):
        raise PlanError(
            f"the {'signature' if author else 'approval'} does not hold by the allowed signers of the settings",
            "See what they let that key sign (audit.allowed_signers), or take another key.",
        )


def same_case(path: Path, case: str) -> None:
    """PlanError where a plan's file names another case by now: nobody signs that field, and that case's log gets the lines."""
    from workbench.push.plans import read_plan

    if read_plan(path).case != case:
        raise PlanError(f"{path} names another case now", "Nothing was sent. Plan again.")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A push that waits on a target. policy, author: as its bundle says, '' where it can't be told."""

    target: str
    digest: str
    remaining: float
    policy: str = ""
    author: str = ""


def waiting(name: str) -> Waiting | None:
    """What waits on a target, whoever has pushed it. FarError, PushRefusedError, ExternalError."""
    from workbench.push import channel
    from workbench.push.resident import workbench_dpu as dpu
    from workbench.push.targets import target_of
    from workbench.settings import load_settings

    limit = channel.Limit(_PATIENCE, threading.Event())
    said = channel.ask(target_of(load_settings(), name), "status", limit, bundle="pending")
    if not said["pending"]:
        return None
    digest, text = said["pending"]["digest"], said.get("bundle") or ""
    policy = author = ""
    with contextlib.suppress(dpu.Refused):
        if dpu.digest(text.encode()) == digest:
            bundle = dpu.parse_bundle(text)
            policy, author = bundle["policy"]["name"], bundle["author"]
    return Waiting(name, digest, said["pending"]["remaining"], policy, author)


def became(status: Status, digest: str) -> tuple[str, str]:
    """(what became of a push, why): `waiting`, `confirmed`, `rolled back`, or `gone` where the target knows nothing of it."""
    said = status.said
    pending, last, kept = said["pending"], said["last"] or {}, said["confirmed"] or {}
    if pending and pending["digest"] == digest:
        return "waiting", ""
    if kept.get("digest") == digest:
        return "confirmed", ""
    if last.get("digest") == digest:
        return ("confirmed" if last.get("outcome") == "confirmed" else "rolled back"), str(last.get("why", ""))
    return "gone", ""


def status_of(name: str, limit: Limit | None = None) -> Status:
    """One target's, as `push status` has it; an error, of whatever kind, is part of it. limit: how long it may take."""
    from workbench.push.targets import target_of
    from workbench.settings import load_settings
    from workbench.workflows import push_policy

    try:
        return push_policy.status_of(target_of(load_settings(), name), limit)
    except WorkbenchError as error:
        return push_policy.Status(name, "", "unreachable", {}, error.message)
