"""Plans, signatures and pushes against a resident in this process: what is refused before a DPU is asked anything."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace
from typing import Any, NoReturn

import pytest

from tests.store.rows import batch, flow, source
from tests.workflows.desk import CONTESTED, FOLLOWING, POLICY, Desk, World
from tests.workflows.test_naming import add, from_to
from tests.workflows.test_naming import told as told_flow
from workbench.cli.app import run
from workbench.errors import (
    DiskFullError,
    FarError,
    NeedsReasonError,
    NotAsMeantError,
    PlanError,
    PolicyError,
    PushRefusedError,
    UsageError,
)
from workbench.push import channel, lockout, probes
from workbench.push.lockout import Path as Guarded
from workbench.push.plans import read_plan, write_plan
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import target_of
from workbench.settings import load_settings
from workbench.store.writer import CaseWriter
from workbench.workflows import push_log, push_plan, push_policy, push_sign
from workbench.workflows.naming import name_flows


def test_a_policy_goes_all_the_way_and_every_step_is_written_down(desk: Desk) -> None:
    shown = read_plan(desk.planned()).shown
    assert (shown["against"], shown["cut"], shown["allowed"]) == ("nothing of ours", [], "0")
    assert [row["from"] for row in shown["changes"]] == [["10.0.0.0/24"]]
    assert len(shown["stages"]) == 2  # the rule ends after two hours
    desk.ready()
    done = push_policy.apply_plan(desk.plan, 30)
    assert done.proven > 20
    push_policy.confirm("dpu1", "")
    assert push_policy.status([])[0].state == "confirmed"
    assert "tp_dst=22" in desk.box.lines.running()
    desk.box.later(7201)
    desk.box.tick()
    assert "tp_dst=22" not in desk.box.lines.running()
    for digest, code in (("", "kept"), ("0" * 64, "nothing-pending")):
        with pytest.raises(PushRefusedError) as caught:
            push_policy.roll_back("dpu1", "", digest)
        assert caught.value.code == code
    with pytest.raises(PushRefusedError) as caught:
        push_policy.roll_back("dpu1", "", confirmed=read_plan(desk.plan).digest[:12])
    assert caught.value.code == "nothing-before"
    kept = next(line["detail"] for line in desk.log() if line["action"] == "push_confirmed")
    assert (kept["who"], kept["key"][:7]) == ("ada", "SHA256:")
    actions = [line["action"] for line in desk.log()]
    assert (
        actions
        == [f"push_{w}" for w in ("planned", "planned", "signed", "approved", "applied", "confirmed")] + ["push_refused"] * 3
    )


def test_a_second_push_is_told_against_the_first(desk: Desk) -> None:
    push_policy.apply_plan(desk.ready(), 30)
    push_policy.confirm("dpu1", "")
    desk.policy.write_text(POLICY.replace("tcp/22", "tcp/23"))
    plan = read_plan(desk.planned())
    assert plan.shown["against"] == "web"
    assert {(row["change"], row["service"]) for row in plan.shown["changes"]} == {("allowed", "tcp/22"), ("denied", "tcp/23")}
    assert plan.content()["sequence"] == 2


def test_a_push_that_is_over_does_not_take_the_confirmed_one_with_it(desk: Desk) -> None:
    push_policy.apply_plan(desk.ready(), 30)
    first = push_policy.confirm("dpu1", "")
    desk.policy.write_text(POLICY.replace("tcp/22", "tcp/23"))
    push_policy.apply_plan(desk.ready(), 30)
    desk.box.later(31)
    for act in (push_policy.roll_back, push_policy.confirm):
        with pytest.raises(PushRefusedError, match="not confirmed in time") as caught:
            act("dpu1", "")
        assert caught.value.code == "late"
    assert "tp_dst=22" in desk.box.lines.running()
    (desk.folder / "state" / "workbench" / "push" / "dpu1.digest").write_text("")  # another machine, another person
    theirs = push_policy.apply_plan(desk.ready(), 30).digest
    (desk.folder / "state" / "workbench" / "push" / "dpu1.digest").write_text(first)
    for act in (push_policy.roll_back, push_policy.confirm):
        with pytest.raises(PushRefusedError) as caught:
            act("dpu1", "")
        assert caught.value.code == "another-push"
    (desk.folder / "state" / "workbench" / "push" / "dpu1.digest").unlink()
    for digest in ("", theirs[:11], "f" * 12):
        with pytest.raises(UsageError):
            push_policy.confirm("dpu1", "", digest)
    assert push_policy.confirm("dpu1", "", theirs[:12]) == theirs
    assert push_policy.roll_back("dpu1", "", confirmed=theirs) == (theirs, True)
    assert push_policy.status(["dpu1"])[0].said["confirmed"]["digest"] == first


def test_a_plan_that_somebody_changed_is_not_signed(desk: Desk) -> None:
    plan = read_plan(desk.planned())
    bundle = json.loads(plan.bundle)
    bundle["rules"][0]["text"] = bundle["rules"][0]["text"].replace("tp_dst=22", "tp_dst=24")
    bundle["rules"][0]["digest"] = dpu.digest(bundle["rules"][0]["text"].encode())
    write_plan(desk.plan, replace(plan, bundle=dpu.canonical(bundle).decode()))
    with pytest.raises(PlanError, match="not what the policy compiles to"):
        push_sign.sign_plan(desk.plan, "")
    assert run(["push", "verify", str(desk.plan)]) == 1
    for text in ("", "{}", "[]", '{"format":"workbench-plan","version":1,"bundle":7}', '{"format":"workbench-plan","version":2}'):
        desk.plan.write_text(text)
        with pytest.raises(PlanError):
            read_plan(desk.plan)


def test_who_signed_does_not_approve(desk: Desk) -> None:
    with pytest.raises(PlanError, match="not signed yet"):
        push_sign.approve_plan(desk.planned(), "")
    push_sign.sign_plan(desk.plan, "")
    with pytest.raises(UsageError, match="has signed"):
        push_sign.approve_plan(desk.plan, "")
    with pytest.raises(PushRefusedError) as caught:
        push_policy.apply_plan(desk.plan, 30)
    assert caught.value.code == "unapproved"
    assert desk.log()[-1]["detail"]["code"] == "unapproved"


def test_break_glass_needs_one_and_says_so(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    push_policy.apply_plan(desk.ready(break_glass="ransomware"), 30)
    push_policy.confirm("dpu1", "")
    assert push_policy.status(["dpu1"])[0].state == "review"
    mark = read_plan(desk.plan).digest
    capsys.readouterr()
    run(["push", "status", "dpu1"])
    assert f"BREAK-GLASS {mark[:16]} (web) by ada is not reviewed: ransomware" in capsys.readouterr().err
    with pytest.raises(PushRefusedError) as caught:
        push_policy.review("dpu1", mark[:12], "")
    assert caught.value.code == "self-approved"
    assert run(["push", "review", "dpu1", mark[:12], "--key", str(desk.people.folder / "ben")]) == 0
    assert desk.log()[-1]["detail"]["who"] == "ben"
    run(["push", "status", "dpu1"])
    assert "is not reviewed" not in capsys.readouterr().err
    assert push_sign.verify_plan(desk.plan, None)[-1][2].endswith("ransomware")
    desk.box.later(3601)
    desk.box.tick()
    assert desk.box.lines.running() == ""


def test_what_runs_is_proven_and_rolled_back_where_it_differs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.ready()
    told = desk.box.lines.running
    monkeypatch.setattr(desk.box.lines, "told", lambda: told().replace("tp_dst=22", "tp_dst=25"), raising=False)
    with pytest.raises(PlanError, match="meant drop by web/no-ssh"):
        push_policy.apply_plan(desk.plan, 30)
    assert desk.box.lines.running() == ""
    assert desk.log()[-1]["action"] == "push_rolled_back"


def test_how_much_of_a_frame_is_left_is_told_when_it_is_planned(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["push", "plan", str(desk.policy), "--target", "dpu1", "-o", str(desk.plan)]
    assert run(words) == 0
    assert "of what a DPU takes at once" not in capsys.readouterr().err
    size = read_plan(desk.plan).shown["request"]
    desk.plan.unlink()
    monkeypatch.setattr(dpu, "MOST", size + 1)
    assert run(words) == 0
    assert "100% of what a DPU takes at once" in capsys.readouterr().err
    desk.plan.unlink()
    monkeypatch.setattr(dpu, "MOST", size - 100)
    assert run(words) == 3
    assert "the rules make a request of" in capsys.readouterr().err
    assert not desk.plan.exists()


def test_a_policy_that_fails_its_tests_is_not_planned(desk: Desk) -> None:
    desk.policy.write_text(POLICY.replace("expect: deny", "expect: allow"))
    with pytest.raises(PlanError, match="closed: deny instead of allow"):
        desk.planned()
    assert not desk.plan.exists()


def test_a_policy_whose_rules_contradict_each_other_is_not_planned(desk: Desk) -> None:
    more = "  - {name: odd, tier: app, priority: 1, action: deny, from: any, to: 10.0.1.1}\ntests:"
    desk.policy.write_text(POLICY.replace("tests:", more))
    with pytest.raises(PolicyError, match=r":7: rules\[2\]: `odd` says deny where `rest` \(.*:6\) says allow"):
        desk.planned()
    assert not desk.plan.exists()


def test_the_way_in_and_the_telemetry_stay_open_unless_somebody_says_why(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.settings('telemetry = ["10.0.1.9:4739"]')
    desk.policy.write_text(POLICY.replace("tcp/22", "udp/4739").replace("10.0.0.0/24", "10.0.0.0/8"))
    with pytest.raises(PlanError, match=r"telemetry from anywhere to 10\.0\.1\.9, udp/4739"):
        desk.planned()
    shown = read_plan(desk.planned(force="the collector moves today")).shown
    assert shown["cut"] == ["telemetry from anywhere to 10.0.1.9, udp/4739"]
    assert desk.log()[-1]["detail"]["forced"] == "the collector moves today"
    desk.settings()
    target = replace(
        target_of(load_settings(), "dpu1"), far=replace(target_of(load_settings(), "dpu1").far, kind="ssh", host="10.0.1.7")
    )
    monkeypatch.setattr(lockout, "_configured", lambda _t: ("10.0.1.7", 22, ""))
    monkeypatch.setattr(lockout, "_source_towards", lambda *_: "10.0.0.5")
    paths, unknown = lockout.guarded(target)
    assert ([one.what for one in paths], unknown) == (["ssh from 10.0.0.5 to 10.0.1.7:22"], [])
    desk.policy.write_text(POLICY)
    resolved = push_plan.resolved_of(read_plan(desk.planned()).content())
    assert list(lockout.cut(target, resolved, paths)) == ["ssh from 10.0.0.5 to 10.0.1.7:22"]
    elsewhere = replace(target, prefixes=("10.7.0.0/16",))  # it enforces nothing of that path
    assert list(lockout.cut(elsewhere, resolved, paths)) == []
    open_ = [Guarded("https", paths[0].src, paths[0].dst, paths[0].box._replace(dport=(443, 443)))]
    assert list(lockout.cut(target, resolved, open_)) == []


def test_a_case_says_what_would_have_been_stopped(desk: Desk) -> None:
    with CaseWriter(desk.folder / "case") as writer:
        writer.add_source(source(1, kind="ipfix"))
        rows = [flow(n, 1, src_ip="10.0.0.1", dst_ip="10.0.1.1", dst_port=port) for n, port in enumerate((22, 22, 443))]
        writer.append("flows", batch("flows", rows))
        writer.update_source(1, state="ok")
    shown = read_plan(desk.planned(case=desk.folder / "case")).shown
    assert shown["impact"]["flows"] == 3
    assert shown["impact"]["denied"]["flows"] == 2
    assert shown["impact"]["pairs"][0]["rule"] == "web/no-ssh"
    assert shown["evidence"]["safe"] is False
    log = (desk.folder / "case" / "audit.jsonl").read_text()
    assert '"push_planned"' in log


@pytest.mark.parametrize("word", ["", "5", "-5s", "5x", "2030-01-01T00:00:00Z", "1h; id"])
def test_lengths_of_time_are_lengths(word: str) -> None:
    with pytest.raises(UsageError):
        push_plan.parse_seconds(word, "--window")
    assert push_plan.parse_seconds("2m", "--window") == 120


def test_members_that_others_claim_as_well_are_not_left_out_without_a_reason(desk: Desk) -> None:
    desk.policy.write_text(CONTESTED)
    claims = [from_to("old", 1, 0, labels='{"app": "train"}'), from_to("new", 1, 0)]
    add(desk.folder / "case", 1, flows=[told_flow(0, 1, 2, 1)], claims=claims)
    name_flows(desk.folder / "case")
    with pytest.raises(PlanError, match=r"group `train`: several claim 10\.0\.0\.1, not all of it"):
        desk.planned(case=desk.folder / "case")
    shown = read_plan(desk.planned(case=desk.folder / "case", force="old is gone")).shown
    assert [line.split(",")[0] for line in shown["contested"]] == ["group `train`: several claim 10.0.0.1"]


def test_groups_that_are_parts_of_others_do_not_follow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    World(monkeypatch, train="10.1.0.1 10.2.0.1", disks="10.2.0.1")
    desk.policy.write_text(FOLLOWING.replace("train: {labels: {app: train}}", "train: {labels: {app: train}, except: disks}"))
    with pytest.raises(PlanError, match="can't follow"):
        desk.planned(lease=600)
    assert read_plan(desk.planned()).content()["sets"]["s1"]["lease"] == 0


def test_a_probe_that_is_not_as_it_should_be_rolls_back(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
        here = probes.parse(f"local 127.0.0.1:{port}", True)
        done = push_policy.apply_plan(desk.ready(), 30, [here])
        assert [(one.found, one.good) for one in done.probed] == [("connected", True)]
        push_policy.roll_back("dpu1", "")
        with pytest.raises(PlanError, match="should be denied: connected"):
            push_policy.apply_plan(desk.ready(), 30, [replace(here, allowed=False)])
    assert desk.box.lines.running() == ""
    assert desk.log()[-1]["action"] == "push_rolled_back"


@pytest.mark.parametrize(
    "text", ["", "local", "local 10.0.0.1", "local host:80", "-oX 10.0.0.1:80", "local 10.0.0.1:0", "local [::1]:99999"]
)
def test_a_probe_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        probes.parse(text, True)


@pytest.mark.parametrize("name", ["adopt", "adopt_seconds", "ids", "lapses", "name", "serves"])
def test_nothing_of_a_bundle_is_signed_that_its_policy_does_not_make(desk: Desk, name: str) -> None:
    plan = read_plan(desk.planned())
    bundle = json.loads(plan.bundle)
    if name == "name":
        bundle["policy"]["name"] = "harmless"
    elif name == "serves":  # the same rules as for everybody else's target of these settings
        desk.settings('serves = ["10.7.0.0/16"]')
    else:
        bundle[name] = {
            "adopt": bundle["adopt"].replace("priority=300", "priority=301"),
            "adopt_seconds": 30,
            "ids": {**bundle["ids"], "4294967295": "web/no-ssh"},
            "lapses": bundle["expiry"],
        }[name]
    write_plan(desk.plan, replace(plan, bundle=dpu.canonical(bundle).decode()))
    with pytest.raises(PlanError, match=name):
        push_sign.sign_plan(desk.plan, "")
    assert not read_plan(desk.plan).signature


def test_bounds_of_members_are_the_policys(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    World(monkeypatch, train="10.1.0.1", disks="10.2.0.1")
    desk.policy.write_text(FOLLOWING)
    plan = read_plan(desk.planned(lease=600))
    bundle = json.loads(plan.bundle)
    bundle["sets"]["s1"]["bound"] = ["0.0.0.0/0"]
    write_plan(desk.plan, replace(plan, bundle=dpu.canonical(bundle).decode()))
    with pytest.raises(PlanError, match="bound of s1"):
        push_sign.sign_plan(desk.plan, "")


def test_whoever_signs_is_shown_what_and_may_say_no(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(desk.planned())
    write_plan(desk.plan, replace(plan, shown={**plan.shown, "changes": [], "denied": "0"}))  # what nobody signs says nothing
    assert run(["push", "sign", str(desk.plan), "--digest", "0" * 64]) != 0
    assert not read_plan(desk.plan).signature
    said = capsys.readouterr().err
    assert "10.0.0.0/24 -> 10.0.1.0/24 : tcp/22" in said
    assert plan.content()["policy"]["digest"] in said
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_a, **_k: False)
    assert run(["push", "sign", str(desk.plan)]) != 0
    assert not read_plan(desk.plan).signature
    assert run(["push", "sign", str(desk.plan), "--digest", plan.digest]) == 0
    assert run(["push", "approve", str(desk.plan), "--key", str(desk.people.folder / "ben"), "--yes"]) == 0
    assert "denied" in capsys.readouterr().err
    signed, approved = (line["detail"] for line in desk.log()[-2:])
    assert (signed["who"], approved["who"]) == ("ada", "ben")
    assert signed["key"] != approved["key"]


def test_signing_looks_at_the_way_in_again(desk: Desk) -> None:
    desk.policy.write_text(POLICY.replace("tcp/22", "udp/4739").replace("10.0.0.0/24", "10.0.0.0/8"))
    desk.planned()
    desk.settings('telemetry = ["10.0.1.9:4739"]')
    with pytest.raises(PlanError, match="would cut telemetry"):
        push_sign.sign_plan(desk.plan, "")


@pytest.mark.parametrize("way", ["proxyjump ops@jump", "proxycommand nc -X 5 %h %p"])
def test_a_way_round_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    target = target_of(load_settings(), "dpu1")
    target = replace(target, far=replace(target.far, kind="ssh", host="dpu1"))
    for said, told in ((way, True), ("proxyjump none", False)):
        text = f"hostname 127.0.0.1\nport 22\n{said}\n"
        monkeypatch.setattr(lockout.subprocess, "run", lambda *_a, out=text, **_k: subprocess.CompletedProcess([], 0, out, ""))
        unknown = lockout.guarded(target)[1]
        assert any(way in one for one in unknown) is told


def test_a_plan_put_in_the_place_of_the_one_that_was_looked_at_is_not_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    meant = read_plan(desk.ready()).digest
    desk.policy.write_text(POLICY.replace("tcp/22", "tcp/23"))
    other = read_plan(desk.ready()).digest
    with pytest.raises(PlanError, match=f"not the plan {meant}: it is {other}"):
        push_policy.apply_plan(desk.plan, 30, digest=meant)
    assert desk.box.lines.running() == ""
    assert "push_applied" not in [line["action"] for line in desk.log()]
    clock = [100.0]
    monkeypatch.setattr(push_policy.time, "monotonic", lambda: clock[0])
    with socket.create_server(("127.0.0.1", 0)) as end:
        probe = probes.parse(f"local 127.0.0.1:{end.getsockname()[1]}", True)
        try_it = probes.carry_out

        def slow(one: probes.Probe) -> probes.Probed:
            clock[0] += 12
            return try_it(one)

        monkeypatch.setattr(probes, "carry_out", slow)
        done = push_policy.apply_plan(desk.plan, 30, [probe], digest=other)
    assert (done.ends, done.remaining) == (130.0, 18.0)  # the window has gone on while it was proven and probed


def test_what_was_found_wrong_is_told_and_not_confirmed_also_where_nothing_can_be_written_or_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told, ask = desk.box.lines.running, channel.ask
    digest = read_plan(desk.ready()).digest

    def full(*_: Any, **__: Any) -> NoReturn:
        raise DiskFullError("no space left")

    def hangs(target: Any, what: str, **given: Any) -> dict[str, Any]:
        if what == "rollback":
            raise FarError("the resident on dpu1 took more than 200 s")
        return ask(target, what, **given)

    with monkeypatch.context() as patch:  # a full disk, and a way there that has gone
        patch.setattr(desk.box.lines, "told", lambda: told().replace("tp_dst=22", "tp_dst=25"), raising=False)
        patch.setattr(push_log, "note", full)
        patch.setattr(push_policy, "_remember", full)
        patch.setattr(channel, "ask", hangs)
        with pytest.raises(NotAsMeantError) as caught:
            push_policy.apply_plan(desk.plan, 30)
    assert caught.value.digest == digest
    for words in ("meant drop by web/no-ssh", "rollback could not be asked", "more than 200 s", "no space left"):
        assert words in caught.value.message
    assert run(["push", "confirm", "dpu1", "--digest", digest]) == 3
    assert "was found to be something else than was meant" in capsys.readouterr().err
    assert push_policy.status([])[0].state == "waiting"
    push_policy.roll_back("dpu1", "", digest)

    desk.ready()
    with monkeypatch.context() as patch:  # a full disk only: what runs is put back before anything is written
        patch.setattr(desk.box.lines, "told", lambda: "\0", raising=False)
        patch.setattr(push_policy, "_remember", full)
        with pytest.raises(NotAsMeantError, match="it was rolled back; the log does not have it all: no space left"):
            push_policy.apply_plan(desk.plan, 30)
    assert desk.box.lines.running() == ""

    digest = read_plan(desk.ready()).digest
    with monkeypatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as end:  # a probe, and the way has gone
        patch.setattr(channel, "ask", hangs)
        denied = probes.parse(f"local 127.0.0.1:{end.getsockname()[1]}", False)
        with pytest.raises(NotAsMeantError, match=r"should be denied: connected; the rollback could not .* 200 s"):
            push_policy.apply_plan(desk.plan, 30, [denied])
    refused = desk.log()[-1]
    assert (refused["action"], refused["detail"]["code"]) == ("push_refused", "not-rolled-back")
    monkeypatch.setattr(push_policy, "_WRONG", set())  # another process
    with pytest.raises(NotAsMeantError):
        push_policy.confirm("dpu1", "")


def test_one_reason_is_for_all_that_was_seen_and_is_told_together(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.policy.write_text(CONTESTED)
    claims = [from_to("old", 1, 0, labels='{"app": "train"}'), from_to("new", 1, 0)]
    add(desk.folder / "case", 1, flows=[told_flow(0, 1, 2, 1)], claims=claims)
    name_flows(desk.folder / "case")
    monkeypatch.setattr(push_plan, "guard", lambda *_: (["ssh from 10.0.0.5 to 10.0.1.7:22"], []))
    with pytest.raises(NeedsReasonError, match=r"several claim 10\.0\.0\.1, .*; this would cut ssh from 10\.0\.0\.5"):
        desk.planned(case=desk.folder / "case")
    shown = read_plan(desk.planned(case=desk.folder / "case", force="both are known")).shown
    assert (len(shown["contested"]), shown["cut"]) == (1, ["ssh from 10.0.0.5 to 10.0.1.7:22"])
