"""Time that passes without packets: flows of a live source end when their time is up, not when the next packet comes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64

from workbench.decode.bits import exported
from workbench.flows.memory import STATE_TYPE, hot_at
from workbench.flows.rows import CONN_OPEN
from workbench.flows.update import end_flow, over


@exported(int64(STATE_TYPE, int64, int64))
def end_idle(states: Any, now: Any, most: Any) -> Any:
    """End the flows whose time is up at `now` (ns), at most `most`; returns how many. Looks at every slot in use."""
    state = states[0]
    count = np.int64(0)
    for slot in range(state.slots):
        hot = hot_at(state, slot)
        if (hot.marks & CONN_OPEN) != 0 and now - hot.last >= state.soonest:
            reason = over(state, hot, now)
            if reason:
                end_flow(state, slot, reason)
                count += 1
                if count >= most:
                    break
    return count
