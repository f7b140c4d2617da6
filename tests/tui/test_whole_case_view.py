"""The view of the case itself: sections by keys, what others write, hostile text, the audit log's verdict."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.push.resident.people import People
from tests.store.rows import batch, flow, source
from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.audit.log import AuditLog
from workbench.store.notebook import Notebook
from workbench.store.writer import CaseWriter
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.case_sections import SECTIONS
from workbench.tui.views.case import WholeCaseView
from workbench.workflows.trail import audit_sign

HOSTILE = "\x1b[2J\x1b]52;c;eA==\x07[red]x[/]\u202e\0"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(3)]))
    AuditLog(tmp_path / "case").append("case_created", version="1")
    return tmp_path / "case"


def text_of(pilot) -> str:
    return "\n".join(screen_text(pilot))


def view_of(pilot) -> WholeCaseView:
    shown = case_screen(pilot).shown
    assert isinstance(shown, WholeCaseView)
    return shown


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_every_section_by_key(case: Path, size: tuple[int, int]) -> None:
    Notebook(case).add_note("case", "1", "the case", "first words")
    Notebook(case).turn_bookmark("host", "10.0.0.1", "10.0.0.1")
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, "9")
        seen = {}
        for section in SECTIONS:
            assert f"[{section.name}]" in text_of(pilot)
            seen[section.name] = view_of(pilot).prose.plain
            await press(pilot, "greater_than_sign")
        assert "[Sources]" in text_of(pilot)
        assert "path: " in seen["Sources"]
        assert "first words" in seen["Notes"]
        assert "10.0.0.1" in seen["Bookmarks"]
        assert "note_added" in seen["Audit"]
        assert str(case) in seen["Case"]


async def test_others_notes_appear_and_stay_in_their_cell(case: Path) -> None:
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", "greater_than_sign", "greater_than_sign")
        assert "No notes." in text_of(pilot)
        Notebook(case).add_note("host", HOSTILE, HOSTILE, HOSTILE + "y" * 60_000)
        case_screen(pilot)._watch()
        await settle(pilot)
        await settle(pilot)
        assert "␛[2J␛]52;c;eA==␇[red]x[/]<U+202E>␀" in view_of(pilot).prose.plain
        assert not any(char in line for line in screen_text(pilot) for char in "\x1b\x07\u202e\0")


async def test_the_audit_log_is_verified_on_request(case: Path) -> None:
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", "V")
        assert "✓ The audit log is intact: 1 lines" in view_of(pilot).prose.plain
        log = case / "audit.jsonl"
        log.write_text(log.read_text().replace("case_created", "case_rebuilt"))
        await press(pilot, "V")
        assert "BROKEN" in view_of(pilot).prose.plain


async def test_pushes_in_the_audit_log_whose_head_is_signed_and_what_breaks_it(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = People(tmp_path, ("ada",))
    (tmp_path / "signers").write_text(people.signers(("ada",), "workbench-audit"))
    settings = tmp_path / "settings.toml"
    settings.write_text(
        f'[audit]\nprincipal = "ada"\nsigning_key = "{tmp_path}/ada"\nallowed_signers = "{tmp_path}/signers"\n'
        f'anchor_file = "{tmp_path}/anchors"\n'
    )
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    log = AuditLog(case)
    log.append("push_applied", target="dpu1", digest="ab" * 32, window=60, proven=True)
    audit_sign(case)
    log.append("push_rolled_back", target="dpu1", digest="ab" * 32, why=HOSTILE)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "9", "<", "<")
        text = text_of(pilot)
        row = next(line for line in text.split("\n") if line.startswith("▶"))
        assert all(word in row for word in ("push_rolled_back", "dpu1", "abababababab", "␛[2J"))
        text = view_of(pilot).prose.plain
        assert "signed by ada up to line 2, not checked yet" in text
        assert f"anchored up to line 3 in {tmp_path}/anchors: not asked yet" in text
        await press(pilot, "V")
        text = view_of(pilot).prose.plain
        assert "✓ The audit log is intact: 5 lines" in text
        assert "signed by ada up to line 2: the signature holds" in text
        assert f"anchored up to line 3 in {tmp_path}/anchors: as it is there" in text
        assert "2 lines came after: that they were cut off could not be found" in text
        await press(pilot, "enter")
        assert all(word in text_of(pilot) for word in ("detail.why", "ab" * 32, "what ran before was put back", "prev"))
        await press(pilot, "escape")
        lines = log.path.read_text().splitlines(keepends=True)
        log.path.write_text("".join([lines[0], lines[1].replace("dpu1", "dpu9"), *lines[2:]]))
        await press(pilot, "V")
        view_of(pilot).noted()
        await settle(pilot)
        text = text_of(pilot) + view_of(pilot).prose.plain
        assert "✗ The audit log is BROKEN; 4 good lines" in text
        assert "✗ line 2: was changed: its hash is not that of its content" in text
        assert any("✗ BROKEN" in line and line.split()[1] == "2" for line in text.split("\n"))
        table = view_of(pilot).table
        assert table._role(table.looks[3], "✗ BROKEN", table.rich_style).color != table.rich_style.color


async def test_enter_on_a_bookmark_goes_there(case: Path) -> None:
    Notebook(case).turn_bookmark("host", "10.0.0.1", "10.0.0.1")
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", *["greater_than_sign"] * 3, "enter")
        await settle(pilot)
        assert (case_screen(pilot).shown.number, case_screen(pilot).view.filter) == (2, 'addr == "10.0.0.1"')


async def test_a_damaged_notebook_is_said_and_the_rest_shown(case: Path) -> None:
    (case / "case.sqlite").write_bytes(b"x" * 999)
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9")
        assert "path: " in view_of(pilot).prose.plain
        await press(pilot, "greater_than_sign", "greater_than_sign")
        assert "Move it aside" in view_of(pilot).prose.plain


async def test_a_notes_own_text_is_in_its_row_at_80_columns(case: Path) -> None:
    Notebook(case).add_note("host", "10.0.0.1", "10.0.0.1", "ask the owner")
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", "greater_than_sign", "greater_than_sign")
        row = next(line for line in screen_text(pilot) if line.startswith("▶"))
        assert "ask the owner" in row
        await press(pilot, "tab", "tab")
        assert view_of(pilot).table.has_focus


async def test_a_note_that_cannot_be_read_is_said_beside_the_others(case: Path) -> None:
    book = Notebook(case)
    book.add_note("case", "1", "1", "ours")
    with sqlite3.connect(book.path) as con:
        con.execute("INSERT INTO notes VALUES (NULL, 1, 'a', 'case', '1', 'w', ?)", ("x" * ((1 << 20) + 1),))
    con.close()
    async with WorkbenchApp(StoredCase.open(case)).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "9", "greater_than_sign", "greater_than_sign")
        assert "ours" in text_of(pilot)
        assert "1 row with a text of more than 1 MiB, passed over" in view_of(pilot).prose.plain
