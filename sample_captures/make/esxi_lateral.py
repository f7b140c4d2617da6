"""Make esxi-lateral.pcapng and its ground truth: ``python -m sample_captures.make.esxi_lateral [FOLDER]`` (root; about 80
seconds).

A guest network of a virtualised data centre (10.20.1.0/24, fd00:20:1::/64) is seen at its bridge, as a DPU sees it; the
hypervisors' management network (10.20.30.0/24) is behind a gateway. Web shop, DNS, an administrator's ssh and a metrics agent go
about their business. Then a training container, train-7, scans its neighbours, sweeps the hypervisors with SLP (tcp and udp 427),
guesses a password for one of them, and gets in with another.

The ground truth is what the programs themselves reported: sockets' own ports, the servers' logs, nmap's XML. No packet decoder
has a part in it.
"""

from __future__ import annotations

import json
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.lab import Lab, mac_of
from sample_captures.make.recording import Recorder, Truth, command_line, versions, write

NAME = "esxi-lateral"
PROGRAMS = ("nginx", "dnsmasq", "ssh", "curl", "nmap", "dig", "dumpcap")
GUESTS = {
    "web": ("10.20.1.10", "web shop and metrics collector"),
    "app1": ("10.20.1.21", "client of the shop"),
    "app2": ("10.20.1.22", "client of the shop, and metrics agent"),
    "build": ("10.20.1.30", "build machine with ssh"),
    "dns": ("10.20.1.53", "name server"),
    "admin": ("10.20.1.60", "administrator"),
    "train-7": ("10.20.1.77", "training container, compromised"),
}
HYPERVISORS = {f"esx-0{n}": f"10.20.30.{10 + n}" for n in range(1, 5)}
SCAN_TARGETS = ("web", "build", "dns", "app1")
#: What nmap finds worth knocking at.
SCAN_PORTS = (21, 22, 23, 25, 53, 80, 110, 135, 139, 143, 389, 443, 445, 902, 1433)
SCAN_PORTS += (3306, 3389, 5432, 5985, 6379, 8080, 8443, 9091, 9200, 27017)
SCAN_SOURCE = 51820
SWEPT = tuple(f"10.20.30.{n}" for n in range(1, 31))
AGENT_SECONDS = 72
PAUSE = 3.0
"""seconds between steps, so that the timeline has something to zoom into"""
PORT_NAMES = {"open": "half-open", "closed": "refused", "filtered": "no answer"}


