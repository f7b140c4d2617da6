"""Drafts of a case whose rows say what cannot be: it is left out and told, and what comes out loads."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.identity.claimed import moment
from tests.store.rows import T0, flow
from tests.workflows.test_naming import MINUTE, add, from_to
from workbench.cli.app import run
from workbench.policy import addresses
from workbench.policy.draft_history import FlowsOfFindings, halves, of_findings_sql
from workbench.policy.history import read_history
from workbench.policy.impact import compare
from workbench.policy.judging import VERDICTS, judge
from workbench.policy.loader import load
from workbench.policy.recorded import IMPOSSIBLE
from workbench.store.reader import CaseReader
from workbench.tui.policy_looks import impact_head
from workbench.workflows.draft_change import repair_policy, separate
from workbench.workflows.draft_policy import Options, Selection, suggest_policy
from workbench.workflows.naming import name_flows

#: What no packet can be, each with whom a column that is read as so many bits would take it for.
IMPOSSIBLE_ROWS: list[dict[str, Any]] = [
    {"dst_port": 70000}, {"dst_port": -1}, {"dst_port": 65536 + 443}, {"proto": 300}, {"proto": 256 + 6, "proto_name": "x"},
    {"proto": -1}, {"proto": 1, "src_port": 300, "dst_port": 0, "conn_state": None}, {"proto": 58, "src_port": 256 + 128},
]  # fmt: skip
WHY = "of a protocol, port or type of ICMP that there is not"
LABELS = [
    '{"app":"\\ud800"}',
    json.dumps({"app": "x" * 5000}),
    json.dumps({"y" * 5000: "x"}),
    '{"app":"fine"}',
    '{"\\udfff":"x"}',
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flow 0 of each host is what it seems; those behind cannot be. Hosts 1 to 5 have LABELS, 6 no namespace that can be said."""
    root = tmp_path_factory.mktemp("hostile") / "case"
    plain = {"network": "", "dst_ip": "10.0.0.9"}
    rows = [flow(n, src_ip=f"10.0.0.{n + 1}", **plain) for n in range(7)]
    rows += [flow(7 + n, src_ip="10.0.0.1", **plain, **odd) for n, odd in enumerate(IMPOSSIBLE_ROWS)]
    claims = [from_to(f"u{n}", n + 1, -1, labels=labels, namespace="shop") for n, labels in enumerate(LABELS)]
    claims += [from_to("wide", 6, -1, labels='{"app":"web"}', namespace="z" * 5000), from_to("kind", 7, -1, kind="gadget")]
    finding = {
        "finding_id": "a" * 16, "detection": "made-up", "title": "made up", "severity": "high",
        "ts_first": moment(0), "ts_last": moment(0),
        "subject": "10.0.0.1", "object": None, "score": 0.9, "flows": 3, "found": moment(0), "attack": "", "state": "open",
        "flow_ids": "[]", "why": "x", "evidence": "{}", "parameters": "{}",
    }  # fmt: skip
    told = [{"finding_id": "a" * 16, "flow_id": (1 << 40) + n} for n in (0, 7, 10)]
    add(root, 1, flows=rows, claims=claims, findings=[finding], finding_flows=told)
    name_flows(root)
    return root


@pytest.mark.parametrize("breadth", ["exact", "workloads", "subnets", "broad"])
def test_a_draft_says_what_can_be_said_and_tells_the_rest(case: Path, breadth: str) -> None:
    with CaseReader(case) as reader:
        made = suggest_policy(reader, Selection(), Options(breadth=breadth, leave_out="nothing"))
    left = {one.reason: one.flows for one in made.left_out}
    assert left == {WHY: len(IMPOSSIBLE_ROWS)}
    assert sum(found.flows for found in made.drafted.evidence.values()) == 7
    assert any("of 5 workloads" in line for line in made.told)
    assert load([("p.yaml", made.text)]).policy == made.drafted.policy
    labels = [group.labels.matchLabels for group in made.drafted.policy.groups.values() if group.labels]
    assert labels == ([{"app": "fine"}] if breadth == "workloads" else [])


def test_a_containment_a_cut_and_a_repair_tell_it_as_well(case: Path, tmp_path: Path) -> None:
    with CaseReader(case) as reader:
        contained = suggest_policy(reader, Selection(finding="a" * 16))
        cut = separate(reader, "10.0.0.1", "10.0.0.9")
        plain = suggest_policy(reader, Selection("ip.src == 10.0.0.4"), Options(leave_out="nothing"))
        (tmp_path / "p.yaml").write_text(plain.text)
        repaired = repair_policy(reader, tmp_path / "p.yaml", "ip.src == 10.0.0.1", "", Options(breadth="workloads"))
    assert {one.reason: one.flows for one in contained.left_out} == {WHY: 2}
    assert contained.report["stopped"] == {"flows": 1, "of": 1}
    for made in (cut, repaired):
        assert {one.reason: one.flows for one in made.left_out} == {WHY: len(IMPOSSIBLE_ROWS)}
    assert any("of 5 workloads" in line for line in repaired.told)
    assert load([("p.yaml", cut.text)]).policy.rules[0].services == ["tcp/443"]


