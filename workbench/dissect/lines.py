"""What dissection hands out: a line a packet, and the tree of one packet. Texts are as they came: show them with `visible`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One packet in a list. number: its place in what was handed over, from 1. length: bytes on the wire.

    src, dst: addresses ('' where none). protocol: the highest one. info: made from allowed fields only (unmasked: tshark's own).
    """

    number: int
    ts_ns: int
    src: str
    dst: str
    protocol: str
    length: int
    info: str


@dataclass(frozen=True, slots=True)
class Node:
    """One line of a packet's tree. name: the Wireshark name ('' for a line that is no field).

    label: the field's registered name, never text of the packet. value: what is shown of it, or `(masked, N bytes)`.
    masked: something stands there that is not shown. offset, length: where it stands in the packet, bytes; offset -1
    where it stands in bytes put together from several packets.
    """

    name: str
    label: str
    value: str
    masked: bool
    offset: int
    length: int
    children: tuple[Node, ...] = field(default=())


def line_from(row: Any) -> Line:
    """A line as it crossed the pipe. ValueError where it has another form."""
    number, ts_ns, src, dst, protocol, length, info = row
    return Line(int(number), int(ts_ns), str(src), str(dst), str(protocol), int(length), str(info))


def node_from(row: Any) -> Node:
    """A node and all below it, as they crossed the pipe. ValueError where it has another form."""
    name, label, value, masked, offset, length, children = row
    below = tuple(node_from(child) for child in children)
    return Node(str(name), str(label), str(value), bool(masked), int(offset), int(length), below)
