"""Text of the wire changes nothing on screen but its own cell."""

from __future__ import annotations

import unicodedata

import pytest
from rich.cells import cell_len

from tests.tui.driving import flows_view, press, screen_text, settle
from tests.tui.synthetic import LEDGER, SOURCE, RowCase, flow
from workbench.errors import SourceError
from workbench.records.columns import FLOWS, Type
from workbench.tui.application import WorkbenchApp
from workbench.tui.recent import RecentCase
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.start import StartScreen

HOSTILE = {
    "markup": "[/foo][red]x[/][@click=app.quit]y",
    "ansi": "\x1b[2J\x1b[31mred\x1b[0m",
    "osc8": "\x1b]8;;http://198.51.100.1\x1b\\here\x1b]8;;\x1b\\",
    "osc52": "\x1b]52;c;cm0gLXJm\x07",
    "c1": "\x9b31m\x9d52;c;eA==\x9c",
    "bidi": "\u202egnp.exe\u2066x\u2069\u200f",
    "nul": "a\0b\rc\nd\te\x7f",
    "long": "a" * 65_536,
    "wide": "漢字" * 40,
    "marks": "e" + "\u0301" * 200,
    "lone": "a\udc80b",
    "zero width": "a\u200bb\ufeffc\u2060",
}
TEXT = [c.name for c in FLOWS.columns if c.type is Type.VARCHAR]
#: Addresses are written by the decoder; theirs are the only texts that may widen a column.
NAMES = [name for name in TEXT if name not in ("src_ip", "dst_ip", "outer_src_ip", "outer_dst_ip")]


def hostile_case(text, columns=TEXT):
    rows = [flow(1), flow(2), flow(3, **dict.fromkeys(columns, text)), flow(4), flow(5)]
    source = SOURCE | {"path": "/" + text, "sensor": text, "detail": text}
    return RowCase(rows, [source], [LEDGER[0] | {"detail": text, "first_frames": text}])


def check(lines, width):
    for line in lines:
        for char in line:
            assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"), hex(ord(char))
        assert cell_len(line) == width


CALM: dict[tuple[int, int], list[str]] = {}


async def calm_screen(size):
    """The screen with a plain text in the hostile one's place; taken once for all texts."""
    if size not in CALM:
        async with WorkbenchApp(hostile_case("plain", NAMES)).run_test(size=size) as pilot:
            await settle(pilot)
            CALM[size] = screen_text(pilot)
    return CALM[size]


# Arrow cannot hold a lone surrogate, so the store cannot hand one out; paths of the machine can have them.
@pytest.mark.parametrize("text", [v for k, v in HOSTILE.items() if k != "lone"], ids=[k for k in HOSTILE if k != "lone"])
@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_nothing_but_its_own_cell(text, size):
    calm = await calm_screen(size)
    app = WorkbenchApp(hostile_case(text, NAMES))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        check(screen_text(pilot), size[0])
        table = flows_view(pilot).table.region
        for n in (1, 2, 4, 5):  # rows around the hostile one stand where they stood
            assert screen_text(pilot)[table.y + n][: table.width] == calm[table.y + n][: table.width]
        await press(pilot, "j", "j")
        check(screen_text(pilot), size[0])
        await press(pilot, "dollar_sign")
        check(screen_text(pilot), size[0])
        for keys in (("enter",), ("L",), ("s",), ("question_mark",)):
            await press(pilot, *keys)
            check(screen_text(pilot), size[0])
            await press(pilot, "escape")
        assert app.is_running


@pytest.mark.parametrize("kind", ["ansi", "markup", "long", "wide"])
async def test_every_text_column(kind):
    app = WorkbenchApp(hostile_case(HOSTILE[kind]))
    async with app.run_test(size=(200, 50)) as pilot:
        await settle(pilot)
        for _ in range(50):
            check(screen_text(pilot), 200)
            await press(pilot, "l")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_errors_and_recent_cases(text, tmp_path):
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.push_screen(ErrorDialog.of(SourceError(text, text)))
        await settle(pilot)
        check(screen_text(pilot), 80)
        await press(pilot, "escape")
        app.push_screen(ErrorDialog.of(RuntimeError(text)))
        await settle(pilot)
        check(screen_text(pilot), 80)
        await press(pilot, "escape")
        app.push_screen(StartScreen([RecentCase("/" + text, text, 0.0)]))
        await settle(pilot)
        check(screen_text(pilot), 80)