def test_a_flow_of_a_port_that_there_is_not_is_never_judged_as_one_of_another(case: Path) -> None:
    with CaseReader(case) as reader:
        history = read_history(reader.question())
    allowing = load([("p", "{apiVersion: workbench/v1, kind: Policy, metadata: {name: p}, defaults: {east_west: allow}}")]).policy
    judged = judge(history, allowing)
    odd = judged.history.rows.state == IMPOSSIBLE
    assert int(judged.history.rows.flows[odd].sum()) == len(IMPOSSIBLE_ROWS)
    assert {VERDICTS[n] for n in judged.intended.verdict[odd].tolist()} == {"undetermined"}
    assert {VERDICTS[n] for n in judged.intended.verdict[~odd].tolist()} == {"allow"}
    impact = compare(history, None, judged)
    assert impact.impossible == len(IMPOSSIBLE_ROWS)
    assert f"{len(IMPOSSIBLE_ROWS)} of ports or protocols that there are not" in impact_head(impact, "none", "").plain


def test_flows_of_thousands_of_findings_are_those_of_each_by_itself(case: Path) -> None:
    """Most of them about hosts that are not there; one lists a flow, two more have some of hosts 2 and 3, whoever was asked."""
    low = [halves(addresses.address(f"10.0.0.{n}"))[1] for n in (1, 2, 3, 9)]
    hi = halves(addresses.address("10.0.0.1"))[0]
    spans: list[Any] = [((hi, low[0] + 1000 + n), None, 0, T0) for n in range(3000)]
    spans += [((hi, low[0] + 1000 + n), (hi, low[3]), 0, T0) for n in range(3000)]
    spans += [((hi, low[1]), None, 0, T0 * 2), ((hi, low[2]), (hi, low[3]), 0, T0 * 2), ((hi, low[0]), (hi, low[2]), 0, T0 * 2)]
    flows = FlowsOfFindings(("a" * 16, *(f"{n:016}" for n in range(5000))), tuple(spans))
    with CaseReader(case) as reader:
        for prefix in ("", "flows."):
            sql, params = of_findings_sql(flows, prefix)
            found = reader.query(f"SELECT flow_id FROM flows WHERE {sql} ORDER BY flow_id", params)["flow_id"].to_pylist()
            assert [one & 1048575 for one in found] == [0, 1, 2, 7, 10]


@pytest.mark.parametrize(
    "word", ["soon", "", "2030-01-01", "999999w", "0001-01-01T00:00:00+14:00", pytest.param("9" * 5000, id="long")]
)
@pytest.mark.parametrize("kind", [["--finding", "a" * 16], ["--separate", "10.0.0.1", "--from", "10.0.0.9"]])
def test_an_end_that_is_no_time_is_wrong_usage(
    case: Path, kind: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "suggest", "--case", str(case), *kind, "--expires", word]) == 2
    said = capsys.readouterr().err
    assert "--expires" in said
    assert word[:40] in said


def test_a_repair_tells_packets_by_the_members_of_the_cases_last_packet(tmp_path: Path) -> None:
    labels = {"labels": '{"app":"web"}', "namespace": "shop"}
    claims = [from_to("one", 1, -1, 60, **labels), from_to("two", 2, -1, 60, **labels)]
    rows = [flow(n, ts=T0 + n * MINUTE, ts_end=T0 + n * MINUTE, src_ip=f"10.0.0.{n + 1}", dst_ip="10.0.0.9") for n in range(2)]
    add(tmp_path / "case", 1, flows=rows, claims=claims)
    name_flows(tmp_path / "case")
    policy = tmp_path / "p.yaml"
    policy.write_text("{apiVersion: workbench/v1, kind: Policy, metadata: {name: p}}")
    with CaseReader(tmp_path / "case") as reader:
        made = repair_policy(reader, policy, "tcp.dstport == 443", "", Options(breadth="workloads"))
    assert [group.labels.matchLabels for group in made.drafted.policy.groups.values() if group.labels] == [{"app": "web"}]
    assert made.report["packets"] == {"newly_allowed": str(2 * 65536), "newly_denied": "0"}
