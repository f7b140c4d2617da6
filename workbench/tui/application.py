"""The app: which screen, which case, the keys that work everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.filter import LineFilter, Monochrome, NoColor
from textual.screen import Screen

from workbench.audit.heads import leave_terminal_alone
from workbench.records.visible import visible
from workbench.tui.attaching import SETTLE_SECONDS, Attachments
from workbench.tui.colourless import Colourless
from workbench.tui.commands import Commands
from workbench.tui.data import CaseData
from workbench.tui.indexing import STOP_SECONDS, IndexRun
from workbench.tui.keymap import wrong_keys
from workbench.tui.messages import IndexingChanged, LiveChanged
from workbench.tui.once import once
from workbench.tui.push_work import going_on
from workbench.tui.recent import load_recent
from workbench.tui.screens.case import CaseScreen
from workbench.tui.screens.dialog import ConfirmDialog, ErrorDialog
from workbench.tui.screens.help import HelpDialog
from workbench.tui.screens.push import PushScreen
from workbench.tui.screens.start import StartScreen
from workbench.tui.target_polling import Polling
from workbench.tui.themes import THEMES
from workbench.tui.typed_ahead import TypedAhead
from workbench.tui.views import FIRST, NAMES, VIEWS

#: Seconds after the end of a message when it is seen to that it is gone.
_LINGER: Final = 0.5


class WorkbenchApp(App[int]):
    """Give it a case (`data`), an index run that fills one, sources it is attached to, or nothing (the start screen)."""

    TITLE = "workbench"
    CSS_PATH = "styles/app.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[type[Provider]]] = {Commands}  # type: ignore[assignment]

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+q,ctrl+c", "leave", "Quit", id="app.quit", tooltip="Leave; asks first while indexing"),
        Binding("question_mark,f1", "help", "Help", id="app.help", tooltip="Every key that works here"),
        Binding("E", "targets", "Targets", id="app.targets", tooltip="Targets: what the DPUs run, live", show=False),
        Binding("ctrl+p", "command_palette", "Commands", id="app.commands", tooltip="Find an action by name"),
    ]

    def __init__(
        self,
        data: CaseData | None = None,
        run: IndexRun | None = None,
        live: Attachments | None = None,
        *,
        keymap: Mapping[str, str] | None = None,
        theme: str = "workbench-dark",
        first_view: str = "flows",
    ) -> None:
        super().__init__()
        self.polling = Polling()  # reads nothing yet
        self._data = data
        self._run = run
        self._live = live
        self._keys = dict(keymap or {})
        numbers = {name.lower(): number for number, name in NAMES.items() if number in VIEWS}
        self._first = numbers.get(first_view, FIRST)
        for look in THEMES:
            self.register_theme(look)
        self.theme = theme
        self._ahead = TypedAhead(self)
        self._colourless = Colourless(lambda: self.current_theme.dark)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With NO_COLOR no colours at all, where Textual's own filter would leave greys."""
        filters = super().get_line_filters()
        if not self.no_color:
            return filters
        return [*(one for one in filters if not isinstance(one, Monochrome | NoColor)), self._colourless]

    def on_mount(self) -> None:
        """The first screen."""
        leave_terminal_alone()
        if self._keys:
            self.set_keymap(self._keys)
            self.run_worker(self._check_keys, group="keys", thread=True, exit_on_error=False)
        if self._data is None and self._run is None and self._live is None:
            self.push_screen(StartScreen(load_recent()))
        else:
            self.push_screen(CaseScreen(self._data, self._run, first=self._first, live=self._live))

    @property
    def attached(self) -> Attachments | None:
        """What the app is attached to, or was."""
        return (self.case_screen.attached if self.case_screen is not None else None) or self._live

    @property
    def case_screen(self) -> CaseScreen | None:
        """The case that is open, whatever stands above it."""
        return next((screen for screen in self.screen_stack if isinstance(screen, CaseScreen)), None)

    async def on_event(self, event: events.Event) -> None:
        """Keys in their order."""
        if isinstance(event, events.Key) and not event.is_forwarded and self.screen_stack and await self._ahead.take(event):
            return
        await super().on_event(event)

    def notify(self, message: str, **how: Any) -> None:
        """A message that goes away by itself, and does: one that is put on another screen as it ends has no timer there."""
        super().notify(message, **how)
        once(self, (how.get("timeout") or self.NOTIFICATION_TIMEOUT) + _LINGER, self._refresh_notifications)

    def _check_keys(self) -> None:
        """What is wrong with the keys of the settings, a message each; in a thread, as it looks at every part of the app."""
        for wrong in wrong_keys(self._keys):
            self.call_from_thread(self.notify, wrong, title="Keys in the settings", severity="warning", markup=False, timeout=20)

    def action_help(self) -> None:
        """Keys of what has the focus."""
        self.push_screen(HelpDialog(self.screen))

    def action_targets(self) -> None:
        """What the DPUs of the settings run; again: back."""
        from workbench.tui.screens.targets import TargetsScreen

        if isinstance(self.screen, TargetsScreen):
            self.screen.dismiss()
        elif not any(isinstance(screen, TargetsScreen) for screen in self.screen_stack):
            self.push_screen(TargetsScreen())

    async def action_quit(self) -> None:
        """Textual's own way out takes ours."""
        self.action_leave()

    def action_leave(self) -> None:
        """Leave; while indexing, attached to something, a push is sent or signed, or before its countdown, ask first."""
        if going := going_on(self):
            if not isinstance(self.screen, ConfirmDialog):
                words = (
                    "Leaving does not wait for it: it may be done or not. push status tells; what nobody confirms is rolled back."
                )
                dialog = ConfirmDialog(visible(f"Still {going}"[:200]), words, "quit", "stay")
                self.push_screen(dialog, lambda yes: self._leave() if yes else None)
            return
        if isinstance(self.screen, PushScreen) and self.screen.leaving(self._leave):
            return
        self._leave()

    def _leave(self) -> None:
        run = self._run
        live = self.attached
        if live is not None and live.going_on:
            self._live = live
            self._ask_to_detach(live)
            return
        if run is None or run.done:
            self._end()
            return
        if isinstance(self.screen, ConfirmDialog):
            return
        question = ConfirmDialog(
            "Still indexing",
            "What was read until now is kept; the rest can be indexed later by opening the capture again.",
            "stop and quit",
            "go on",
        )
        self.push_screen(question, self._stop_and_leave)

    def _ask_to_detach(self, live: Attachments) -> None:
        if isinstance(self.screen, ConfirmDialog):
            return
        names = ", ".join(run.name for run in live.going_on)
        question = ConfirmDialog(
            f"Attached to {names[:200]}",
            "Leaving ends the capture: what was captured is taken in, and what is open is written.",
            "detach and quit",
            "go on",
        )
        self.push_screen(question, self._detach_and_leave)

    def _detach_and_leave(self, yes: bool | None) -> None:
        if yes and self._live is not None:
            self._live.stop()
            self.screen.post_message(LiveChanged())
            self.run_worker(self._leave_when_settled, group="leave", thread=True, exit_on_error=False)

    def _leave_when_settled(self) -> None:
        assert self._live is not None
        self._live.wait(SETTLE_SECONDS)
        self.call_from_thread(self._end)

    def _stop_and_leave(self, yes: bool | None) -> None:
        if yes and self._run is not None:
            self._run.cancel()
            self.screen.post_message(IndexingChanged())
            self.run_worker(self._leave_when_done, group="leave", thread=True, exit_on_error=False)

    def _leave_when_done(self) -> None:
        assert self._run is not None
        self._run.wait(STOP_SECONDS)
        self.call_from_thread(self._end)

    def _end(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, CaseScreen):
                screen.leave()
        self.exit(0)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None: the palette has our own."""
        del screen
        return ()

    def on_start_screen_open_requested(self, message: StartScreen.OpenRequested) -> None:
        """Open what was chosen."""
        self.run_worker(lambda: self._plan(message.path), group="open", exclusive=True, thread=True, exit_on_error=False)

    def _plan(self, path: str) -> None:
        from workbench.tui.app import opened
        from workbench.workflows.open_case import plan_open

        try:
            data, run = opened(plan_open((path,), None))
        except Exception as error:  # every failure is shown
            self.call_from_thread(self.push_screen, ErrorDialog.of(error))
            return
        self.call_from_thread(self._show, data, run)

    def _show(self, data: CaseData | None, run: IndexRun | None) -> None:
        self._data, self._run = data, run
        self.switch_screen(CaseScreen(data, run, first=self._first))
