"""Once a moment later, also where the process was held up."""

from __future__ import annotations

import asyncio
import itertools

from textual.app import App
from textual.widgets._toast import Toast

from workbench.tui.application import WorkbenchApp
from workbench.tui.once import once


async def test_a_timer_that_is_late_is_not_given_up(monkeypatch):
    came = []
    async with App().run_test() as pilot:
        clock = itertools.count(0.0, 10.0)  # at each look ten seconds have passed
        monkeypatch.setattr("textual.timer._time.get_time", lambda: next(clock))
        lost = pilot.app.set_timer(0.001, lambda: came.append("skipped"))
        kept = once(pilot.app, 0.001, lambda: came.append("late"))
        await lost._task
        await kept._task
        monkeypatch.undo()
        await pilot.pause()
    assert came == ["late"]


async def test_it_can_be_stopped():
    came = []
    async with App().run_test() as pilot:
        once(pilot.app, 0.001, lambda: came.append(1)).stop()
        await asyncio.sleep(0.01)
        await pilot.pause()
    assert not came


async def test_a_message_goes_away_though_its_timer_was_lost(monkeypatch):
    shown = []
    monkeypatch.setattr(Toast, "_on_mount", lambda _toast, event: shown.append(event))
    monkeypatch.setattr("workbench.tui.application._LINGER", 0.001)
    async with WorkbenchApp().run_test(notifications=True) as pilot:
        for seconds in range(1, 60):  # it takes a turn or two until a message is seen
            pilot.app.notify("done", timeout=seconds / 5)
            await asyncio.sleep(seconds / 5)
            if shown:
                break
        for _ in range(1000):
            if not pilot.app.screen.query(Toast):
                break
            await asyncio.sleep(0.02)
        assert not pilot.app.screen.query(Toast)
    assert shown
