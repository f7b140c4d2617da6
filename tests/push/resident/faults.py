"""Faults at every step of a push, on a dataplane in memory: what runs right after, and once the window is over.

``python -m tests.push.resident.faults`` writes the table of docs/push.md; test_faults.py runs all of it and compares.
The resident knows nothing of this: it is killed (SIGKILL, in a forked process) before and after each of its calls that last.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

from tests.push.resident.box import Box, boxed
from tests.push.resident.people import NEW, OLD, People, bundle, stage
from workbench.push.resident import workbench_dpu as dpu

WINDOW: Final = 60
BEGIN, END = "<!-- faults: made by python -m tests.push.resident.faults -->", "<!-- end of faults -->"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen. steps: how many places the fault was tried at; after, later: `old`, `new`, or both words."""

    fault: str
    steps: int
    after: str
    later: str
    said: str


def which(box: Box) -> str:
    """What runs: the old rules, the new ones, or something that must not be."""
    found = box.lines.running()
    return {OLD.splitlines()[1] + "\n": "old", NEW.splitlines()[1] + "\n": "new", "": "nothing"}.get(found, "MIXED")


def request(box: Box, what: str, **given: Any) -> bytes:
    """A frame as it comes over ssh."""
    body = dpu.canonical({"protocol": dpu.PROTOCOL, "ask": what, **given})
    return b"WBD1" + struct.pack(">I", len(body)) + body


def pushing(box: Box, **given: Any) -> dict[str, Any]:
    """A signed push of the new rules."""
    text = dpu.canonical(
        bundle(previous=dpu.digest(box.lines.running().encode()), rules=[stage(NEW)], **{"sequence": 2, **given})
    )
    signed = {"signature": dpu.POLICY, "approval": dpu.APPROVAL}
    names = {"signature": "ada", "approval": "ben"}
    more = {word: box.people.sign(names[word], text.decode(), space) for word, space in signed.items()}
    return {"bundle": text.decode(), "window": WINDOW, **more}


def statement(box: Box, kind: str, **given: Any) -> dict[str, str]:
    text = dpu.canonical({"kind": kind, "target": "dpu1", **given}).decode()
    return {"statement": text, "signature": box.people.sign("ada", text, dpu.CONFIRM)}


def served(box: Box, given: bytes, out: Any = None) -> dict[str, Any] | None:
    """What `serve` answers, as a process of its own would: with the test's dataplane."""
    answer = io.BytesIO()
    one = box.resident()
    with mock.patch.object(dpu, "Resident", return_value=one):
        dpu.serve(box.folder, io.BytesIO(given), out or answer)
    signal.alarm(0)
    answer.seek(0)
    return dpu.read_frame(answer)


class Killed:
    """Kills this process at the nth place before or after a call that lasts."""

    def __init__(self, at: int) -> None:
        self.left = at

    def _here(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*words: Any, **named: Any) -> Any:
            self._here()
            found = call(*words, **named)
            self._here()
            return found

        return wrapped


def killed_at(box: Box, at: int, action: Callable[[], object]) -> bool:
    """Run it in a process that dies at that place; False where it has fewer."""
    child = os.fork()
    if child == 0:
        kill = Killed(at)
        os.fsync, os.replace = kill.around(os.fsync), kill.around(os.replace)  # this process is only for that
        box.lines.load = kill.around(box.lines.load)  # type: ignore[method-assign]
        with contextlib.suppress(BaseException):
            action()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@contextlib.contextmanager
