"""A desk from which policies are pushed to a resident in this process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.box import Box, boxed
from tests.push.resident.people import People
from workbench.errors import PushRefusedError
from workbench.policy import addresses
from workbench.policy.members import Selector
from workbench.push import answers, channel
from workbench.push.plans import write_plan
from workbench.push.resident import workbench_dpu as dpu
from workbench.workflows import policy_at, push_plan, push_sign, show

POLICY = """apiVersion: workbench/v1
kind: Policy
metadata: {name: web}
rules:
  - {name: no-ssh, tier: quarantine, priority: 1, action: deny, from: 10.0.0.0/24, to: 10.0.1.0/24, services: tcp/22, expires: 2h}
  - {name: rest, tier: app, priority: 1, action: allow, from: any, to: any}
tests:
  - {name: closed, from: 10.0.0.1, to: 10.0.1.1, service: tcp/22, expect: deny}
"""


class Desk:
    """Settings, a policy, and a DPU in this process."""

    def __init__(self, folder: Path, people: People, box: Box) -> None:
        self.folder, self.people, self.box = folder, people, box
        self.policy, self.plan = folder / "policy.yaml", folder / "plan"
        self.policy.write_text(POLICY)
        (folder / "signers").write_text(people.signers())

    def settings(self, more: str = "") -> None:
        (self.folder / "settings.toml").write_text(
            f'[targets.dpu1]\naddress = "local"\n{more}\n[audit]\nprincipal = "ada"\n'
            f'signing_key = "{self.people.folder}/ada"\nallowed_signers = "{self.folder}/signers"\n'
        )

    def planned(self, **given: Any) -> Path:
        write_plan(self.plan, push_plan.make_plan(push_plan.Wish(self.policy, "dpu1", **given)))
        return self.plan

    def ready(self, **given: Any) -> Path:
        push_sign.sign_plan(self.planned(**given), "")
        if not given.get("break_glass"):
            push_sign.approve_plan(self.plan, str(self.people.folder / "ben"))
        return self.plan

    def log(self) -> list[dict[str, Any]]:
        file = self.folder / "state" / "workbench" / "push" / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]


@contextlib.contextmanager
def at_desk(tmp_path: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with boxed(tmp_path / "dpu", people) as box:

        def ask(_target: object, what: str, **given: Any) -> dict[str, Any]:
            try:
                answer = json.loads(json.dumps(box.ask(what, **given)))
            except dpu.Refused as error:
                raise PushRefusedError(error.message, "", error.code) from error
            assert answers.wrong(what, answer) == ""
            return answer

        monkeypatch.setattr(channel, "ask", ask)
        monkeypatch.setattr(push_plan, "ADOPT", 0)  # which would be waited for
        one = Desk(tmp_path, people, box)
        one.settings()
        yield one


CONTESTED = """apiVersion: workbench/v1
kind: Policy
metadata: {name: web}
groups:
  train: {labels: {app: train}}
rules:
  - {name: contain, tier: quarantine, priority: 1, action: deny, from: train, to: any, services: tcp/443}
  - {name: rest, tier: app, priority: 1, action: allow, from: any, to: any}
"""

FOLLOWING = """apiVersion: workbench/v1
kind: Policy
metadata: {name: web}
internal: [10.0.0.0/8]
groups:
  train: {labels: {app: train}}
  disks: {labels: {app: disks}}
rules:
  - {name: no-ssh, tier: quarantine, priority: 1, action: deny, from: train, to: 10.0.9.0/24, services: tcp/22}
  - {name: data, tier: app, priority: 1, action: allow, from: train, to: disks, services: tcp/2049}
"""


class World:
    """Who holds the labels, in place of a case."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **held: str) -> None:
        self.held = held
        moment = policy_at.AsOf(datetime.now(UTC), datetime.now(UTC), self, True)
        monkeypatch.setattr(policy_at, "as_of", lambda *_: contextlib.nullcontext(moment))
        monkeypatch.setattr(show, "reading", lambda *_: contextlib.nullcontext(None))

    def __call__(self, selector: Selector, at: datetime | None) -> addresses.AddressSet:
        words = self.held[dict(selector.labels)["app"]].split()
        return addresses.of_ranges(part for word in words for part in addresses.prefix(word).ranges)