def build(lab: Lab) -> None:
    """Both networks and their hosts."""
    lab.add_bridge("fabric", "br0")
    lab.add_bridge("mgmt", "br1")
    lab.add_space("gw")
    lab.run("gw", ["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    lab.plug("gw", "eth0", "fabric", "br0", "10.20.1.1/24")
    lab.plug("gw", "eth1", "mgmt", "br1", "10.20.30.1/24")
    for host, (address, _) in GUESTS.items():
        lab.add_space(host)
        lab.plug(host, "eth0", "fabric", "br0", f"{address}/24")
        lab.ip(host, f"-6 addr add fd00:20:1::{address.rsplit('.', 1)[1]}/64 dev eth0 nodad")
        lab.ip(host, "route add default via 10.20.1.1")
    for host, address in HYPERVISORS.items():
        lab.add_space(host)
        lab.plug(host, "eth0", "mgmt", "br1", f"{address}/24")
        lab.ip(host, "route add default via 10.20.30.1")


def start_servers(lab: Lab) -> None:
    """Every server, listening before the capture begins."""
    servers.make_keys(lab)
    servers.start_nginx(lab)
    servers.start_dnsmasq(lab)
    servers.start_collector(lab)
    servers.start_sshd(lab, "build", GUESTS["build"][0])
    for host, address in HYPERVISORS.items():
        servers.start_sshd(lab, host, address)
        servers.start_slp(lab, host, address)


def fetch(lab: Lab, truth: Truth, who: str, *urls: str, options: tuple[str, ...] = ()) -> None:
    """curl, all ``urls`` over one connection where it can; notes the connection by curl's own account of its socket."""
    account = "%{local_ip} %{local_port} %{remote_ip} %{remote_port} %{num_connects} %{http_code} %{size_download}\\n"
    hosts = ["--resolve", "shop.lab.example:443:10.20.1.10", "--resolve", "models.lab.example:8443:10.20.1.10"]
    began = time.time()
    out = [word for url in urls for word in ("-o", "/dev/null", url)]
    said = lab.run(who, ["curl", "-sk", *hosts, *options, "-w", account, *out]).splitlines()
    rows = [line.split() for line in said]
    for src, src_port, dst, dst_port, fresh, *_ in rows:
        if int(fresh):
            same = [r for r in rows if r[1] == src_port]
            truth.add(
                who=who, program="curl", time=began, proto="tcp", src=src, src_port=int(src_port), dst=dst,
                dst_port=int(dst_port), service="http" if dst_port == "80" else "tls", outcome="completed",
                requests=len(same), statuses=[int(r[5]) for r in same], body_bytes=sum(int(r[6]) for r in same),
            )  # fmt: skip


def dig(lab: Lab, who: str, *words: str) -> None:
    """One look-up; dnsmasq's log is its ground truth."""
    lab.run(who, ["dig", "+tries=1", "@10.20.1.53", *words])


def office_day(lab: Lab, truth: Truth) -> None:
    """Ordinary traffic: names, pages over HTTP and TLS 1.2 and 1.3, IPv6, an administrator's ssh; some fifteen seconds."""
    truth.step("ordinary traffic")
    dig(lab, "app1", "shop.lab.example", "A")
    fetch(lab, truth, "app1", "http://10.20.1.10/", "http://10.20.1.10/health", "http://10.20.1.10/missing")
    time.sleep(PAUSE)
    dig(lab, "app1", "shop.lab.example", "AAAA")
    fetch(lab, truth, "app1", "https://shop.lab.example/catalogue.json", options=("--tlsv1.3",))
    time.sleep(PAUSE)
    dig(lab, "app2", "models.lab.example", "A")
    fetch(lab, truth, "app2", "https://models.lab.example:8443/weights.bin", options=("--tls-max", "1.2"))
    fetch(
        lab,
        truth,
        "app2",
        "https://shop.lab.example/",
        "https://shop.lab.example/health",
        options=("--tls-max", "1.2", "--http1.1"),
    )
    time.sleep(PAUSE)
    dig(lab, "app2", "v6.lab.example", "AAAA")
    fetch(lab, truth, "app2", "http://[fd00:20:1::10]/catalogue.json", options=("-6",))
    dig(lab, "app2", "-x", "10.20.1.10")
    time.sleep(PAUSE)
    dig(lab, "admin", "lab.example", "TXT")
    dig(lab, "admin", "printer.lab.example", "A")
    time.sleep(PAUSE)
    lab.run("admin", servers.ssh_command(lab, "ops", "10.20.1.30", "uptime; seq 1 2000", key=True))
    lab.run(
        "admin", servers.ssh_command(lab, "ops", "10.20.1.30", "true", key=False), env=servers.askpass(lab, "wrong"), check=False
    )


def ping_once(lab: Lab, truth: Truth) -> None:
    """Four echo requests, counted by the program that sent them."""
    ping = lab.run("admin", ["nping", "--icmp", "-c", "4", "--delay", "300ms", "10.20.1.30"])
    truth.add(
        who="admin", program="nping", proto="icmp", src="10.20.1.60", src_port=8, dst="10.20.1.30", dst_port=0, service=None,
        outcome="answered", packets=int(ping.split("Raw packets sent: ")[1].split()[0]),
    )  # fmt: skip


def port_scan(lab: Lab, truth: Truth) -> dict[str, Any]:
    """nmap's half-open scan of four neighbours; its XML report is the ground truth."""
    truth.step("train-7 scans its neighbours")
    report = lab.folder / "nmap.xml"
    ports = ",".join(map(str, SCAN_PORTS))
    targets = [GUESTS[host][0] for host in SCAN_TARGETS]
    words = [
        "nmap",
        "-sS",
        "-Pn",
        "-n",
        "-g",
        str(SCAN_SOURCE),
        "-p",
        ports,
        "--max-retries",
        "1",
        "--scan-delay",
        "15ms",
        "-oX",
        str(report),
    ]
    began = time.time()
    lab.run("train-7", [*words, *targets])
    for host in ET.parse(report).getroot().iter("host"):
        address = host.find("address[@addrtype='ipv4']").get("addr")  # type: ignore[union-attr]
        for port in host.iter("port"):
            state = port.find("state").get("state")  # type: ignore[union-attr]
            truth.add(
                who="train-7", program="nmap", time=began, proto="tcp", src=GUESTS["train-7"][0], src_port=SCAN_SOURCE,
                dst=address, dst_port=int(str(port.get("portid"))), service=None, outcome=PORT_NAMES[str(state)],
            )  # fmt: skip
    found = [c for c in truth.connections if c["program"] == "nmap"]
    counts = {name: sum(c["outcome"] == name for c in found) for name in PORT_NAMES.values()}
    return {"source": GUESTS["train-7"][0], "targets": targets, "ports": list(SCAN_PORTS), "probes": len(found), **counts}


def slp_sweep(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The SLP sweep; the sweeper's sockets are the ground truth."""
    truth.step("train-7 sweeps the hypervisors with SLP")
    own = GUESTS["train-7"][0]
    said = json.loads(lab.run("train-7", [sys.executable, "-m", "sample_captures.make.slp", "sweep", own, *SWEPT]))
    base = {"who": "train-7", "program": "slp sweep", "src": own, "dst_port": 427}
    for asked in said["asked"]:
        hit = asked["target"] in said["answered"]
        truth.add(
            **base, time=asked["time"], proto="udp", src_port=said["port"], dst=asked["target"], service=None,
            outcome="answered" if hit else "no answer",
        )  # fmt: skip
    for followed in said["tcp"]:
        truth.add(
            **base, time=followed["time"], proto="tcp", src_port=followed["port"], dst=followed["target"], service=None,
            outcome="completed", reply_bytes=followed["reply_bytes"],
        )  # fmt: skip
    return {"source": own, "asked": len(said["asked"]), "answered": said["answered"], "tcp": len(said["tcp"])}


def break_in(lab: Lab, truth: Truth) -> None:
    """Three wrong passwords for one hypervisor, then the right one, and a download."""
    truth.step("train-7 guesses passwords on esx-02")
    target = HYPERVISORS["esx-02"]
    for guess in ("admin", "vmware", "letmein"):
        lab.run(
            "train-7", servers.ssh_command(lab, "root", target, "true", key=False), env=servers.askpass(lab, guess), check=False
        )
    truth.step("train-7 logs in to esx-02")
    fetched = "i=0; while [ $i -lt 6000 ]; do echo vm-$i running lantern-$i; i=$((i+1)); done"
    lab.run("train-7", servers.ssh_command(lab, "root", target, fetched, key=False), env=servers.askpass(lab, servers.PASSWORD))


def collect_logs(lab: Lab, truth: Truth) -> None:
    """Connections that the servers know best: ssh from sshd's logs, DNS from dnsmasq's."""
    by_address = {address: host for host, (address, _) in GUESTS.items()}
    for host, address in {"build": GUESTS["build"][0], **HYPERVISORS}.items():
        for visit in servers.ssh_visits(lab.text(f"{host}.sshd.log")):
            if not visit.user:
                continue  # the port scan's probes are nmap's to tell
            truth.add(
                who=by_address[visit.source], program="ssh", proto="tcp", src=visit.source, src_port=visit.port, dst=address,
                dst_port=22, service="ssh", outcome="completed", user=visit.user,
                login=visit.accepted, failed_passwords=visit.failures,
            )  # fmt: skip
    sockets: dict[tuple[str, int], list[str]] = {}
    for client, port, kind, name in servers.dns_queries(lab.text("dnsmasq.log")):
        sockets.setdefault((client, port), []).append(f"{kind} {name}")
    for (client, port), queries in sockets.items():
        truth.add(
            who=by_address[client], program="dig", proto="udp", src=client, src_port=port, dst="10.20.1.53", dst_port=53,
            service="dns", outcome="answered", queries=queries,
        )  # fmt: skip


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The whole story, with the metrics agent beating beside it for over a minute."""
    agent = [sys.executable, "-m", "sample_captures.make.beat", "send", "10.20.1.22", "10.20.1.10", "9091", str(AGENT_SECONDS)]
    beats = lab.start("app2", agent, "agent.log")
    office_day(lab, truth)
    ping_once(lab, truth)
    time.sleep(PAUSE)
    scan = port_scan(lab, truth)
    time.sleep(6)
    sweep = slp_sweep(lab, truth)
    time.sleep(5)
    break_in(lab, truth)
    office_day(lab, truth)
    beats.wait(120)
    said = json.loads(lab.text("agent.log"))
    truth.add(
        who="app2", program="metrics agent", time=said["time"], proto="tcp", src="10.20.1.22", src_port=said["port"],
        dst="10.20.1.10", dst_port=9091, service=None, outcome="completed", beats=said["beats"],
    )  # fmt: skip
    collect_logs(lab, truth)
    return {"scan": scan, "slp_sweep": sweep}


def make(folder: Path) -> dict[str, Any]:
    """Run the story under dumpcap and write both files into ``folder``; returns the ground truth."""
    truth = Truth()
    with Lab() as lab:
        build(lab)
        start_servers(lab)
        recorder = Recorder(lab, "fabric", "br0")
        what = play(lab, truth)
        time.sleep(5)
        counted = recorder.stop()
        document = {
            "capture": f"{NAME}.pcapng",
            "seen_at": "bridge of the guest network 10.20.1.0/24; 10.20.30.0/24 is behind the gateway 10.20.1.1",
            "hosts": [{"name": h, "ip": a, "mac": mac_of(a), "role": r} for h, (a, r) in GUESTS.items()]
            + [{"name": h, "ip": a, "mac": mac_of(a), "role": "hypervisor"} for h, a in HYPERVISORS.items()],
            "programs": versions(PROGRAMS),
            "dumpcap": counted,
            **asdict(truth),
            **what,
        }
        write(folder, NAME, document, recorder.raw.read_bytes())
    return document


def main() -> int:
    """The command line."""
    return command_line(__doc__, make)


if __name__ == "__main__":
    sys.exit(main())
