"""What the push screen does, in threads of the app: a push goes on whoever looks, and its end is never lost."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from textual.app import App

from workbench.errors import NeedsReasonError, NotAsMeantError
from workbench.push.channel import Limit
from workbench.tui.push_course import Course, Stage, Step
from workbench.workflows import push_desk

if TYPE_CHECKING:
    from workbench.push.plans import Plan
    from workbench.workflows.push_desk import Desk, Waiting
    from workbench.workflows.push_policy import Applied, Status

    _Gathered = tuple[Path, tuple[int, ...], Plan, tuple[str, str]]

_T = TypeVar("_T")

#: Seconds that a question of what runs on a target may take; and that the end of the program waits for what is still done.
_PATIENCE: Final = 20.0
_MOMENT: Final = 1.0
#: Groups of workers: what must not be lost unsaid, what may be, and questions beside it.
_MUST, _MAY, _ASKS = "push that must end", "push", "push asks"
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def going_on(app: App[Any]) -> str:
    """What was sent, or is being signed, and has not ended: whoever leaves is told of it. '' for nothing."""
    return "; ".join(worker.name for worker in app.workers if worker.group == _MUST and not worker.is_finished)


@atexit.register
def _end() -> None:
    """A moment for what is about to end: a thread that is in the midst of a query as Python ends could end it with a crash."""
    until = time.monotonic() + _MOMENT
    for thread in list(_threads):
        thread.join(max(0.0, until - time.monotonic()))


class PushWork:
    """One course and what is done for it. seen: called after each change, on the event loop; whoever shows the course sets it.

    signed: called once the author has signed, with the beginning of the plan's digest.
    """

    def __init__(self, app: App[Any], course: Course, signed: Callable[[str], None]) -> None:
        self.course = course
        self.seen: Callable[[], None] = lambda: None
        self._app, self._signed = app, signed
        self._looking: set[str] = set()
        self._stamp: tuple[int, ...] = ()
        self._turn = 0

    # -- in threads -------------------------------------------------------------------------------------------------------

    def _do(self, busy: str, step: Step, work: Callable[[], _T], then: Callable[[_T], None], group: str = _MAY) -> bool:
        """One thing at a time; False where something is being done already. What was asked of the DPU before is not of this."""
        if self.course.busy:
            return False
        self.course.busy, self.course.trouble = busy, None
        self._turn += 1
        self._start(self._aside(work, partial(self._done, then), partial(self._failed, step)), busy, group)
        self.seen()
        return True

    def _start(self, work: Any, name: str, group: str) -> None:
        self._app.run_worker(work, name=name, group=group, exit_on_error=False)

    async def _aside(
        self,
        work: Callable[[], _T],
        then: Callable[[_T], None],
        failed: Callable[[Exception], None],
        cancel: threading.Event | None = None,
    ) -> None:
        """Work in a thread of its own, then what comes of it here.

        Not in the threads of asyncio: they are few, so that targets that hang would hold up all of the app, and leaving waits
        for them. cancel: set once nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[Any, Exception | None]] = loop.create_future()

        def end(found: Any, error: Exception | None) -> None:
            if not ended.done():
                ended.set_result((found, error))

        def run() -> None:
            found, error = None, None
            try:
                found = work()
            except Exception as wrong:  # told on screen, whatever it is
                error = wrong
            with contextlib.suppress(RuntimeError):  # the app has ended: the log has it, and so has the DPU
                loop.call_soon_threadsafe(end, found, error)

        thread = threading.Thread(target=run, name="push", daemon=True)
        _threads.add(thread)
        thread.start()
        try:
            found, error = await ended
        finally:
            if cancel is not None:
                cancel.set()
        if error is not None:
            failed(error)
        else:
            then(found)

    def _failed(self, step: Step, error: Exception) -> None:
        step = Step.REFUSALS if isinstance(error, NeedsReasonError) else step
        self.course.busy, self.course.trouble = "", (step, error)
        if isinstance(error, NotAsMeantError):
            self.course.wrong[error.digest] = error.message
        if step in (Step.APPLIED, Step.KEPT):
            self.look()  # whatever was said here, the DPU knows what runs there
        self.seen()

    def _done(self, then: Callable[[_T], None], found: _T) -> None:
        self.course.busy = ""
        then(found)
        self.seen()

    def _beside(
        self,
        name: str,
        work: Callable[[], _T],
        then: Callable[[_T], None],
        no: str = "unreached",
        cancel: threading.Event | None = None,
    ) -> None:
        """A question beside what is being done, of which there is one at a time; where it fails it is asked again later.

        no: what of the course says why it failed.
        """
        if name in self._looking:
            return
        self._looking.add(name)
        answered, failed = partial(self._asked, name, then), partial(self._unasked, name, no)
        self._start(self._aside(work, answered, failed, cancel), name, _ASKS)

    def _asked(self, name: str, then: Callable[[_T], None], found: _T) -> None:
        self._looking.discard(name)
        then(found)
        self.seen()

    def _unasked(self, name: str, no: str, error: Exception) -> None:
        self._looking.discard(name)
        setattr(self.course, no, getattr(error, "message", str(error)))
        self.seen()

    def _status(self, name: str, target: str, then: Callable[[Status], None]) -> None:
        """Ask a target what runs there, for no longer than `_PATIENCE`; killed as the app ends."""
        cancel = threading.Event()
        self._beside(name, partial(push_desk.status_of, target, Limit(_PATIENCE, cancel)), then, cancel=cancel)

    # -- targets ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Which targets there are; each is asked what runs there."""
        self._do("reading the settings", Step.TARGET, push_desk.desk, self._opened)

    def _opened(self, desk: Desk) -> None:
        self.course.desk = desk
        for name, _ in desk.targets:
            self._status(f"target {name}", name, partial(self._stands, name))

    def _stands(self, name: str, status: Status) -> None:
        self.course.statuses[name] = status

    def choose(self, target: str) -> None:
        """Plan for that target, or go on with what waits there."""
        if self.course.busy:
            return
        self.course.begin(target)
        self.plan()

    def plan(self, force: str = "") -> None:
        """Plan: what changes, its proof, what it would stop. Another plan that nobody has signed gives way to it.

        force: why what was refused may be. It was said of what stood on the screen then, so it holds for this once.
        """
        course = self.course
        if course.busy:
            return
        course.force = force
        before = course.path
        course.stage, course.plan, course.path = Stage.PLAN, None, None
        words = f"asking {course.target}, then planning, proving and weighing"
        self._do(words, Step.PLAN, partial(self._plan, before), self._planned)

    def _plan(self, before: Path | None) -> tuple[Plan, Path] | Waiting:
        from workbench.workflows.push_plan import Wish, make_plan

        course = self.course
        there = push_desk.waiting(course.target)
        if there is not None:
            return there
        wish = Wish(
            Path(course.policy), course.target, course.case, force=course.force, break_glass=course.break_glass, text=course.text
        )
        made = make_plan(wish)
        path = push_desk.keep_plan(course.case, made)
        if before is not None and before != path:
            push_desk.drop_plan(before)
        return made, path

    def _planned(self, found: tuple[Plan, Path] | Waiting) -> None:
        if isinstance(found, tuple):
            self.course.planned(*found)
            self._stamp = ()
        else:
            self._waits(found)

    # -- signatures -------------------------------------------------------------------------------------------------------

    def sign(self, key: str) -> None:
        """Sign as the author."""
        self._do("proving it once more, and signing: touch the key if it blinks", Step.SIGNED, partial(self._sign, key, True),
                 partial(self._has_signed, key), _MUST)  # fmt: skip

    def approve(self, key: str) -> None:
        """Approve as somebody else."""
        self._do("proving it once more, and approving: touch the key if it blinks", Step.APPROVED,
                 partial(self._sign, key, False), partial(self._has_approved, key), _MUST)  # fmt: skip

    def _sign(self, key: str, author: bool) -> tuple[Plan, tuple[str, str], dict[str, Any]]:
        from workbench.workflows.push_sign import approve_plan, sign_plan

        course = self.course
        assert course.plan is not None
        assert course.path is not None
        asked, found = push_desk.same_plan(course.plan.digest)
        (sign_plan if author else approve_plan)(course.path, key, asked)
        plan = push_desk.gathered(course.path)
        push_desk.refuse_unsigned(plan, course.plan.digest, author)
        return plan, push_desk.who_signed(plan), found

    def _has_signed(self, key: str, found: tuple[Plan, tuple[str, str], dict[str, Any]]) -> None:
        self.course.keys.author = key
        self._came(found)
        self._signed(found[0].digest[:12])

    def _has_approved(self, key: str, found: tuple[Plan, tuple[str, str], dict[str, Any]]) -> None:
        self.course.keys.approver = key
        self._came(found)

    def _came(self, found: tuple[Plan, tuple[str, str], dict[str, Any]]) -> None:
        self.course.review = found[2]
        self.course.gathered(*found[:2])

    def export(self, to: Path) -> None:
        """A copy of the plan for an approver elsewhere, which is looked at from then on."""
        plan = self.course.plan
        if plan is not None:
            self._do("writing a copy", self.course.at, partial(push_desk.export_plan, plan, to), self._exported)

    def _exported(self, path: Path) -> None:
        self.course.copies = (*(one for one in self.course.copies if one != path), path)

    def watch(self) -> None:
        """Look whether somebody has signed or approved the plan's file, or a copy of it."""
        course = self.course
        if course.path is not None and course.stage in (Stage.SIGN, Stage.APPROVE) and not course.busy:
            self._beside("file", partial(self._gather, course.path, course.copies), self._gathered, "unread")

    def _gather(self, path: Path, copies: tuple[Path, ...]) -> _Gathered | None:
        stamp = push_desk.stamp((path, *copies))  # of before it is read: what is written meanwhile is read next time
        if stamp == self._stamp:
            return None
        plan = push_desk.gathered(path, copies)
        return path, stamp, plan, push_desk.who_signed(plan)

    def _gathered(self, found: _Gathered | None) -> None:
        course = self.course
        course.unread = ""
        if found is None or course.busy or course.path != found[0] or course.plan is None:
            return  # what is not taken is read once more
        self._stamp = found[1]
        if course.plan.bundle == found[2].bundle:
            course.gathered(*found[2:])

    # -- on the DPU -------------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Send it; it waits there."""
        course = self.course
        assert course.plan is not None
        assert course.path is not None
        self._do(f"applying on {course.target}, reading back and proving", Step.APPLIED,
                 partial(self._apply, course.path, course.plan), self._applied, _MUST)  # fmt: skip

    def _apply(self, path: Path, plan: Plan) -> Applied:
        from workbench.workflows.push_policy import apply_plan

        push_desk.same_case(path, plan.case)
        return apply_plan(path, self.course.window, self.course.probes, plan.digest)

    def _applied(self, done: Applied) -> None:
        self.course.applied = done
        self.course.wait(done.digest, done.remaining)

    def confirm(self, key: str) -> None:
        """Keep what waits."""
        self.course.keys.confirmer = key
        self._do("confirming: touch the key if it blinks", Step.KEPT, partial(self._confirm, key), self._confirmed, _MUST)

    def _confirm(self, key: str) -> str:
        from workbench.workflows.push_policy import confirm

        return confirm(self.course.target, key, self.course.mine)

    def _confirmed(self, _digest: str) -> None:
        self.course.over("confirmed", "")
        self.look()

    def roll_back(self) -> None:
        """What ran before, at once."""
        self._do("rolling back", Step.KEPT, self._roll_back, lambda _: self._rolled(), _MUST)

    def _roll_back(self) -> object:
        from workbench.workflows.push_policy import roll_back

        return roll_back(self.course.target, "", self.course.mine)

    def _rolled(self) -> None:
        self.course.over("rolled back", "asked for")
        self.look()

    def look(self) -> None:
        """What the DPU says of it now; whoever has confirmed it or rolled it back."""
        course = self.course
        if course.target:
            turn, mine = self._turn, course.watched
            told = lambda status: self._told(mine, status) if turn == self._turn else None  # noqa: E731
            self._status(f"status {course.target}", course.target, told)

    def _told(self, mine: str, status: Status) -> None:
        course = self.course
        if course.busy or status.target != course.target or mine != course.watched:
            return  # it is of another push
        course.unreached = status.error
        course.statuses[status.target] = status
        if status.error or not mine:
            return
        outcome, why = push_desk.became(status, mine)
        if course.stage not in (Stage.APPLY, Stage.WAITING):
            return
        if outcome == "waiting":
            course.wait(mine, status.said["pending"]["remaining"])
        elif course.stage is Stage.WAITING or outcome != "gone":
            course.over(outcome, why)

    def _waits(self, there: Waiting) -> None:
        """A push waits there already, of whoever."""
        self.course.waits = there
        self.course.wait(there.digest, there.remaining)
