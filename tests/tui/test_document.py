"""docs/app.md names every key of the first screen, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from textual.binding import Binding

from workbench.tui.application import WorkbenchApp
from workbench.tui.keymap import every_binding
from workbench.tui.screens.carve import CarveDialog
from workbench.tui.screens.case import CaseScreen
from workbench.tui.views import NAMES
from workbench.tui.views.flows import FlowsView
from workbench.tui.views.packets import PacketsView
from workbench.tui.widgets.filter_bar import FilterInput
from workbench.tui.widgets.flow_table import FlowTable
from workbench.tui.widgets.group_table import GroupTable
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
    app = (VirtualTable, Timeline, FlowsView, FlowTable, GroupTable, CaseScreen, WorkbenchApp, FilterInput)
    owners = (*app, PacketsView, PacketList, PacketTree, PacketHex, CarveDialog)
    known = {b.id for owner in owners for b in owner.BINDINGS if isinstance(b, Binding)}
    table = PAGE.split("## Keys")[1].split("```toml")[0]
    known -= {f"case.view_{number}" for number in NAMES}  # one line for all of them
    assert "`case.view_1` to `case.view_9`" in table
    named = set(re.findall(r"`((?:table|case|timeline|app|filter|packets|tree|hex|carve|flows|groups)\.[a-z_]+)`", table))
    assert named <= known
    assert known - named == ELSEWHERE


#: Dialogs and the details scroll and close as everything does, which the page says once.
ALIKE = {"sort", "error", "confirm", "prompt", "flow", "help", "ledger", "detail"}
DOCS = Path(__file__).parents[2] / "docs"


def test_every_binding_is_named_in_a_page_where_its_part_has_one():
    pages = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")}
    absent = []
    for _, binding in every_binding():
        part = binding.id.partition(".")[0]
        own = pages.get(part, "") + PAGE
        known = part not in ALIKE and f"`{part}." in own
        if known and f"`{binding.id}`" not in own and binding.id not in ELSEWHERE and not binding.id.startswith("case.view_"):
            absent.append(binding.id)
    assert absent == []


def test_every_binding_has_words_and_an_id_of_its_own():
    bindings = [binding for _, binding in every_binding()]
    ids = [binding.id for binding in bindings]
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    for binding in bindings:
        assert binding.id.count(".") == 1, binding
        assert binding.tooltip, binding.id
        assert binding.description, binding.id


def test_only_one_action_has_a_key_in_a_place_unless_the_inner_one_is_meant():
    """A key of the frame that a view takes for itself is taken on purpose; two on one key in one part are a mistake."""
    by_part = {}
    for part, binding in every_binding():
        for key in binding.key.split(","):
            assert by_part.setdefault((part, key), binding.id) == binding.id
