"""Targets asked again and again, each in a thread of its own: one that hangs holds up nobody else.

A target is asked one question at a time, at the shortest period that anybody who listens wants, and by nobody's order once nobody
listens. A question costs a process of ssh and an answer of the resident, about 100 ms of a core at both ends; a question that
hangs is killed after `PATIENCE`, or as soon as the last listener is gone.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from workbench.errors import WorkbenchError
from workbench.push.channel import Limit
from workbench.push.targets import Target
from workbench.workflows.push_policy import Known, Status, status_of
from workbench.workflows.target_state import TargetState, state_of

#: Seconds that a question may take.
PATIENCE: Final = 20.0

Hear = Callable[["Seen"], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """A target as it was last seen. state: None before its first answer; at: time.monotonic() of that.

    asked: since when a question is on its way, by the same clock; None while none is. moved: packets and bytes by rule since
    the answer before, where both count the same loading of the same rules; over: seconds between them, 0 where that isn't known.
    """

    target: Target
    state: TargetState | None = None
    at: float = 0.0
    asked: float | None = None
    moved: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    over: float = 0.0


class TargetWatch:
    """All of them. `join` begins, `Joined.close` ends; both from any thread."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._lanes = [_Lane(target, self) for target in targets]
        self._wake = threading.Condition()
        self._joined: list[Joined] = []
        self._cancel = threading.Event()

    @property
    def seen(self) -> list[Seen]:
        """Every target, in the order of the settings."""
        return [lane.seen for lane in self._lanes]

    def join(self, every: float, hear: Hear | None = None) -> Joined:
        """Have them asked every so many seconds, at once for the first time.

        hear: called from their threads with what was seen, also as a question begins.
        """
        one = Joined(self, every, hear)
        with self._wake:
            if not self._joined:
                self._cancel = threading.Event()
                for lane in self._lanes:
                    lane.start(self._cancel)
            self._joined.append(one)
            self._wake.notify_all()
        return one

    def leave(self, one: Joined) -> None:
        """Nobody is asked for this one any more."""
        with self._wake:
            if one in self._joined:
                self._joined.remove(one)
            if not self._joined:
                self._cancel.set()
            self._wake.notify_all()

    def again(self) -> None:
        """Ask now, not when it is due."""
        with self._wake:
            for lane in self._lanes:
                lane.began = 0.0
            self._wake.notify_all()

    def due(self, lane: _Lane, cancel: threading.Event) -> bool:
        """Wait until a target is due; False once nobody listens."""
        with self._wake:
            while not cancel.is_set():
                left = lane.began + min((one.every for one in self._joined), default=0.0) - time.monotonic()
                if left <= 0 or not lane.began:
                    return True
                self._wake.wait(left)
        return False

    def tell(self, seen: Seen) -> None:
        """To all who listen. What goes wrong with one costs neither the others nor the target's next question."""
        with self._wake:
            hearing = [one.hear for one in self._joined if one.hear is not None]
        for hear in hearing:
            with contextlib.suppress(Exception):  # whoever wants to know of it catches it in `hear`
                hear(seen)


@dataclass(eq=False, slots=True)
class Joined:
    """Somebody who listens; leaves at the end of the block, or with `close`."""

    watch: TargetWatch
    every: float
    hear: Hear | None

    def close(self) -> None:
        """Listen no more. A question that is on its way and that nobody else waits for is killed within a moment."""
        self.watch.leave(self)

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Lane:
    """One target and its thread. began: when its last question was begun; 0: it is to be asked at once."""

    def __init__(self, target: Target, watch: TargetWatch) -> None:
        self.seen = Seen(target)
        self.began = 0.0
        self._watch = watch
        self._known = Known()
        self._met = False  # whether a resident has ever answered
        self._asking = threading.Lock()  # a thread of before may still have a question to bring to its end

    def start(self, cancel: threading.Event) -> None:
        """Ask until that is set."""
        self.began = 0.0
        name = f"status of {self.seen.target.name}"
        threading.Thread(target=self._follow, args=(cancel,), name=name, daemon=True).start()

    def _follow(self, cancel: threading.Event) -> None:
        with self._asking:
            while self._watch.due(self, cancel):
                self.began = time.monotonic()
                self.seen = replace(self.seen, asked=self.began)
                self._watch.tell(self.seen)
                status = self._ask(Limit(PATIENCE, cancel))
                if cancel.is_set():
                    break
                self.seen = self._read(status)
                self._watch.tell(self.seen)
            self.seen = replace(self.seen, asked=None)

    def _read(self, status: Status) -> Seen:
        target = self.seen.target
        try:
            state = state_of(status, target.kind, self._met)
            self._met |= not status.error
            return _after(self.seen, state)
        except Exception as error:  # as below
            why = f"its answer is not a resident's: {type(error).__name__}"
            return Seen(target, TargetState(target.name, target.kind, str(target.far), "unreadable", why), time.monotonic())

    def _ask(self, limit: Limit) -> Status:
        target = self.seen.target
        try:
            return status_of(target, limit, self._known)
        except WorkbenchError as error:
            return Status(target.name, str(target.far), "unreachable", {}, error.message)
        except Exception as error:  # an answer can be anything, and whatever it is, the next one is asked for
            why = f"its answer is not a resident's: {type(error).__name__}: {error}"
            return Status(target.name, str(target.far), "unreadable", {}, why)


def _after(before: Seen, state: TargetState) -> Seen:
    """What is seen now, with what was counted since the last time that anything was."""
    now = time.monotonic()
    moved: dict[str, tuple[int, int]] = {}
    older = before.state
    if older is not None and older.running is not None and state.running is not None and older.loaded == state.loaded:
        was = {rule: (packets, size) for rule, packets, size in older.counts}
        same = older.running.digest == state.running.digest
        moved = {rule: (n - was[rule][0], size - was[rule][1]) for rule, n, size in state.counts if same and rule in was}
    if any(packets < 0 or size < 0 for packets, size in moved.values()):
        moved = {}  # loaded anew in between: counts began again
    return Seen(before.target, state, now, None, moved, now - before.at if moved else 0.0)
