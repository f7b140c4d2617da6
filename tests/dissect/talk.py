"""Small captures of clear-text dialogues with secrets in them, and what a tree of a packet says as plain text."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.dissect.lines import Node

_spec = importlib.util.spec_from_file_location("wire_for_dissect", Path(__file__).parents[1] / "decode" / "wire.py")
assert _spec is not None
assert _spec.loader is not None
wire: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wire)

A, B = wire.A4, wire.B4


def pcapng(frames: Iterable[bytes], link: int = 1) -> bytes:
    """One section, one interface, a packet a millisecond."""
    out = [wire.section(), wire.interface(link=link)]
    for n, frame in enumerate(frames):
        ticks = 1_700_000_000_000_000 + n * 1000
        body = (
            struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame)) + frame + b"\0" * (-len(frame) % 4)
        )
        out.append(wire.block(6, body))
    return b"".join(out)


def tcp_talk(port: int, says: Sequence[tuple[int, bytes]]) -> list[bytes]:
    """A connection to that port in which side 0 (the client) or 1 says each text in turn, a segment each."""
    numbers, out = [1000, 9000], []

    def say(side: int, flags: int, data: bytes = b"") -> None:
        sport, dport = (40000, port) if side == 0 else (port, 40000)
        src, dst = (A, B) if side == 0 else (B, A)
        head = struct.pack(
            ">HHIIBBHHH", sport, dport, numbers[side], numbers[1 - side] if flags & 16 else 0, 0x50, flags, 8192, 0, 0
        )
        out.append(wire.eth(0x0800, wire.ip4(6, head + data, src, dst)))
        numbers[side] += len(data) + (1 if flags & 3 else 0)

    say(0, 2)
    say(1, 18)
    say(0, 16)
    for side, data in says:
        say(side, 24, data)
    say(0, 17)
    say(1, 17)
    return out


def udp_talk(port: int, says: Sequence[tuple[int, bytes]]) -> list[bytes]:
    out = []
    for side, data in says:
        sport, dport = (40000, port) if side == 0 else (port, 40000)
        src, dst = (A, B) if side == 0 else (B, A)
        out.append(wire.eth(0x0800, wire.ip4(17, struct.pack(">HHHH", sport, dport, 8 + len(data), 0) + data, src, dst)))
    return out


def flat(nodes: Iterable[Node]) -> Iterator[Node]:
    """Every node, depth first."""
    for node in nodes:
        yield node
        yield from flat(node.children)


def said(nodes: Iterable[Node]) -> str:
    """All text of a tree."""
    return "\n".join(f"{node.name}|{node.label}|{node.value}" for node in flat(nodes))
