from __future__ import annotations

import json
import os
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sample_captures.make.lab import wait_for
from sample_captures.make.recording import Recorder
from tests.lab import building, marks, switch
from tests.lab.dataplane import DpuLab
from tests.lab.plan import Host, Network, Plan

pytestmark = marks.SHARED
WEB, MODELS = "10.20.1.10", "10.20.2.10"
REFUSED, NO_ANSWER = 7, 28
"""curl's exit codes for a reset and for a timeout (curl(1))"""


def fetch(lab: DpuLab, host: str, url: str, seconds: int = 5) -> str:
    return lab.run(host, ["curl", "-sgf", "-m", str(seconds), url]).strip()


def verdict(lab: DpuLab, host: str, url: str, seconds: int = 1) -> int:
    line, environment = lab.command(host, ["curl", "-s", "-o", "/dev/null", "-m", str(seconds), url])
    return subprocess.run(line, env=environment, check=False).returncode


def workbench(*words: str) -> Any:
    ran = subprocess.run(
        [sys.executable, "-m", "workbench", *words, "--format", "json"], capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("host", "server"),
    [
        pytest.param("app1", WEB, id="vxlan-dpu2-dpu1"),
        pytest.param("app2", WEB, id="vxlan-dpu3-dpu1"),
        pytest.param("train-0", MODELS, id="geneve-dpu2-dpu1"),
        pytest.param("train-1", MODELS, id="geneve-dpu3-dpu1"),
        pytest.param("app1", "[fd00:20:1::10]", id="vxlan-inner-ipv6"),
        pytest.param("app1", MODELS, id="through-the-gate"),
    ],
)
def test_hosts_reach_servers_behind_other_dpus(dpu_lab: DpuLab, host: str, server: str) -> None:
    assert fetch(dpu_lab, host, f"http://{server}/lab") == dpu_lab.tag


def test_long_transfers_come_whole(dpu_lab: DpuLab, tmp_path: Path) -> None:
    got = tmp_path / "weights.bin"
    dpu_lab.run("app2", ["curl", "-sf", "-m", "10", "-o", str(got), f"http://{WEB}/weights.bin"])
    assert got.read_bytes() == (dpu_lab.folder / "www" / "weights.bin").read_bytes()


def test_names_and_ssh_logins_work_behind_the_dpus(dpu_lab: DpuLab) -> None:
    assert WEB in dpu_lab.run("app2", ["dig", "+short", "@10.20.1.53", "shop.lab.example"])
    options = ["-F", "/dev/null", "-o", f"UserKnownHostsFile={dpu_lab.folder}/known", "-o", "StrictHostKeyChecking=accept-new"]
    said = dpu_lab.run("web", ["ssh", *options, "-i", str(dpu_lab.folder / "admin.key"), "ops@10.20.1.30", "echo", "in"])
    assert said == "in\n"


def test_second_uplinks_carry_the_plain_network(dpu_lab: DpuLab) -> None:
    before = dpu_lab.counters("dpu2", "p1")
    assert verdict(dpu_lab, "disk1", "http://10.20.40.12/", 5) == REFUSED
    after = dpu_lab.counters("dpu2", "p1")
    assert after["rx_pkts"] > before["rx_pkts"]
    assert after["tx_pkts"] > before["tx_pkts"]


def test_what_is_sent_to_all_arrives_once(dpu_lab: DpuLab) -> None:
    """Tunnels join every DPU to every other: without the split horizon a broadcast would go round for ever."""
    with (
        dpu_lab.udp_socket("web", 9999, "0.0.0.0") as web,
        dpu_lab.udp_socket("app1", 9999, "0.0.0.0") as app1,
        dpu_lab.udp_socket("app2", 9999, "0.0.0.0") as app2,
        dpu_lab.udp_socket("models", 9999, "0.0.0.0") as models,
    ):
        web.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        web.sendto(b"to all", ("10.20.1.255", 9999))
        for end, address in ((app1, "10.20.1.21"), (app2, "10.20.1.22"), (models, MODELS)):
            web.sendto(b"to one", (address, 9999))
            end.settimeout(10)
            heard = [end.recv(99)]
            while heard[-1] != b"to one":
                heard.append(end.recv(99))
            assert heard == ([b"to one"] if end is models else [b"to all", b"to one"])


