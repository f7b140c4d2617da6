"""The targets of the settings: what each runs and until when, what drifts, what its rules were hit by, live."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import Screen

from workbench.errors import WorkbenchError
from workbench.records.visible import visible
from workbench.tui import target_rows
from workbench.tui.conditions import quoted
from workbench.tui.looks import Look
from workbench.tui.paging import PAGE_ROWS
from workbench.tui.table_source import ArrowSource
from workbench.tui.widgets.keys import KeyLine
from workbench.tui.widgets.prose import Prose
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.tui.application import WorkbenchApp
    from workbench.tui.target_polling import Watched
    from workbench.workflows.target_watch import Joined, Seen

#: Seconds between two questions to a target while the screen is shown.
PERIOD: Final = 5.0
_SECOND: Final = 1.0
_FLOWS: Final = 2
#: What stands where the settings name no target.
EMPTY: Final = """The settings name no target yet.

[targets.dpu1]
kind = "ovs"
address = "ssh://root@dpu1"
bridge = "ovsbr1"

Add such a table to {path},
then: workbench push enrol dpu1 --signers FILE
docs/push.md tells of policies, signatures and pushes."""


class StateTable(VirtualTable):
    """Rows whose cells have the colour of what they say."""

    def _role(self, look: Look, text: str, base: Style) -> Style:
        role = target_rows.role_of(look.name, text)
        return base + self.get_component_rich_style(f"table--{role}") if role else base


class TargetsScreen(Screen[None]):
    """Targets above, what is to be said of one of them, and its rules. They are asked for as long as it is there."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (130, "-wide")]  # noqa: RUF012  typed so by Textual
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-short"), (32, "-tall")]  # noqa: RUF012

    DEFAULT_CSS = """
    TargetsScreen #targets-box { height: 5; }
    TargetsScreen #target-box { height: 6; }
    TargetsScreen.-tall #target-box { height: 13; }
    TargetsScreen #rules-box { height: 1fr; }
    TargetsScreen #targets, TargetsScreen #target-words, TargetsScreen #target-rules { height: 1fr; }
    TargetsScreen.-tiny #target-box { display: none; }
    TargetsScreen.-empty #targets-box { height: 1fr; }
    TargetsScreen.-empty #target-box, TargetsScreen.-empty #rules-box { display: none; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="targets.close", tooltip="Back; nobody is asked any more"),
        Binding("r", "again", "Ask now", id="targets.again", tooltip="Ask all targets now"),
        Binding("y", "copy", "Copy", id="targets.copy", tooltip="What is said of this target to the clipboard", show=False),
        Binding("tab", "app.focus_next", "Next part", id="targets.next", tooltip="To the next part of the screen", show=False),
        Binding(
            "shift+tab", "app.focus_previous", "Previous part", id="targets.previous", tooltip="To the part before", show=False
        ),
    ]

    @dataclass
    class Ready(Message):
        """The settings were read; or why not."""

        watched: Watched | None
        error: WorkbenchError | None = None

    @dataclass
    class Heard(Message):
        """A target was asked, or has answered. Later ones replace earlier ones: all is looked at."""

        def can_replace(self, message: Message) -> bool:
            """Only the latest counts."""
            return isinstance(message, TargetsScreen.Heard)

    @dataclass
    class Decided(Message):
        """Whether the case has verdicts of a rule; error: why that isn't known."""

        rule: str
        target: str
        flows: int
        error: Exception | None = None

    def __init__(self) -> None:
        super().__init__()
        self._watched: Watched | None = None
        self._joined: Joined | None = None
        self._gone = False
        self._of = ""  # whose rules are shown
        self._asking_case = False

    def compose(self) -> ComposeResult:
        """Targets, words, rules, keys."""
        with Vertical(id="targets-box"):
            yield TitleRule("targets", id="targets-title")
            yield StateTable(target_rows.TARGET_LOOKS, empty="Reading the settings.", id="targets")
        with Vertical(id="target-box"):
            yield TitleRule("this target", id="target-title")
            yield Prose(id="target-words")
        with Vertical(id="rules-box"):
            yield TitleRule("rules", id="rules-title")
            yield StateTable(target_rows.RULE_LOOKS, empty="Nothing is known yet.", id="target-rules")
        yield KeyLine()

    # -- parts ------------------------------------------------------------------------------------

    @property
    def table(self) -> VirtualTable:
        """The targets."""
        return self.query_one("#targets", VirtualTable)

    @property
    def rules(self) -> VirtualTable:
        """The rules of the one under the cursor."""
        return self.query_one("#target-rules", VirtualTable)

    @property
    def prose(self) -> Prose:
        """What is said of it."""
        return self.query_one("#target-words", Prose)

    @property
    def seen(self) -> list[Seen]:
        """All targets as they were last seen."""
        return self._watched.watch.seen if self._watched is not None else []

    @property
    def here(self) -> Seen | None:
        """The target under the cursor."""
        seen = self.seen
        return seen[self.table.cursor_row] if self.table.cursor_row < len(seen) else None

    # -- asking -----------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Read the settings; ask."""
        self.set_focus(self.table)
        self.set_interval(_SECOND, self._second)
        self.run_worker(self._read, group="settings", thread=True, exit_on_error=False)

    def _read(self) -> None:
        polling = cast("WorkbenchApp", self.app).polling
        try:
            self.post_message(self.Ready(polling.now()))
        except WorkbenchError as error:
            self.post_message(self.Ready(None, error))

    def on_targets_screen_ready(self, message: Ready) -> None:
        """Begin to ask them."""
        from workbench.settings import settings_path

        self._watched = message.watched
        self.set_class(not self.seen, "-empty")
        if message.error is not None:
            self.table.set_empty(f"{visible(message.error.message)}\n{visible(message.error.remedy)}")
        elif not self.seen:
            self.table.set_empty(EMPTY.format(path=visible(str(settings_path()))))
        elif not self._gone and message.watched is not None:
            self._joined = message.watched.watch.join(PERIOD, lambda _seen: self._heard())
        self.query_one("#targets-box").styles.height = (
            None if not self.seen else min(len(self.seen), 7, self.size.height // 4) + 2
        )
        self._show()

    def _heard(self) -> None:
        """From a target's thread."""
        if not self._gone:
            self.post_message(self.Heard())

    def on_targets_screen_heard(self, _message: Heard) -> None:
        """Show it."""
        self._show()

    def on_unmount(self) -> None:
        """Nobody is asked any more."""
        self._gone = True
        if self._joined is not None:
            self._joined.close()

    def action_again(self) -> None:
        """Ask all of them now."""
        if self._watched is not None:
            self._watched.watch.again()

    # -- showing ----------------------------------------------------------------------------------

    def _second(self) -> None:
        """Countdowns and ages go on by themselves."""
        if self.is_current and self.seen:
            self._lay(self.table, target_rows.target_table(self.seen, monotonic()))
            self._say()

    def _show(self) -> None:
        """All of it; cursors stay."""
        seen = self.seen
        self.query_one("#targets-title", TitleRule).title = target_rows.title(seen)
        if seen:
            self._lay(self.table, target_rows.target_table(seen, monotonic()))
        self._say()
        self._show_rules()

    def _lay(self, table: VirtualTable, rows: pa.Table, row: int | None = None) -> None:
        """Rows that are all here: nothing flickers."""
        source = ArrowSource(rows)
        table.set_source(source, None, row, {0: source.page(0, PAGE_ROWS)})

    def _say(self) -> None:
        one = self.here
        self.query_one("#target-title", TitleRule).title = (
            f"{one.target.name}: {one.target.kind} on {visible(str(one.target.far))}" if one is not None else "this target"
        )
        text = Text()
        for line, role in target_rows.words_of(one, monotonic()) if one is not None else []:
            style = self.rules.get_component_rich_style(f"table--{role}", partial=True) if role else ""
            text.append(visible(line) + "\n", style)
        if text != self.prose.text:
            self.prose.show(text, top=False)

    def _show_rules(self) -> None:
        one = self.here
        self.query_one("#rules-title", TitleRule).title = target_rows.rules_title(one)
        self.rules.set_empty(target_rows.rules_empty(one))
        fresh = one is not None and one.target.name != self._of
        self._of = one.target.name if one is not None else ""
        if one is not None:
            self._lay(self.rules, target_rows.rule_table(one), 0 if fresh else None)

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """Words and rules follow the cursor."""
        message.stop()
        one = self.here
        if message.table is self.table and one is not None and one.target.name != self._of:
            self._say()
            self.prose.scroll_home(animate=False)
            self._show_rules()

    # -- keys -------------------------------------------------------------------------------------

    def action_close(self) -> None:
        """Back to where the person was."""
        self.dismiss()

    def action_copy(self) -> None:
        """What is said of this target."""
        one = self.here
        if one is not None:
            self.app.copy_to_clipboard(self.prose.plain)
            self._tell("Copied", f"What is said of {one.target.name}.")

    def _tell(self, title: str, text: str) -> None:
        self.notify(visible(text), title=title, markup=False, timeout=4)

    def on_prose_left(self, message: Prose.Left) -> None:
        """Tab goes on to the rules."""
        message.stop()
        self.set_focus(self.rules)

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """From a target to its rules; from a rule to the flows that it decided, if the case knows of any."""
        message.stop()
        if message.table is self.table:
            self.set_focus(self.rules)
            return
        one, case = self.here, cast("WorkbenchApp", self.app).case_screen
        if one is None or self._asking_case:
            return
        if case is None or case.data is None:
            self._tell("Flows", "No case is open: open one to see the flows that this rule decided.")
            return
        rule, target, question = str(message.record["rule"]), one.target.name, case.data.question()
        self._asking_case = True

        def ask() -> None:
            sql = "SELECT count(*)::BIGINT AS n FROM verdicts WHERE rule_id = ? AND target = ?"
            try:
                flows = int(question.query(sql, (rule, target))["n"][0].as_py())
            except Exception as error:  # every failure is shown
                self.post_message(self.Decided(rule, target, 0, error))
            else:
                self.post_message(self.Decided(rule, target, flows))

        self.run_worker(ask, group="decided", thread=True, exit_on_error=False)

    def on_targets_screen_decided(self, message: Decided) -> None:
        """Show them in the case."""
        self._asking_case = False
        case = cast("WorkbenchApp", self.app).case_screen
        if message.error is not None or case is None:
            self._tell("Flows", str(message.error))
        elif not message.flows:
            self._tell(
                "No verdicts", f"The case has none of this rule. workbench push status {message.target} --case DIR brings them."
            )
        else:
            self.dismiss()
            wanted = f"verdicts.rule_id == {quoted(message.rule)} && verdicts.target == {quoted(message.target)}"
            case.filter_by(wanted, _FLOWS)
