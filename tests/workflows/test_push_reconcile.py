"""Members of groups that follow their workloads, to a resident in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.workflows.desk import CONTESTED, FOLLOWING, Desk, World
from tests.workflows.test_naming import add, from_to
from tests.workflows.test_naming import told as told_flow
from workbench.cli.app import run
from workbench.errors import FarError, PlanError, PolicyError, PushRefusedError, UsageError
from workbench.policy import addresses
from workbench.policy.services import Box as Service
from workbench.push import channel, lockout
from workbench.push.lockout import Path as Guarded
from workbench.workflows import push_policy, push_reconcile
from workbench.workflows.naming import name_flows


def test_members_follow_their_workloads_and_every_step_is_proven(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, train="10.1.0.1 10.1.0.7", disks="10.2.0.1")
    desk.policy.write_text(FOLLOWING)
    push_policy.apply_plan(desk.ready(lease=600), 30)
    push_policy.confirm("dpu1", "")
    assert desk.box.lines.running().count("10.1.0.7") > 1
    case = desk.folder
    world.held["train"] = "10.1.0.1 10.1.8.8 10.3.0.0/30"
    found = push_reconcile.reconcile([], case, "")
    assert [(one.came, one.went, one.changed) for one in found] == [(2, 1, True)]
    running = desk.box.lines.running()
    assert "10.1.0.7" not in running
    assert "10.1.8.8" in running
    world.held["disks"] = "10.1.8.8"  # its address has changed hands
    world.held["train"] = "10.1.0.1"
    assert [(one.came, one.went) for one in push_reconcile.reconcile(["dpu1"], case, "")] == [(1, 3)]
    moved = ["disks 10.1.8.8/32", "-disks 10.2.0.1/32", "-train 10.1.8.8/32", "-train 10.3.0.0/30"]
    assert desk.log()[-1]["detail"]["some"] == moved
    world.held["train"] = "10.1.0.1 11.0.0.1"
    error = push_reconcile.reconcile(["dpu1"], case, "")[0].error
    assert isinstance(error, PushRefusedError)
    assert error.code == desk.log()[-1]["detail"]["code"] == "out-of-bounds"
    world.held["train"] = "10.1.0.1"  # nobody came or went: nothing is loaded, the lease is renewed
    loads = desk.box.lines.loads
    desk.box.later(500)
    again = push_reconcile.reconcile(["dpu1"], case, "")[0]
    assert (again.came, again.went, again.changed, again.until) == (0, 0, False, int(desk.box.wall) + 600)
    desk.box.later(500)
    desk.box.tick()
    assert desk.box.lines.loads == loads
    assert "10.1.8.8" in desk.box.lines.running()
    desk.box.later(101)
    desk.box.tick()
    running = desk.box.lines.running()
    assert "10.1.0.1" in running  # what it must not do it still must not
    assert "10.1.8.8" not in running  # what it might do ends with the lease
    again = push_reconcile.reconcile(["dpu1"], case, "")[0]  # the same members, but the lease was over
    assert (again.came, again.changed) == (0, True)
    assert "10.1.8.8" in desk.box.lines.running()


def test_new_members_are_looked_at_as_a_plan_would(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(monkeypatch, train="10.1.0.1", disks="10.2.0.1")
    more = "  - {name: odd, tier: app, priority: 1, action: deny, from: disks, to: disks, services: tcp/2049}\n"
    tests = "tests:\n  - {name: open, from: train, to: disks, service: tcp/2049, expect: allow}\n"
    desk.policy.write_text(FOLLOWING + more + tests)
    push_policy.apply_plan(desk.ready(lease=600), 30)
    push_policy.confirm("dpu1", "")
    world.held["train"] = "10.1.0.1 10.2.0.1"  # of both groups: allowed by one rule, denied by another of the same priority
    error = push_reconcile.reconcile([], desk.folder, "")[0].error
    assert isinstance(error, PolicyError)
    assert "`odd` says deny where `data`" in error.message
    world.held["train"] = "10.1.0.1"
    desk.box.lines.taken = "a flow of somebody else"
    with pytest.raises(PushRefusedError, match="occupied: a flow of somebody else"):
        desk.planned()
    desk.box.lines.taken, desk.box.lines.owned = "", "ovn"
    with pytest.raises(PushRefusedError, match=r"owned: br0 is run by another \(ovn\)"):
        desk.planned()
    run(["push", "status", "dpu1"])
    assert "its bridge is run by another (ovn): a push would be refused" in capsys.readouterr().err
    desk.settings('[targets.dpu2]\naddress = "local"')  # the same DPU, which is not that one
    found = push_reconcile.reconcile(["dpu2", "dpu1"], desk.folder, "")
    assert [one.error is None for one in found] == [False, True]
    assert run(["push", "reconcile", "dpu2", "dpu1", "--case", str(desk.folder), "--format", "json"]) == 4
    said = json.loads(capsys.readouterr().out)
    assert [(one["target"], bool(one["error"])) for one in said] == [("dpu2", True), ("dpu1", False)]


def test_members_that_others_claim_as_well_are_not_reconciled_without_a_reason(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.policy.write_text(CONTESTED + "internal: [10.0.0.0/8]\n")
    case = desk.folder / "case"
    add(case, 1, flows=[told_flow(0, 1, 2, 1)], claims=[from_to("old", 1, 0, labels='{"app": "train"}')])
    name_flows(case)
    push_policy.apply_plan(desk.ready(case=case, lease=600), 30)
    push_policy.confirm("dpu1", "")
    assert "nw_src=10.0.0.1" in desk.box.lines.running()
    add(case, 2, flows=[told_flow(0, 1, 2, 3, source_id=2)], claims=[from_to("new", 1, 0)])
    name_flows(case)
    words = ["push", "reconcile", "--case", str(case)]
    assert run(words) == 3
    assert "group `train`: several claim 10.0.0.1, not all of it" in capsys.readouterr().err
    assert "nw_src=10.0.0.1" in desk.box.lines.running()
    assert run([*words, "--force", "old is gone"]) == 0
    said = capsys.readouterr()
    assert "  -train 10.0.0.1/32" in said.out
    assert "FORCED (old is gone): group `train`: several claim 10.0.0.1" in said.err
    assert "nw_src=10.0.0.1" not in desk.box.lines.running()
    log = [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]
    refused, done = (one["detail"] for one in log[-2:])
    assert (refused["code"], refused["target"]) == ("not-sent", "dpu1")
    assert (done["forced"], done["some"], len(done["contested"])) == ("old is gone", ["-train 10.0.0.1/32"], 1)


def test_reconciling_needs_somebody_to_ask(desk: Desk) -> None:
    with pytest.raises(UsageError, match="who is in the groups"):
        push_reconcile.reconcile([], None, "")


def test_new_members_do_not_close_the_way_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, train="10.1.0.1", disks="10.2.0.1")
    desk.policy.write_text(FOLLOWING.replace("rules:", "defaults: {east_west: allow}\nrules:"))
    here, dpu1 = addresses.prefix("10.0.0.5"), addresses.prefix("10.0.9.7")
    monkeypatch.setattr(lockout, "guarded", lambda _t: ([Guarded("ssh", here, dpu1, Service((6, 6), (0, 65535), (22, 22)))], []))
    push_policy.apply_plan(desk.ready(lease=600), 30)
    push_policy.confirm("dpu1", "")
    world.held["train"] = "10.1.0.1 10.0.0.5"
    error = push_reconcile.reconcile([], desk.folder, "")[0].error
    assert isinstance(error, PlanError)
    assert "would cut ssh" in error.message
    assert "10.0.0.5" not in desk.box.lines.running()


def test_members_that_a_dpu_took_are_not_told_as_not_sent(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(monkeypatch, train="10.1.0.1", disks="10.2.0.1")
    desk.policy.write_text(FOLLOWING)
    push_policy.apply_plan(desk.ready(lease=600), 30)
    push_policy.confirm("dpu1", "")
    world.held["train"] = "10.1.0.1 10.1.8.8"
    told, ask = desk.box.lines.running, channel.ask
    with monkeypatch.context() as patch:
        patch.setattr(desk.box.lines, "told", lambda: told().replace("tp_dst=22", "tp_dst=25"), raising=False)
        assert run(["push", "reconcile", "--case", str(desk.folder)]) == 3
    said = capsys.readouterr()
    assert "took the members, and runs something else than was meant: " in said.out + said.err
    assert "are as they were" not in said.out
    line = desk.log()[-1]
    assert (line["action"], line["detail"]["proven"], line["detail"]["came"]) == ("push_reconciled", False, 1)
    assert "push_refused" not in [one["action"] for one in desk.log()]

    def lost(target: Any, what: str, **given: Any) -> dict[str, Any]:
        answer = ask(target, what, **given)
        if what == "members":
            raise FarError("the way back has gone")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(channel, "ask", lost)
        found = push_reconcile.reconcile([], desk.folder, "")[0]
    assert (type(found.error), found.sent) == (FarError, True)
    assert (desk.log()[-1]["detail"]["code"], len(desk.log()[-1]["detail"]["digest"])) == ("no-answer", 64)
    assert push_reconcile.reconcile([], desk.folder, "")[0].error is None
    assert desk.log()[-1]["detail"]["proven"] is True


def test_contested_members_and_a_way_in_are_told_before_one_reason(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.policy.write_text(CONTESTED + "internal: [10.0.0.0/8]\n")
    case = desk.folder / "case"
    add(case, 1, flows=[told_flow(0, 1, 2, 1)], claims=[from_to("old", 1, 0, labels='{"app": "train"}')])
    name_flows(case)
    push_policy.apply_plan(desk.ready(case=case, lease=600), 30)
    push_policy.confirm("dpu1", "")
    add(case, 2, flows=[told_flow(0, 1, 2, 3, source_id=2)], claims=[from_to("new", 1, 0)])
    name_flows(case)
    monkeypatch.setattr("workbench.workflows.push_plan.guard", lambda *_: (["ssh from 10.0.0.5"], []))
    error = push_reconcile.reconcile([], case, "")[0].error
    assert error is not None
    assert "several claim 10.0.0.1" in error.message
    assert "would cut ssh from 10.0.0.5" in error.message
