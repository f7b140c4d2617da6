"""Hostile text in every text column of every table of a case, and in its notebook: each view changes but its own cells."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.store.rows import T0, address, batch, flow, source
from tests.tui.driving import case_screen, press, screen_text, settle
from tests.tui.synthetic import SOURCE, RowCase
from tests.tui.synthetic import flow as made_up
from workbench.cli.app import run
from workbench.dissect.lines import Line, Node
from workbench.records.columns import TABLES, Type
from workbench.store.notebook import Notebook
from workbench.store.writer import CaseWriter
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.data import CaseData
from workbench.tui.widgets.status import StatusLine
from workbench.workflows.carve import Frame

NASTY = (
    "[/foo][red]x[/][@click=app.quit]y\x1b[2J\x1b]52;c;eA==\x07\x1b]0;t\x07\x1b]8;;http://198.51.100.1\x1b\\h\x1b]8;;\x1b\\"
    "\x9b31m\u202egnp.exe\u2066\u200f\0\r\n\t\x7f\u200b\u2028漢字e" + "\u0301" * 50
)
#: What stands in the plain case where the other is hostile: longer than any cell, and it sorts alike.
PLAIN = "[" + "p" * 600
HOSTILE = NASTY * 3 + "漢字" * 32_000
NUMBER = {Type.BIGINT: 1, Type.INTEGER: 1, Type.DOUBLE: 0.5, Type.TIMESTAMP: T0, Type.BLOB: address(7), Type.BOOLEAN: True}


def filled(table: Any, text: str, **fields: Any) -> dict[str, Any]:
    """A row with the text in every column that can hold it."""
    return {c.name: text if c.type is Type.VARCHAR else NUMBER[c.type] for c in table.columns} | fields


def make_case(root: Path, text: str) -> Path:
    """Plain flows and one hostile one, and a hostile row in every other table."""
    ids = {"flow_ids": json.dumps([1 << 40]), "finding_id": "0123456789abcdef", "ts_last": T0 + 1000, "vni": 5}
    evidence = {"evidence": json.dumps({text: text}), "parameters": json.dumps({text: [text, {"a": text}]})}
    with CaseWriter(root) as writer:
        writer.add_source(source(1, sensor=text, kind=text, detail=text, link_type=text, bpf=text))
        hostile = {c.name: text for c in TABLES[0].columns if c.type is Type.VARCHAR}
        rows = [flow(n) for n in range(6)]
        writer.append("flows", batch("flows", [*rows, flow(6, **hostile), flow(7, conn_state="S0")]))
        for table in TABLES[1:]:
            if table.name in ("findings", "finding_flows"):
                extra = {name: value for name, value in ids.items() if name in table.names} | {"flow_id": 1 << 40}
                row = {name: value for name, value in filled(table, text, **extra).items() if name in table.names}
                calm = row | ({"subject": "10.0.0.1", "object": None, **evidence} if table.name == "findings" else {})
                writer.append(table.name, batch(table.name, [row, calm | {"finding_id": "1123456789abcdef"}]))
            elif table.name == "ledger":
                kinds = ("unseen", "undecoded", "note", text)
                writer.append("ledger", batch("ledger", [filled(table, text, kind=kind) for kind in kinds]))
            elif not table.name.startswith("source"):
                writer.append(table.name, batch(table.name, [filled(table, text)]))
        writer.update_source(1, state="ok", packets=9, flows=8, path="/" + text)
    book = Notebook(root)
    words = text.replace("\0", "")
    for kind, key in (("flow", str((1 << 40) + 6)), ("case", "x"), ("finding", "0123456789abcdef"), ("host", words)):
        book.add_note(kind, key, words, words)
        book.turn_bookmark(kind, key, words)
    book.set_state("0123456789abcdef", "confirmed", words[:2000])
    book.close()
    return root


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock in the notebook and on the status line."""
    monkeypatch.setattr("workbench.store.notebook._now", lambda: T0)
    monkeypatch.setattr(StatusLine, "_state", lambda _: "ready")


def check(lines: list[str], width: int) -> None:
    for line in lines:
        for char in line:
            assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"), (hex(ord(char)), line)
        assert cell_len(line) == width, line


#: What is pressed, one screen after the other; each is looked at. `+` is one of the sections of the view Case. SQL is
#: last but one: its editor takes digits.
KEYS = {"+": "greater_than_sign", "$": "dollar_sign", ":": "colon"}
WALKS = {
    (80, 24): (
        "1 j 2 G k $ f F enter escape L escape y escape n escape b 3 j enter j o escape v j v"
        " 4 w home enter j enter w end enter 5 j enter escape 8 7 tab 9 + + +"
    ),
    (160, 50): "1 2 G enter escape 3 4 5 j 8 9 +",
}
#: The same among packets: the list, the fields, the bytes and the dialogs that name what they are about.
AMONG_PACKETS = "2 p j enter j l j escape G : escape U escape e escape y escape w c"


