"""One writer of a case for several live sources at once: a case has one writer, and each source a thread that stores its rows.

They take turns. A turn is passed on while a thread waits for its decoding process, which is nearly always.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.workflows.naming import name_quietly

if TYPE_CHECKING:
    from workbench.store.writer import CaseWriter


#: Seconds between two namings of a case that is written live; so many times as long as the last one took, where that is more.
_NAME_EVERY: Final = 30.0
_REST: Final = 20.0


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
        self._over = threading.Event()
        self._naming: threading.Thread | None = None

    @contextmanager
    def joined(self) -> Iterator[CaseWriter]:
        """The writer, to be used by turns. Who comes while it is being closed waits. Raises what CaseWriter raises."""
        from workbench.store.writer import CaseWriter

        with self._door:
            if self._writer is None:
                self._writer = CaseWriter(self.case, live=True)
                self._over = threading.Event()
                self._naming = threading.Thread(target=self._name, args=(self._over,), name="naming", daemon=True)
                self._naming.start()
            writer = self._writer
            self._inside += 1
        try:
            yield writer
        finally:
            with self._door:
                self._inside -= 1
                if not self._inside:
                    self._writer = None
                    self._end_naming()
                    writer.close()
                    name_quietly(self.case)

    def _name(self, over: threading.Event) -> None:
        """Name flows now and then, beside everything else: readers see names a while after the flows. A twentieth of a core."""
        pause = _NAME_EVERY
        while not over.wait(pause):
            began = time.monotonic()
            name_quietly(self.case, cancel=over, locked=True)
            pause = max(_NAME_EVERY, _REST * (time.monotonic() - began))

    def _end_naming(self) -> None:
        """What is being named is left as it was: all is named again once the case is closed."""
        self._over.set()
        if self._naming is not None:
            self._naming.join()
            self._naming = None
