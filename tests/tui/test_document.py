"""docs/app.md names every key of the first screen, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from textual.binding import Binding

from workbench.tui.application import WorkbenchApp
from workbench.tui.screens.carve import CarveDialog
from workbench.tui.screens.case import CaseScreen
from workbench.tui.views import NAMES
from workbench.tui.views.flows import FlowsView
from workbench.tui.views.packets import PacketsView
from workbench.tui.widgets.filter_bar import FilterInput
from workbench.tui.widgets.packet_hex import PacketHex
from workbench.tui.widgets.packet_list import PacketList
from workbench.tui.widgets.packet_tree import PacketTree
from workbench.tui.widgets.timeline import Timeline
from workbench.tui.widgets.virtual_table import VirtualTable

PAGE = (Path(__file__).parents[2] / "docs" / "app.md").read_text("utf-8")
#: Said in other words: the timeline moves as the table does, and what is in the text beside the table.
ELSEWHERE = {"case.previous", "app.commands"} | {
    f"timeline.{n}" for n in ("left", "right", "far_left", "far_right", "start", "end")
}


def test_ids():
    app = (VirtualTable, Timeline, FlowsView, CaseScreen, WorkbenchApp, FilterInput)
    owners = (*app, PacketsView, PacketList, PacketTree, PacketHex, CarveDialog)
    known = {b.id for owner in owners for b in owner.BINDINGS if isinstance(b, Binding)}
    table = PAGE.split("## Keys")[1].split("```toml")[0]
    known -= {f"case.view_{number}" for number in NAMES}  # one line for all of them
    assert "`case.view_1` to `case.view_9`" in table
    named = set(re.findall(r"`((?:table|case|timeline|app|filter|packets|tree|hex|carve)\.[a-z_]+)`", table))
    assert named <= known
    assert known - named == ELSEWHERE
