"""From a policy in the editor to rules in force, by keys: a real resident before nftables in a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from tests import needs
from tests.lab.pushing import Desk
from tests.push.resident.people import People, bundle
from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.audit.log import AuditLog
from workbench.errors import PushRefusedError
from workbench.push.plans import Plan, read_plan
from workbench.push.probes import Probed
from workbench.push.resident import workbench_dpu as dpu
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.push_course import Course, Stage, Step
from workbench.tui.push_work import PushWork
from workbench.tui.screens.push import PushScreen
from workbench.tui.views.policy import PolicyView
from workbench.workflows import push_sign
from workbench.workflows.push_desk import Desk as PushDesk
from workbench.workflows.push_policy import Applied, Status

pytestmark = [needs.root("for network namespaces"), *(needs.program(name) for name in ("ip", "nft", "ssh-keygen"))]
SMALL, LARGE = (80, 24), (160, 50)
POLICY = """apiVersion: workbench/v1
kind: Policy
metadata: {name: contain, owner: secops}
internal: [10.20.0.0/16, "fd00:20::/32"]
rules:
  - {name: closed, tier: quarantine, priority: 1, action: deny, from: 10.20.1.0/24, to: 10.20.30.0/24, services: [tcp/443]}
  - {name: rest, tier: app, priority: 1, action: allow, from: any, to: any}
"""


class Far(Desk):
    """A target in a namespace of its own."""

    space = f"wbwiz{os.getpid()}"

    def ruleset(self) -> str:
        words = ["ip", "netns", "exec", self.space, "nft", "list", "ruleset"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def far(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    subprocess.run(["ip", "netns", "add", Far.space], check=True)
    one = Far(tmp_path, people, monkeypatch, f'kind = "nft"\naddress = "netns:{Far.space}"')
    try:
        one.enrol()
        yield one
    finally:
        one.end()
        subprocess.run(["ip", "netns", "del", Far.space], check=True)


@pytest.fixture
def data(own):
    case = StoredCase.open(own("esxi-lateral"))
    yield case
    case.close()


async def at_policy(pilot, tmp_path: Path, text: str = POLICY) -> PolicyView:
    """The policy is open in the editor."""
    (tmp_path / "contain.yaml").write_text(text)
    await settle(pilot)
    await press(pilot, "8")
    view = case_screen(pilot).query_one(PolicyView)
    view._keeping.open_file(tmp_path / "contain.yaml")
    await settle(pilot)
    return view


def shown(pilot) -> str:
    return "\n".join(line.rstrip() for line in screen_text(pilot))


async def typed(pilot, text: str) -> None:
    for key in text:
        await pilot.press(key)
    await press(pilot, "enter")


async def test_from_text_to_force(data, far, people, tmp_path):
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await at_policy(pilot, tmp_path)
        await press(pilot, "f9")
        screen = pilot.app.screen
        assert isinstance(screen, PushScreen)
        assert "runs nothing of ours  nft at netns:" in shown(pilot)
        await press(pilot, "enter")
        text = shown(pilot)
        assert "Plan      1 path newly denied, 0 newly allowed, against nothing of ours" in text
        assert "Coverage  safe by what was seen: 100.0 % of 2,678 packets" in text
        assert "Refusals  none: the ways in" in text
        await press(pilot, "enter")
        assert "Signed    by ada (SHA256:" in shown(pilot)
        await press(pilot, "enter")
        await typed(pilot, str(people.folder / "ben"))
        assert "Approved  by ben (SHA256:" in shown(pilot)
        assert far.ruleset() == ""
        await press(pilot, "enter")
        text = shown(pilot)
        assert "Applied   read back and proven in" in text
        assert "c CONFIRM  r ROLL BACK" in text
        assert "443" in far.ruleset()
        assert screen.course.stage is Stage.WAITING
        assert screen.course.version == "Kept as contain 1, with a line in the audit log."
        assert not pilot.app._notifications  # nothing lies over the countdown
        await press(pilot, "c")
        assert f"CONFIRMED: {screen.course.mine[:12]} is in force on dpu" in shown(pilot)
        assert far.said()["confirmed"]["digest"] == screen.course.mine
        await press(pilot, "enter")
        assert case_screen(pilot) is pilot.app.screen
        assert (view.sheet.base, view.changed) == (1, False)


async def until(pilot, stage: Stage) -> str:
    """Until the course on the screen is so far; the screen's text then."""
    patience = monotonic() + 180  # of what never comes
    while pilot.app.screen.course.stage is not stage:
        assert monotonic() < patience, shown(pilot)
        await pilot.pause(0.05)
    await settle(pilot)
    return shown(pilot)


