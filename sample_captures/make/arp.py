"""Make arp.pcapng and its ground truth: ``python -m sample_captures.make.arp [FOLDER]`` (root; about 25 seconds).

A forger tells a client that the gateway's address is at its own MAC, and the gateway the same of the client, again and again with
answers that nobody asked for, while both of them go on saying who they are. Then it sends a few whose frames come from a third
MAC. The sender's own account says how many. An address that changes hands once, as it should, is in churn.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import talking
from sample_captures.make.lab import Lab, mac_of
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "gateway": ("10.40.9.1", "gateway"),
    "store": ("10.40.9.10", "data sets, tcp/9000"),
    "client": ("10.40.9.21", "client of the store"),
    "forger": ("10.40.9.66", "forges ARP"),
}
GATEWAY, STORE, CLIENT, FORGER = (address for address, _ in HOSTS.values())
THIRD = "02:00:0a:28:09:ee"
"""nobody's: the frames' source of the last few"""
ROUNDS, PAUSE, FORGED = 16, 0.5, 3


def prepare(lab: Lab) -> None:
    """The service that is asked meanwhile."""
    talking.serve(lab, "store", STORE, "tcp:9000")


def talk_to(lab: Lab, who: str, address: str) -> None:
    """An echo request: before it the address is asked for by ARP, and who is asked says its MAC."""
    lab.run(who, ["nping", "--icmp", "-c", "1", address])


def send(lab: Lab, pause: float, times: int, *packets: tuple[str, int, str, str, str, str]) -> dict[str, Any]:
    """Have the forger send these; its account."""
    lines = [",".join(map(str, packet)) for packet in packets]
    said: dict[str, Any] = json.loads(
        lab.run("forger", [sys.executable, "-m", "sample_captures.make.arp_send", "eth0", str(pause), str(times), *lines])
    )
    return said


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Ordinary traffic, the forgery with ordinary traffic between, ordinary traffic."""
    own, false = mac_of(FORGER), 0
    truth.step("the client talks to gateway and store")
    talk_to(lab, "client", GATEWAY)
    talking.ask(lab, truth, "client", "tcp", CLIENT, STORE, 9000, up=120, down=900)
    truth.step("the forger claims the gateway's and the client's address")
    to_client = (own, 2, own, GATEWAY, mac_of(CLIENT), CLIENT)
    to_gateway = (own, 2, own, CLIENT, mac_of(GATEWAY), GATEWAY)
    for _ in range(4):
        false += send(lab, PAUSE, ROUNDS // 4, to_client, to_gateway)["sent"]
        for who, whom in (("client", GATEWAY), ("gateway", CLIENT)):
            lab.ip(who, "neigh flush all")
            talk_to(lab, who, whom)
    truth.step("a few frames from a third MAC")
    forged = send(lab, 0.2, FORGED, (THIRD, 2, own, GATEWAY, mac_of(CLIENT), CLIENT))["sent"]
    for who in ("client", "gateway"):
        lab.ip(who, "neigh flush all")
    talking.ask(lab, truth, "client", "tcp", CLIENT, STORE, 9000, up=120, down=900)
    time.sleep(0.5)
    claimed = [GATEWAY, CLIENT]
    return {
        "arp_spoofing": {"forger": own, "claimed": claimed, "answers": false + forged, "forged": forged, "frames_from": THIRD}
    }


SAMPLE = Sample("arp", "bridge of 10.40.9.0/24", 24, HOSTS, ("nping", "python3", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
