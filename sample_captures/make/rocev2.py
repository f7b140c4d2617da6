"""Make rocev2.pcapng and its ground truth: ``python -m sample_captures.make.rocev2 [FOLDER]`` (no root; at once).

Built, not recorded: RDMA needs a device that a lab of namespaces hasn't. Two GPU nodes and a store talk over queue pairs: sends,
writes, reads, an atomic, a lost packet and its repair, a receiver that isn't ready, congestion marks, a datagram, one pair over
IPv6; at last a pair that reads far more of the store than anybody before. The same bytes come out each time.
"""

from __future__ import annotations

import struct
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sample_captures.make import rdma_frames as rdma
from sample_captures.make.lab import mac_of
from sample_captures.make.rdma_frames import OPCODES, RC, UD, Port
from sample_captures.make.recording import command_line, write

GPU1, GPU2, STORE = (
    Port(name, ip, mac_of(ip)) for name, ip in (("gpu-1", "10.60.0.11"), ("gpu-2", "10.60.0.12"), ("store-1", "10.60.0.21"))
)
GPU1_V6, GPU2_V6 = (Port(port.name, f"fd00:60::{port.ip.rsplit('.', 1)[1]}", port.mac) for port in (GPU1, GPU2))
MTU = 1024
START = 1_773_480_600_000_000
"""microseconds since 1970: when the capture says it begins"""
SECRET = b"osprey-checkpoint-shard"
ACK, SEQUENCE_ERROR, NOT_READY = 0x1F, 0x60, 0x2A


