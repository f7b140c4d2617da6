"""One writer of a case for several live sources at once: a case has one writer, and each source a thread that stores its rows.

They take turns. A turn is passed on while a thread waits for its decoding process, which is nearly always.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.store.writer import CaseWriter


class Turn:
    """Held by whoever uses the writer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Turn:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Others may use the writer meanwhile; it is taken back whatever happens."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


class SharedWriter:
    """The live writer of a case: opened by the first who joins, closed (which compacts) by the last who leaves."""

    def __init__(self, case: Path) -> None:
        self.case = case
        self.turn = Turn()
        self._door = threading.Lock()
        self._writer: CaseWriter | None = None
        self._inside = 0

    @contextmanager
    def joined(self) -> Iterator[CaseWriter]:
        """The writer, to be used by turns. Who comes while it is being closed waits. Raises what CaseWriter raises."""
        from workbench.store.writer import CaseWriter

        with self._door:
            if self._writer is None:
                self._writer = CaseWriter(self.case, live=True)
            writer = self._writer
            self._inside += 1
        try:
            yield writer
        finally:
            with self._door:
                self._inside -= 1
                if not self._inside:
                    self._writer = None
                    writer.close()