def test_switches_are_the_userspace_kind_with_bluefields_ports(dpu_lab: DpuLab) -> None:
    for dpu in dpu_lab.plan.dpus:
        for bridge in dpu_lab.vsctl(dpu, "list-br").split():
            assert dpu_lab.vsctl(dpu, "get", "bridge", bridge, "datapath_type") == "netdev\n"
        ports = {port for bridge in ("br-phy", "ovsbr1", "ovsbr2") for port in dpu_lab.vsctl(dpu, "list-ports", bridge).split()}
        assert {"p0", "p1", "pf0hpf", *(host.port for host in dpu_lab.plan.behind(dpu))} <= ports
        assert dpu_lab.vsctl(dpu, "--columns=name,error", "find", "interface", "error!=[]") == ""


def test_a_mirror_shows_both_directions_as_they_were_on_the_wire(dpu_lab: DpuLab, tmp_path: Path) -> None:
    recorder = Recorder(dpu_lab, "dpu1", "mirror0")
    fetch(dpu_lab, "app1", f"http://{WEB}/catalogue.json")
    fetch(dpu_lab, "train-1", f"http://{MODELS}/catalogue.json")
    assert recorder.stop()["dropped"] == 0

    case = str(tmp_path / "case")
    workbench("index", str(recorder.raw), "--case", case)
    flows = workbench("query", "--case", case, "SELECT * FROM flows WHERE dst_port = 80 ORDER BY vni")
    shop, train = flows
    assert (shop["src_ip"], shop["dst_ip"], shop["tunnel"], shop["vni"]) == ("10.20.1.21", WEB, "vxlan", 5001)
    assert (shop["outer_src_ip"], shop["outer_dst_ip"]) == ("192.0.2.2", "192.0.2.1")
    assert (train["src_ip"], train["dst_ip"], train["tunnel"], train["vni"]) == ("10.20.2.21", MODELS, "geneve", 6001)
    assert (train["outer_src_ip"], train["outer_dst_ip"]) == ("192.0.2.3", "192.0.2.1")
    body = (dpu_lab.folder / "www" / "catalogue.json").stat().st_size
    assert all(flow["conn_state"] == "SF" and flow["dst_payload"] > body and flow["src_payload"] > 0 for flow in flows)


def test_the_other_mirror_shows_the_hosts_side(dpu_lab: DpuLab, tmp_path: Path) -> None:
    recorder = Recorder(dpu_lab, "dpu1", "mirror1")
    fetch(dpu_lab, "app2", f"http://{WEB}/lab")
    recorder.stop()
    case = str(tmp_path / "case")
    workbench("index", str(recorder.raw), "--case", case)
    (flow,) = workbench("query", "--case", case, "SELECT * FROM flows WHERE dst_port = 80")
    assert (flow["src_ip"], flow["tunnel"], flow["conn_state"]) == ("10.20.1.22", None, "SF")


def receive(end: socket.socket, enough: Callable[[bytes], bool]) -> bytes:
    end.settimeout(15)
    while not enough(data := end.recv(65535)):
        pass
    return data


def addresses(src: str, dst: str) -> bytes:
    return socket.inet_aton(src) + socket.inet_aton(dst)


