"""A scenario played for real: namespaces that live for seconds, successors on their addresses, tenants with the same addresses.

Two nodes carry the overlays between them in VXLAN; the plain network lies on the wire between the nodes as it is. dumpcap records
that wire. Everything that is asserted later is asserted of what ``play`` gives: who held which address of which network when, by
the clock that stamps the packets too.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sample_captures.make.lab import Lab, mac_of, wait_for
from sample_captures.make.recording import Recorder
from tests.lab.identity import doing, spaces
from tests.lab.identity.plan import FIRST, GATE, NODES, PREFIX, PREFIX6, Action, Life, Plan, Tenant

WIRE = "fabric"
UNDERLAY = {"node-a": "192.0.2.1", "node-b": "192.0.2.2"}
DOMAIN = "test"


@dataclass(slots=True)
class Held:
    """Who held an address from when to when: microseconds since 1970, the end exclusive (None: to the last)."""

    uid: str
    name: str
    namespace: str
    kind: str
    node: str
    labels: dict[str, str]
    tenant: str
    network: str
    ip: str
    mac: str
    begin: int
    end: int | None = None
    crash: bool = False


@dataclass(slots=True)
class Alive:
    """A workload that others may talk to."""

    life: Life
    address: str
    held: list[Held]
    servers: list[object]


def now() -> int:
    """Microseconds since 1970, by the clock of packets."""
    return time.time_ns() // 1000


def address6(address: str) -> str:
    """The IPv6 address that goes with an IPv4 one."""
    return f"{PREFIX6}{address.rpartition('.')[2]}"


@dataclass(slots=True)
class World:
    """The networks of a plan in a lab, and everybody who lives in them."""

    lab: Lab
    plan: Plan
    held: list[Held] = field(default_factory=list)
    alive: dict[str, list[Alive]] = field(default_factory=dict)
    failed: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    servers: doing.Servers = field(default_factory=doing.Servers)

    def build(self) -> None:
        """The wire, the nodes, a bridge per tenant, its gate with DNS (and DHCP where the network is plain)."""
        self.lab.add_bridge(WIRE, "br0")
        for node in NODES:
            self.lab.add_space(node)
            self.lab.plug(node, "eth0", WIRE, "br0", f"{UNDERLAY[node]}/24")
            self.note("node", node, None, UNDERLAY[node], mac_of(UNDERLAY[node]))
        for tenant in self.plan.tenants:
            self.alive[tenant.name] = []
            if tenant.vni:
                for node in NODES:
                    self._overlay(node, tenant)
            self._gate(tenant)

    def note(self, kind: str, name: str, tenant: Tenant | None, address: str, mac: str) -> None:
        """A holder that is there from the beginning to the end."""
        network, whose = (tenant.network, tenant.name) if tenant else ("", "fabric")
        self.held.append(Held(f"{kind}:{whose}/{name}", name, whose, kind, name, {}, whose, network, address, mac, now()))

    def _overlay(self, node: str, tenant: Tenant) -> None:
        far = next(UNDERLAY[other] for other in NODES if other != node)
        bridge, tunnel = f"br-{tenant.name}", f"vx-{tenant.name}"
        spaces.batch(
            [
                f"link add {bridge} type bridge mcast_snooping 0 forward_delay 0",
                f"link add {tunnel} type vxlan id {tenant.vni} dstport 4789 local {UNDERLAY[node]} remote {far} dev eth0",
                f"link set {tunnel} mtu 1450 master {bridge} up",
                f"link set {bridge} addrgenmode none up",
            ],
            self.lab.space(node),
        )

    def _where(self, tenant: Tenant, node: str) -> tuple[str, str]:
        """The namespace and the bridge that a tenant's workload of a node is plugged into."""
        return (self.lab.space(node), f"br-{tenant.name}") if tenant.vni else (self.lab.space(WIRE), "br0")

    def _gate(self, tenant: Tenant) -> None:
        host, address, folder = f"gate-{tenant.name}", f"{PREFIX}.{GATE}", self.lab.folder / f"names-{tenant.name}"
        folder.mkdir()
        mac = f"02:77:00:00:00:{tenant.vni & 255:02x}"
        self.plug(host, tenant, NODES[1], mac)
        self.rise(host, address)
        self.note("host", host, tenant, address, mac)
        self.note("host", host, tenant, address6(address), mac)
        words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file="]
        words += [f"--hostsdir={folder}", "--local-ttl=1", f"--local=/{DOMAIN}/", "--interface=eth0", "--bind-interfaces"]
        if not tenant.vni:
            last = f"{PREFIX}.{tenant.numbers[-1]}"
            words += [f"--dhcp-range={PREFIX}.{FIRST},{last},255.255.255.0,2m", "--dhcp-sequential-ip", "--no-ping"]
            words += [f"--dhcp-leasefile={self.lab.folder}/leases", "--dhcp-authoritative", f"--domain={DOMAIN}"]
        self.lab.start(host, words, f"{host}.log")
        wait_for("dnsmasq", lambda: self.lab.listening(host, 53))
        into = threading.Thread(target=self._serve, args=(host, address))
        into.start()
        into.join()

    def _serve(self, host: str, address: str) -> None:
        spaces.enter(self.lab.space(host))
        self.servers.open([address, address6(address)])

    def plug(self, host: str, tenant: Tenant, node: str, mac: str) -> None:
        """A namespace with ``eth0`` on its tenant's bridge, still down."""
        space, port = self.lab.space(host), f"p{host}"[:15]
        where, bridge = self._where(tenant, node)
        mtu = 1450 if tenant.vni else 1500
        spaces.batch(
            [
                f"netns add {space}",
                f"link add eth0 netns {space} address {mac} mtu {mtu} type veth peer name {port} netns {where}",
            ]
        )
        spaces.batch([f"link set {port} mtu {mtu} master {bridge} addrgenmode none up"], where)
        settle = threading.Thread(target=self._settle, args=(space,))
        settle.start()
        settle.join()
        spaces.batch(["link set lo up", "link set eth0 addrgenmode none"], space)

    def rise(self, host: str, address: str) -> None:
        """Up, with its addresses if they are known yet."""
        spaces.batch([*(_addresses(address) if address else []), "link set eth0 up"], self.lab.space(host))

    def _settle(self, space: str) -> None:
        spaces.enter(space)
        spaces.settle("eth0")

    # lives

    def play(self) -> None:
        """Every slot's lives, one after the other, all slots at once; raises what went wrong in one of them."""
        slots = [threading.Thread(target=self._slot, args=(n, slot)) for n, slot in enumerate(self.plan.slots)]
        dice = random.Random(self.plan.seed)
        for slot in slots:
            slot.start()
            time.sleep(dice.random() * 0.02)
        for slot in slots:
            slot.join()
        self.servers.stop()
        if self.failed:
            raise self.failed[0]

    def _slot(self, number: int, lives: tuple[Life, ...]) -> None:
        try:
            for turn, life in enumerate(lives):
                self._live(f"w{number}-{turn}", life)
                time.sleep(life.gap)
        except BaseException as error:
            self.failed.append(error)

    def _live(self, host: str, life: Life) -> None:
        began = time.monotonic()
        done: list[BaseException] = []
        thread = threading.Thread(target=self._inside, args=(host, life, began, done))
        thread.start()  # a thread of its own, which is in the workload's namespace and takes nothing of it along
        thread.join()
        if done:
            raise done[0]

    def _inside(self, host: str, life: Life, began: float, done: list[BaseException]) -> None:
        try:
            born = self._born(host, life)
            if born:
                self._act(born[0], began)
                self._die(host, *born)
            else:
                spaces.batch([f"netns del {self.lab.space(host)}"])
        except BaseException as error:
            done.append(error)

    def _born(self, host: str, life: Life) -> tuple[Alive, subprocess.Popen[str] | None] | None:
        """Plugged in, with an address and known to the others; None where DHCP has none left."""
        address, asking = f"{PREFIX}.{life.number}" if life.number else "", None
        self.plug(host, life.tenant, life.node, life.mac)
        spaces.enter(self.lab.space(host))
        begin = now()
        self.rise(host, address)
        if not address:
            asking, address = self._lease(life)
            if not address:
                return None
            begin = now()
            spaces.batch(_addresses(address), self.lab.space(host))
        spaces.announce("eth0", life.mac, address)
        held = [self._holds(life, ip, begin) for ip in (address, address6(address))]
        alive = Alive(life, address, held, self.servers.open([address, address6(address)]))
        if not doing.greets(f"{PREFIX}.{GATE}"):
            raise TimeoutError(f"{host} at {address} does not reach its gate")
        (self.lab.folder / f"names-{life.tenant.name}" / life.name).write_text(f"{address} {life.name}.{DOMAIN}\n")
        with self.lock:
            self.held += held
            self.alive[life.tenant.name].append(alive)
        return alive, asking

    def _holds(self, life: Life, address: str, begin: int) -> Held:
        labels = dict(life.labels)
        return Held(
            life.uid, life.name, life.namespace, "pod", life.node, labels, life.tenant.name, life.tenant.network, address,
            life.mac, begin, crash=life.crash,
        )  # fmt: skip

    def _lease(self, life: Life) -> tuple[subprocess.Popen[str], str]:
        """udhcpc, which stays and gives the lease back when it is told to end; the address, '' where there is none."""
        script = self.lab.folder / "bound"
        if not script.exists():
            mine = script.with_suffix(f".{life.uid}")
            mine.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$ip"\n[ "$1" = leasefail ] && echo none\nexit 0\n')
            mine.chmod(0o700)
            mine.rename(script)
        words = [
            "udhcpc",
            "-i",
            "eth0",
            "-f",
            "-R",
            "-t",
            "4",
            "-T",
            "1",
            "-A",
            "1",
            "-s",
            str(script),
            "-x",
            f"hostname:{life.name}",
        ]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout
        said = process.stdout.readline().strip()
        if said in ("", "none"):
            process.kill()
            process.wait()
            return process, ""
        return process, said

    def _act(self, alive: Alive, began: float) -> None:
        life, held_open = alive.life, []
        for action in life.actions:
            time.sleep(max(0.0, began + action.at * life.seconds - time.monotonic()))
            self._do(alive, action)
        if life.crash and (peer := self._peer(alive, 1)):
            held_open.append(doing.hold(peer.address))
        time.sleep(max(0.0, began + life.seconds - time.monotonic()))
        if held_open and held_open[0]:
            spaces.batch(["link set eth0 down"])  # in this thread's namespace: what closes now is seen by nobody
            held_open[0].close()

    def _peer(self, alive: Alive, choice: int) -> Alive | None:
        """Somebody of the same tenant whom one reaches over the wire."""
        tenant = alive.life.tenant
        with self.lock:
            others = [
                one
                for one in self.alive[tenant.name]
                if one is not alive and (not tenant.vni or one.life.node != alive.life.node)
            ]
        return others[choice % len(others)] if others else None

    def _do(self, alive: Alive, action: Action) -> None:
        gate, peer = f"{PREFIX}.{GATE}", self._peer(alive, action.choice)
        address = peer.address if peer else gate
        if action.kind == "nobody":
            address = self._empty(alive.life.tenant, action.choice)
        if action.kind in ("fetch", "nobody"):
            doing.fetch(address)
        elif action.kind == "six":
            doing.fetch(address6(address))
        elif action.kind == "udp":
            doing.udp(address)
        else:
            doing.program(action.kind, address, gate, f"{peer.life.name if peer else 'nobody'}.{DOMAIN}")

    def _empty(self, tenant: Tenant, choice: int) -> str:
        """An address that nobody of the tenant holds just now, if there is one."""
        with self.lock:
            taken = {one.address for one in self.alive[tenant.name]}
        free = [address for number in tenant.numbers if (address := f"{PREFIX}.{number}") not in taken]
        return free[choice % len(free)] if free else f"{PREFIX}.200"

    def _die(self, host: str, alive: Alive, asking: subprocess.Popen[str] | None) -> None:
        life = alive.life
        with self.lock:
            self.alive[life.tenant.name].remove(alive)
        (self.lab.folder / f"names-{life.tenant.name}" / life.name).unlink()
        if life.crash:
            spaces.batch(["link set eth0 down"])
        self.servers.close(alive.servers)
        if asking:
            asking.send_signal(signal.SIGKILL if life.crash else signal.SIGTERM)
            asking.wait(5)
        with contextlib.suppress(subprocess.CalledProcessError):
            spaces.batch(["link set eth0 down", "link del eth0"])
        end = now()
        for one in alive.held:
            one.end = end
        spaces.batch([f"netns del {self.lab.space(host)}"])


def _addresses(address: str) -> list[str]:
    return [f"addr add {address}/24 dev eth0", f"addr add {address6(address)}/64 dev eth0 nodad"]


@dataclass(slots=True)
class Played:
    """What a scenario left: its capture, and who held what."""

    plan: Plan
    capture: Path
    held: list[Held]
    counted: dict[str, int]


def run(plan: Plan, folder: Path) -> Played:
    """Play a plan under dumpcap; the capture goes to ``folder``."""
    with Lab() as lab:
        world = World(lab, plan)
        world.build()
        recorder = Recorder(lab, WIRE, "br0")
        world.play()
        counted = recorder.stop()
        capture = folder / f"seed-{plan.seed}.pcapng"
        capture.write_bytes(recorder.raw.read_bytes())
        capture.chmod(0o644)
    return Played(plan, capture, world.held, counted)
