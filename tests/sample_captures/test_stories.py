"""What makes each sample worth having, asked of the index as a person would ask."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise
from statistics import mean, pstdev
from typing import Any

import pytest

from sample_captures.make import guessing, scans
from tests.sample_captures.indexed import Indexed


def between(sample: Indexed, pair: dict[str, Any]) -> list[dict[str, Any]]:
    return [flow for flow in sample.flows if (flow["src_ip"], flow["dst_ip"]) == (pair["source"], pair["target"])]


def test_the_beacon_beats_as_it_says_it_did(samples: dict[str, Indexed]) -> None:
    told = samples["beacon"].truth["beacon"]
    beats = sorted(datetime.fromisoformat(flow["ts"]).timestamp() for flow in between(samples["beacon"], told))
    assert len(beats) == told["beats"]
    assert all(0 <= seen - said < 0.25 for seen, said in zip(beats, told["times"], strict=True))  # curl starts, then connects
    pauses = [after - before for before, after in pairwise(beats)]
    assert mean(pauses) == pytest.approx(told["period"], rel=0.1)
    assert 0.05 < pstdev(pauses) / mean(pauses) < told["jitter"]


def test_far_more_left_than_came(samples: dict[str, Indexed]) -> None:
    told = samples["exfil"].truth["exfiltration"]
    sent, got = (sum(flow[side] for flow in between(samples["exfil"], told)) for side in ("src_payload", "dst_payload"))
    assert told["sent_bytes"] <= sent < told["sent_bytes"] * 1.02
    assert sent > 500 * got


def test_each_guess_is_a_connection(samples: dict[str, Indexed]) -> None:
    told = samples["guessing"].truth["guessing"]
    seen = Counter((flow["src_ip"], flow["dst_port"]) for flow in samples["guessing"].flows if flow["proto"] == 6)
    assert seen[told["ssh"]["source"], 22] == told["ssh"]["guesses"] == len(guessing.SSH_GUESSES)
    assert seen[told["http"]["source"], 80] == told["http"]["guesses"] == len(guessing.WIKI_GUESSES)
    assert {told[way]["guesses"] - told[way]["failed"] for way in told} == {1}


@pytest.mark.parametrize("scan", scans.SCANS, ids=lambda scan: scan.name)
def test_scans_have_their_counts(samples: dict[str, Indexed], scan: scans.Scan) -> None:
    told: dict[str, Any] = samples["scans"].truth["scans"][scan.name]
    own = {s.source for s in scans.SCANS if s.source}
    number = {"tcp": 6, "udp": 17}[scan.proto]
    seen = [f for f in samples["scans"].flows if f["proto"] == number and f["src_ip"] == told["source"]]
    mine = [f for f in seen if (f["src_port"] == scan.source if scan.source else f["src_port"] not in own)]
    probed = {(f["dst_ip"], f["dst_port"]) for f in mine}
    assert len(probed) == told["probes"] == len(scan.ports) * len(scans.TARGETS)
    answered = {(f["dst_ip"], f["dst_port"]) for f in mine if f["dst_pkts"]}
    silent = sum(told["states"].get(state, 0) for state in ("filtered", "open|filtered"))
    refused_elsewhere = told["states"]["closed"] if scan.proto == "udp" else 0  # by ICMP
    assert len(probed - answered) == silent + refused_elsewhere


def test_who_was_up_answered_its_ping(samples: dict[str, Indexed]) -> None:
    up = samples["scans"].truth["scans"]["sweep"]["up"]
    pinged = {f["dst_ip"] for f in samples["scans"].flows if f["proto"] == 1 and f["src_port"] == 8 and f["dst_pkts"]}
    assert pinged == set(up)


def test_the_name_tunnel_asks_as_often_as_it_says(samples: dict[str, Indexed]) -> None:
    told = samples["names"].truth["dns_tunnel"]
    asked = [f for f in samples["names"].flows if f["src_ip"] == told["source"] and f["proto"] == 17]
    assert sum(f["src_pkts"] for f in asked) == told["queries"]
    assert sum(f["src_payload"] for f in asked) > told["bytes"]


def test_the_server_refused_the_service_and_ended_some_sessions_early(samples: dict[str, Indexed]) -> None:
    connections = samples["windows"].truth["connections"]
    assert {c["pipe"] for c in connections if "pipe" in c} == {"srvsvc", "lsarpc", "samr", "svcctl"}
    assert [c["fault"] for c in connections if "fault" in c] == ["nca_s_op_rng_error"]
    size: dict[bool, list[int]] = {c["login"]: [] for c in connections if "login" in c}
    for connection in connections:
        if "login" in connection:
            (flow,) = samples["windows"].found(connection)
            size[connection["login"]].append(flow["dst_pkts"])
    assert len(size[False]) == 3
    assert max(size[False]) < min(size[True])
