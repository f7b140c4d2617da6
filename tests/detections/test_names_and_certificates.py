"""Tunnels in names, wrong certificates, a second DHCP server: the samples, and made-up rows one step inside and outside."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.detections.shipped import Cases, ends, found, truth
from tests.store.rows import T0, batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter

HOST, OTHER, RESOLVER, FAR = "10.0.0.7", "10.0.0.8", "10.0.0.53", "198.51.100.53"
WEB, OUTSIDE = "10.0.0.10", "203.0.113.10"
DAY = 86_400
Row = dict[str, Any]


class Said:
    """Flows, one for each row of an application's table; times in seconds after the first."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.flows: list[Row] = []
        self.rows: list[Row] = []

    def say(
        self, src: str, dst: str, at: float = 0, ports: tuple[int, int] = (40000, 53), network: str = "", **values: Any
    ) -> None:
        ts = T0 + round(at * 1e6)
        more = {"src_port": ports[0], "dst_port": ports[1], "network": network}
        self.flows.append(flow(len(self.flows), ts=ts, ts_end=ts + 1_000, **ends(src, dst), **more))
        self.rows.append({"flow_id": self.flows[-1]["flow_id"], "ts": ts, **values})

    def case(self, folder: Path) -> CaseReader:
        with CaseWriter(folder) as writer:
            writer.add_source(source(1))
            writer.append("flows", batch("flows", self.flows))
            writer.append(self.table, batch(self.table, self.rows))
            writer.update_source(1, state="ok", packets=9 * len(self.flows), flows=len(self.flows))
        return CaseReader(folder)


class Asked(Said):
    def __init__(self) -> None:
        super().__init__("dns")

    def names(
        self, src: str, domain: str, n: int, size: int = 32, qtype: str = "A", dst: str = RESOLVER, pause: float = 1, **more: Any
    ) -> None:
        """``n`` different names of ``size`` hex digits each, one every ``pause`` seconds."""
        for k in range(n):
            label = hashlib.sha512(f"{domain}{k}".encode()).hexdigest()[:size]
            self.ask(src, f"{label}.{domain}", k * pause, qtype, dst, **more)

    def ask(self, src: str, query: str, at: float = 0, qtype: str = "A", dst: str = RESOLVER, **more: Any) -> None:
        said = {"query": query, "qtype": qtype, "rcode": "NOERROR", "kind": "dns", "answer_bytes": 200} | more
        self.say(src, dst, at, **said)


def test_both_tunnels_of_the_samples_are_found_at_their_source(cases: Cases) -> None:
    told = truth("dns-tunnel")["tunnel"]
    (row,) = cases.findings("dns-tunnel", "dns-tunnel")  # and not the resolver, which passes it on
    assert (row["subject"], row["object"], row["severity"]) == (told["source"], "lab.example", "high")
    assert row["questions"] == told["queries"] >= row["names"]
    assert row["carriers"] == 1.0
    assert row["sent"] > sum(one["sent"] for one in told["carried"]) / 4  # iodine compresses
    told = truth("names")["dns_tunnel"]
    (row,) = cases.findings("dns-tunnel", "names")
    assert (row["subject"], row["names"], row["severity"]) == (told["source"], told["queries"], "medium")
    assert row["sent"] > told["bytes"]
    assert row["carriers"] == 0


def test_names_are_many_long_and_without_pattern_within_a_window(tmp_path: Path) -> None:
    asked = Asked()
    asked.names(HOST, "out.example", 30)
    asked.names(OTHER, "few.example", 29)
    asked.names(OTHER, "slow.example", 90, pause=30)
    asked.names(OTHER, "short.example", 60, size=12)
    asked.names("10.0.0.9", "in.example", 30, size=12, qtype="TXT")
    asked.names("10.0.0.10", "tunnel.co.uk", 30, qtype="TYPE65399")
    asked.names("10.0.0.11", "local.example", 60, kind="mdns")
    for n in range(60):
        asked.ask(OTHER, f"{n}.{n * 7 % 256}.0.10.zen.list.example", n, "TXT")
        asked.ask(OTHER, f"counter-0000000000000{n:04d}.plain.example", n)
        asked.ask("10.0.0.12", "w" * 40 + ".same.example", n)
    with asked.case(tmp_path / "case") as reader:
        rows = found("dns-tunnel", reader)
        fewer = found("dns-tunnel", reader, least=29)
        assert found("dns-tunnel", reader, least=91) == []
        slow = found("dns-tunnel", reader, window=90 * 30)
    assert [(row["subject"], row["object"], row["severity"]) for row in rows] == [
        ("10.0.0.10", "tunnel.co.uk", "high"),
        (HOST, "out.example", "medium"),
        ("10.0.0.9", "in.example", "medium"),
    ]
    assert {row["object"] for row in fewer} - {row["object"] for row in rows} == {"few.example"}
    assert {row["object"] for row in slow} - {row["object"] for row in rows} == {"slow.example"}
    assert rows[1]["mean_length"] == 32
    assert 3.8 < rows[1]["bits"] <= 4  # hex digits


