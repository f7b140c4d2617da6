"""`d` from anywhere: what the cursor stands on becomes a draft in the editor, broader or more exact by a key."""

from __future__ import annotations

import threading

import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.errors import CancelledError
from workbench.policy.loader import load
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.data import Span, View
from workbench.tui.policy_drafting import Origin, origins
from workbench.tui.views.base import Subject
from workbench.tui.views.policy import PolicyView

SMALL, LARGE = (80, 24), (160, 50)


@pytest.fixture
def data(own):
    case = StoredCase.open(own("esxi-lateral"))
    yield case
    case.close()


def view_of(pilot) -> PolicyView:
    return case_screen(pilot).query_one(PolicyView)


def drawn(pilot):
    """The policy in the editor."""
    return load([("policy", view_of(pilot).editor.text)]).policy


def told(pilot) -> str:
    return "\n".join(one.message for one in pilot.app._notifications)


async def test_a_finding_becomes_its_containment_and_the_dial_turns_it(data):
    data.detect(lambda _: None, threading.Event())
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "5", "g", "j", "d")
        view = view_of(pilot)
        assert case_screen(pilot).shown is view
        assert view.editor.has_focus
        policy = drawn(pilot)
        assert policy.metadata.name.startswith("contain-")
        assert {rule.action for rule in policy.rules} == {"deny", "pass"}
        assert "would have stopped" in view.editor.text
        assert "drafted: workloads, 2 of 5" in "\n".join(screen_text(pilot))
        before = view.editor.text
        await press(pilot, *["ctrl+up"] * 3)
        assert view.sheet.origin.breadth == "broad"
        assert "drafted: broad, 5 of 5" in "\n".join(screen_text(pilot))
        await press(pilot, "ctrl+up")
        assert "as broad as it gets" in told(pilot)
        await press(pilot, "ctrl+down", "ctrl+down", "ctrl+down")
        assert view.editor.text == before
        await press(pilot, "ctrl+z")
        assert view.sheet.slot == policy.metadata.name


async def test_had_it_been_in_force_then(data):
    data.detect(lambda _: None, threading.Event())
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "5", "g", "j", "W")
        assert "Open or draft a policy first" in told(pilot)
        await press(pilot, "5", "d")
        view = view_of(pilot)
        await press(pilot, "f8")
        assert "38 stopped" in view.panes["then"].said
        assert "0 got through; it costs 4 other flows" in view.panes["then"].said
        await press(pilot, "escape", "5", "j", "W")  # another finding, the same policy
        assert case_screen(pilot).shown is view
        assert view.on_trial.words != view.sheet.origin.words
        rows = view.panes["then"]._rows.to_pylist()
        assert rows[0]["why"] == "from the beginning"
        assert rows[0]["through"] > 0
        await press(pilot, "enter")
        screen = case_screen(pilot)
        assert (screen.shown.number, screen.shown.table.total) == (2, rows[0]["through"])


async def test_the_flow_or_all_that_are_shown(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        await settle(pilot)
        case_screen(pilot).filter_by("tcp.dstport == 22")
        await settle(pilot)
        await press(pilot, "d")
        assert "all flows that are shown" in "\n".join(screen_text(pilot))
        await press(pilot, "j", "enter")
        await settle(pilot)
        services = {s for rule in drawn(pilot).rules if rule.tier == "app" for s in rule.services}
        assert services == {"tcp/22"}
        assert view_of(pilot).sheet.slot == "draft"
        await press(pilot, "escape", "2", "d", "enter")  # the one under the cursor; what was written stays a draft of its own
        await settle(pilot)
        assert view_of(pilot).sheet.slot == "draft-2"


async def test_a_pair_of_the_matrix(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "4", "d")
        await settle(pilot)
        assert view_of(pilot).editor.has_focus
        assert drawn(pilot).rules


async def test_nothing_to_draft_from_is_said_and_esc_stops_it(data, monkeypatch):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        view = view_of(pilot)
        view.draft(Origin("nothing", "tcp.dstport == 1"))
        await settle(pilot)
        assert "no flow to draft from" in "\n".join(screen_text(pilot))
        await press(pilot, "escape")
        entered = threading.Event()

        def slow(self, kept, finding, breadth, question):
            entered.set()
            while not question.stopped:
                pass
            raise CancelledError("stopped")

        monkeypatch.setattr(StoredCase, "draft", slow)
        view.draft(Origin("something", ""))
        while not entered.is_set():
            await pilot.pause(0.01)
        assert "drafting from something, Esc stops" in view.activity
        await press(pilot, "escape")
        assert view.activity == ""
        assert not view.open


async def test_a_draft_that_comes_late_takes_no_keys_from_another_view(data, monkeypatch):
    gate, whole = threading.Event(), StoredCase.draft

    def late(self, *given):
        gate.wait()
        return whole(self, *given)

    monkeypatch.setattr(StoredCase, "draft", late)
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        view = view_of(pilot)
        view.draft(Origin("all flows of the case", ""))
        await pilot.press("2")
        gate.set()
        await settle(pilot)
        assert view.open
        assert not view.editor.has_focus
        before = view.editor.text
        await press(pilot, "8")
        assert case_screen(pilot).shown is view
        assert view.editor.text == before


def test_what_could_be_meant():
    flow, pair = Subject("flow", "7", "a flow", "flow_id == 7"), Subject("pair", "k", "a pair", "addr == 10.0.0.1")
    assert origins(None, View()) == [Origin("all flows of the case")]
    assert origins(Subject("finding", "f1", "scan"), View()) == [Origin("scan", finding="f1")]
    assert [one.filter for one in origins(flow, View())] == ["flow_id == 7"]
    assert [one.filter for one in origins(flow, View(filter="udp"))] == ["flow_id == 7", "udp"]
    assert [one.filter for one in origins(pair, View(filter="udp"))] == ["udp && addr == 10.0.0.1"]
    assert "ts_end >=" in origins(None, View(span=Span(0, 5)))[0].filter
    assert origins(Subject("query", "q", "SQL", flow={"flow_id": 9}), View())[0].filter == "flow_id == 9"
    assert Origin("x", breadth="exact").dialled(-1) is None
