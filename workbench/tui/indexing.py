"""Indexing beside the app: one thread, begun before the screen is drawn, watched by whoever listens.

It starts the decoding processes while Textual is still being imported: both take a quarter of a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from workbench.workflows.requests import IndexRequest, IndexResult, Progress

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader
    from workbench.store.writer import CaseWriter


#: How long leaving waits for an index run that was asked to stop. What was committed is safe in any case.
STOP_SECONDS: Final = 10.0


class IndexRun:
    """One index run in a thread of its own.

    All attributes are set by that thread and may be read at any time. listener is called from it, without
    arguments, after each change; it must not block.
    """

    def __init__(self, request: IndexRequest) -> None:
        self.request = request
        self.progress: Progress | None = None
        self.reader: CaseReader | None = None
        self.result: IndexResult | None = None
        self.error: BaseException | None = None
        self.listener: Callable[[], None] | None = None
        self._cancel = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to stop; what was read until then is kept."""
        self._cancel.set()

    @property
    def cancelling(self) -> bool:
        """Whether it was asked to stop."""
        return self._cancel.is_set()

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.result is not None or self.error is not None

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end; whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            from workbench.workflows.ingest import index_sources

            self.result = index_sources(self.request, self._progressed, self._cancel, self._opened)
        except BaseException as error:  # shown in the app; a thread has nobody else to tell
            self.error = error
        finally:
            self._tell()

    def _opened(self, writer: CaseWriter) -> None:
        self.reader = writer.reader()  # moves to the finished case by itself
        self._tell()

    def _progressed(self, progress: Progress) -> None:
        self.progress = progress
        self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener()
