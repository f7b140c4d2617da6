"""The overlays sample: four tenants with the same addresses are kept apart by nothing but their network ids."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.sample_captures.indexed import FOLDER, Indexed, index, wanted, workbench


@pytest.fixture
def sample(samples: dict[str, Indexed]) -> Indexed:
    return samples["overlays"]


def of_tenant(sample: Indexed, connection: dict[str, Any]) -> dict[str, Any]:
    """The one flow of a connection in its tenant's network."""
    (flow,) = [f for f in sample.by_key[wanted(connection)] if f["network"] == connection["network"]]
    return flow


def check_carriers(sample: Indexed) -> None:
    for connection in sample.truth["connections"]:
        flow = of_tenant(sample, connection)
        seen = flow["vni"], flow["tunnel"], flow["outer_src_ip"], flow["outer_dst_ip"]
        assert seen == tuple(connection[key] for key in ("vni", "tunnel", "outer_src", "outer_dst"))
        assert flow["outer_src_mac"] != flow["src_mac"]


def test_every_connection_is_in_its_tenants_network_and_tunnel(sample: Indexed) -> None:
    check_carriers(sample)


def test_the_same_tuple_is_a_flow_for_each_tenant_with_that_tenants_counts(sample: Indexed) -> None:
    same: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for connection in (c for c in sample.truth["connections"] if c["program"] == "talk"):
        same[wanted(connection)].append(connection)
    shared = [connections for connections in same.values() if len(connections) > 1]
    assert [len(connections) for connections in shared] == [4, 4]
    for connections in shared:
        flows = [of_tenant(sample, connection) for connection in connections]
        assert [(f["src_payload"], f["dst_payload"]) for f in flows] == [(c["sent"], c["received"]) for c in connections]
        assert len({flow["dst_payload"] for flow in flows}) == 4
        assert len({flow["community_id"] for flow in flows}) == 1


def test_the_shared_tuples_were_open_at_the_same_time(sample: Indexed) -> None:
    open_together = [f for f in sample.flows if f["src_port"] == 40001 and f["proto"] == 6]
    began, ended = ([datetime.fromisoformat(flow[end]) for flow in open_together] for end in ("ts", "ts_end"))
    assert max(began) < min(ended)


def test_without_network_ids_the_tenants_would_run_together(sample: Indexed, tmp_path: Path) -> None:
    case = tmp_path / "case"
    workbench("index", str(FOLDER / sample.truth["capture"]), "--case", str(case), "--key-scope", "none")
    rows = workbench("query", "--case", str(case), "SELECT count(*) AS n FROM flows WHERE src_port = 40001 AND proto = 17")
    assert int(rows[0]["n"]) == 1


def test_nothing_travels_outside_the_four_networks(sample: Indexed) -> None:
    told = {(overlay["tunnel"], overlay["vni"], f"vni:{overlay['vni']}") for overlay in sample.truth["overlays"]}
    assert {(flow["tunnel"], flow["vni"], flow["network"]) for flow in sample.flows} == told


@pytest.mark.lab
@pytest.mark.slow
@needs.root("to make network namespaces")
@needs.program("ovs-vswitchd")
def test_it_can_be_made_again(tmp_path: Path) -> None:
    from sample_captures.make import overlays

    assert overlays.make(tmp_path)["dumpcap"]["dropped"] == 0
    check_carriers(index([tmp_path / "overlays.json"], tmp_path / "case")["overlays"])