def test_exporters_tell_loopback_of_the_traffic(dpu_lab: DpuLab) -> None:
    wanted = addresses("10.20.1.21", WEB)
    with (
        dpu_lab.udp_socket("dpu1", switch.IPFIX) as ipfix,
        dpu_lab.udp_socket("dpu1", switch.NETFLOW) as netflow,
        dpu_lab.udp_socket("dpu1", switch.SFLOW) as sflow,
    ):
        dpu_lab.export("dpu1")
        fetch(dpu_lab, "app1", f"http://{WEB}/lab")
        # RFC 7011, 3.1 and 3.3.2: version 10, then sets; number 2 holds templates
        template = receive(ipfix, lambda data: data[16:18] == b"\0\2")
        record = receive(ipfix, lambda data: wanted in data)
        assert template[:2] == record[:2] == b"\0\x0a"
        assert struct.unpack_from(">H", record, 16)[0] >= 256
        # Cisco's NetFlow v5: 24 bytes of header, records of 48
        data = receive(netflow, lambda data: wanted in data)
        version, count = struct.unpack_from(">HH", data)
        assert (version, len(data)) == (5, 24 + 48 * count)
        # sflow.org's version 5: the sampled header is the packet's own
        assert receive(sflow, lambda data: wanted in data)[:4] == b"\0\0\0\5"


def test_ssh_into_a_dpu_runs_its_own_tools(dpu_lab: DpuLab) -> None:
    assert dpu_lab.ssh("dpu2", "ovs-vsctl list-br").split() == ["br-phy", "ovsbr1", "ovsbr2"]
    assert "vxlan-dpu1" in dpu_lab.ssh("dpu2", "ovs-vsctl list-ports ovsbr1").split()
    assert dpu_lab.ssh("dpu1", "cat", text="over stdin") == "over stdin"


def test_a_key_can_be_held_to_one_command(dpu_lab: DpuLab, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "made for a test", "-f", str(key)], check=True)
    with pytest.raises(RuntimeError, match="Permission denied"):
        dpu_lab.ssh("dpu3", "id", key=key)
    dpu_lab.authorize("dpu3", key.with_suffix(".pub").read_text(), command="echo asked: $SSH_ORIGINAL_COMMAND")
    assert dpu_lab.ssh("dpu3", "rm -rf /nowhere", key=key) == "asked: rm -rf /nowhere\n"


def test_a_mirror_can_be_attached_to_over_ssh(dpu_lab: DpuLab) -> None:
    line, environment = dpu_lab.command(
        "admin", dpu_lab.ssh_words("dpu1", shlex.join(["tcpdump", "-i", "mirror0", "-U", "-w", "-"]))
    )
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as attached:
        assert attached.stdout
        try:
            assert os.read(attached.stdout.fileno(), 24)[:4] == b"\xd4\xc3\xb2\xa1"  # pcap's header comes once tcpdump listens
            fetch(dpu_lab, "app1", f"http://{WEB}/lab")
            seen = b""
            while dpu_lab.tag.encode() not in seen:
                more = os.read(attached.stdout.fileno(), 65536)
                assert more, "tcpdump ended"
                seen += more
        finally:
            attached.terminate()


def test_nftables_in_a_namespace_drop_what_they_are_told(dpu_lab: DpuLab) -> None:
    rules = "table inet lab {{\n chain {hook} {{\n type filter hook {hook} priority 0\n {match} counter drop\n }}\n }}\n"
    dpu_lab.nft("gate", rules.format(hook="forward", match=f"ip daddr {MODELS} tcp dport 80"))
    dpu_lab.nft("web", rules.format(hook="input", match="ip saddr 10.20.1.21 tcp dport 443"))
    try:
        assert verdict(dpu_lab, "app1", f"http://{MODELS}/lab") == NO_ANSWER
        assert fetch(dpu_lab, "train-0", f"http://{MODELS}/lab") == dpu_lab.tag
        assert verdict(dpu_lab, "app1", f"telnet://{WEB}:443") == NO_ANSWER
        assert fetch(dpu_lab, "app1", f"http://{WEB}/lab") == dpu_lab.tag
        counted = json.loads(dpu_lab.run("gate", ["nft", "-j", "list", "table", "inet", "lab"]))["nftables"]
        assert (
            next(e["counter"]["packets"] for item in counted for e in item.get("rule", {}).get("expr", []) if "counter" in e) > 0
        )
    finally:
        for host in ("gate", "web"):
            dpu_lab.nft(host, "delete table inet lab")
    assert fetch(dpu_lab, "app1", f"http://{MODELS}/lab") == dpu_lab.tag


