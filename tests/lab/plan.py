"""What stands where in the lab: networks, DPUs and the hosts behind their ports. Nothing here is made; ``dataplane`` does that.

Addresses: hosts 10.20.0.0/16 (the ones that sample_captures.make.servers knows), tunnel ends 192.0.2.N, management 198.51.100.N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Network:
    """A tenant's network; ``tunnel`` None: plain, over the second uplink.

    ``tag``: the VLAN that keeps it apart within a bridge, on no wire. ``prefix``: the first three bytes.
    """

    name: str
    prefix: str
    tunnel: Literal["vxlan", "geneve"] | None = None
    vni: int = 0
    tag: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace with ``device``, which is the far side of ``port`` on ``dpu``. ``number``: its address's last byte.

    A gateway stands in the plan once for each of its networks, and forwards between them.
    """

    name: str
    dpu: str
    port: str
    network: Network
    number: int
    device: str = "eth0"
    gateway: bool = False

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return f"{self.network.prefix}.{self.number}"

    @property
    def address6(self) -> str:
        """Its IPv6 address, written with the same figures: 10.20.1.10 is fd00:20:1::10."""
        _ten, second, third = self.network.prefix.split(".")
        return f"fd00:{second}:{third}::{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole lab. ``dpus`` are numbered from 1 in this order: that is the last byte of their addresses."""

    dpus: tuple[str, ...]
    networks: tuple[Network, ...]
    hosts: tuple[Host, ...]

    def underlay(self, dpu: str) -> str:
        """The DPU's tunnel end (VTEP), on ``br-phy``."""
        return f"192.0.2.{self.dpus.index(dpu) + 1}"

    def management(self, dpu: str) -> str:
        """The DPU's management address, on ``oob_net0``, where its sshd listens."""
        return f"198.51.100.{self.dpus.index(dpu) + 1}"

    def behind(self, dpu: str) -> list[Host]:
        """The hosts on a DPU's ports."""
        return [host for host in self.hosts if host.dpu == dpu]

    def host(self, name: str) -> Host:
        """A host by name (a gateway's first face); StopIteration where there is none."""
        return next(host for host in self.hosts if host.name == name)

    def tunnelled(self) -> list[Network]:
        """The networks that the first uplink carries."""
        return [network for network in self.networks if network.tunnel]


SHOP = Network("shop", "10.20.1", "vxlan", 5001, 101)
TRAIN = Network("train", "10.20.2", "geneve", 6001, 102)
DISKS = Network("disks", "10.20.40")
DEFAULT = Plan(
    dpus=("dpu1", "dpu2", "dpu3"),
    networks=(SHOP, TRAIN, DISKS),
    hosts=(
        Host("gate", "dpu1", "pf0hpf", SHOP, 1, gateway=True),
        Host("gate", "dpu1", "pf0vf3", TRAIN, 1, "eth1", gateway=True),
        Host("web", "dpu1", "pf0vf0", SHOP, 10),
        Host("dns", "dpu1", "pf0vf1", SHOP, 53),
        Host("models", "dpu1", "pf0vf2", TRAIN, 10),
        Host("disk1", "dpu1", "pf1hpf", DISKS, 11),
        Host("build", "dpu2", "pf0hpf", SHOP, 30),
        Host("app1", "dpu2", "pf0vf0", SHOP, 21),
        Host("train-0", "dpu2", "pf0vf1", TRAIN, 20),
        Host("disk2", "dpu2", "pf1hpf", DISKS, 12),
        Host("node3", "dpu3", "pf0hpf", TRAIN, 3),
        Host("app2", "dpu3", "pf0vf0", SHOP, 22),
        Host("train-1", "dpu3", "pf0vf1", TRAIN, 21),
    ),
)
