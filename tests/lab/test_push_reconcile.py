"""Members that follow their workloads on a real dataplane: what packets meet when an address changes hands in mid-quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import marks
from tests.lab.enforcing import Enforcer
from tests.lab.frames import TCP, Probe
from tests.lab.pushing import Desk
from tests.push.resident.people import People
from tests.workflows.test_naming import add, from_to, told
from workbench.policy.addresses import V4_FIRST
from workbench.push.plans import write_plan
from workbench.workflows import push_plan, push_policy, push_reconcile, push_sign
from workbench.workflows.naming import name_flows

pytestmark = [*marks.LAB, pytest.mark.xdist_group("enforcing")]
POLICY = """
apiVersion: workbench/v1
kind: Policy
metadata: {name: contain}
internal: [10.0.0.0/8]
groups:
  sick: {labels: {app: sick}}
rules:
  - {name: held, tier: quarantine, priority: 1, action: deny, from: sick, to: any, existing: cut}
  - {name: rest, tier: app, priority: 1, action: allow, from: any, to: any}
"""


class Box(Desk):
    lab: Enforcer
    tried = 0

    def through(self, *meant: int) -> set[int]:
        """Of 10.0.0.1 and 10.0.0.2 those from which a new connection to 10.0.0.9 gets through; waits for those meant to."""
        net = V4_FIRST + (10 << 24)
        probes = {n: Probe(2 * self.tried + n, net + n, net + 9, TCP, 20_000 + 2 * self.tried + n, 443) for n in (1, 2)}
        self.tried += 1
        came = self.lab.send(probes.values(), 0, False, {probes[n].number for n in meant})
        return {n for n, probe in probes.items() if probe.number in came}

    def rules(self) -> str:
        """With counters and handles, which are others after the rules were loaded anew."""
        return self.lab.run("mid", ["nft", "-a", "list", "table", "inet", "workbench_policy"])


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    (tmp_path / "keys").mkdir()
    with Enforcer("nft") as lab:
        one = Box(tmp_path, People(tmp_path / "keys"), monkeypatch, f'kind = "nft"\naddress = "netns:{lab.space("mid")}"')
        one.lab = lab
        try:
            yield one
        finally:
            one.end()


def test_an_address_that_changes_hands_in_mid_quarantine_is_freed_and_the_workload_is_held_elsewhere(box: Box) -> None:
    case, policy, plan = box.folder / "case", box.folder / "policy.yaml", box.folder / "plan"
    policy.write_text(POLICY)
    sick = {"labels": '{"app": "sick"}'}
    add(case, 1, flows=[told(0, 1, 9, 1)], claims=[from_to("sick", 1, 0, 5, **sick)])
    name_flows(case)
    box.enrol()
    assert box.through(1, 2) == {1, 2}
    write_plan(plan, push_plan.make_plan(push_plan.Wish(policy, "dpu", case, lease=600)))
    push_sign.sign_plan(plan, "")
    push_sign.approve_plan(plan, str(box.people.folder / "ben"))
    push_policy.apply_plan(plan, 60)
    push_policy.confirm("dpu", "")
    assert box.through(2) == {2}
    # nobody has moved: the lease is renewed, and nothing is loaded
    before, until = box.rules(), box.said()["confirmed"]["members"]["until"]
    found = push_reconcile.reconcile([], case, "")[0]
    assert (found.error, found.changed, found.came, found.went) == (None, False, 0, 0)
    assert (found.until or 0) >= until
    assert box.rules() == before
    # the workload is at another address, and its old one was given to somebody else
    claims = [from_to("sick", 2, 5, **sick), from_to("well", 1, 5, labels='{"app": "well"}')]
    add(case, 2, flows=[told(0, 1, 9, 9, source_id=2), told(1, 2, 9, 9, source_id=2)], claims=claims)
    name_flows(case)
    found = push_reconcile.reconcile([], case, "")[0]
    assert (found.error, found.contested) == (None, ())
    assert found.some == ("sick 10.0.0.2/32", "-sick 10.0.0.1/32")
    assert box.rules() != before
    assert box.through(1) == {1}
    said = box.said()
    assert (said["drift"], said["confirmed"]["members"]["sets"]) == (None, {"s1": ["10.0.0.2/32"]})
