"""Make churn.pcapng and its ground truth: ``python -m sample_captures.make.churn [FOLDER]`` (root; about ten minutes).

A node's pod network. One address, 10.244.7.23, is held by three pods one after the other within ten minutes; a fourth pod
restarts and comes back with another address. Each pod is a namespace of its own that is made and removed while the capture runs;
nothing is sped up: the times are the clock's.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sample_captures.make import talking
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "db": ("10.244.7.5", "a database behind tcp/5432"),
    "stats": ("10.244.7.6", "takes counters on udp/8125, never answers"),
    "lb": ("10.244.7.10", "asks the pods that serve"),
}
SHARED = "10.244.7.23"
HOLD = 165.0
"""seconds that each holder keeps the shared address"""
GAP = 12.0
"""seconds between two holders"""
ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Pod:
    """One workload as a cluster would list it."""

    name: str
    namespace: str
    uid: str
    ip: str
    mac: str
    labels: dict[str, str]
    space: str
    """its network namespace; short, for a link's name is made of it"""


PREP = Pod(
    "train-prep-x7k2q", "ml", "3f0c1a52-7d1e-4c7b-9a30-51d0c2e8b711", SHARED, "5a:7c:1e:40:11:01",
    {"app": "train", "job": "prep"}, "prep",
)  # fmt: skip
CANARY = Pod(
    "shop-canary-5d9f7", "shop", "a81b94d0-02c6-4f35-b2f4-8e6f3a917c22", SHARED, "5a:7c:1e:40:22:02",
    {"app": "shop", "track": "canary"}, "canary",
)  # fmt: skip
DEBUG = Pod(
    "debug-shell-zz4tn", "ml", "6be2d7f9-5a48-4b0d-8c11-0f4d27c5e933", SHARED, "5a:7c:1e:40:33:03",
    {"run": "debug-shell"}, "debug",
)  # fmt: skip
CACHE = Pod(
    "cache-0", "shop", "c4d9e0b7-91aa-4d0c-a6f5-7725d13b8e44", "10.244.7.24", "5a:7c:1e:40:44:04",
    {"app": "cache"}, "cache",
)  # fmt: skip
CACHE_AGAIN = Pod(
    "cache-0", "shop", "e5a7f3c8-64bb-4e2f-97d1-1b0a9c6d4f55", "10.244.7.31", "5a:7c:1e:40:55:05",
    {"app": "cache"}, "cache-b",
)  # fmt: skip


def start(lab: Lab, truth: Truth, pod: Pod, held: list[dict[str, Any]]) -> None:
    """A pod's namespace, its link with its own MAC, and a gratuitous ARP as a container runtime sends it."""
    truth.step(f"{pod.namespace}/{pod.name} starts at {pod.ip}")
    began = time.time()
    lab.add_space(pod.space)
    lab.run(pod.space, ["sysctl", "-qw", "net.ipv4.conf.default.arp_notify=1"])
    lab.plug(pod.space, "eth0", "fabric", "br0", f"{pod.ip}/24", pod.mac)
    time.sleep(0.2)  # the bridge has to see the link before it forwards
    lab.ip(pod.space, f"link set eth0 address {pod.mac}")  # what makes the kernel say who it is
    row = {key: value for key, value in asdict(pod).items() if key != "space"}
    held.append({**row, "kind": "pod", "node": "node-7", "from": began, "to": None})


def stop(lab: Lab, truth: Truth, pod: Pod, held: list[dict[str, Any]]) -> None:
    """The pod's end: its namespace is removed, with its MAC and its address."""
    lab.remove_space(pod.space)
    next(row for row in held if row["uid"] == pod.uid)["to"] = time.time()
    truth.step(f"{pod.namespace}/{pod.name} is gone")


def of(pod: Pod) -> dict[str, Any]:
    """What is noted of a connection that a pod takes part in."""
    return {"pod": f"{pod.namespace}/{pod.name}", "uid": pod.uid}


def prepare_data(lab: Lab, truth: Truth, turn: int) -> None:
    """The first holder reads from the database and counts."""
    talking.ask(lab, truth, "prep", "tcp", SHARED, "10.244.7.5", 5432, up=180, down=2600 + 100 * turn, times=2, **of(PREP))
    talking.ask(lab, truth, "prep", "udp", SHARED, "10.244.7.6", 8125, up=60, down=0, times=3, **of(PREP))


def serve_canary(lab: Lab, truth: Truth, turn: int) -> None:
    """The second holder serves: here the address is the responder."""
    if turn == 0:
        talking.serve(lab, "canary", SHARED, "tcp:8080")
    talking.ask(lab, truth, "lb", "tcp", "10.244.7.10", SHARED, 8080, up=300, down=1500, times=2 + turn % 2, **of(CANARY))
    talking.ask(lab, truth, "canary", "tcp", SHARED, "10.244.7.24", 6379, up=80, down=220, **of(CANARY))


def pry(lab: Lab, truth: Truth, turn: int) -> None:
    """The third holder tries the database's other ports, is refused, and takes more than the others did."""
    for port in (22, 2379, 6443 + turn):
        talking.ask(lab, truth, "debug", "tcp", SHARED, "10.244.7.5", port, **of(DEBUG))
    talking.ask(lab, truth, "debug", "tcp", SHARED, "10.244.7.5", 5432, up=90, down=9000, **of(DEBUG))
    talking.ping(lab, truth, "debug", SHARED, "10.244.7.10", 2, **of(DEBUG)) if turn == 0 else None


def hold(work: Callable[[int], None]) -> None:
    """``ROUNDS`` turns of ``work``, spread over ``HOLD`` seconds by the clock."""
    began = time.monotonic()
    for turn in range(ROUNDS):
        work(turn)
        time.sleep(max(0.0, began + HOLD * (turn + 1) / ROUNDS - time.monotonic()))


def prepare(lab: Lab) -> None:
    """The services that outlive the pods."""
    talking.serve(lab, "db", "10.244.7.5", "tcp:5432")
    talking.serve(lab, "stats", "10.244.7.6", "udp:8125")


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Three holders of one address, with the cache beside them."""
    held: list[dict[str, Any]] = []
    start(lab, truth, CACHE, held)
    talking.serve(lab, "cache", CACHE.ip, "tcp:6379")
    for pod, work in ((PREP, prepare_data), (CANARY, serve_canary), (DEBUG, pry)):
        start(lab, truth, pod, held)
        hold(lambda turn, work=work: work(lab, truth, turn))  # type: ignore[misc]
        time.sleep(min(1.0, HOLD))  # its last connections close
        stop(lab, truth, pod, held)
        if pod is CANARY:
            stop(lab, truth, CACHE, held)
            start(lab, truth, CACHE_AGAIN, held)
            talking.serve(lab, "cache-b", CACHE_AGAIN.ip, "tcp:6379")
        talking.ask(lab, truth, "lb", "tcp", "10.244.7.10", "10.244.7.5", 5432, up=100, down=700)
        time.sleep(GAP)
    talking.ask(lab, truth, "lb", "tcp", "10.244.7.10", CACHE_AGAIN.ip, 6379, up=70, down=300, **of(CACHE_AGAIN))
    stop(lab, truth, CACHE_AGAIN, held)
    return {"workloads": held, "shared_address": SHARED, "clock": "as it happened; nothing was sped up or shifted"}


SAMPLE = Sample(
    "churn", "bridge of node-7's pod network 10.244.7.0/24", 24, HOSTS, ("ip", "nping", "python3", "dumpcap"), play, prepare
)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
