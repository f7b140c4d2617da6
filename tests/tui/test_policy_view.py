"""The evidence of the policy view over real cases: its rows lead to exactly the flows that they count."""

from __future__ import annotations

import datetime as dt
import sys
import threading

import pyarrow as pa
import pytest

from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.tui import conditions
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.data import Sorting, View
from workbench.tui.policy_rows import rule_table
from workbench.tui.widgets.policy_evidence import PolicyEvidence

SMALL, LARGE = (80, 24), (160, 50)
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])


@pytest.fixture
def data(own):
    case = StoredCase.open(own("esxi-lateral"))
    yield case
    case.close()


async def shown(pilot) -> PolicyEvidence:
    await settle(pilot)
    await press(pilot, "8")
    return case_screen(pilot).query_one(PolicyEvidence)


async def test_every_row_filters_to_what_it_counts(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        rows = view._paths.to_pylist()
        assert len(rows) > 20
        for row in rows[::4]:
            amount = data.amount(View(filter=row["kept"]))
            assert (amount.flows, amount.bytes) == (row["flows"], row["bytes"]), row["kept"]
            assert data.check(conditions.condition("src_ip", row["from"], keep=True)) is None


async def test_enter_leads_to_the_flows_and_f_keeps_the_network(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await shown(pilot)
        text = "\n".join(screen_text(pilot))
        assert "No flow here carries a verdict or a rule" in text
        assert "No policy is open. d on a flow" in text
        assert view.keep_value() == ("src_ip", "10.20.1.0/24")
        assert view.subject().words == "10.20.1.0/24 → 10.20.30.0/24 on slp"
        await press(pilot, "l", "l")
        assert view.keep_value() == ("service", "slp")
        assert view.text() == "slp"
        await press(pilot, "enter")
        screen = case_screen(pilot)
        assert screen.shown.number == 2
        assert screen.shown.table.total == 30


async def test_sorted_by_what_is_chosen_and_restored(data):
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        await press(pilot, "S")
        assert view.sorting == Sorting("flows", False)
        await press(pilot, "S")
        flows = view.table.source.page(0, 99)["flows"].to_pylist()
        assert flows == sorted(flows, reverse=True)
        view.restore({"by": "bytes", "down": True, "row": 3})
        size = view.table.source.page(0, 99)["bytes"].to_pylist()
        assert size == sorted(size, reverse=True)
        assert view.place() == {"row": 3, "by": "bytes", "down": True}
        for nonsense in ({"by": "kept"}, {"by": 7}, {"row": "x"}, {"row": 1 << 50}):
            view.restore(nonsense)
        assert view.place() == {"row": 3, "by": "bytes", "down": True}


async def test_it_obeys_the_filter(data):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await shown(pilot)
        case_screen(pilot).filter_by("tcp.dstport == 22")
        await settle(pilot)
        assert set(view._paths["service"].to_pylist()) == {"ssh", "tcp/22"}
        case_screen(pilot).filter_by("tcp.dstport == 1")
        await settle(pilot)
        assert "No flow passes the filter" in "\n".join(screen_text(pilot))


async def test_esc_stops_it(data, monkeypatch):
    entered, gate = threading.Event(), threading.Event()

    def slow(asks, where):
        entered.set()
        gate.wait(10)
        return asks.query("SELECT 1")

    monkeypatch.setattr("workbench.tui.widgets.policy_evidence.paths", slow)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await settle(pilot)
        await pilot.press("8")
        while not entered.is_set():
            await pilot.pause(0.01)
        view = case_screen(pilot).query_one(PolicyEvidence)
        question = view._question
        assert "Esc stops" in view.activity
        await pilot.press("escape")
        gate.set()
        await settle(pilot)
        assert question.stopped
        assert "Stopped. Press r" in "\n".join(screen_text(pilot))


async def test_rules_of_telemetry_are_listed(data, monkeypatch):
    at = dt.datetime(2026, 1, 1)
    rules = pa.table(
        {
            "verdict": ["deny\x1b[31m", None],
            "rule_id": ["p/[b]one", "two"],
            "flows": [5, 2],
            "bytes": [50, 20],
            "first": [at, at],
            "last": [at, at],
        }
    )
    monkeypatch.setattr("workbench.tui.widgets.policy_evidence.verdicts", lambda *_: rules)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        view = await shown(pilot)
        text = "\n".join(screen_text(pilot))
        assert "deny␛[31m" in text
        assert "p/[b]one" in text
        case_screen(pilot).set_focus(view.rules)
        await settle(pilot)
        assert view.keep_value() == ("verdict", "deny\x1b[31m")
    assert rule_table(rules)["kept"].to_pylist()[1] == '!(verdict) && rule_id == "two"'


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@BOTH
def test_looks(snap_compare, data, size):
    async def show(pilot):
        await shown(pilot)
        await press(pilot, "j")
        case_screen(pilot).set_focus(case_screen(pilot).focused)
        await settle(pilot)

    assert snap_compare(WorkbenchApp(data), terminal_size=size, run_before=show)
