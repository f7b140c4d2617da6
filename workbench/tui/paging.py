"""Pages of a row source on their way to a table: a bounded cache, and one thread that fetches what is wanted.

The table never waits: it paints what the cache has, says what it wants, and is told when a page is in.
Wanting something else replaces what was wanted before, so holding a key down fetches only where it ends.
Where columns cost, a page comes twice: first those in view, then all of it, which details and copies need.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from workbench.tui.data import ColumnSource, PageSource

#: Rows a page: one engine vector's worth of work is wasted on fewer, 512 paint about twelve screens.
PAGE_ROWS: Final = 512
#: Pages kept: 64 * 512 rows of 50 columns are about 20 MB.
PAGES_KEPT: Final = 64

#: Seconds between looks at an order whose middle is not known yet.
_LOOK_AGAIN: Final = 0.03

Deliver = Callable[[int, int, pa.Table | None, Exception | None, bool], None]


class PageCache:
    """The pages last used, by page number."""

    def __init__(self, keep: int = PAGES_KEPT) -> None:
        self._keep = keep
        self._pages: OrderedDict[int, dict[str, pa.Array]] = OrderedDict()
        self._parts: set[int] = set()

    def clear(self) -> None:
        """Forget everything: the numbers mean other rows now."""
        self._pages.clear()
        self._parts.clear()

    def put(self, number: int, table: pa.Table, *, whole: bool = True) -> None:
        """Take a page in; the one unused for longest goes. whole: False where only some columns of it have come."""
        if not whole and self.whole(number):
            return
        self._pages[number] = {name: table.column(name).combine_chunks() for name in table.column_names}
        (self._parts.discard if whole else self._parts.add)(number)
        self._pages.move_to_end(number)
        while len(self._pages) > self._keep:
            self._parts.discard(self._pages.popitem(last=False)[0])

    def whole(self, number: int) -> bool:
        """Whether the page is here with all its columns."""
        return number in self._pages and number not in self._parts

    def has(self, number: int, columns: Sequence[str] = ()) -> bool:
        """Whether the page is here with these columns; does not count as a use."""
        page = self._pages.get(number)
        return page is not None and (number not in self._parts or page.keys() >= set(columns))

    def columns(self, row: int) -> tuple[dict[str, pa.Array], int] | None:
        """The arrays that hold a row and its index in them; None where its page is not here."""
        number, index = divmod(row, PAGE_ROWS)
        page = self._pages.get(number)
        if page is None:
            return None
        self._pages.move_to_end(number)
        for array in page.values():
            return (page, index) if index < len(array) else None
        return None

    def record(self, row: int) -> dict[str, Any] | None:
        """A whole row as Python values by column name (about 40 µs); None where its page is not here, or not whole."""
        found = self.columns(row) if self.whole(row // PAGE_ROWS) else None
        if found is None:
            return None
        page, index = found
        return {name: array[index].as_py() for name, array in page.items()}


class PageLoader:
    """What is wanted next, handed to whichever thread runs `drain`. All methods are thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._parts: list[int] = []
        self._wanted: list[int] = []
        self._columns: tuple[str, ...] = ()
        self._source: PageSource | None = None
        self._generation = 0
        self._running = False

    def want(
        self,
        source: PageSource,
        generation: int,
        pages: Sequence[int],
        parts: Sequence[int] = (),
        columns: Sequence[str] = (),
    ) -> bool:
        """Replace what is wanted, first things first. True when the caller must start a thread on `drain`.

        parts: of the pages, those of which the columns come before any whole page does, if the source can tell them apart.
        """
        with self._lock:
            self._source, self._generation, self._wanted = source, generation, list(pages)
            self._parts = list(parts) if columns and isinstance(source, ColumnSource) and source.by_columns else []
            self._columns = tuple(columns)
            self._lock.notify_all()
            if self._running or not pages:
                return False
            self._running = True
            return True

    def drain(self, deliver: Deliver, cancelled: Callable[[], bool]) -> None:
        """Fetch until nothing is wanted. deliver(generation, page number, rows or None, error or None, whole)."""
        while True:
            with self._lock:
                if not self._wanted or cancelled():
                    self._running = False
                    return
                source, generation, columns = self._source, self._generation, self._columns
                assert source is not None
                wanted = self._parts or self._wanted
                whole = wanted is self._wanted
                number = next((n for n in wanted if source.ready(n * PAGE_ROWS, PAGE_ROWS)), None)
                if number is None:  # an order not known so far yet: until it is, or something else is wanted
                    self._lock.wait(_LOOK_AGAIN)
                    continue
                wanted.remove(number)
            try:
                deliver(generation, number, _rows(source, number * PAGE_ROWS, () if whole else columns), None, whole)
            except Exception as error:  # whatever a source raises is shown, not lost in a thread
                deliver(generation, number, None, error, whole)


def _rows(source: PageSource, start: int, columns: Sequence[str]) -> pa.Table:
    """A page; with columns, no more than those of it."""
    if columns and isinstance(source, ColumnSource):
        return source.part(start, PAGE_ROWS, columns)
    return source.page(start, PAGE_ROWS)
