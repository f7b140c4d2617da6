"""How a DpuLab is put up: namespaces, cables, switches, sshd and the programs behind them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sample_captures.make import servers
from sample_captures.make.lab import mac_of, wait_for
from tests.lab import switch
from tests.lab.plan import Host

if TYPE_CHECKING:
    from tests.lab.dataplane import DpuLab

ADMIN = "198.51.100.254"
FABRIC = {"br0": "p0-", "br1": "p1-", "br2": "oob-"}
"""the bridges between the DPUs, in ``fabric``: first uplinks, second uplinks, management; and what their ports begin with"""
OFFLOADS = "tx off tso off gso off gro off"
"""a sender's unfinished checksums would cross the userspace switch as they are, and the far kernel drops them"""
WIRE_MTU = 9000
"""room for the tunnel headers around 1500 bytes"""
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/{host}.pid;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/{host}.access; server_tokens off; root {folder}/www;
  client_body_temp_path {folder}/{host}.b; proxy_temp_path {folder}/{host}.p; fastcgi_temp_path {folder}/{host}.f;
  uwsgi_temp_path {folder}/{host}.u; scgi_temp_path {folder}/{host}.s;
  server {{ listen {address}:80; listen [{address6}]:80; }}
}}
"""
SSH_CLIENT = """
Host *
  User root
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {folder}/known_dpus
  StrictHostKeyChecking yes
  PasswordAuthentication no
  ConnectTimeout 5
"""


def build(lab: DpuLab) -> None:
    """Everything in the lab's plan; ready when this returns."""
    for dpu in lab.plan.dpus:
        (lab.dpu_folder(dpu) / "run" / "openvswitch").mkdir(parents=True)
        (lab.dpu_folder(dpu) / "run" / "sshd").mkdir()
    _add_spaces(lab)
    for dpu in lab.plan.dpus:
        _start_database(lab, dpu)
    _lay_cables(lab)
    for dpu in lab.plan.dpus:
        start_switch(lab, dpu)
        lab.vsctl(dpu, *switch.bridges(lab.plan, dpu), *switch.exporters("ovsbr1"))
    servers.make_keys(lab, "admin")
    _write_ssh_config(lab)
    for dpu in lab.plan.dpus:
        _start_sshd(lab, dpu)
    _start_programs(lab)
    settle(lab, lab.plan.dpus)


def start_switch(lab: DpuLab, dpu: str) -> None:
    """ovs-vswitchd, with a fresh log name each time; what its database holds is there when this returns."""
    folder = lab.dpu_folder(dpu)
    lab.switches[dpu] = lab.start(dpu, switch.vswitchd(folder), f"{dpu}/ovs-vswitchd.out")
    wait_for(f"ovs-vswitchd on {dpu}", lambda: bool(lab.vsctl(dpu, "get", "open_vswitch", ".", "cur_cfg")))


def settle(lab: DpuLab, dpus: Sequence[str]) -> None:
    """Give the bridges their tunnel ends' addresses, and wait until each switch knows its neighbours' MACs.

    A switch learns them from ARP alone, and drops what it has to tunnel before: the kernel is made to ask.
    """
    for dpu in dpus:
        lines = [f"addr replace {lab.plan.underlay(dpu)}/24 dev br-phy"]
        _batch(lab, [*lines, *(f"link set {device} up" for device in ("br-phy", "mirror0", "mirror1"))], dpu)
    for dpu in dpus:
        others = {lab.plan.underlay(other) for other in lab.plan.dpus if other != dpu}
        ask = ["bash", "-c", "; ".join(f"echo > /dev/udp/{other}/9" for other in sorted(others))]
        wait_for(f"tunnel neighbours of {dpu}", lambda dpu=dpu, others=others, ask=ask: _knows(lab, dpu, others, ask))


def _knows(lab: DpuLab, dpu: str, others: set[str], ask: Sequence[str]) -> bool:
    lab.run(dpu, ask, check=False)
    return others <= {line.split()[0] for line in lab.appctl(dpu, "tnl/neigh/show").splitlines() if line}


def _batch(lab: DpuLab, lines: Sequence[str], host: str | None = None) -> None:
    """Many ip commands in one process."""
    where = ["-n", lab.space(host)] if host else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def _add_spaces(lab: DpuLab) -> None:
    names = [*lab.plan.dpus, *dict.fromkeys(host.name for host in lab.plan.hosts), "fabric", "admin"]
    lab.spaces = [lab.space(name) for name in names]
    _batch(lab, [f"netns add {space}" for space in lab.spaces])


