"""What every sample's script shares: dumpcap at a bridge, the notes of what happened, and the two files that come of it.

A script says who there is and what is played; ``record`` does the rest::

    def play(lab, truth): ...
    SAMPLE = Sample("web", "the bridge of 10.40.1.0/24", "10.40.1.0/24", HOSTS, ("curl", "nginx"), play)
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sample_captures.make.lab import Lab, mac_of, wait_for

FOLDER = Path(__file__).parents[1]
SETTLE = 1.0
"""seconds after the last step: closing packets still come, and dumpcap reads its ring every quarter of a second"""
VERSION_WORDS = {
    "ip": ["-V"],
    "nfcapd": ["-V"],
    "nfdump": ["-V"],
    "softflowd": ["-h"],
    "ssh": ["-V"],
    "nginx": ["-v"],
    "dig": ["-v"],
    "nft": ["-v"],
    "klist": ["-V"],
    "iodine": ["-v"],
    "openssl": ["version"],
    "vncsnapshot": ["-help"],
    "busybox": [],
}
"""how programs are asked for their version where it isn't ``--version``"""


@dataclass(slots=True)
class Truth:
    """What happened, as the programs told it."""

    connections: list[dict[str, Any]] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    planted: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **row: Any) -> None:
        """One connection: who, program, proto, src, src_port, dst, dst_port, service, outcome, and whatever else was reported."""
        self.connections.append(row)

    def step(self, what: str) -> None:
        """Note when something began."""
        self.steps.append({"time": round(time.time(), 3), "what": what})

    def plant(self, text: str, kind: str, *, clear: bool, encoding: str = "utf-8") -> str:
        """Note a made-up secret that goes over the wire; returns it.

        kind: password, user, cookie, header, query, body or command; clear: whether its bytes in ``encoding`` stand in the
        capture as they are (not so within TLS, ssh or Base64).
        """
        secret = {"text": text, "kind": kind, "clear": clear, "encoding": encoding}
        if secret not in self.planted:
            self.planted.append(secret)
        return text


@dataclass(frozen=True, slots=True)
class Sample:
    """One network at one bridge, and what is played in it."""

    name: str
    seen_at: str
    prefix: int
    hosts: Mapping[str, tuple[str, str]]
    """name -> (IPv4 address, role)"""
    programs: tuple[str, ...]
    play: Callable[[Lab, Truth], dict[str, Any]]
    """starts its servers' clients and notes what they say; returns further keys of the ground truth"""
    prepare: Callable[[Lab], None] = lambda _lab: None
    """starts the servers, before anything is recorded"""
    snaplen: int = 0
    """bytes kept of each packet; 0 keeps all"""


def build(lab: Lab, hosts: Mapping[str, tuple[str, str]], prefix: int) -> None:
    """One bridge, ``br0`` in ``fabric``, with every host on it."""
    lab.add_bridge("fabric", "br0")
    for host, (address, _role) in hosts.items():
        lab.add_space(host)
        lab.plug(host, "eth0", "fabric", "br0", f"{address}/{prefix}")
        lab.run(host, ["sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"])  # every refused datagram is told of, not one a second


class Recorder:
    """dumpcap on one interface of one namespace, of what a capture filter lets through; ``stop`` gives what it counted."""

    def __init__(self, lab: Lab, host: str, interface: str, snaplen: int = 0, only: str = "") -> None:
        label = "-".join([host, interface, *only.split()])
        self.lab, self.interface, self.log = lab, interface, f"dumpcap-{label}.log"
        self.raw = lab.folder / f"{label}.pcapng"
        words = ["dumpcap", "-q", "-i", interface, "-w", str(self.raw), *(["-s", str(snaplen)] if snaplen else [])]
        words += ["-f", only] if only else []
        self.process = lab.start(host, words, self.log)
        wait_for("dumpcap", lambda: "File:" in lab.text(self.log))
        time.sleep(0.5)  # the file's name is said a moment before the socket is read

    def stop(self) -> dict[str, int]:
        """End the recording; dumpcap's own count of packets and drops."""
        time.sleep(SETTLE)
        self.lab.end(self.process, signal.SIGINT)
        words = self.lab.text(self.log).split(f"Packets received/dropped on interface '{self.interface}': ")[1].split()[0]
        received, dropped = (int(number) for number in words.split("/"))
        return {"packets": received, "dropped": dropped}