def content(size: int) -> bytes:
    """``size`` bytes of a made-up tensor, with a name that must not be shown."""
    return b"".join(SECRET + struct.pack(">I", n) for n in range(size // 27 + 1))[:size]


@dataclass(slots=True)
class Wire:
    """The frames in order, and what each queue pair did; the clock ticks as frames are sent."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    flows: dict[tuple[str, int, str], dict[str, Any]] = field(default_factory=dict)
    opcodes: Counter[str] = field(default_factory=Counter)
    now: int = START

    def send(self, src: Port, dst: Port, udp_port: int, transport: bytes, payload: bytes = b"", ecn: int = 2) -> None:
        """One frame, 3 microseconds after the one before."""
        self.now += 3
        data = rdma.frame(src, dst, udp_port, transport, payload, ecn=ecn, identification=len(self.frames) & 0xFFFF)
        self.frames.append((self.now, data))
        self.opcodes[rdma.opcode_name(transport[0])] += 1
        fresh = {"packets": 0, "sent": 0, "time": self.now / 1e6}
        flow = self.flows.setdefault((src.ip, udp_port, dst.ip), fresh)
        flow["packets"] += 1
        flow["sent"] += len(transport) + len(payload) + -len(payload) % 4 + 4  # the datagram's payload, ICRC included

    def rest(self, milliseconds: int) -> None:
        """Nothing happens for a while."""
        self.now += milliseconds * 1000


@dataclass(slots=True)
class Pair:
    """Two connected queue pairs (RC), seen from the side that asks; each side has a UDP source port of its own."""

    wire: Wire
    near: Port
    far: Port
    near_qp: int
    far_qp: int
    near_port: int
    far_port: int
    psn: int
    messages: list[dict[str, Any]] = field(default_factory=list)
    msn: int = 0

    def note(self, operation: str, size: int, first: int, packets: int, **more: Any) -> None:
        """One message: its operation, its bytes, its first packet sequence number, its packets."""
        row = {"operation": operation, "bytes": size, "first_psn": first, "packets": packets}
        self.messages.append({"time": self.wire.now / 1e6, **row, **more})

    def ask(self, operation: str, more: bytes = b"", payload: bytes = b"", *, ack: bool = False, psn: int | None = None) -> None:
        """A packet of the asking side; it takes the next sequence number unless one is given."""
        number = self.psn if psn is None else psn
        head = rdma.bth(RC | OPCODES[operation], self.far_qp, number, payload=len(payload), ack=ack)
        self.wire.send(self.near, self.far, self.near_port, head + more, payload)
        self.psn = self.psn + 1 & 0xFFFFFF if psn is None else self.psn

    def answer(self, operation: str, psn: int, more: bytes = b"", payload: bytes = b"") -> None:
        """A packet of the answering side."""
        head = rdma.bth(RC | OPCODES[operation], self.near_qp, psn, payload=len(payload))
        self.wire.send(self.far, self.near, self.far_port, head + more, payload)

    def acknowledge(self, psn: int, syndrome: int = ACK) -> None:
        """An acknowledgement of everything up to ``psn``, or what went wrong there."""
        self.msn += syndrome == ACK
        self.answer("ACKNOWLEDGE", psn & 0xFFFFFF, rdma.aeth(syndrome, self.msn))

    def transfer(self, kind: str, size: int, region: bytes = b"", immediate: bytes = b"", lose: int | None = None) -> None:
        """A SEND or an RDMA_WRITE of ``size`` bytes in packets of ``MTU``; packet ``lose`` gets lost and is sent again.

        What is lost never reaches the capture's port: the answering side misses it, says so, and all from there on comes again.
        """
        first, parts = self.psn, list(pieces(kind, size, bool(immediate)))
        for n, (operation, data) in enumerate(parts):
            more = (region if n == 0 else b"") + (immediate if n + 1 == len(parts) else b"")
            if n == lose:
                self.psn += 1
                continue
            self.ask(operation, more, data, ack=n + 1 == len(parts))
        again = 0
        if lose is not None:
            self.acknowledge(first + lose, SEQUENCE_ERROR)
            for n, (operation, data) in list(enumerate(parts))[lose:]:
                self.ask(operation, b"", data, ack=n + 1 == len(parts), psn=first + n & 0xFFFFFF)
            again = len(parts) - lose
        self.acknowledge(self.psn - 1)
        seen = len(parts) + max(0, again - 1)
        self.note(kind, size, first, seen, sent_again=max(0, again - 1), sequence_errors=int(lose is not None))

    def read(self, region_address: int, key: int, size: int) -> None:
        """An RDMA READ: one request, and the answer's packets carry the data; it takes a sequence number for each of them."""
        first, parts = self.psn, list(pieces("RDMA_READ_RESPONSE", size, with_immediate=False))
        self.ask("RDMA_READ_REQUEST", rdma.reth(region_address, key, size))
        self.psn = first + len(parts) & 0xFFFFFF
        self.msn += 1
        for n, (operation, data) in enumerate(parts):
            marked = operation != "RDMA_READ_RESPONSE_MIDDLE"
            self.answer(operation, first + n & 0xFFFFFF, rdma.aeth(ACK, self.msn) if marked else b"", data)
        self.note("RDMA_READ", size, first, 1 + len(parts))

    def fetch_add(self, address: int, key: int, add: int, old: int) -> None:
        """An atomic addition; the answer carries the value before it."""
        first = self.psn
        self.ask("FETCH_ADD", rdma.atomic_eth(address, key, add), ack=True)
        self.msn += 1
        self.answer("ATOMIC_ACKNOWLEDGE", first, rdma.aeth(ACK, self.msn) + struct.pack(">Q", old))
        self.note("FETCH_ADD", 8, first, 2)

    def congested(self) -> None:
        """The answering side's notification of congestion (CNP, annex A17.9): 16 reserved bytes."""
        head = rdma.bth(rdma.CNP, self.near_qp, 0, becn=True)
        self.wire.send(self.far, self.near, self.far_port, head + bytes(16))

    def told(self) -> dict[str, Any]:
        """This pair's part of the ground truth."""
        ends = {
            "src": self.near.ip, "src_qp": self.near_qp, "src_port": self.near_port,
            "dst": self.far.ip, "dst_qp": self.far_qp, "dst_port": self.far_port,
        }  # fmt: skip
        return {"transport": "RC", "who": self.near.name, **ends, "messages": self.messages}


def pieces(kind: str, size: int, with_immediate: bool) -> Iterator[tuple[str, bytes]]:
    """A message's packets: FIRST, MIDDLE..., LAST, or ONLY."""
    data = content(size)
    count = max(1, -(-size // MTU))
    for n in range(count):
        place = "ONLY" if count == 1 else "FIRST" if n == 0 else "LAST" if n + 1 == count else "MIDDLE"
        tail = "_WITH_IMMEDIATE" if with_immediate and n + 1 == count else ""
        yield f"{kind}_{place}{tail}", data[n * MTU : (n + 1) * MTU]


def gradients(wire: Wire) -> Pair:
    """Two GPU nodes exchange gradients: sends, writes, an atomic, a loss, a receiver that isn't ready, congestion."""
    pair = Pair(wire, GPU1, GPU2, 0x00011A, 0x0002B4, 0xC11A, 0xC2B4, 0x3F10)
    region = 0x7F20_0000_0000
    pair.transfer("SEND", 200)
    pair.transfer("SEND", 5 * MTU + 77)
    wire.rest(40)
    for turn in range(4):
        pair.transfer("RDMA_WRITE", 6 * MTU, rdma.reth(region + turn * 6 * MTU, 0x1A2B, 6 * MTU))
        wire.rest(15)
    pair.transfer("RDMA_WRITE", 3 * MTU, rdma.reth(region, 0x1A2B, 3 * MTU), immediate=b"\0\0\0\x07")
    pair.transfer("RDMA_WRITE", 8 * MTU, rdma.reth(region, 0x1A2B, 8 * MTU), lose=3)
    wire.rest(20)
    pair.congested()
    pair.congested()
    first = pair.psn
    pair.ask("SEND_ONLY", b"", content(64), ack=True)
    pair.acknowledge(first, NOT_READY)
    wire.rest(1)
    pair.ask("SEND_ONLY", b"", content(64), ack=True, psn=first)
    pair.acknowledge(first)
    pair.note("SEND", 64, first, 2, sent_again=1, receiver_not_ready=1)
    pair.fetch_add(region + 0x9000, 0x1A2B, 1, 41)
    return pair


def checkpoints(wire: Wire) -> Pair:
    """A GPU node reads a little from the store, and writes a checkpoint to it; its sequence numbers wrap."""
    pair = Pair(wire, GPU1, STORE, 0x00011B, 0x000731, 0xC11B, 0xC731, 0xFFFFFC)
    pair.read(0x5500_0000_0000, 0x77, 700)
    pair.read(0x5500_0000_1000, 0x77, 4 * MTU + 30)
    wire.rest(30)
    pair.transfer("RDMA_WRITE", 9 * MTU, rdma.reth(0x5500_0010_0000, 0x78, 9 * MTU))
    return pair


def over_ipv6(wire: Wire) -> Pair:
    """The same kind of exchange over IPv6."""
    pair = Pair(wire, GPU2_V6, GPU1_V6, 0x0002C0, 0x00011C, 0xC2C0, 0xC11C, 100)
    pair.transfer("SEND", 2 * MTU + 1)
    pair.read(0x6600_0000_0000, 0x91, 2 * MTU)
    return pair


def taken_away(wire: Wire) -> Pair:
    """A new pair reads twenty times what anybody read before."""
    pair = Pair(wire, GPU2, STORE, 0x0003FF, 0x000732, 0xC3FF, 0xC732, 7)
    for turn in range(4):
        pair.read(0x5500_0100_0000 + turn * 24 * MTU, 0x77, 24 * MTU)
        wire.rest(5)
    return pair


def datagrams(wire: Wire) -> dict[str, Any]:
    """Unreliable datagrams: nobody acknowledges them."""
    for n in range(5):
        head = rdma.bth(UD | OPCODES["SEND_ONLY"], 0x000044, n, payload=90) + rdma.deth(0x80010000, 0x000045)
        wire.send(GPU1, GPU2, 0xC045, head, content(90))
        wire.rest(2)
    row = {"src": GPU1.ip, "src_qp": 0x45, "src_port": 0xC045, "dst": GPU2.ip, "dst_qp": 0x44, "dst_port": None}
    return {"transport": "UD", "who": GPU1.name, **row, "messages": [{"operation": "SEND", "bytes": 90, "packets": 1}] * 5}


def pcapng(frames: list[tuple[int, bytes]]) -> bytes:
    """A section, an interface and the frames (draft-ietf-opsawg-pcapng, 4); times in microseconds."""

    def block(kind: int, body: bytes) -> bytes:
        size = 12 + len(body)
        return struct.pack("<II", kind, size) + body + struct.pack("<I", size)

    out = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)), block(1, struct.pack("<HHI", 1, 0, 0))]
    for ts, data in frames:
        head = struct.pack("<IIIII", 0, ts >> 32, ts & 0xFFFFFFFF, len(data), len(data))
        out.append(block(6, head + data + bytes(-len(data) % 4)))
    return b"".join(out)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    wire = Wire()
    pairs: list[dict[str, Any]] = []
    for act in (gradients, checkpoints, over_ipv6):
        pairs.append(act(wire).told())
        wire.rest(250)
    pairs += [datagrams(wire), taken_away(wire).told()]
    names = {port.ip: port for port in (GPU1, GPU2, STORE, GPU1_V6, GPU2_V6)}
    document = {
        "capture": "rocev2.pcapng",
        "seen_at": "a switch port between two GPU nodes and a store, 10.60.0.0/24",
        "hosts": [{"name": p.name, "ip": p.ip, "mac": p.mac, "role": "has RDMA"} for p in names.values()],
        "programs": {"built": "by this script from the InfiniBand specification; no device and no driver had a part"},
        "built": {"packets": len(wire.frames)},
        "connections": [
            {
                "who": names[src].name, "program": "built", "proto": "udp", "src": src, "src_port": port, "dst": dst,
                "dst_port": rdma.PORT, "service": None, "outcome": "no answer", **said,
            }
            for (src, port, dst), said in wire.flows.items()
        ],
        "steps": [],
        "planted": [{"text": SECRET.decode(), "kind": "body", "clear": True, "encoding": "utf-8"}],
        "rdma": {"mtu": MTU, "opcodes": dict(wire.opcodes), "queue_pairs": pairs},
    }  # fmt: skip
    write(folder, "rocev2", document, pcapng(wire.frames))
    return document


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
