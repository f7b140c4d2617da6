"""The command palette: every key of the moment by name, and the themes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from workbench.tui.themes import THEMES

_GROUPS = {"table": "flows", "detail": "details", "tree": "fields", "hex": "bytes"}


class Commands(Provider):
    """What can be done now, as `group: action`; what cannot be done is not offered."""

    def _offers(self) -> Iterator[tuple[str, str, IgnoreReturnCallbackType]]:
        app: App[Any] = self.app
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.id or binding.id in seen or not active.enabled:
                continue
            seen.add(binding.id)
            group = _GROUPS.get(binding.id.partition(".")[0], binding.id.partition(".")[0])
            name = f"{group}: {binding.description.lower()}"
            yield name, binding.tooltip, partial(app.run_action, binding.action, active.node)
        for theme in THEMES:
            yield (
                f"theme: {theme.name.removeprefix('workbench-')}",
                "Change the colours",
                partial(setattr, app, "theme", theme.name),
            )

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for name, about, run in self._offers():
            yield DiscoveryHit(name, run, help=about)

    async def search(self, query: str) -> Hits:
        """What matches."""
        matcher = self.matcher(query)
        for name, about, run in self._offers():
            score = matcher.match(name)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, help=about)
