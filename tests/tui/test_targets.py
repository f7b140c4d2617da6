"""The screen of targets against a resident: what runs, what waits, what drifts, what was hit; drift in the status line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import People
from tests.store.rows import batch, flow, source
from tests.tui.driving import case_screen, press, screen_text, settle
from tests.tui.live_feed import Feed
from tests.workflows.desk import POLICY, Desk, at_desk
from tests.workflows.test_target_watch import rewrite
from workbench.audit.log import AuditLog
from workbench.push import channel
from workbench.store.writer import CaseWriter
from workbench.tui.application import WorkbenchApp
from workbench.tui.attaching import Attachments
from workbench.tui.case_data import StoredCase
from workbench.tui.screens.targets import TargetsScreen
from workbench.workflows import push_policy
from workbench.workflows.requests import AttachRequest
from workbench.workflows.spawning import ready_to_spawn


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def desk(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with at_desk(tmp_path, people, monkeypatch) as one:
        yield one


async def until(pilot: Any, seen: Callable[[str], bool], patience: float = 60.0) -> str:
    """The screen follows threads; as long as they take."""
    deadline = time.monotonic() + patience
    while True:
        text = "\n".join(screen_text(pilot))
        if seen(text):
            return text
        assert time.monotonic() < deadline, text
        await pilot.pause()
        await asyncio.sleep(0.02)


def shows(*words: str) -> Callable[[str], bool]:
    return lambda text: all(word in text for word in words)


def edit(desk: Desk) -> None:
    """Somebody lets ssh through where a rule denies it."""
    rows = desk.box.lines.file.read_text().splitlines()
    number = next(n for n, row in enumerate(rows) if "tp_dst=22" in row)
    rows[number] = rows[number].partition("actions=")[0] + "actions=NORMAL"
    rewrite(desk, "\n".join(rows))


def count(desk: Desk, monkeypatch: pytest.MonkeyPatch, packets: int) -> None:
    ids = {name: number for number, name in push_policy.status(["dpu1"])[0].ids.items()}
    monkeypatch.setattr(
        desk.box.lines, "counters", lambda: {ids["web/rest"]: [packets, packets * 100], ids["web/no-ssh"]: [0, 0]}
    )


async def test_what_runs_is_hit_drifts_waits_and_is_asked_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.settings('[targets.dpu2]\naddress = "local"')
    push_policy.apply_plan(desk.ready(), 30)
    mark = push_policy.confirm("dpu1", "")
    count(desk, monkeypatch, 1200)
    asked = []
    ask = channel.ask

    def heard(target: Any, what: str, **given: Any) -> dict[str, Any]:
        asked.append(target.name)
        if target.name == "dpu2":
            raise channel.FarError("local has no resident of dpu2", "")
        return ask(target, what, **given)

    monkeypatch.setattr(channel, "ask", heard)
    async with WorkbenchApp().run_test(size=(160, 50)) as pilot:
        await press(pilot, "escape", "E")
        text = await until(pilot, shows("dpu1     confirmed", mark[:12], "not enrolled", "1,200"))
        assert "2 targets, 1 confirmed" in text
        assert "signed by ada, approved by ben" in text
        assert "host: unknown whether it may reach into the DPU" in text
        row = next(line for line in text.split("\n") if "web/no-ssh" in line)
        assert "never hit" in row
        assert "offloaded may be missing" in text
        count(desk, monkeypatch, 1230)
        await press(pilot, "r")
        text = await until(pilot, shows("1,230", ", + in "))
        assert "30" in next(line for line in text.split("\n") if "web/rest" in line).split("1,230")[1]
        edit(desk)
        await press(pilot, "r")
        text = await until(pilot, shows("1 DRIFTING", "DRIFT, seen since", "CHANGED"))
        assert "web/no-ssh" in next(line for line in text.split("\n") if line.startswith(("▶ dpu1", "  dpu1")))
        await press(pilot, "j")
        await until(pilot, shows("workbench push enrol dpu2 --signers FILE"))
        await press(pilot, "k")
        desk.policy.write_text(POLICY.replace("tcp/22", "tcp/23"))
        push_policy.apply_plan(desk.ready(), 30)
        await press(pilot, "r")
        await until(pilot, shows("waiting 30 s", "runs and WAITS: rolled back in", "workbench push confirm dpu1"))
        desk.box.lines.fails = "no switch"
        await press(pilot, "r")
        await until(pilot, shows("the dataplane does not answer"))
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, TargetsScreen)
        pilot.app.polling.now().watch.again()
        many = len(asked)
        await asyncio.sleep(0.3)
        assert len(asked) == many


async def test_without_targets_it_says_how_to_get_one(tmp_path: Path) -> None:
    async with WorkbenchApp().run_test(size=(80, 24)) as pilot:
        await press(pilot, "escape", "E")
        text = await until(pilot, shows("[targets.dpu1]"))
        assert "workbench push enrol dpu1 --signers FILE" in text
        await press(pilot, "E")
        assert not isinstance(pilot.app.screen, TargetsScreen)


async def test_drift_is_in_the_status_line_and_the_audit_log_while_attached(desk: Desk, tmp_path: Path) -> None:
    desk.settings("[attach]\ndrift_every = 1")
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    ready_to_spawn()
    case, feed = tmp_path / "case", Feed()
    live = Attachments(case)
    live.attach(AttachRequest("-", case, stdin=feed.end))
    async with WorkbenchApp(None, None, live).run_test(size=(100, 30)) as pilot:
        await until(pilot, shows("Waiting for the first packet"))
        assert "DRIFTS" not in "\n".join(screen_text(pilot))
        before = desk.box.lines.file.read_text()
        edit(desk)
        await until(pilot, shows("dpu1 DRIFTS: web/no-ssh"))

        def written() -> list[Any]:
            return [one for one in AuditLog(case).read() if one.action == "push_drifted"]

        await until(pilot, lambda _: bool(written()))  # it is told first, then written
        told = written()
        assert [(one.detail["target"], one.detail["rules"]) for one in told] == [("dpu1", ["web/no-ssh"])]
        rewrite(desk, before)
        await until(pilot, lambda text: "DRIFTS" not in text)
        desk.box.lines.fails = "no switch"
        await until(pilot, shows("drift of dpu1 unknown"))
        feed.close()
        await until(pilot, lambda text: "drift of" not in text)


async def test_enter_on_a_rule_shows_the_flows_that_it_decided(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    count(desk, monkeypatch, 7)
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n) for n in range(3)]))
        row = {"flow_id": flow(1)["flow_id"], "ts": flow(1)["ts"], "verdict": "deny", "rule_id": "web/no-ssh"}
        writer.append("verdicts", batch("verdicts", [{**row, "origin": "nft-log", "target": "dpu1"}]))
    async with WorkbenchApp(StoredCase.open(tmp_path / "case")).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "E")
        await until(pilot, shows("web/rest"))
        await press(pilot, "enter", "G", "enter")
        assert isinstance(pilot.app.screen, TargetsScreen)  # there are no such flows
        await press(pilot, "g", "j", "enter")
        await until(pilot, shows('verdicts.rule_id == "web/no-ssh"', "1 of 3"))
        assert case_screen(pilot).shown.number == 2
