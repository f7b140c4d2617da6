"""Make dns-tunnel.pcapng and its ground truth: ``python -m sample_captures.make.dns_tunnel [FOLDER]`` (root; about 15 seconds).

iodine, which carries IP in names and answers: first in NULL records, then in TXT. The infected machine asks the network's own
resolver, which passes the questions on to the far end, as resolvers do; so both legs are seen, and only one of the two hosts that
ask is infected. A person's ordinary look-ups go on meanwhile.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import talking
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "dns": ("10.40.12.53", "the network's resolver"),
    "desk": ("10.40.12.21", "a person's workstation"),
    "infected": ("10.40.12.66", "machine with a tunnel in names"),
    "far": ("10.40.12.99", "name server of t.lab.example: the tunnel's other end"),
}
RESOLVER, DESK, INFECTED, FAR = (address for address, _ in HOSTS.values())
DOMAIN = "t.lab.example"
INNER = "10.99.12.1"
OWN_PORT = 53053
"""the resolver's, so that what it passes on is one flow"""
PASSWORD = "Bramble-Lock-58"
NAMES = tuple(
    f"{name}.works.example" for name in ("www", "mail", "wiki", "build", "files", "api-3", "static-assets", "telemetry-eu")
)
TYPES = ("NULL", "TXT")
ASKED = re.compile(r" (\S+)/(\d+) query\[(\w+)\] ")
"""in the resolver's log; names that can't be printed aren't"""


def prepare(lab: Lab) -> None:
    """The resolver, and the far end with a service behind it."""
    options = ["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="]
    options += ["--log-queries=extra", "--log-facility=-", f"--listen-address={RESOLVER}", "--bind-interfaces"]
    options += [f"--query-port={OWN_PORT}", f"--server=/{DOMAIN}/{FAR}"]
    options += [f"--host-record={name},10.40.12.10" for name in NAMES]
    lab.start("dns", ["dnsmasq", *options], "dnsmasq.log")
    far = ["iodined", "-f", "-c", "-d", "dns0", "-l", FAR, "-P", PASSWORD, f"{INNER}/27", DOMAIN]
    lab.start("far", far, "iodined.log")
    wait_for("dnsmasq", lambda: lab.listening("dns", 53))
    wait_for("iodined", lambda: lab.listening("far", 53))
    talking.serve(lab, "far", INNER, "tcp:9000")


def tunnel(lab: Lab, truth: Truth, kind: str, up: int) -> dict[str, Any]:
    """One tunnel and a connection within; what its sockets counted."""
    truth.step(f"a tunnel in {kind} records")
    log = f"iodine-{kind}.log"
    words = ["iodine", "-f", "-r", "-d", "dns0", "-T", kind, "-m", "300", "-P", PASSWORD, RESOLVER, DOMAIN]
    client = lab.start("infected", words, log)
    wait_for("iodine", lambda: "Connection setup complete" in lab.text(log))
    own = json.loads(lab.run("infected", ["ip", "-j", "-4", "addr", "show", "dev", "dns0"]))[0]["addr_info"][0]["local"]
    ask = ["ask", "tcp", own, INNER, "9000", "--up", str(up), "--down", "400"]
    said: dict[str, Any] = json.loads(lab.run("infected", [sys.executable, "-m", "sample_captures.make.talk", *ask]))
    lab.end(client)
    return {"type": kind, "sent": said["sent"], "received": said["received"]}


def look_up(lab: Lab) -> None:
    """The person's look-ups, a socket each."""
    for name in NAMES:
        lab.run("desk", ["dig", "+tries=1", f"@{RESOLVER}", name, "A"])


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Look-ups, a tunnel, look-ups, another tunnel; who asked from which socket is told by the resolver's log."""
    began = round(time.time(), 3)
    truth.plant(PASSWORD, "password", clear=False)
    truth.plant(talking.SECRET, "body", clear=False)
    tunnels = []
    for kind in TYPES:
        look_up(lab)
        tunnels.append(tunnel(lab, truth, kind, 4000))
    asked: dict[tuple[str, int], set[str]] = {}
    questions = ASKED.findall(lab.text("dnsmasq.log"))
    for client, port, kind in questions:
        asked.setdefault((client, int(port)), set()).add(kind)
    for (client, port), kinds in asked.items():
        truth.add(
            who="infected" if client == INFECTED else "desk", program="iodine" if client == INFECTED else "dig", time=began,
            proto="udp", src=client, src_port=port, dst=RESOLVER, dst_port=53, service="dns", outcome="answered",
            types=sorted(kinds),
        )  # fmt: skip
    truth.add(
        who="dns", program="dnsmasq", time=began, proto="udp", src=RESOLVER, src_port=OWN_PORT, dst=FAR, dst_port=53,
        service="dns", outcome="answered",
    )  # fmt: skip
    queries = sum(client == INFECTED for client, *_ in questions)
    return {"tunnel": {"source": INFECTED, "resolver": RESOLVER, "domain": DOMAIN, "queries": queries, "carried": tunnels}}


SAMPLE = Sample("dns-tunnel", "bridge of 10.40.12.0/24", 24, HOSTS, ("iodine", "dnsmasq", "dig", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
