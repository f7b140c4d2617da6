"""Make overlays.pcapng and its ground truth: ``python -m sample_captures.make.overlays [FOLDER]`` (root; about 30 seconds).

Two DPUs' Open vSwitches carry four tenants' networks between them, two in VXLAN and two in Geneve (with an option, as OVN adds
one). All tenants use the same addresses, the same MACs and, in part, the same ports at the same time: only the network ids tell
them apart. Recorded at the first DPU's uplink.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sample_captures.make import talking
from sample_captures.make.clients import fetch
from sample_captures.make.lab import mac_of
from sample_captures.make.recording import Recorder, Truth, command_line, versions, write
from tests.lab import building
from tests.lab.dataplane import DpuLab
from tests.lab.plan import Host, Network, Plan

PREFIX = "10.80.1"
CLIENT, SERVER = f"{PREFIX}.11", f"{PREFIX}.21"
TENANTS = (
    Network("red", PREFIX, "vxlan", 7001, 201),
    Network("blue", PREFIX, "vxlan", 7002, 202),
    Network("teal", PREFIX, "geneve", 7003, 203),
    Network("amber", PREFIX, "geneve", 7004, 204),
)
PLAN = Plan(
    dpus=("dpu1", "dpu2"),
    networks=TENANTS,
    hosts=tuple(
        Host(f"{tenant.name}-{end}", dpu, f"pf0vf{n}", tenant, number)
        for n, tenant in enumerate(TENANTS)
        for end, dpu, number in (("a", "dpu1", 11), ("b", "dpu2", 21))
    ),
)
OPTION = "{class=0x0102,type=0x80,len=4}->tun_metadata0"
"""a Geneve option of OVN's class and type: the ports that a packet comes from and goes to"""
SAME_PORT = 40_001
"""the clients' source port in every tenant"""


def add_options(lab: DpuLab) -> None:
    """Have what goes into a Geneve tunnel carry an option; everything is switched as before."""
    for dpu in PLAN.dpus:
        lab.ofctl(dpu, "add-tlv-map", "ovsbr1", OPTION)
        for n, tenant in enumerate(TENANTS):
            if tenant.tunnel == "geneve":
                rule = f"priority=10,in_port=pf0vf{n},actions=set_field:0x000{n}000{n + 1}->tun_metadata0,NORMAL"
                lab.ofctl(dpu, "add-flow", "ovsbr1", rule)


def where(tenant: Network) -> dict[str, Any]:
    """What is noted of a connection: whose it is, and in what it is carried."""
    return {
        "tenant": tenant.name,
        "network": f"vni:{tenant.vni}",
        "vni": tenant.vni,
        "tunnel": tenant.tunnel,
        "outer_src": PLAN.underlay("dpu1"),
        "outer_dst": PLAN.underlay("dpu2"),
    }


def same_tuple(lab: DpuLab, truth: Truth, n: int, tenant: Network) -> None:
    """One connection and one socket's datagrams, from the port that all tenants use; each tenant has sizes of its own."""
    client, carried = f"{tenant.name}-a", where(tenant)
    talking.ask(
        lab, truth, client, "tcp", CLIENT, SERVER, 8080, source=SAME_PORT,
        up=200 + 10 * n, down=3000 + 100 * n, times=3 + n, pause=0.4, **carried,
    )  # fmt: skip
    talking.ask(
        lab, truth, client, "udp", CLIENT, SERVER, 8125, source=SAME_PORT,
        up=60 + n, down=90 + n, times=2 + n, pause=0.4, **carried,
    )  # fmt: skip


def play(lab: DpuLab, truth: Truth) -> None:
    """The same for every tenant; then what is each one's own."""
    truth.step("the same five-tuple in every tenant, at the same time")
    with ThreadPoolExecutor(len(TENANTS)) as together:
        for done in [together.submit(same_tuple, lab, truth, n, tenant) for n, tenant in enumerate(TENANTS)]:
            done.result()
    truth.step("what is each tenant's own")
    for n, tenant in enumerate(TENANTS):
        talking.ping(lab, truth, f"{tenant.name}-a", CLIENT, SERVER, 2 + n, **where(tenant))
        talking.ask(lab, truth, f"{tenant.name}-a", "tcp", CLIENT, SERVER, 8080, up=100, down=9000 * n + 500, **where(tenant))
        talking.ask(lab, truth, f"{tenant.name}-a", "tcp", CLIENT, SERVER, 22, **where(tenant))
    truth.step("pages over IPv4 and IPv6 in red and teal")
    for tenant in (TENANTS[0], TENANTS[2]):
        six = PLAN.host(f"{tenant.name}-b").address6
        for url in (f"http://{SERVER}/index.html", f"http://[{six}]/index.html"):
            fetch(lab, truth, f"{tenant.name}-a", url, options=("-g",), **where(tenant))


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    truth = Truth()
    with DpuLab(PLAN) as lab:
        add_options(lab)
        for tenant in TENANTS:
            talking.serve(lab, f"{tenant.name}-b", SERVER, "tcp:8080", "udp:8125")
        for tenant in (TENANTS[0], TENANTS[2]):
            building.start_nginx(lab, PLAN.host(f"{tenant.name}-b"))
        recorder = Recorder(lab, "fabric", "p0-dpu1")
        play(lab, truth)
        counted = recorder.stop()
        document = {
            "capture": "overlays.pcapng",
            "seen_at": "uplink p0 of dpu1: the wire between the tunnel ends, everything encapsulated",
            "hosts": [
                {"name": h.name, "ip": h.address, "mac": mac_of(h.address), "role": f"{h.network.name}'s, {h.port} of {h.dpu}"}
                for h in PLAN.hosts
            ],
            "programs": versions(("ovs-vswitchd", "curl", "nginx", "nping", "python3", "dumpcap")),
            "dumpcap": counted,
            "overlays": [
                {"tenant": t.name, "tunnel": t.tunnel, "vni": t.vni, "ends": [PLAN.underlay(dpu) for dpu in PLAN.dpus]}
                for t in TENANTS
            ],
            **asdict(truth),
        }  # fmt: skip
        write(folder, "overlays", document, recorder.raw.read_bytes())
    return document


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
