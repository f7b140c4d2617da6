"""Make telemetry-*.pcapng and their truths: ``python -m sample_captures.make.telemetry [FOLDER]`` (root; about 50 seconds).

One DPU's traffic, recorded as packets at a mirror port, and told of five times over the management network: IPFIX, sFlow and
NetFlow 5 by Open vSwitch while it goes on; NetFlow 9 and IPFIX by softflowd, which reads that recording afterwards, with the
packets' own times. nfcapd and sfcapd collect what they say.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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

CARDS = Network("cards", "10.88.1")
SPARE = Network("spare", "10.89.1", "vxlan", 7200, 220)
"""nobody's: the switches learn their neighbours only where there is a tunnel"""
PLAN = Plan(
    dpus=("dpu1", "dpu2"),
    networks=(CARDS, SPARE),
    hosts=(
        Host("shop", "dpu1", "pf1hpf", CARDS, 11),
        Host("ledger", "dpu1", "pf1vf0", CARDS, 12),
        Host("desk", "dpu2", "pf1hpf", CARDS, 21),
    ),
)
ROLES = {"shop": "a web server on dpu1", "ledger": "a database on dpu1", "desk": "a client behind dpu2"}
BRIDGE, MIRROR = "ovsbr2", "mirror2"
EXPORTER, COLLECTOR = PLAN.management("dpu1"), building.ADMIN
ACTIVE = 8
"""seconds after which a flow that goes on is told of, with what there was so far"""
LONG = (8, 2.5)
"""requests of the long connection, and seconds between them: longer than ``ACTIVE``"""
SAMPLING = 4
"""sFlow takes one packet in so many, on average"""


@dataclass(frozen=True, slots=True)
class Export:
    """One way of telling, the port it is told to, and what collects it."""

    name: str
    format: str
    by: str
    port: int
    collector: str
    sampling: int = 1


EXPORTS = (
    Export("netflow9", "NetFlow 9", "softflowd", 2055, "nfcapd"),
    Export("ipfix", "IPFIX", "softflowd", 4739, "nfcapd"),
    Export("ipfix-ovs", "IPFIX", "Open vSwitch", 4740, "nfcapd"),
    Export("netflow5", "NetFlow 5", "Open vSwitch", 2056, "nfcapd"),
    Export("sflow", "sFlow 5", "Open vSwitch", 6343, "sfcapd", SAMPLING),
)


def start_collectors(lab: DpuLab) -> list[subprocess.Popen[bytes]]:
    """A collector for each of them on the management host, each with a folder of its own."""
    collectors = []
    for export in EXPORTS:
        folder = lab.folder / export.name
        folder.mkdir()
        words = [export.collector, "-p", str(export.port), "-b", COLLECTOR, "-w", str(folder)]
        collectors.append(lab.start("admin", words, f"{export.name}.log"))
        wait_for(f"the collector of {export.name}", lambda port=export.port: lab.listening("admin", port))  # type: ignore[misc]
    return collectors


def add_mirror(lab: DpuLab) -> None:
    """A port that gets everything that crosses the bridge, once."""
    new = f"--id=@new create mirror name={MIRROR} select_all=true output_port=@out"
    port = f"add-port {BRIDGE} {MIRROR} -- set interface {MIRROR} type=internal"
    lab.vsctl("dpu1", *f"{port} -- --id=@out get port {MIRROR} -- {new} -- set bridge {BRIDGE} mirrors=@new".split())
    lab.ip("dpu1", f"link set {MIRROR} up")


