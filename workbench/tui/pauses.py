"""Pauses of the interpreter that a person would feel between key and paint, made short or moved out of the way.

Everything that is loaded is some hundred thousand objects. Looking through all of them for garbage takes a tenth of a
second in which nothing else runs, and comes when a key has just made a few thousand more. What is loaded stays until the
end: it is set aside once, and never looked through again.
"""

from __future__ import annotations

import gc
import sys
from typing import Final

#: New objects before the youngest are looked through, and rounds of those before older ones are.
_ROUNDS: Final = (10_000, 20, 50)
#: Seconds for which a thread that answers a view may keep the one that paints from running.
_TURN: Final = 0.001


def shorten() -> None:
    """For the process of the app: look for garbage less often, and let the thread that paints have its turn sooner."""
    gc.set_threshold(*_ROUNDS)
    sys.setswitchinterval(_TURN)


def set_aside() -> None:
    """What is there by now stays: it is not looked through again. Once, and in the process of the app alone.

    It costs nothing, whatever its size; garbage that is there at that moment stays, too.
    """
    if gc.get_threshold() == _ROUNDS and not gc.get_freeze_count():
        gc.freeze()


def gather() -> None:
    """Once the app is over: what was set aside is garbage, too. The engine complains of what is left when the process ends."""
    gc.unfreeze()
    gc.collect()
