from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.store.rows import T0, batch, flow, source
from workbench.analysis.decided import decided_on
from workbench.errors import UsageError
from workbench.push.compiled import point
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.tui.decision_words import decisions_group
from workbench.workflows.decided import bring
from workbench.workflows.push_policy import Status

POLICY = """apiVersion: workbench/v1
kind: Policy
metadata: {name: web}
rules:
  - {name: in, tier: app, priority: 10, action: allow, from: any, to: 10.0.1.1, services: tcp/443}
  - {name: no-smb, tier: app, priority: 20, action: reject, from: any, to: any, services: tcp/445}
"""


def said(dataplane: str, policy: str = POLICY) -> Status:
    ids = {"0": "web/in", "7": "web/no-smb", "4294967040": "web/default"}
    state = {
        "dataplane": dataplane,
        "now": T0 // 10**6 + 60,
        "confirmed": {"digest": "ab" * 32, "at": T0 // 10**6, "sequence": 1},
    }
    counters = (("web/in", 5, 300), ("web/no-smb", 0, 0), ("(established)", 90, 9000))
    return Status("dpu7", "local", "confirmed", state, "", counters, (), ids, policy)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """Two sensors that saw the same conversations."""
    with CaseWriter(tmp_path / "case") as writer:
        for number in (1, 2):
            writer.add_source(source(number, kind="ipfix"))
            writer.append("flows", batch("flows", [flow(n, number, rule_id=str(point(7 * n))) for n in range(3)]))
            writer.update_source(number, state="ok")
    return tmp_path / "case"


def test_what_a_switch_tells_by_number_is_on_its_flows_and_on_other_sightings(case: Path) -> None:
    with pytest.raises(UsageError, match="s1, s2"):
        bring(case, said("ovs"))
    came = bring(case, said("ovs"), sensors=["s1"])
    assert (came.kept.verdicts, came.kept.counters) == (2, 2)
    with CaseReader(case) as reader:
        rejected = decided_on(reader, (1 << 40) + 1)
        assert [(one.verdict, one.rule) for one in rejected] == [("deny", "web/no-smb")]  # Open vSwitch drops
        assert decided_on(reader, 2 << 40) == decided_on(reader, 1 << 40) != []
        assert decided_on(reader, (1 << 40) + 2) == []
        counters = reader.query("SELECT rule_id, verdict, packets, since FROM rule_counters ORDER BY 1").to_pylist()
    assert [(row["rule_id"], row["verdict"], row["packets"]) for row in counters] == [
        ("web/in", "allow", 5),
        ("web/no-smb", "deny", 0),
    ]
    group = decisions_group(rejected)
    assert group is not None
    assert group[1][0][0] == "deny"
    assert "web/no-smb at dpu7" in group[1][0][1]
    assert decisions_group([]) is None


def test_what_a_kernel_logs_is_on_the_flows_that_it_is_of(case: Path, tmp_path: Path) -> None:
    end = "SRC=10.0.0.1 DST=10.0.1.1 PROTO=TCP SPT=1025 DPT=443 SYN"
    lines = [
        f"2023-11-14T22:13:20.002000+00:00 dpu7 kernel: web/no-smb IN=a OUT=b {end}",
        f"2023-11-14T22:13:20.002000+00:00 dpu7 kernel: web/gone IN=a OUT=b {end}",
        "2023-11-14T22:13:20.002000+00:00 dpu7 kernel: web/no-smb IN=a OUT=b SRC=10.9.9.9 DST=10.0.1.1 PROTO=TCP SPT=1 DPT=443",
        "anything",
    ]
    (tmp_path / "kernel.log").write_text("\n".join(lines) + "\n")
    came = bring(case, said("nft"), tmp_path / "kernel.log")
    assert (came.lines, came.unread, came.kept.unmatched, came.kept.verdicts) == (2, 2, 1, 2)
    with CaseReader(case) as reader:
        found = decided_on(reader, (2 << 40) + 1)
    assert [(one.verdict, one.rule, one.origin, one.packets) for one in found] == [("reject", "web/no-smb", "nft-log", 1)]


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        ({}, 2),
        ({"confirmed": {"sequence": 2}}, 0),  # rules of before may still have judged
        ({"confirmed": {"sequence": 2, "at": T0 // 10**6 - 10}}, 2),
        ({"confirmed": {"at": T0 // 10**6 + 1}}, 0),
        ({"last": {"outcome": "rolled back", "at": T0 // 10**6}}, 0),  # others ran in between
        ({"last": {"outcome": "confirmed", "at": T0 // 10**6 + 9}}, 2),
        ({"alerts": [{"code": "lapsed", "at": T0 // 10**6}]}, 0),
        ({"skew": 30.0}, 0),
        ({"now": T0 // 10**6 - 5}, 0),
        ({"pending": {"digest": "cd" * 32}}, 0),
    ],
)
def test_only_what_the_rules_that_run_have_judged_gets_their_verdicts(
    case: Path, tmp_path: Path, change: dict[str, Any], verdicts: int
) -> None:
    one = said("ovs")
    state = one.said | change | {"confirmed": one.said["confirmed"] | change.get("confirmed", {})}
    came = bring(case, replace(one, said=state), sensors=["s1"])
    assert (came.kept.verdicts, came.waits, came.kept.counters) == (
        verdicts,
        "pending" in change,
        0 if "pending" in change else 2,
    )
    line = (
        "2023-11-14T22:13:20.002000+00:00 dpu7 kernel: web/no-smb IN=a OUT=b SRC=10.0.0.1 DST=10.0.1.1 PROTO=TCP SPT=1025 DPT=443"
    )
    (tmp_path / "kernel.log").write_text(line + "\n")
    came = bring(case, replace(one, said=state | {"dataplane": "nft"}), tmp_path / "kernel.log")
    assert came.kept.verdicts == verdicts


def test_a_policy_that_is_not_understood_claims_nothing(case: Path) -> None:
    came = bring(case, said("ovs", "kind: Other"), sensors=["s1"])
    assert (came.kept.verdicts, came.kept.counters) == (0, 0)