async def test_forced_approved_elsewhere_left_and_rolled_back(data, far, people, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text(settings.read_text().replace("[audit]", 'telemetry = ["10.20.30.9:4739"]\n[audit]'))
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        view = await at_policy(pilot, tmp_path, POLICY.replace("tcp/443", "udp/4739"))
        await press(pilot, "f9", "enter")
        text = shown(pilot)
        assert "Refusals  this would cut telemetry from anywhere to 10.20.30.9, udp/4739" in text
        assert "Needs a reason" in text
        await press(pilot, "f")
        await typed(pilot, "it moves today")
        assert "Refusals  FORCED (it moves today): telemetry from anywhere" in shown(pilot)
        await press(pilot, "enter")
        text = shown(pilot)
        assert "workbench push approve" in text
        plan = pilot.app.screen.course.path
        assert plan.parent == data.path / "plans"
        await press(pilot, "enter")
        await typed(pilot, str(people.folder / "ada"))
        assert "Approved  that key has signed the plan" in shown(pilot)
        await press(pilot, "e")
        await typed(pilot, str(tmp_path))
        copy = tmp_path / "workbench.plan"
        push_sign.approve_plan(copy, str(people.folder / "ben"))
        assert "Approved  by ben" in await until(pilot, Stage.APPLY)
        assert read_plan(plan).approval == read_plan(copy).approval != ""
        await press(pilot, "w")
        await typed(pilot, "soon")
        assert "is no length of time" in shown(pilot)
        await press(pilot, *("backspace",) * 4)
        await typed(pilot, "5m")
        await press(pilot, "enter")
        assert await until(pilot, Stage.WAITING)
        assert "4739" in far.ruleset()
        await press(pilot, "q")
        assert "A push waits on dpu" in shown(pilot)
        await press(pilot, "n", "escape")
        assert case_screen(pilot) is pilot.app.screen
        assert far.said()["pending"]
        await press(pilot, "f9")  # from within the text
        assert "c CONFIRM  r ROLL BACK" in shown(pilot)
        view._pushing = None  # as on another machine: the target alone knows of it
        await press(pilot, "escape", "f9")
        assert "A PUSH WAITS" in shown(pilot)
        await press(pilot, "enter")
        assert "What waits: contain by ada" in shown(pilot)
        await press(pilot, "r")
        assert "contain by ada (" in shown(pilot)
        await press(pilot, "n")
        assert far.said()["pending"]
        await press(pilot, "r", "y")
        assert "ROLLED BACK (asked for)" in shown(pilot)
    assert "4739" not in far.ruleset()
    actions = [entry.action for entry in AuditLog(data.path).read() if entry.action.startswith("push_")]
    assert actions == [f"push_{what}" for what in ("planned", "signed", "approved", "applied", "rolled_back")]


async def test_one_signature_a_probe_and_a_window_that_ends(data, far, tmp_path):
    subprocess.run(["ip", "-n", Far.space, "link", "set", "lo", "up"], check=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")], check=True)
    async with WorkbenchApp(data).run_test(size=LARGE) as pilot:
        await at_policy(pilot, tmp_path)
        await press(pilot, "f9", "enter")
        await press(pilot, "a")
        await typed(pilot, str(tmp_path / "locked"))
        text = shown(pilot)
        assert "the key asks for a passphrase, which can't be typed here" in text
        assert "Add it to an agent" in text
        await press(pilot, "b")
        await typed(pilot, "ransomware")
        await press(pilot, "enter")
        text = await until(pilot, Stage.APPLY)
        assert "BREAK-GLASS (ransomware): nobody needs to" in text
        await press(pilot, "o")
        await typed(pilot, f"allow netns:{Far.space} 127.0.0.1:9")
        await press(pilot, "w")
        await typed(pilot, "2s")
        await press(pilot, "enter")
        text = await until(pilot, Stage.OVER)
        assert "Applied   read back and proven in " in text
        assert " outcomes; 1 of 1 probe as meant" in text
        assert "ROLLED BACK (the push was not confirmed in time)" in text
    assert "443" not in far.ruleset()


async def test_settings_without_a_target_and_a_target_that_cannot_be_asked(data, tmp_path, monkeypatch):
    settings = tmp_path / "settings.toml"
    settings.write_text("")
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    async with WorkbenchApp(data).run_test(size=SMALL) as pilot:
        await at_policy(pilot, tmp_path)
        await press(pilot, "f9")
        assert "There is no target yet. Name one in" in shown(pilot)
        assert "workbench push enrol dpu1 --signers PEOPLE" in shown(pilot)
        settings.write_text('[targets.dpu1]\nkind = "nft"\naddress = "netns:wbnone"\n')
        await press(pilot, "g")
        assert "dpu1             unreachable: " in shown(pilot)
        await press(pilot, "enter")
        text = shown(pilot)
        assert "✗ Plan      " in text
        assert "→ Mend that; Enter tries again." in text


def test_what_the_dpu_says_wins_over_what_failed_here():
    """A probe that fails, or a way there that breaks, leaves open what runs: the DPU is asked."""
    work = PushWork(WorkbenchApp(), made_up(Stage.SIGN), lambda _: None)
    course = work.course
    digest = course.plan.digest
    there = {"pending": None, "last": {"digest": digest, "outcome": "rolled back", "why": "asked for"}, "confirmed": None}
    for stage, status, after in (
        (Stage.SIGN, there, Stage.SIGN),
        (Stage.APPLY, there | {"last": None}, Stage.APPLY),
        (Stage.APPLY, there, Stage.OVER),
        (Stage.APPLY, there | {"pending": {"digest": digest, "remaining": 9.0}}, Stage.WAITING),
        (Stage.WAITING, there | {"last": None}, Stage.OVER),
        (Stage.WAITING, there | {"confirmed": {"digest": digest}}, Stage.OVER),
        (Stage.OVER, there | {"pending": {"digest": digest, "remaining": 9.0}}, Stage.OVER),
    ):
        course.stage = stage
        work._told(digest, Status("dpu1", "", "empty", status))
        assert course.stage is after
    course.stage = Stage.WAITING
    work._told(digest, Status("dpu1", "", "unreachable", {}, "no route"))
    assert (course.stage, course.unreached) == (Stage.WAITING, "no route")


# -- looks ------------------------------------------------------------------------------------------------------------------

SHOWN = {
    "allowed": "0", "denied": "281474976710656", "against": "nothing of ours", "lines": 41, "size": 5210, "proven": "96 outcomes",
    "changes": [{"change": "denied", "from": ["10.20.1.0/24"], "to": ["10.20.0.0/24"], "service": f"tcp/{port}"} for port in
                (22, 427, 443, 902)],
    "examples": {"denied": "10.20.1.9 -> 10.20.0.5 proto 6 port 443"}, "notes": ["contain/closed: reject becomes drop"],
    "stages": [None], "cut": [], "contested": [], "unguarded": [], "request": 9000, "most": 24 << 20, "skew": 0,
    "evidence": {"packets": 2678, "dropped": 0, "part": 0.91, "safe": False, "why": ["91.0 % of packets seen", "drops unknown"]},
    "impact": {
        "flows": 193, "apart": 0,
        **{name: {"flows": 0, "bytes": 0, "live": 0, "surviving": 0} for name in ("allowed", "undetermined")},
        "denied": {"flows": 30, "bytes": 81234, "live": 2, "surviving": 0},
        "pairs": [{"kind": "denied", "from": "app1\x1b[31m", "to": "[bold]esx1", "service": "tcp/443", "flows": 30,
                   "bytes": 81234, "live": 2, "surviving": 0, "rule": "contain/closed", "last_us": 0}],
    },
}  # fmt: skip


def made_up(stage: Stage) -> Course:
    """A course of which nothing depends on the day or the machine."""
    course = Course(
        "contain", POLICY, Path("/case"), desk=PushDesk((("dpu1", "ovs at ssh://root@dpu1"),), "ada", "~/.ssh/ada", "")
    )
    course.begin("dpu1")
    plan = Plan(dpu.canonical(bundle(test_report={"tests": 2, "forced": ""}, policy=named())).decode(), SHOWN)
    course.planned(plan, Path("/case/plans/dpu1-1-contain-0badcafe.plan"))
    course.stage = stage
    if stage is not Stage.SIGN:
        course.signers = ("ada (SHA256:ada)", "ben (SHA256:ben)")
        course.applied = Applied("dpu1", plan.digest, 120, 96, (Probed("local to 10.20.1.10 tcp/22", True, "connected", True),))
    if stage is Stage.WAITING:
        course.wait(plan.digest, 107)
    if stage is Stage.OVER:
        course.mine = plan.digest
        course.over("rolled back", "the push was not confirmed in time")
        course.trouble = (Step.KEPT, PushRefusedError("dpu1: late: it was rolled back", "The old rules run. Plan again.", "late"))
    return course


def named() -> dict[str, str]:
    text = "kind: Policy\n"
    return {"name": "contain", "digest": dpu.digest(text.encode()), "text": text}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "160x50"])
@pytest.mark.parametrize("stage", [Stage.SIGN, Stage.WAITING, Stage.OVER], ids=lambda stage: stage.name.lower())
def test_looks(snap_compare, monkeypatch, size, stage):
    monkeypatch.setattr("workbench.tui.push_course.monotonic", lambda: 0.0)
    monkeypatch.setattr(PushWork, "look", lambda _: None)  # there is no DPU: this is about what stands there

    async def show(pilot):
        await pilot.app.push_screen(PushScreen(PushWork(pilot.app, made_up(stage), lambda _: None)))
        if stage is Stage.SIGN and size is LARGE:
            await press(pilot, *("up",) * 3)
        await settle(pilot)

    assert snap_compare(WorkbenchApp(), terminal_size=size, run_before=show)
