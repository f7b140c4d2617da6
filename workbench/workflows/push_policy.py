"""Pushing: apply a signed plan, prove what then runs, confirm it or put back what was there; status and drift of targets."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import ExternalError, FarError, PlanError, PushRefusedError, UsageError, WorkbenchError
from workbench.workflows import push_log
from workbench.workflows.kernels import prepare_kernel_cache

if TYPE_CHECKING:
    from workbench.push.channel import Limit
    from workbench.push.probes import Probe, Probed
    from workbench.push.targets import Target


@dataclass(frozen=True, slots=True)
class Applied:
    """Rules that run and wait. remaining: seconds; proven: in how many outcomes what was read back is what the policy means."""

    target: str
    digest: str
    remaining: float
    proven: int
    probed: tuple[Probed, ...] = ()


def apply_plan(path: Path, window: int, probes: Sequence[Probe] = ()) -> Applied:
    """Send a plan, read back, prove. Whatever is not equal is rolled back at once. PlanError, PushRefusedError, FarError."""
    prepare_kernel_cache()
    from workbench.push import channel, rules
    from workbench.push.plans import read_plan
    from workbench.workflows.push_plan import current_stage

    plan = read_plan(path)
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
    stage = current_stage(bundle, int(time.time()))
    try:
        proof = rules.prove(stage.made, stage.resolved, said["text"], target.served())
        wrong = [*proof.problems, *(one.text() for one in proof.examples)][:3]
    except WorkbenchError as error:
        proof, wrong = None, [error.message]
    good = proof is not None and proof.equal
    _remember(target.name, plan.case, plan.digest)
    push_log.note(plan.case, "push_applied", target=target.name, digest=plan.digest, window=given["window"], proven=good)
    if proof is None or not good:
        channel.ask(target, "rollback", digest=plan.digest)
        push_log.note(plan.case, "push_rolled_back", target=target.name, digest=plan.digest, why="read back, not what was meant")
        raise PlanError(f"{target.name} runs something else than was meant: {'; '.join(wrong)}", "It was rolled back.")
    probed = _probed(target, plan.digest, plan.case, probes)
    return Applied(target.name, plan.digest, said["remaining"], proof.outcomes, probed)


def _probed(target: Target, digest: str, case: str, wanted: Sequence[Probe]) -> tuple[Probed, ...]:
    """What came of the probes; PlanError, and what ran before, where one of them shows something else than was meant."""
    from workbench.push import channel, probes

    found = []
    wrong = ""
    for one in wanted:
        try:
            found.append(probes.carry_out(one))
        except FarError as error:
            wrong = f"{one}: the host could not be asked ({error.message})"
            break
        if found[-1].good is False:
            wrong = f"{found[-1].what} should be {'allowed' if one.allowed else 'denied'}: {found[-1].found}"
            break
    if wrong:
        channel.ask(target, "rollback", digest=digest)
        push_log.note(case, "push_rolled_back", target=target.name, digest=digest, why=f"probe: {wrong}")
        raise PlanError(f"a probe failed: {wrong}", "It was rolled back.")
    return tuple(found)


def confirm(name: str, key: str, digest: str = "") -> str:
    """Keep a push that waits: the one of that digest, or the one that was applied from here; its digest.

    UsageError where neither is known, PushRefusedError (`late`, `another-push`, `nothing-pending`...).
    """
    from workbench.push import channel
    from workbench.push.resident import workbench_dpu as dpu

    target = _target(name)
    mark = _meant(target, digest)
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
        push_log.note(_case_of(one.target), "push_drifted", target=one.target, since=gone["since"], rules=rules[:50])
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
