"""The editor of the policy view: what a key brings, at its line and in the panes; versions and drafts; hostile text."""

from __future__ import annotations

import sys

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.audit.log import AuditLog
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.policy_example import EXAMPLE
from workbench.tui.screens.dialog import ErrorDialog
from workbench.tui.screens.policy_difference import DifferenceDialog
from workbench.tui.views.policy import PolicyView
from workbench.workflows.policy_versions import PolicyVersions

SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])


@pytest.fixture
def data(own):
    case = StoredCase.open(own("esxi-lateral"))
    yield case
    case.close()


async def at_policy(pilot) -> PolicyView:
    await settle(pilot)
    await press(pilot, "8")
    return case_screen(pilot).query_one(PolicyView)


async def example(pilot) -> PolicyView:
    view = await at_policy(pilot)
    await press(pilot, "ctrl+o", "enter")
    assert view.editor.text == EXAMPLE
    return view


def text_of(pilot) -> str:
    return "\n".join(screen_text(pilot))


def told(pilot) -> str:
    """What was said and goes away by itself."""
    return "\n".join(one.message for one in pilot.app._notifications)


async def write(pilot, view, old, new):
    """Replace a part of the text as typing would."""
    at = view.editor.text.index(old)
    row, column = view.editor.text.count("\n", 0, at), at - view.editor.text.rfind("\n", 0, at) - 1
    view.editor.replace(new, (row, column), (row, column + len(old)))
    await settle(pilot)


