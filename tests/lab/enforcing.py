"""A place between two ends where a policy is enforced, by Open vSwitch or by nftables, and probes sent through it.

The ends have no addresses of their own: every frame is made here and caught here, so that a policy's whole address space can be
probed and no kernel answers. Needs root.
"""

from __future__ import annotations

import random
import select
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from sample_captures.make.lab import Lab, wait_for
from tests.lab import switch
from tests.lab.building import OFFLOADS, _answers
from tests.lab.frames import ICMP, ICMP6, SCTP, TCP, UDP, Probe, frame, number_of
from tests.lab.spaces import socket_in
from tests.policy import made
from workbench.policy.addresses import V4, V4_FIRST, V4_LAST
from workbench.policy.model import Policy
from workbench.policy.naive import End, Judged, Packet, judge

LEFT, RIGHT = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02"
TOWARDS = {"left": b"\x02\x00\x00\x00\x01\x01", "right": b"\x02\x00\x00\x00\x01\x02"}
PORTS = {"left": "pf0vf0", "right": "p0"}
ROUTES = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.accept_local=1
# an association that was answered and goes no further is forgotten after 3 s: less than it takes to load rules on a busy machine
sysctl -qw net.netfilter.nf_conntrack_sctp_timeout_cookie_wait=300 || true
for port in pf0vf0 p0; do sysctl -qw net.ipv4.conf.$port.rp_filter=0 net.ipv6.conf.$port.accept_dad=0; done
"""


class Enforcer(Lab):
    """Two ends and the place between them, up when the ``with`` block begins."""

    def __init__(self, kind: Literal["ovs", "nft"]) -> None:
        super().__init__()
        self.kind = kind
        self.ends: dict[str, socket.socket] = {}
        self.switch: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Enforcer:
        super().__enter__()
        try:
            self._build()
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(self, *how: object) -> None:
        for end in self.ends.values():
            end.close()
        super().__exit__(*how)  # type: ignore[arg-type]

    def command(
        self, host: str, program: Sequence[str], overlay: dict[Path, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """As in Lab; the middle's programs see its own ``/run``."""
        if host == "mid" and self.kind == "ovs":
            overlay = {self.folder / "run": "/run", **(overlay or {})}
        return super().command(host, program, overlay)

    def _build(self) -> None:
        for host in ("left", "right", "mid"):
            self.add_space(host)
            self.run(host, ["sysctl", "-qw", f"net.ipv6.conf.all.disable_ipv6={int(host != 'mid' or self.kind == 'ovs')}"])
        for host, mac in (("left", LEFT), ("right", RIGHT)):
            near = TOWARDS[host].hex(":")
            peer = f"type veth peer name {PORTS[host]} address {near} netns {self.space('mid')}"
            self.ip(host, f"link add eth0 address {mac.hex(':')} {peer}")
            for space, name in ((host, "eth0"), ("mid", PORTS[host])):
                self.run(space, ["ethtool", "-K", name, *OFFLOADS.split()])
                self.ip(space, f"link set {name} up")
            self.ends[host] = self._raw(host)
        if self.kind == "ovs":
            self._start_switch()
        else:
            self._route()

    def _raw(self, host: str) -> socket.socket:
        end = self.socket(host, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        end.bind(("eth0", 0))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        return end

    def socket(self, host: str, *kind: int) -> socket.socket:
        """A socket of this process that lives in an end."""
        return socket_in(self.space(host), *kind)

    def talk(self, seconds: float = 5) -> tuple[socket.socket, socket.socket]:
        """A TCP connection of two kernels across the middle: from 10.30.0.5 on the left to port 443 of 10.20.0.5 on the right."""
        for host, own, other, mac in (("left", "10.30.0.5", "10.20.0.5", RIGHT), ("right", "10.20.0.5", "10.30.0.5", LEFT)):
            if own not in self.run(host, ["ip", "addr"]):
                self.ip(host, f"addr add {own}/8 dev eth0")
                if self.kind == "nft":  # through a router: nobody answers ARP for the far end
                    mac = TOWARDS[host]
                    self.ip(host, f"neigh replace {other} lladdr {mac.hex(':')} dev eth0")
        with self.socket("right", socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("10.20.0.5", 443))
            listener.listen()
            here = self.socket("left", socket.AF_INET, socket.SOCK_STREAM)
            here.settimeout(seconds)
            try:
                here.connect(("10.20.0.5", 443))
            except TimeoutError:
                here.close()
                raise
            listener.settimeout(5)
            return here, listener.accept()[0]

    def _start_switch(self) -> None:
        (self.folder / "run" / "openvswitch").mkdir(parents=True)
        self.run("mid", ["ovsdb-tool", "create", str(self.folder / "conf.db"), str(switch.SCHEMA)])
        self.start("mid", switch.database(self.folder), "ovsdb-server.out")
        wait_for("ovsdb-server", lambda: _answers(self.folder / "run" / "openvswitch" / "db.sock"))
        self.run("mid", ["ovs-vsctl", "--no-wait", "init"])
        self.switch = self.start("mid", switch.vswitchd(self.folder), "ovs-vswitchd.out")
        bridge = "add-br ovsbr1 -- set bridge ovsbr1 datapath_type=netdev fail_mode=standalone"
        self.run("mid", ["ovs-vsctl", *bridge.split(), *["--", "add-port", "ovsbr1", "p0", "--", "add-port", "ovsbr1", "pf0vf0"]])

    def _route(self) -> None:
        self.run("mid", ["sh", "-ec", ROUTES])
        for number, (host, mac) in enumerate((("left", LEFT), ("right", RIGHT)), 1):
            port = PORTS[host]
            self.ip("mid", f"neigh add 169.254.0.{number} lladdr {mac.hex(':')} dev {port}")
            self.ip("mid", f"-6 neigh add fe80::{number} lladdr {mac.hex(':')} dev {port}")
            self.ip("mid", f"route add default via 169.254.0.{number} dev {port} onlink table {number}")
            self.ip("mid", f"-6 route add default via fe80::{number} dev {port} onlink table {number}")
            arriving = PORTS["right" if host == "left" else "left"]
            self.ip("mid", f"rule add iif {arriving} table {number} pref 10")
            self.ip("mid", f"-6 rule add iif {arriving} table {number} pref 10")

    def ofctl(self, *words: str, text: str | None = None) -> str:
        """ovs-ofctl in the middle."""
        return self.run("mid", ["ovs-ofctl", *words], text=text)

    def load(self, text: str) -> None:
        """Compiled text, as it is meant to be loaded."""
        if self.kind == "ovs":
            self.ofctl("--bundle", "add-flows", "ovsbr1", "-", text=text)
            for word in ("wait", "purge"):  # what the datapath remembers of older flows
                self.run("mid", ["ovs-appctl", f"revalidator/{word}"])
        else:
            self.run("mid", ["nft", "-c", "-f", "-"], text=text)
            self.run("mid", ["nft", "-f", "-"], text=text)

    def loaded(self) -> str:
        """What is loaded, in the form in which the target tells it."""
        if self.kind == "ovs":
            return self.ofctl("dump-flows", "ovsbr1")
        return self.run("mid", ["nft", "-j", "list", "ruleset"])

    def forget(self) -> None:
        """Every tracked connection, on ovs; nft's stay, so that probes must not come again."""
        if self.kind == "ovs":
            self.run("mid", ["ovs-appctl", "dpctl/flush-conntrack"])

    def send(self, probes: Iterable[Probe], step: int, back: bool, expected: set[int], quiet: float = 0.15) -> set[int]:
        """The numbers of probes that come out at the far end; waits for those expected, and a little longer for others."""
        near, far = ("right", "left") if back else ("left", "right")
        macs = (LEFT if back else RIGHT) if self.kind == "ovs" else TOWARDS[near], RIGHT if back else LEFT
        for probe in probes:
            self.ends[near].send(frame(probe, step, back, macs))
        seen: set[int] = set()
        until = time.monotonic() + 5
        while time.monotonic() < until and not (expected <= seen and not select.select([self.ends[far]], [], [], quiet)[0]):
            if select.select([self.ends[far]], [], [], 0.05)[0]:
                said = number_of(self.ends[far].recv(4096))
                if said is not None and said[1:] == (step, back):
                    seen.add(said[0])
        return seen


def verdict(policy: Policy, probe: Probe) -> Judged:
    """The plain engine's verdict on the connection."""
    sport = {ICMP: 8, ICMP6: 128}.get(probe.proto, probe.sport)
    dport = 0 if probe.proto in (ICMP, ICMP6) else probe.dport
    packet = Packet(End(probe.src), End(probe.dst), probe.proto, sport, dport, made.NOW)
    return judge(policy, packet, made.resolver)


def carries(one: socket.socket, other: socket.socket, seconds: float = 5) -> bool:
    """Whether what goes in comes out at the other end, within so long."""
    one.send(b"x")
    other.settimeout(seconds)
    try:
        return bool(other.recv(100))
    except TimeoutError:
        return False


class Prober:
    """Connections to try, none of them twice: at the edges of what random policies say.

    sctp: SCTP in place of TCP. alone: protocols that are tracked by addresses alone: each pair of those once.
    """

    def __init__(self, seed: int, sctp: bool = False, alone: tuple[int, ...] = (47,)) -> None:
        self.dice = random.Random(seed)
        self.sctp, self.alone = sctp, alone
        self.number = 0
        self.pairs: set[tuple[int, frozenset[int]]] = set()

    def probes(self, count: int) -> list[Probe]:
        """So many connections, v4 and v6, of every protocol that has connections."""
        out: list[Probe] = []
        while len(out) < count:
            packet = made.packet(self.dice)
            src, dst = packet.src.address, packet.dst.address
            proto = packet.proto
            four = src in V4
            if four != (dst in V4) or src == dst or not (_unicast(src) and _unicast(dst)):
                continue
            if proto == (ICMP6 if four else ICMP):
                proto = ICMP if four else ICMP6
            if packet.dport == 0 and proto == TCP:
                continue  # to connection tracking no connection
            if proto == TCP and self.sctp:
                proto = SCTP
            if proto not in (TCP, UDP, ICMP, ICMP6, SCTP, 47):
                continue
            if proto in self.alone:
                if (proto, frozenset((src, dst))) in self.pairs:
                    continue
                self.pairs.add((proto, frozenset((src, dst))))
            self.number += 1
            out.append(Probe(self.number, src, dst, proto, 10_000 + self.number % 50_000, packet.dport))
        return out


def _unicast(address: int) -> bool:
    if V4_FIRST <= address <= V4_LAST:
        return 1 << 24 <= address - V4_FIRST < 224 << 24 and (address - V4_FIRST) >> 24 != 127
    return address >> 120 not in (0, 0xFF) and address >> 118 != 0xFE80 >> 6
