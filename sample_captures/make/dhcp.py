"""Make dhcp.pcapng and its ground truth: ``python -m sample_captures.make.dhcp [FOLDER]`` (root; about 20 seconds).

Two real servers in one segment. The network's own serves two clients; then a second one appears beside it, whose answers name
itself as router and name server, and the next clients hear both. One takes whose offer comes first; the other takes the
stranger's, since the network's own is held up meanwhile. What servers offered and acknowledged is told by their own logs.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make.lab import Lab, mac_of, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "gateway": ("10.40.14.1", "router and DHCP server"),
    "rogue": ("10.40.14.66", "a DHCP server that nobody set up"),
    "desk": ("10.40.14.21", "client, before"),
    "printer": ("10.40.14.22", "client, before"),
    "laptop": ("10.40.14.23", "client, after"),
    "phone": ("10.40.14.24", "client, after"),
}
GATEWAY, ROGUE = HOSTS["gateway"][0], HOSTS["rogue"][0]
CLIENTS = ("desk", "printer", "laptop", "phone")
"""their addresses here are only what their MACs are made of: they have none until they are given one, which the truth tells"""
RANGES = {"gateway": ("10.40.14.100", "10.40.14.119"), "rogue": ("10.40.14.200", "10.40.14.219")}
SAID = re.compile(r"DHCP(OFFER|ACK)\(eth0\) ([\d.]+) ([0-9a-f:]{17})")


def serve(lab: Lab, host: str) -> subprocess.Popen[bytes]:
    """dnsmasq as a DHCP server only; it names itself as router and name server. Returns its process."""
    address, (low, high) = HOSTS[host][0], RANGES[host]
    options = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--port=0"]
    options += [f"--dhcp-range={low},{high},255.255.255.0,1h", f"--dhcp-leasefile={lab.folder}/{host}.leases", "--no-ping"]
    options += [f"--dhcp-option=3,{address}", f"--dhcp-option=6,{address}", "--domain=works.example", "--log-facility=-"]
    options += ["--interface=eth0", "--bind-interfaces"]
    process = lab.start(host, ["dnsmasq", *options], f"{host}.dhcp.log")
    wait_for("dnsmasq", lambda: lab.listening(host, 67))
    return process


def prepare(lab: Lab) -> None:
    """Clients lose what they were plugged in with."""
    for host in CLIENTS:
        lab.ip(host, "addr flush dev eth0")


def told(lab: Lab, host: str) -> list[tuple[str, str, str]]:
    """(OFFER or ACK, address, client's MAC) of each answer in a server's log."""
    log = f"{host}.dhcp.log"
    return SAID.findall(lab.text(log)) if (lab.folder / log).exists() else []


def lease(lab: Lab, host: str) -> dict[str, str]:
    """udhcpc in ``host`` until it has a lease; server and address as it tells them."""
    script = lab.folder / "bound"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$serverid $ip $router"\nexit 0\n')
    script.chmod(0o700)
    words = ["udhcpc", "-i", "eth0", "-f", "-q", "-n", "-s", str(script), "-x", f"hostname:{host}"]
    said = [line for line in lab.run(host, words).splitlines() if line.count(" ") == 2 and line[0].isdigit()]
    server, address, router = said[-1].split()
    return {"client": host, "mac": mac_of(HOSTS[host][0]), "server": server, "ip": address, "router": router}


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Two clients and one server, then two clients and two."""
    began, leases = round(time.time(), 3), []
    truth.step("the network's own server answers")
    own = serve(lab, "gateway")
    leases += [lease(lab, host) for host in CLIENTS[:2]]
    truth.step("a second server appears")
    serve(lab, "rogue")
    leases.append(lease(lab, CLIENTS[2]))
    truth.step("the network's own server is held up")
    own.send_signal(signal.SIGSTOP)
    leases.append(lease(lab, CLIENTS[3]))
    own.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    answers = {HOSTS[host][0]: told(lab, host) for host in RANGES}
    shared = {"program": "dnsmasq", "time": began, "proto": "udp", "service": "dhcp"}
    truth.add(who="clients", src="0.0.0.0", src_port=68, dst="255.255.255.255", dst_port=67, outcome="no answer", **shared)
    for server, said in answers.items():
        for address in dict.fromkeys(address for _, address, _ in said):
            truth.add(who=server, src=address, src_port=68, dst=server, dst_port=67, outcome="answers only", **shared)
    counts = {
        server: {kind: sum(one == kind for one, *_ in said) for kind in ("OFFER", "ACK")} for server, said in answers.items()
    }
    given = {one["client"]: one["ip"] for one in leases}
    hosts = [{"name": h, "ip": given.get(h, ip), "mac": mac_of(ip), "role": role} for h, (ip, role) in HOSTS.items()]
    return {"hosts": hosts, "rogue_dhcp": {"server": ROGUE, "own": GATEWAY, "leases": leases, "answers": counts}}


SAMPLE = Sample("dhcp", "bridge of 10.40.14.0/24", 24, HOSTS, ("dnsmasq", "busybox", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
