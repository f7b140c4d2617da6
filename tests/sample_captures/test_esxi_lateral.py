"""The bundled capture against its ground truth: what the programs reported must be what the index holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make import esxi_lateral, slp
from sample_captures.make.lab import Lab, mac_of
from sample_captures.make.servers import dns_queries, ssh_visits
from tests.sample_captures.indexed import blocks, wanted

FOLDER = Path(__file__).parents[2] / "sample_captures"
CAPTURE = FOLDER / "esxi-lateral.pcapng"
STATES = {
    ("tcp", "completed"): "SF",
    ("tcp", "refused"): "REJ",
    ("tcp", "half-open"): "RSTO",
    ("tcp", "no answer"): "S0",
    ("udp", "answered"): "SF",
    ("udp", "no answer"): "S0",
    ("icmp", "answered"): "OTH",
}
"""what Zeek's definitions make of each outcome"""
PROGRAMS = ("ip", "ethtool", "nginx", "dnsmasq", "dig", "sshd", "ssh", "curl", "openssl", "nmap", "nping", "dumpcap", "unshare")


def lacking() -> str:
    """What keeps this machine from running the lab; empty where nothing does, or where tests must not be left out."""
    if "WORKBENCH_REQUIRE_ALL" in os.environ:
        return ""
    missing = [program for program in PROGRAMS if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        return f"the lab needs {', '.join(missing)}"
    allowed = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    return "" if allowed else "network namespaces need root"


needs_root = pytest.mark.skipif(bool(lacking()), reason=lacking() or "nothing is lacking")


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(CAPTURE.with_suffix(".json").read_text())
    return document


def workbench(*words: str) -> str:
    result = subprocess.run([sys.executable, "-m", "workbench", *words], capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def ask(case: Path, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(workbench("query", "--case", str(case), sql, "--format", "json"))
    return rows


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    case = tmp_path_factory.mktemp("case") / "lateral"
    return json.loads(workbench("index", str(CAPTURE), "--case", str(case), "--format", "json")), case


@pytest.fixture(scope="module")
def flows(indexed: tuple[dict[str, Any], Path]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        workbench("query", "--case", str(indexed[1]), "SELECT * FROM flows", "--format", "json")
    )
    return rows


def key_of(flow: dict[str, Any]) -> tuple[Any, ...]:
    return flow["proto"], flow["src_ip"], flow["src_port"], flow["dst_ip"], flow["dst_port"]


def test_every_connection_is_one_flow_with_direction_and_state(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for flow in flows:
        by_key.setdefault(key_of(flow), []).append(flow)
    wrong = []
    for connection in truth["connections"]:
        found = by_key.get(wanted(connection), [])
        state = STATES[connection["proto"], connection["outcome"]]
        if [flow["conn_state"] for flow in found] != [state]:
            wrong.append((connection, state, [(flow["conn_state"], flow["history"]) for flow in found]))
    assert not wrong


def test_nothing_else_talks_tcp_or_udp(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    told = {wanted(connection) for connection in truth["connections"]}
    assert [flow for flow in flows if flow["proto"] in (6, 17) and key_of(flow) not in told] == []


def test_port_scan_has_its_counts(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    scan = truth["scan"]
    probes = [flow for flow in flows if flow["proto"] == 6 and flow["src_port"] == esxi_lateral.SCAN_SOURCE]
    assert Counter(flow["conn_state"] for flow in probes) == {"RSTO": scan["half-open"], "REJ": scan["refused"]}
    assert {flow["src_ip"] for flow in probes} == {scan["source"]}
    assert {flow["dst_ip"] for flow in probes} == set(scan["targets"])
    assert {flow["dst_port"] for flow in probes} == set(scan["ports"])


def test_slp_sweep_has_its_counts(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    sweep = truth["slp_sweep"]
    asked = [flow for flow in flows if flow["proto"] == 17 and flow["dst_port"] == 427]
    assert len(asked) == sweep["asked"]
    assert {flow["dst_ip"] for flow in asked if flow["dst_pkts"]} == set(sweep["answered"])
    again = [flow for flow in flows if flow["proto"] == 6 and flow["dst_port"] == 427]
    assert [flow["dst_ip"] for flow in sorted(again, key=lambda flow: flow["ts"])] == sweep["answered"]
    assert {flow["dst_payload"] for flow in again} == {c["reply_bytes"] for c in truth["connections"] if "reply_bytes" in c}
    assert {flow["src_payload"] for flow in again} == {len(slp.request(0))}


def test_payload_holds_what_curl_downloaded(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    by_key = {key_of(flow): flow for flow in flows}
    for connection in truth["connections"]:
        if "body_bytes" in connection:
            payload = by_key[wanted(connection)]["dst_payload"]
            assert connection["body_bytes"] < payload < connection["body_bytes"] * 1.05 + 4000


def test_long_connection_has_slices(
    truth: dict[str, Any], indexed: tuple[dict[str, Any], Path], flows: list[dict[str, Any]]
) -> None:
    agent = next(c for c in truth["connections"] if c["program"] == "metrics agent")
    flow = next(flow for flow in flows if key_of(flow) == wanted(agent))
    assert flow["duration"] > 60
    sql = f"SELECT sum(src_pkts) AS src, sum(dst_pkts) AS dst, count(*) AS n FROM flow_slices WHERE flow_id = {flow['flow_id']}"
    (total,) = ask(indexed[1], sql)
    assert (int(total["src"]), int(total["dst"])) == (flow["src_pkts"], flow["dst_pkts"])
    assert int(total["n"]) >= 2


def test_hosts_keep_their_macs(truth: dict[str, Any], flows: list[dict[str, Any]]) -> None:
    macs = {host["ip"]: host["mac"] for host in truth["hosts"] if host["role"] != "hypervisor"}
    seen = {(flow["src_ip"], flow["src_mac"]) for flow in flows if flow["src_ip"] in macs and flow["proto"] in (6, 17)}
    assert seen == {(ip, macs[ip]) for ip, _ in seen}
    assert {flow["dst_mac"] for flow in flows if str(flow["dst_ip"]).startswith("10.20.30.")} == {mac_of("10.20.1.1")}


def test_packets_add_up_to_dumpcaps_count(truth: dict[str, Any], indexed: tuple[dict[str, Any], Path]) -> None:
    (source,) = indexed[0]["sources"]
    assert source["packets"] == truth["dumpcap"]["packets"]
    assert source["dropped"] == truth["dumpcap"]["dropped"]


def test_file_is_small_whole_and_silent_about_its_machine(truth: dict[str, Any]) -> None:
    data = CAPTURE.read_bytes()
    assert len(data) < 2_000_000
    kinds = Counter(kind for kind, _ in blocks(data))
    assert kinds[6] == truth["dumpcap"]["packets"]
    section, interface = (next(body for kind, body in blocks(data) if kind == wanted) for wanted in (0x0A0D0D0A, 1))
    assert b"invented" in section
    assert b"Linux" not in section + interface
    assert b"br0" in interface


def test_story_is_complete(truth: dict[str, Any]) -> None:
    programs = Counter(connection["program"] for connection in truth["connections"])
    assert programs["nmap"] == len(esxi_lateral.SCAN_TARGETS) * len(esxi_lateral.SCAN_PORTS) == truth["scan"]["probes"]
    assert programs["slp sweep"] == truth["slp_sweep"]["asked"] + truth["slp_sweep"]["tcp"]
    logins = [c["login"] for c in truth["connections"] if c["program"] == "ssh" and c["dst"] == "10.20.30.12"]
    assert logins == [False, False, False, True]
    keys = [wanted(connection) for connection in truth["connections"]]
    assert len(keys) == len(set(keys))


def test_slp_messages_are_well_formed() -> None:
    for message in (slp.request(7), slp.reply(7, b"service:x://y")):
        assert int.from_bytes(message[2:5], "big") == len(message)
        assert int.from_bytes(message[10:12], "big") == 7


def test_logs_are_read_as_their_programs_write_them() -> None:
    log = (
        'Connection from 10.0.0.1 port 4000 on 10.0.0.2 port 22 rdomain ""\r\n'
        "Failed password for root from 10.0.0.1 port 4000 ssh2\r\n"
        'Connection from 10.0.0.1 port 4001 on 10.0.0.2 port 22 rdomain ""\r\n'
        "Accepted publickey for ops from 10.0.0.1 port 4001 ssh2: ED25519 SHA256:x\r\n"
    )
    assert [(v.port, v.user, v.accepted, v.failures) for v in ssh_visits(log)] == [
        (4000, "root", False, 1),
        (4001, "ops", True, 0),
    ]
    lines = (
        "dnsmasq: 3 10.20.1.60/46568 query[TXT] lab.example from 10.20.1.60\n"
        "dnsmasq: 3 10.20.1.60/46568 config lab.example is <TXT>"
    )
    assert dns_queries(lines) == [("10.20.1.60", 46568, "TXT", "lab.example")]


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.mark.lab
@needs_root
def test_two_labs_stand_side_by_side_and_leave_nothing_behind() -> None:
    with Lab() as one, Lab() as two:
        for lab in (one, two):
            lab.add_bridge("fabric", "br0")
            lab.add_space("host")
            lab.plug("host", "eth0", "fabric", "br0", "10.20.1.10/24")
            lab.start("host", ["sleep", "600"], "sleep.log")
        assert mac_of("10.20.1.10") in one.run("host", ["ip", "link", "show", "eth0"])
        processes = [process for lab in (one, two) for process in lab.running]
    assert all(process.poll() is not None for process in processes)
    assert not any(lab.tag in namespaces() or lab.folder.exists() for lab in (one, two))


@pytest.mark.lab
@needs_root
def test_a_failing_lab_cleans_up() -> None:
    kept: list[Lab] = []

    def fail() -> None:
        with Lab() as lab:
            kept.append(lab)
            lab.add_space("host")
            lab.run("host", ["sh", "-c", "echo no such luck >&2; exit 7"])

    with pytest.raises(RuntimeError, match="no such luck"):
        fail()
    assert kept[0].tag not in namespaces()
    assert not kept[0].folder.exists()


@pytest.mark.lab
@pytest.mark.slow
@needs_root
def test_the_story_can_be_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esxi_lateral, "PAUSE", 0.1)
    monkeypatch.setattr(esxi_lateral, "AGENT_SECONDS", 6)
    document = esxi_lateral.make(tmp_path)
    assert document["dumpcap"]["dropped"] == 0
    assert document["scan"]["probes"] == 100
    assert document["scan"]["no answer"] == 0
    assert len(document["slp_sweep"]["answered"]) == len(esxi_lateral.HYPERVISORS)
    data = (tmp_path / "esxi-lateral.pcapng").read_bytes()
    assert sum(kind == 6 for kind, _ in blocks(data)) == document["dumpcap"]["packets"]
    logins = [c["login"] for c in document["connections"] if c["program"] == "ssh" and c["dst"] == "10.20.30.12"]
    assert logins == [False, False, False, True]
