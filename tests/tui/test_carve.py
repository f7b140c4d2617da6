"""The carving dialog: what, whose packets, to which file, and what came of it."""

from __future__ import annotations

import pytest

from tests.tui.driving import flows_view, press, screen_text, settle
from tests.tui.synthetic import rack_case
from workbench.errors import CaptureGoneError
from workbench.tui.application import WorkbenchApp
from workbench.tui.screens.carve import CarveDialog


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(pilot):
    return " ".join("\n".join(screen_text(pilot)).replace("│", " ").split())


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_a_flow_to_a_file(folder, size):
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "j", "e")
        row = case.rows[1]
        assert isinstance(pilot.app.screen, CarveDialog)
        assert f"this flow: {row['src_pkts'] + row['dst_pkts']} packets" in words(pilot)
        await press(pilot, "down", "enter")
        text = words(pilot)
        assert "✓ 41 packets of 1 flow" in text
        assert "flow-1.1.pcapng" in text
        assert "! one note" in text
        assert case.carved[0].flow_ids == (row["flow_id"],)
        assert case.carved[0].side == "src"
        assert (folder / "flow-1.1.pcapng").exists()
        await press(pilot, "enter")
        assert not isinstance(pilot.app.screen, CarveDialog)


async def test_all_that_is_shown_by_filter_and_time(folder):
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *["l"] * 6, "f", "t", "enter", "escape")
        shown = flows_view(pilot).table.total
        await press(pilot, "e", "up")
        assert f"of {shown} flows" in words(pilot)
        await press(pilot, "enter")
        assert (folder / "flows.pcapng").exists()
        request = case.carved[0]
        assert request.flow_ids == ()
        assert request.filter.startswith('conn_state == "SF" && ts < "2026-03-14 ')
        assert len(case.kept(request.filter)) == shown


async def test_a_file_that_exists_is_asked_about(folder):
    case = rack_case()
    (folder / "flow-1.0.pcapng").write_bytes(b"mine")
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "e", "enter")
        assert "exists. Enter again replaces it." in words(pilot)
        assert case.carved == []
        await press(pilot, "enter")
        assert (folder / "flow-1.0.pcapng").read_bytes() == b"packets"


async def test_escape_stops_and_nothing_is_written(folder):
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "e")
        case.gate.clear()
        await pilot.press("enter")
        while "50%, 12 packets" not in words(pilot):
            await pilot.pause(0.01)
        await press(pilot, "escape")
        assert "Stopped; nothing was written." in words(pilot)
        assert isinstance(pilot.app.screen, CarveDialog)
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, CarveDialog)
        assert list(folder.glob("*.pcapng")) == []


async def test_errors_say_what_to_do():
    case = rack_case()

    def gone(*_):
        raise CaptureGoneError("rack-7.pcapng is gone", "Put it back.")

    case.carve = gone
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "e", "enter")
        assert "✗ rack-7.pcapng is gone Put it back." in words(pilot)
        await press(pilot, "ctrl+u", "enter")
        assert "A file needs a name." in words(pilot)