def _lay_cables(lab: DpuLab) -> None:
    """Every cable is a veth pair, from (namespace, device) to (namespace, device)."""
    ends: dict[str, list[str]] = {}
    cables: list[str] = []

    def cable(host: str, device: str, far_host: str, far: str, mtu: int = 1500, mac: str = "") -> None:
        here, there = (f"netns {lab.space(name)} mtu {mtu}" for name in (host, far_host))
        cables.append(f"link add {device} {here} {mac and 'address ' + mac} type veth peer name {far} {there}")
        ends.setdefault(host, []).append(device)
        ends.setdefault(far_host, []).append(far)

    for dpu in lab.plan.dpus:
        for device in ("p0", "p1"):
            cable(dpu, device, "fabric", f"{device}-{dpu}", WIRE_MTU)
        cable(dpu, "oob_net0", "fabric", f"oob-{dpu}", mac=mac_of(lab.plan.management(dpu)))
    cable("admin", "eth0", "fabric", "oob-admin", mac=mac_of(ADMIN))
    for host in lab.plan.hosts:
        cable(host.name, host.device, host.dpu, host.port, mac=mac_of(host.address))
    _batch(lab, cables)

    _batch(lab, [f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0" for bridge in FABRIC], "fabric")
    plugged = [(port, bridge) for port in ends["fabric"] for bridge, start in FABRIC.items() if port.startswith(start)]
    more = {
        "fabric": [f"link set {port} master {bridge}" for port, bridge in plugged] + [f"link set {b} up" for b in FABRIC],
        "admin": [f"addr add {ADMIN}/24 dev eth0"],
        **{dpu: [f"addr add {lab.plan.management(dpu)}/24 dev oob_net0"] for dpu in lab.plan.dpus},
    }
    for host in lab.plan.hosts:
        more.setdefault(host.name, []).extend(_addresses(lab, host))
    for name, devices in ends.items():
        script = "".join(f"ethtool -K {device} {OFFLOADS}\n" for device in devices)
        if name == "fabric" or name in lab.plan.dpus:
            # a port's frames belong to the switch: the kernel must neither answer ARP on it nor speak IPv6
            script += "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.arp_ignore=1\n"
        elif any(host.gateway for host in lab.plan.hosts if host.name == name):
            script += "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1\n"
        lab.run(name, ["sh", "-ec", script])
        _batch(lab, ["link set lo up", *(f"link set {device} up" for device in devices), *more[name]], name)


def _addresses(lab: DpuLab, host: Host) -> list[str]:
    """The ip commands that give a host its addresses and its way out."""
    lines = [f"addr add {host.address}/24 dev {host.device}", f"addr add {host.address6}/64 dev {host.device} nodad"]
    if host.gateway:
        return lines
    gates = [gate for gate in lab.plan.hosts if gate.gateway and gate.network == host.network]
    return lines + [f"route add default via {gate.address}" for gate in gates]


def _start_database(lab: DpuLab, dpu: str) -> None:
    folder = lab.dpu_folder(dpu)
    lab.run(dpu, ["ovsdb-tool", "create", str(folder / "conf.db"), str(switch.SCHEMA)])
    lab.start(dpu, switch.database(folder), f"{dpu}/ovsdb-server.out")
    wait_for(f"ovsdb-server on {dpu}", lambda: _answers(folder / "run" / "openvswitch" / "db.sock"))
    lab.vsctl(dpu, "--no-wait", "init")


def _write_ssh_config(lab: DpuLab) -> None:
    """``ssh_keyless`` knows the DPUs by name; ``ssh_config`` logs in with the lab's key too."""
    names = "".join(f"Host {dpu}\n  HostName {lab.plan.management(dpu)}\n" for dpu in lab.plan.dpus)
    keyless = lab.folder / "ssh_keyless"
    keyless.write_text(names + SSH_CLIENT.format(folder=lab.folder))
    (lab.folder / "ssh_config").write_text(f"{keyless.read_text()}  IdentityFile {lab.folder}/admin.key\n")


def _answers(path: Path) -> bool:
    """Whether something listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as end:
        return end.connect_ex(str(path)) == 0


def _start_sshd(lab: DpuLab, dpu: str) -> None:
    """sshd on the management port, with a host key and the lab's key made for this run."""
    folder = lab.dpu_folder(dpu)
    address = lab.plan.management(dpu)
    lab.run(dpu, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", dpu, "-f", str(folder / "hostkey")])
    lab.authorize(dpu, (lab.folder / "admin.key.pub").read_text())
    with (lab.folder / "known_dpus").open("a") as known:
        known.write(f"{address} {(folder / 'hostkey.pub').read_text()}")
    (folder / "sshd_config").write_text(switch.SSHD.format(address=address, folder=folder))
    (folder / "root").mkdir(mode=0o700)
    others = [line for line in Path("/etc/passwd").read_text().splitlines() if not line.startswith("root:")]  # tcpdump has one
    (folder / "passwd").write_text("\n".join([f"root:x:0:0:root:{folder}/root:/bin/sh", *others, ""]))
    accounts = {folder / "passwd": "/etc/passwd", lab.folder / "shadow": "/etc/shadow"}
    lab.start(dpu, ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], f"{dpu}/sshd.log", overlay=accounts)
    wait_for(f"sshd on {dpu}", lambda: lab.listening(dpu, 22))


def _start_programs(lab: DpuLab) -> None:
    """nginx on ``web`` (with TLS) and ``models``, dnsmasq on ``dns``, sshd on ``build``: those of them that the plan has."""
    names = {host.name: host for host in lab.plan.hosts}
    (lab.folder / "www" / "lab").write_text(f"{lab.tag}\n")
    if "web" in names:
        servers.start_nginx(lab)
    if "dns" in names:
        servers.start_dnsmasq(lab)
    if "build" in names:
        servers.start_sshd(lab, "build", names["build"].address)
    if "models" in names:
        start_nginx(lab, names["models"])


def start_nginx(lab: DpuLab, host: Host) -> None:
    """A plain nginx on any host, port 80, with the lab's pages."""
    config = lab.folder / f"{host.name}.conf"
    config.write_text(NGINX.format(folder=lab.folder, host=host.name, address=host.address, address6=host.address6))
    lab.start(host.name, ["nginx", "-c", str(config), "-e", str(lab.folder / f"{host.name}.err")], f"{host.name}.out")
    wait_for(f"nginx on {host.name}", lambda: lab.listening(host.name, 80))