def test_nothing_of_a_broken_ruleset_is_loaded(dpu_lab: DpuLab) -> None:
    with pytest.raises(RuntimeError, match="syntax error"):
        dpu_lab.nft("gate", "add table inet lab\nadd chain inet lab c { nonsense }\n")
    assert dpu_lab.run("gate", ["nft", "list", "tables"]) == ""


def test_openflow_rules_are_pushed_all_or_none(dpu_lab: DpuLab) -> None:
    deny = f"cookie=0x77,priority=9,tcp,nw_dst={WEB},tp_dst=80,nw_src=10.20.1.22,actions=drop"
    with pytest.raises(RuntimeError, match="nonsense"):
        dpu_lab.add_flows("dpu1", "ovsbr1", f"{deny}\npriority=9,nonsense,actions=drop\n")
    assert fetch(dpu_lab, "app2", f"http://{WEB}/lab") == dpu_lab.tag
    dpu_lab.add_flows("dpu1", "ovsbr1", deny)
    try:
        assert verdict(dpu_lab, "app2", f"http://{WEB}/lab") == NO_ANSWER
        assert fetch(dpu_lab, "app1", f"http://{WEB}/lab") == dpu_lab.tag
    finally:
        dpu_lab.ofctl("dpu1", "del-flows", "ovsbr1", "cookie=0x77/-1")
    assert fetch(dpu_lab, "app2", f"http://{WEB}/lab") == dpu_lab.tag


def test_ports_count_what_crosses_them(dpu_lab: DpuLab) -> None:
    size = (dpu_lab.folder / "www" / "weights.bin").stat().st_size
    before = dpu_lab.counters("dpu2", "pf0vf0")
    dpu_lab.run("app1", ["curl", "-sf", "-m", "10", "-o", "/dev/null", f"http://{WEB}/weights.bin"])
    wait_for("the counter", lambda: dpu_lab.counters("dpu2", "pf0vf0")["tx_bytes"] - before["tx_bytes"] > size)


@pytest.mark.parametrize("crash", [False, True], ids=["restarted", "crashed"])
def test_a_switch_comes_back_with_its_ports(dpu_lab: DpuLab, crash: bool) -> None:
    dpu_lab.add_flows("dpu1", "ovsbr1", "cookie=0x78,priority=9,icmp,actions=drop")
    before = dpu_lab.switches["dpu1"]
    if crash:
        before.kill()
        before.wait()
    dpu_lab.restart_switch("dpu1")
    assert dpu_lab.switches["dpu1"].pid != before.pid
    assert "cookie=0x78" not in dpu_lab.ofctl("dpu1", "dump-flows", "ovsbr1")
    assert fetch(dpu_lab, "app1", f"http://{WEB}/lab") == dpu_lab.tag
    assert fetch(dpu_lab, "train-1", f"http://{MODELS}/lab") == dpu_lab.tag


def test_a_plan_of_ones_own_can_be_put_up() -> None:
    small = Network("blue", "10.20.7", "geneve", 7, 7)
    plan = Plan(("left", "right"), (small,), (Host("a", "left", "pf0vf0", small, 1), Host("b", "right", "pf0vf9", small, 2)))
    with DpuLab(plan) as lab:
        building.start_nginx(lab, plan.host("b"))
        assert fetch(lab, "a", "http://10.20.7.2/lab") == lab.tag
        assert lab.vsctl("right", "list-ports", "ovsbr1").split() == ["geneve-left", "mirror1", "pf0vf9"]
