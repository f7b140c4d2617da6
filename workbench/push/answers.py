"""What a resident may answer: every field that is used here, by its kind and its bounds.

A DPU that somebody has taken over answers what it likes. Whatever is not of the form below is no answer: nothing else reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from workbench.push.resident.workbench_dpu import MOST

_Fits = Callable[[Any], bool]
#: Seconds since 1970, up to the year 2200.
_LATEST: Final = 7_258_118_400
_LONG: Final = 4096
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def _text(most: int = _LONG) -> _Fits:
    return lambda value: isinstance(value, str) and len(value) <= most


def _whole(below: int = 1 << 53) -> _Fits:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LATEST


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


def _none_or(fits: _Fits) -> _Fits:
    return lambda value: value is None or fits(value)


def _each(fits: _Fits, most: int = 10_000) -> _Fits:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(fits, value))


def _with(**fields: _Fits) -> _Fits:
    """An object that has these fields; others are not looked at."""
    return lambda value: isinstance(value, dict) and all(name in value and fits(value[name]) for name, fits in fields.items())


def _by_name(fits: _Fits, names: _Fits) -> _Fits:
    return lambda value: isinstance(value, dict) and all(names(name) and fits(one) for name, one in value.items())


_MOMENT: Final = _whole(_LATEST)
_RECORD: Final = _with(
    digest=_digest, sequence=_whole(), policy=_text(), signer=_text(), approver=_text(), review=_flag, lapses=_none_or(_MOMENT),
    at=_MOMENT, members=_with(sets=_by_name(_each(_text(64), 65536), _text(64)), until=_none_or(_MOMENT)),  # and by whom
)  # fmt: skip
_TOLD: Final = _each(_text(1 << 20))
_ANSWERS: Final[dict[str, dict[str, _Fits]]] = {
    "status": {
        "sequence": _whole(),
        "members_sequence": _whole(),
        "confirmed": _none_or(_RECORD),
        "before": _none_or(_RECORD),
        "alerts": _each(_with(at=_MOMENT, code=_text(), message=_text(1 << 16))),
        "gaps": _each(_with(at=_MOMENT, seconds=_number)),
        "unreviewed": _each(_with(digest=_digest, policy=_text(), signer=_text(), at=_MOMENT, why=_text())),
        "pending": _none_or(_with(digest=_digest, phase=_text(), remaining=_number)),
        "last": _none_or(_with(digest=_none_or(_digest), outcome=_text(), why=_text(1 << 16), at=_MOMENT)),
        "drift": _none_or(_with(since=_MOMENT, added=_TOLD, removed=_TOLD)),
        "down": _none_or(_with(since=_none_or(_MOMENT), message=_text())),
        "counters": _by_name(_each(_whole(1 << 63), 2), _text()),
        "signers": _each(_text()),
        "running": _none_or(_digest),
        "now": _MOMENT,
        "skew": _number,
        "watched": _flag,
        "longest_window": _whole(),
        "longest_break_glass": _whole(),
        **dict.fromkeys(("version", "target", "id", "dataplane", "bridge", "boot", "host"), _text()),
    },
    "apply": {"digest": _digest, "text": _text(MOST), "remaining": _number},
    "members": {"text": _text(MOST), "until": _none_or(_MOMENT), "changed": _flag},
    "rollback": {"digest": _digest, "confirmed": _flag},
    "review": {"digest": _digest, "reviewer": _text()},
    "confirm": {"digest": _digest},
}
#: What only some residents say, or only where it is asked for.
_PERHAPS: Final[dict[str, _Fits]] = {"bundle": _text(MOST), "occupied": _text(), "owner": _text()}


def wrong(what: str, answer: Mapping[str, Any]) -> str:
    """The first field of an answer to a question that is not as it must be; '' where all are."""
    for name, fits in _ANSWERS.get(what, {}).items():
        if name not in answer or not fits(answer[name]):
            return name
    return next((name for name, fits in _PERHAPS.items() if name in answer and not fits(answer[name])), "")
