"""Packets of a flow: the list, the fields, the bytes, and what is not shown."""

from __future__ import annotations

import pytest

from tests.tui.driving import case_screen, packets_shown, packets_view, press, screen_text, settle
from tests.tui.synthetic import SECRET, flow, rack_case
from workbench.errors import BadInputError
from workbench.tui.application import WorkbenchApp
from workbench.tui.packet_jump import packet_named
from workbench.tui.screens.dialog import ErrorDialog
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
        assert packets_shown(pilot)
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
        assert not packets_shown(pilot)


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


async def test_what_is_unmasked_is_told_whole_on_a_small_screen():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "U", *"ticket", "enter")
        assert "UNMASKED, on record. U masks. Reason: ticket" in text_of(pilot)


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
        rows = packets_view(pilot).rows
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
        while not packets_shown(pilot) or "packets, packet 1 of" not in text_of(pilot) or not packets_view(pilot).table.total:
            await pilot.pause(0.01)
        assert "reading packets, Esc stops" in text_of(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert packets_shown(pilot)
        assert packets_view(pilot).rows.total == 5
        case.gate.set()
        await press(pilot, "G")
        assert packets_view(pilot).rows.total == 40


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
        assert not packets_shown(pilot)


async def test_copies_are_what_is_shown():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "y", "enter")
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


async def test_without_a_flow_the_view_says_how_to_get_there_and_escape_goes_to_the_flows():
    async with WorkbenchApp(rack_case()).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "6")
        assert "No flow is open here." in text_of(pilot)
        await press(pilot, "w", "c", "U", "e", "colon")
        assert case_screen(pilot) is pilot.app.screen
        await press(pilot, "escape")
        assert not packets_shown(pilot)
        assert case_screen(pilot).shown.number == 2


async def test_one_direction_and_the_other_with_the_cursor_where_it_was():
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "j", "j", "j", "j", "w")
        view = packets_view(pilot)
        assert view.rows.total == 20
        assert "only from the originator (→) 20, packet 3" in text_of(pilot)
        assert "packet 19, 2026" in text_of(pilot)
        rows = view.rows.page(0, 20)
        assert set(rows["from_src"].to_pylist()) == {True}
        assert rows["info"].to_pylist()[:3] == ["words of 0", "words of 2", "words of 4"]
        await press(pilot, "w")
        assert "only to the originator (←) 20, packet 3" in text_of(pilot)
        assert "packet 22, 2026" in text_of(pilot)
        assert set(view.rows.page(0, 20)["from_src"].to_pylist()) == {False}
        await press(pilot, "w")
        assert "40 packets, packet 6 of" in text_of(pilot)


async def test_times_of_day_since_the_first_and_since_the_one_above():
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "j", "w")
        assert "09:26:53.593793" in text_of(pilot)
        await press(pilot, "c")
        assert "since first" in text_of(pilot)
        assert "+0.004000" in text_of(pilot)
        await press(pilot, "c")
        assert "since prev." in text_of(pilot)
        assert "+0.002000" in text_of(pilot)
        assert "+0.004000" not in text_of(pilot)
        await press(pilot, "c")
        assert "09:26:53.593793" in text_of(pilot)


JUMPS = {"12": 12, "#40": 12, "#41": 13, "09:26:53.599": 11, "2026-03-14 09:26:53.599": 11, "+0.0105": 12, "$": 40}


async def test_jump_to_a_packet():
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        for answer, packet in JUMPS.items():
            await press(pilot, "colon")
            pilot.app.screen.query_one("Input").value = answer
            await press(pilot, "enter")
            assert f"40 packets, packet {packet} of" in text_of(pilot), answer


async def test_a_jump_far_ahead_reads_on_and_beyond_the_last_one_says_so():
    case = rack_case()
    case.packets = 20_000
    async with WorkbenchApp(case).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "p")
        assert packets_view(pilot).rows.read_total < 15_000
        told = []
        case_screen(pilot).tell = lambda _title, text: told.append(text)
        for answer, packet in (("15000", 15_000), ("#99999", 20_000)):
            await press(pilot, "colon")
            pilot.app.screen.query_one("Input").value = answer
            await press(pilot, "enter")
            assert packets_view(pilot).table.cursor_row == packet - 1
        assert told == ["There is no such packet in this flow; this is the last one."]


@pytest.mark.parametrize("answer", ["", "abc", "#", "25:00", "2026-13-01 10:00", "+", "12:61"])
def test_what_is_no_packet(answer):
    assert packet_named(answer, 0) is None


def test_a_time_before_the_flow_began_is_the_next_days():
    evening = 23 * 3600 * 10**9
    fits = packet_named("01:00", evening)
    assert fits is not None
    assert not fits(1, evening)
    assert fits(1, 25 * 3600 * 10**9)


async def test_leaving_the_view_masks_and_the_way_back_is_where_one_came_from():
    case = rack_case()
    async with WorkbenchApp(case).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "p", "U", *"ticket", "enter")
        assert SECRET in text_of(pilot)
        await press(pilot, "2", "6")
        assert "40 packets, packet 1 of" in text_of(pilot)
        assert SECRET not in text_of(pilot)
        assert SECRET_BYTES not in text_of(pilot)
        assert "UNMASKED" not in text_of(pilot)
        assert packets_view(pilot).reason is None
        await press(pilot, "escape")
        assert case_screen(pilot).shown.number == 2
        assert case_screen(pilot).shown.table.cursor_row == 1


async def test_a_place_is_gone_to_and_a_strangers_is_passed_over():
    async with WorkbenchApp(rack_case()).run_test(size=(160, 50)) as pilot:
        await settle(pilot)
        await press(pilot, "p", "j", "j")
        view = packets_view(pilot)
        place = view.place()
        assert place == {"flow_id": 1 << 40, "packet": 2, "from": 2}
        view.restore({"flow": flow(5), "packet": 7, "from": 2})
        await settle(pilot)
        assert view.place() == {"flow_id": (1 << 40) | 5, "packet": 7, "from": 2}
        for odd in ({"flow_id": "x"}, {"flow_id": 1 << 99}, {"packet": -4, "from": "me"}, {"from": 6}):
            view.restore(odd)
            await settle(pilot)
        assert view.place() == {"flow_id": (1 << 40) | 5, "packet": 7, "from": 2}
