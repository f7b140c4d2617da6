"""Pushing: apply a signed plan, prove what then runs, confirm it or put back what was there; status and drift of targets."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import ExternalError, FarError, NotAsMeantError, PlanError, PushRefusedError, UsageError, WorkbenchError
from workbench.workflows import push_log
from workbench.workflows.kernels import prepare_kernel_cache

if TYPE_CHECKING:
    from workbench.push.channel import Limit
    from workbench.push.probes import Probe, Probed
    from workbench.push.targets import Target


#: Letters of a line of what is wrong that are told: a DPU may answer what it likes, and the end of the message matters too.
_LINE: Final = 300
#: Pushes that were found to be something else than was meant, by the folder that should know it: its disk may be full.
_WRONG: Final[set[tuple[Path, str]]] = set()


@dataclass(frozen=True, slots=True)
class Applied:
    """Rules that run and wait. proven: in how many outcomes what was read back is what the policy means.

    ends: when they are rolled back unless confirmed, by `time.monotonic()`: what the DPU said was left as its answer came.
    """

    target: str
    digest: str
    ends: float
    proven: int
    probed: tuple[Probed, ...] = ()

    @property
    def remaining(self) -> float:
        """Seconds that are left now."""
        return max(0.0, self.ends - time.monotonic())


def apply_plan(path: Path, window: int, probes: Sequence[Probe] = (), digest: str = "") -> Applied:
    """Send a plan, read back, prove. Whatever is not equal is rolled back at once.

    digest: of the plan that is meant; nothing is sent where the file holds another. PlanError, NotAsMeantError,
    PushRefusedError, FarError.
    """
    prepare_kernel_cache()
    from workbench.push import channel
    from workbench.push.plans import read_plan

    plan = read_plan(path)
    if digest and plan.digest != digest:
        raise PlanError(f"{path} is not the plan {digest[:64]}: it is {plan.digest}", "Nothing was sent. Look at it again.")
    bundle = plan.content()
    target = _target(bundle["target"])
    if not plan.signature:
        raise PlanError(f"{path} is not signed", "Run `workbench push sign` first.")
    given = {
        "bundle": plan.bundle,
        "signature": plan.signature,
        "approval": plan.approval,
        "window": min(window, bundle["window"]),
    }
    with _told(plan.case, target.name, plan.digest):
        said = channel.ask(target, "apply", **given)
    ends = time.monotonic() + said["remaining"]  # proving and probing are of the window, too
    outcomes, wrong = _proved(target, bundle, said["text"])
    note = partial(push_log.note, plan.case, "push_applied", target=target.name, digest=plan.digest, window=given["window"])
    if wrong:
        what = f"{target.name} runs something else than was meant: {wrong}"
        raise _undone(target, plan.digest, plan.case, what, "read back, not what was meant", partial(note, proven=False))
    _remember(target.name, plan.case, plan.digest)
    note(proven=True)
    probed, wrong = _probed(probes)
    if wrong:
        raise _undone(target, plan.digest, plan.case, f"a probe failed: {wrong}", f"probe: {wrong}")
    return Applied(target.name, plan.digest, ends, outcomes, probed)


def _proved(target: Target, bundle: Mapping[str, Any], text: str) -> tuple[int, str]:
    """In how many outcomes what was read back is what a bundle means, and in words where it is not; '' where it is."""
    from workbench.push import rules
    from workbench.workflows.push_plan import current_stage

    try:
        stage = current_stage(bundle, int(time.time()))
        proof = rules.prove(stage.made, stage.resolved, text, target.served())
    except Exception as error:  # whatever it is, it is no proof, and what runs must not stay
        return 0, _brief(error)
    if proof.equal:
        return proof.outcomes, ""
    lines = [*proof.problems, *(one.text() for one in proof.examples)][:3]
    return 0, "; ".join(line[:_LINE] for line in lines) or "it is not proven"


def _probed(wanted: Sequence[Probe]) -> tuple[tuple[Probed, ...], str]:
    """What came of the probes, up to the first that shows something else than was meant, and what that is; '' where none does."""
    from workbench.push import probes

    found = []
    for one in wanted:
        try:
            found.append(probes.carry_out(one))
        except Exception as error:  # the same: what could not be tried is not shown to work
            return tuple(found), f"{one}: the host could not be asked ({_brief(error)})"
        if found[-1].good is False:
            return tuple(found), f"{found[-1].what} should be {'allowed' if one.allowed else 'denied'}: {found[-1].found}"
    return tuple(found), ""


def _undone(
    target: Target, digest: str, case: str, what: str, why: str, note: Callable[[], None] = lambda: None
) -> NotAsMeantError:
    """Roll back what is not as meant, then write down what came of it; the error that says both, and what could not be done.

    what: is wrong, for people; why: for the log. note: what is to be written down before.
    """
    from workbench.push import channel

    _WRONG.add((push_log.folder(), digest))
    failure: Exception | None = None
    try:
        channel.ask(target, "rollback", digest=digest)
    except Exception as error:  # told below, behind what was found
        failure = error
    unwritten = ""
    try:
        _remember(target.name, case, digest)
        (push_log.folder() / f"{target.name}.wrong").write_text(digest)
        note()
        if failure is None:
            push_log.note(case, "push_rolled_back", target=target.name, digest=digest, why=why)
        else:
            code = failure.code if isinstance(failure, PushRefusedError) else "not-rolled-back"
            words = f"{why}; rollback: {_brief(failure)}"
            push_log.note(case, "push_refused", target=target.name, digest=digest, code=code, words=words)
    except Exception as error:  # a full disk must not hide what runs there
        unwritten = f"; the log does not have it all: {_brief(error)}"
    if failure is None:
        return NotAsMeantError(f"{what}; it was rolled back{unwritten}", "Nothing of it runs. Plan again.", digest)
    return NotAsMeantError(
        f"{what}; the rollback could not be asked, or was refused: {_brief(failure)}{unwritten}",
        f"Don't confirm it: the DPU rolls it back when the window ends. See `workbench push status {target.name}`.",
        digest,
    )


def _brief(error: Exception) -> str:
    return (error.message if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}")[:_LINE]


def _refuse_wrong(target: Target, digest: str) -> None:
    """NotAsMeantError for a push that was found here to be something else than was meant."""
    wrong = (push_log.folder(), digest) in _WRONG
    with contextlib.suppress(OSError, ValueError):
        wrong = wrong or (push_log.folder() / f"{target.name}.wrong").read_text().strip() == digest
    if wrong:
        raise NotAsMeantError(
            f"{digest[:16]} on {target.name} was found to be something else than was meant: it is not confirmed from here",
            f"Roll it back: workbench push rollback {target.name} --digest {digest[:16]}",
            digest,
        )


def confirm(name: str, key: str, digest: str = "") -> str:
    """Keep a push that waits: the one of that digest, or the one that was applied from here; its digest.

    UsageError where neither is known, NotAsMeantError where its proof or a probe failed here, PushRefusedError (`late`,
    `another-push`, `nothing-pending`...).
    """
    from workbench.push import channel
    from workbench.push.resident import workbench_dpu as dpu

    target = _target(name)
    mark = _meant(target, digest)
    _refuse_wrong(target, mark)
    statement = {"kind": "workbench-dpu-confirm", "target": name, "bundle": mark}
    signed = signed_statement(statement, key, dpu.CONFIRM)
    with _told(_case_of(name), name, mark):
        channel.ask(target, "confirm", **signed)
    push_log.note(_case_of(name), "push_confirmed", target=name, digest=mark, **push_log.signer(signed["signature"]))
    return mark


def roll_back(name: str, key: str, digest: str = "", confirmed: str = "") -> tuple[str, bool]:
    """Put back what ran before a push; its digest, and whether it had been confirmed.

    digest: of the push that waits, else the one that was applied from here. confirmed: of one that was confirmed, which
    needs a key. Whatever else waits or runs there stays: PushRefusedError.
    """
    from workbench.push import channel
    from workbench.push.resident import workbench_dpu as dpu

    if digest and confirmed:
        raise UsageError("a push either waits or is confirmed", "Name it with --digest or with --confirmed.")
    target = _target(name)
    mark = _meant(target, confirmed or digest)
    given: dict[str, Any] = {"digest": mark}
    if confirmed:
        number = channel.ask(target, "status")["sequence"] + 1
        statement = {"kind": "workbench-dpu-rollback", "target": name, "bundle": mark, "sequence": number}
        given = dict(signed_statement(statement, key, dpu.CONFIRM))
    with _told(_case_of(name), name, mark):
        said = channel.ask(target, "rollback", **given)
    push_log.note(_case_of(name), "push_rolled_back", target=name, digest=mark, why="asked for")
    return mark, bool(said["confirmed"])


def review(name: str, digest: str, key: str) -> str:
    """Say that a push with one signature was looked at, as somebody else than its signer; its digest."""
    from workbench.push import channel
    from workbench.push.resident import workbench_dpu as dpu

    target = _target(name)
    waiting = [str(one["digest"]) for one in channel.ask(target, "status")["unreviewed"]]
    found = [one for one in waiting if one.startswith(digest)]
    if len(digest) < 12 or len(found) != 1:
        raise UsageError(
            f"no push {digest} waits for a review on {name}", "At least 12 letters of a digest that push status shows."
        )
    statement = {"kind": "workbench-dpu-review", "target": name, "bundle": found[0]}
    with _told(_case_of(name), name, found[0]):
        who = channel.ask(target, "review", **signed_statement(statement, key, dpu.APPROVAL))["reviewer"]
    push_log.note(_case_of(name), "push_reviewed", target=name, digest=found[0], who=who)
    return found[0]


def _meant(target: Target, digest: str) -> str:
    """A whole digest: of what was applied from here, or of what the target knows where somebody names the beginning of one."""
    from workbench.push import channel

    if not digest:
        try:
            digest = (push_log.folder() / f"{target.name}.digest").read_text().strip()
        except OSError:
            digest = ""
        if not digest:
            raise UsageError(f"nothing was applied to {target.name} from here", "Name the push with --digest: see push status.")
    if re.fullmatch(r"[0-9a-f]{64}", digest):
        return digest
    there = channel.ask(target, "status")
    known = {one["digest"] for one in (there["pending"], there["confirmed"], there["last"]) if one and one["digest"]}
    found = [one for one in known if one.startswith(digest)]
    if len(digest) < 12 or len(found) != 1:
        raise UsageError(f"{target.name} knows no push {digest}", "At least 12 letters of a digest that push status shows.")
    return str(found[0])


@dataclass(frozen=True, slots=True)
class Status:
    """A target by its resident. error: why it could not be asked. never: rules without a hit since they were loaded.

    ids: of rules, by their number in text. policy: the text of the one that was confirmed. state: `confirmed`, `waiting`,
    `drift`, `down`, `unguarded`, `review`, `empty`, `unreachable`, `not enrolled`, `old protocol`, `refuses`.
    """

    target: str
    address: str
    state: str
    said: dict[str, Any]
    error: str = ""
    counters: tuple[tuple[str, int, int], ...] = ()
    never: tuple[str, ...] = ()
    ids: Mapping[str, str] = field(default_factory=dict)
    policy: str = ""


def status(names: Sequence[str]) -> list[Status]:
    """Those targets, or all of the settings, one after the other."""
    from workbench.push.targets import known_targets
    from workbench.settings import load_settings

    settings = load_settings()
    targets = [_target(name) for name in names] if names else list(known_targets(settings).values())
    return [status_of(target) for target in targets]


def status_of(target: Target, limit: Limit | None = None, known: Known | None = None) -> Status:
    """One target. limit: how long that may take. known: what earlier answers said; its bundle need not come again."""
    from workbench.push import channel

    ask = partial(channel.ask, target, "status", **({"limit": limit} if limit is not None else {}))
    try:
        if known is None:
            said = ask(bundle="confirmed", others=True)
            ids, policy = _bundled(target, said)
        else:
            said = known.asked(target, ask)
            ids, policy = known.ids, known.policy
    except ExternalError as error:
        return Status(target.name, str(target.far), _silence(error), {}, error.message)
    counters = sorted((ids.get(number, number), *pair) for number, pair in said["counters"].items())
    hit = {rule for rule, packets, _ in counters if packets}
    never = sorted({rule for rule in ids.values() if "/" in rule and "(" not in rule} - hit) if counters else []
    return Status(target.name, str(target.far), _state(said), said, "", tuple(counters), tuple(never), ids, policy)


@dataclass(slots=True)
class Known:
    """What a bundle said that a target was seen to run: bundles are large, and do not change."""

    digest: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    policy: str = ""

    def asked(self, target: Target, ask: Callable[..., dict[str, Any]]) -> dict[str, Any]:
        """A status; where another bundle runs than the one that is known, with what that says."""
        from workbench.push.resident import workbench_dpu as dpu

        said = ask()
        runs = said["pending"] or said["confirmed"]
        if (runs["digest"] if runs else "") != self.digest:
            which = "pending" if said["pending"] else "confirmed"
            said = ask(bundle=which)
            text = said.pop("bundle", None)
            self.ids, self.policy = _bundled(target, {"bundle": text, "confirmed": said[which]})
            self.digest = dpu.digest(text.encode()) if text else ""
        return said


def _silence(error: ExternalError) -> str:
    """In a word, why a target says nothing."""
    if isinstance(error, PushRefusedError):
        return "old protocol" if error.code == "old-protocol" else "refuses"
    return "not enrolled" if isinstance(error, FarError) and "has no resident of" in error.message else "unreachable"


def _state(said: dict[str, Any]) -> str:
    if said["down"]:
        return "down"
    if said["pending"]:
        return "waiting"
    if said["drift"]:
        return "drift"
    if not said["watched"]:
        return "unguarded"
    return "empty" if said["confirmed"] is None else "review" if said["confirmed"]["review"] else "confirmed"


def _bundled(target: Target, said: dict[str, Any]) -> tuple[dict[str, str], str]:
    """Rule ids by number, and the policy's text, of the bundle that was confirmed."""
    from workbench.push import channel
    from workbench.push.compiled import SPECIAL

    bundle = channel.confirmed(target, said)
    said.pop("bundle", None)
    known = {str(number): name for number, name in SPECIAL.items()}
    if bundle is None:
        return known, ""
    return known | bundle["ids"], bundle["policy"]["text"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One line that differs from what was applied. change: `added` or `removed`; since: seconds since 1970."""

    target: str
    rule: str
    change: str
    line: str
    since: int


def drift(names: Sequence[str]) -> tuple[list[Drift], list[Status]]:
    """What differs, by target; and those that could not be asked."""
    found: list[Drift] = []
    silent: list[Status] = []
    for one in status(names):
        if one.error or one.state == "down":
            silent.append(one)
            continue
        gone = one.said["drift"]
        if not gone:
            continue
        for change in ("added", "removed"):
            found += [Drift(one.target, rule_of(line, one.ids), change, line, gone["since"]) for line in gone[change]]
        rules = sorted({row.rule for row in found if row.target == one.target})
        push_log.note(
            _case_of(one.target),
            "push_drifted",
            target=one.target,
            since=gone["since"],
            rules=[rule[:300] for rule in rules[:50]],
        )
    return found, silent


def rule_of(line: str, ids: Mapping[str, str]) -> str:
    """The rule that a line of a dataplane belongs to: by its cookie, or its comment; '' where it says none."""
    found = re.search(r"cookie=0x[0-9a-f]{8}([0-9a-f]{8})", line)
    if found:
        number = str(int(found[1], 16))
        return ids.get(number, number)
    said = re.search(r'comment "([^"]*)"', line)
    return said[1] if said else ""


def _target(name: str) -> Target:
    from workbench.push.targets import target_of
    from workbench.settings import load_settings

    return target_of(load_settings(), name)


def signed_statement(statement: dict[str, Any], key: str, namespace: str) -> dict[str, Any]:
    """A statement and its signature, as a resident takes them."""
    from workbench.audit.heads import sign
    from workbench.push.resident import workbench_dpu as dpu
    from workbench.workflows.push_sign import needed_key

    data = dpu.canonical(statement)
    return {"statement": data.decode(), "signature": sign(data, needed_key(key), namespace)}


@contextlib.contextmanager
def _told(case: str, target: str, digest: str) -> Iterator[None]:
    """A refusal is a line of the log too."""
    try:
        yield
    except PushRefusedError as error:
        push_log.note(case, "push_refused", target=target, digest=digest, code=error.code, words=error.message)
        raise


def _remember(target: str, case: str, digest: str) -> None:
    """A target's last push from here: which one, and which case it was planned with."""
    folder = push_log.folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / f"{target}.case").write_text(case)
    (folder / f"{target}.digest").write_text(digest)


def _case_of(target: str) -> str:
    try:
        return (push_log.folder() / f"{target}.case").read_text().strip()
    except OSError:
        return ""
