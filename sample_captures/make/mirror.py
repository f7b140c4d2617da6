"""Make mirror-{plain,gre,erspan2,erspan3}.pcapng and truths: ``python -m sample_captures.make.mirror [FOLDER]`` (root; 20 s).

One port of a DPU's Open vSwitch is mirrored three times at once, over GRE, ERSPAN type II and ERSPAN type III, to a collector
beyond the uplink; the same port is recorded as it is. So four captures hold the same traffic, three of them encapsulated.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sample_captures.make import talking
from sample_captures.make.clients import fetch
from sample_captures.make.lab import mac_of, wait_for
from sample_captures.make.recording import Recorder, Truth, command_line, versions, write
from tests.lab import building
from tests.lab.dataplane import DpuLab
from tests.lab.plan import Host, Network, Plan

CARDS = Network("cards", "10.85.1")
SPARE = Network("spare", "10.86.1", "vxlan", 7100, 210)
"""nobody's: a switch learns its tunnel neighbours only where there is a tunnel"""
PLAN = Plan(
    dpus=("dpu1", "dpu2"),
    networks=(CARDS, SPARE),
    hosts=(
        Host("orders", "dpu1", "pf1hpf", CARDS, 11),
        Host("ledger", "dpu1", "pf1vf0", CARDS, 12),
        Host("desk", "dpu2", "pf1hpf", CARDS, 21),
    ),
)
ROLES = {
    "orders": "its port pf1hpf of dpu1 is the mirrored one",
    "ledger": "beside it on the same DPU",
    "desk": "behind dpu2",
}
PORT = "pf1hpf"
SETTLE = 3.0
"""seconds for the hosts' own IPv6 to say what it says at the beginning"""


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror: how it travels, and the collector's address it goes to."""

    name: str
    tunnel: str
    collector: str
    options: str


MIRRORS = (
    Mirror("gre", "gre", "192.0.2.9", "type=gre"),
    Mirror("erspan2", "erspan2/gre", "192.0.2.10", "type=erspan options:key=21 options:erspan_ver=1 options:erspan_idx=5"),
    Mirror(
        "erspan3", "erspan3/gre", "192.0.2.11",
        "type=erspan options:key=31 options:erspan_ver=2 options:erspan_dir=0 options:erspan_hwid=9",
    ),
)  # fmt: skip


def add_collector(lab: DpuLab) -> None:
    """A host on the uplinks' bridge with an address for each mirror, that takes GRE and says nothing about it."""
    lab.add_space("collector")
    lab.plug("collector", "eth0", "fabric", "br0", f"{MIRRORS[0].collector}/24")
    for mirror in MIRRORS[1:]:
        lab.ip("collector", f"addr add {mirror.collector}/24 dev eth0")
    lab.ip("collector", "link set eth0 mtu 9000")
    lab.ip("fabric", "link set p-collector mtu 9000")
    quiet = "add table ip quiet; add chain ip quiet take { type filter hook input priority 0; }; "
    lab.run("collector", ["nft", quiet + "add rule ip quiet take ip protocol gre drop"])


def add_mirrors(lab: DpuLab) -> None:
    """The tunnels to the collector, the mirrors of one port into them, and the collector's MAC learnt beforehand."""
    here = PLAN.underlay("dpu1")
    for mirror in MIRRORS:
        to = f"set interface {mirror.name} {mirror.options} options:local_ip={here} options:remote_ip={mirror.collector}"
        lab.vsctl("dpu1", "add-port", "ovsbr2", mirror.name, "--", *to.split())
        select = f"select_src_port=@seen select_dst_port=@seen output_port=@out name={mirror.name}"
        line = f"--id=@seen get port {PORT} -- --id=@out get port {mirror.name} -- --id=@new create mirror {select}"
        lab.vsctl("dpu1", "--", *line.split(), "--", "add", "bridge", "ovsbr2", "mirrors", "@new")

    def known() -> bool:
        for mirror in MIRRORS:
            lab.run("dpu1", ["bash", "-c", f"echo > /dev/udp/{mirror.collector}/9"], check=False)
        said = lab.appctl("dpu1", "tnl/neigh/show")
        return all(f"{mirror.collector} " in said for mirror in MIRRORS)

    wait_for("the collector's MAC", known)


