"""Side rows that only few flows need: taken from a free list, given back when the flow is emitted.

Each pool is as long as the address space it was given; -1 says that it is exhausted, and the callers
then do without (a hole is taken as filled, a history stops growing): bounded memory before detail.
"""

from __future__ import annotations

from typing import Any


from workbench.decode.bits import kernel
from workbench.flows.rows import C_HOLES, C_HOLES_FREE, C_LETTERS, C_LETTERS_FREE, C_OUTER, C_OUTER_FREE, C_SLICE, C_SLICE_FREE


@kernel
def take_outer(state: Any) -> Any:
    """A row of OUTER, or -1."""
    counts = state.counts
    row = counts[C_OUTER_FREE]
    if row >= 0:
        counts[C_OUTER_FREE] = state.outer[row].next_free
        return row
    row = counts[C_OUTER]
    if row >= len(state.outer):
        return -1
    counts[C_OUTER] = row + 1
    return row


@kernel
def give_outer(state: Any, row: Any) -> Any:
    """Put a row of OUTER back."""
    state.outer[row].next_free = state.counts[C_OUTER_FREE]
    state.counts[C_OUTER_FREE] = row


@kernel
def take_slice(state: Any) -> Any:
    """A row of SLICE, or -1."""
    counts = state.counts
    row = counts[C_SLICE_FREE]
    if row >= 0:
        counts[C_SLICE_FREE] = state.slices[row].next_free
        return row
    row = counts[C_SLICE]
    if row >= len(state.slices):
        return -1
    counts[C_SLICE] = row + 1
    return row


@kernel
def give_slice(state: Any, row: Any) -> Any:
    """Put a row of SLICE back."""
    state.slices[row].next_free = state.counts[C_SLICE_FREE]
    state.counts[C_SLICE_FREE] = row


@kernel
def take_holes(state: Any) -> Any:
    """An empty row of HOLES, or -1."""
    counts = state.counts
    row = counts[C_HOLES_FREE]
    if row >= 0:
        counts[C_HOLES_FREE] = state.holes[row].next_free
    else:
        row = counts[C_HOLES]
        if row >= len(state.holes):
            return -1
        counts[C_HOLES] = row + 1
    state.holes[row].count = 0
    return row


@kernel
def give_holes(state: Any, row: Any) -> Any:
    """Put a row of HOLES back."""
    state.holes[row].next_free = state.counts[C_HOLES_FREE]
    state.counts[C_HOLES_FREE] = row


@kernel
def take_letters(state: Any) -> Any:
    """A row of LETTERS, or -1."""
    counts = state.counts
    row = counts[C_LETTERS_FREE]
    if row >= 0:
        counts[C_LETTERS_FREE] = state.letters[row].next
    else:
        row = counts[C_LETTERS]
        if row >= len(state.letters):
            return -1
        counts[C_LETTERS] = row + 1
    state.letters[row].next = -1
    return row


@kernel
def give_letters(state: Any, row: Any) -> Any:
    """Put a whole chain of LETTERS back."""
    while row >= 0:
        following = state.letters[row].next
        state.letters[row].next = state.counts[C_LETTERS_FREE]
        state.counts[C_LETTERS_FREE] = row
        row = following
