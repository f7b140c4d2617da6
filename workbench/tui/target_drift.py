"""Drift while the app is attached: what the status line says of the targets of the settings."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from textual.dom import DOMNode

from workbench.errors import WorkbenchError
from workbench.tui.messages import DriftChanged

if TYPE_CHECKING:
    from workbench.tui.target_polling import Polling
    from workbench.workflows.drift_watch import DriftNews, DriftWatch
    from workbench.workflows.target_watch import Joined


class DriftLine:
    """Asks from `begin` to `end`, in threads that nothing waits for; news come as `DriftChanged`."""

    def __init__(self, owner: DOMNode, polling: Polling, case: Path) -> None:
        self._owner, self._polling = owner, polling
        self._case = case
        self._watch: DriftWatch | None = None
        self._lock = threading.Lock()
        self._joined: Joined | None = None
        self._over = False

    @property
    def now(self) -> list[str]:
        """What holds, in a few words a target."""
        return self._watch.now if self._watch is not None else []

    def begin(self) -> None:
        """Read the settings, and ask as often as they say. Not a worker: leaving waits for those."""
        threading.Thread(target=self._begin, name="drift", daemon=True).start()

    def _begin(self) -> None:
        from workbench.workflows.drift_watch import DriftNews, DriftWatch, drift_period

        try:
            found = self._polling.now()
        except WorkbenchError as error:
            self._tell(DriftNews("settings", "failed", error.message))
            return
        every = drift_period(found.settings)
        with self._lock:
            if every and not self._over:
                self._watch = DriftWatch(self._case, self._tell)
                self._joined = found.watch.join(every, self._watch.hear)

    def end(self) -> None:
        """Ask no more."""
        with self._lock:
            self._over = True
            if self._joined is not None:
                self._joined.close()

    def _tell(self, news: DriftNews) -> None:
        """From a target's thread."""
        if not self._over:
            self._owner.post_message(DriftChanged(news))
