"""Flows that ended: what is done to them before and after they are emitted, in the order in which they ended."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, types, uint8

from workbench.decode.bits import exported
from workbench.flows.gather import AHEAD, ask
from workbench.flows.giving import name_service
from workbench.flows.holes import drop_ranges
from workbench.flows.memory import STATE_TYPE, cold_at, ended_at, free_at, hot_at, slice_at, stream_at
from workbench.flows.pools import drop_stream, give_letters, give_outer, give_slice
from workbench.flows.sides import push_slice
from workbench.flows.streams import hang_up


@exported(types.void(STATE_TYPE, types.int64, uint8[::1], uint8[::1]))
def hang_up_ended(states: Any, first: Any, pool: Any, arena: Any) -> Any:
    """Give what the directions of ended flows, from the `first` on, still collect, before those flows are emitted."""
    state = states[0]
    for i in range(max(np.int64(0), first), state.ended_count):
        slot = np.int64(ended_at(state, i).value)
        hang_up(state, slot, 0, pool, arena)
        hang_up(state, slot, 1, pool, arena)


@exported(types.void(STATE_TYPE, int32[::1], uint8[::1]))
def note_services(states: Any, streams: Any, codes: Any) -> Any:
    """Note the code of a recognised protocol in each of these rows of STREAM; -1 has none."""
    state = states[0]
    for i in range(min(len(streams), len(codes))):
        row = np.int64(streams[i])
        if 0 <= row < state.streams_used:
            name_service(stream_at(state, row), codes[i])


@exported(types.void(STATE_TYPE, types.int64))
def last_slices(states: Any, count: Any) -> None:
    """Write the slice that each of the first `count` ended flows was in; the caller made room for one row each."""
    state = states[0]
    count = min(count, np.int64(state.ended_count))
    for i in range(count):
        if i + AHEAD < count:
            ask(state, ended_at(state, i + AHEAD).value)
        slot = np.int64(ended_at(state, i).value)
        cold = cold_at(state, slot)
        if cold.slice >= 0:
            push_slice(state, hot_at(state, slot), cold, np.int64(slice_at(state, cold.slice).minute))


@exported(types.void(STATE_TYPE, types.int64))
def release_ended(states: Any, count: Any) -> None:
    """Give back the slots of the first `count` ended flows, and their side rows, once they were emitted; the others move up."""
    state = states[0]
    count = min(count, np.int64(state.ended_count))
    for i in range(count - 1, -1, -1):
        if i >= AHEAD:
            ask(state, ended_at(state, i - AHEAD).value)
        slot = np.int64(ended_at(state, i).value)
        cold = cold_at(state, slot)
        if cold.outer >= 0:
            give_outer(state, np.int64(cold.outer))
        if cold.slice >= 0:
            give_slice(state, np.int64(cold.slice))
        if cold.more_letters >= 0:
            give_letters(state, np.int64(cold.more_letters))
        drop_ranges(state, slot, 0)
        drop_ranges(state, slot, 1)
        drop_stream(state, slot, 0)
        drop_stream(state, slot, 1)
        free_at(state, state.free_count).value = slot
        state.free_count += 1
    left = state.ended_count - count
    for i in range(left):
        ended_at(state, i).value = ended_at(state, count + i).value
    state.ended_count = left