def start_exporters(lab: DpuLab) -> None:
    """Open vSwitch's three on the bridge, none on the bridge where the lab has them."""
    lab.vsctl("dpu1", "clear", "bridge", "ovsbr1", "ipfix", "netflow", "sflow")
    targets = {export.name: f'targets="{COLLECTOR}:{export.port}"' for export in EXPORTS}
    ipfix = f"create ipfix {targets['ipfix-ovs']} sampling=1 cache_active_timeout={ACTIVE} cache_max_flows=1000"
    # each packet once, where it comes in: with this switch's reading of the option, `true` leaves out where it goes to
    ipfix += " obs_domain_id=88 obs_point_id=1 other_config:enable-output-sampling=true"
    netflow = f"create netflow {targets['netflow5']} active_timeout={ACTIVE}"
    sflow = f"create sflow {targets['sflow']} agent=oob_net0 header=128 sampling={SAMPLING} polling=10"
    new = f"--id=@i {ipfix} -- --id=@n {netflow} -- --id=@s {sflow}"
    lab.vsctl("dpu1", "--", *f"{new} -- set bridge {BRIDGE} ipfix=@i netflow=@n sflow=@s".split())


def play(lab: DpuLab, truth: Truth) -> None:
    """Connections of every kind, one of them longer than exporters wait before they tell of it."""
    shop, ledger, desk = (PLAN.host(name) for name in ("shop", "ledger", "desk"))
    times, pause = LONG
    truth.step("a long connection begins")
    with ThreadPoolExecutor(1) as beside:
        long = beside.submit(
            talking.ask,
            lab,
            truth,
            "desk",
            "tcp",
            desk.address,
            ledger.address,
            5432,
            up=400,
            down=1200,
            times=times,
            pause=pause,
        )
        truth.step("short ones beside it")
        for n in range(5):
            fetch(lab, truth, "desk", f"http://{shop.address}/index.html", f"http://{shop.address}/health")
            talking.ask(
                lab, truth, "shop", "tcp", shop.address, ledger.address, 5432, up=250, down=800 + 900 * n, times=1 + n % 3
            )
            talking.ask(lab, truth, "shop", "udp", shop.address, ledger.address, 8125, up=70, down=0, times=2 + n)
            time.sleep(pause / 2)
        fetch(lab, truth, "desk", f"http://[{shop.address6}]/index.html", options=("-g",))
        talking.ping(lab, truth, "desk", desk.address, shop.address, 4)
        talking.ask(lab, truth, "desk", "tcp", desk.address, shop.address, 23)
        talking.ask(lab, truth, "desk", "udp", desk.address, ledger.address, 5353, up=50, down=150, times=3)
        talking.ask(lab, truth, "desk", "tcp", desk.address, ledger.address, 5432, up=120, down=45_000)
        long.result()


def stop_exporters(lab: DpuLab) -> dict[str, int]:
    """Have Open vSwitch tell the rest; its own count of what its IPFIX exporter did."""
    lab.appctl(
        "dpu1", "revalidator/purge"
    )  # NetFlow counts from what the datapath's flows have told the switch: have them tell all
    lab.vsctl("dpu1", *f"clear bridge {BRIDGE} netflow sflow".split())
    text = lab.ofctl("dpu1", "dump-ipfix-bridge", BRIDGE).split("bridge ipfix:")[1]
    lab.vsctl("dpu1", *f"clear bridge {BRIDGE} ipfix".split())
    return {name.strip().replace(" ", "_"): int(count) for name, count in re.findall(r"([a-z][a-z0-9 ]+)=(\d+)", text)}


def replay(lab: DpuLab, recording: Path) -> dict[str, dict[str, int]]:
    """Have softflowd tell of a recording, once in each format, with the packets' own times; its statistics.

    It reads the recording under the port's name, for it exports the name of what it reads; not the port itself, where libpcap
    keeps it waiting until a whole ring block is full.
    """
    (lab.folder / MIRROR).symlink_to(recording)
    said = {}
    for name, version in (("netflow9", "9"), ("ipfix", "10")):
        port = next(export.port for export in EXPORTS if export.name == name)
        words = f"-r {MIRROR} -a -d -c none -p {name}.pid -v {version} -n {COLLECTOR}:{port} -t maxlife={ACTIVE} -t expint=2"
        lab.start("dpu1", ["sh", "-c", f"cd {lab.folder} && exec softflowd {words}"], f"{name}.out").wait(30)
        said[name] = softflowd_says(lab.text(f"{name}.out"))
    return said


