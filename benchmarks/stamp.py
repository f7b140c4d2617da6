"""The kernels that copy template frames into a capture and patch addresses, ports and sequence numbers with incremental checksums
(RFC 1624).

Bounds: every caller sizes the output with :func:`record_bytes` first; :func:`stamp` checks the room itself and stops early,
returning what it wrote.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

PIECE = np.dtype(
    [
        ("start", np.int64),
        ("time", np.int64),
        ("length", np.int32),
        ("eth", np.int16),
        ("outer", np.int16),
        ("ip", np.int16),
        ("l4", np.int16),
        ("proto", np.int32),
        ("version", np.int8),
        ("side", np.int8),
        ("ack", np.int8),
        ("summed", np.int8),
    ]
)
"""One template frame: where its bytes are, ns since its conversation began, and :class:`benchmarks.frames.Packet`'s offsets."""

FLOW = np.dtype(
    [
        ("start", np.int64),
        ("stretch", np.float64),
        ("template", np.int32),
        ("client", np.uint32),
        ("server", np.uint32),
        ("client_vtep", np.uint32),
        ("server_vtep", np.uint32),
        ("isn_client", np.uint32),
        ("isn_server", np.uint32),
        ("client_port", np.uint16),
        ("server_port", np.uint16),
    ]
)
"""One instance of a template; ``server_port`` 0 keeps the template's."""

PCAP, PCAPNG = 0, 1


def record_bytes(lengths: NDArray[np.int32], layout: int) -> NDArray[np.int64]:
    """Bytes each frame takes in the file."""
    sizes = lengths.astype(np.int64)
    return sizes + 16 if layout == PCAP else ((sizes + 3) & ~np.int64(3)) + 32


