"""Make scans.pcapng and its ground truth: ``python -m sample_captures.make.scans [FOLDER]`` (root; about 20 seconds).

nmap sweeps a network with pings, then scans two hosts, one of them behind a firewall: half-open (SYN), by whole connections, by
UDP, and with FIN and with Christmas-tree segments. nmap's XML reports are the ground truth. Every scan but the one by whole
connections has a source port of its own, so its flows can be told from the others'.
"""

from __future__ import annotations

import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "web": ("10.40.6.10", "http on 80 and 8080, names on udp/53"),
    "vault": ("10.40.6.11", "http on 80, and a firewall that drops what goes to 440-449, udp or tcp"),
    "scanner": ("10.40.6.66", "runs nmap"),
}
OWN = HOSTS["scanner"][0]
TARGETS = (HOSTS["web"][0], HOSTS["vault"][0])
TCP_PORTS = (21, 22, 23, 25, 53, 80, 110, 143, 443, 445, 3306, 3389, 5432, 6379, 8080)
UDP_PORTS = (53, 69, 123, 137, 161, 445, 500, 1900, 4500, 5353)


@dataclass(frozen=True, slots=True)
class Scan:
    """One way of scanning: nmap's option, the source port, and what nmap's states mean for a connection."""

    name: str
    option: str
    proto: str
    ports: tuple[int, ...]
    source: int | None
    outcomes: dict[str, str]


SCANS = (
    Scan("syn", "-sS", "tcp", TCP_PORTS, 51_001, {"open": "half-open", "closed": "refused", "filtered": "no answer"}),
    Scan("connect", "-sT", "tcp", TCP_PORTS, None, {"open": "established", "closed": "refused", "filtered": "no answer"}),
    Scan("fin", "-sF", "tcp", TCP_PORTS, 51_003, {"open|filtered": "stray", "closed": "stray, refused"}),
    Scan("xmas", "-sX", "tcp", TCP_PORTS, 51_004, {"open|filtered": "stray", "closed": "stray, refused"}),
    Scan("udp", "-sU", "udp", UDP_PORTS, 51_005, {"open": "answered", "closed": "refused", "open|filtered": "no answer"}),
)


def prepare(lab: Lab) -> None:
    """Web servers, a name server, the firewall."""
    (lab.folder / "www").mkdir()
    for host, port in (("web", 80), ("web", 8080), ("vault", 80)):
        words = [sys.executable, "-m", "http.server", str(port), "--bind", HOSTS[host][0], "--directory", str(lab.folder / "www")]
        lab.start(host, words, f"{host}-{port}.log")
        wait_for(f"http on {host}", lambda host=host, port=port: lab.listening(host, port))  # type: ignore[misc]
    options = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=", "--port=53"]
    lab.start("web", ["dnsmasq", *options, f"--listen-address={TARGETS[0]}", "--bind-interfaces"], "dnsmasq.log")
    wait_for("dnsmasq", lambda: lab.listening("web", 53))
    servers.firewall(lab, "vault", "tcp dport 440-449 drop", "udp dport 440-449 drop")


def run_scan(lab: Lab, truth: Truth, scan: Scan) -> dict[str, Any]:
    """One scan of both targets; nmap's report tells each port's state."""
    truth.step(f"{scan.name} scan")
    report = lab.folder / f"{scan.name}.xml"
    ports = ",".join(map(str, scan.ports))
    words = [
        "nmap",
        scan.option,
        "-Pn",
        "-n",
        "-p",
        ports,
        "--max-retries",
        "0",
        "--scan-delay",
        "10ms",
        "-oX",
        str(report),
    ]  # one try: nothing is lost here, and nmap doesn't tell how often it tried
    words += ["-g", str(scan.source)] if scan.source else []
    began = round(time.time(), 3)
    lab.run("scanner", [*words, *TARGETS])
    found = [
        (address.get("addr"), int(str(port.get("portid"))), str(state.get("state")))
        for host in ET.parse(report).getroot().iter("host")
        if (address := host.find("address[@addrtype='ipv4']")) is not None
        for port in host.iter("port")
        if (state := port.find("state")) is not None
    ]
    for address, number, state in found:
        truth.add(
            who="scanner", program="nmap", scan=scan.name, time=began, proto=scan.proto, src=OWN, src_port=scan.source,
            dst=address, dst_port=number, service=None, outcome=scan.outcomes[state], nmap_state=state,
        )  # fmt: skip
    states = sorted({state for *_, state in found})
    return {"source": OWN, "probes": len(found), "states": {name: sum(s == name for *_, s in found) for name in states}}


def sweep(lab: Lab, truth: Truth) -> dict[str, Any]:
    """A ping to each of thirty addresses; nmap's report tells who is up."""
    truth.step("ping sweep")
    report = lab.folder / "sweep.xml"
    words = ["nmap", "-sn", "-n", "-PE", "--disable-arp-ping", "--max-retries", "0", "-oX", str(report), "10.40.6.1-30"]
    lab.run("scanner", words)
    up = [str(found.get("addr")) for found in ET.parse(report).getroot().iterfind("host/address[@addrtype='ipv4']")]
    for address in up:
        truth.add(
            who="scanner", program="nmap", scan="sweep", proto="icmp", src=OWN, src_port=8, dst=address, dst_port=0, service=None,
            outcome="answered",
        )  # fmt: skip
    return {"source": OWN, "asked": 30, "up": up}


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The sweep, then each scan."""
    scans: dict[str, Any] = {"sweep": sweep(lab, truth)}
    for scan in SCANS:
        time.sleep(1)
        scans[scan.name] = run_scan(lab, truth, scan)
    return {"scans": scans}


SAMPLE = Sample("scans", "bridge of 10.40.6.0/24", 24, HOSTS, ("nmap", "dnsmasq", "nft", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