def softflowd_says(text: str) -> dict[str, int]:
    """Counts in softflowd's statistics; its flows have two directions, its records one each."""
    wanted = (
        r"Packets processed: (\d+)", r"\((\d+) non-IP,", r"Flows expired: (\d+)", r"Flows exported: (\d+)", r"\((\d+) records\)",
        r"in (\d+) packets",
    )  # fmt: skip
    found = re.search(".*".join(wanted), text, re.DOTALL)
    if found is None:
        raise ValueError(f"softflowd gave no statistics: {text}")
    names = ("packets", "packets_not_ip", "flows_expired", "flows_exported", "records", "datagrams")
    return dict(zip(names, map(int, found.groups()), strict=True))


def collected(lab: DpuLab, export: Export) -> dict[str, int]:
    """What nfdump reads out of a collector's files.

    Of Open vSwitch's IPFIX only the count of records: nfdump takes the running totals that it also sends for counts.
    """
    text = lab.run("admin", ["nfdump", "-R", str(lab.folder / export.name), "-I"])
    said = {name.lower(): int(count) for name, count in re.findall(r"^(Flows|Packets|Bytes): (\d+)$", text, re.MULTILINE)}
    return {"flows": said["flows"]} if export.name == "ipfix-ovs" else said


def make(folder: Path) -> dict[str, Any]:
    """All twelve files into ``folder``; returns the ground truth of the packets."""
    truth = Truth()
    with DpuLab(PLAN) as lab:
        for host in PLAN.hosts:
            lab.run(host.name, ["sysctl", "-qw", f"net.ipv6.conf.{host.device}.router_solicitations=0"])
        add_mirror(lab)
        building.start_nginx(lab, PLAN.host("shop"))
        talking.serve(lab, "ledger", PLAN.host("ledger").address, "tcp:5432", "udp:8125", "udp:5353")
        time.sleep(3)  # what the hosts' own IPv6 says at the beginning
        collectors = start_collectors(lab)
        told = {export.name: Recorder(lab, "admin", "eth0", only=f"udp port {export.port}") for export in EXPORTS}
        packets = Recorder(lab, "dpu1", MIRROR)
        start_exporters(lab)
        play(lab, truth)
        counted = {"packets": packets.stop()}
        said = {"ipfix-ovs": stop_exporters(lab), **replay(lab, packets.raw)}
        counted |= {name: recorder.stop() for name, recorder in told.items()}
        for process in collectors:
            lab.end(process)
        base = {"hosts": [{"name": h.name, "ip": h.address, "mac": mac_of(h.address), "role": ROLES[h.name]} for h in PLAN.hosts]}
        base |= {"programs": versions(("ovs-vswitchd", "softflowd", "nfcapd", "nfdump", "curl", "nginx", "nping", "dumpcap"))}
        document = {
            "capture": "telemetry-packets.pcapng", "seen_at": f"mirror port of {BRIDGE} of dpu1, all that crosses it", **base,
            "dumpcap": counted["packets"], "told_by": [f"telemetry-{export.name}.pcapng" for export in EXPORTS], **asdict(truth),
        }  # fmt: skip
        write(folder, "telemetry-packets", document, packets.raw.read_bytes(), "telemetry")
        for export in EXPORTS:
            row = {**asdict(export), "of": "telemetry-packets.pcapng", "exporter_ip": EXPORTER, "collector_ip": COLLECTOR}
            row |= {"active_timeout": ACTIVE, "exporter_says": said.get(export.name), "collector_says": collected(lab, export)}
            copy = {
                "capture": f"telemetry-{export.name}.pcapng", "seen_at": "the collector's port on the management network",
                **base, "dumpcap": counted[export.name], "telemetry": row, "steps": truth.steps,
                "planted": truth.planted if export.name == "sflow" else [],
            }  # fmt: skip
            write(folder, f"telemetry-{export.name}", copy, told[export.name].raw.read_bytes(), "telemetry")
    return document


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
