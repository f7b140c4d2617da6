"""Matrix: who talks to whom, by prefix or by groups of workloads, and inwards to hosts, workloads and their flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, get_args

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from workbench.analysis.group_matrix import GROUP_MEASURES, MEMBERS
from workbench.analysis.matrix import HOSTS, LEVELS, Between, Matrix, Measure
from workbench.errors import CancelledError
from workbench.records.visible import visible
from workbench.store.reader import Question
from workbench.tui import figures, matrix_ends
from workbench.tui.conditions import joined
from workbench.tui.data import CaseData, Summary, View
from workbench.tui.latest import Latest
from workbench.tui.matrix_ends import Grouped, Pair, Path
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.views.base import FLOW_KEYS, CaseView, Subject
from workbench.tui.widgets.matrix_grid import MatrixGrid, called, words
from workbench.tui.widgets.rule import TitleRule

_MEASURES: Final[tuple[Measure, ...]] = get_args(Measure)
_EMPTY: Final = "No flow between two addresses here.\nBackspace brings the filter before back, R all of the time."


class MatrixView(CaseView):
    """The grid, and the cell under the cursor in words."""

    number = 4
    name_ = "Matrix"
    about = "Who talks to whom, by prefix or group; Enter goes inwards to hosts or workloads, and flows."

    SCOPED_CSS: ClassVar[bool] = False
    DEFAULT_CSS = """
    MatrixView { layout: vertical; }
    #matrix { height: 1fr; }
    #cell-box { height: auto; }
    #cell { height: 4; padding: 0 1; }
    .-tall #cell { height: 5; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v", "measure", "Shade by", id="matrix.measure", tooltip="Shade by flows, bytes, packets; groups by findings, too"
        ),
        Binding("x", "numbers", "Numbers", id="matrix.numbers", tooltip="Numbers in place of shades, or shades again"),
        Binding("o", "flows", "Flows", id="matrix.flows", tooltip="The flows of this cell"),
        Binding("w", "group", "Who", id="matrix.group", tooltip="Prefixes, or workloads by namespace, node, kind or a label"),
    ]

    @dataclass
    class Answered(Message):
        """A matrix has been summed, or more about a cell is known."""

        asked: tuple[Any, ...]
        found: Grouped | Between | Exception

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self.path: Path = ()
        self.by = "flows"
        self.grouping = ""  # what workloads are grouped by; '' for prefixes of addresses
        self.labels: tuple[tuple[str, int], ...] = ()
        self.found: Matrix | None = None
        self._view, self._summary = View(), Summary()
        self._before: View | None = None
        self._shown_path: Path = ()
        self._shown_grouping = ""
        self._asked: tuple[Any, ...] | None = None
        self._shown: tuple[Any, ...] | None = None
        self._about: tuple[Any, ...] | None = None
        self._more: Between | None = None
        self._summing = self._looking = False
        self._questions: dict[str, Question] = {}
        self._lanes: dict[str, Latest] = {}
        self._watch = Stopwatch()

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed."""
        return FLOW_KEYS

    def compose(self) -> ComposeResult:
        """Grid and words."""
        yield TitleRule("matrix", id="matrix-title")
        yield MatrixGrid(id="matrix")
        with Vertical(id="cell-box"):  # so that its title is not marked: the focus is in the grid
            yield TitleRule("this cell", id="cell-title")
            yield Static("", id="cell", markup=False)

    @property
    def grid(self) -> MatrixGrid:
        """The cells."""
        return self.query_one("#matrix", MatrixGrid)

    def enter(self) -> None:
        """To the cells."""
        self.screen.set_focus(self.grid)

    # -- asking -----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:
        """Sum the flows of this filter and range; the matrix of before stays until then."""
        self._view, self._summary = view, summary
        self._ask()

    def _ask(self) -> None:
        data = self.frame.data
        extent = self._summary.extent
        if data is None or extent is None:
            self._say_empty(self.frame.waiting or "There are no flows in this case. L shows what was not decoded.")
            return
        asked = (data.generation, self._summary.flows, self._view.filter, self._view.span, self.path, self.by, self.grouping)
        if asked == self._asked:
            return
        self._asked, self._summing = asked, True
        if self.found is None:
            self._say_empty("Summing up \u2026 Esc stops.")
        self._watch.begin()
        span, labelled = self._view.span or extent, bool(self.labels)
        work = partial(matrix_ends.summed, data, self._view, span, self.path, self.by, self.grouping, labelled=labelled)
        self._start("matrix", work, asked, data)
        self._titles()
        self.frame.changed()

    def _say_empty(self, text: str) -> None:
        """What stands where there is no matrix."""
        self.grid.empty = text
        self.grid.refresh()

    def _start(self, kind: str, work: Any, asked: tuple[Any, ...], data: CaseData) -> None:
        """Ask in a lane of its own, instead of what was asked there before."""
        if kind in self._questions:
            self._questions[kind].stop()
        question = self._questions[kind] = data.question()
        lane = self._lanes.setdefault(kind, Latest(self, kind))

        def answer() -> None:
            try:
                self.post_message(self.Answered(asked, work(question)))
            except Exception as error:  # every failure is shown
                self.post_message(self.Answered(asked, error))

        lane.ask(answer)

    def on_matrix_view_answered(self, message: Answered) -> None:
        """Show it, where it is what was asked for last."""
        message.stop()
        found = message.found
        if message.asked == self._about and not isinstance(found, Grouped):
            self._looking = False
            self._more = found if isinstance(found, Between) else None
            self._describe()
        if message.asked == self._asked and not isinstance(found, Between):
            self._summing = False
            if isinstance(found, Grouped):
                self.labels = found.labels or self.labels
                self._watch.end(len(found.matrix.cells))
                self._show(found.matrix)
            else:
                self._asked, self.path, self.grouping = self._shown, self._shown_path, self._shown_grouping
                if not isinstance(found, CancelledError):
                    self.frame.say(found)
        self._titles()
        self.frame.changed()

    def _show(self, found: Matrix) -> None:
        here, self.found = self.grid.here, found
        moved = (self._shown_path, self._shown_grouping) != (self.path, self.grouping)
        self._shown, self._shown_path, self._before = self._asked, self.path, self._view
        self._shown_grouping = self.grouping
        self.grid.empty = _EMPTY
        row, column = (
            (found.rows.index(here[0]) if here and here[0] in found.rows else 0),
            (found.columns.index(here[1]) if here and here[1] in found.columns else 0),
        )
        if (moved or here is None) and found.cells:  # the biggest cell is where one looks first
            row, column = max(found.cells, key=lambda at: (found.cells[at].measure(self.by), -at[0], -at[1]))
        self.grid.show(found, self.by, row=row, column=column)

    def stop(self) -> bool:
        """Stop summing; else go back outwards."""
        if self._summing:
            self._questions["matrix"].stop()
            self._summing, self._asked, self.path = False, self._shown, self._shown_path
            self.grouping = self._shown_grouping
            self._say_empty("Stopped. r asks again; a filter or a shorter time range is quicker.")
            self._titles()
            if self._before is not None and self._before != self._view:
                self.frame.return_to(self._before)
            return True
        if not self.path:
            return False
        self.path = self.path[:-1]
        self._ask()
        return True

    def leave(self) -> None:
        """The case is closed: the engine must not be left working."""
        for question in self._questions.values():
            question.stop()

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    def showing(self) -> View | None:
        """What the cells obey while others are on their way."""
        return self._before if self._summing else None

    # -- what it shows ----------------------------------------------------------------------------

    def _titles(self) -> None:
        self.query_one("#matrix-title", TitleRule).title = self._title()
        shades = "" if self.grid.numbers else f"░▒▓█ from few to most {self.by}, "
        found = "* open findings, " if self._shown_grouping else ""
        self.query_one("#cell-title", TitleRule).title = f"this cell; above: {shades}{found}! most of it unanswered"

    def _title(self) -> str:
        found = self.found
        if found is None:
            return "summing up who talks to whom" if self._summing else "matrix"
        sizes = self._sizes(found.level)
        title = (
            f"{_counted(found.rows, found.rows_in_all)} to {_counted(found.columns, found.columns_in_all)}, {sizes}, by {self.by}"
        )
        if self._shown_path:
            source, target = self._shown_path[-1]
            title = f"{called(source)} → {called(target)}: {title}"
        return title

    def _sizes(self, level: int) -> str:
        """What rows and columns are."""
        if self._shown_grouping:
            return "workloads" if level == MEMBERS else visible(self._shown_grouping.removeprefix("label:")[:40])
        v4, v6 = LEVELS[level]
        return "hosts" if level == HOSTS else f"/{v4} and /{v6}"

    def on_matrix_grid_moved(self, message: MatrixGrid.Moved) -> None:
        """Say what is under the cursor, and find out more."""
        message.stop()
        data, here = self.frame.data, self.grid.here
        self._more, self._about = None, None
        if data is not None and here is not None and here[2] is not None and None not in here[:2] and self._asked == self._shown:
            self._about, self._looking = (self._shown, here[0], here[1]), True
            self._start("cell", partial(matrix_ends.looked, data, self._view, (here[0], here[1])), self._about, data)
        else:
            self._looking = False
        self._describe()
        self.frame.changed()

    def _describe(self) -> None:
        here, text = self.grid.here, Text()
        if here is not None:
            source, target, cell = here
            text.append(f"{_side(source, 'originators')} → {_side(target, 'responders')}", "bold")
            text.append(": no flows" if cell is None else f": {words(self.by, cell)}")
            more = self._more
            if more is not None and cell is not None:
                text.append(f"\n{figures.span_text(more.first, more.last)}; ")
                text.append(f"{figures.count(more.pairs)} pair{'s' * (more.pairs != 1)} of hosts")
                text.append(f"; a port answered in {figures.share(more.answered, cell.flows)}")
                if more.networks > 1:
                    text.append(f" in {figures.count(more.networks)} networks, summed")
                listed = ", ".join(f"{visible(name)} ({figures.count(n)})" for name, n in more.services)
                text.append(f"\n{listed}")
            elif self._looking:
                text.append("\nlooking …")
        self.query_one("#cell", Static).update(text)

    # -- keys -------------------------------------------------------------------------------------

    def on_matrix_grid_opened(self, message: MatrixGrid.Opened) -> None:
        """Inwards, and at the hosts to their flows."""
        message.stop()
        cell = self._cell()
        if cell is None or self.found is None:
            return
        if self.found.level == (MEMBERS if self._shown_grouping else HOSTS):
            self.action_flows()
        else:
            self.path = (*self._shown_path, cell)
            self._ask()

    def _cell(self) -> Pair | None:
        """The pair under the cursor; where there is nothing to open, that is said."""
        here = self.grid.here
        if here is None:
            return None
        source, target, cell = here
        if cell is None:
            self.frame.tell("No flows", "Nothing went from these to those.")
            return None
        if source is None or target is None:
            self.frame.tell("Others", "Others are many, summed. A filter or a shorter time range brings them apart.")
            return None
        return source, target

    def action_flows(self) -> None:
        """The flows of the cell."""
        cell = self._cell()
        if cell is not None:
            kept = matrix_ends.kept(cell, self._shown_grouping)
            if kept:
                self.frame.filter_by(joined(self._view.filter, kept), 2)
            else:
                self.tell_inwards()

    def tell_inwards(self) -> None:
        """No filter says what the cell is."""
        self.frame.tell("No filter", "No filter says such ends in one. Enter goes inwards, to pairs that have one.")

    def action_group(self) -> None:
        """Ask by what."""
        from workbench.tui.screens.group_menu import GroupMenu

        self.app.push_screen(GroupMenu(self.grouping, self.labels, "no groups: prefixes of addresses"), self.group_by)

    def group_by(self, by: str | None) -> None:
        """Rows and columns are groups by that, '' for prefixes; None leaves them as they are."""
        if by is not None and by != self.grouping:
            self.grouping, self.path = by, ()
            if self.by not in self._measures:
                self.by = "flows"
            self._ask()

    @property
    def _measures(self) -> tuple[str, ...]:
        return GROUP_MEASURES if self.grouping else _MEASURES

    def action_measure(self) -> None:
        """The next measure."""
        self.by = self._measures[(self._measures.index(self.by) + 1) % len(self._measures)]
        self._ask()

    def action_numbers(self) -> None:
        """Numbers or shades."""
        self.grid.numbers = not self.grid.numbers
        self.grid.refresh()
        self._titles()

    # -- for the frame ----------------------------------------------------------------------------

    def subject(self) -> Subject | None:
        """The pair."""
        here = self.grid.here
        if here is None or here[0] is None or here[1] is None:
            return None
        source, target = here[0], here[1]
        kept = matrix_ends.kept((source, target), self._shown_grouping)
        return Subject("pair", f"{source} {target}", f"{called(source)} → {called(target)}", kept)

    def keep_value(self) -> tuple[str, object] | None:
        """The originators of the cell."""
        here = self.grid.here
        return None if here is None or here[0] is None else matrix_ends.value(here[0])

    def text(self) -> str:
        """The pair."""
        subject = self.subject()
        return "" if subject is None else subject.words

    def place(self) -> dict[str, Any]:
        """How far inwards."""
        path = [[matrix_ends.key(a), matrix_ends.key(b)] for a, b in self.path]
        return {"path": path, "by": self.by, "numbers": self.grid.numbers, "grouping": self.grouping}

    def restore(self, place: Mapping[str, Any]) -> None:
        """As far inwards."""
        by, path, grouping = place.get("by"), place.get("path"), place.get("grouping")
        self.grouping = matrix_ends.grouping(grouping)
        self.by = next((one for one in self._measures if one == by), self.by if self.by in self._measures else "flows")
        self.grid.numbers = place.get("numbers") is True
        most = 1 if self.grouping else HOSTS
        if isinstance(path, Sequence) and not isinstance(path, str) and len(path) <= most:
            pairs = [matrix_ends.pair(one, self.grouping) for one in path]
            self.path = tuple(pair for pair in pairs if pair is not None) if None not in pairs else ()
        self._ask()

    @property
    def activity(self) -> str:
        """What is going on."""
        return "summing up who talks to whom" if self._summing else ""

    @property
    def resting(self) -> bool:
        """Whether all that was asked has been answered."""
        return not self._summing and not self._looking


# -- words -----------------------------------------------------------------------------------------


def _counted(named: Sequence[Any], in_all: int) -> str:
    told = sum(prefix is not None for prefix in named)
    return figures.count(told) if told == in_all else f"{told} of {figures.count(in_all)}"


def _side(prefix: Any, who: str) -> str:
    return f"all other {who}" if prefix is None else called(prefix)
