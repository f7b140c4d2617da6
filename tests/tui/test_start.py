from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.tui.driving import press, screen_text, settle
from tests.tui.synthetic import rack_case
from workbench.errors import MissingPathError
from workbench.tui import app as way_in
from workbench.tui import folders, recent
from workbench.tui.application import WorkbenchApp
from workbench.tui.folders import listing
from workbench.tui.screens.case import CaseScreen
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.start import StartScreen, ago
from workbench.tui.widgets.file_picker import FilePicker
from workbench.workflows.requests import OpenRequest


@pytest.fixture
def planned(monkeypatch):
    """What the app asked to open; opening 'missing' fails."""
    import sys
    import types

    asked = []

    def plan_open(paths, case):
        asked.append(paths)
        if paths == ("missing",):
            raise MissingPathError("missing does not exist", "Check the path.")
        return OpenRequest(Path(paths[0]), None)

    module = types.ModuleType("workbench.workflows.open_case")
    module.plan_open = plan_open
    monkeypatch.setitem(sys.modules, "workbench.workflows.open_case", module)
    monkeypatch.setattr(way_in, "opened", lambda request: (rack_case(), None))
    return asked


async def test_nothing_yet_says_what_to_do():
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = "\n".join(screen_text(pilot))
        assert "workbench open CAPTURE" in text
        assert "No recent cases yet" in text


async def test_a_typed_path_is_opened(planned):
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *"missing", "enter")
        assert isinstance(app.screen, ErrorDialog)
        assert any("Check the path." in line for line in screen_text(pilot))
        await press(pilot, "escape")
        app.screen.query_one("Input").value = "a.pcap"
        await press(pilot, "enter")
        assert isinstance(app.screen, CaseScreen)
        assert planned == [("missing",), ("a.pcap",)]
        assert any("300 flows" in line for line in screen_text(pilot))


async def test_recent_cases_are_listed_and_opened(planned, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        recent.remember(tmp_path / name, f"{name}.pcap")
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, StartScreen)
        text = "\n".join(screen_text(pilot))
        assert text.index("two.pcap") < text.index("one.pcap")
        assert "just now" in text
        await press(pilot, "j", "enter")
        assert planned == [(str(tmp_path / "one"),)]
        assert isinstance(app.screen, CaseScreen)


def test_the_list_forgets_what_is_gone_and_keeps_its_length(tmp_path):
    for n in range(40):
        (tmp_path / str(n)).mkdir()
        recent.remember(tmp_path / str(n), f"{n}.pcap")
    recent.remember(tmp_path / "39", "again.pcap")
    (tmp_path / "38").rmdir()
    cases = recent.load_recent()
    assert cases[0].names == "again.pcap"
    assert len(cases) == recent.KEPT - 1
    assert all(Path(case.case).is_dir() for case in cases)
    assert stat.S_IMODE(recent.recent_path().stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[{"case": "/", "names": "x"}]', "null", '[{"case": null, "names": 1, "opened": "x"}]']
)
def test_a_damaged_list_is_an_empty_list(text):
    path = recent.recent_path()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert recent.load_recent() == []


def test_a_list_that_cannot_be_written_stops_nobody(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    recent.remember(tmp_path, "x")
    assert recent.load_recent() == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7_300, "2 hours ago"), (90_000, "1 day ago")]
)
def test_ago(seconds, text):
    assert ago(seconds) == text


def test_a_folder_has_cases_and_captures_first_and_nothing_hidden(tmp_path):
    for name in ("b.txt", "a.pcap3", "Z.PCAPNG.zst", ".hidden.pcap", "notes.gz"):
        (tmp_path / name).write_bytes(b"xy")
    for name in ("folder", "rack"):
        (tmp_path / name).mkdir()
    (tmp_path / "rack" / "case.toml").write_text("")
    (tmp_path / "nowhere.pcap").symlink_to(tmp_path / "gone")
    found = listing(tmp_path)
    assert [(e.name, e.kind, e.bytes) for e in found.entries] == [
        ("rack", "case", 0),
        ("a.pcap3", "capture", 2),
        ("nowhere.pcap", "capture", 0),
        ("Z.PCAPNG.zst", "capture", 2),
        ("folder", "folder", 0),
        ("b.txt", "file", 2),
        ("notes.gz", "file", 2),
    ]
    assert ".hidden.pcap" in [e.name for e in listing(tmp_path, hidden=True).entries]
    assert listing(tmp_path / "b.txt").trouble
    assert listing(tmp_path / "absent").trouble


def test_a_folder_of_very_many_is_cut_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "MOST", 3)
    for n in range(4):
        (tmp_path / str(n)).write_text("")
    assert listing(tmp_path).left_out
    (tmp_path / "0").unlink()
    assert not listing(tmp_path).left_out


async def test_files_are_walked_by_keys_and_opened(planned, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "[red]x\x1b]0;y\x07.pcap").write_bytes(b"1234")
    (tmp_path / "zzz").write_text("")
    monkeypatch.chdir(tmp_path)
    app = WorkbenchApp()
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "escape")
        app.screen.query_one(FilePicker).focus()
        await press(pilot, "enter")
        text = "\n".join(screen_text(pilot))
        assert "Files in " in text
        assert "[red]x" in text
        assert "\x1b" not in text
        assert all(line.isprintable() for line in screen_text(pilot))
        await press(pilot, "backspace")
        picker = app.screen.query_one(FilePicker)
        assert picker.folder == tmp_path
        assert picker.highlighted == 0
        await press(pilot, "enter", "enter")
        assert planned == [(str(tmp_path / "in" / "[red]x\x1b]0;y\x07.pcap"),)]
        assert isinstance(app.screen, CaseScreen)


async def test_a_folder_that_cannot_be_read_is_said_and_the_one_before_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pcap").write_text("")
    app = WorkbenchApp()
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        picker = app.screen.query_one(FilePicker)
        picker.look(tmp_path / "a.pcap")
        await settle(pilot)
        assert "cannot be shown" in "\n".join(screen_text(pilot))  # ahead of the path, which may be long
        assert picker.folder == tmp_path


async def test_the_key_line_says_how_to_leave_the_line():
    app = WorkbenchApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "esc To the lists" in screen_text(pilot)[-1]
        await press(pilot, "escape")
        assert "To the lists" not in screen_text(pilot)[-1]
