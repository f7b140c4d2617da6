"""Questions of which only the latest counts: one thread at a time, and what was asked meanwhile is asked next.

Typing asks faster than a case of millions of flows answers. Without this each key would leave a query behind.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from textual.dom import DOMNode


class Latest:
    """A lane of work beside the event loop. Answers come from the work itself, by `post_message`."""

    def __init__(self, owner: DOMNode, group: str) -> None:
        self._owner: Final[Any] = owner
        self._group = group
        self._lock = threading.Lock()
        self._next: Callable[[], None] | None = None
        self._running = False

    def ask(self, work: Callable[[], None]) -> None:
        """Do this, after what is being done now and instead of what was waiting. Called from the event loop."""
        with self._lock:
            self._next = work
            if self._running:
                return
            self._running = True
        self._owner.run_worker(self._drain, group=self._group, thread=True, exit_on_error=False)

    def drop(self) -> None:
        """Nothing waits any more; what is being done goes on."""
        with self._lock:
            self._next = None

    @property
    def busy(self) -> bool:
        """Whether anything is being done or waits."""
        return self._running

    @property
    def overtaken(self) -> bool:
        """Whether something newer waits: what is being done is not wanted any more."""
        return self._next is not None

    def _drain(self) -> None:
        while True:
            with self._lock:
                work, self._next = self._next, None
                if work is None:
                    self._running = False
                    return
            try:
                work()
            except BaseException:
                with self._lock:
                    self._running = False
                raise