@njit(cache=True)
def _fold(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@njit(cache=True)
def _fix(out, at, delta):
    """Add ``delta`` (sum of words, changes of zero fields) to the checksum at ``at``: HC' = ~(~HC + delta)."""
    old = (np.int64(out[at]) << 8) | np.int64(out[at + 1])
    new = (~_fold((~old & 0xFFFF) + delta)) & 0xFFFF
    out[at] = new >> 8
    out[at + 1] = new & 0xFF


@njit(cache=True)
def _put32(out, at, value):
    out[at] = (value >> 24) & 0xFF
    out[at + 1] = (value >> 16) & 0xFF
    out[at + 2] = (value >> 8) & 0xFF
    out[at + 3] = value & 0xFF


@njit(cache=True)
def _get32(out, at):
    return (np.int64(out[at]) << 24) | (np.int64(out[at + 1]) << 16) | (np.int64(out[at + 2]) << 8) | np.int64(out[at + 3])


@njit(cache=True)
def _little32(out, at, value):
    out[at] = value & 0xFF
    out[at + 1] = (value >> 8) & 0xFF
    out[at + 2] = (value >> 16) & 0xFF
    out[at + 3] = (value >> 24) & 0xFF


@njit(cache=True)
def _words(value):
    return (value >> 16) + (value & 0xFFFF)


@njit(cache=True)
def _head(out, at, time, length, layout, nanos):
    """The record's header at ``at``; returns where the frame begins. pcapng: enhanced packet block, nanoseconds."""
    if layout == 0:
        _little32(out, at, time // 1_000_000_000)
        part = time % 1_000_000_000
        _little32(out, at + 4, part if nanos else part // 1000)
        _little32(out, at + 8, length)
        _little32(out, at + 12, length)
        return at + 16
    total = ((length + 3) & ~3) + 32
    _little32(out, at, 6)
    _little32(out, at + 4, total)
    _little32(out, at + 8, 0)
    _little32(out, at + 12, time >> 32)
    _little32(out, at + 16, time & 0xFFFFFFFF)
    _little32(out, at + 20, length)
    _little32(out, at + 24, length)
    for k in range(at + 28 + length, at + total - 4):
        out[k] = 0
    _little32(out, at + total - 4, total)
    return at + 28


@njit(cache=True)
def _patch_l4(out, base, piece, flow, delta):
    """Ports, sequence numbers and the transport checksum; ``delta`` is the addresses' share of the pseudo header."""
    l4 = base + piece.l4
    proto = piece.proto
    client_port = np.int64(flow.client_port)
    if proto == 1 or proto == 58:
        out[l4 + 4] = client_port >> 8
        out[l4 + 5] = client_port & 0xFF
        _fix(out, l4 + 2, client_port + (delta if proto == 58 else 0))
        return
    near = l4 if piece.side == 0 else l4 + 2
    far = l4 + 2 if piece.side == 0 else l4
    out[near] = client_port >> 8
    out[near + 1] = client_port & 0xFF
    delta += client_port
    if flow.server_port != 0:
        new = np.int64(flow.server_port)
        old = (np.int64(out[far]) << 8) | np.int64(out[far + 1])
        delta += new + (~old & 0xFFFF)
        out[far] = new >> 8
        out[far + 1] = new & 0xFF
    if proto == 17:
        _fix(out, l4 + 6, delta)
        if out[l4 + 6] == 0 and out[l4 + 7] == 0:
            out[l4 + 6] = 255
            out[l4 + 7] = 255
        return
    own = np.int64(flow.isn_client) if piece.side == 0 else np.int64(flow.isn_server)
    peer = np.int64(flow.isn_server) if piece.side == 0 else np.int64(flow.isn_client)
    old = _get32(out, l4 + 4)
    new = (old + own) & 0xFFFFFFFF
    delta += _words(new) + _words(~old & 0xFFFFFFFF)
    _put32(out, l4 + 4, new)
    if piece.ack:
        old = _get32(out, l4 + 8)
        new = (old + peer) & 0xFFFFFFFF
        delta += _words(new) + _words(~old & 0xFFFFFFFF)
        _put32(out, l4 + 8, new)
    _fix(out, l4 + 16, delta)


@njit(cache=True)
def _patch(out, base, piece, flow):
    """Addresses of one frame, then its transport fields."""
    client, server = np.int64(flow.client), np.int64(flow.server)
    source = client if piece.side == 0 else server
    target = server if piece.side == 0 else client
    _put32(out, base + piece.eth + 2, target)
    _put32(out, base + piece.eth + 8, source)
    ip = base + piece.ip
    if piece.proto == 0xFFFF:
        out[ip + 8] = 2
        out[ip + 9] = 0x50
        _put32(out, ip + 10, source)
        _put32(out, ip + 14, source)
        _put32(out, ip + 24, target)
        if piece.side == 0:  # a request is broadcast and does not know the target's address
            for k in range(6):
                out[base + piece.eth + k] = 255
        else:
            out[ip + 18] = 2
            out[ip + 19] = 0x50
            _put32(out, ip + 20, target)
        return
    if piece.outer >= 0:
        a = np.int64(flow.client_vtep) if piece.side == 0 else np.int64(flow.server_vtep)
        b = np.int64(flow.server_vtep) if piece.side == 0 else np.int64(flow.client_vtep)
        at = base + piece.outer
        _put32(out, at + 12, a)
        _put32(out, at + 16, b)
        _fix(out, at + 10, _words(a) + _words(b))
        _put32(out, base + 2, b)
        _put32(out, base + 8, a)
    delta = _words(source) + _words(target)
    if piece.version == 4:
        _put32(out, ip + 12, source)
        _put32(out, ip + 16, target)
        _fix(out, ip + 10, delta)
    else:
        _put32(out, ip + 20, source)
        _put32(out, ip + 36, target)
    _patch_l4(out, base, piece, flow, delta)


@njit(cache=True, nogil=True)
def stamp(out, bank, pieces, flows, times, flow_ids, piece_ids, layout, nanos):
    """Write the records named by (times, flow_ids, piece_ids) into ``out`` while there is room; returns (records, bytes)."""
    at = 0
    for n in range(len(times)):
        piece = pieces[piece_ids[n]]
        length = np.int64(piece.length)
        room = length + 16 if layout == 0 else ((length + 3) & ~3) + 32
        if at + room > len(out):
            return n, at
        base = _head(out, at, times[n], length, layout, nanos)
        out[base : base + length] = bank[piece.start : piece.start + length]
        _patch(out, base, piece, flows[flow_ids[n]])
        at += room
    return len(times), at


@njit(cache=True, nogil=True)
def expand(flows, firsts, counts, pieces, base_id, times, flow_ids, piece_ids):
    """List every packet of ``flows``: absolute time, flow id (from ``base_id``) and piece id; stops where the outputs end."""
    at = 0
    for n in range(len(flows)):
        template = flows[n].template
        first = firsts[template]
        for k in range(counts[template]):
            if at >= len(times):
                return at
            times[at] = flows[n].start + np.int64(pieces[first + k].time * flows[n].stretch)
            flow_ids[at] = base_id + n
            piece_ids[at] = first + k
            at += 1
    return at
