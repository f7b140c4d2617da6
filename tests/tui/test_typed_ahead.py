"""Keys that come faster than they are handled act in their order, each where it was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList

from tests.tui.driving import settle
from workbench.tui import application
from workbench.tui.application import WorkbenchApp


class Asking(ModalScreen[str]):
    """A line to type in, and a list beside it."""

    BINDINGS = [Binding("escape", "dismiss", "Close")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield Input(id="line")
        yield OptionList("one", "two", "three", id="list")


class Ahead(WorkbenchApp):
    """The app with a key for that."""

    CSS_PATH = Path(application.__file__).parent / "styles" / "app.tcss"

    BINDINGS = [Binding("a", "ask", "Ask")]  # noqa: RUF012

    def action_ask(self) -> None:
        self.set_focus(None)
        self.push_screen(Asking())


def type_ahead(app: Any, *keys: str) -> None:
    """All at once, as a terminal gives them that was typed into while the app was busy."""
    for key in keys:
        app.post_message(events.Key(key, key if len(key) == 1 else None))


async def opened(pilot: Any) -> Asking:
    await settle(pilot)
    while not isinstance(pilot.app.screen, Asking) or pilot.app._ahead._keys:
        await pilot.pause(0.01)
    await settle(pilot)
    return pilot.app.screen


async def test_what_is_typed_behind_the_key_that_opens_a_dialog_is_in_the_dialog():
    async with Ahead().run_test() as pilot:
        await settle(pilot)
        pilot.app.set_focus(None)
        type_ahead(pilot.app, "a", *"whynot")
        asking = await opened(pilot)
        assert asking.query_one("#line", Input).value == "whynot"


async def test_keys_behind_one_that_moves_the_focus_go_where_it_went():
    async with Ahead().run_test() as pilot:
        await settle(pilot)
        pilot.app.set_focus(None)
        type_ahead(pilot.app, "a")
        asking = await opened(pilot)
        found = asking.query_one("#list", OptionList)
        found.focus()
        await settle(pilot)
        type_ahead(pilot.app, "shift+tab", "x", "y")
        await settle(pilot)
        assert asking.query_one("#line", Input).value == "xy"
        assert found.highlighted is None or found.highlighted == 0


async def test_a_screen_that_never_comes_up_keeps_no_keys_for_ever(monkeypatch):
    monkeypatch.setattr("workbench.tui.typed_ahead._PATIENCE", 0.05)
    async with Ahead().run_test() as pilot:
        await settle(pilot)
        pilot.app.set_focus(None)
        pilot.app.screen.set_reactive(type(pilot.app.screen).stack_updates, 0)
        type_ahead(pilot.app, "a")
        await opened(pilot)
