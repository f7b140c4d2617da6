"""Dialogs: an error with its remedy, a question, a line to type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from workbench.errors import WorkbenchError
from workbench.records.visible import visible


class ErrorDialog(ModalScreen[None]):
    """What happened, why, and what to do about it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="error.close", tooltip="Close this message"),
    ]

    def __init__(self, title: str, message: str, remedy: str = "") -> None:
        super().__init__()
        self._parts = (visible(title), "\n".join(visible(line) for line in message[:4000].split("\n")), visible(remedy[:1000]))

    @classmethod
    def of(cls, error: BaseException) -> ErrorDialog:
        """The dialog for any exception; one that is not ours is a bug and says so."""
        if isinstance(error, WorkbenchError):
            return cls(error.title, error.message, error.remedy)
        return cls(
            "Something went wrong",
            f"{type(error).__name__}: {error}",
            "This is a fault in workbench. The case is as it was; please report what you did.",
        )

    @classmethod
    def of_all(cls, errors: Sequence[WorkbenchError]) -> ErrorDialog:
        """One dialog for several errors of one kind of work."""
        if len(errors) == 1:
            return cls.of(errors[0])
        lines = [f"{error.message} {error.remedy}" for error in errors[:20]]
        more = [f"and {len(errors) - 20} more; the ledger lists them all"] if len(errors) > 20 else []
        return cls(f"{len(errors)} files yielded nothing", "\n".join([*lines, *more]))

    def compose(self) -> ComposeResult:
        """Title, message, remedy, and how to go on."""
        title, message, remedy = self._parts
        with Vertical(classes="dialog error"):
            yield Static(Text(f"✗ {title}", style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body"):
                yield Static(Text(message))
                if remedy:
                    yield Static(Text(f"→ {remedy}"), classes="remedy")
            yield Static(Text("Esc or Enter closes", style="dim"), classes="dialog-keys")


class ConfirmDialog(ModalScreen[bool]):
    """A question with two answers; Esc is no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no", tooltip="Leave it as it is"),
    ]

    def __init__(self, title: str, question: str, yes: str, no: str) -> None:
        super().__init__()
        self._parts = (title, question, yes, no)

    def compose(self) -> ComposeResult:
        """The question and what each answer does."""
        title, question, yes, no = self._parts
        with Vertical(classes="dialog"):
            yield Static(Text(title, style="bold"), classes="dialog-title")
            yield Static(Text(question))
            keys = Text("\n")
            for key, what in (("y", yes), ("n", no)):
                keys.append(f" {key} ", "reverse").append(f" {what}   ")
            yield Static(keys, classes="dialog-keys")

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class PromptDialog(ModalScreen[str | None]):
    """One line of text; Esc gives none. check: what is wrong with an answer, '' when it will do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="prompt.cancel", tooltip="Close without an answer"),
    ]

    def __init__(self, title: str, hint: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self._title, self._hint, self._check = title, hint, check

    def compose(self) -> ComposeResult:
        """Title, the line, and what it takes."""
        with Vertical(classes="dialog"):
            yield Static(Text(self._title, style="bold"), classes="dialog-title")
            yield Input(compact=True)
            yield Static(Text(self._hint, style="dim"), classes="dialog-keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter closes with the text, or says what is wrong with it."""
        answer = event.value.strip()
        wrong = self._check(answer) if answer else ""
        if wrong:
            self.query_one(".dialog-keys", Static).update(Text(f"✗ {wrong}", style="bold"))
        else:
            self.dismiss(answer or None)
