"""What the last answer of a view cost, for the status line."""

from __future__ import annotations

from time import monotonic


class Stopwatch:
    """Begun when a view asks, ended by the answer. cost: seconds and rows; None before the first answer."""

    def __init__(self) -> None:
        self._began = 0.0
        self.cost: tuple[float, int] | None = None

    def begin(self) -> None:
        """Something is asked; the cost of the answer before stays until then."""
        self._began = monotonic()

    def end(self, rows: int) -> None:
        """It is answered."""
        self.cost = (monotonic() - self._began, rows)
