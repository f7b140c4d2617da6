"""The registry's signatures and framings as rows for kernels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.protocol import Protocol, Signature
from workbench.decode.application.registry import codes, protocols
from workbench.flows.memory import Memory, lazy_rows
from workbench.flows.stream_rows import BUFFER, BUFFERS, FRAMING, HELD_ROWS, MOST_PORTS, MOST_VALUE, SIGNATURE

_TRANSPORTS: Final = {"tcp": (6, 0), "udp": (17, 1), "sctp": (132, 2)}
_SIDES: Final = {None: 0, "src": 1, "dst": 2}
#: Bytes of messages that wait to be read: what one chunk of packets and every buffer can hold, and some. Lazily backed.
ARENA: Final = 256 << 20
MESSAGES: Final = 1 << 20


def _order(signature: Signature) -> tuple[int, bool, int, bool]:
    """By transport; those without doubt first, then the longest; those that need a port before those that only probe."""
    return _TRANSPORTS[signature.transport][0], not signature.strong, -len(signature.value), not signature.ports


def signature_rows() -> NDArray[Any]:
    """Rows of SIGNATURE, those of TCP first, then UDP, then SCTP."""
    listed: list[tuple[Signature, Protocol]] = [(s, p) for p in protocols() for s in p.signatures]
    listed.sort(key=lambda pair: _order(pair[0]))
    ranks = {"tcp": 0, "udp": 1, "sctp": 2}
    listed.sort(key=lambda pair: ranks[pair[0].transport])
    rows = np.zeros(sum(max(1, -(-len(s.ports) // MOST_PORTS)) for s, _ in listed), SIGNATURE)
    at = 0
    for signature, protocol in listed:
        for first in range(0, max(1, len(signature.ports)), MOST_PORTS):
            _fill(rows[at], signature, codes()[protocol.name], signature.ports[first : first + MOST_PORTS])
            at += 1
    return rows


def _fill(row: Any, signature: Signature, code: int, ports: tuple[int, ...]) -> None:
    size = len(signature.value)
    if size > MOST_VALUE:
        raise ValueError(f"a signature of {size} bytes")
    mask = signature.mask or b"\xff" * size
    row["transport"] = _TRANSPORTS[signature.transport][0]
    row["protocol"] = code
    row["side"] = _SIDES[signature.side]
    row["probe"] = signature.probe
    row["strong"] = signature.strong
    row["size"] = size
    row["at"] = signature.at
    row["least"] = max(1, signature.least)
    row["value"][:size] = np.frombuffer(bytes(v & m for v, m in zip(signature.value, mask, strict=True)), np.uint8)
    row["mask"][:size] = np.frombuffer(mask, np.uint8)
    if size and signature.at == 0:
        row["lead"], row["lead_mask"] = row["value"][0], mask[0]
    row["port_count"] = len(ports)
    row["ports"][: len(ports)] = ports


def framing_rows() -> NDArray[Any]:
    """Row 4 * code + transport of every protocol."""
    rows = np.zeros(4 * (len(protocols()) + 1), FRAMING)
    for protocol in protocols():
        for transport in {signature.transport for signature in protocol.signatures}:
            framing = protocol.framed(transport)
            row = rows[4 * codes()[protocol.name] + _TRANSPORTS[transport][1]]
            for name in ("most", "add", "mask", "scale", "at", "cut", "width", "little", "order_at", "while_set"):
                row[name] = getattr(framing, name)
            row["keep"] = min(framing.keep, BUFFER)
    return rows


def prepare(memory: Memory, *, listening: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Put signatures and framings into a flow table's memory; (pool of buffers, arena of messages)."""
    signatures = signature_rows() if listening else np.zeros(0, SIGNATURE)
    memory.put("signatures", signatures)
    memory.put("framings", framing_rows() if listening else np.zeros(4, FRAMING))
    transports = signatures["transport"]
    memory.set("tcp_signatures", int((transports == 6).sum()))
    memory.set("udp_signatures", int((transports != 132).sum()))
    memory.set("all_signatures", len(signatures))
    memory.set("tls", codes().get("tls", 0) if listening else 0)
    memory.set("listening", int(listening))
    for name in ("streams_free", "held_free"):
        memory.set(name, -1)
    byte = np.dtype(np.uint8)
    pool = lazy_rows(BUFFER * (BUFFERS + 1) if listening else BUFFER, byte)
    arena = lazy_rows(ARENA if listening else 1, byte)
    memory.set("arena_size", len(arena))
    return pool, arena


def sizes(slots: int) -> dict[str, int]:
    """Rows of the regions that streams need, for a table of that many slots."""
    return {"streams": slots, "held": HELD_ROWS, "buffers": BUFFERS, "messages": MESSAGES}
