"""What only names make visible: each detection hits what it is for, and lets pass what is nearly it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.detections.named import at, named_case, workload
from tests.detections.shipped import Row, found
from tests.store.rows import T0

WEB = [workload(f"10.1.0.{n}", f"web-5d9c7b6f4-abcd{n}", app="web") for n in range(1, 5)]
OTHERS = [workload("10.1.1.1", "db-0", namespace="data", app="db"), workload("10.1.1.2", "bank-0", namespace="bank", app="bank")]
REFUSED = {"conn_state": "REJ", "dst_pkts": 1}


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["subject"], row["object"]) for row in rows]


# -- sensitive-endpoints ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dst", "port", "fields", "name"),
    [
        ("169.254.169.254", 80, {}, "metadata service"),
        ("10.9.0.1", 10250, {}, "kubelet"),
        ("10.9.0.1", 2379, {}, "etcd"),
        ("10.9.0.1", 2375, {}, "Docker API"),
        ("10.9.0.1", 623, {"proto": 17, "proto_name": "udp"}, "management controller (IPMI)"),
        ("10.9.0.1", 8265, {}, "Ray dashboard"),
        ("10.9.0.1", 8888, {}, "Jupyter"),
    ],
)
def test_a_workload_that_reaches_a_sensitive_endpoint(tmp_path: Path, dst: str, port: int, fields: Row, name: str) -> None:
    rows = [at(1, "10.1.0.1", dst, port, **fields), at(2, "10.1.0.1", "10.1.1.1", 443), at(3, "10.8.0.8", dst, port, **fields)]
    with named_case(tmp_path / "case", rows, [*WEB, *OTHERS]) as reader:
        (row,) = found("sensitive-endpoints", reader)
        assert (row["subject"], row["object"], row["flows"]) == ("shop/web-5d9c7b6f4-abcd1", name, 1)
        assert row["severity"] == ("medium" if name == "Jupyter" else "high")
        assert row["addresses"] == "10.1.0.1"


def test_nodes_allowed_namespaces_and_other_protocols_reach_them_rightly(tmp_path: Path) -> None:
    known = [workload("10.1.0.1", "n1", kind="node"), workload("10.1.0.2", "proxy", namespace="kube-system"), *WEB[2:]]
    rows = [at(n, f"10.1.0.{n}", "10.9.0.1", 10250) for n in (1, 2)]
    rows.append(at(5, "10.1.0.3", "10.9.0.1", 10250, proto=17, proto_name="udp"))
    rows.append(at(6, "10.1.0.3", "10.9.0.1", 2378))
    with named_case(tmp_path / "case", rows, known) as reader:
        assert found("sensitive-endpoints", reader) == []
        assert pairs(found("sensitive-endpoints", reader, allowed="")) == [("kube-system/proxy", "kubelet")]


def test_an_endpoint_that_refuses_is_told_lowly(tmp_path: Path) -> None:
    with named_case(tmp_path / "case", [at(1, "10.1.0.1", "10.9.0.1", 2375, **REFUSED)], WEB) as reader:
        (row,) = found("sensitive-endpoints", reader)
        assert (row["severity"], row["answered"]) == ("low", 0)


# -- odd-sibling ------------------------------------------------------------------------------------

USUAL = [at(n * 4 + k, f"10.1.0.{k}", "10.1.1.1", 5432) for n in range(5) for k in range(1, 5)]


def test_the_only_replica_that_talks_to_somebody(tmp_path: Path) -> None:
    with named_case(tmp_path / "case", [*USUAL, at(50, "10.1.0.3", "203.0.113.9", 4444)], [*WEB, *OTHERS]) as reader:
        (row,) = found("odd-sibling", reader)
        assert (row["subject"], row["object"]) == ("shop/web-5d9c7b6f4-abcd3", "203.0.113.9 tcp/4444")
        assert (row["siblings"], row["own"], row["flows"], row["severity"]) == (4, 1, 1, "medium")


@pytest.mark.parametrize(
    "more",
    [
        [at(50, "10.1.0.3", "203.0.113.9"), at(51, "10.1.0.4", "203.0.113.9")],  # two do so
        [at(50 + n, f"10.1.0.{n}", f"203.0.113.{n * 9 + k}") for n in range(1, 5) for k in range(9)],  # each goes its own way
        [at(50, "10.1.0.3", "224.0.0.251", 5353)],
        [at(50, "10.7.0.7", "203.0.113.9")],  # nobody's
    ],
)
def test_what_siblings_share_or_all_of_them_do_is_not_odd(tmp_path: Path, more: list[Row]) -> None:
    with named_case(tmp_path / "case", [*USUAL, *more], [*WEB, *OTHERS]) as reader:
        assert found("odd-sibling", reader) == []


def test_replicas_without_labels_are_siblings_by_name(tmp_path: Path) -> None:
    bare = [one | {"labels": "not json"} for one in WEB]
    with named_case(tmp_path / "case", [*USUAL, at(50, "10.1.0.3", "203.0.113.9")], bare) as reader:
        assert len(found("odd-sibling", reader)) == 1
    two = [one | {"name": f"{'web' if n < 2 else 'api'}-{n}"} for n, one in enumerate(bare)]
    with named_case(tmp_path / "two", [*USUAL, at(50, "10.1.0.3", "203.0.113.9")], two) as reader:
        assert found("odd-sibling", reader) == []  # two of each are no group


# -- first-path-groups ------------------------------------------------------------------------------

DAY = [at(n, f"10.1.0.{1 + n % 3}", "10.1.1.1", 5432) for n in range(100)]


def test_a_group_that_reaches_another_for_the_first_time(tmp_path: Path) -> None:
    with named_case(tmp_path / "case", [*DAY, at(80, "10.1.0.2", "10.1.1.2", 8443)], [*WEB, *OTHERS]) as reader:
        (row,) = found("first-path-groups", reader)
        assert (row["subject"], row["object"], row["services"]) == ("shop/web", "bank/bank", "tcp/8443")
        assert pairs(found("first-path-groups", reader, by="namespace")) == [("shop", "bank")]


def test_a_new_replica_of_a_known_group_is_no_new_path(tmp_path: Path) -> None:
    with named_case(tmp_path / "case", [*DAY, at(80, "10.1.0.4", "10.1.1.1", 5432)], [*WEB, *OTHERS]) as reader:
        assert found("first-path-groups", reader) == []
    with named_case(tmp_path / "new", [*DAY, at(80, "10.1.1.2", "10.1.1.1", 5432)], [*WEB, *OTHERS]) as reader:
        assert found("first-path-groups", reader) == []  # it has only just come: everything is new of it
    with named_case(tmp_path / "few", [*DAY[::20], at(80, "10.1.0.4", "10.1.1.2")], [*WEB, *OTHERS]) as reader:
        assert found("first-path-groups", reader) == []


# -- beacon-replicas --------------------------------------------------------------------------------


def calls(pause: float = 30.0, each: int = 8, turns: bool = False, jitter: float = 0.0) -> list[Row]:
    """Calls of three replicas, one after the other, or in turns."""
    rows = []
    for n in range(3 * each):
        replica = 1 + (n % 3 if turns else n // each)
        rows.append(at(n * pause + jitter * ((n * 7919) % 13), f"10.1.0.{replica}", "203.0.113.7"))
    return rows


def test_calls_that_pass_from_one_replica_to_the_next(tmp_path: Path) -> None:
    with named_case(tmp_path / "case", calls(), WEB) as reader:
        (row,) = found("beacon-replicas", reader)
        assert (row["subject"], row["object"]) == ("shop/web", "203.0.113.7 tcp/443")
        assert (row["connections"], row["replicas"], row["changes"]) == (24, 3, 2)
        assert row["period"] == pytest.approx(30)
        assert found("beacon", reader) == []  # by address nobody calls often enough


@pytest.mark.parametrize(
    "rows",
    [
        calls(jitter=40.0),  # no even pauses
        calls(turns=True),  # side by side
        calls(each=3),  # too few
        calls(pause=0.1),  # a burst
        [row | at(n * 30, "10.1.0.1", "203.0.113.7") for n, row in enumerate(calls())],  # one replica alone: beacon's
    ],
)
def test_what_is_not_handed_on_regularly_is_no_such_beacon(tmp_path: Path, rows: list[Row]) -> None:
    with named_case(tmp_path / "case", rows, WEB) as reader:
        assert found("beacon-replicas", reader) == []


# -- agent-dark -------------------------------------------------------------------------------------


def beats(host: int, until: float, start: float = 0.0, every: float = 10.0) -> list[Row]:
    return [at(start + host + n * every, f"10.1.0.{host}", "10.9.9.9", 8443) for n in range(int((until - start) / every))]


def busy(host: int, start: float = 0.0, until: float = 600.0) -> list[Row]:
    return [at(start + n * 11.3, f"10.1.0.{host}", f"10.3.0.{1 + n % 7}") for n in range(int((until - start) / 11.3))]


def test_a_host_that_stops_calling_its_manager_and_talks_on(tmp_path: Path) -> None:
    rows = [*beats(1, 300), *busy(1), *beats(2, 600), *busy(2)]
    with named_case(tmp_path / "case", rows, WEB) as reader:
        (row,) = found("agent-dark", reader)
        assert (row["subject"], row["object"]) == ("shop/web-5d9c7b6f4-abcd1", "10.9.9.9 tcp/8443")
        assert (row["beats"], row["others"]) == (30, 1)
        assert row["silence"] > 250


@pytest.mark.parametrize(
    "rows",
    [
        [*beats(1, 300), *busy(1, until=295), *beats(2, 600)],  # the host is gone, too
        [*beats(1, 300), *busy(1), *beats(2, 300), *busy(2)],  # the manager is
        [*beats(1, 570), *busy(1), *beats(2, 600)],  # not for long
        [*beats(1, 300), *busy(1), *beats(2, 600), *[r | REFUSED for r in beats(1, 600, 300)]],  # it still tries
        [*[r for n, r in enumerate(beats(1, 300, every=2.0)) if n % 16 in (0, 1, 7)], *busy(1), *beats(2, 600)],  # no even pauses
    ],
)
def test_silence_with_another_cause_is_none(tmp_path: Path, rows: list[Row]) -> None:
    with named_case(tmp_path / "case", rows, WEB) as reader:
        assert found("agent-dark", reader) == []


def test_an_agent_whose_host_has_another_address_now_is_not_dark(tmp_path: Path) -> None:
    rows = [*beats(1, 300), *busy(1), *beats(3, 600, 300), *beats(2, 600)]
    moved = [WEB[0], WEB[1], workload("10.1.0.3", "web-5d9c7b6f4-abcd1", uid="uid-web-5d9c7b6f4-abcd1")]
    with named_case(tmp_path / "case", rows, moved) as reader:
        assert found("agent-dark", reader) == []
        assert len(found("agent-dark", reader, others=1)) == 0
    with named_case(tmp_path / "other", rows, WEB) as reader:
        assert len(found("agent-dark", reader)) == 1


# -- attestation-failed -----------------------------------------------------------------------------


def told(second: float, result: str, **who: Any) -> Row:
    return {"ts": T0 + round(second * 1e6), "result": result, **who}


@pytest.mark.parametrize(
    "who",
    [
        {"uid": "uid-db-0"},
        {"host": "db-0"},
        {"host": "node-of-db-0"},
        {"host": "10.1.1.1"},
        {"host": "x", "local_ip": "10.1.1.1"},
    ],
)
def test_a_host_that_talks_after_its_attestation_failed(tmp_path: Path, who: Row) -> None:
    rows = [at(n, "10.1.0.1", "10.1.1.1", 5432) for n in range(10)] + [
        at(8, "10.1.1.1", "10.1.1.2"),
        at(9, "10.1.0.2", "10.1.1.2"),
    ]
    with named_case(tmp_path / "case", rows, [*WEB, *OTHERS], [told(4.5, "fail", **who), told(5.5, "FAILED", **who)]) as reader:
        (row,) = found("attestation-failed", reader)
        assert (row["flows"], row["peers"], row["severity"], row["passed"]) == (6, 2, "critical", None)


def test_traffic_before_it_failed_or_after_it_passed_again_is_well(tmp_path: Path) -> None:
    rows = [at(n, "10.1.0.1", "10.1.1.1", 5432) for n in (1, 2, 9)] + [
        at(5, "10.1.0.1", "10.1.1.1", 22, conn_state="S0", dst_pkts=0)
    ]
    events = [told(4, "fail", uid="uid-db-0"), told(7, "pass", uid="uid-db-0"), told(3, "fail", host="elsewhere")]
    with named_case(tmp_path / "case", rows, [*WEB, *OTHERS], events) as reader:
        assert found("attestation-failed", reader) == []  # what was knocked at and did not answer is not its traffic
    with named_case(tmp_path / "since", [*rows, at(6, "10.1.1.1", "10.1.1.2")], [*WEB, *OTHERS], events) as reader:
        (row,) = found("attestation-failed", reader)
        assert (row["flows"], row["severity"]) == (1, "high")
