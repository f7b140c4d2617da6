"""Packets of a flow: the list, the fields, the bytes, and what is not shown."""

from __future__ import annotations

import pytest

from tests.tui.driving import press, screen_text, settle
from tests.tui.synthetic import SECRET, rack_case
from workbench.errors import BadInputError
from workbench.tui.application import WorkbenchApp
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.packets import PacketsScreen
from workbench.tui.widgets.packet_hex import MASKED

SIZES = pytest.mark.parametrize("size", [(80, 24), (160, 50)])
SECRET_BYTES = SECRET.encode().hex(" ")


def text_of(pilot):
    return "\n".join(screen_text(pilot))


@SIZES
async def test_list_fields_and_bytes_of_the_flow_under_the_cursor(size):
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=size) as pilot:
        await settle(pilot)
        assert case.prepared
        await press(pilot, "j", "p")
        assert isinstance(pilot.app.screen, PacketsScreen)
        text = text_of(pilot)
        assert "40 packets, packet 1 of" in text
        assert "TLS" in text
        assert "words of 0" in text
        assert "Hypertext Transfer Protocol" in text
        assert "(masked, 7 bytes)" in text
        assert "34 35" in text
        assert MASKED in text
        assert SECRET not in text
        assert SECRET_BYTES[:5] not in text
        await press(pilot, "G")
        assert "packet 40 of" in text_of(pilot)
        assert "packet 124, 2026-03-14 09:26:53" in text_of(pilot)
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, PacketsScreen)


async def test_a_field_marks_its_bytes():
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        assert "[00 01 02" in text_of(pilot)
        await press(pilot, "enter", "j", "l", "l")
        assert "▶    Source Address: 10.20.0.5" in text_of(pilot)
        assert "[1a 1b 1c 1d]" in text_of(pilot)
        await press(pilot, "h", "h")
        assert "▶▸ Internet Protocol" in text_of(pilot)
        await press(pilot, "enter")
        assert "Source Address" in text_of(pilot)
        await press(pilot, "escape", "j", "tab")
        assert "▶▾ Internet Protocol" in text_of(pilot)  # open and under the cursor from packet to packet


async def test_unmasking_needs_a_reason_is_told_and_ends():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "U")
        assert "reason" in text_of(pilot)
        await press(pilot, "enter")
        assert case.reasons == []
        assert SECRET not in text_of(pilot)
        await press(pilot, "U", *"ticket", "enter")
        text = text_of(pilot)
        assert case.reasons == ["ticket"]
        assert SECRET in text
        assert SECRET_BYTES in text
        assert "UNMASKED" in text
        assert "ticket" in text
        await press(pilot, "U")
        assert SECRET not in text_of(pilot)
        assert SECRET_BYTES not in text_of(pilot)
        assert "UNMASKED" not in text_of(pilot)
        await press(pilot, "U", *"two", "enter", "escape", "p")
        assert SECRET not in text_of(pilot)


async def test_without_tshark_list_and_bytes_are_there_and_the_rest_says_what_to_install():
    case = rack_case()
    case.without_tshark = True
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "j")
        text = text_of(pilot)
        assert "40 packets, packet 2" in text
        assert "tshark is not installed" in text
        assert "Install the Debian package" in text
        assert "00 01 02" in text
        assert not isinstance(pilot.app.screen, ErrorDialog)


async def test_a_long_flow_is_read_as_one_goes_down_and_its_bytes_are_read_again():
    case = rack_case()
    case.packets = 200_000
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        rows = pilot.app.screen.rows
        rows._frames.clear()
        first = rows.total
        assert first < 5000
        await press(pilot, "G")
        assert rows.total > first
        before = rows.total
        await press(pilot, "G", "G", "G")
        assert rows.total >= 4 * before
        await press(pilot, "g")
        assert (0, 1) in case.reads
        assert "packet 7, 2026-03-14" in text_of(pilot)
        assert "words of 0" in text_of(pilot)


async def test_the_first_packets_are_shown_before_the_rest_is_read_and_escape_stops():
    case = rack_case()
    case.slow_from = 5
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        case.gate.clear()
        await pilot.press("p")
        while "packets, packet 1 of" not in text_of(pilot) or not pilot.app.screen.table.total:
            await pilot.pause(0.01)
        assert "reading packets, Esc stops" in text_of(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, PacketsScreen)
        assert pilot.app.screen.rows.total == 5
        case.gate.set()
        await press(pilot, "G")
        assert pilot.app.screen.rows.total == 40


async def test_a_capture_that_is_gone_is_an_error_with_a_remedy():
    case = rack_case()

    def gone(*_):
        raise BadInputError("rack-7.pcapng is gone", "Put it back.")

    case.frames = gone
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        assert isinstance(pilot.app.screen, ErrorDialog)
        assert "Put it back." in text_of(pilot)
        await press(pilot, "escape", "escape")
        assert not isinstance(pilot.app.screen, PacketsScreen)


async def test_copies_are_what_is_shown():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "y")
        assert pilot.app.clipboard == "2026-03-14 09:26:53.589793"
        await press(pilot, "p", "y")
        assert pilot.app.clipboard.endswith("TLS  words of 0")
        await press(pilot, "tab", "G", "y")
        assert pilot.app.clipboard == "Authorization: (masked, 7 bytes)"
        await press(pilot, "tab", "G", "y")
        assert MASKED in pilot.app.clipboard
        assert SECRET_BYTES[:5] not in pilot.app.clipboard


async def test_a_tiny_terminal_shows_the_list():
    async with WorkbenchApp(rack_case()).run_test(size=(60, 12)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "j", "j")
        assert "packet 3 of" in text_of(pilot)