async def test_what_to_do_where_nothing_is_open(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await at_policy(pilot)
        assert not view.open
        assert "ctrl+o opens a version, a file, or an" in " ".join(text_of(pilot).split())
        await press(pilot, "f3")
        assert view.shown_pane == "evidence"


async def test_digits_are_text_in_the_editor_and_esc_leads_out(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await example(pilot)
        assert view.editor.has_focus
        await press(pilot, *"123", "slash", "question_mark", "q")
        assert view.editor.text.startswith("123/?q# A policy")
        await press(pilot, "escape")
        assert view.panes["impact"].table.has_focus
        await press(pilot, "i")
        assert view.editor.has_focus
        await press(pilot, "ctrl+z")
        assert not view.editor.text.startswith("123/?q")
        await press(pilot, "escape", "2")
        assert case_screen(pilot).shown.number == 2


async def test_a_mistake_is_told_at_its_line(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await example(pilot)
        line = EXAMPLE[: EXAMPLE.index("action: deny")].count("\n") + 1
        await write(pilot, view, "action: deny", "action: denny")
        assert view.editor._marks == {line: "error"}
        await press(pilot, "ctrl+n")
        assert view.editor.line == line
        text = text_of(pilot)
        assert f"✗ line {line}: rules[0].action: `denny` is none of allow, deny" in text
        assert f"{line} ✗" in text
        await press(pilot, "f3")
        assert "does not load" in text_of(pilot)
        await press(pilot, "ctrl+s")
        assert "A version must load" in told(pilot)
        await write(pilot, view, "denny", "deny")
        assert "does not load" not in text_of(pilot)
        assert "✗" not in text_of(pilot)


async def test_oddities_groups_and_tests_follow_the_text(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        await press(pilot, "f5")
        assert "✓ all 2 tests pass" in text_of(pilot)
        await write(pilot, view, "expect: deny", "expect: allow")
        assert "✗ 1 of 2 tests fail" in text_of(pilot)
        row = view.panes["tests"].record
        assert (row["result"], row["got"], row["rule"]) == ("✗ FAIL", "deny", "contain-esxi/no-guest-to-mgmt")
        await press(pilot, "escape", "enter")
        assert view.editor.has_focus
        assert view.editor.line == row["line"]
        await press(pilot, "f4")
        assert "hypervisors" in text_of(pilot)
        await write(pilot, view, 'cidr: [10.0.0.0/8, "fd00::/8"], except', "labels: {app: nothing}, except")
        assert "nobody in guests" in text_of(pilot)
        await write(pilot, view, "from: guests", "from: hypervisors")
        assert view.editor._marks[8] == "warning"  # nobody is in it


IMPACT = EXAMPLE.replace("10.20.0.0/24", "10.20.30.0/24").replace("to: 10.20.0.6", "to: 10.20.30.6")


async def test_the_impact_follows_what_is_typed_and_leads_to_the_flows(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        assert "193 flows against no policy at all: newly denied: none; newly allowed: none" in text_of(pilot) or (
            "nothing changes" in text_of(pilot)
        )
        view.editor.put(IMPACT)
        await settle(pilot)
        text = text_of(pilot)
        assert "newly denied: 34 flows" in text
        rows = view.panes["impact"]._rows.to_pylist()
        assert {row["way"] for row in rows} == {"- denied"}
        assert sum(row["flows"] for row in rows) == 34
        assert {row["service"] for row in rows} == {"tcp/427", "udp/427"}
        assert {row["rule"] for row in rows} == {"contain-esxi/no-guest-to-mgmt"}
        await write(pilot, view, ", udp/427]", "]")
        assert sum(row["flows"] for row in view.panes["impact"]._rows.to_pylist()) < 34
        await press(pilot, "ctrl+z", "escape", "enter")
        screen = case_screen(pilot)
        assert screen.shown.number == 2
        assert screen.shown.table.total == rows[0]["flows"]
        screen.filter_by("tcp")
        await press(pilot, "8")
        assert "that are shown against no policy at all" in text_of(pilot)


async def test_the_proof_says_what_changes_and_that_nothing_else_does(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        await press(pilot, "ctrl+s", *"first", "enter")
        await press(pilot, "f3")
        assert "every packet is judged as by version 1" in text_of(pilot)
        await write(pilot, view, "udp/427]", "udp/427, tcp/8697]")
        text = text_of(pilot)
        assert "nothing else changes" in text
        rows = view.panes["proof"]._rows.to_pylist()
        assert {row["way"] for row in rows} == {"denied"}
        assert {row["services"] for row in rows} == {"tcp/8697"}
        # every source port of every pair: guests are 10/8 without a /24, and fd00::/8 without a /64
        assert sum(int(row["packets"]) for row in rows) == ((2**24 - 2**8) * 2**8 + (2**120 - 2**64) * 2**64) * 2**16
        assert "newly denied: 10." in text or "newly denied: fd" in text
        await write(pilot, view, "udp/427, tcp/8697]", "udp/427] # as before")
        assert "every packet is judged as by version 1" in text_of(pilot)


async def test_a_version_is_saved_and_an_older_one_opened_and_compared(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        await press(pilot, "ctrl+s")
        assert "as its next version: why?" in text_of(pilot)
        await press(pilot, *"first", "enter")
        kept = PolicyVersions(data.path)
        assert [(one.number, one.why) for one in kept.versions("contain-esxi")] == [(1, "first")]
        assert AuditLog(data.path).read()[-1].action == "policy_saved"
        assert "policy contain-esxi: version 1" in text_of(pilot)
        await press(pilot, "ctrl+s")
        assert "Nothing has changed since version 1" in told(pilot)
        await write(pilot, view, "tcp/902, ", "")
        assert "changed since version 1" in text_of(pilot)
        await press(pilot, "ctrl+s", *"less", "enter", "f6", "escape")
        rows = view.panes["versions"]._rows.to_pylist()
        assert [(row["version"], row["why"]) for row in rows] == [("2", "less"), ("1", "first")]
        await press(pilot, "j", "v")
        assert isinstance(pilot.app.screen, DifferenceDialog)
        text = text_of(pilot)
        assert "newly allowed" in text
        assert "-    services: [tcp/427, tcp/443, tcp/902, udp/427]" in text
        await press(pilot, "escape", "enter")
        assert view.editor.text == EXAMPLE
        assert view.sheet.base == 1


async def test_what_was_written_is_there_again(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await example(pilot)
        await press(pilot, *"# mine", "enter")
        await press(pilot, "escape", "2")
        await settle(pilot)
        assert PolicyVersions(data.path).draft("contain-esxi").startswith("# mine\n")
        await press(pilot, "8", "i", *"# and", "enter")  # left at once: the case is let go of before it was due
    assert PolicyVersions(data.path).draft("contain-esxi").startswith("# mine\n# and\n")
    again = StoredCase.open(data.path)
    async with WorkbenchApp(again).run_test(size=SMALL) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        view = case_screen(pilot).query_one(PolicyView)
        assert view.editor.text.startswith("# mine\n# and\n")
        assert "Not saved as a version yet" in told(pilot)
    again.close()


async def test_saving_one_text_leaves_the_other_that_is_being_written(data):
    kept = PolicyVersions(data.path)
    kept.save("contain-esxi", EXAMPLE, "first")
    kept.keep_draft("contain-esxi", "# mine\n" + EXAMPLE)
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await at_policy(pilot)
        assert view.editor.text.startswith("# mine")
        view._keeping.open_text("", EXAMPLE.replace("who may", "who might"), "")
        await settle(pilot)
        assert view.sheet.slot == "contain-esxi-2"
        await write(pilot, view, "tcp/902, ", "")
        await press(pilot, "ctrl+s", *"less", "enter")
        assert kept.latest("contain-esxi").number == 2
        assert kept.draft("contain-esxi") == "# mine\n" + EXAMPLE
        await write(pilot, view, "tcp/443, ", "")  # what is written from here on has a place of its own, too
        await press(pilot, "f6", "escape", "j", "j", "enter")
        assert (view.sheet.base, view.sheet.slot) == (1, "contain-esxi-3")
        await press(pilot, *"# one", "enter", "escape", "2")
        await settle(pilot)
        assert kept.draft("contain-esxi") == "# mine\n" + EXAMPLE
        assert "[tcp/427, udp/427]" in kept.draft("contain-esxi-2")
        assert kept.draft("contain-esxi-3").startswith("# one\n")


async def test_a_read_only_case_says_that_nothing_is_kept(data, monkeypatch):
    monkeypatch.setattr(PolicyVersions, "readable_only", True)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        await press(pilot, "x")
        view._keep_soon(0.001)
        await settle(pilot)
        assert "CANNOT BE KEPT" in text_of(pilot)
        await press(pilot, "ctrl+z", "number_sign", "enter", "ctrl+s")
        await press(pilot, *"why", "enter")
        refused = pilot.app.screen  # on the screen it may be broken anywhere: a path stands in it
        assert isinstance(refused, ErrorDialog)
        assert "read-only for you" in refused._parts[1]


async def test_it_rests_while_the_case_grows_so_that_the_frame_looks_again(data, monkeypatch):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await example(pilot)
        grown = data.generation + 1
        monkeypatch.setattr(StoredCase, "generation", grown)
        assert view.resting  # else nobody would ask for what came
        view.obey(case_screen(pilot).view, case_screen(pilot).summary)
        await settle(pilot)
        assert view._asked.generation == grown


async def test_hostile_text_is_shown_as_what_it_is(data, tmp_path):
    path = tmp_path / "hostile.yaml"
    path.write_text(EXAMPLE.replace("contain-esxi", "[b]x").replace("owner: secops", 'owner: "\x1b[31m\u202e"'))
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await at_policy(pilot)
        await press(pilot, "ctrl+o", "j", "enter", *str(path), "enter")
        text = text_of(pilot)
        assert "\x1b" not in view.editor.text
        assert "\u202e" not in text
        await press(pilot, "ctrl+n")
        assert "✗ line 4: " in text_of(pilot)
        assert view.sheet.slot == "untitled"
        await press(pilot, "ctrl+o", "escape", "escape", "ctrl+o", "k", "enter", *"/nowhere", "enter")
        assert "is not there" in text_of(pilot)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@BOTH
def test_looks(snap_compare, data, size):
    async def show(pilot):
        view = await example(pilot)
        view.editor.cursor_blink = False
        view.editor.put(IMPACT)
        await press(pilot, "f3" if size == LARGE else "f2")
        view.editor.go_to(13)
        pilot.app.clear_notifications()
        await settle(pilot)

    assert snap_compare(WorkbenchApp(data), terminal_size=size, run_before=show)
