"""Make day.pcapng and its ground truth: ``python -m sample_captures.make.day [FOLDER]`` (no root; at once).

Built, not recorded, since it takes a day to record one: twenty-four hours of an application, with the clock as it would be. It
keeps one connection to its database for thirteen hours, and copies its journal to a vault about once an hour; an
administrator's session stays open for five hours. In the sixteenth hour the application's host reaches a network that nobody
reached before, and in the twenty-first it sends the vault some ninety times what it used to. Packets are cut at 96
bytes, and some are larger than a link's, as where the network card cuts them up. The same bytes come out each time.
"""

from __future__ import annotations

import random
import struct
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from sample_captures.make.lab import mac_of
from sample_captures.make.recording import command_line, write

START = 1_773_532_800_000_000
"""microseconds since 1970: when the capture says it begins"""
SECOND, HOUR = 1_000_000, 3_600_000_000
SNAPLEN = 96
LARGEST = 60_000
HOSTS = {
    "app": ("10.70.1.11", "application"),
    "database": ("10.70.1.20", "its database, tcp/5432"),
    "admin": ("10.70.1.60", "administrator"),
    "vault": ("10.70.2.10", "keeps journals, tcp/873; behind the gateway"),
    "plant": ("10.70.9.5", "building control, tcp/22; nobody's business; behind the gateway"),
    "gateway": ("10.70.1.1", "gateway of 10.70.1.0/24"),
}
APP, DATABASE, ADMIN, VAULT, PLANT, GATEWAY = (address for address, _ in HOSTS.values())
SYN, ACK, FIN, PUSH = 2, 16, 1, 8


def checksum(data: bytes) -> int:
    """RFC 1071; of an even number of bytes."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(address: str) -> bytes:
    """Who takes the frames of this address at the application's port: itself, or the gateway."""
    near = address if address.startswith("10.70.1.") else GATEWAY
    return bytes.fromhex(mac_of(near).replace(":", ""))


