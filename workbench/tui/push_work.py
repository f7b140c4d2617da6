"""What the push screen does, in threads of the app: a push goes on whoever looks, and its end is never lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from textual.app import App

from workbench.errors import NeedsReasonError
from workbench.tui.push_course import Course, Stage, Step
from workbench.workflows import push_desk

if TYPE_CHECKING:
    from workbench.push.plans import Plan
    from workbench.workflows.push_desk import Desk, Waiting
    from workbench.workflows.push_policy import Applied, Status

_T = TypeVar("_T")


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

    # -- in threads -------------------------------------------------------------------------------------------------------

    def _do(self, busy: str, step: Step, work: Callable[[], _T], then: Callable[[_T], None]) -> bool:
        """One thing at a time; False where something is being done already."""
        if self.course.busy:
            return False
        self.course.busy, self.course.trouble = busy, None
        self._start(partial(self._run, step, work, then))
        self.seen()
        return True

    def _run(self, step: Step, work: Callable[[], _T], then: Callable[[_T], None]) -> None:
        try:
            found = work()
        except Exception as error:  # told on screen, whatever it is
            self._tell(self._failed, step, error)
        else:
            self._tell(self._done, then, found)

    def _start(self, work: Callable[[], None]) -> None:
        self._app.run_worker(work, group="push", thread=True, exit_on_error=False)

    def _tell(self, what: Callable[..., None], *given: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the app has ended: the log has it, and so has the DPU
            self._app.call_from_thread(what, *given)

    def _failed(self, step: Step, error: Exception) -> None:
        step = Step.REFUSALS if isinstance(error, NeedsReasonError) else step
        self.course.busy, self.course.trouble = "", (step, error)
        if step in (Step.APPLIED, Step.KEPT):
            self.look()  # whatever was said here, the DPU knows what runs there
        self.seen()

    def _done(self, then: Callable[[_T], None], found: _T) -> None:
        self.course.busy = ""
        then(found)
        self.seen()

    def _beside(self, name: str, work: Callable[[], _T], then: Callable[[_T], None], no: str = "unreached") -> None:
        """A question beside what is being done, of which there is one at a time; where it fails it is asked again later.

        no: what of the course says why it failed.
        """
        if name in self._looking:
            return
        self._looking.add(name)
        self._start(partial(self._ask, name, work, then, no))

    def _ask(self, name: str, work: Callable[[], _T], then: Callable[[_T], None], no: str) -> None:
        try:
            found = work()
        except Exception as error:
            self._tell(self._asked, name, partial(setattr, self.course, no, getattr(error, "message", str(error))))
        else:
            self._tell(self._asked, name, partial(then, found))

    def _asked(self, name: str, then: Callable[[], None]) -> None:
        self._looking.discard(name)
        then()
        self.seen()

    # -- targets ----------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Which targets there are; each is asked what runs there."""
        self._do("reading the settings", Step.TARGET, push_desk.desk, self._opened)

    def _opened(self, desk: Desk) -> None:
        self.course.desk = desk
        for name, _ in desk.targets:
            self._beside(f"target {name}", partial(push_desk.status_of, name), partial(self._stands, name))

    def _stands(self, name: str, status: Status) -> None:
        self.course.statuses[name] = status

    def choose(self, target: str) -> None:
        """Plan for that target, or go on with what waits there."""
        if self.course.busy:
            return
        self.course.begin(target)
        self.plan()

    def plan(self) -> None:
        """Plan: what changes, its proof, what it would stop. Another plan that nobody has signed gives way to it."""
        course = self.course
        if course.busy:
            return
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
                 partial(self._has_signed, key))  # fmt: skip

    def approve(self, key: str) -> None:
        """Approve as somebody else."""
        self._do("proving it once more, and approving: touch the key if it blinks", Step.APPROVED,
                 partial(self._sign, key, False), partial(self._has_approved, key))  # fmt: skip

    def _sign(self, key: str, author: bool) -> tuple[Plan, tuple[str, str], dict[str, Any]]:
        from workbench.workflows.push_sign import approve_plan, sign_plan

        course = self.course
        assert course.plan is not None
        assert course.path is not None
        asked, found = push_desk.same_plan(course.plan.digest)
        plan = (sign_plan if author else approve_plan)(course.path, key, asked)
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

    def _gather(self, path: Path, copies: tuple[Path, ...]) -> tuple[Path, Plan, tuple[str, str]] | None:
        stamp = push_desk.stamp((path, *copies))
        if stamp == self._stamp:
            return None
        plan = push_desk.gathered(path, copies)
        self._stamp = push_desk.stamp((path, *copies))
        return path, plan, push_desk.who_signed(plan)

    def _gathered(self, found: tuple[Path, Plan, tuple[str, str]] | None) -> None:
        course = self.course
        course.unread = ""
        if found is None or course.busy or course.path != found[0] or course.plan is None:
            return
        if course.plan.bundle == found[1].bundle:
            course.gathered(*found[1:])

    # -- on the DPU -------------------------------------------------------------------------------------------------------

    def apply(self) -> None:
        """Send it; it waits there."""
        course = self.course
        assert course.path is not None
        self._do(f"applying on {course.target}, reading back and proving", Step.APPLIED, partial(self._apply, course.path),
                 self._applied)  # fmt: skip

    def _apply(self, path: Path) -> Applied:
        from workbench.workflows.push_policy import apply_plan

        return apply_plan(path, self.course.window, self.course.probes)

    def _applied(self, done: Applied) -> None:
        self.course.applied = done
        self.course.wait(done.digest, done.remaining)

    def confirm(self, key: str) -> None:
        """Keep what waits."""
        self.course.keys.confirmer = key
        self._do("confirming: touch the key if it blinks", Step.KEPT, partial(self._confirm, key), self._confirmed)

    def _confirm(self, key: str) -> str:
        from workbench.workflows.push_policy import confirm

        return confirm(self.course.target, key, self.course.mine)

    def _confirmed(self, _digest: str) -> None:
        self.course.over("confirmed", "")
        self.look()

    def roll_back(self) -> None:
        """What ran before, at once."""
        self._do("rolling back", Step.KEPT, self._roll_back, lambda _: self._rolled())

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
            mine = course.mine or (course.plan.digest if course.plan is not None else "")
            self._beside("status", partial(push_desk.status_of, course.target), partial(self._told, mine))

    def _told(self, mine: str, status: Status) -> None:
        course = self.course
        if course.busy or status.target != course.target:
            return
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
