"""The targets of the settings, asked for the app: one watch, whoever listens."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.push.targets import Target
    from workbench.settings import Settings
    from workbench.workflows.target_watch import TargetWatch


@dataclass(frozen=True, slots=True)
class Watched:
    """The watch, and the settings that it was made by."""

    watch: TargetWatch
    settings: Settings


class Polling:
    """Hands out the one watch of the targets that the settings have now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._targets: list[Target] | None = None
        self._watch: TargetWatch | None = None

    def now(self) -> Watched:
        """Called from a thread: the settings are read, and what asks is loaded. SettingsError, MissingPathError."""
        from workbench.push.targets import known_targets
        from workbench.settings import load_settings
        from workbench.workflows.target_watch import TargetWatch

        settings = load_settings()
        targets = list(known_targets(settings).values())
        with self._lock:
            if self._watch is None or targets != self._targets:
                self._targets, self._watch = targets, TargetWatch(targets)
            return Watched(self._watch, settings)
