"""The saved questions: a list that typing narrows, and a form for the parameters of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from workbench.errors import UsageError
from workbench.records.visible import visible

if TYPE_CHECKING:
    from workbench.detections.question import Question


#: Letters of a description that are shown: four lines on the smallest screen.
_ABOUT: Final = 270


@dataclass(frozen=True, slots=True)
class Saved:
    """One entry of the list. question: where it has parameters or may have; None for a view."""

    id: str
    kind: str
    title: str
    description: str
    sql: str
    question: Question | None = None


def saved_of(questions: Mapping[str, Question], views: Mapping[str, str]) -> list[Saved]:
    """Hunts, detections, views; each kind by its titles."""
    found = [Saved(one.id, one.kind, one.title, one.description, one.sql, one) for one in questions.values()]
    found.sort(key=lambda one: (one.kind != "hunt", one.title.lower()))
    return [*found, *(Saved(name, "view", f"all of {name}", "", f"SELECT *\nFROM {name}") for name in sorted(views))]


class SavedPicker(ModalScreen[tuple[Saved, bool] | None]):
    """All of them; typing narrows the list by title, words and id."""

    DEFAULT_CSS = """
    SavedPicker #saved-about { height: 4; margin-top: 1; }  /* the list keeps its place while one walks through it */
    SavedPicker .dialog-keys { margin-top: 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="saved.cancel", tooltip="Leave the editor as it is"),
        Binding("down", "step(1)", "Down", show=False, id="saved.down", tooltip="Next question", priority=True),
        Binding("up", "step(-1)", "Up", show=False, id="saved.up", tooltip="Previous question", priority=True),
        Binding("ctrl+e", "edit", "Edit", id="saved.edit", tooltip="Its SQL into the editor, not asked", priority=True),
    ]

    def __init__(self, saved: Sequence[Saved], refused: int) -> None:
        """refused: files with mistakes, which are not in the list."""
        super().__init__()
        self._saved, self._refused = tuple(saved), refused

    def compose(self) -> ComposeResult:
        """A line to narrow the list, the list, what the one under the cursor is."""
        with Vertical(classes="dialog tall wide"):
            yield Static(Text(f"{len(self._saved)} saved questions", style="bold"), classes="dialog-title")
            yield Input(placeholder="type to narrow: scan, beacon, conn…", compact=True)
            yield OptionList(*self._options(""))
            yield Static(id="saved-about")
            yield Static(Text(self._keys(), style="dim"), classes="dialog-keys")

    def _keys(self) -> str:
        many = "1 file was" if self._refused == 1 else f"{self._refused} files were"
        refused = f"; {many} refused: `workbench query --list` says why" if self._refused else ""
        return f"Enter runs it, ctrl+e puts it into the editor, Esc closes{refused}"

    def on_mount(self) -> None:
        """The first."""
        self.query_one(OptionList).highlighted = 0

    def _options(self, narrowed: str) -> list[Option]:
        wanted = narrowed.lower().split()
        found = []
        for one in self._saved:
            if all(word in f"{one.id} {one.kind} {one.title} {one.description}".lower() for word in wanted):
                text = (
                    Text(f"{one.kind:<10} ", "dim").append(visible(one.title[:100]), "not dim bold").append(f"  {one.id}", "dim")
                )
                text.no_wrap, text.overflow = True, "ellipsis"
                found.append(Option(text, id=f"{one.kind}:{one.id}"))
        return found

    def _one(self, option: Option) -> Saved:
        return next(one for one in self._saved if f"{one.kind}:{one.id}" == option.id)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        options = self.query_one(OptionList)
        options.clear_options().add_options(self._options(event.value.strip()))
        if options.option_count:
            options.highlighted = 0
        else:
            self.query_one("#saved-about", Static).update(Text("None has these words."))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """What it is."""
        words = self._one(event.option).description
        words = words if len(words) <= _ABOUT else words[:_ABOUT].rpartition(" ")[0] + " …"
        self.query_one("#saved-about", Static).update(Text(visible(words)))

    def on_input_submitted(self) -> None:
        """Enter in the line chooses what is highlighted."""
        self.query_one(OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Ask it."""
        self.dismiss((self._one(event.option), True))

    def action_edit(self) -> None:
        """Its SQL only."""
        options = self.query_one(OptionList)
        if options.highlighted is not None:
            self.dismiss((self._one(options.get_option_at_index(options.highlighted)), False))

    def action_step(self, by: int) -> None:
        """Move through the list while typing."""
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()


class ParameterForm(ModalScreen[Mapping[str, Any] | None]):
    """A line for each parameter with its type, default and help; gives what the SQL takes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel", id="form.cancel", tooltip="Do not ask"),
        Binding("down,tab", "app.focus_next", "Next", show=False, id="form.next", tooltip="Next parameter"),
        Binding("up,shift+tab", "app.focus_previous", "Previous", show=False, id="form.previous", tooltip="Parameter before"),
    ]

    def __init__(self, question: Question, written: Mapping[str, str]) -> None:
        """written: what was written last time."""
        super().__init__()
        self._question, self._written = question, written

    def compose(self) -> ComposeResult:
        """The lines."""
        with Vertical(classes="dialog wide"):
            yield Static(Text(visible(self._question.title), style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                for one in self._question.parameters.values():
                    yield Static(Text(one.name, "bold").append(f"  {one.kind}: {visible(one.help)}", "not bold"))
                    yield Input(
                        self._written.get(one.name, one.shown), placeholder=f"{one.shown}", compact=True, id=f"p-{one.name}"
                    )
            yield Static(Text(_FORM_KEYS, style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """To the first line."""
        self.set_focus(self.query(Input).first())

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter asks; what is no value is said, and its line has the cursor."""
        event.stop()
        values: dict[str, Any] = {}
        for one in self._question.parameters.values():
            line = self.query_one(f"#p-{one.name}", Input)
            try:
                values[one.name] = one.value(line.value.strip() or one.default)
            except UsageError as error:
                words = f"✗ {visible(error.message)}. {visible(error.remedy)}"
                self.query_one(".dialog-keys", Static).update(Text(words, style="bold"))
                self.set_focus(line)
                return
        self.dismiss(values)


_FORM_KEYS = "Enter runs it, Up and Down move, an empty line is the default, Esc closes"
