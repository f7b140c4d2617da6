"""Flows of a case are read with who began them, who their ends were then, and what their alike sum up to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.store.rows import T0, batch, flow, source
from tests.workflows.test_naming import MINUTE, add, from_to, told
from workbench.errors import CancelledError
from workbench.policy import addresses
from workbench.policy.contested import contested_groups
from workbench.policy.draft_history import plain_edges
from workbench.policy.history import read_history, resolver_of
from workbench.policy.impact import compare
from workbench.policy.judging import VERDICTS, judge
from workbench.policy.members import Selector
from workbench.policy.model import Policy
from workbench.policy.recorded import KNOWN, MID_STREAM, RELATED, History
from workbench.store.pages import Where
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.naming import name_flows

START = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=T0)
TRAIN = {"labels": '{"app":"train"}'}


def policy(rules: list[dict[str, Any]], **more: Any) -> Policy:
    groups = {"train": {"labels": {"app": "train"}}, "tenant": {"network": "vlan:9"}}
    said = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "p"}, "groups": groups}
    made = [
        {"name": f"r{n}", "tier": "app", "priority": n, "action": "allow", "from": "any", "to": "any"} | r
        for n, r in enumerate(rules)
    ]
    return Policy.model_validate(said | {"rules": made} | more)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10.0.0.1 is `old` until minute 5, then `new`, whom `rival` contests from minute 8; only `old` is of the group."""
    root = tmp_path_factory.mktemp("history") / "case"
    rows = [told(n, 1, 2, n) for n in range(10)] + [told(10, 1, 3, 2, "vlan:9")]
    claims = [from_to("old", 1, 0, 5, **TRAIN), from_to("new", 1, 5), from_to("rival", 1, 8, **TRAIN)]
    add(root, 1, flows=rows, claims=claims)
    name_flows(root)
    return root


def read(case: Path, where: Where | None = None) -> History:
    with CaseReader(case) as reader:
        return read_history(reader.question(), where or Where())


def flags(state: str | None, src: int | None, dst: int | None, **more: Any) -> dict[str, Any]:
    """A row of telemetry: flags of each side, ORed."""
    return {"history": None, "conn_state": state, "src_flags": src, "dst_flags": dst} | more


def by_flow(history: History, values: Any) -> dict[int, int]:
    return {int(n) & 0xFFFFF: int(v) for n, v in zip(history.told.flow_id, values[history.told.row], strict=True)}


def test_alike_flows_are_one_row_with_their_sums(case: Path) -> None:
    history = read(case)
    rows, ends = history.rows, history.ends
    assert len(history.told) == 11
    assert sorted(rows.flows.tolist()) == [1, 2, 3, 5]  # old, new, contested, and old in the other network
    at = int(np.argmax(rows.flows))
    assert (ends.name(int(rows.src[at])), ends.name(int(rows.dst[at]))) == ("old", "10.0.0.2")
    assert (rows.first[at], rows.last[at]) == (T0, T0 + 4 * MINUTE + 10)
    assert rows.bytes.sum() == sum(flow(n)["src_bytes"] + flow(n)["dst_bytes"] for n in range(11))
    assert history.flows_of([at]).tolist() == [(1 << 40) + n for n in range(5)]
    assert (history.begin, history.end) == (T0, T0 + 9 * MINUTE + 10)


def test_members_are_who_they_were_then_or_who_the_push_means_and_contested_ends_are_told_apart(case: Path) -> None:
    history = read(case)
    with CaseReader(case) as reader:
        resolver = resolver_of(reader)
    found = judge(history, policy([{"from": "train"}]), resolver, START + timedelta(minutes=3))
    meant = by_flow(found.history, found.intended.verdict)
    assert [VERDICTS[meant[n]] for n in range(11)] == ["allow"] * 5 + ["deny"] * 3 + ["undetermined"] * 2 + ["allow"]
    pushed = by_flow(found.history, found.enforced.verdict)
    assert {VERDICTS[verdict] for verdict in pushed.values()} == {"allow"}  # at minute 3 the address was that of `old`
    told_apart = compare(history, None, found)
    assert (told_apart.ambiguous, told_apart.apart) == (2, 5)
    later = judge(history, policy([{"from": "train"}]), resolver, START + timedelta(minutes=6))
    assert {VERDICTS[verdict] for verdict in by_flow(later.history, later.enforced.verdict).values()} == {"deny"}


def test_contested_ends_that_all_get_one_verdict_get_it(case: Path) -> None:
    found = judge(read(case), policy([{"from": "10.0.0.1"}]))
    assert {VERDICTS[verdict] for verdict in found.intended.verdict.tolist()} == {"allow"}


def test_an_end_is_in_the_network_of_its_flow_whoever_it_is(case: Path) -> None:
    found = judge(read(case), policy([{"from": "tenant"}]))
    assert [n for n, verdict in by_flow(found.history, found.intended.verdict).items() if verdict == 0] == [10]


