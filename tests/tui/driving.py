"""Driving the app in a test: press, wait until nothing is on its way, read the screen."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from rich.cells import set_cell_size
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from tests.tui.quiet import at_work
from workbench.tui.screens.case import CaseScreen
from workbench.tui.screens.filtering import FilterPane
from workbench.tui.views.base import CaseView
from workbench.tui.views.flows import FlowsView
from workbench.tui.views.packets import PacketsView
from workbench.tui.widgets.detail import FlowDetail
from workbench.tui.widgets.virtual_table import VirtualTable

#: What a table waits for may never come where that is what is tested.
_ROUNDS = 25


async def settle(pilot: Pilot[Any]) -> None:
    """Until the workers have ended and what they posted was handled."""
    for _ in range(_ROUNDS):
        await pilot.pause()
        while at_work() or not all(part.resting for part in restless(pilot)):
            with suppress(WorkerCancelled):  # another took its place meanwhile
                await pilot.app.workers.wait_for_complete()
            await pilot.pause(0.01)
        if not waiting(pilot):
            break
        await pilot.pause(0.02)
    for _ in range(2):  # the first lays out what changed, which is news to the parts of it
        await pilot.pause()


def waiting(pilot: Pilot[Any]) -> bool:
    """Whether a case has said nothing yet, or a row under a cursor is still on its way."""
    screens = pilot.app.screen_stack
    silent = any(s.counting is not None and not s._answered for s in screens if isinstance(s, CaseScreen))
    return silent or any(table.total and table.record is None for s in screens for table in s.query(VirtualTable))


def restless(pilot: Pilot[Any]) -> list[FilterPane | FlowDetail | CaseView]:
    """Parts that wait a moment before they ask."""
    screens = pilot.app.screen_stack
    shown = [s.shown for s in screens if isinstance(s, CaseScreen)]
    return [*(p for s in screens for kind in (FilterPane, FlowDetail) for p in s.query(kind)), *shown]


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """One after the other; after the key of a view its rows are waited for, which the next key may be about."""
    for key in keys:
        await pilot.press(key)
        if key.isdigit():
            await settle(pilot)
    await settle(pilot)


def screen_text(pilot: Pilot[Any]) -> list[str]:
    """The lines of the terminal as text."""
    width, height = pilot.app.size
    strips = pilot.app.screen._compositor.render_strips()
    return [set_cell_size("".join(segment.text for segment in strip), width) for strip in strips[:height]]


def case_screen(pilot: Pilot[Any]) -> CaseScreen:
    screen = next(s for s in pilot.app.screen_stack if isinstance(s, CaseScreen))
    assert isinstance(screen, CaseScreen)
    return screen


def flows_view(pilot: Pilot[Any]) -> FlowsView:
    return case_screen(pilot).query_one(FlowsView)


def packets_view(pilot: Pilot[Any]) -> PacketsView:
    return case_screen(pilot).query_one(PacketsView)


def packets_shown(pilot: Pilot[Any]) -> bool:
    return isinstance(case_screen(pilot).shown, PacketsView)
