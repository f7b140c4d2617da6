"""The orders of flows that a view asks of a case: in threads, the latest question wins, the one before can be had back.

An order of many flows is shown as soon as its ends are known. The order shown before is kept until all of
the new one is, so that stopping leaves the person where they were.
"""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from textual.dom import DOMNode
from textual.worker import get_current_worker

from workbench.errors import CancelledError
from workbench.tui.data import CaseData, Order, View
from workbench.tui.messages import OrderComplete, OrderReady, WorkFailed
from workbench.tui.paging import PAGE_ROWS

if TYPE_CHECKING:
    import pyarrow as pa

_LOOK_EVERY: Final = 0.05
#: Rows that a screen may show above or below the cursor.
_SCREEN: Final = 100


class Inquiry:
    """Orders of one view of one case. Its methods are called from the event loop only.

    Answers come as messages to the view, which hands OrderReady and OrderComplete back to `accept` and
    `completed`. Failures come as WorkFailed; what was stopped or overtaken is no failure and says nothing.
    """

    def __init__(self, owner: DOMNode, data: CaseData) -> None:
        self.data = data
        self.order: Order | None = None
        self.asked = View()
        self.shown = View()
        self._before: tuple[Order, View] | None = None
        self._owner: Final[Any] = owner
        self._serial = 0
        self._making = False
        self._began = 0.0
        self.seconds = 0.0  # what the last order took until its first rows were there

    @property
    def sorting(self) -> bool:
        """Whether an order is being made or not all of it is known."""
        return self._making or (self.order is not None and not self.order.complete)

    @property
    def filtering(self) -> bool:
        """Whether rows of another filter are on their way."""
        return self._making and self.asked.filter != self.shown.filter

    # -- asking -----------------------------------------------------------------------------------

    def put_in_order(self, view: View, keep: int | None = None, *, patient: bool = False, near: int | None = None) -> None:
        """Ask for an order, instead of one that is being made. keep: the flow under which the cursor stays.

        patient: wait for the whole order to find it, and else leave the cursor at its row number; otherwise
        go to the first row where it is not found at once. near: the row that the cursor is on: rows around it come along,
        so that a table which is refreshed shows no gaps meanwhile.
        """
        if self._making:  # nobody waits for it any more, and a slow filter would take the engine from the next
            self.data.interrupt()
        self._serial += 1
        self._making = True
        self._began = monotonic()
        self.asked = view
        self._work("order", partial(self._make_order, view, keep, patient, near, self._serial))

    def stop(self) -> tuple[Order, View] | None:
        """Stop sorting; what was shown before where the new order is on screen already, to be shown again."""
        if self._making:
            self._making = False
            self._serial += 1
            self.asked = self.shown
            self._owner.run_worker(self.data.interrupt, group="interrupt", thread=True, exit_on_error=False)
            self._watch_on()
            return None
        back, self._before = self._before, None
        if back is None or self.order is None:
            return None
        self._serial += 1
        self._close(self.order)
        self.order, self.shown = back
        self.asked = self.shown
        self._watch_on()
        return back

    def _watch_on(self) -> None:
        """Wait for the rest of the order that is shown, in place of whoever waited for it before the one that was stopped."""
        if self.order is not None and not self.order.complete:
            self._work("order", partial(self._watch, self.order, self._serial))

    def close(self) -> None:
        """Stop everything and free the orders. The engine must not be left working while the process ends."""
        self._serial += 1
        self.data.interrupt()
        for order in (self.order, self._before[0] if self._before is not None else None):
            if order is not None:
                order.close()
        self.order = self._before = None

    # -- answers ----------------------------------------------------------------------------------

    def accept(self, message: OrderReady) -> bool:
        """Whether the order is the one that was asked for last; it is then `order`. Others are closed."""
        if message.serial != self._serial:
            self._close(message.order)
            return False
        self._making = False
        self.seconds = monotonic() - self._began
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
        if message.serial != self._serial:
            return
        before, self._before = self._before, None
        if before is not None:
            self._close(before[0])

    def failed(self, message: WorkFailed) -> bool:
        """Whether it was the order that was asked for last that failed: what is shown is then what is asked for."""
        if message.serial != self._serial:
            return False
        self._making = False
        self.asked = self.shown
        return True

    # -- in worker threads ------------------------------------------------------------------------

    def _work(self, group: str, what: Any) -> None:
        self._owner.run_worker(what, group=group, exclusive=True, thread=True, exit_on_error=False)

    def _close(self, order: Order) -> None:
        self._owner.run_worker(order.close, group="close", thread=True, exit_on_error=False)

    def _failed(self, error: Exception, serial: int) -> None:
        if not isinstance(error, CancelledError):
            self._owner.post_message(WorkFailed(error, serial))

    def _make_order(self, view: View, keep: int | None, patient: bool, near: int | None, serial: int) -> None:
        try:
            order = self.data.order(view)
            row = None if patient else 0
            if keep is not None and (patient or order.complete):
                row = order.position(keep)
                row = 0 if row is None and not patient else row
            pages = {} if near is None or not order.complete else _pages_near(order, near if row is None else row)
        except Exception as error:  # every failure is shown
            self._failed(error, serial)
            return
        self._owner.post_message(OrderReady(order, view, row, serial, pages))
        self._watch(order, serial)

    def _watch(self, order: Order, serial: int) -> None:
        worker = get_current_worker()
        while not worker.is_cancelled:
            if order.wait(_LOOK_EVERY):
                self._owner.post_message(OrderComplete(serial))
                return


def _pages_near(order: Order, row: int) -> dict[int, pa.Table]:
    """The page of a row, and the one beside it where a screen may reach into that."""
    row = max(0, min(row, order.total - 1))
    numbers = {max(0, row - _SCREEN) // PAGE_ROWS, row // PAGE_ROWS, min(order.total - 1, row + _SCREEN) // PAGE_ROWS}
    return {n: order.page(n * PAGE_ROWS, PAGE_ROWS) for n in sorted(numbers)} if order.total else {}
