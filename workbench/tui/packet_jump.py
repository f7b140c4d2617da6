"""Which packet of a flow is meant: by its number in the capture, a time of day, or seconds since the first."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Final

from workbench.tui.figures import from_us
from workbench.tui.screens.dialog import PromptDialog

_DAY: Final = 86_400 * 10**9
_CLOCK: Final = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?Z?")
_SINCE: Final = re.compile(r"\+(\d{1,9})(?:\.(\d{1,9}))?s?")

Fits = Callable[[int, int], bool]


def packet_dialog(began: int) -> PromptDialog:
    """Asks for a packet of a flow that began then (ns since 1970 UTC)."""

    def check(answer: str) -> str:
        plain = answer.strip().isdecimal() or answer.strip() == "$"
        return "" if plain or packet_named(answer, began) is not None else "This is no number and no time"

    hint = "12: the flow's 12th packet; #4711: its number in the capture; 09:26:53.5: a time, UTC; +1.5: seconds since the first"
    return PromptDialog("Jump to packet", hint, check)


def packet_named(text: str, began: int) -> Fits | None:
    """What the packet that `#4711`, `09:26:53.5` or `+1.5` means fulfils, of its number and time (ns); None for no meaning.

    A time of day without a date is the first one at or after the flow's beginning.
    """
    text = text.strip()
    if text.startswith("#") and text[1:].isdecimal():
        number = int(text[1:])
        return lambda n, _ts: n >= number
    since = _SINCE.fullmatch(text)
    if since is not None:
        after = began + int(since[1]) * 10**9 + _nanos(since[2])
        return lambda _n, ts: ts >= after
    moment = _moment(text, began)
    return None if moment is None else lambda _n, ts: ts >= moment


def _moment(text: str, began: int) -> int | None:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = int(found[2]), int(found[3]), int(found[4] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    time = ((hour * 60 + minute) * 60 + second) * 10**9 + _nanos(found[5])
    if found[1]:
        try:
            day = dt.date.fromisoformat(found[1])
        except ValueError:
            return None
        return (day - dt.date(1970, 1, 1)).days * _DAY + time
    moment = began // _DAY * _DAY + time
    precise = from_us(began // 1000).replace(microsecond=0) <= from_us(moment // 1000)
    return moment if precise else moment + _DAY


def _nanos(digits: str | None) -> int:
    return int((digits or "0").ljust(9, "0"))
