"""What a screen is asking of a case: in worker threads, the latest question wins, the one before can be had back.

An order of many flows is shown as soon as its ends are known. The order shown before is kept until all of
the new one is, so that stopping leaves the person where they were.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from textual.screen import Screen
from textual.worker import get_current_worker

from workbench.errors import CancelledError
from workbench.tui.data import CaseData, Order, Span, View
from workbench.tui.messages import BinsReady, OrderComplete, OrderReady, SummaryReady, WorkFailed

#: A refresh may take at most this share of the time while indexing goes on beside it.
_SHARE: Final = 0.25
_LOOK_EVERY: Final = 0.05


class Inquiry:
    """Questions of one screen to one case. Its methods are called from the event loop only.

    Answers come as messages to the screen, which hands OrderReady and OrderComplete back to `accept` and
    `completed`. Failures come as WorkFailed; what was stopped or overtaken is no failure and says nothing.
    """

    def __init__(self, screen: Screen[Any], data: CaseData) -> None:
        self.data = data
        self.order: Order | None = None
        self.asked = View()
        self.shown = View()
        self._before: tuple[Order, View] | None = None
        self._screen = screen
        self._serial = 0
        self._order_serial = 0
        self._bins_serial = 0
        self._making = False
        self._summing = False
        self._case_generation = data.generation
        self._began = 0.0
        self._rest_until = 0.0

    @property
    def sorting(self) -> bool:
        """Whether an order is being made or not all of it is known."""
        return self._making or (self.order is not None and not self.order.complete)

    @property
    def filtering(self) -> bool:
        """Whether rows of another filter are on their way."""
        return self._making and self.asked.filter != self.shown.filter

    @property
    def may_refresh(self) -> bool:
        """Whether nothing is under way and the last refresh is long enough ago for what it cost."""
        return not self._summing and not self.sorting and time.monotonic() >= self._rest_until

    @property
    def outdated(self) -> bool:
        """Whether the case on disk has changed since the order was asked for."""
        return self.data.generation != self._case_generation

    # -- asking -----------------------------------------------------------------------------------

    def sum_up(self) -> None:
        """Ask for a summary."""
        self._began = time.monotonic()
        self._summing = True
        self._work("summary", self._sum_up)

    def put_in_order(self, view: View, keep: int | None = None, *, patient: bool = False) -> None:
        """Ask for an order, instead of one that is being made. keep: the flow under which the cursor stays.

        patient: wait for the whole order to find it, and else leave the cursor at its row number; otherwise
        go to the first row where it is not found at once.
        """
        if self._making:  # nobody waits for it any more, and a slow filter would take the engine from the next
            self.data.interrupt()
        self._order_serial = self._next()
        self._making = True
        self.asked = view
        self._case_generation = self.data.generation
        self._work("order", partial(self._make_order, view, keep, patient, self._order_serial))

    def count(self, span: Span, bins: int, kept: str) -> None:
        """Ask for a timeline."""
        self._bins_serial = self._next()
        self._work("bins", partial(self._make_bins, span, bins, kept, self._bins_serial))

    def stop(self) -> tuple[Order, View] | None:
        """Stop sorting; what was shown before where the new order is on screen already, to be shown again."""
        if self._making:
            self._making = False
            self._order_serial = self._next()
            self.asked = self.shown
            self._screen.run_worker(self.data.interrupt, group="interrupt", thread=True, exit_on_error=False)
            self._watch_on()
            return None
        back, self._before = self._before, None
        if back is None or self.order is None:
            return None
        self._order_serial = self._next()
        self._close(self.order)
        self.order, self.shown = back
        self.asked = self.shown
        self._watch_on()
        return back

    def _watch_on(self) -> None:
        """Wait for the rest of the order that is shown, in place of whoever waited for it before the one that was stopped."""
        if self.order is not None and not self.order.complete:
            self._work("order", partial(self._watch, self.order, self._order_serial))

    def close(self) -> None:
        """Stop everything and let go of the case. The engine must not be left working while the process ends."""
        self.data.interrupt()
        for order in (self.order, self._before[0] if self._before is not None else None):
            if order is not None:
                order.close()
        self.data.close()

    # -- answers ----------------------------------------------------------------------------------

    def accept(self, message: OrderReady) -> bool:
        """Whether the order is the one that was asked for last; it is then `order`. Others are closed."""
        if message.serial != self._order_serial:
            self._close(message.order)
            return False
        self._making = False
        if self._before is not None and self.order is not None:
            self._close(self.order)
        elif self.order is not None:
            self._before = (self.order, self.shown)
        self.order, self.shown = message.order, message.view
        if message.order.complete:
            self.completed(OrderComplete(message.serial))
        return True

    def completed(self, message: OrderComplete) -> None:
        """All of the order is known: the one before is not needed any more."""
        if message.serial != self._order_serial:
            return
        now = time.monotonic()
        self._rest_until = now + (now - self._began) * (1 - _SHARE) / _SHARE
        before, self._before = self._before, None
        if before is not None:
            self._close(before[0])

    def is_current(self, message: BinsReady | WorkFailed) -> bool:
        """Whether a message answers the latest question of its kind."""
        if isinstance(message, WorkFailed) and message.serial == self._order_serial:
            self._making = False
            self.asked = self.shown
        return message.serial in (0, self._order_serial, self._bins_serial)

    # -- in worker threads ------------------------------------------------------------------------

    def _work(self, group: str, what: Any) -> None:
        self._screen.run_worker(what, group=group, exclusive=True, thread=True, exit_on_error=False)

    def _close(self, order: Order) -> None:
        self._screen.run_worker(order.close, group="close", thread=True, exit_on_error=False)

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _failed(self, error: Exception, serial: int) -> None:
        if not isinstance(error, CancelledError):
            self._screen.post_message(WorkFailed(error, serial))

    def _sum_up(self) -> None:
        try:
            self._screen.post_message(SummaryReady(self.data.summary()))
        except Exception as error:  # every failure is shown
            self._failed(error, 0)
        finally:
            self._summing = False

    def _make_bins(self, span: Span, bins: int, kept: str, serial: int) -> None:
        try:
            self._screen.post_message(BinsReady(self.data.timeline(span, bins, kept), kept, serial))
        except Exception as error:  # every failure is shown
            self._failed(error, serial)

    def _make_order(self, view: View, keep: int | None, patient: bool, serial: int) -> None:
        try:
            order = self.data.order(view)
            row = None if patient else 0
            if keep is not None and (patient or order.complete):
                row = order.position(keep)
                row = 0 if row is None and not patient else row
        except Exception as error:  # every failure is shown
            self._failed(error, serial)
            return
        self._screen.post_message(OrderReady(order, view, row, serial))
        self._watch(order, serial)

    def _watch(self, order: Order, serial: int) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled:
            if order.wait(_LOOK_EVERY):
                self._screen.post_message(OrderComplete(serial))
                return
