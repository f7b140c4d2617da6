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
from workbench.workflows.show import reading


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


def said(sample: Indexed, table: str) -> list[dict[str, Any]]:
    """The rows of an application's table that belong to a sample, in order, with their flows' ends."""
    words = f"SELECT t.*, f.src_ip, f.dst_port FROM {table} t JOIN flows f USING (flow_id) WHERE f.source_id = ? ORDER BY t.ts"
    with reading(sample.case) as case:
        rows: list[dict[str, Any]] = case.query(words, [sample.source["source_id"]]).to_pylist()
    return rows


def test_requests_are_what_the_kdc_logged(samples: dict[str, Indexed]) -> None:
    numbers = {"aes256-cts-hmac-sha1-96": 18, "rc4-hmac": 23, None: None}
    told = [(c["type"], c["asked"], c["error"], c["ticket_etype"]) for c in samples["kerberos"].truth["connections"]]
    rows = said(samples["kerberos"], "kerberos")
    assert [(row["type"], row["service"], row["error"], numbers[row["ticket_etype"]]) for row in rows] == told
    gathered = samples["kerberos"].truth["kerberoasting"]
    assert {row["service"] for row in rows if row["src_ip"] == gathered["source"] and row["type"] == "TGS"} == set(
        gathered["services"]
    )
    assert {23, 18, None} == {number for *_, number in told}


def test_certificates_are_what_openssl_reads(samples: dict[str, Indexed]) -> None:
    told = {one["sha256"]: one for one in samples["certificates"].truth["certificates"]}
    rows = [row for row in said(samples["certificates"], "tls") if row["cert_sha256"]]
    assert {row["cert_sha256"] for row in rows} == set(told)
    for row in rows:
        one = told[row["cert_sha256"]]
        dates = [f"{row[column]:%Y-%m-%d %H:%M:%SZ}" for column in ("cert_not_before", "cert_not_after")]
        assert (row["sni"], row["cert_self_signed"], *dates) == (
            one["name"],
            one["self_signed"],
            one["not_before"],
            one["not_after"],
        )
    broken_off = [c for c in samples["certificates"].truth["connections"] if c["exit_code"]]
    assert sum(row["established"] is False for row in rows) == len(broken_off) == 4


def test_both_servers_answers_are_what_they_logged(samples: dict[str, Indexed]) -> None:
    told = samples["dhcp"].truth["rogue_dhcp"]
    counted = Counter(
        (row["server_ip"], row["message"]) for row in said(samples["dhcp"], "dhcp") if row["message"] in ("OFFER", "ACK")
    )
    assert counted == {(server, kind): n for server, kinds in told["answers"].items() for kind, n in kinds.items()}
    assert {one["server"] for one in told["leases"]} == {told["own"], told["server"]}
    assert {one["router"] for one in told["leases"] if one["server"] == told["server"]} == {told["server"]}


def test_iodine_asked_as_often_as_the_resolver_logged(samples: dict[str, Indexed]) -> None:
    told = samples["dns-tunnel"].truth["tunnel"]
    mine = [row for row in said(samples["dns-tunnel"], "dns") if row["src_ip"] == told["source"]]
    assert len(mine) == told["queries"]
    assert {row["qtype"] for row in mine} == {one["type"] for one in told["carried"]}
    assert all(row["query"].endswith(told["domain"]) for row in mine)


def test_what_the_screen_chose_is_what_it_logged(samples: dict[str, Indexed]) -> None:
    told = [c for c in samples["desktops"].truth["connections"] if c["program"] == "xfreerdp"]
    names = {"SSL": "tls", "RDP": "rdp"}
    assert [row["selected"] for row in said(samples["desktops"], "rdp")] == [names[c["selected"]] for c in told]
    assert [flow["service"] for c in told for flow in samples["desktops"].found(c)] == ["tls,rdp", "rdp", "rdp"]
