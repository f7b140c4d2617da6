"""The churn sample: one address, three pods, and each flow carries the MAC of the pod that held the address then."""

from __future__ import annotations

import itertools
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make import churn
from tests import needs
from tests.sample_captures.indexed import FOLDER, Indexed, index, wanted, workbench


@pytest.fixture
def sample(samples: dict[str, Indexed]) -> Indexed:
    return samples["churn"]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def holders(truth: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted((w for w in truth["workloads"] if w["ip"] == truth["shared_address"]), key=lambda w: w["from"])


def test_three_hold_the_address_one_after_the_other_within_ten_minutes(sample: Indexed) -> None:
    held = holders(sample.truth)
    assert len({w["uid"] for w in held}) == len({w["mac"] for w in held}) == len({w["name"] for w in held}) == 3
    assert all(before["to"] < after["from"] for before, after in itertools.pairwise(held))
    assert 300 < held[-1]["to"] - held[0]["from"] < 600


def test_a_flow_of_the_shared_address_has_its_holders_mac(sample: Indexed) -> None:
    held = holders(sample.truth)
    checked: dict[str, int] = defaultdict(int)
    for flow in sample.flows:
        for end in ("src", "dst"):
            if flow[f"{end}_ip"] != sample.truth["shared_address"]:
                continue
            began, ended = seconds(flow["ts"]), seconds(flow["ts_end"])
            (holder,) = [w for w in held if w["from"] <= began and ended <= w["to"]]
            assert flow[f"{end}_mac"] == holder["mac"], flow
            checked[holder["name"]] += 1
    assert set(checked) == {w["name"] for w in held}
    assert min(checked.values()) >= 12


def test_every_connection_is_its_pods(sample: Indexed) -> None:
    by_uid = {w["uid"]: w for w in sample.truth["workloads"]}
    for connection in (c for c in sample.truth["connections"] if "uid" in c):
        pod = by_uid[connection["uid"]]
        (flow,) = sample.by_key[wanted(connection)]
        end = "src" if connection["src"] == pod["ip"] else "dst"
        assert (flow[f"{end}_ip"], flow[f"{end}_mac"]) == (pod["ip"], pod["mac"])
        assert pod["from"] <= seconds(flow["ts"]) <= pod["to"]


def test_payload_is_what_the_sockets_carried(sample: Indexed) -> None:
    talked = [c for c in sample.truth["connections"] if c["program"] == "talk"]
    assert len(talked) > 40
    for connection in talked:
        (flow,) = sample.by_key[wanted(connection)]
        assert (flow["src_payload"], flow["dst_payload"]) == (connection["sent"], connection["received"])


def test_each_holder_announces_itself(sample: Indexed, tmp_path: Path) -> None:
    case = tmp_path / "case"
    workbench("index", str(FOLDER / sample.truth["capture"]), "--case", str(case))
    sql = "SELECT src_mac, ts FROM arp WHERE src_ip = dst_ip ORDER BY ts"
    said = [(row["src_mac"], seconds(row["ts"])) for row in workbench("query", "--case", str(case), sql)]
    for pod in sample.truth["workloads"]:
        assert any(mac == pod["mac"] and pod["from"] <= at <= pod["to"] for mac, at in said), pod["name"]


def test_one_name_came_back_with_another_address(sample: Indexed) -> None:
    cache = [w for w in sample.truth["workloads"] if w["name"] == "cache-0"]
    assert len({(w["ip"], w["mac"], w["uid"]) for w in cache}) == 2
    assert cache[0]["to"] <= cache[1]["from"]


@pytest.mark.lab
@pytest.mark.slow
@needs.root("to make network namespaces")
def test_the_story_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(churn, "HOLD", 1.0)
    monkeypatch.setattr(churn, "GAP", 0.2)
    monkeypatch.setattr(churn, "ROUNDS", 2)
    document = churn.make(tmp_path)
    assert document["dumpcap"]["dropped"] == 0
    assert len(holders(document)) == 3
    again = index([tmp_path / "churn.json"], tmp_path / "case")["churn"]
    assert all(len(again.by_key[wanted(c)]) == 1 for c in document["connections"])
