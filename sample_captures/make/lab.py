"""A throw-away network of namespaces joined by bridges, and the programs that run in it.

Everything has a name of its own per run, so two labs can stand side by side; leaving the ``with`` block kills what was started
and removes the namespaces, also after an error, SIGTERM or SIGHUP. What a killed maker left, the next lab sweeps up. Needs root,
iproute2 and ethtool.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from sample_captures.make import leftovers

WAIT = 15.0
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
"""what ends a lab in good order; SIGINT does so by itself"""
MASK = 'for pair in $OVERLAY; do mount --bind "${pair%%=*}" "${pair##*=}"; done; exec "$@"'
"""run inside a private mount namespace: bind made files over system ones, then become the program"""


def mac_of(address: str) -> str:
    """The locally administered MAC of an IPv4 address: 02:00 and its four bytes."""
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


class Lab:
    """Namespaces, links and processes of one run; ``folder`` holds configurations and logs and goes away too."""

    def __init__(self) -> None:
        leftovers.sweep()
        self.tag = f"wb{secrets.token_hex(3)}"
        self.folder = Path(tempfile.gettempdir()) / self.tag
        self.spaces: list[str] = []
        self.running: list[subprocess.Popen[bytes]] = []
        self.previous: dict[int, signal._HANDLER] = {}
        leftovers.write_record(self.tag, self.folder)
        self.folder.mkdir(mode=0o700)

    def __enter__(self) -> Lab:
        if threading.current_thread() is threading.main_thread():  # only there may signals be caught
            minded = [number for number in ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup stays nohup
            self.previous = {number: signal.signal(number, _stop) for number in minded}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {*ENDINGS, signal.SIGINT})  # a second Ctrl-C waits until all is gone
        try:
            for process in self.running:
                process.terminate()
            for process in reversed(self.running):
                self.end(process)
            leftovers.remove(self.tag, self.folder)
            for number, previous in self.previous.items():
                signal.signal(number, previous)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def space(self, host: str) -> str:
        """The namespace's name of ``host``."""
        return f"{self.tag}-{host}"

    def add_space(self, host: str) -> None:
        """A new namespace with its loopback up."""
        self.spaces.append(self.space(host))
        subprocess.run(["ip", "netns", "add", self.space(host)], check=True)
        self.ip(host, "link set lo up")

    def remove_space(self, host: str) -> None:
        """A host's end while the lab goes on: its programs are killed, its namespace and its links go away."""
        pids = subprocess.run(["ip", "netns", "pids", self.space(host)], capture_output=True, text=True, check=True).stdout
        for pid in pids.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.space(host)], check=True)
        self.spaces.remove(self.space(host))

    def ip(self, host: str, words: str) -> None:
        """``ip -n HOST ...``; raises CalledProcessError with ip's message on stderr."""
        subprocess.run(["ip", "-n", self.space(host), *words.split()], check=True)

    def add_bridge(self, host: str, name: str) -> None:
        """A bridge in a namespace of its own, without IPv6 of its own and without multicast snooping."""
        self.add_space(host)
        self.run(host, ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"])
        self.ip(host, f"link add {name} type bridge mcast_snooping 0 forward_delay 0")
        self.ip(host, f"link set {name} up")

    def plug(self, host: str, device: str, switch: str, bridge: str, address: str, mac: str = "") -> None:
        """Join ``host`` to a bridge: a veth pair with offloads off on both ends, so that checksums and sizes are the wire's."""
        port, mac = f"p-{host}"[:15], mac or mac_of(address.split("/")[0])
        self.ip(host, f"link add {device} address {mac} type veth peer name {port} netns {self.space(switch)}")
        self.ip(switch, f"link set {port} master {bridge} up")
        for space, name in ((host, device), (switch, port)):
            self.run(space, ["ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off"])
        self.ip(host, f"addr add {address} dev {device}")
        self.ip(host, f"link set {device} up")

    def command(
        self, host: str, program: Sequence[str], overlay: dict[Path, str] | None = None
    ) -> tuple[list[str], dict[str, str]]:
        """The argument list and environment that run ``program`` in ``host``, with made files bound over system ones."""
        environment = {**os.environ, "LC_ALL": "C", "HOME": str(self.folder), leftovers.MARK: self.tag}
        line = ["ip", "netns", "exec", self.space(host)]
        if overlay:
            environment["OVERLAY"] = " ".join(f"{made}={system}" for made, system in overlay.items())
            line += ["unshare", "-m", "sh", "-c", MASK, "sh"]
        return [*line, *program], environment

    def run(
        self,
        host: str,
        program: Sequence[str],
        *,
        check: bool = True,
        overlay: dict[Path, str] | None = None,
        env: dict[str, str] | None = None,
        text: str | None = None,
    ) -> str:
        """Run a program to its end in ``host``, ``text`` being its stdin; its stdout.

        Its stderr is in the error raised when ``check`` fails.
        """
        line, environment = self.command(host, program, overlay)
        result = subprocess.run(
            line,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            input=text or "",
        )
        if check and result.returncode:
            raise RuntimeError(f"{' '.join(program)} in {host}: exit {result.returncode}: {result.stderr.strip()}")
        return result.stdout

    def start(
        self, host: str, program: Sequence[str], log: str, *, overlay: dict[Path, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that stays; stdout and stderr go to ``folder/log``."""
        line, environment = self.command(host, program, overlay)
        with (self.folder / log).open("wb") as out:
            process = subprocess.Popen(
                line, env=environment, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
            )
        self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
        """Ask a started program to end; insist after five seconds."""
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process in self.running:
            self.running.remove(process)

    def listening(self, host: str, port: int) -> bool:
        """True once something in ``host`` listens on ``port``, asked of the kernel so that no packet is made."""
        return f":{port} " in self.run(host, ["ss", "-Hltun"])

    def text(self, log: str) -> str:
        """What a program wrote so far."""
        return (self.folder / log).read_text(errors="replace")


def wait_for(what: str, ready: Callable[[], bool]) -> None:
    """Wait until ``ready``; TimeoutError naming ``what``."""
    end = time.monotonic() + WAIT
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)
