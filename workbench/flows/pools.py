"""Side rows that only few flows need: taken from a free list, given back when the flow is emitted.

Each pool is as long as the address space it was given; -1 says that it is exhausted, and the callers
then do without (a hole is taken as filled, a history stops growing): bounded memory before detail.
"""

from __future__ import annotations

from typing import Any

from workbench.decode.bits import kernel
from workbench.flows.memory import holes_at, letters_at, outer_at, slice_at


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
