"""A guest that has come as far as a hypervisor, sessions that live, and a responder who ends them.

One DPU carries a network of guests and one of hypervisors, with a router between them: each packet of the story crosses its
bridge twice. The hypervisor's services are sockets of this process in its namespace. Needs root.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from sample_captures.make import slp
from sample_captures.make.recording import Recorder
from tests.lab.dataplane import DpuLab
from tests.lab.plan import Host, Network, Plan
from tests.lab.spaces import socket_in

GUESTS = Network("guests", "10.20.1", "vxlan", 5001, 101)
MANAGEMENT = Network("management", "10.20.30", "vxlan", 5030, 130)
PLAN = Plan(
    dpus=("dpu1",),
    networks=(GUESTS, MANAGEMENT),
    hosts=(
        Host("gate", "dpu1", "pf0hpf", GUESTS, 1, gateway=True),
        Host("gate", "dpu1", "pf0vf3", MANAGEMENT, 1, "eth1", gateway=True),
        Host("train-7", "dpu1", "pf0vf1", GUESTS, 77),
        Host("esx-01", "dpu1", "pf0vf4", MANAGEMENT, 11),
        Host("esx-02", "dpu1", "pf0vf5", MANAGEMENT, 12),
    ),
)
ESX, TRAIN = (PLAN.host(name).address for name in ("esx-01", "train-7"))
AGENT = 902
SWEPT = [ESX, *(f"10.20.30.{n}" for n in range(21, 24))]


class Session:
    """Two connected sockets that both send, twenty times a second, until it is closed; what arrives is counted."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.ends = near, far
        self.port = int(near.getsockname()[1])
        self.heard = [0, 0]
        self._over = threading.Event()
        works = [lambda: self._hear(0), lambda: self._hear(1), self._talk]
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def _hear(self, end: int) -> None:
        self.ends[end].settimeout(0.2)
        while not self._over.is_set():
            try:
                self.heard[end] += len(self.ends[end].recv(4096))
            except TimeoutError:
                continue
            except OSError:  # of a connection that was cut the kernel gives up by and by
                return

    def _talk(self) -> None:
        while not self._over.wait(0.05):
            for one in self.ends:
                try:
                    one.send(b"x")
                except OSError:
                    continue

    def lives(self, seconds: float = 30) -> bool:
        """Whether both ends hear something from now on."""
        before, until = list(self.heard), time.monotonic() + seconds
        while time.monotonic() < until:
            if all(now > then for now, then in zip(self.heard, before, strict=True)):
                return True
            time.sleep(0.02)
        return False

    def silent(self, seconds: float = 1.0) -> bool:
        """Whether neither end hears anything for so long, while both go on sending."""
        before = list(self.heard)
        time.sleep(seconds)
        return self.heard == before

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for one in self.ends:
            one.close()


class Attacked:
    """The story, played in a lab of `PLAN`: recorded at the bridge, and three sessions of it still live."""

    def __init__(self, lab: DpuLab, folder: Path) -> None:
        self.lab = lab
        self.slp = self._socket("esx-01", socket.SOCK_DGRAM)
        self.slp.bind((ESX, slp.PORT))
        self.agent = self._socket("esx-01", socket.SOCK_STREAM)
        self.agent.bind((ESX, AGENT))
        self.agent.listen()
        self.agent.settimeout(10)
        recorder = Recorder(lab, "dpu1", "mirror1")
        self.slp_session = self._sweep()
        self.session = self.connect("train-7")
        self.vmotion = self.connect("esx-02")
        assert self.slp_session.lives()
        assert self.session.lives()
        assert self.vmotion.lives()
        assert recorder.stop()["dropped"] == 0
        self.capture = folder / "bridge.pcapng"
        shutil.copy(recorder.raw, self.capture)

    def _socket(self, host: str, kind: int) -> socket.socket:
        one = socket_in(self.lab.space(host), socket.AF_INET, kind)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return one

    def _sweep(self) -> Session:
        """train-7 looks for hypervisors with SLP, finds one and stays with it."""
        near = self._socket("train-7", socket.SOCK_DGRAM)
        for n, target in enumerate(SWEPT):
            near.sendto(slp.request(n), (target, slp.PORT))
        self.slp.settimeout(10)
        _, peer = self.slp.recvfrom(2048)
        self.slp.sendto(slp.reply(0, b"service:VMwareInfrastructure:https://esx-01"), peer)
        near.settimeout(10)
        near.recv(2048)
        near.connect((ESX, slp.PORT))
        far = self._socket("esx-01", socket.SOCK_DGRAM)
        far.bind((ESX, slp.PORT))
        far.connect(peer)
        return Session(near, far)

    def connect(self, host: str) -> Session:
        """A session with the hypervisor's agent; TimeoutError where there is no way."""
        near = self._socket(host, socket.SOCK_STREAM)
        near.settimeout(10)
        near.connect((ESX, AGENT))
        return Session(near, self.agent.accept()[0])

    def reaches(self, host: str, seconds: float = 10) -> bool:
        """Whether a new connection to the hypervisor's agent comes about within so long."""
        with self._socket(host, socket.SOCK_STREAM) as one:
            one.settimeout(seconds)
            try:
                one.connect((ESX, AGENT))
            except TimeoutError:
                return False
        self.agent.accept()[0].close()
        return True

    def probes(self) -> tuple[str, str]:
        """What must get through and what must not, as `push apply --allowed` and `--denied` take it."""
        allowed, denied = (f"netns:{self.lab.space(host)} {ESX}:{AGENT}" for host in ("esx-02", "train-7"))
        return allowed, denied

    def close(self) -> None:
        for one in (self.slp_session, self.session, self.vmotion, self.slp, self.agent):
            one.close()


def ssh_from_admin(lab: DpuLab, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """`ssh` of this process, and of what it starts, goes from the management network with the lab's configuration."""
    found = shutil.which("ssh")
    (folder / "bin").mkdir()
    script = folder / "bin" / "ssh"
    script.write_text(f'#!/bin/sh\nexec ip netns exec {lab.space("admin")} {found} -F {lab.folder}/ssh_config "$@"\n')
    script.chmod(0o755)
    patch.setenv("PATH", f"{folder}/bin", prepend=":")
