"""Every detection over every sample: exactly these findings, each of them judged. Nothing else fires.

`+` is what the sample was made to show, or true all the same; `-` is a false positive that is known and said in the
detection's header.
"""

from __future__ import annotations

import re

import pytest

from tests.detections.shipped import Cases, detection, found, names, samples

JUDGED = {
    ("scan-horizontal", "esxi-lateral"): {"+ 10.20.1.77 > udp/427"},
    ("scan-horizontal", "scans"): {"+ 10.40.6.66 > arp"},
    ("scan-vertical", "churn"): {"+ 10.244.7.23 > 10.244.7.5"},  # the debug shell tries the database's other ports
    ("scan-vertical", "esxi-lateral"): {f"+ 10.20.1.77 > 10.20.1.{host}" for host in (10, 21, 30, 53)},
    ("scan-vertical", "scans"): {"+ 10.40.6.66 > 10.40.6.10", "+ 10.40.6.66 > 10.40.6.11"},
    ("hypervisor-management", "esxi-lateral"): {"+ 10.20.1.77 > 10.20.30.0/24"},
    ("first-path", "esxi-lateral"): {"+ 10.20.1.0/24 > 10.20.30.0/24"},
    ("brute-force", "guessing"): {"+ 10.40.5.77 > 10.40.5.30 tcp/22", "+ 10.40.5.78 > 10.40.5.31 tcp/80"},
    ("beacon", "beacon"): {
        "+ 10.40.7.77 > 10.40.7.99",
        "- 10.40.7.40 > 10.40.7.10",  # the health check: its times and sizes are a beacon's, and its purpose isn't on the wire
    },
    ("beacon", "day"): {"- 10.70.1.11 > 10.70.2.10"},  # the journal, about once an hour: as regular as an implant
    ("exfiltration", "day"): {"+ 10.70.1.11 > 10.70.2.10"},
    ("first-path", "day"): {"+ 10.70.1.0/24 > 10.70.9.0/24"},
    ("long-connection", "day"): {"+ 10.70.1.11 > 10.70.1.20 tcp/5432", "+ 10.70.1.60 > 10.70.1.11 tcp/22"},
    ("arp-spoofing", "arp"): {"+ 02:00:0a:28:09:42 > 10.40.9.1", "+ 02:00:0a:28:09:42 > 10.40.9.21"},
    ("exfiltration", "exfil"): {"+ 10.40.8.77 > 198.51.100.99"},
    ("remote-service", "windows"): {"+ 10.40.3.66 > 10.40.3.10"},
    ("kerberoasting", "kerberos"): {"+ 10.40.11.66 > 10.40.11.88"},
    ("dns-tunnel", "dns-tunnel"): {"+ 10.40.12.66 > lab.example"},
    ("dns-tunnel", "names"): {"+ 10.40.2.66 > lab.example"},
    ("certificate-dates", "certificates"): {"+ 10.40.13.10 > certificate"},
    ("self-signed", "beacon"): {"+ 10.40.7.99 > certificate"},
    ("self-signed", "certificates"): {"+ 10.40.13.10 > certificate"},
    ("self-signed", "desktops"): {"+ 10.40.15.30 > certificate"},
    ("self-signed", "esxi-lateral"): {"+ 10.20.1.10 > certificate"},
    ("self-signed", "web"): {"+ 10.40.1.10 > certificate"},
    ("rogue-dhcp", "dhcp"): {"+ 10.40.14.66 > DHCPv4"},
}
#: No sample has a domain controller of Windows: these are judged by made-up calls and shared captures (docs/detections.md).
WINDOWS = {"dcsync", "remote-task", "zerologon"}
#: Nor do samples come with names for their addresses, or with what agents tell: tests/detections/test_identity.py makes them up.
NAMED = {"agent-dark", "attestation-failed", "beacon-replicas", "first-path-groups", "odd-sibling", "sensitive-endpoints"}


@pytest.mark.parametrize("sample", samples())
def test_what_fires_on_a_sample_is_known(cases: Cases, sample: str) -> None:
    for name in names():
        found = [f"{row['subject']} > {row['object']}" for row in cases.findings(name, sample)]
        fired = {re.sub(r"(?<= > certificate) [0-9a-f]{16}$", "", line) for line in found}  # another each time samples are made
        assert fired == {line[2:] for line in JUDGED.get((name, sample), set())}, name


def test_every_detection_fires_on_a_sample_and_is_silent_on_most() -> None:
    assert {name for name, _ in JUDGED} == set(names()) - WINDOWS - NAMED
    for name in set(names()) - WINDOWS - NAMED:
        assert sum(one == name for one, _ in JUDGED) < len(samples()) / 2


def test_true_findings_outnumber_false_ones() -> None:
    lines = [line for found in JUDGED.values() for line in found]
    assert sum(line[0] == "-" for line in lines) <= 0.1 * len(lines)


def test_headers_say_what_a_reader_needs() -> None:
    assert len(names()) == 24
    for name in names():
        question = detection(name)
        assert question.kind == "detection"
        assert question.attack
        assert all(len(one.help) > 10 for one in question.parameters.values())
        assert {"network"} <= set(question.columns)


@pytest.mark.parametrize("name", names())
def test_a_case_without_anything_gives_nothing(cases: Cases, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.detections.shipped import case_of

    with case_of(tmp_path_factory.mktemp("empty") / "case", []) as reader:
        assert found(name, reader) == []