def test_who_passes_questions_on_is_not_named_unless_only_it_was_seen(tmp_path: Path) -> None:
    asked = Asked()
    asked.names(HOST, "out.example", 40)
    asked.names(RESOLVER, "out.example", 40, dst=FAR)
    asked.names(RESOLVER, "alone.example", 40, dst=FAR)
    with asked.case(tmp_path / "case") as reader:
        rows = found("dns-tunnel", reader)
    assert {(row["subject"], row["object"]) for row in rows} == {(HOST, "out.example"), (RESOLVER, "alone.example")}


def test_certificates_of_the_sample_are_judged_one_by_one(cases: Cases) -> None:
    told = {one["sha256"]: one for one in truth("certificates")["certificates"]}
    dated = {told[row["sha256"]]["name"]: row for row in cases.findings("certificate-dates", "certificates")}
    assert {name: row["fault"] for name, row in dated.items()} == {
        "archive.lab.example": "expired",
        "launch.lab.example": "not yet valid",
        "scanner.lab.example": "expired",
    }
    assert 34 < dated["archive.lab.example"]["days"] < 36
    assert 19 < dated["launch.lab.example"]["days"] < 21
    assert {(row["clients"], row["accepted"], row["refused"]) for row in dated.values()} == {(2, 1, 1)}
    own = {told[row["sha256"]]["name"] for row in cases.findings("self-signed", "certificates")}
    assert own == {"printer.lab.example", "scanner.lab.example"}


def certificate(n: int, first: float, last: float, *, own: bool = False, **more: Any) -> Row:
    """A certificate's columns; when it is valid, seconds after the first flow."""
    valid = {"cert_not_before": T0 + round(first * 1e6), "cert_not_after": T0 + round(last * 1e6)}
    return (
        {
            "cert_sha256": f"{n:064x}",
            "cert_subject": f"CN={n}",
            "cert_issuer": "CN=x",
            "cert_self_signed": own,
            "established": True,
        }
        | valid
        | more
    )


def test_dates_are_held_against_the_flows_own_time(tmp_path: Path) -> None:
    said = Said("tls")
    https = (40000, 443)
    said.say(HOST, WEB, 0, https, **certificate(1, -DAY, DAY))
    said.say(HOST, WEB, 2 * DAY, https, **certificate(1, -DAY, DAY))  # by now it has expired
    said.say(OTHER, WEB, 3 * DAY, https, **certificate(1, -DAY, DAY, established=False))
    said.say(HOST, WEB, DAY, https, **certificate(2, -DAY, DAY))  # its last moment
    said.say(HOST, WEB, 0, https, **certificate(3, 5, 9 * DAY, established=False))
    said.say(HOST, WEB, 0, https, **certificate(4, 9_000 * DAY, 9_400 * DAY))  # the clock of the capture began with 1970
    said.say(HOST, OUTSIDE, 0, https, **certificate(5, -9 * DAY, -8 * DAY, own=True))
    with said.case(tmp_path / "case") as reader:
        rows = found("certificate-dates", reader)
        assert [row["sha256"][-1] for row in found("certificate-dates", reader, grace=1.5 * DAY)] == ["5", "1"]
        assert [row["sha256"][-1] for row in found("certificate-dates", reader, servers=[f"{WEB}/32"])] == ["5"]
        (own,) = found("self-signed", reader)
    assert [
        (row["sha256"][-1], row["fault"], row["flows"], row["clients"], row["accepted"], row["severity"]) for row in rows
    ] == [
        ("1", "expired", 2, 2, 1, "medium"),
        ("5", "expired", 1, 1, 1, "medium"),
        ("3", "not yet valid", 1, 1, 0, "low"),
    ]
    assert (own["subject"], own["outside"], own["severity"]) == (OUTSIDE, True, "medium")


