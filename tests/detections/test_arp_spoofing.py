"""Forged ARP: the sample that forges, the one where an address is used again, and each sign alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.detections.shipped import Cases, case_of, found, truth
from tests.store.rows import T0

A, B, C = "02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"


def packet(
    at: float, mac: str, ip: str, to: str = "10.0.0.9", operation: int = 2, *, eth: str = "", network: str = ""
) -> dict[str, Any]:
    ends = {"src_mac": mac, "src_ip": ip, "dst_mac": None, "dst_ip": to, "eth_src": eth or mac, "eth_dst": None}
    return {"source_id": 1, "ts": T0 + round(at * 1e6), "network": network, "operation": operation, "vlan": None} | ends


def asked(at: float, mac: str, ip: str) -> list[dict[str, Any]]:
    """A request and its answer."""
    return [packet(at, C, "10.0.0.9", ip, 1), packet(at + 0.001, mac, ip)]


def test_the_forger_is_found_at_both_addresses(cases: Cases) -> None:
    told = truth("arp")["arp_spoofing"]
    rows = {row["object"]: row for row in cases.findings("arp-spoofing", "arp")}
    assert set(rows) == set(told["claimed"])
    assert {row["subject"] for row in rows.values()} == {told["forger"]}
    assert sum(row["claims"] for row in rows.values()) == told["answers"]
    assert sum(row["forged"] for row in rows.values()) == told["forged"]
    assert all(row["severity"] == "high" and row["turns"] >= 4 for row in rows.values())
    assert max(row["unasked"] for row in rows.values()) >= 10


def test_an_address_that_is_used_again_is_no_forgery(cases: Cases) -> None:
    macs = {w["mac"] for w in truth("churn")["workloads"] if w["ip"] == truth("churn")["shared_address"]}
    seen = cases.reader("churn").query("SELECT DISTINCT src_mac FROM arp WHERE src_ip = '10.244.7.23'").to_pylist()
    assert {row["src_mac"] for row in seen} == macs
    assert cases.findings("arp-spoofing", "churn") == []


def test_the_address_has_to_come_back(tmp_path: Path) -> None:
    once = [*asked(0, A, "10.0.0.1"), *asked(10, A, "10.0.0.1"), *asked(20, B, "10.0.0.1")]
    with case_of(tmp_path / "once", [], once) as reader:
        assert found("arp-spoofing", reader) == []
    with case_of(tmp_path / "back", [], [*once, *asked(30, A, "10.0.0.1")]) as reader:
        (row,) = found("arp-spoofing", reader)
    assert (row["subject"], row["turns"], row["severity"]) == (B, 2, "high")


def test_tenants_may_have_the_same_address(tmp_path: Path) -> None:
    both = [packet(at, mac, "10.0.0.1", network=network) for at in range(4) for mac, network in ((A, "vni:1"), (B, "vni:2"))]
    with case_of(tmp_path / "case", [], both) as reader:
        assert found("arp-spoofing", reader) == []


def test_a_flood_is_many_in_a_window(tmp_path: Path) -> None:
    slow = [packet(30.0 * n, A, "10.0.0.1") for n in range(20)]
    with case_of(tmp_path / "slow", [], slow) as reader:
        assert found("arp-spoofing", reader) == []
    fast = [packet(2.0 * n, A, "10.0.0.1") for n in range(20)]
    with case_of(tmp_path / "fast", [], fast) as reader:
        (row,) = found("arp-spoofing", reader)
        assert (row["unasked"], row["most_in_window"], row["severity"]) == (20, 20, "medium")
        assert found("arp-spoofing", reader, flood=21) == []


def test_answers_that_were_asked_for_are_no_flood(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [], [p for n in range(20) for p in asked(2.0 * n, A, "10.0.0.1")]) as reader:
        assert found("arp-spoofing", reader) == []


def test_a_frame_of_another_sender_is_told(tmp_path: Path) -> None:
    with case_of(tmp_path / "case", [], [*asked(0, A, "10.0.0.1"), packet(5, A, "10.0.0.1", eth=B)]) as reader:
        (row,) = found("arp-spoofing", reader)
    assert (row["forged"], row["severity"]) == (1, "low")
    assert B in row["why"]
