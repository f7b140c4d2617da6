"""Hypervisors' management reached from elsewhere: the sample's sweep, and who may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.detections.shipped import Cases, case_of, ends, found, truth

REFUSED = {"conn_state": "REJ", "history": "Sr", "dst_pkts": 1, "src_payload": 0, "dst_payload": 0}


def test_the_sweep_and_the_break_in_are_one_finding(cases: Cases) -> None:
    (row,) = cases.findings("hypervisor-management", "esxi-lateral")
    told = truth("esxi-lateral")
    swept = {c["dst"] for c in told["connections"] if c["dst_port"] == 427}
    assert (row["hosts"], row["answering"], row["severity"]) == (len(swept), 4, "high")
    assert row["services"] == row["answered_services"] == "tcp/22, tcp/427, udp/427"
    assert row["subject"] in row["why"]


def test_who_manages_may(cases: Cases) -> None:
    assert cases.findings("hypervisor-management", "esxi-lateral", management="10.20.1.0/24") == []
    assert cases.findings("hypervisor-management", "esxi-lateral", management="10.20.2.0/24") != []


def test_neighbours_of_the_same_network_may(tmp_path: Path) -> None:
    near = [{**ends("10.3.0.7", "10.3.0.10"), "dst_port": 902}]
    with case_of(tmp_path / "near", near) as reader:
        assert found("hypervisor-management", reader) == []
    with case_of(tmp_path / "far", [{**ends("10.4.0.7", "10.3.0.10"), "dst_port": 902}]) as reader:
        assert [row["object"] for row in found("hypervisor-management", reader)] == ["10.3.0.0/24"]


def test_attempts_weigh_less_than_answers(tmp_path: Path) -> None:
    refused: list[dict[str, Any]] = [{**ends("10.4.0.7", "10.3.0.10"), "dst_port": 5989, **REFUSED}]
    with case_of(tmp_path / "case", refused) as reader:
        (row,) = found("hypervisor-management", reader)
    assert (row["severity"], row["answering"]) == ("low", 0)
    assert row["score"] < 0.5
    assert "none answered" in row["why"]


def test_a_web_server_is_no_hypervisor_unless_it_is_named(tmp_path: Path) -> None:
    web = [{**ends("10.4.0.7", f"10.3.0.{n}"), "dst_port": port} for n in (10, 11) for port in (443, 8000, 22)]
    with case_of(tmp_path / "case", web) as reader:
        assert found("hypervisor-management", reader) == []
        (row,) = found("hypervisor-management", reader, hypervisors="10.3.0.11/32, fd00::/8")
    assert (row["hosts"], row["services"]) == (1, "tcp/22, tcp/443, tcp/8000")


def test_a_refusal_makes_no_hypervisor_of_a_web_server(tmp_path: Path) -> None:
    rows = [{**ends("10.4.0.7", "10.3.0.10"), "dst_port": 902, **REFUSED}, {**ends("10.4.0.8", "10.3.0.10"), "dst_port": 443}]
    with case_of(tmp_path / "case", rows) as reader:
        assert [row["subject"] for row in found("hypervisor-management", reader)] == ["10.4.0.7"]


def test_printers_that_are_asked_for_by_multicast_are_none(tmp_path: Path) -> None:
    asked = {**ends("10.4.0.7", "239.255.255.253"), "dst_port": 427, "proto": 17, "proto_name": "udp", "dst_pkts": 0}
    with case_of(tmp_path / "case", [asked]) as reader:
        assert found("hypervisor-management", reader) == []
