"""Something that is done once, a moment later.

Textual's one-shot timers skip: where the process is held up for as long as the timer is to wait, between starting it and
looking at the clock for the first time, its only turn counts as missed and it is never called. On a busy machine
that lost what a person had typed, and left a message standing for ever. These come late instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.message_pump import MessagePump
from textual.timer import Timer


def once(owner: MessagePump, seconds: float, work: Callable[[], Any]) -> Timer:
    """Call this after so many seconds, in the owner's own turn; the timer can be stopped before."""
    timer = owner.set_timer(seconds, work)
    timer._skip = False  # its task begins at the next turn of the event loop, not before this
    return timer
