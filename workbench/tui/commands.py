"""The command palette: every key of the moment by name, the views, filters of this case, and the themes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.types import IgnoreReturnCallbackType

from workbench.records.visible import visible
from workbench.tui.past_filters import past_filters
from workbench.tui.screens.case import CaseScreen
from workbench.tui.themes import THEMES
from workbench.tui.views import NAMES

_VIEW_IDS = frozenset(f"case.view_{number}" for number in NAMES)
_GROUPS = {"table": "flows", "detail": "details", "tree": "fields", "hex": "bytes"}


class Commands(Provider):
    """What can be done now, as `group: action`; what cannot be done is not offered."""

    _past: Sequence[str] = ()

    async def startup(self) -> None:
        """Filters that were applied to this case; they lie in a file."""
        screen = self.screen
        if isinstance(screen, CaseScreen) and screen.data is not None:
            self._past = await asyncio.to_thread(past_filters, screen.data.path)

    def _offers(self) -> Iterator[tuple[str, str, IgnoreReturnCallbackType]]:
        app: App[Any] = self.app
        seen = set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not binding.id or binding.id in seen or not active.enabled:
                continue
            seen.add(binding.id)
            if binding.id in _VIEW_IDS:
                yield (
                    f"view: {binding.description.lower()}",
                    binding.tooltip,
                    partial(app.run_action, binding.action, active.node),
                )
                continue
            group = _GROUPS.get(binding.id.partition(".")[0], binding.id.partition(".")[0])
            name = f"{group}: {binding.description.lower()}"
            yield name, binding.tooltip, partial(app.run_action, binding.action, active.node)
        if isinstance(self.screen, CaseScreen):
            for text in reversed(self._past):
                yield f"filter: {visible(text[:200])}", "A filter of this case", partial(self.screen.filter_by, text)
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
