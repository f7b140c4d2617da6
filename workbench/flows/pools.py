"""Side rows that only few flows need: taken from a free list, given back when the flow is emitted.

Each pool is as long as the address space it was given; -1 says that it is exhausted, and the callers
then do without (a hole is taken as filled, a history stops growing): bounded memory before detail.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.decode.bits import kernel
from workbench.flows.memory import buffer_at, end_at, held_at, holes_at, letters_at, outer_at, slice_at, stream_at
from workbench.flows.stream_rows import BUFFERS, DEAF


@kernel
def take_outer(state: Any) -> Any:
    """A row of OUTER, or -1."""
    row = state.outer_free
    if row >= 0:
        state.outer_free = outer_at(state, row).next_free
        return row
    row = state.outer_used
    if row >= state.outer_rows:
        return -1
    state.outer_used = row + 1
    return row


@kernel
def give_outer(state: Any, row: Any) -> Any:
    """Put a row of OUTER back."""
    outer_at(state, row).next_free = state.outer_free
    state.outer_free = row


@kernel
def take_slice(state: Any) -> Any:
    """A row of SLICE, or -1."""
    row = state.slices_free
    if row >= 0:
        state.slices_free = slice_at(state, row).next_free
        return row
    row = state.slices_used
    if row >= state.slices_rows:
        return -1
    state.slices_used = row + 1
    return row


@kernel
def give_slice(state: Any, row: Any) -> Any:
    """Put a row of SLICE back."""
    slice_at(state, row).next_free = state.slices_free
    state.slices_free = row


@kernel
def take_holes(state: Any) -> Any:
    """An empty row of HOLES, or -1."""
    row = state.holes_free
    if row >= 0:
        state.holes_free = holes_at(state, row).next_free
    else:
        row = state.holes_used
        if row >= state.holes_rows:
            return -1
        state.holes_used = row + 1
    holes_at(state, row).count = 0
    return row


@kernel
def give_holes(state: Any, row: Any) -> Any:
    """Put a row of HOLES back."""
    holes_at(state, row).next_free = state.holes_free
    state.holes_free = row


@kernel
def take_letters(state: Any) -> Any:
    """A row of LETTERS, or -1."""
    row = state.letters_free
    if row >= 0:
        state.letters_free = letters_at(state, row).next
    else:
        row = state.letters_used
        if row >= state.letters_rows:
            return -1
        state.letters_used = row + 1
    letters_at(state, row).next = -1
    return row


@kernel
def give_letters(state: Any, row: Any) -> Any:
    """Put a whole chain of LETTERS back."""
    while row >= 0:
        following = letters_at(state, row).next
        letters_at(state, row).next = state.letters_free
        state.letters_free = row
        row = following


@kernel
def take_stream(state: Any) -> Any:
    """A fresh row of STREAM, or -1."""
    row = state.streams_free
    if row >= 0:
        state.streams_free = stream_at(state, row).next_free
    else:
        row = state.streams_used
        if row >= state.streams_rows:
            return -1
        state.streams_used = row + 1
    stream = stream_at(state, row)
    stream.services = 0
    stream.skip = 0
    stream.left = 0
    stream.body = 0
    stream.heads = 0
    stream.since = 0
    stream.seq = 0
    stream.have = 0
    stream.scan = 0
    stream.count = 0
    stream.answers = 0
    stream.buffer = -1
    stream.held = -1
    stream.holding = 0
    stream.tries = 0
    stream.protocol = 0
    stream.sub = 0
    stream.started = 0
    stream.done = 0
    stream.vouched = 0
    return row


@kernel
def take_buffer(state: Any, stream: Any) -> Any:
    """Give a stream a buffer; whether there was one."""
    if state.buffers_free > 0:
        state.buffers_free -= 1
        stream.buffer = buffer_at(state, state.buffers_free).value
        return True
    if state.buffers_used >= BUFFERS:
        return False
    stream.buffer = state.buffers_used
    state.buffers_used += 1
    return True


@kernel
def drop_buffer(state: Any, stream: Any) -> Any:
    """Put a stream's buffer back."""
    if stream.buffer >= 0:
        buffer_at(state, state.buffers_free).value = stream.buffer
        state.buffers_free += 1
        stream.buffer = -1
    stream.have = 0
    stream.scan = 0


@kernel
def drop_held(state: Any, stream: Any) -> Any:
    """Put back what a stream held above a hole."""
    row = np.int64(stream.held)
    while row >= 0:
        following = np.int64(held_at(state, row).next)
        held_at(state, row).next = state.held_free
        state.held_free = row
        row = following
    stream.held = -1
    stream.holding = 0


@kernel
def drop_stream(state: Any, slot: Any, side: Any) -> Any:
    """A flow was emitted: give back whatever one of its directions holds."""
    end = end_at(state, 2 * slot + side)
    heard = np.int64(end.stream)
    end.stream = DEAF
    if heard == 0 or heard == DEAF:
        return
    row = (heard & 0x7FFFFFFF) - 1
    stream = stream_at(state, row)
    drop_buffer(state, stream)
    drop_held(state, stream)
    stream.next_free = state.streams_free
    state.streams_free = row