def full_disk(box: Box) -> Iterator[None]:
    """No file grows, but for the state once the reserve was given up."""
    sync = os.fsync

    def refuse(fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").resolve().name
        if name.endswith(".new") and not (name.startswith("state.json") and not (box.folder / "reserve").exists()):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(fd)

    with mock.patch.object(os, "fsync", refuse):
        yield


Fault = Callable[[Box], str]
FAULTS: Final[dict[str, Fault]] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    def named(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return named


def code_of(action: Callable[[], object]) -> str:
    try:
        action()
    except dpu.Refused as error:
        return f"`{error.code}`"
    return "nothing"


@fault("ssh dies before the request has arrived")
def _before(box: Box) -> str:
    answer = served(box, request(box, "apply", **pushing(box))[:-100])
    return f"`{answer['code']}`" if answer else "nothing"


@fault("ssh, or the workbench, dies while the rules are applied")
def _during(box: Box) -> str:
    class Gone(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise BrokenPipeError

    with contextlib.suppress(BrokenPipeError):
        served(box, request(box, "apply", **pushing(box)), Gone())
    return "nobody is left to be told"


@fault("ssh, or the workbench, dies once they run")
def _after(box: Box) -> str:
    served(box, request(box, "apply", **pushing(box)))
    return "nobody is left to be told"


@fault("the confirmation comes late, and no daemon lives")
def _late(box: Box) -> str:
    mark = box.ask("apply", **pushing(box))["digest"]
    given = statement(box, "workbench-dpu-confirm", bundle=mark)
    box.later(WINDOW + 1)
    return code_of(lambda: box.ask("confirm", **given))


@fault("two people push at once")
def _two(box: Box) -> str:
    one, other = pushing(box), pushing(box, sequence=3)
    box.ask("apply", **one)
    return "the second: " + code_of(lambda: box.ask("apply", **other))


@fault("two people push one after the other, planned against the same")
def _stale(box: Box) -> str:
    other = pushing(box, sequence=3)
    mark = box.ask("apply", **pushing(box))["digest"]
    box.ask("confirm", **statement(box, "workbench-dpu-confirm", bundle=mark))
    return "the second: " + code_of(lambda: box.ask("apply", **other))


@fault("the switch refuses the rules")
def _refuses(box: Box) -> str:
    load, given = box.lines.load, pushing(box)

    def refuse(text: str) -> None:
        if "443" in text:
            raise dpu.Refused("dataplane", "no")
        load(text)

    with mock.patch.object(box.lines, "load", refuse):
        return code_of(lambda: box.ask("apply", **given))


@fault("the switch has other rules than it was given")
def _differs(box: Box) -> str:
    given = pushing(box)
    with mock.patch.object(box.lines, "missing", lambda text: ["tcp"] if "443" in text else []):
        return code_of(lambda: box.ask("apply", **given))


@fault("the switch restarts while the push waits")
def _restart_waiting(box: Box) -> str:
    box.ask("apply", **pushing(box))
    box.lines.file.unlink()
    return f"alert `{box.tick()['alerts'][-1]['code']}`"


@fault("the switch restarts after the confirmation")
def _restart_confirmed(box: Box) -> str:
    mark = box.ask("apply", **pushing(box))["digest"]
    box.ask("confirm", **statement(box, "workbench-dpu-confirm", bundle=mark))
    box.lines.file.unlink()
    state = box.tick()
    return f"alert `{state['alerts'][-1]['code']}`, the gap is told"


@fault("the switch does not answer when the deadline comes")
def _hangs(box: Box) -> str:
    box.ask("apply", **pushing(box))
    box.lines.fails = "gone"
    box.later(WINDOW + 5)
    down = box.tick()["down"]["message"]
    box.lines.fails = ""
    box.tick()
    return f"alert `down` ({down}); rolled back as soon as it answers"


@fault("the DPU reboots while the push waits")
def _reboot_waiting(box: Box) -> str:
    box.ask("apply", **pushing(box))
    box.restart()
    return f"alert `{box.tick()['alerts'][-1]['code']}`"


@fault("the DPU reboots after the confirmation")
def _reboot_confirmed(box: Box) -> str:
    mark = box.ask("apply", **pushing(box))["digest"]
    box.ask("confirm", **statement(box, "workbench-dpu-confirm", bundle=mark))
    box.restart()
    return f"alert `{box.tick()['alerts'][-1]['code']}`"


@fault("the DPU's disk is full before the push")
def _full_before(box: Box) -> str:
    given = pushing(box)
    with full_disk(box):
        return code_of(lambda: box.ask("apply", **given))


@fault("the DPU's disk fills up while the push waits")
def _full_waiting(box: Box) -> str:
    box.ask("apply", **pushing(box))
    with full_disk(box):
        box.later(WINDOW + 1)
        box.tick()
    return "the reserve is given up for the state"


@fault("the wall clock jumps 30 years ahead, then 60 back, while the push waits")
def _jump(box: Box) -> str:
    box.ask("apply", **pushing(box))
    for years in (30, -60):
        box.wall += years * 365 * 86400
        box.tick()
    return f"skew {'told' if abs(box.ask('status')['skew']) > 60 else 'NOT TOLD'}"


@fault("the daemon is dead")
def _dead(box: Box) -> str:
    import fcntl

    given = pushing(box)
    fcntl.flock(box.watcher, fcntl.LOCK_UN)
    return code_of(lambda: box.ask("apply", **given))


def _ready(box: Box) -> str:
    """What stands before each of the following is killed: the digest of a push that waits."""
    return str(box.ask("apply", **pushing(box))["digest"])


def _apply(box: Box) -> Callable[[], object]:
    given = pushing(box)
    return lambda: box.ask("apply", **given)


def _confirm(box: Box) -> Callable[[], object]:
    given = statement(box, "workbench-dpu-confirm", bundle=_ready(box))
    return lambda: box.ask("confirm", **given)


def _deadline(box: Box) -> Callable[[], object]:
    _ready(box)
    box.later(WINDOW + 1)
    return box.tick


def _signed_rollback(box: Box) -> Callable[[], object]:
    mark = _ready(box)
    box.ask("confirm", **statement(box, "workbench-dpu-confirm", bundle=mark))
    given = statement(box, "workbench-dpu-rollback", bundle=mark, sequence=9)
    return lambda: box.ask("rollback", **given)


Prepare = Callable[[Box], Callable[[], object]]
KILLED: Final[dict[str, tuple[Prepare, str]]] = {
    "the resident is killed while it applies": (_apply, "undone by the daemon's next look"),
    "the resident is killed while it confirms": (_confirm, "new where the state was written: `status` tells"),
    "the resident is killed while it rolls back at the deadline": (_deadline, "finished by the daemon's next look"),
    "the resident is killed while it rolls back what was confirmed": (
        _signed_rollback,
        "old where its wish was written, finished by the daemon: `status` tells",
    ),
}


def _old_runs(box: Box) -> None:
    mark = box.push()
    box.confirm(mark)
    box.resident().keep_reserve()


def _look(box: Box) -> tuple[str, str]:
    """What runs, then what runs once the daemon has looked, now and after the window."""
    now = which(box)
    box.tick()
    box.later(WINDOW + 1)
    box.tick()
    box.tick(compare=True)
    return now, which(box)


def _words(found: set[str]) -> str:
    return " or ".join(word for word in ("old", "new", "nothing", "MIXED") if word in found)


def outcomes(people: People, folder: Path) -> Iterator[Outcome]:
    """Every fault, each on a DPU of its own."""
    for n, (name, function) in enumerate(FAULTS.items()):
        with boxed(folder / f"f{n}", people) as box:
            _old_runs(box)
            said = function(box)
            after, later = _look(box)
            yield Outcome(name, 1, after, later, said)
    for n, (name, (prepare, said)) in enumerate(KILLED.items()):
        seen: tuple[set[str], set[str]] = (set(), set())
        with boxed(folder / f"k{n}", people) as box:
            _old_runs(box)
            action = prepare(box)
            kept, clocks = folder / f"k{n}.kept", (box.at, box.wall)
            shutil.copytree(box.folder, kept)
            at = 1
            while killed_at(box, at, action):
                for words, word in zip(seen, _look(box), strict=True):
                    words.add(word)
                at, (box.at, box.wall) = at + 1, clocks
                _as_kept(box, kept)
        yield Outcome(name, at - 1, _words(seen[0]), _words(seen[1]), said)


def _as_kept(box: Box, kept: Path) -> None:
    """The folder as it was; the lock of the daemon stays the file that is locked."""
    for path in (box.folder, box.folder / "bundles"):
        for one in path.iterdir():
            if one.is_file() and one.name != "watch.lock":
                one.unlink()
    shutil.copytree(kept, box.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("watch.lock"))


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """In memory where that can be had: thousands of syncs are waited for."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


def table(found: list[Outcome]) -> str:
    """For docs/push.md."""
    lines = ["| fault | tried at | right after | after the window | who is told what |", "|---|---|---|---|---|"]
    lines += [f"| {one.fault} | {one.steps} | {one.after} | {one.later} | {one.said} |" for one in found]
    return "\n".join([BEGIN, *lines, END])


def main() -> None:
    page = Path(__file__).parents[3] / "docs" / "push.md"
    with quick_folder() as made:
        (made / "keys").mkdir()
        found = table(list(outcomes(People(made / "keys"), made)))
    text = page.read_text()
    start, end = text.index(BEGIN), text.index(END) + len(END)
    page.write_text(text[:start] + found + text[end:])
    sys.stdout.write(found + "\n")


if __name__ == "__main__":
    main()