def record(sample: Sample, folder: Path) -> dict[str, Any]:
    """Play a sample under dumpcap and write NAME.pcapng and NAME.json into ``folder``; returns the ground truth."""
    truth = Truth()
    with Lab() as lab:
        build(lab, sample.hosts, sample.prefix)
        sample.prepare(lab)
        recorder = Recorder(lab, "fabric", "br0", sample.snaplen)
        more = sample.play(lab, truth)
        counted = recorder.stop()
        document = {
            "capture": f"{sample.name}.pcapng",
            "seen_at": sample.seen_at,
            "hosts": [{"name": h, "ip": a, "mac": mac_of(a), "role": r} for h, (a, r) in sample.hosts.items()],
            "programs": versions(sample.programs),
            "dumpcap": counted,
            **asdict(truth),
            **more,
        }
        write(folder, sample.name, document, recorder.raw.read_bytes())
    return document


def write(folder: Path, name: str, document: dict[str, Any], capture: bytes, script: str = "") -> None:
    """Both files of a sample: the capture without its machine, the ground truth. ``script``: its maker, if not its namesake."""
    (folder / f"{name}.pcapng").write_bytes(without_host(capture, script or name))
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def command_line(about: str | None, make: Callable[[Path], dict[str, Any]]) -> int:
    """``python -m sample_captures.make.NAME [FOLDER]``."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    document = make(parser.parse_args().folder)
    counted = document.get("dumpcap") or document["built"]
    print(f"{document['capture']}: {len(document['connections'])} connections, {counted['packets']} packets")
    return 0


def versions(programs: tuple[str, ...]) -> dict[str, str]:
    """What each program says its version is: the first line that has one, as far as it goes."""
    said = {}
    for program in programs:
        words = [program, *VERSION_WORDS.get(program, ["--version"])]
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        lines = [line.strip() for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        found = next((match for line in lines if (match := re.match(r".*?\d+\.\d+\S*", line))), None)
        said[program] = found.group().rstrip(",.") if found else " ".join(lines[0].split()[:3])
    return said


def _block(kind: bytes, body: bytes) -> bytes:
    length = (12 + len(body)).to_bytes(4, "little")
    return kind + length + body + length


def without_host(capture: bytes, script: str) -> bytes:
    """The capture without what tells of the machine that made it: the section's options, the interface's operating system.

    Layout: draft-ietf-opsawg-pcapng, 4.1 and 4.2; dumpcap on a little-endian machine writes one section with one interface first.
    """
    if capture[:4] != b"\x0a\x0d\x0d\x0a" or capture[8:12] != b"\x4d\x3c\x2b\x1a":
        raise ValueError("dumpcap wrote something that is no little-endian pcapng")
    comment = f"made by sample_captures/make/{script.replace('-', '_')}.py; all content is invented".encode()
    options = b"\x01\0" + len(comment).to_bytes(2, "little") + comment + bytes(-len(comment) % 4) + bytes(4)
    section = _block(capture[:4], capture[8:16] + b"\xff" * 8 + options)
    at = int.from_bytes(capture[4:8], "little")
    end = at + int.from_bytes(capture[at + 4 : at + 8], "little")
    kept, option = b"", at + 16
    while (code := int.from_bytes(capture[option : option + 2], "little")) and option < end - 4:
        size = 4 + (int.from_bytes(capture[option + 2 : option + 4], "little") + 3 & ~3)
        if code in (2, 9):  # if_name, if_tsresol
            kept += capture[option : option + size]
        option += size
    interface = _block(capture[at : at + 4], capture[at + 8 : at + 16] + kept + bytes(4))
    return section + interface + capture[end:]
