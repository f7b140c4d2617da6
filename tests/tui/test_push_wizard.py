"""From a policy in the editor to rules in force, by keys: a real resident before nftables in a network namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.lab.pushing import Desk
from tests.push.resident.people import People
from tests.tui.driving import case_screen, press, screen_text, settle
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.push_course import Stage
from workbench.tui.screens.push import PushScreen
from workbench.tui.views.policy import PolicyView

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


async def at_policy(pilot, tmp_path: Path) -> PolicyView:
    """The policy is open in the editor."""
    (tmp_path / "contain.yaml").write_text(POLICY)
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
        assert "Plan      newly denied 1, newly allowed 0, against nothing of ours" in text
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
        await press(pilot, "c")
        assert f"CONFIRMED: {screen.course.mine[:12]} is in force on dpu" in shown(pilot)
        assert far.said()["confirmed"]["digest"] == screen.course.mine
        await press(pilot, "enter")
        assert case_screen(pilot) is pilot.app.screen
        assert (view.sheet.base, view.changed) == (1, False)
