"""Questions to a resident: one process of the system's ssh (or none) a question, one frame each way."""

from __future__ import annotations

import io
import re
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workbench.errors import ExternalError, FarError, PushRefusedError
from workbench.push import answers
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import Target
from workbench.sources import ssh

#: Seconds: what a question may take, applying included.
_PATIENCE: Final = 200.0


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a question may take, in seconds, and an event that ends it before: for who asks again and again."""

    seconds: float
    cancel: threading.Event


#: What to do about a refusal, where something can be done.
_REMEDIES: Final = {
    "old-protocol": "Its resident is older or newer than this workbench: run `workbench push enrol` again.",
    "busy": "See `workbench push status`; confirm or roll back what waits.",
    "wrong-previous": "Plan again against what runs now.",
    "replayed": "Plan and sign again: every push has a new number.",
    "expired": "Plan and sign again.",
    "unapproved": "Let somebody else run `workbench push approve`.",
    "self-approved": "Let somebody else, with a key and a name of their own, approve it.",
    "unknown-signer": "Enrol the DPU with that signer, or sign with a key that it knows.",
    "wrong-namespace": "Its allowed signers say who may sign for what.",
    "unguarded": "Run `workbench push enrol` again: it starts the daemon.",
    "occupied": "Move that flow away, or end who put it there; ours live in tables 200 to 217 and at the top of table 0.",
    "not-ours": "Its resident may be older than this workbench: run `workbench push enrol` again.",
    "owned": "End that, or name the bridge in the settings and run `workbench push enrol` again: it is taken as it is then.",
    "too-large": "Use fewer rules, or prefixes in place of single addresses.",
    "late": "The old rules run. Plan again.",
    "another-push": "It is not the one you mean: see `workbench push status`; name one with --digest.",
    "kept": "If that is meant: workbench push rollback TARGET --confirmed DIGEST.",
    "nothing-before": "Push what shall run instead: a policy that allows it, signed and approved, or with --break-glass.",
}


def ask(target: Target, what: str, limit: Limit | None = None, **given: Any) -> dict[str, Any]:
    """The resident's answer. PushRefusedError with its code, FarError where there is no way there, ExternalError for noise.

    limit: FarError too where that is over; what is on its way is killed.
    """
    frame = io.BytesIO()
    try:
        dpu.write_frame(frame, {"protocol": dpu.PROTOCOL, "ask": what, **given})
    except dpu.Refused as error:
        raise refusal(target, error.code, error.message) from error
    words = ["python3", "-I", f"{target.home}/workbench_dpu.py", "serve", target.home]
    out = send(target, ssh.as_root(words), frame.getvalue(), what="the resident", limit=limit)
    try:
        answer = dpu.read_frame(io.BytesIO(out))
    except dpu.Refused as error:
        raise ExternalError(f"{target.far} answers, but not as a resident: {error.message}", _AGAIN) from error
    if answer is None:
        raise ExternalError(f"the resident on {target.far} ended without an answer", "What became of it: push status.")
    if answer.get("ok") is not True:
        code, message = str(answer.get("code", "")), str(answer.get("message", ""))
        raise refusal(target, code[:60], message[:2000])
    if wrong := answers.wrong(what, answer):
        raise ExternalError(f"{target.far} answers, but not as a resident: its `{wrong}` is not what it must be", _AGAIN)
    return answer


def confirmed(target: Target, there: Mapping[str, Any]) -> dict[str, Any] | None:
    """The bundle that a status shows as the confirmed one; None where nothing is. ExternalError where it is not that one."""
    text, record = there.get("bundle"), there["confirmed"]
    if not text or not record:
        return None
    try:
        bundle = dpu.parse_bundle(text)
    except dpu.Refused as error:
        raise ExternalError(f"{target.name} shows a bundle that is not one: {error.message}", _AGAIN) from error
    named = dpu.digest(text.encode()) == record["digest"] and bundle["target"] == target.name
    if not named or not all(re.fullmatch("[0-9]{1,10}", number) for number in bundle["ids"]):
        raise ExternalError(f"{target.name} shows a bundle that is not the one it says it has confirmed", _AGAIN)
    return bundle


def refusal(target: Target, code: str, message: str) -> PushRefusedError:
    """The error for a refusal of that code, with what can be done about it."""
    return PushRefusedError(f"{target.name}: {code}: {message}", _REMEDIES.get(code, ""), code)


_AGAIN: Final = "Run `workbench push enrol` again, or see what else writes there when it logs in."


def send(target: Target, shell: str, data: bytes, *, what: str, seconds: float = _PATIENCE, limit: Limit | None = None) -> bytes:
    """A line of shell there, with data on its stdin; its stdout. FarError where it or the way there fails."""
    far = target.far
    command = far.command(shell)
    try:
        process = subprocess.Popen(  # noqa: S603  words of ours, names checked and quoted
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise FarError(f"{command[0]} can't be run: {error.strerror}", f"Install {command[0]}.") from error
    seconds = limit.seconds if limit is not None else seconds
    try:
        out, said = ssh.talk(process, data, seconds, dpu.MOST + 8, limit.cancel if limit is not None else None)
    except subprocess.TimeoutExpired as error:
        raise FarError(f"{what} on {far} took more than {seconds:g} s", "What became of it: push status.") from error
    finally:
        ssh.end(process)
    if len(out) > dpu.MOST + 8:
        raise ssh.too_much(far, what, dpu.MOST)
    if process.returncode and not out.startswith(dpu.MAGIC):
        if b"can't open file" in said:
            raise FarError(f"{far} has no resident of {target.name}", "Run `workbench push enrol` first.", process.returncode)
        raise ssh.failure(far, what, process.returncode, said)
    return out
