"""A query that is being run for the screen: its rows come in the background, and it can be stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from textual.message import Message
from textual.widget import Widget

from workbench.tui.data import CaseData, View
from workbench.tui.growing_rows import GrowingRows
from workbench.tui.latest import Latest
from workbench.tui.once import once
from workbench.workflows.ask import BATCH, ROWS_KEPT, Answered, take

#: Seconds between messages that there are more rows, and between looks whether a stopped query has ended.
_STEP: Final = 0.1
_STOP_AGAIN: Final = 0.1


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: SQL, values of its parameters, of which flows (None: all). name: of a saved question; '' for none."""

    sql: str
    params: Mapping[str, Any] = field(default_factory=dict)
    view: View | None = None
    name: str = ""


@dataclass
class Came(Message):
    """The first rows, or more of them."""

    number: int
    rows: GrowingRows


@dataclass
class Ended(Message):
    """All rows are there, as many as are kept; or why not."""

    number: int
    answered: Answered | None
    error: Exception | None


class SqlAsking:
    """The lane of queries of one view; messages go to it. From the event loop only, but for the work itself."""

    def __init__(self, owner: Widget, data: CaseData) -> None:
        from workbench.store.query import Stop

        self._owner, self._data = owner, data
        self._lane = Latest(owner, "sql")
        self._stop = Stop()
        self.number = 0
        self.began = 0.0

    @property
    def busy(self) -> bool:
        """Whether a query runs, or has not quite ended."""
        return self._lane.busy

    def ask(self, query: Query) -> None:
        """Run it; the one before is stopped, and its messages have another number."""
        from workbench.store.query import Stop

        self.stop()
        self.number += 1
        self._stop, self.began = Stop(), time.monotonic()
        self._lane.ask(partial(self._work, self.number, query, self._stop, self.began))

    def stop(self) -> bool:
        """Stop what runs; False where nothing does. What was only about to begin is caught a moment later."""
        if not self.busy:
            return False
        stop = self._stop
        stop.stop()
        if self._owner.is_attached:
            once(self._owner, _STOP_AGAIN, partial(self._stop_again, stop))
        return True

    def _stop_again(self, stop: Any) -> None:
        if self.busy and stop is self._stop:
            self.stop()

    @property
    def stopping(self) -> bool:
        """Whether it was stopped and has not ended yet."""
        return self.busy and self._stop.stopped

    def _work(self, number: int, query: Query, stop: Any, began: float) -> None:
        post = self._owner.post_message
        try:
            rows = self._data.rows(query.sql, query.params, query.view, stop, limit=ROWS_KEPT + 1, batch=BATCH)
            kept = GrowingRows(rows.schema)
            post(Came(number, kept))
            told = 0.0

            def found(batch: Any) -> None:
                nonlocal told
                kept.add(batch)
                if time.monotonic() - told >= _STEP:
                    told = time.monotonic()
                    post(Came(number, kept))

            answered = take(rows, found, stop, began)
            post(Came(number, kept))
            post(Ended(number, answered, None))
        except Exception as error:  # whatever it is, the view shows it
            post(Ended(number, None, error))
