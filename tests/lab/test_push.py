"""`workbench push` against a real DPU: sshd with a forced command, Open vSwitch, real packets."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import marks
from tests.lab.dataplane import DpuLab
from tests.lab.test_mirror import Responder
from tests.push.resident.people import People

pytestmark = marks.SHARED

POLICY = """
apiVersion: workbench/v1
kind: Policy
metadata: {name: contain, owner: secops}
internal: [10.20.0.0/16, "fd00:20::/32"]
rules:
  - {name: no-web, tier: quarantine, priority: 1, action: deny, from: 10.20.1.21, to: 10.20.1.10, services: http, existing: cut}
  - {name: rest, tier: app, priority: 1, action: allow, from: any, to: any}
tests:
  - {name: web is closed, from: 10.20.1.21, to: 10.20.1.10, service: tcp/80, expect: deny}
"""


class Pusher(Responder):
    """A responder with keys of two people, and settings that name dpu1."""

    def __init__(self, lab: DpuLab, folder: Path, people: People) -> None:
        super().__init__(lab, folder)
        self.folder, self.people = folder, people
        self.home = folder / "dpu" / "dpu1"
        config = folder / "settings.toml"
        config.write_text(
            f'[targets.dpu1]\nkind = "ovs"\naddress = "ssh://root@dpu1"\nbridge = "ovsbr1"\nfolder = "{folder}/dpu"\n'
            "[attach]\ndrift_every = 1\n"
            f'[audit]\nprincipal = "ada"\nsigning_key = "{people.folder}/ada"\nallowed_signers = "{folder}/signers"\n'
        )
        (folder / "dpu").mkdir()
        (folder / "signers").write_text(people.signers())
        (folder / "policy.yaml").write_text(POLICY)
        self.plan = str(folder / "plan")
        self.more = {"WORKBENCH_CONFIG": str(config)}

    def planned(self) -> None:
        self.ask("push", "plan", str(self.folder / "policy.yaml"), "--target", "dpu1", "-o", self.plan)
        self.ask("push", "sign", self.plan)
        self.ask("push", "approve", self.plan, "--key", str(self.people.folder / "ben"))

    def applied(self, window: str = "60s") -> None:
        self.planned()
        self.ask("push", "apply", self.plan, "--window", window)

    def web(self) -> bool:
        """Whether app1 gets the page of web."""
        return bool(self.lab.run("app1", ["curl", "-sf", "--max-time", "1", "http://10.20.1.10/lab"], check=False))


def end_daemon(home: Path) -> None:
    """The daemon outlives ssh, as it must; not the test, though."""
    if (home / "watch.pid").exists():
        os.killpg(int((home / "watch.pid").read_text()), signal.SIGKILL)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def pusher(dpu_lab: DpuLab, tmp_path: Path, people: People) -> Iterator[Pusher]:
    before = dpu_lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1")
    one = Pusher(dpu_lab, tmp_path, people)
    yield one
    end_daemon(one.home)
    dpu_lab.add_flows("dpu1", "ovsbr1", "delete cookie=0x5742433100000000/0xffffffff00000000\n")
    assert dpu_lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1") == before


def test_a_policy_is_planned_signed_applied_confirmed_and_rolled_back(pusher: Pusher) -> None:
    lab = pusher.lab
    assert pusher.web()
    said = pusher.ask("push", "enrol", "dpu1", "--signers", str(pusher.folder / "signers"))[0]
    assert "bridge ovsbr1" in said
    pusher.planned()
    assert "good  approval: ben" in pusher.ask("push", "verify", pusher.plan)[0]
    assert pusher.web()
    app1 = f"netns:{lab.space('app1')}"
    probes = ["--allowed", f"{app1} 10.20.1.10:9", "--denied", f"{app1} 10.20.1.10:80"]
    out, told = pusher.ask("push", "apply", pusher.plan, "--window", "60s", *probes)
    assert "tcp/9: refused, as it should be (allowed)" in out
    assert "tcp/80: silent, as it should be (denied)" in out
    assert "read back and proven" in out
    assert "rolled back in" in told
    assert not pusher.web()
    assert lab.run("app1", ["ping", "-c1", "-W1", "10.20.1.10"])
    waiting = pusher.json("push", "status")[0]
    assert (waiting["state"], waiting["said"]["watched"]) == ("waiting", True)
    pusher.ask("push", "confirm", "dpu1")
    status = pusher.json("push", "status", "dpu1")[0]
    assert status["state"] == "confirmed"
    assert "remembers" not in [one["code"] for one in status["said"]["alerts"]]  # the switch has forgotten the older rules
    assert next(packets for rule, packets, _ in status["counters"] if rule == "contain/no-web") > 0
    assert pusher.ask("push", "drift")[0].splitlines()[1:] == []
    # somebody edits a rule, while somebody is attached
    case = pusher.folder / "case"
    attached = pusher.popen(
        "attach", "ipfix://127.0.0.1:14739", "--headless", "--status", "json", "--status-every", "0.5", "--case", str(case)
    )
    assert attached.stderr is not None
    assert any('"state": "capturing"' in line for line in attached.stderr)
    line = next(
        x
        for x in lab.ofctl("dpu1", "--no-stats", "dump-flows", "ovsbr1").splitlines()
        if "actions=drop" in x and "00000000, " in x
    )
    lab.ofctl("dpu1", "--strict", "mod-flows", "ovsbr1", line.strip().replace("actions=drop", "actions=NORMAL"))
    told = json.loads(next(line for line in attached.stderr if '"what"' in line))
    assert (told["target"], told["what"], told["rules"]) == ("dpu1", "drift", ["contain/no-web"])
    attached.terminate()
    assert attached.communicate(timeout=120)[0]
    assert '"push_drifted"' in (case / "audit.jsonl").read_text()
    rows = pusher.ask("push", "drift", code=1)[0]
    assert "contain/no-web" in rows
    assert "since" in rows
    mark = status["said"]["confirmed"]["digest"]
    # what was confirmed is rolled back only with a signature
    said = pusher.ask("push", "rollback", "dpu1", "--key", str(pusher.people.folder / "eve"), "--confirmed", mark, code=4)[1]
    assert "unknown-signer" in said
    assert "kept" in pusher.ask("push", "rollback", "dpu1", code=4)[1]
    assert "nothing-before" in pusher.ask("push", "rollback", "dpu1", "--confirmed", mark, code=4)[1]
    assert not pusher.web()
    (pusher.folder / "policy.yaml").write_text(POLICY.replace("services: http", "services: tcp/81").replace("tcp/80", "tcp/81"))
    pusher.applied()
    assert pusher.web()
    pusher.ask("push", "rollback", "dpu1")
    assert not pusher.web()
    log = (pusher.state / "workbench" / "push" / "audit.jsonl").read_text()
    for action in ("enrolled", "planned", "signed", "approved", "applied", "confirmed", "drifted", "refused", "rolled_back"):
        assert f'"push_{action}"' in log