def test_who_held_an_address_is_told_as_of_a_time_and_nobody_where_it_is_contested(case: Path) -> None:
    with CaseReader(case) as reader:
        resolver = resolver_of(reader)
    train = Selector(labels=(("app", "train"),))
    one = addresses.prefix("10.0.0.1")
    assert [resolver(train, START + timedelta(minutes=n)) == one for n in (0, 4, 5, 8, 9)] == [True, True, False, False, False]
    assert not resolver(train, None)


def test_an_address_that_several_claim_is_a_members_where_all_of_them_are_and_contested_where_some_are(tmp_path: Path) -> None:
    claims = [from_to("a", 1, 0, **TRAIN), from_to("b", 1, 0, **TRAIN), from_to("c", 2, 0, **TRAIN), from_to("d", 2, 0)]
    add(tmp_path / "case", 1, flows=[told(0, 1, 9, 1), told(1, 9, 2, 1), told(2, 3, 9, 1)], claims=claims)
    name_flows(tmp_path / "case")
    with CaseReader(tmp_path / "case") as reader:
        resolver = resolver_of(reader)
    train = Selector(labels=(("app", "train"),))
    assert resolver(train, None).texts() == ["10.0.0.1"]
    assert resolver.contested(train, None).texts() == ["10.0.0.2"]
    assert not resolver.contested(train, START - timedelta(days=1))
    denying = policy([{"from": "any", "to": "train", "action": "deny"}, {}])
    found = judge(read(tmp_path / "case"), denying, resolver)
    pushed = by_flow(found.history, found.enforced.verdict)
    assert [VERDICTS[pushed[n]] for n in range(3)] == ["allow", "undetermined", "allow"]
    plain = judge(read(tmp_path / "case"), policy([{"from": "any", "to": "tenant", "action": "deny"}, {}]), resolver)
    assert {VERDICTS[n] for n in plain.enforced.verdict.tolist()} == {"allow"}
    assert list(dict(contested_groups(denying, resolver, None))) == ["train"]
    assert not list(contested_groups(policy([{}]), resolver, None)), "a group that no rule means harms nobody"


def test_of_whom_only_a_mac_is_known_goes_by_the_address(tmp_path: Path) -> None:
    card = {"kind": "host", "mac": "02:00:00:00:00:09", "origin": "arp", "confidence": 0.2}
    nameless = from_to("mac:02:00:00:00:00:09", 1, 0, **card) | {"name": None}
    add(tmp_path / "case", 1, flows=[told(0, 1, 2, 1)], claims=[nameless, from_to("db", 2, 0)])
    name_flows(tmp_path / "case")
    ends, rows = read(tmp_path / "case").ends, read(tmp_path / "case").rows
    assert (ends.name(int(rows.src[0])), ends.name(int(rows.dst[0]))) == ("10.0.0.1", "db")


def test_who_stands_for_more_claimants_than_are_told_contests_whatever_is_asked(tmp_path: Path) -> None:
    add(tmp_path / "case", 1, claims=[from_to(f"w{n}", 1, 0, **TRAIN) for n in range(12)])
    name_flows(tmp_path / "case")
    with CaseReader(tmp_path / "case") as reader:
        resolver = resolver_of(reader)
    train = Selector(labels=(("app", "train"),))
    assert (resolver(train, None).texts(), resolver.contested(train, None).texts()) == ([], ["10.0.0.1"])


def test_a_filter_is_kept_and_a_question_that_is_stopped_reads_no_further(case: Path) -> None:
    assert len(read(case, Where("network = ?", ("vlan:9",))).told) == 1
    with CaseReader(case) as reader:
        question = reader.question()
        question.stop()
        with pytest.raises(CancelledError):
            read_history(question)


