"""What a person who pushes from a screen needs beside the commands: where plans are kept, who has signed by now, what waits."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import ExternalError, ForeignCaseError, PlanError, WorkbenchError
from workbench.workflows import push_log

if TYPE_CHECKING:
    from workbench.push.plans import Plan
    from workbench.settings import Settings
    from workbench.workflows.push_policy import Status

#: The folder of a case that plans are kept in.
FOLDER: Final = "plans"


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
    """The plan in a file with the signatures that came to it, or to copies of it, by now. PlanError where it is another one.

    What a copy has that the file lacks is written to the file. A copy that can't be read, or is another plan, is passed over:
    it may be about to be written.
    """
    from workbench.push.plans import read_plan, write_plan

    plan = read_plan(path)
    for other in others:
        try:
            said = read_plan(other)
        except WorkbenchError:
            continue
        if said.bundle == plan.bundle:
            more = replace(plan, signature=plan.signature or said.signature, approval=plan.approval or said.approval)
            if more != plan:
                write_plan(path, more)
                plan = more
    return plan


def stamp(paths: tuple[Path, ...]) -> tuple[int, ...]:
    """Whether any of these files is another one than before; costs a stat each."""
    found = []
    for path in paths:
        try:
            found.append(path.stat().st_mtime_ns)
        except OSError:
            found.append(0)
    return tuple(found)


def who_signed(plan: Plan) -> tuple[str, str]:
    """(signer, approver) of a plan: the settings' name for the key, else its fingerprint; '' where nobody has."""
    return _signer(plan.signature), _signer(plan.approval)


def _signer(signature: str) -> str:
    from workbench.push.resident import workbench_dpu as dpu

    if not signature:
        return ""
    try:
        found = push_log.signer(signature)
    except dpu.Refused as error:
        raise PlanError(f"a signature under the plan: {error.message}", "Sign it again.") from error
    return f"{found['who']} ({found['key']})" if found["who"] else found["key"]


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """A push that waits on a target. policy, signer: as its bundle says, '' where it can't be told."""

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

    said = channel.ask(target_of(load_settings(), name), "status", bundle="pending")
    if not said["pending"]:
        return None
    policy = author = ""
    with contextlib.suppress(dpu.Refused):
        bundle = dpu.parse_bundle(said["bundle"]) if said.get("bundle") else None
        policy, author = (bundle["policy"]["name"], bundle["author"]) if bundle else ("", "")
    return Waiting(name, said["pending"]["digest"], said["pending"]["remaining"], policy, author)


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


def status_of(name: str) -> Status:
    """One target's, as `push status` has it; an error, of whatever kind, is part of it."""
    from workbench.workflows.push_policy import Status, status

    try:
        return status([name])[0]
    except WorkbenchError as error:
        return Status(name, "", "unreachable", {}, error.message)
