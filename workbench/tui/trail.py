"""Where a person has been in a case, and where they left it: view, filter, time range, and the place within each view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workbench.tui.data import Span, View
from workbench.tui.views import NAMES

#: Steps that can be gone back.
_STEPS: Final = 200
#: The longest filter that is believed of a layout, characters; and the time, microseconds to either side of 1970.
_LONGEST: Final = 20_000
_FURTHEST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Stop:
    """A view by its key, with what it showed, and where in it the cursor was."""

    number: int
    view: View
    place: Mapping[str, Any] = field(default_factory=dict)

    def same(self, other: Stop) -> bool:
        """Whether both show the same; the cursor may stand elsewhere."""
        return (self.number, self.view) == (other.number, other.view)


class Trail:
    """The way back and the way forward, as browsers have it."""

    def __init__(self) -> None:
        self._back: list[Stop] = []
        self._forward: list[Stop] = []

    def leave(self, stop: Stop) -> None:
        """The person goes on from there; what lay forward is forgotten."""
        self._back = [*self._back, stop][-_STEPS:]
        self._forward = []

    def stay(self, stop: Stop) -> None:
        """A step that was stopped or refused is no step: the person is there again."""
        if self._back and self._back[-1].same(stop):
            self._back.pop()

    def back(self, now: Stop) -> Stop | None:
        """The stop before; None at the beginning."""
        return _move(self._back, self._forward, now)

    def forward(self, now: Stop) -> Stop | None:
        """The stop that was gone back from; None at the end."""
        return _move(self._forward, self._back, now)


def _move(taken: list[Stop], kept: list[Stop], now: Stop) -> Stop | None:
    if not taken:
        return None
    kept.append(now)
    return taken.pop()


def layout(stop: Stop, places: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What is kept with the case, as JSON has it. places: by the key of the view."""
    span = stop.view.span
    return {
        "view": stop.number,
        "filter": stop.view.filter,
        "span": None if span is None else [span.start, span.end],
        "places": {str(number): dict(place) for number, place in places.items()},
    }


def from_layout(found: Mapping[str, Any]) -> tuple[Stop | None, dict[int, Mapping[str, Any]]]:
    """Stop and places of a layout. It may be a stranger's: what makes no sense is passed over."""
    places = found.get("places")
    known = {
        number: place for number in NAMES if isinstance(places, Mapping) and isinstance(place := places.get(str(number)), Mapping)
    }
    number = found.get("view")
    if type(number) is not int or number not in NAMES:
        return None, known
    text = found.get("filter")
    kept = text if isinstance(text, str) and len(text) <= _LONGEST else ""
    return Stop(number, View(span=_span(found.get("span")), filter=kept)), known


def _span(found: Any) -> Span | None:
    if not isinstance(found, list) or len(found) != 2:
        return None
    start, end = found
    if type(start) is not int or type(end) is not int or not -_FURTHEST < start < end < _FURTHEST:
        return None
    return Span(start, end)
