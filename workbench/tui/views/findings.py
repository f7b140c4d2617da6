"""What detections found: grouped, explained, judged; one key to the flows and packets behind it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message

from workbench.errors import CancelledError, WorkbenchError
from workbench.records.columns import FINDINGS
from workbench.records.visible import visible
from workbench.tui import finding_rows
from workbench.tui.conditions import condition
from workbench.tui.data import Span, Summary, View
from workbench.tui.finding_rows import LOOKS, ORDERS, SIGNS
from workbench.tui.latest import Latest
from workbench.tui.looks import text_cell
from workbench.tui.screens.dialog import PromptDialog
from workbench.tui.stopwatch import Stopwatch
from workbench.tui.table_source import ArrowSource
from workbench.tui.views.base import FLOW_KEYS, KEEP_KEYS, CaseView, Subject
from workbench.tui.widgets.prose import Prose
from workbench.tui.widgets.rule import TitleRule
from workbench.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.detections.loader import Library
    from workbench.store.notebook import FindingState
    from workbench.store.reader import Question
    from workbench.workflows.hunt import DetectResult, HuntProgress

#: So many findings are read, the worst; nobody reads more.
_MOST: Final = 20_000
_COLUMNS: Final = (
    "finding_id, detection, title, severity, ts_first, ts_last, subject, object, score, flows, attack, why, evidence,"
    " found, parameters"
)
#: A stranger's segment may lack what every finding of ours has: such rows are passed over.
_WHOLE: Final = " AND ".join(f"{column.name} IS NOT NULL" for column in FINDINGS.columns if not column.null)
_RANKS: Final = "CASE severity " + " ".join(f"WHEN '{name}' THEN {n}" for n, name in enumerate(SIGNS)) + " ELSE 9 END"
#: What `o` shows one after another; '' is all.
_STATES: Final = ("", "open", "confirmed", "benign", "done")

_NOTHING_YET: Final = "No findings.\nD runs the detections over this case; Esc stops them."


@dataclass(frozen=True, slots=True)
class Held:
    """What the case and its notebook say of findings at one moment. history, noted: by finding_id."""

    findings: Sequence[Mapping[str, Any]] = ()
    total: int = 0
    states: Mapping[str, FindingState] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)
    trouble: str = ""


class FindingsView(CaseView):
    """A table of findings by group, and the one under the cursor in words."""

    number = 5
    name_ = "Findings"
    about = "What detections found, grouped by severity and detection, and what each means. D runs them."

    SCOPED_CSS: ClassVar[bool] = False  # how high the screen is, is a class of the screen
    DEFAULT_CSS = """
    FindingsView #findings-body { height: 1fr; layout: vertical; }
    FindingsView #findings-box, FindingsView #finding-box { height: 1fr; }
    FindingsView #findings, FindingsView #finding { height: 1fr; }
    .-short FindingsView #finding-box { height: 5; }
    .-short FindingsView #finding-box:focus-within { height: 1fr; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("D", "detect", "Detect", id="findings.detect", tooltip="Run all detections over the case; Esc stops them"),
        Binding("v", "flows", "Flows", id="findings.flows", tooltip="The flows of this finding, in the view Flows"),
        Binding("p", "packets", "Packets", id="findings.packets", tooltip="Packets of the first flow of this finding"),
        Binding("C", "judge('confirmed')", "Confirm", id="findings.confirmed", tooltip="It is true: say why"),
        Binding("B", "judge('benign')", "Benign", id="findings.benign", tooltip="It is harmless: say why"),
        Binding("X", "judge('done')", "Done", id="findings.done", tooltip="It is dealt with: say how", show=False),
        Binding("O", "judge('open')", "Reopen", id="findings.open", tooltip="It is open again: say why", show=False),
        Binding("o", "state", "State", id="findings.state", tooltip="Only findings of one state; again for the next one"),
        Binding("s", "sort", "Sort", id="findings.sort", tooltip="Order within groups: score, time, flows, subject"),
        Binding("z", "fold", "Fold", id="findings.fold", tooltip="Fold all groups, or unfold them", show=False),
    ]

    @dataclass
    class Arrived(Message):
        """What there is; error: or why it cannot be read."""

        serial: int
        held: Held
        library: Library | None
        error: Exception | None = None

    @dataclass
    class Told(Message):
        """What people made of one finding."""

        finding_id: str
        history: Sequence[FindingState]

    @dataclass
    class Running(Message):
        """How far the detections are."""

        at: HuntProgress

    @dataclass
    class Ran(Message):
        """They ended."""

        result: DetectResult | None
        error: Exception | None = None

    @dataclass
    class Judged(Message):
        """A judgement is kept."""

    @dataclass
    class Found(Message):
        """The first flow of a finding; None where it has none that is in the case."""

        flow: Mapping[str, Any] | None
        error: Exception | None = None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's name for it
        super().__init__(id=id)
        self._lists = Latest(self, "findings")
        self._watch = Stopwatch()
        self._tales = Latest(self, "finding history")
        self._flows = Latest(self, "finding flow")
        self._held = Held()
        self._library: Library | None = None
        self._histories: dict[str, Sequence[FindingState]] = {}
        self._told = ""
        self._span: Span | None = None
        self._asked = self._got = 0
        self._folded: set[str] = set()
        self._only, self._order = 0, 0
        self._wanted: dict[str, Any] = {}
        self._answered = False
        self._rows: pa.Table | None = None
        self._question: Question | None = None
        self._cancel: threading.Event | None = None
        self._progress = ""
        self._last: DetectResult | None = None
        self._early = False

    def compose(self) -> ComposeResult:
        """Findings, and the one under the cursor."""
        with Container(id="findings-body"):
            with Vertical(id="findings-box"):
                yield TitleRule("findings", id="findings-title")
                yield VirtualTable(LOOKS, empty="Reading the case.", id="findings")
            with Vertical(id="finding-box"):
                yield TitleRule("what it means", id="finding-title")
                yield Prose(id="finding")

    @property
    def idle(self) -> frozenset[str]:
        """No flows are listed, and the filter is another thing."""
        return FLOW_KEYS | KEEP_KEYS

    @property
    def table(self) -> VirtualTable:
        """The rows."""
        return self.query_one("#findings", VirtualTable)

    @property
    def prose(self) -> Prose:
        """The words."""
        return self.query_one("#finding", Prose)

    def enter(self) -> None:
        """To the rows."""
        self.screen.set_focus(self.table)

    def on_prose_left(self, message: Prose.Left) -> None:
        """Tab goes back and forth between the two."""
        message.stop()
        self.enter()

    # -- reading ----------------------------------------------------------------------------------

    def obey(self, view: View, summary: Summary) -> None:  # noqa: ARG002  base's signature
        """Findings that touch the time range, whatever the filter."""
        self._span = view.span
        self.noted()

    def noted(self) -> None:
        """Read what there is, the judgements of others too."""
        if self.frame.data is not None:
            self._asked += 1
            self._watch.begin()
            self._lists.ask(partial(self._read, self._span, self._asked))
            self.frame.changed()

    def _read(self, span: Span | None, serial: int) -> None:
        """In a thread."""
        data = self.frame.data
        if data is None:
            return
        self._question = question = data.question()
        where, params = f"WHERE {_WHOLE}", list[int]()
        if span is not None:
            where += " AND epoch_us(ts_first) < ? AND epoch_us(ts_last) >= ?"
            params = [span.end, span.start]
        sql = f"SELECT {_COLUMNS} FROM findings {where} ORDER BY {_RANKS}, score DESC, finding_id LIMIT {_MOST}"  # noqa: S608  constants
        try:
            found = question.query(sql, params).to_pylist()
            count = f"SELECT count(*) AS n FROM findings WHERE {_WHOLE}"  # noqa: S608  constants
            total = int(question.query(count)["n"][0].as_py())
            library = self._library or _library()
        except Exception as error:  # every failure is shown
            self.post_message(self.Arrived(serial, Held(), None, error))
            return
        notebook, states, trouble = data.notebook, {}, ""
        noted: dict[str, int] = {}
        if notebook is not None:
            states = notebook.states()
            for note in notebook.notes("finding"):
                noted[note.key] = noted.get(note.key, 0) + 1
            refused = notebook.trouble
            trouble = f"{refused.message}. {refused.remedy}" if refused is not None else ""
        self.post_message(self.Arrived(serial, Held(found, total, states, noted, trouble), library))

    def on_findings_view_arrived(self, message: Arrived) -> None:
        """Show them; the cursor stays on its finding."""
        message.stop()
        if message.serial < self._asked:
            return
        self._answered, self._got = True, message.serial
        if message.error is not None:
            self.table.set_empty("The findings cannot be read.")
            self.frame.say(message.error)
        else:
            if message.held.trouble and message.held.trouble != self._held.trouble:
                self.frame.tell("Notes", message.held.trouble)
            self._watch.end(len(message.held.findings))
            self._held, self._library, self._histories = message.held, message.library, {}
            self._show()
        self.frame.changed()

    def _show(self) -> None:
        """The rows as they are to be shown now."""
        here = self._wanted or self.place()
        self._wanted = {}
        rows = finding_rows.table_of(self._held.findings, self._held.states, self._folded, _STATES[self._only], self._order)
        row = next((n for n, one in enumerate(rows["finding_id"].to_pylist()) if one and one == here.get("finding")), None)
        if row is None and here.get("group") and not here.get("finding"):
            row = next((n for n, one in enumerate(rows["group"].to_pylist()) if one == here["group"]), None)
        self.table.set_empty(self._nothing())
        row = row if row is not None else min(self.table.cursor_row, rows.num_rows)
        if self._rows is None or row != self.table.cursor_row or not rows.equals(self._rows):  # else nothing flickers
            self._rows = rows
            self.table.set_source(ArrowSource(rows), None, row)
        self._explain(rows.slice(self.table.cursor_row, 1).to_pylist()[0] if rows.num_rows else None)

    def _nothing(self) -> str:
        if self._held.findings:
            return f"No findings are {_STATES[self._only]}.\no shows those of another state."
        if self._held.total:
            return f"None of {self._held.total:,} findings lies in this time range.\nR shows all time."
        if self._last is not None and self._last.ran:
            over = ", while the case was still being indexed" if self._early else ""
            return f"{len(self._last.ran)} detections ran and found nothing{over}.\nD runs them again."
        return _NOTHING_YET

    # -- the one under the cursor -----------------------------------------------------------------

    def _finding(self) -> Mapping[str, Any] | None:
        """The finding under the cursor; None on a heading."""
        record = self.table.record
        wanted = record.get("finding_id") if record is not None else None
        return next((one for one in self._held.findings if one["finding_id"] == wanted), None) if wanted else None

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        """The words follow the cursor."""
        message.stop()
        self._explain(message.record)
        self.frame.changed()

    def _explain(self, record: Mapping[str, Any] | None) -> None:
        """The words of a row."""
        self._title()
        wanted = record.get("finding_id") if record is not None else None
        finding = next((one for one in self._held.findings if one["finding_id"] == wanted), None) if wanted else None
        if finding is None:
            self.prose.show(finding_rows.about_group(record, self._questions()))
            self._told = ""
            return
        key = finding["finding_id"]
        known = self._histories.get(key)
        if known is None and key in self._held.states:
            self._tales.ask(partial(self._tell_history, key))
        question = self._questions().get(finding["detection"])
        told, self._told = self._told, key
        text = finding_rows.explained(finding, question, known or (), self._held.noted.get(key, 0))
        self.prose.show(text, top=told != key)

    def _questions(self) -> Mapping[str, Any]:
        return self._library.questions if self._library is not None else {}

    def _tell_history(self, finding_id: str) -> None:
        notebook = self.frame.data.notebook if self.frame.data is not None else None
        if notebook is not None:
            self.post_message(self.Told(finding_id, notebook.history(finding_id)))

    def on_findings_view_told(self, message: Told) -> None:
        """What people made of it, below."""
        message.stop()
        self._histories[message.finding_id] = message.history
        finding = self._finding()
        if finding is not None and finding["finding_id"] == message.finding_id:
            self._explain(self.table.record)
        self.frame.changed()

    def _title(self) -> None:
        shown, only = len(self._held.findings), _STATES[self._only]
        words = [f"{shown:,} findings" if shown == self._held.total else f"{shown:,} of {self._held.total:,} findings"]
        words += [f"only {only}"] if only else []
        words += [ORDERS[self._order][2], "whatever the filter"] if shown else []
        self.query_one("#findings-title", TitleRule).title = ", ".join(words)

    def subject(self) -> Subject | None:
        """The finding under the cursor."""
        finding = self._finding()
        if finding is None:
            return None
        key = str(finding["finding_id"])
        words = f"finding {finding['title']}: {finding_rows.subject_words(finding)}"
        return Subject("finding", key, visible(words[:400]), condition("finding", key, keep=True) if finding["flows"] else "")

    def text(self) -> str:
        """What the pane says, or the cell."""
        record = self.table.record
        if self.prose.has_focus:
            return self.prose.plain
        return "" if record is None else text_cell(record.get(self.table.column.name)).strip()

    def place(self) -> dict[str, Any]:
        """On which finding."""
        record = self.table.record or {}
        return {
            "finding": record.get("finding_id"),
            "group": record.get("group"),
            "state": _STATES[self._only],
            "order": self._order,
            "folded": sorted(self._folded)[:100],
        }

    def restore(self, place: Mapping[str, Any]) -> None:
        """On that finding again."""
        self._only = _STATES.index(place["state"]) if place.get("state") in _STATES else 0
        order = place.get("order")
        self._order = order if isinstance(order, int) and 0 <= order < len(ORDERS) else 0
        folded = place.get("folded")
        self._folded = {one for one in folded if isinstance(one, str)} if isinstance(folded, list) else set()
        self._wanted = {name: place.get(name) for name in ("finding", "group") if isinstance(place.get(name), str)}
        if self._answered:
            self._show()

    # -- keys -------------------------------------------------------------------------------------

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        """Enter: a group folds, a finding's words get the focus."""
        message.stop()
        if message.record.get("finding_id"):
            self.screen.set_focus(self.prose)
        else:
            self._folded ^= {str(message.record["group"])}
            self._show()

    def on_virtual_table_failed(self, message: VirtualTable.Failed) -> None:
        """Say so."""
        message.stop()
        self.frame.say(message.error)

    def action_fold(self) -> None:
        """All groups, or none."""
        names = {f"{one['severity']}/{one['detection']}" for one in self._held.findings}
        self._folded = set() if self._folded else names
        self._show()

    def action_state(self) -> None:
        """The next state."""
        self._only = (self._only + 1) % len(_STATES)
        self._show()

    def action_sort(self) -> None:
        """The next order."""
        self._order = (self._order + 1) % len(ORDERS)
        self._show()

    def action_flows(self) -> None:
        """Its flows."""
        subject = self.subject()
        if subject is None:
            self.frame.tell("No finding", "The cursor stands on a group: go to one of its findings.")
        elif not subject.kept:
            self.frame.tell("No flows", "This finding rests on other rows than flows, such as ARP.")
        else:
            self.frame.filter_by(subject.kept, 2)

    def action_packets(self) -> None:
        """Packets of its first flow."""
        finding = self._finding()
        if finding is None:
            self.frame.tell("No finding", "The cursor stands on a group: go to one of its findings.")
            return
        self._flows.ask(partial(self._first_flow, str(finding["finding_id"])))
        self.frame.changed()

    def _first_flow(self, finding_id: str) -> None:
        data = self.frame.data
        if data is None:
            return
        sql = """SELECT * FROM flows WHERE flow_id IN (SELECT flow_id FROM finding_flows WHERE finding_id = ?)
            ORDER BY ts, flow_id LIMIT 1"""
        try:
            rows = data.question().query(sql, [finding_id]).to_pylist()
        except CancelledError:
            return
        except Exception as error:  # every failure is shown
            self.post_message(self.Found(None, error))
            return
        self.post_message(self.Found(rows[0] if rows else None))

    def on_findings_view_found(self, message: Found) -> None:
        """Show them."""
        message.stop()
        if message.error is not None:
            self.frame.say(message.error)
        elif message.flow is None:
            self.frame.tell("No flows", "This finding rests on other rows than flows, such as ARP.")
        else:
            self.frame.packets(message.flow)
        self.frame.changed()

    # -- judging ----------------------------------------------------------------------------------

    def action_judge(self, state: str) -> None:
        """Ask why, then keep it."""
        finding, data = self._finding(), self.frame.data
        if finding is None or data is None or data.notebook is None:
            self.frame.tell("No finding", "The cursor stands on a group: go to one of its findings.")
            return
        hint = "Why. Enter keeps it with your name and the time, in the case and in its audit log; Esc leaves it as it is."
        self.app.push_screen(
            PromptDialog(f"{state.capitalize()}: reason", hint, _reason_wrong),
            lambda reason: self._judged(str(finding["finding_id"]), state, reason),
        )

    def _judged(self, finding_id: str, state: str, reason: str | None) -> None:
        data = self.frame.data
        if reason and data is not None and data.notebook is not None:
            self.run_worker(partial(self._judge, data.notebook, finding_id, state, reason), thread=True, exit_on_error=False)

    def _judge(self, notebook: Any, finding_id: str, state: str, reason: str) -> None:
        try:
            notebook.set_state(finding_id, state, reason)
        except Exception as error:  # every failure is shown
            self.post_message(self.Found(None, error))
            return
        self.post_message(self.Judged())

    def on_findings_view_judged(self, message: Judged) -> None:
        """Show it."""
        message.stop()
        self.noted()

    # -- running detections -----------------------------------------------------------------------

    def action_detect(self) -> None:
        """Run all of them."""
        data = self.frame.data
        if data is None or self._cancel is not None:
            return
        self._cancel, self._progress = threading.Event(), "detecting, Esc stops"
        self._early = bool(self.frame.waiting)  # what they find then says nothing of what is still to come
        self.run_worker(partial(self._detect, data, self._cancel), group="detect", thread=True, exit_on_error=False)
        self.frame.changed()

    def _detect(self, data: Any, cancel: threading.Event) -> None:
        try:
            result = data.detect(lambda at: self.post_message(self.Running(at)), cancel)
        except Exception as error:  # every failure is shown
            self.post_message(self.Ran(None, error))
            return
        self.post_message(self.Ran(result))

    def on_findings_view_running(self, message: Running) -> None:
        """How far it is."""
        message.stop()
        at = message.at
        if self._cancel is not None and at.id:
            self._progress = f"detection {at.done + 1} of {at.total}: {visible(at.title[:40])}, Esc stops"
            self.frame.changed()

    def on_findings_view_ran(self, message: Ran) -> None:
        """What was found, or why not."""
        message.stop()
        self._cancel, self._progress = None, ""
        if isinstance(message.error, CancelledError):
            self.frame.tell("Stopped", "The findings are as they were.")
        elif message.error is not None:
            self.frame.say(message.error)
        elif message.result is not None:
            self._library = None  # question files may be other ones now
            self._last = message.result
            self._report(message.result)
            if not message.result.kept and message.result.findings.num_rows:
                self._show_unkept(message.result)
            else:
                self.noted()
        self.frame.changed()

    def _report(self, result: DetectResult) -> None:
        failed = [one for one in result.ran if one.error is not None]
        words = f"{result.findings.num_rows:,} findings by {len(result.ran)} detections."
        self.frame.tell("Detected", " ".join([words, *(visible(note[:300]) + "." for note in result.notes[:5])]))
        if failed or result.refused:
            lines = [f"{one.id}: {one.error.message}" for one in failed[:10] if one.error is not None]
            lines += [str(one) for one in result.refused[:10]]
            self.frame.say(WorkbenchError("\n".join(lines), "The other detections ran."))

    def _show_unkept(self, result: DetectResult) -> None:
        """Findings of a case that cannot keep them are shown until something else is read."""
        self._asked += 1  # what is on its way is older
        self._got = self._asked
        found = result.findings.to_pylist()
        self._held = Held(found, len(found), self._held.states, self._held.noted)
        self._answered = True
        self._show()

    # -- what is going on -------------------------------------------------------------------------

    def stop(self) -> bool:
        """Stop the detections; else what is being read."""
        if self._cancel is not None:
            self._cancel.set()
            return True
        if self._question is not None and self._busy:
            self._question.stop()
            return True
        return False

    @property
    def activity(self) -> str:
        """How far the detections are."""
        return self._progress or ("reading findings" if self._busy else "")

    @property
    def cost(self) -> tuple[float, int] | None:
        """What the last answer cost."""
        return self._watch.cost

    @property
    def resting(self) -> bool:
        """Whether nothing is asked."""
        return self._cancel is None and not self._busy

    @property
    def _busy(self) -> bool:
        """Whether the answer to the last question is still on its way."""
        return self._got != self._asked


def _library() -> Library:
    from workbench.workflows.hunt import library

    return library()


def _reason_wrong(reason: str) -> str:
    return "" if len(reason) <= 2_000 else "a reason has at most 2,000 characters; a note (n) may be longer"
