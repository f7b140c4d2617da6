"""What a sample's truth says was planted in it is never on the screen of the packets view."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import needs
from tests.sample_captures.indexed import index, on_the_wire
from tests.tui.driving import flows_view, packets_shown, packets_view, press, screen_text, settle
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase

SAMPLES = Path(__file__).parents[2] / "sample_captures"

pytestmark = [needs.program("tshark"), pytest.mark.slow]


async def seen_in(app, pilot, flow_filter):
    """All text of all screens of the packets of each flow, every field open.

    Of the first flow its first packet, and of each those that carry anything: each tree costs tshark most of a second.
    """
    seen = []
    await settle(pilot)
    app.screen.filter_pane.build(flow_filter)
    await settle(pilot)
    flows = flows_view(pilot).table.total
    for flow in range(min(flows, 3)):
        await press(pilot, "p")
        assert packets_shown(pilot)
        screen = packets_view(pilot)
        packets = range(min(screen.rows.total, 8))
        told = [n for n in packets if flow == n == 0 or screen.table._cache.record(n)["payload"]]
        assert told
        for packet in told:
            if screen.table.cursor_row != packet:
                screen.table.move_to(packet)
                await settle(pilot)
            unfold(screen.fields)
            await pilot.pause()
            lines = screen_text(pilot)
            assert any("Transmission Control Protocol" in line for line in lines)
            seen += lines
        await press(pilot, "escape", "j")
    return flows, "\\n".join(seen)


def unfold(tree):
    """Open everything."""
    before = -1
    while len(tree._lines) != before:
        before = len(tree._lines)
        tree._unfolded |= {path for _, path, _ in tree._lines}
        tree._flatten()
    tree.refresh()


@pytest.mark.parametrize(("sample", "flow_filter"), [("web", "tcp.dstport == 80"), ("windows", "tcp.dstport == 445")])
async def test_nothing_planted_is_on_the_screen(sample, flow_filter, tmp_path):
    case = tmp_path / "case"
    found = index([SAMPLES / f"{sample}.json"], case)[sample]
    planted = found.truth["planted"]
    assert any(on_the_wire(one, found.bytes) for one in planted)
    app = WorkbenchApp(StoredCase.open(case))
    async with app.run_test(size=(160, 240)) as pilot:
        flows, text = await seen_in(app, pilot, flow_filter)
    assert flows
    assert "(masked" in text
    assert "··" in text
    for one in planted:
        assert one["text"] not in text
        assert one["text"].encode(one.get("encoding", "utf-8")).hex(" ")[:47] not in text
