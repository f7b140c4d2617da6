"""Attach to one end of a cable while packets come out of the other, and watch memory, lag and files: ``make soak``.

A real interface (veth, in namespaces of its own), dumpcap, and generated traffic whose addresses change with every round, so
that flows begin and end all the time. Idle times are short and the ring of evidence is small: what may grow has stopped
growing by the time it is measured. Needs root and dumpcap.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.generate import main as generate

_ETHERTYPE_IPV4 = b"\x08\x00"
_LONGEST = 1514
#: Seconds for which the last packets may be on their way.
_PATIENCE = 20.0
#: Settings under which a run of minutes sees what a run of days does: flows that idle out, files that are dropped.
_SETTINGS = """[flows]
tcp_idle = 10.0
tcp_close = 2.0
udp_idle = 8.0
icmp_idle = 8.0
[attach]
evidence_mb = 20
evidence_file_mb = 2
retain_hours = {hours}
"""


@dataclass(slots=True)
class Soaked:
    """What was measured, a sample a second. memory: anonymous MiB of attach and of its worker; files: of segments.

    sent: packets put on the cable; summary: what attach said in the end.
    """

    seconds: list[float] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=lambda: {"attach": [], "worker": []})
    lag: list[float] = field(default_factory=list)
    behind: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    sent: int = 0
    summary: dict[str, Any] = field(default_factory=dict)

    def growth(self, values: Sequence[float]) -> float:
        """Growth a minute of what it falls back to again and again, over the second half: what is only used for a moment
        (two files' rows while they are joined) comes and goes, what is lost stays.
        """
        pieces = [range(at, at + len(values) // 8) for at in range(len(values) // 2, len(values) - 1, len(values) // 8)][:4]
        times = [float(np.mean([self.seconds[n] for n in piece])) for piece in pieces]
        return 60 * float(np.polyfit(times, [min(values[n] for n in piece) for piece in pieces], 1)[0])


def frames_of(capture: Path) -> list[bytes]:
    """The frames of a pcap that fit on a cable."""
    data, at, found = capture.read_bytes(), 24, []
    while at + 16 <= len(data):
        size = int.from_bytes(data[at + 8 : at + 12], "little")
        if size <= _LONGEST:
            found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def moved(frame: bytes, by: int) -> bytes:
    """The frame between two other hosts. What one address gains the other loses: every checksum stays right (RFC 1624).

    Both directions of a conversation move alike, since it is the smaller address that gains.
    """
    if frame[12:14] != _ETHERTYPE_IPV4 or not by:
        return frame
    up, down = (28, 32) if frame[26:30] < frame[30:34] else (32, 28)
    made = bytearray(frame)
    for at, change in ((up, by), (down, -by)):
        made[at : at + 2] = ((int.from_bytes(frame[at : at + 2], "big") + change) % 0xFFFF).to_bytes(2, "big")
    return bytes(made)


def send(interface: str, capture: Path, rate: float) -> None:
    """Send until stdin ends, then say how many there were. rate: packets a second."""
    done = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
    frames, sent, start = frames_of(capture), 0, time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((interface, 0))
        while not done.is_set():
            due = int((time.monotonic() - start) * rate)
            for n in range(sent, due):
                out.send(moved(frames[n % len(frames)], n // len(frames)))
            sent = max(sent, due)
            done.wait(0.02)
    print(sent)


@contextlib.contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Two namespaces with a cable between them: `left` in the first, `right` in the second."""
    tag = "wbsoak" + secrets.token_hex(3)
    names = (f"{tag}l", f"{tag}r")
    made = [["ip", "netns", "add", name] for name in names]
    made.append(["ip", "link", "add", "left", "netns", names[0], "type", "veth", "peer", "name", "right", "netns", names[1]])
    quiet = "net.ipv6.conf.all.disable_ipv6=1"
    for name, end in zip(names, ("left", "right"), strict=True):
        inside = ["ip", "netns", "exec", name]
        made += [[*inside, "sysctl", "-q", "-w", quiet], [*inside, "ip", "link", "set", end, "up"]]
    try:
        for words in made:
            subprocess.run(words, check=True, capture_output=True, timeout=60)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def anonymous(pid: int) -> float:
    """MiB of a process that nobody else has (proc(5): RssAnon); 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def worker_of(pid: int) -> int:
    """The decoding process of an attach run; 0 before there is one."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
    return 0


def soak(seconds: float, rate: float, folder: Path) -> Soaked:
    """Attach for so long while so many packets a second arrive."""
    folder.mkdir(parents=True, exist_ok=True)
    capture, config = folder / "mixed.pcap", folder / "config.toml"
    generate([str(capture), "--size", "4MB"])
    config.write_text(_SETTINGS.format(hours=max(0.005, seconds / 3600 / 4)))
    case, found = folder / "case", Soaked()
    environment = {**os.environ, "WORKBENCH_CONFIG": str(config)}
    with cable() as (left, right):
        words = ["ip", "netns", "exec", left, sys.executable, "-m", "workbench", "attach", "left", "--case", str(case)]
        words += ["--headless", "--status", "json", "--status-every", "1", "--format", "json"]
        attached = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        assert attached.stderr is not None
        assert attached.stdout is not None
        sender: subprocess.Popen[str] | None = None
        end = 0.0
        for line in attached.stderr:
            now = json.loads(line) if line.startswith("{") else {}
            if now.get("state") != "capturing":
                continue
            if sender is None:
                words = ["ip", "netns", "exec", right, sys.executable, "-m", "benchmarks.live_soak", "--send", str(capture)]
                words += ["--rate", str(rate)]
                sender = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                end = time.monotonic() + seconds
            if not found.sent:
                note(found, now, attached.pid, case)
            if not found.sent and time.monotonic() >= end:
                found.sent = int(sender.communicate()[0])
                end = time.monotonic() + _PATIENCE
            if found.sent and (now["packets"] >= found.sent or time.monotonic() >= end):
                break
        attached.send_signal(signal.SIGTERM)
        rest = threading.Thread(target=attached.stderr.read, daemon=True)
        rest.start()
        found.summary = json.loads(attached.stdout.read() or "{}")
        attached.wait(120)
    return found


def note(found: Soaked, now: dict[str, Any], pid: int, case: Path) -> None:
    """Add a sample."""
    found.seconds.append(time.monotonic())
    found.memory["attach"].append(anonymous(pid))
    found.memory["worker"].append(anonymous(worker_of(pid)))
    found.lag.append(now["lag"] or 0.0)
    found.behind.append(now["behind"])
    found.files.append(sum(1 for _ in (case / "segments").rglob("*.parquet")))
    if len(found.seconds) % 10 == 0:
        memory = ", ".join(f"{name} {values[-1]:.0f} MiB" for name, values in found.memory.items())
        said = f"{now['packets']:,} packets, {now['open_flows']:,} open flows, {now['lag'] or 0:.1f} s behind now"
        print(f"{len(found.seconds)} s: {said}, {memory}, {found.files[-1]} segments", flush=True)


def judge(found: Soaked, most_mib: float, most_lag: float = 1.0) -> list[str]:
    """What is wrong, in words. most_mib: growth a minute of either process that is still called flat; most_lag: of its lag, s."""
    wrong = []
    for name, values in found.memory.items():
        growth = found.growth(values)
        print(f"{name}: {growth:+.2f} MiB a minute, {values[-1]:.0f} MiB in the end")
        if growth > most_mib:
            wrong.append(f"{name} grows by {growth:.2f} MiB a minute")
    lag = found.growth(found.lag)
    print(f"lag: {lag:+.2f} s a minute, {max(found.lag[len(found.lag) // 2 :]):.1f} s at most")
    if lag > most_lag:
        wrong.append(f"falls behind by {lag:.1f} s a minute")
    (source,) = found.summary["sources"]
    print(f"{found.sent:,} packets sent, {source['packets']:,} indexed, {source['dropped']} dropped")
    print(f"segments: {found.growth(found.files):+.1f} a minute, {max(found.files)} at most")
    if source["packets"] + (source["dropped"] or 0) < found.sent:
        wrong.append(f"{found.sent - source['packets']} packets are missing")
    return wrong


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=5000, help="packets a second")
    parser.add_argument("--most-mib", type=float, default=1.0, help="growth a minute that counts as none")
    parser.add_argument("--send", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.send is not None:
        send("right", given.send, given.rate)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        wrong = judge(soak(given.minutes * 60, given.rate, Path(folder)), given.most_mib)
    for what in wrong:
        print(f"wrong: {what}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
