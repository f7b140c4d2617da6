"""`workbench policy` with a case: a verdict for every flow, differences weighed by history, and who is in the groups."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.rows import batch, flow, index, source
from tests.workflows.test_naming import add, from_to, told
from workbench.cli.app import run
from workbench.policy.reading import read_policy
from workbench.store.writer import CaseWriter
from workbench.workflows.naming import name_flows

POLICY = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: p}
internal: [10.0.0.0/16]
groups:
  clients: {cidr: 10.0.0.0/24}
  servers: {cidr: 10.0.1.0/24}
rules:
  - {name: few, tier: app, priority: 1, action: deny, from: 10.0.0.0/29, to: servers, services: [https], existing: cut}
  - {name: most, tier: app, priority: 2, action: allow, from: clients, to: servers, services: [https]}
tests:
  - {name: t, from: 10.0.0.9, to: servers, service: tcp/443, expect: allow}
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A hundred flows of TCP from 10.0.0.0-99 to 10.0.1.1:443, whole and begun by their source; drops are known to be none."""
    path = tmp_path_factory.mktemp("policy") / "case"
    index(path, 100, dropped=0)
    assert flow(3)["dst_port"] == 443
    return str(path)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    return path


def rows(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> tuple[list[dict[str, Any]], str]:
    assert run(["policy", *words, "--format", "json"]) == code
    out, err = capsys.readouterr()
    return json.loads(out), err


def test_every_flow_has_a_verdict_and_the_rule_that_decides(case: str, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, err = rows(["test", str(policy), "--case", case], capsys)
    assert [row["flow_id"] & 0xFF for row in found] == list(range(100))
    assert [(row["verdict"], row["rule"], row["next_rules"]) for row in found[6:9]] == [
        ("deny", "p/few", "p/most"), ("deny", "p/few", "p/most"), ("allow", "p/most", None),
    ]  # fmt: skip
    assert {(row["verdict"], row["enforced_verdict"]) for row in found} == {("deny", "deny"), ("allow", "allow")}
    assert (found[0]["from"], found[0]["to"], found[0]["service"]) == ("10.0.0.0", "10.0.1.1", "tcp/443")
    assert "100 flows: 92 allow, 8 deny" in err
    assert "8 of 100 recorded flows would be stopped" in err
    assert "1 tests pass, 0 fail" in err


@pytest.mark.parametrize(
    ("filter_", "code", "said"),
    [
        ("src_ip == 10.0.0.7", 1, "1 denied flows match"),
        ("tcp.dstport == 443", 1, "8 denied flows match"),
        ("src_ip == 10.0.0.8", 0, ""),
        ("  ", 2, "needs a filter"),
        ("srcip == 1", 2, "src_ip"),
    ],
)
def test_denied_flows_that_must_not_be(
    case: str, policy: Path, filter_: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["policy", "test", str(policy), "--case", case, "--fail-on-denied", filter_, "--format", "json"]) == code
    out, err = capsys.readouterr()
    assert said in err
    assert bool(out) == (code < 2), "nothing is written before a filter is known to be right"


def test_only_flows_that_a_filter_keeps(case: str, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found, err = rows(["test", str(policy), "--case", case, "--filter", "src_ip in {10.0.0.7, 10.0.0.8}"], capsys)
    assert [row["verdict"] for row in found] == ["deny", "allow"]
    assert "2 flows: 1 allow, 1 deny" in err


@pytest.mark.parametrize("fields", [{"dropped": 0}, {"dropped": None}, {"dropped": 48}])
def test_the_word_safe_rests_on_what_was_seen(
    fields: dict[str, Any], policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index(tmp_path / "case", 100, **fields)
    policy.write_text(POLICY.replace("action: deny", "action: allow").replace(", existing: cut", ""))
    assert run(["policy", "test", str(policy), "--case", str(tmp_path / "case"), "--format", "csv"]) == 0
    err = capsys.readouterr().err
    assert "coverage: 900 packets of 1 source" in err
    if fields["dropped"] == 0:
        assert "safe by what was recorded: none of 100 flows would be stopped" in err
    else:
        assert "safe" not in err
        assert ("drops unknown" if fields["dropped"] is None else "94.9 % of packets seen") in err.splitlines()[2]


def error(n: int, src: str, dst: str) -> dict[str, Any]:
    """An ICMP error."""
    said = {"proto": 1, "proto_name": "icmp", "src_port": 3, "dst_port": 3, "history": None, "conn_state": None}
    return flow(n, src_ip=src, dst_ip=dst, **said)


@pytest.mark.parametrize(
    ("more", "filter_", "said"),
    [
        ([], "tcp.dstport == 443", "safe by what was recorded: none of 2 flows of this filter would be stopped"),
        ([error(2, "10.0.1.1", "10.0.0.1")], "", "safe by what was recorded: none of 3 flows would be stopped"),
        ([error(2, "10.0.1.1", "10.0.0.1")], "icmp", "no recorded flow of this filter would be stopped, which is not proof"),
        ([error(2, "10.0.1.1", "10.0.0.1")], "src_ip == 10.0.1.1 || src_ip == 10.0.0.0", "1 flows are undetermined"),
        ([error(2, "10.0.0.254", "10.0.0.1")], "", "1 flows are undetermined"),  # a router's: about whatever
        ([flow(2, src_ip=None)], "", "which is not proof enough: 1 flows without addresses were not judged"),
    ],
)
def test_what_was_not_judged_is_doubt(
    more: list[dict[str, Any]], filter_: str, said: str, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1, dropped=0))
        writer.append("flows", batch("flows", [flow(0), flow(1), *more]))
        writer.update_source(1, state="ok", packets=99, flows=2 + len(more))
    policy.write_text(POLICY.replace("action: deny", "action: allow").replace(", existing: cut", ""))
    assert run(["policy", "test", str(policy), "--case", str(tmp_path / "case"), "--filter", filter_, "--format", "csv"]) == 0
    err = capsys.readouterr().err
    assert said in err
    assert ("safe by" in err) == said.startswith("safe")


def test_labels_that_are_no_text_are_drafted_as_they_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = '{"app": 3, "x": true, "y": null, "z": 1.50}'
    claims = [from_to("old", 1, 0, labels=said), from_to("new", 2, 0, labels='{"app": "web", "deep": {"a": "b"}}')]
    add(tmp_path / "case", 1, flows=[told(n, 1, 2, n) for n in range(5)], claims=claims)
    name_flows(tmp_path / "case")
    draft = tmp_path / "draft.yaml"
    assert run(["policy", "suggest", "--case", str(tmp_path / "case"), "-o", str(draft)]) == 0
    groups = [group.labels.matchLabels for group in read_policy(draft).policy.groups.values() if group.labels]
    assert {"app": "3"} in groups
    capsys.readouterr()
    found, _ = rows(["test", str(draft), "--case", str(tmp_path / "case")], capsys)
    assert [(row["verdict"], row["enforced_verdict"]) for row in found] == [("allow", "allow")] * 5


NAMED = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: p}
groups:
  training: {labels: {app: train}}
rules:
  - {name: contain, tier: quarantine, priority: 1, action: deny, from: training, to: any}
  - {name: rest, tier: default, priority: 1, action: allow, from: any, to: any}
"""


def test_an_address_that_others_claim_as_well_is_never_left_out_quietly(
    policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = [from_to("old", 1, 3, labels='{"app": "train"}'), from_to("new", 1, 3)]
    add(tmp_path / "case", 1, flows=[told(n, 1, 2, n) for n in range(5)], claims=claims)
    name_flows(tmp_path / "case")
    policy.write_text(NAMED)
    case = ["--case", str(tmp_path / "case")]
    found, _ = rows(["lint", str(policy), *case], capsys, 1)
    assert ("error", "contested", "training") in {(row["severity"], row["code"], row["rule"]) for row in found}
    assert any("10.0.0.1" in row["message"] for row in found if row["code"] == "contested")
    assert run(["policy", "compile", str(policy), "--target", "nft", *case]) == 0
    assert "error: group `training`: several claim 10.0.0.1" in capsys.readouterr().err
    found, err = rows(["test", str(policy), *case], capsys)
    assert {row["enforced_verdict"] for row in found} == {"undetermined"}
    assert "3 flows are of addresses that several claim as of the push" in err  # 2 more are in doubt as they were meant
    found, err = rows(["test", str(policy), *case, "--at", "2023-11-14T22:14:20Z"], capsys)
    assert {row["enforced_verdict"] for row in found} == {"allow"}


def test_filters_of_flows_need_a_case(policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "test", str(policy), "--fail-on-denied", "proto == 6"]) == 2
    assert "--case" in capsys.readouterr().err
    assert run(["policy", "test", str(policy), "--case", "/nowhere"]) == 2


def test_a_difference_is_weighed_by_history(case: str, policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "new.yaml"
    extra = (
        "  - {name: more, tier: app, priority: 0, action: deny, from: 10.0.0.64/26, to: servers, services: [tcp/443, tcp/80]}\n"
    )
    new.write_text(POLICY.replace("tests:", extra + "tests:"))
    found, err = rows(["diff", str(policy), str(new), "--case", case], capsys)
    (row,) = found
    assert (row["change"], row["from"], row["service"]) == ("denied", "10.0.0.64/26", "tcp/443")
    assert (row["flows"], row["pairs"], row["packets"]) == (36, 36, str(64 * 256 * 65536))
    assert row["bytes"] == sum(flow(n)["src_bytes"] + 4000 for n in range(64, 100))
    assert row["last_seen"] == "2023-11-14T22:13:20.099500Z"
    assert "of 100 recorded flows 36 are newly denied and 0 newly allowed" in err
    backwards, _ = rows(["diff", str(new), str(policy), "--case", case], capsys)
    assert [(row["change"], row["flows"]) for row in backwards] == [("allowed", 36)]


def test_members_and_rules_are_those_of_a_time(case: str, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy.write_text(POLICY.replace("existing: cut", "existing: cut, expires: 2023-11-15T00:00:00Z"))
    found, _ = rows(["show", str(policy), "--case", case], capsys)
    assert found[0]["ends"] == "2023-11-15T00:00:00Z (over)"
    found, _ = rows(["show", str(policy), "--case", case, "--at", "-1h"], capsys)
    assert found[0]["ends"] == "2023-11-15T00:00:00Z (soon)"
    codes = {row["code"] for row in rows(["lint", str(policy), "--case", case, "--at", "2023-11-16"], capsys)[0]}
    assert "expired" in codes


def test_tables_fit_a_terminal(case: str, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["test", str(policy), "--case", case],
        ["show", str(policy), "--case", case],
        ["lint", str(policy), "--case", case],
    ):
        assert run(["policy", *words, "--format", "table"]) == 0
        assert capsys.readouterr().out.count("\n") > 3


def test_who_was_a_member_then_and_is_none_now(policy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """10.0.0.7 was the training pod until the middle of the flows: intended stops its flow, a push at their end would not."""
    folder = str(tmp_path / "case")
    index(tmp_path / "case", 100, dropped=0)
    claims = tmp_path / "claims.csv"
    said = "10.0.0.7,train-7,lab,pod,train,u1,2023-11-14T22:00:00Z,2023-11-14T22:13:20.050Z\n"
    claims.write_text("ip,name,namespace,kind,label:app,uid,from,to\n" + said)
    assert run(["import", "claims", str(claims), "--case", folder]) == 0
    capsys.readouterr()
    policy.write_text(NAMED)
    found, err = rows(["test", str(policy), "--case", folder], capsys)
    stopped = [(row["src_ip"], row["from"], row["rule"], row["enforced_verdict"]) for row in found if row["verdict"] == "deny"]
    assert stopped == [("10.0.0.7", "lab/train-7", "p/contain", "allow")]
    assert "1 of them would be judged otherwise by the members of the push" in err
    assert "drops unknown" not in err, "a listing of names has no packets to lose"
    found, _ = rows(["test", str(policy), "--case", folder, "--at", "2023-11-14T22:13:20Z"], capsys)
    assert {row["enforced_verdict"] for row in found if row["src_ip"] == "10.0.0.7"} == {"deny"}

    groups = {
        row["name"]: row for row in rows(["show", str(policy), "--case", folder, "--at", "2023-11-14T22:13:20Z"], capsys)[0]
    }
    assert (groups["training"]["addresses"], groups["training"]["workloads"]) == ("10.0.0.7", "lab/train-7")
    codes = {(row["code"], row["rule"]) for row in rows(["lint", str(policy), "--case", folder], capsys)[0]}
    assert ("matches-nothing", "training") in codes

    new = tmp_path / "new.yaml"
    new.write_text(NAMED.replace("to: any}\n  - {name: rest", "to: 192.0.2.1}\n  - {name: rest"))
    found, _ = rows(["diff", str(policy), str(new), "--case", folder], capsys)
    assert (found[0]["from"], found[0]["seen_as"], found[0]["flows"]) == ("lab/train-7", "members of that time", 1)
    assert {row["from"] for row in found[1:]} == {"training (IPv4)", "training (IPv6)"}, "whoever will be in it"
