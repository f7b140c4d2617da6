"""Pushing from within a test's process: settings, keys and plans of two people, without a process of the program a step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import People
from workbench.push.plans import write_plan
from workbench.workflows import push_enrol, push_plan, push_policy, push_sign

RULES = """
apiVersion: workbench/v1
kind: Policy
metadata: {{name: contain, owner: secops}}
internal: [10.20.0.0/16, "fd00:20::/32"]
rules:
  - {{name: closed, tier: quarantine, priority: 1, action: deny, from: 10.20.1.21, to: 10.20.1.10, services: [tcp/{port}]}}
  - {{name: rest, tier: app, priority: 1, action: allow, from: any, to: any}}
"""


class Desk:
    """What a responder has: one target called `dpu`, ada's and ben's keys."""

    def __init__(self, folder: Path, people: People, patch: pytest.MonkeyPatch, target: str) -> None:
        self.folder, self.people = folder, people
        self.home = folder / "far" / "dpu"
        (folder / "far").mkdir(exist_ok=True)
        (folder / "signers").write_text(people.signers())
        (folder / "settings.toml").write_text(
            f'[targets.dpu]\n{target}\nfolder = "{folder}/far"\n'
            f'[audit]\nprincipal = "ada"\nsigning_key = "{people.folder}/ada"\nallowed_signers = "{folder}/signers"\n'
        )
        patch.setenv("WORKBENCH_CONFIG", str(folder / "settings.toml"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))

    def enrol(self) -> None:
        push_enrol.enrol("dpu", self.folder / "signers", None, 900, 3600)

    def plan(self, port: int, **given: Any) -> Path:
        """A plan that closes one port, signed and approved."""
        policy = self.folder / f"{port}.yaml"
        policy.write_text(RULES.format(port=port))
        return self.signed(policy, self.folder / f"{port}.plan", **given)

    def signed(self, policy: Path, plan: Path, **given: Any) -> Path:
        """A plan of that policy, signed and approved."""
        write_plan(plan, push_plan.make_plan(push_plan.Wish(policy, "dpu", **given)))
        push_sign.sign_plan(plan, "")
        if not given.get("break_glass"):
            push_sign.approve_plan(plan, str(self.people.folder / "ben"))
        return plan

    def apply(self, port: int, window: int = 60, **given: Any) -> str:
        return push_policy.apply_plan(self.plan(port, **given), window).digest

    def keep(self, port: int) -> str:
        self.apply(port)
        return push_policy.confirm("dpu", "")

    def said(self) -> dict[str, Any]:
        found = push_policy.status(["dpu"])[0]
        assert not found.error, found.error
        return found.said

    def end(self) -> None:
        """The daemon outlives whoever pushed, as it must; not the test."""
        if (self.home / "watch.pid").exists():
            os.killpg(int((self.home / "watch.pid").read_text()), signal.SIGKILL)