def play(lab: DpuLab, truth: Truth) -> None:
    """What the mirrored port sees: it asks and is asked, on its own DPU and across, over IPv4 and IPv6."""
    orders, ledger, desk = (PLAN.host(name) for name in ("orders", "ledger", "desk"))
    truth.step("pages from the mirrored port")
    fetch(lab, truth, "desk", f"http://{orders.address}/index.html", f"http://{orders.address}/health")
    fetch(lab, truth, "desk", f"http://[{orders.address6}]/index.html", options=("-g",))
    truth.step("the mirrored port asks its neighbour")
    for n in range(4):
        talking.ask(lab, truth, "orders", "tcp", orders.address, ledger.address, 5432, up=300, down=900 + 700 * n, times=1 + n)
    talking.ask(lab, truth, "orders", "udp", orders.address, ledger.address, 8125, up=80, down=0, times=5)
    talking.ask(lab, truth, "orders", "tcp", orders.address, ledger.address, 23)
    truth.step("across the uplink")
    talking.ask(lab, truth, "orders", "tcp", orders.address, desk.address, 9000, up=200, down=40_000)
    talking.ping(lab, truth, "desk", desk.address, orders.address, 3)
    talking.ask(lab, truth, "desk", "udp", desk.address, orders.address, 5353, up=50, down=150, times=3)


def start_services(lab: DpuLab) -> None:
    """Everything that answers, listening before anything is recorded."""
    orders, ledger, desk = (PLAN.host(name) for name in ("orders", "ledger", "desk"))
    building.start_nginx(lab, orders)
    talking.serve(lab, "orders", orders.address, "udp:5353")
    talking.serve(lab, "ledger", ledger.address, "tcp:5432", "udp:8125")
    talking.serve(lab, "desk", desk.address, "tcp:9000")


def make(folder: Path) -> dict[str, Any]:
    """All eight files into ``folder``; returns the ground truth of the unmirrored capture."""
    truth = Truth()
    with DpuLab(PLAN) as lab:
        for host in PLAN.hosts:  # nobody looks for a router while one recorder after the other starts
            lab.run(host.name, ["sysctl", "-qw", f"net.ipv6.conf.{host.device}.router_solicitations=0"])
        add_collector(lab)
        add_mirrors(lab)
        start_services(lab)
        time.sleep(SETTLE)
        plain = Recorder(lab, "dpu1", PORT)
        mirrored = [Recorder(lab, "collector", "eth0", only=f"ip proto 47 and dst host {mirror.collector}") for mirror in MIRRORS]
        play(lab, truth)
        counted = [recorder.stop() for recorder in (plain, *mirrored)]
        base = {
            "hosts": [{"name": h.name, "ip": h.address, "mac": mac_of(h.address), "role": ROLES[h.name]} for h in PLAN.hosts],
            "programs": versions(("ovs-vswitchd", "curl", "nginx", "nping", "python3", "dumpcap")),
        }
        document = {
            "capture": "mirror-plain.pcapng", "seen_at": f"port {PORT} of dpu1, as it is", **base, "dumpcap": counted[0],
            "mirrored_as": [f"mirror-{mirror.name}.pcapng" for mirror in MIRRORS], **asdict(truth),
        }  # fmt: skip
        write(folder, "mirror-plain", document, plain.raw.read_bytes(), "mirror")
        for mirror, recorder, count in zip(MIRRORS, mirrored, counted[1:], strict=True):
            carried = {"tunnel": mirror.tunnel, "outer_src": PLAN.underlay("dpu1"), "outer_dst": mirror.collector}
            copy = {
                "capture": f"mirror-{mirror.name}.pcapng",
                "seen_at": f"the collector's port: Open vSwitch's mirror of {PORT} of dpu1, sent there",
                **base, "dumpcap": count, "mirror_of": "mirror-plain.pcapng", "mirror": {**asdict(mirror), **carried},
                **asdict(truth),
                "connections": [{**connection, **carried} for connection in truth.connections],
            }  # fmt: skip
            write(folder, f"mirror-{mirror.name}", copy, recorder.raw.read_bytes(), "mirror")
    return document


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