def test_who_began_a_flow_is_told_by_its_handshake_and_never_guessed(tmp_path: Path) -> None:
    said: list[tuple[dict[str, Any], tuple[int, int, bool]]] = [
        ({"history": "ShADad"}, (KNOWN, 443, False)),
        ({"history": "hADad"}, (KNOWN, 443, False)),
        ({"history": "HADad", "src_port": 8000}, (KNOWN, 8000, True)),
        ({"history": "^sADad", "src_port": 8001}, (KNOWN, 8001, True)),
        ({"history": "ADad"}, (MID_STREAM, 443, False)),
        ({"history": "^dA"}, (MID_STREAM, 443, False)),
        ({"history": None, "conn_state": "SF"}, (MID_STREAM, 443, False)),
        ({"history": None, "conn_state": None}, (MID_STREAM, 443, False)),
        (flags("SF", 0x1B, 0x1B), (KNOWN, 443, False)),
        (flags("SF", 0x11, 0x11), (MID_STREAM, 443, False)),  # FIN both ways and nobody's SYN
        (flags(None, 0x1B, None, src_port=443, dst_port=51000), (MID_STREAM, 51000, False)),  # a reply's SYN+ACK, or a whole half
        (flags(None, 0x02, None), (KNOWN, 443, False)),
        (flags("S0", 0x02, 0), (KNOWN, 443, False)),
        (flags("REJ", 0x02, 0x14), (KNOWN, 443, False)),
        (flags("S1", 0x02, 0x12), (KNOWN, 443, False)),
        (flags("OTH", 0x02, 0x02), (MID_STREAM, 443, False)),  # both did
        (flags("OTH", 0x12, 0x02), (MID_STREAM, 443, False)),
        (flags("OTH", 0x12, 0x10), (MID_STREAM, 443, False)),  # the answer to a SYN that nobody saw
        (flags("S1", 0x10, 0x12), (MID_STREAM, 443, False)),
        (flags(None, None, 0x12), (MID_STREAM, 443, False)),
        (flags(None, 24, None), (MID_STREAM, 443, False)),
        ({"proto": 17, "history": "Dd"}, (KNOWN, 443, False)),
        ({"proto": 17, "history": "^Dd"}, (MID_STREAM, 443, False)),
        ({"proto": 1, "history": None, "src_port": 8, "dst_port": 0}, (KNOWN, 8, False)),
        ({"proto": 1, "history": None, "src_port": 0, "dst_port": 8}, (KNOWN, 8, True)),
        ({"proto": 1, "history": None, "src_port": 3, "dst_port": 1}, (RELATED, 3, False)),
        ({"proto": 58, "history": None, "src_port": 129, "dst_port": 128}, (KNOWN, 128, True)),
        ({"proto": 58, "history": None, "src_port": 135, "dst_port": 136}, (KNOWN, 135, False)),
        ({"proto": 47, "history": None, "src_port": None, "dst_port": None}, (KNOWN, 0, False)),
    ]
    rows = [flow(n, src_ip="10.9.9.9", **fields) for n, (fields, _) in enumerate(said)]
    rows.append(flow(len(said), src_ip=None, src_lo=None, src_hi=None))
    add(tmp_path / "case", 1, flows=rows)
    history = read(tmp_path / "case")
    state, service, src = (by_flow(history, getattr(history.rows, name)) for name in ("state", "service", "src"))
    found = [(state[n], service[n], history.ends.name(src[n]) == "10.0.1.1") for n in range(len(said))]
    assert found == [want for _, want in said]
    assert history.without == 1


@pytest.mark.parametrize(
    ("kind", "fields", "want"),
    [
        ("zeek", {"conn_state": None}, KNOWN),
        ("zeek", {"conn_state": "SF"}, KNOWN),
        ("zeek", {"conn_state": "OTH"}, MID_STREAM),
        ("psm", {"conn_state": None}, KNOWN),
        ("vpcflow", {"conn_state": None}, MID_STREAM),
        ("hubble", {"conn_state": None}, MID_STREAM),
        ("eve", {"conn_state": None}, MID_STREAM),
        ("csv", {"conn_state": "SF"}, MID_STREAM),
        ("zeek", {"conn_state": None, "src_flags": 0x12}, MID_STREAM),
        ("vpcflow", {"conn_state": None, "src_flags": 3, "dst_flags": 19}, KNOWN),
    ],
)
def test_only_sources_that_know_who_began_are_taken_at_their_word(
    kind: str, fields: dict[str, Any], want: int, tmp_path: Path
) -> None:
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1, kind=kind))
        writer.append("flows", batch("flows", [flow(0, history=None, **fields), flow(1, proto=17, history=None)]))
        writer.update_source(1, state="ok", flows=2)
    history = read(tmp_path / "case")
    assert by_flow(history, history.rows.state) == {0: want, 1: KNOWN}
    with CaseReader(tmp_path / "case") as reader:
        edges, _ = plain_edges(reader, begun=True)
    assert sorted(edge.proto for edge in edges) == [6, 17][want == MID_STREAM :]


def test_sessions_that_nothing_ended_are_live_until_their_timeout(tmp_path: Path) -> None:
    end = T0 + 1000 * 1_000_000
    said: list[tuple[dict[str, Any], int]] = [
        ({"end_reason": None, "ts_end": end}, 1),
        ({"end_reason": 4, "ts_end": end - 299_000_000}, 1),
        ({"end_reason": 4, "ts_end": end - 301_000_000}, 0),
        ({"end_reason": 4, "proto": 17, "ts_end": end - 61_000_000}, 0),
        ({"end_reason": 3, "ts_end": end}, 0),
        ({"end_reason": 4, "ts_end": end, "dst_pkts": 0}, 0),
    ]
    add(tmp_path / "case", 1, flows=[flow(n, **fields) for n, (fields, _) in enumerate(said)])
    history = read(tmp_path / "case")
    assert history.told.live[np.argsort(history.told.flow_id)].tolist() == [want for _, want in said]
