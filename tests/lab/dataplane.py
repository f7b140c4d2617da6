"""A stand-in for data-centre hosts with DPUs: Open vSwitch on its userspace datapath, hosts in namespaces, tunnels between them.

docs/lab.md says what stands where, how to use it and what it can't show. Needs root, and the Debian packages of .ci/system::

    with DpuLab() as lab:
        lab.run("app1", ["curl", "-s", "http://10.20.1.10/"])
        lab.vsctl("dpu1", "show")
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sample_captures.make.lab import Lab
from tests.lab import building, switch
from tests.lab.plan import DEFAULT, Plan
from tests.lab.spaces import socket_in

TUN = Path("/dev/net/tun")


class DpuLab(Lab):
    """The DPUs of ``plan`` with everything behind them, up when the ``with`` block begins."""

    def __init__(self, plan: Plan = DEFAULT) -> None:
        if not TUN.exists():  # containers often have the driver and lack its node
            with contextlib.suppress(OSError):
                TUN.parent.mkdir(exist_ok=True)
                os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(10, 200))
        if not TUN.exists():
            raise FileNotFoundError(
                f"{TUN} is missing: a bridge's own port is a tap device (modprobe tun; in a container, add it)"
            )
        super().__init__()
        self.plan = plan
        self.switches: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> DpuLab:
        super().__enter__()
        try:
            building.build(self)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    # what a test or a person does with it

    def vsctl(self, dpu: str, *words: str) -> str:
        """ovs-vsctl on a DPU; its stdout. RuntimeError with its message where it fails."""
        return self.run(dpu, ["ovs-vsctl", "--timeout=15", *words])

    def ofctl(self, dpu: str, *words: str, text: str | None = None) -> str:
        """ovs-ofctl on a DPU; ``text`` is its stdin."""
        return self.run(dpu, ["ovs-ofctl", "--timeout=15", *words], text=text)

    def appctl(self, dpu: str, *words: str) -> str:
        """ovs-appctl on a DPU, asked of ovs-vswitchd."""
        return self.run(dpu, ["ovs-appctl", "--timeout=15", *words])

    def add_flows(self, dpu: str, bridge: str, flows: str) -> None:
        """Push OpenFlow rules as one bundle: all of them or none."""
        self.ofctl(dpu, "--bundle", "add-flows", bridge, "-", text=flows)

    def export(self, dpu: str, bridge: str = "ovsbr1") -> None:
        """Start a bridge's IPFIX, NetFlow v5 and sFlow exporters anew (ovsbr1's run from the beginning; their ports: switch.py).

        IPFIX then says its templates again, which it does by itself only every ten minutes.
        """
        self.vsctl(dpu, "clear", "bridge", bridge, "ipfix", "netflow", "sflow")
        self.vsctl(dpu, *switch.exporters(bridge)[1:])

    def nft(self, host: str, ruleset: str) -> None:
        """Load an nftables file in ``host`` (a host or a DPU): all of it or nothing."""
        self.run(host, ["nft", "-f", "-"], text=ruleset)

    def counters(self, dpu: str, port: str) -> dict[str, int]:
        """A port's counters at this moment, as the switch has them: rx_pkts, rx_bytes, rx_drop, tx_pkts, tx_bytes, tx_drop...

        (The database's ``statistics`` column is up to five seconds old.)
        """
        said = self.ofctl(dpu, "dump-ports", self.vsctl(dpu, "iface-to-br", port).strip(), port)
        found: dict[str, int] = {}
        for side, rest in re.findall(r"\b([rt]x) (.*)", said):
            found |= {f"{side}_{name}": int(value) for name, value in re.findall(r"(\w+)=(\d+)", rest)}
        return found

    def udp_socket(self, host: str, port: int, address: str = "127.0.0.1") -> socket.socket:
        """A UDP socket of this process that lives in ``host``; bound to its loopback unless told, where the exporters send to."""
        end = socket_in(self.space(host), socket.AF_INET, socket.SOCK_DGRAM)
        end.bind((address, port))
        return end

    def restart_switch(self, dpu: str) -> None:
        """End ovs-vswitchd and start it anew; bridges and ports come back from its database, OpenFlow rules don't."""
        self.end(self.switches[dpu])
        building.start_switch(self, dpu)
        building.settle(self, [dpu])

    def ssh_words(self, dpu: str, *command: str, key: Path | None = None) -> list[str]:
        """The arguments of an ssh client that logs in to a DPU, with the lab's key or another; run it in ``admin``."""
        config = ["-F", str(self.folder / "ssh_keyless"), "-i", str(key)] if key else ["-F", str(self.folder / "ssh_config")]
        return ["ssh", *config, dpu, *command]

    def ssh(self, dpu: str, *command: str, key: Path | None = None, text: str | None = None) -> str:
        """Run a command on a DPU over ssh, from ``admin``; its stdout. RuntimeError with its stderr where it fails."""
        return self.run("admin", self.ssh_words(dpu, *command, key=key), text=text)

    def authorize(self, dpu: str, public_key: str, command: str | None = None) -> None:
        """Let a key in on a DPU's sshd; with ``command`` it may run that and nothing else."""
        options = f'restrict,command="{command}" ' if command else ""
        with (self.dpu_folder(dpu) / "authorized").open("a") as keys:
            keys.write(f"{options}{public_key.strip()}\n")

    def dpu_folder(self, dpu: str) -> Path:
        """Where a DPU's database, logs, keys and ``/run`` are."""
        return self.folder / dpu

    def command(
        self, host: str, program: Sequence[str], overlay: dict[Path, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """As in Lab; a DPU's programs see its own ``/run``."""
        if host in self.plan.dpus:
            overlay = {self.dpu_folder(host) / "run": "/run", **(overlay or {})}
        return super().command(host, program, overlay)
