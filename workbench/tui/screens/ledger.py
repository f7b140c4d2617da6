"""The ledger: what was not decoded, not seen, or done on the way, source by source."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.records.visible import visible
from workbench.tui import coverage, figures
from workbench.tui.data import Summary

_KINDS: Final = (
    ("undecoded", "Not decoded", "packets that are part of no flow"),
    ("unseen", "Not seen", "what could not be there"),
    ("note", "Notes", "what was done on the way"),
)


class LedgerDialog(ModalScreen[None]):
    """Source by source: packets, drops, and every ledger line in words."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,L,q,enter", "dismiss", "Close", id="ledger.close", tooltip="Close the ledger"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="ledger.down", tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="ledger.up", tooltip="Scroll up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False, id="ledger.page_down", tooltip="Scroll a page down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="ledger.page_up", tooltip="Scroll a page up"),
    ]

    def __init__(self, summary: Summary, *, filtered: bool = False) -> None:
        super().__init__()
        self._summary = summary
        self._filtered = filtered

    def compose(self) -> ComposeResult:
        """Totals, then the sources."""
        with Vertical(classes="dialog tall wide"):
            yield Static(Text("Ledger: what the answers rest on", style="bold"), classes="dialog-title")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(self._totals())
                for source in self._summary.sources:
                    yield Static(source_heading(source), classes="ledger-source")
                    yield Static(self._lines(source["source_id"]))
            yield Static(Text("Esc closes", style="dim"), classes="dialog-keys")

    def _totals(self) -> Text:
        cover = coverage.coverage(self._summary)
        if not self._summary.sources:
            return Text("No source yet: the ledger fills while captures are indexed.")
        words = [f"{cover.packets:,} packets", coverage.drops_words(cover), coverage.undecoded_words(cover)]
        whole = "; of the whole case, whatever the filter" if self._filtered else ""
        return Text(", ".join([*words, coverage.unseen_words(cover, 9)]) + whole)

    def _lines(self, source_id: int) -> Table | Text:
        lines = [line for line in self._summary.ledger if line["source_id"] == source_id]
        if not lines:
            return Text("  every packet is in a flow or in the ARP table; nothing else to say")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(justify="right", no_wrap=True, min_width=9)
        grid.add_column(ratio=1)
        for kind, title, about in _KINDS:
            of_kind = sorted((line for line in lines if line["kind"] == kind), key=lambda line: -(line["count"] or 0))
            if of_kind:
                grid.add_row(Text(""), Text(f"{title}: {about}", style="italic"))
            for line in of_kind:
                grid.add_row(Text(coverage.amount(line["reason"], line["count"]) or "·", style="bold"), _words(line))
        return grid

    def action_scroll(self, by: int) -> None:
        """Scroll."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def source_heading(source: dict[str, Any]) -> Text:
    """A source in one or two lines: path, state, packets, drops, sizes."""
    text = Text()
    text.append(visible(str(source.get("path") or "")[:1000]), "bold")
    text.append(f"  {visible(str(source.get('state') or '')[:40])}")
    dropped = source.get("dropped")
    facts = [
        f"{source.get('packets') or 0:,} packets in {source.get('flows') or 0:,} flows",
        "drops unknown: the capture says nothing of them" if dropped is None else f"{dropped:,} dropped while capturing",
        figures.words_size(source.get("bytes")),
    ]
    snaplen = source.get("snaplen")
    if snaplen:
        facts.append(f"packets kept to {snaplen:,} bytes at most")
    text.append("\n  " + ", ".join(facts))
    if source.get("detail"):
        text.append("\n  " + visible(str(source["detail"])[:400]))
    return text


def _words(line: dict[str, Any]) -> Text:
    text = Text(f"{coverage.reason_words(line['reason'])}: {coverage.meaning(line['reason'])}")
    if line.get("detail"):
        text.append(f"; {visible(str(line['detail'])[:400])}")
    if line.get("first_frames"):
        text.append(f"; first at frame {visible(str(line['first_frames'])[:400])}", "dim")
    return text
