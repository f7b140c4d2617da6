"""What the push screen does beside the event loop: what hangs holds up nobody, what was found wrong stays wrong."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.push.resident.people import bundle
from tests.tui.driving import screen_text, settle
from tests.tui.test_push_wizard import made_up, named
from workbench.errors import NotAsMeantError, PlanError
from workbench.push.channel import Limit
from workbench.push.plans import Plan, write_plan
from workbench.push.resident import workbench_dpu as dpu
from workbench.tui.application import WorkbenchApp
from workbench.tui.push_course import Stage, Step
from workbench.tui.push_work import PushWork
from workbench.tui.screens.dialog import ConfirmDialog
from workbench.tui.screens.push import PushScreen
from workbench.workflows import push_desk, push_policy
from workbench.workflows.push_desk import Desk, Waiting
from workbench.workflows.push_policy import Applied, Status

WRONG = "dpu1 runs something else than was meant: rule 3 allows 10.0.0.0/8"


@pytest.fixture
def work() -> PushWork:
    return PushWork(WorkbenchApp(), made_up(Stage.APPLY), lambda _: None)


def status(digest: str = "") -> Status:
    """Of a target where that waits; where nothing does, for ''."""
    waits = {"digest": digest, "remaining": 60.0} if digest else None
    said = {"pending": waits, "last": None, "confirmed": None, "down": None, "drift": None, "watched": True}
    return Status("dpu1", "", "waiting", said)


async def test_targets_that_hang_hold_up_neither_the_app_nor_its_end(monkeypatch, tmp_path):
    hung = threading.Event()
    limits: list[Limit] = []

    def asked(_name: str, limit: Limit) -> Status:
        limits.append(limit)
        hung.wait()
        return status()

    def applied(*_: object) -> Applied:
        hung.wait()
        raise PlanError("nobody looks any more")

    monkeypatch.setattr(push_desk, "status_of", asked)
    monkeypatch.setattr(push_desk, "desk", lambda: Desk(tuple((f"dpu{n}", "") for n in range(40)), "ada", "", ""))
    monkeypatch.setattr(push_policy, "apply_plan", applied)
    monkeypatch.setattr(push_desk, "same_case", lambda *_: None)
    app = WorkbenchApp()
    try:
        async with app.run_test() as pilot:
            work = PushWork(app, made_up(Stage.TARGET), lambda _: None)
            await app.push_screen(PushScreen(work))
            async with asyncio.timeout(60):  # of what never comes
                while len(limits) < 40:
                    await pilot.pause(0.01)
            assert await asyncio.wait_for(asyncio.to_thread(lambda: "answered"), 20) == "answered"
            assert {limit.seconds for limit in limits} == {20}
            work.course.stage = Stage.APPLY
            work.apply()
            await pilot.press("q")
            await pilot.pause()
            assert isinstance(app.screen, ConfirmDialog)
            text = "\n".join(screen_text(pilot))
            assert "Still applying on dpu1" in text
            await pilot.press("n")
            assert not any(limit.cancel.is_set() for limit in limits)
            app.pop_screen()  # whoever left it is told as well
            await pilot.pause()
            app.action_leave()
            await pilot.pause()
            assert "Still applying on dpu1" in "\n".join(screen_text(pilot))
            await pilot.press("y")
            async with asyncio.timeout(60):
                while app.is_running:
                    await pilot.pause(0.01)
        assert all(limit.cancel.is_set() for limit in limits)
    finally:
        hung.set()


async def test_what_was_not_as_meant_is_never_offered_and_what_is_not_from_here_is_asked_about(monkeypatch):
    done: list[str] = []
    monkeypatch.setattr(PushWork, "look", lambda _: None)
    monkeypatch.setattr(PushWork, "confirm", lambda _, key: done.append(f"confirm {key}"))
    monkeypatch.setattr(PushWork, "roll_back", lambda _: done.append("roll back"))
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:

        async def pressed(*keys: str) -> str:
            for key in keys:
                await pilot.press(key)
            await settle(pilot)
            return " ".join(" ".join(screen_text(pilot)).split())

        work = PushWork(app, made_up(Stage.APPLY), lambda _: None)
        course = work.course
        course.applied = None
        await app.push_screen(PushScreen(work))
        work._failed(Step.APPLIED, NotAsMeantError(WRONG, "Don't confirm it.", course.plan.digest))
        work._told(course.plan.digest, status(course.plan.digest))
        work.seen()
        text = await pressed()
        assert text.count("rule 3 allows 10.0.0.0/8") >= 2  # its line, and beside the countdown
        assert "c confirm" not in text
        assert "c CONFIRM" not in text
        assert "r ROLL BACK" in text
        assert "Another key" not in text
        assert "Go on" not in text
        course.trouble = None  # of something that was tried after it
        text = await pressed("c", "a", "enter")
        assert (done, app.screen.course) == ([], course)
        assert "rule 3 allows 10.0.0.0/8" in text
        await pressed("r")
        assert done == ["roll back"]

        done.clear()
        course.waits = Waiting("dpu1", "ab" * 32, 60.0, "open-all", "eve")
        course.wait("ab" * 32, 60.0)
        work.seen()
        text = await pressed()
        assert "open-all by eve on dpu1, not applied from here" in text
        assert "push contain" not in text
        for key, does in (("c", "confirm ~/.ssh/ada"), ("r", "roll back")):
            text = await pressed(key)
            assert "not applied from here?" in text
            assert "open-all by eve (abababababababab)" in text
            await pressed("n")
            assert done == []
            await pressed(key, "y")
            assert done == [does]
            done.clear()
        course.waits, course.mine = None, course.plan.digest
        course.wrong.clear()
        course.applied = Applied("dpu1", course.mine, 0.0, 96)
        await pressed("c", "r")
        assert done == ["confirm ~/.ssh/ada", "roll back"]


def test_an_answer_about_an_earlier_push_is_not_one_about_this(work, monkeypatch):
    course = work.course
    asked = []
    monkeypatch.setattr(PushWork, "_status", lambda _, name, target, then: asked.append(then))
    monkeypatch.setattr(PushWork, "_start", lambda _, work, *__: work.close())
    course.wait(course.plan.digest, 60)
    work.look()
    course.wait("cd" * 32, 60)
    asked[0](status())
    assert course.stage is Stage.WAITING
    work.look()
    work.roll_back()  # what is asked after this counts, what was asked before it does not
    course.busy = ""
    asked[1](status())
    assert course.stage is Stage.WAITING
    work.look()
    asked[2](status())
    assert (course.stage, course.outcome) == (Stage.OVER, ("gone", ""))


def test_a_reason_is_for_what_stood_there_as_it_was_given(work, monkeypatch):
    monkeypatch.setattr(PushWork, "_start", lambda _, work, *__: work.close())
    work.plan("it moves today")
    assert work.course.force == "it moves today"
    work.course.busy = ""
    work.plan()
    assert work.course.force == ""


def test_only_the_plan_on_the_screen_is_sent(work, tmp_path: Path):
    plan = replace(work.course.plan, signature="ada's")
    path = tmp_path / "plan"
    other = Plan(dpu.canonical(bundle(sequence=2, policy=named())).decode(), signature="ada's")
    for there, wrong in ((other, "is not the plan"), (replace(plan, case="/elsewhere"), "names another case now")):
        write_plan(path, there)
        with pytest.raises(PlanError, match=wrong):
            work._apply(path, plan)


def test_a_signature_that_came_while_something_was_done_is_read_again(work, tmp_path: Path, monkeypatch):
    course = work.course
    course.stage, course.path = Stage.APPROVE, tmp_path / "plan"
    write_plan(course.path, course.plan)
    monkeypatch.setattr(push_desk, "who_signed", lambda plan: (plan.signature, plan.approval))
    busy = work._gather(course.path, ())
    course.busy = "writing a copy"
    work._gathered(busy)
    course.busy = ""
    assert work._gather(course.path, ()) is not None

    def read(path: Path, _others: tuple[Path, ...]) -> Plan:
        write_plan(path, replace(course.plan, signature="ada's", approval="ben's"))  # right after it was read
        return course.plan

    with monkeypatch.context() as patch:
        patch.setattr(push_desk, "gathered", read)
        work._gathered(work._gather(course.path, ()))
    assert work._gather(course.path, ()) is not None
    work._gathered(work._gather(course.path, ()))
    assert work._gather(course.path, ()) is None
