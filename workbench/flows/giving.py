"""Writing a message for the readers, and noting what a direction was recognised as."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.memory import cold_at, end_at, hot_at, message_at
from workbench.records.message import BODY_END, CUT, ENCRYPTED


@kernel
def name_service(stream: Any, code: Any) -> Any:
    """Note a recognised protocol, behind those that are noted already."""
    known = np.uint64(stream.services)
    shift = np.uint64(0)
    while shift < np.uint64(64):
        held = (known >> shift) & np.uint64(255)
        if held == np.uint64(code):
            return
        if held == np.uint64(0):
            stream.services = known | (np.uint64(code) << shift)
            return
        shift += np.uint64(8)


@kernel
def give(state: Any, slot: Any, side: Any, stream: Any, buf: Any, at: Any, size: Any, whole: Any, flags: Any, arena: Any) -> Any:
    """Write a message of buf[at:at + size]."""
    used = state.arena_used
    if used + size > state.arena_size or state.message_count >= state.messages_rows:
        state.unheard += 1
        return
    hot = hot_at(state, slot)
    row = message_at(state, state.message_count)
    row.n = cold_at(state, slot).n
    row.ts = stream.since
    row.at = used
    row.whole = whole
    row.size = size
    row.number = stream.count
    row.stream = (np.int64(end_at(state, 2 * slot + side).stream) & 0x7FFFFFFF) - 1
    row.src_port = hot.src_port
    row.dst_port = hot.dst_port
    row.protocol = stream.protocol
    row.side = side
    row.flags = flags | (CUT if size < whole and (flags & (BODY_END | ENCRYPTED)) == 0 else 0)
    row.proto = hot.proto
    row.vouched = stream.vouched
    began = stream.services & np.uint64(0xFF)
    row.within = 0 if began == np.uint64(stream.protocol) else began
    if size > 0:
        arena[used : used + size] = buf[at : at + size]
    state.arena_used = used + size
    state.message_count += 1
    if (flags & BODY_END) == 0:
        stream.count += 1
