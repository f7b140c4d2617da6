"""Textual's driver for a browser tab, but for one thing: an app whose server is gone ends, too."""

from __future__ import annotations

from textual import messages
from textual.drivers.web_driver import WebDriver


class TabDriver(WebDriver):
    """Reads what the server sends. The stock one goes on without input for ever where the server was killed."""

    def run_input_thread(self) -> None:
        """Read to the end, then leave."""
        super().run_input_thread()
        self._app.post_message(messages.ExitApp())
