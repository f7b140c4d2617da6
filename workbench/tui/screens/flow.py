"""Everything about one flow, on the whole screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from workbench.tui import words
from workbench.tui.data import CaseData
from workbench.tui.widgets.detail import FlowDetail

#: Rows of each table that are shown: as many as somebody reads by scrolling. `M` on the flow has a table of all.
_MOST: Final = 50


class FlowDialog(ModalScreen[None]):
    """The detail pane, large."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="flow.close", tooltip="Back to the flows"),
    ]

    def __init__(self, flow: Mapping[str, Any], path: str, data: CaseData | None, *, named: bool = False) -> None:
        """path: of its source. data: whom to ask what was said in it. named: whether flows of the case have names."""
        super().__init__()
        self._flow, self._path, self._data, self._named = flow, path, data, named

    def compose(self) -> ComposeResult:
        """The endpoints as a title, then the groups."""
        flow = self._flow
        ends = [words.endpoint(flow.get(f"{side}_ip"), flow.get(f"{side}_port")) for side in ("src", "dst")]
        with Vertical(classes="dialog tall wide"):
            yield Static(Text(" → ".join(ends), style="bold"), classes="dialog-title")
            yield FlowDetail(most=_MOST, more=", M on the flow shows all", hops=True, id="flow-detail")
            yield Static(Text("j k scroll, Esc goes back", style="dim"), classes="dialog-keys")

    def on_mount(self) -> None:
        """Fill it."""
        detail = self.query_one(FlowDetail)
        detail.data, detail.named = self._data, self._named
        detail.show_flow(self._flow, self._path)
        detail.focus()