def test_a_self_signed_certificate_inside_weighs_less(tmp_path: Path) -> None:
    said = Said("tls")
    for at, (client, network) in enumerate(((HOST, ""), (OTHER, ""), (HOST, "vlan:7"))):
        said.say(client, WEB, at, (40000, 443), network, **certificate(1, -DAY, DAY, own=True))
    said.say(HOST, WEB, 0, (40000, 8443), **certificate(1, -DAY, DAY, own=True, established=False))
    said.say(HOST, OTHER, 0, (40000, 443), **certificate(3, -DAY, DAY, own=True, established=False))
    said.say(HOST, WEB, 0, (40000, 443), **certificate(2, -DAY, DAY))
    said.say(HOST, WEB, 0, (40000, 443), version="TLSv1.3")
    with said.case(tmp_path / "case") as reader:
        rows = found("self-signed", reader)
        assert {row["outside"] for row in found("self-signed", reader, internal=["192.168.0.0/16"])} == {True}
        assert found("self-signed", reader, servers=["10.0.0.0/24"]) == []
    assert [(row["subject"], row["ports"], row["clients"], row["severity"]) for row in rows] == [
        (WEB, "443, 8443", 2, "low"),
        (f"{WEB} in vlan:7", "443", 1, "low"),
        (OTHER, "443", 1, "info"),
    ]
    assert rows[0]["valid_days"] == pytest.approx(2)


def test_the_second_server_of_the_sample_is_the_rogue(cases: Cases) -> None:
    told = truth("dhcp")["rogue_dhcp"]
    (row,) = cases.findings("rogue-dhcp", "dhcp")
    answers = told["answers"][told["server"]]
    assert (row["subject"], row["own"], row["severity"]) == (told["server"], told["own"], "high")
    assert (row["offers"], row["leases"], row["clients"], row["raced"]) == (answers["OFFER"], answers["ACK"], 2, 2)
    assert (row["routers"], row["own_routers"]) == (told["server"], told["own"])
    (other,) = cases.findings("rogue-dhcp", "dhcp", servers=[f"{told['server']}/32"])
    assert other["subject"] == told["own"]


def test_servers_are_compared_within_their_network_and_relay(tmp_path: Path) -> None:
    said = Said("dhcp")

    def answer(server: str, at: float, message: str = "ACK", network: str = "", client: int = 1, **more: Any) -> None:
        values = {
            "message": message,
            "server_ip": server,
            "xid": client,
            "client_mac": f"02:00:00:00:00:{client:02x}",
            "version": "4",
        }
        said.say(
            "10.0.0.200", server, at, (68, 67), network, **(values | {"routers": "10.0.0.1", "dns_servers": RESOLVER} | more)
        )

    answer("10.0.0.1", 0, "OFFER")
    answer("10.0.0.1", 1)
    answer("10.0.0.2", 5)  # the same answers: failover, it may be
    answer("10.0.0.3", 6, client=2, dns_servers="10.0.0.66")
    answer("10.0.0.4", 7, relay_ip="10.9.0.1")  # alone behind its relay
    answer("10.0.0.5", 8, network="vlan:9")
    answer("10.0.0.6", 9, "NAK", routers=None, dns_servers=None)
    said.say("0.0.0.0", "255.255.255.255", 9, (68, 67), message="REQUEST", server_ip="10.0.0.7", version="4")
    with said.case(tmp_path / "case") as reader:
        rows = found("rogue-dhcp", reader)
        assert {row["subject"] for row in found("rogue-dhcp", reader, servers=["10.0.0.1/32", "10.0.0.2/32"])} == {
            "10.0.0.3",
            "10.0.0.4",
            "10.0.0.5 in vlan:9",
        }
    assert [(row["subject"], row["own"], row["raced"], row["severity"]) for row in rows] == [
        ("10.0.0.2", "10.0.0.1", 1, "medium"),
        ("10.0.0.3", "10.0.0.1", 0, "high"),
    ]
