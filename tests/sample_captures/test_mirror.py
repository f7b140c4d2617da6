"""The mirror samples: what GRE and ERSPAN carried to the collector is, flow for flow, what the mirrored port saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.sample_captures.indexed import Indexed, index, wanted

MIRRORED = ("mirror-gre", "mirror-erspan2", "mirror-erspan3")
SAME = (
    "network", "src_ip", "dst_ip", "src_port", "dst_port", "proto", "src_mac", "dst_mac", "vlan", "vni", "service", "conn_state",
    "history", "src_pkts", "dst_pkts", "src_bytes", "dst_bytes", "src_payload", "dst_payload", "src_flags", "dst_flags",
    "retransmits", "community_id",
)  # fmt: skip
"""what a mirror must not change"""


@pytest.fixture
def plain(samples: dict[str, Indexed]) -> Indexed:
    return samples["mirror-plain"]


@pytest.fixture(params=MIRRORED)
def mirrored(request: pytest.FixtureRequest, samples: dict[str, Indexed]) -> Indexed:
    return samples[request.param]


def rows(sample: Indexed) -> list[tuple[Any, ...]]:
    """Flows of TCP, UDP and ICMP; neighbour discovery goes on while one recorder after the other starts and stops."""
    return sorted((tuple(flow[column] for column in SAME) for flow in sample.flows if flow["proto"] in (1, 6, 17)), key=repr)


def test_the_mirror_has_the_ports_flows_with_their_counts(plain: Indexed, mirrored: Indexed) -> None:
    assert rows(mirrored) == rows(plain)
    assert len(rows(plain)) == len(plain.truth["connections"])


def test_only_the_mirror_is_a_tunnel(plain: Indexed, mirrored: Indexed) -> None:
    mirror = mirrored.truth["mirror"]
    ends = {(flow["tunnel"], flow["outer_src_ip"], flow["outer_dst_ip"]) for flow in mirrored.flows}
    assert ends == {(mirror["tunnel"], mirror["outer_src"], mirror["outer_dst"])}
    assert {(flow["tunnel"], flow["outer_src_ip"], flow["outer_dst_ip"]) for flow in plain.flows} == {(None, None, None)}


def test_payload_is_what_the_sockets_carried(mirrored: Indexed) -> None:
    talked = [c for c in mirrored.truth["connections"] if c["program"] == "talk"]
    assert len(talked) > 5
    for connection in talked:
        (flow,) = mirrored.by_key[wanted(connection)]
        assert (flow["src_payload"], flow["dst_payload"]) == (connection["sent"], connection["received"])


@pytest.mark.lab
@pytest.mark.slow
@needs.root("to make network namespaces")
@needs.program("ovs-vswitchd")
def test_they_can_be_made_again(tmp_path: Path) -> None:
    from sample_captures.make import mirror

    mirror.make(tmp_path)
    made = index(sorted(tmp_path.glob("*.json")), tmp_path / "case")
    assert set(made) == {"mirror-plain", *MIRRORED}
    for name in MIRRORED:
        assert made[name].truth["dumpcap"]["dropped"] == 0
        assert rows(made[name]) == rows(made["mirror-plain"])