async def walk(case: CaseData, size: tuple[int, int], keys: str) -> list[list[str]]:
    """Every screen that is passed, but for prose, which is as long as its text."""
    app = WorkbenchApp(case)
    seen = []
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in keys.split():
            await press(pilot, KEYS.get(key, key))
            assert not key.isdigit() or case_screen(pilot).shown.id == f"view-{key}"
            lines = screen_text(pilot)
            check(lines, size[0])
            for x, y, width, height in (part.region for part in pilot.app.screen.query("Prose, #detail")):
                for row in range(y, min(y + height, size[1])):
                    lines[row] = "".join([*cells(lines[row])[:x], " " * width, *cells(lines[row])[x + width :]])
            seen.append(lines)
        assert app.is_running
    return seen


def cells(line: str) -> list[str]:
    """What stands in each cell of a line; marks stand with their letter, wide characters in their first cell."""
    out: list[str] = []
    for char in line:
        width = cell_len(char)
        if width:
            out += [char, *[""] * (width - 1)]
        else:
            out[-1] += char
    return out


#: A cell of the plain case where the other one has hostile text, to its end.
OWN = re.compile(r"[\"/▾▸> ]*\[?p{3,}(…p*)?…?")


def assert_only_own_cells_differ(lines: list[str], calm: list[str]) -> None:
    for line, other in zip(lines, calm, strict=True):
        own = {x for found in OWN.finditer(other) for x in range(*found.span())}
        assert not [x for x, (a, b) in enumerate(zip(cells(line), cells(other), strict=True)) if a != b and x not in own], (
            line,
            other,
        )


@pytest.mark.parametrize("size", WALKS)
async def test_views_change_in_their_hostile_cells_alone(size, tmp_path):
    plain = await walk(StoredCase.open(make_case(tmp_path / "plain", PLAIN)), size, WALKS[size])
    hostile = await walk(StoredCase.open(make_case(tmp_path / "hostile", HOSTILE)), size, WALKS[size])
    for key, lines, calm in zip(WALKS[size].split(), hostile, plain, strict=True):
        if key != "L":  # the ledger's text wraps
            assert_only_own_cells_differ(lines, calm)


class TalkingCase(RowCase):
    """Packets of which every second one says a text wherever a packet, its file or tshark can say one."""

    def __init__(self, text: str) -> None:
        texts = {c.name: text for c in TABLES[0].columns if c.type is Type.VARCHAR}
        super().__init__([made_up(1, **texts), made_up(2)], [SOURCE | {"path": "/" + text}])
        self.text = text

    def frames(self, *asked: Any) -> Iterator[Frame]:
        return (replace(frame, interface=self.text) for frame in super().frames(*asked))

    def lines(self, *asked: Any) -> Sequence[Line]:
        said = {"src": self.text, "dst": self.text, "protocol": self.text, "info": self.text}
        return [replace(line, **said) if line.number % 2 else line for line in super().lines(*asked)]

    def tree(self, frame: Frame, reason: str | None) -> Sequence[Node]:
        said = Node(self.text, self.text, self.text, False, 14, 4)
        return [*super().tree(frame, reason), Node("ip", self.text, self.text, False, 14, 20, (said,)), said]


@pytest.mark.parametrize("size", WALKS)
async def test_packets_change_in_their_hostile_cells_alone(size):
    plain, hostile = [await walk(TalkingCase(text), size, AMONG_PACKETS) for text in (PLAIN, HOSTILE)]
    for lines, calm in zip(hostile, plain, strict=True):
        assert_only_own_cells_differ(lines, calm)


def test_command_line_tables_hold_no_control_characters(tmp_path, capsys):
    case = str(make_case(tmp_path / "case", NASTY))
    for command in (
        ["flows"],
        ["query", "SELECT * FROM findings, arp, sources"],
        ["query", "SELECT 1 AS \"\x1b[2J\", [detail], {'\x1b]0;x\x07': detail} FROM ledger"],
        ["query", "--name", "first-seen", "-p", "\x1b[2J=1"],
        ["note"],
        ["packets", "--flow", str((1 << 40) + 6)],
    ):
        run([*command, "--case", case, *(["--format", "table"] if command[0] in ("flows", "query", "note") else [])])
        out, err = capsys.readouterr()
        assert out or err, command
        for char in set(out + err) - {"\n"}:
            assert unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"), (command, hex(ord(char)))


async def test_what_a_stranger_wrote_into_the_case_is_a_value_of_a_filter(tmp_path):
    root = make_case(tmp_path / "case", "plain")
    Notebook(root).turn_bookmark("host", "10.0.0.1||flow_id>0", "10.0.0.1")
    async with WorkbenchApp(StoredCase.open(root)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", *["greater_than_sign"] * 3)
        while "flow_id" not in str(case_screen(pilot).shown.subject().key):
            await press(pilot, "j")
        await press(pilot, "enter")
        assert case_screen(pilot).view.filter == ""
