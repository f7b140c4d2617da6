"""Drafts from the samples, held against what the programs reported: nothing that was drafted from is denied, the attack is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sample_captures.indexed import FOLDER, Indexed, index
from workbench.cli.app import run
from workbench.errors import UsageError
from workbench.policy.history import read_history, resolver_of
from workbench.policy.judging import VERDICTS, judge
from workbench.store.notebook import Notebook
from workbench.store.pages import Where
from workbench.store.reader import CaseReader
from workbench.workflows.draft_change import repair_policy, separate
from workbench.workflows.draft_policy import Options, Selection, Suggested, suggest_policy
from workbench.workflows.hunt import detect

#: Whose connections are the attack, by who began them in the ground truth; of exfil, where they went.
ATTACKERS = {"esxi-lateral": {"train-7"}, "guessing": {"bot", "crawler"}, "scans": {"scanner"}, "exfil": {"198.51.100.99"}}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CaseReader, dict[str, Indexed]]]:
    case = tmp_path_factory.mktemp("suggest") / "case"
    samples = index([FOLDER / f"{name}.json" for name in ATTACKERS], case)
    detect(case)
    with CaseReader(case) as reader:
        yield reader, samples


def verdicts(reader: CaseReader, source: int, made: Suggested) -> dict[int, str]:
    """By flow, as the engine that replays history judges it, members as of the flow."""
    question = reader.question()
    history = read_history(question, Where("source_id = ?", (source,)))
    judged = judge(history, made.drafted.policy, resolver_of(question))
    rows = judged.intended.verdict[judged.history.told.row]
    return {int(flow): VERDICTS[n] for flow, n in zip(judged.history.told.flow_id, rows, strict=True)}


def attack(name: str, sample: Indexed) -> list[int]:
    """The flows of the attack, by what the programs reported."""
    who = ATTACKERS[name]
    said = [c for c in sample.truth["connections"] if c["who"] in who or c["dst"] in who]
    return sorted({row["flow_id"] for c in said for row in sample.found(c)})


@pytest.mark.parametrize("breadth", ["exact", "workloads", "broad"])
@pytest.mark.parametrize("name", ["esxi-lateral", "guessing", "exfil"])
def test_nothing_that_was_drafted_from_is_denied_and_the_attack_is_denied_and_listed(
    found: tuple[CaseReader, dict[str, Indexed]], name: str, breadth: str
) -> None:
    reader, samples = found
    source = samples[name].source["source_id"]
    made = suggest_policy(reader, Selection(f"source_id == {source}"), Options(breadth=breadth))
    judged = verdicts(reader, source, made)
    hostile = attack(name, samples[name])
    assert hostile
    assert {judged[flow] for flow in hostile} == {"deny"}
    claimed = sum(one.flows for one in made.drafted.evidence.values())
    assert claimed + sum(one.flows for one in made.left_out) == len(judged)
    assert sum(verdict == "allow" for verdict in judged.values()) == claimed  # nothing of it denied, nothing besides allowed
    left = sum(one.flows for one in made.left_out if one.reason.startswith(("part of", "refused")))
    assert left >= len(hostile)
    assert "left out: part of a finding" in made.text


def test_a_finding_is_contained_with_what_else_that_would_have_stopped(found: tuple[CaseReader, dict[str, Indexed]]) -> None:
    reader, samples = found
    source = samples["esxi-lateral"].source["source_id"]
    rows = reader.query("SELECT finding_id, flows FROM findings WHERE detection = 'hypervisor-management'").to_pylist()
    made = suggest_policy(reader, Selection(finding=rows[0]["finding_id"]))
    report: dict[str, Any] = dict(made.report)
    assert report["stopped"] == {"flows": rows[0]["flows"], "of": rows[0]["flows"]}
    judged = verdicts(reader, source, made)
    denied = {flow for flow, verdict in judged.items() if verdict == "deny"}
    listed = reader.query("SELECT flow_id FROM finding_flows WHERE finding_id = ?", [rows[0]["finding_id"]])[
        "flow_id"
    ].to_pylist()
    assert set(listed) <= denied
    assert len(denied) - len(listed) == report["collateral"]["flows"] > 0
    assert all("10.20.1.77" in (row["from"], row["to"]) for row in report["collateral"]["rows"])
    cut = [rule for rule in made.drafted.policy.rules if rule.action == "deny"]
    assert {(rule.tier, rule.existing, rule.expires, rule.log) for rule in cut} == {("quarantine", "cut", "4h", True)}
    names = next(rule for rule in made.drafted.policy.rules if rule.name == "guard-dns")
    assert (names.action, names.from_) == ("pass", ["10.20.1.77"])
    assert "10.20.1.53" in names.to


def test_a_cut_of_history_stops_every_way_and_what_must_stay_is_said(found: tuple[CaseReader, dict[str, Indexed]]) -> None:
    reader, samples = found
    made = separate(
        reader, "10.20.1.77", "10.20.30.12", filter_text=f"source_id == {samples['esxi-lateral'].source['source_id']}"
    )
    judged = verdicts(reader, samples["esxi-lateral"].source["source_id"], made)
    denied = {flow for flow, verdict in judged.items() if verdict == "deny"}
    ends = reader.query(f"SELECT DISTINCT src_ip, dst_ip FROM flows WHERE flow_id IN ({', '.join(map(str, denied))})").to_pylist()
    assert ends == [{"src_ip": "10.20.1.77", "dst_ip": "10.20.30.12"}]  # nobody else reached the hypervisor: no longer way
    assert {row["service"] for row in made.report["cut"]} == {"tcp/22", "tcp/427", "udp/427"}
    with pytest.raises(UsageError, match=r"leaves a way open: 10\.20\.1\.77 to 10\.20\.30\.12 tcp/22"):
        separate(reader, "10.20.1.77", "10.20.30.12", keep="tcp.dstport == 22")
    with pytest.raises(UsageError, match=r"is 192\.0\.2\.1"):
        separate(reader, "10.20.1.77", "192.0.2.1")


def test_a_policy_is_repaired_by_flows_that_must_and_must_not(
    found: tuple[CaseReader, dict[str, Indexed]], tmp_path: Path
) -> None:
    reader, samples = found
    source = samples["esxi-lateral"].source["source_id"]
    draft = suggest_policy(reader, Selection(f"source_id == {source}"))
    (tmp_path / "p.yaml").write_text(draft.text)
    must, never = f"source_id == {source} && tcp.dstport == 427", f"source_id == {source} && tcp.dstport == 9091"
    made = repair_policy(reader, tmp_path / "p.yaml", must, never)
    judged = verdicts(reader, source, made)
    ports = {row["flow_id"]: row["dst_port"] for row in reader.query("SELECT flow_id, dst_port FROM flows").to_pylist()}
    assert {judged[flow] for flow in judged if ports[flow] == 9091} == {"deny"}
    before = verdicts(reader, source, draft)
    changed = {flow: ports[flow] for flow in judged if judged[flow] != before[flow]}
    assert set(changed.values()) == {427, 9091}
    assert made.report["packets"]["newly_allowed"] == str(4 * 65536)
    with pytest.raises(UsageError, match="let through and stopped"):
        repair_policy(reader, tmp_path / "p.yaml", must, must)


def test_the_command_writes_what_loads_and_says_what_was_left_out(
    found: tuple[CaseReader, dict[str, Indexed]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, samples = found
    case, out = str(reader.case.root), tmp_path / "draft.yaml"
    kept = f"source_id == {samples['guessing'].source['source_id']}"
    words = ["policy", "suggest", "--case", case]
    assert run([*words, "--filter", kept, "-o", str(out), "--format", "json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["text"] == out.read_text()
    assert "left out: part of a finding: 57 flows" in said.err
    cited = [rule["evidence"] for rule in report["rules"] if "evidence" in rule]
    assert all(one["flow_ids"] for one in cited if one["flows"])
    assert run(["policy", "lint", str(out)]) == 0
    capsys.readouterr()
    for wrong, why in [
        (["--breadth", "7"], "7 is no breadth"),
        (["--finding", "00"], "no finding 00"),
        (["--leave-out", "grave"], "grave is no severity"),
        (["--separate", "10.0.0.1"], "--separate and --from go together"),
        (["--must-allow", "tcp"], "go with --repair"),
        (["--filter", "ip.addr == 192.0.2.77"], "no flow to draft from"),
    ]:
        assert run([*words, *wrong]) == 2
        assert why in capsys.readouterr().err


def test_the_way_to_devices_of_the_settings_stays_open(
    found: tuple[CaseReader, dict[str, Indexed]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[targets.leaf]\nkind = "ovs"\naddress = "ssh://root@10.20.1.200:2022"\nbridge = "br0"\ntelemetry = ["10.20.1.9:4739"]\n'
    )
    monkeypatch.setenv("WORKBENCH_CONFIG", str(settings))
    made = suggest_policy(found[0], Selection("ip.addr == 10.20.1.0/24"))
    guards = {rule.name: (rule.from_, rule.to, rule.services) for rule in made.drafted.policy.rules}
    assert guards["guard-management"] == (["any"], ["10.20.1.200"], ["tcp/2022"])
    assert guards["guard-collectors"] == (["any"], ["10.20.1.9"], ["tcp/4739", "udp/4739"])


def test_a_finding_with_more_flows_than_are_listed_is_left_out_whole_and_one_judged_benign_is_not(
    found: tuple[CaseReader, dict[str, Indexed]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = tmp_path / "case"
    index([FOLDER / "guessing.json"], case)
    monkeypatch.setattr("workbench.store.findings.MOST_FLOWS", 3)
    detect(case)
    with CaseReader(case) as reader:
        listed = reader.query("SELECT count(*) AS n FROM finding_flows")["n"][0].as_py()
        made = suggest_policy(reader)
        assert listed < made.left_out[0].flows == 57
        for row in reader.query("SELECT finding_id FROM findings").to_pylist():
            book = Notebook(case)
            book.set_state(row["finding_id"], "benign", "a test of passwords")
            book.close()
        assert not [one for one in suggest_policy(reader).left_out if one.reason == "part of a finding"]
