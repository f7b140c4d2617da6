"""A DPU's Open vSwitch and sshd: what is written for them and how they are started.

Each DPU has its own ``/run`` (bound over the system's, for its programs only), so that ``ovs-vsctl`` and the rest find their
sockets at the usual paths, as on a DPU.
"""

from __future__ import annotations

from pathlib import Path

from sample_captures.make.lab import mac_of
from tests.lab.plan import Plan

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
IPFIX, NETFLOW, SFLOW = 4739, 2055, 6343
"""loopback ports that the switch exports to"""
SSHD = """
Port 22
ListenAddress {address}
HostKey {folder}/hostkey
PidFile none
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/authorized
StrictModes no
LogLevel VERBOSE
UseDNS no
"""


def bridges(plan: Plan, dpu: str) -> list[str]:
    """The words of one ovs-vsctl transaction that makes a DPU's bridges, ports, tunnels and mirrors.

    ``br-phy`` holds the uplink p0 and the tunnel end, ``ovsbr1`` the host's functions and the tunnels, ``ovsbr2`` the second
    uplink p1 and pf1hpf. ``mirror0`` gets all that crosses br-phy (the wire, encapsulated), ``mirror1`` all that crosses ovsbr1.
    """
    words: list[str] = []

    def add(line: str) -> None:
        words.extend(["--", *line.split()])

    here = plan.underlay(dpu)
    for bridge in ("br-phy", "ovsbr1", "ovsbr2"):
        add(f"add-br {bridge}")
        add(f"set bridge {bridge} datapath_type=netdev fail_mode=standalone")
    add(f'set bridge br-phy other-config:hwaddr="{mac_of(here)}"')
    add("add-port br-phy p0")
    add("add-port ovsbr2 p1")
    for host in plan.behind(dpu):
        if not host.network.tunnel:
            add(f"add-port ovsbr2 {host.port}")
        else:
            add(f"add-port ovsbr1 {host.port} tag={host.network.tag}")
    firsts = {network.tunnel: network for network in reversed(plan.tunnelled())}
    for network in plan.tunnelled():
        for other in plan.dpus:
            if other != dpu:  # a full mesh, so tunnels must not forward to tunnels: protected
                port = f"{network.tunnel if firsts[network.tunnel] is network else network.name}-{other}"
                add(f"add-port ovsbr1 {port} tag={network.tag} protected=true")
                add(f"set interface {port} type={network.tunnel} options:key={network.vni}")
                add(f"set interface {port} options:local_ip={here} options:remote_ip={plan.underlay(other)}")
    for number, bridge in enumerate(("br-phy", "ovsbr1")):
        add(f"add-port {bridge} mirror{number}")
        add(f"set interface mirror{number} type=internal")
        add(f"--id=@p{number} get port mirror{number}")
        add(f"--id=@m{number} create mirror name=mirror{number} select_all=true output_port=@p{number}")
        add(f"set bridge {bridge} mirrors=@m{number}")
    return words[1:]


def exporters(bridge: str) -> list[str]:
    """The words of the transaction that has every packet of a bridge told to loopback, as IPFIX, NetFlow v5, sFlow.

    IPFIX tells of packets where they come in, once each: Open vSwitch 3.1 reads `enable-output-sampling` the wrong way round.
    """
    return [
        *["--", "--id=@i", "create", "ipfix", f'targets="127.0.0.1:{IPFIX}"', "sampling=1", "cache_active_timeout=1"],
        *["obs_domain_id=1", "obs_point_id=1", "other_config:enable-output-sampling=true"],
        *["--", "--id=@n", "create", "netflow", f'targets="127.0.0.1:{NETFLOW}"', "active_timeout=1"],
        *[
            "--",
            "--id=@s",
            "create",
            "sflow",
            f'targets="127.0.0.1:{SFLOW}"',
            "agent=lo",
            "header=128",
            "sampling=1",
            "polling=1",
        ],
        *["--", "set", "bridge", bridge, "ipfix=@i", "netflow=@n", "sflow=@s"],
    ]


def database(folder: Path) -> list[str]:
    """ovsdb-server's arguments."""
    return [
        "ovsdb-server",
        str(folder / "conf.db"),
        "--remote=punix:/run/openvswitch/db.sock",
        "--pidfile",
        f"--log-file={folder}/ovsdb-server.log",
        "-vconsole:off",
    ]


def vswitchd(folder: Path) -> list[str]:
    """ovs-vswitchd's arguments: ``--disable-system`` leaves the kernel's datapath alone even where there is one."""
    return ["ovs-vswitchd", "--disable-system", "--pidfile", f"--log-file={folder}/ovs-vswitchd.log", "-vconsole:off"]