@dataclass(slots=True)
class Tape:
    """Frames with their times and lengths, and the connections they make."""

    frames: list[tuple[int, int, bytes]] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)

    def segment(self, at: int, src: tuple[str, int], dst: tuple[str, int], seq: int, ack: int, flags: int, size: int) -> None:
        """One TCP segment of ``size`` zeros."""
        ends = ip_address(src[0]).packed + ip_address(dst[0]).packed
        tcp = struct.pack(">HHIIBBHHH", src[1], dst[1], seq, ack, 5 << 4, flags, 65_535, 0, 0)
        total = checksum(ends + struct.pack(">HH", 6, len(tcp) + size) + tcp)  # zeros add nothing
        tcp = tcp[:16] + struct.pack(">H", total) + tcp[18:]
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + size, len(self.frames) & 0xFFFF, 0x4000, 64, 6, 0) + ends
        head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
        frame = mac(dst[0]) + mac(src[0]) + b"\x08\x00" + head + tcp + bytes(min(size, SNAPLEN))
        self.frames.append((START + at, 14 + 40 + size, frame[:SNAPLEN]))

    def talk(self, who: str, dst: tuple[str, int], port: int, at: int, steps: list[tuple[int, int, int]]) -> None:
        """A connection from beginning to end. steps: (microseconds to wait, bytes up, bytes down)."""
        src, began = (HOSTS[who][0], port), at
        up, down = 1000 + port, 7000 + port
        self.segment(at, src, dst, up, 0, SYN, 0)
        self.segment(at + 200, dst, src, down, up + 1, SYN | ACK, 0)
        self.segment(at + 400, src, dst, up + 1, down + 1, ACK, 0)
        up, down, at = up + 1, down + 1, at + 400
        for wait, sent, got in steps:
            at += wait
            for size in (*[LARGEST] * (sent // LARGEST), sent % LARGEST):
                if size:
                    self.segment(at, src, dst, up, down, ACK | PUSH, size)
                    up, at = up + size, at + 300
            self.segment(at, dst, src, down, up, ACK | (PUSH if got else 0), got)
            down, at = down + got, at + 300
        self.segment(at, src, dst, up, down, ACK | FIN, 0)
        self.segment(at + 200, dst, src, down, up + 1, ACK | FIN, 0)
        self.segment(at + 400, src, dst, up + 1, down + 1, ACK, 0)
        self.connections.append({
            "who": who, "program": "built", "time": (START + began) / 1e6, "proto": "tcp", "src": src[0], "src_port": port,
            "dst": dst[0], "dst_port": dst[1], "service": None, "outcome": "completed", "lasts": (at + 400 - began) / 1e6,
            "sent_bytes": sum(step[1] for step in steps), "body_bytes": sum(step[2] for step in steps),
        })  # fmt: skip


def play(tape: Tape) -> dict[str, Any]:
    """The day."""
    odd = random.Random(23)
    tape.talk("app", (DATABASE, 5432), 40_001, 600 * SECOND, [(240 * SECOND, 48, 96)] * 195)
    tape.talk("admin", (APP, 22), 40_002, 8 * HOUR, [(200 * SECOND, 36, 52)] * 90)
    for hour in range(24):
        at = hour * HOUR + odd.randrange(60, 3000) * SECOND
        tape.talk("app", (VAULT, 873), 41_000 + hour, at, [(2000, odd.randrange(14_000, 26_000), 80)])
        for n in range(odd.randrange(1, 4)):
            tape.talk("admin", (APP, 443), 42_000 + hour * 8 + n, at + 400 * SECOND + n * 9 * SECOND, [(3000, 300, 2000)])
    reached = 15 * HOUR + 1200 * SECOND
    for n in range(3):
        tape.talk("app", (PLANT, 22), 43_000 + n, reached + n * 20 * SECOND, [(90_000, 1800, 2400)])
    taken = 20 * HOUR + 3300 * SECOND
    tape.talk("app", (VAULT, 873), 44_000, taken, [(2000, 2_000_000, 400)])
    return {
        "long_connections": [{"src": APP, "dst": DATABASE, "hours": 13.0}, {"src": ADMIN, "dst": APP, "hours": 5.0}],
        "first_path": {"from": "10.70.1.0/24", "to": "10.70.9.0/24", "time": (START + reached) / 1e6, "connections": 3},
        "exfiltration": {"source": APP, "target": VAULT, "sent_bytes": 2_000_000, "time": (START + taken) / 1e6},
        "clock": "made up: the script wrote the times",
    }


def pcapng(frames: list[tuple[int, int, bytes]]) -> bytes:
    """A section, an interface and the frames (draft-ietf-opsawg-pcapng, 4); times in microseconds, in order."""

    def block(kind: int, body: bytes) -> bytes:
        size = 12 + len(body)
        return struct.pack("<II", kind, size) + body + struct.pack("<I", size)

    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 1, 0, SNAPLEN))]
    for ts, length, data in sorted(frames, key=lambda one: one[0]):
        head = struct.pack("<IIIII", 0, ts >> 32, ts & 0xFFFFFFFF, len(data), length)
        out.append(block(6, head + data + bytes(-len(data) % 4)))
    return b"".join(out)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    tape = Tape()
    told = play(tape)
    document = {
        "capture": "day.pcapng",
        "seen_at": "the application's switch port, 10.70.1.0/24",
        "hosts": [{"name": n, "ip": a, "mac": mac_of(a), "role": r} for n, (a, r) in HOSTS.items() if a.startswith("10.70.1.")]
        + [{"name": n, "ip": a, "role": r} for n, (a, r) in HOSTS.items() if not a.startswith("10.70.1.")],
        "programs": {"built": "by this script; no program had a part"},
        "built": {"packets": len(tape.frames)},
        "snaplen": SNAPLEN,
        "connections": tape.connections,
        "steps": [],
        "planted": [],
        **told,
    }
    write(folder, "day", document, pcapng(tape.frames))
    return document


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
