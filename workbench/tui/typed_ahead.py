"""Keys act in the order in which they were pressed, however fast they come.

Textual hands a key to whatever has the focus and looks at the next one before the first has been through its widgets: `Tab`
and a letter, or the key that opens a dialog and what is meant for it, went to where the focus had been. People type
ahead, most of all over a slow line.
"""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.widgets import Input, TextArea

from workbench.tui.once import once

if TYPE_CHECKING:
    from textual.app import App

#: Seconds between two looks at whether a new screen can take keys, and after which it gets them anyway.
_LOOK: Final = 0.01
_PATIENCE: Final = 2.0


class TypedAhead:
    """The keys that an app has not taken yet."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._keys: deque[events.Key] = deque()
        self._taking = False
        self._since: float | None = None

    async def take(self, event: events.Key) -> bool:
        """A key from the terminal. False where it is for the app's own way to the focus: nothing has been done then."""
        if not self._keys and not self._taking and self._ready():
            return await self._act(event)
        self._keys.append(event)
        if not self._taking:
            self._taking = True
            once(self._app, _LOOK, self._go_on)
        return True

    async def _go_on(self) -> None:
        while self._keys and self._ready():
            key = self._keys.popleft()
            if not await self._act(key):
                (self._app.focused or self._app.screen)._forward_event(key)
        self._taking = bool(self._keys)
        if self._keys:
            once(self._app, _LOOK, self._go_on)

    def _ready(self) -> bool:
        """Whether the screen on top has come up, and so has given its focus to somebody."""
        if self._app.screen.stack_updates:
            self._since = None
            return True
        now = monotonic()
        self._since = self._since or now
        return now - self._since > _PATIENCE

    async def _act(self, event: events.Key) -> bool:
        """Run what the key is bound to, now. A text takes its keys in its own turn: else letters came behind the others."""
        if await self._app._check_bindings(event.key, priority=True):
            return True
        return not isinstance(self._app.focused, Input | TextArea) and await self._app._check_bindings(event.key)
