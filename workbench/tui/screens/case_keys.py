"""The keys of a case's frame; `?` and docs/app.md list them, settings change them by id."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

from workbench.tui.views import NAMES

#: One for each view; only the row above the views names them, so that the key line has room.
VIEW_KEYS: Final[list[BindingType]] = [
    Binding(str(number), f"view({number})", name, id=f"case.view_{number}", tooltip=f"The view {name}", show=False)
    for number, name in NAMES.items()
]

CASE_KEYS: Final[list[BindingType]] = [
    *VIEW_KEYS,
    Binding("left_square_bracket", "been(-1)", "Back", id="case.been_before", tooltip="Back to where you were", show=False),
    Binding("right_square_bracket", "been(1)", "Forward", id="case.been_after", tooltip="Forward again", show=False),
    Binding("tab", "app.focus_next", "Next part", id="case.next", tooltip="To the next part of the screen", show=False),
    Binding("shift+tab", "app.focus_previous", "Previous part", id="case.previous", tooltip="To the part before", show=False),
    # Ahead of all others: what is typed right behind it, perhaps in one burst over a slow line, is the filter's text.
    Binding("slash", "filter", "Filter", id="case.filter", tooltip="To the filter bar", priority=True),
    Binding("f", "keep(True)", "Keep", id="case.keep", tooltip="Only flows with the value under the cursor"),
    Binding("F", "keep(False)", "Exclude", id="case.exclude", tooltip="All flows but those with the value under the cursor"),
    Binding("backspace", "filter_before", "Filter before", id="case.filter_before", tooltip="The filter before", show=False),
    Binding("p", "packets", "Packets", id="case.packets", tooltip="Packets of this flow"),
    Binding("e", "export", "Carve", id="case.carve", tooltip="Packets of this flow or of all that are shown, to a file"),
    Binding("d", "draft", "Draft", id="case.draft", tooltip="A policy drafted from what the cursor stands on", show=False),
    Binding("W", "then", "Then", id="case.then", tooltip="Would the open policy have stopped this", show=False),
    Binding("y", "copy", "Copy", id="case.copy", tooltip="The value under the cursor to the clipboard", show=False),
    Binding("n", "note", "Note", id="case.note", tooltip="Notes on what the cursor stands on", show=False),
    Binding("b", "bookmark", "Bookmark", id="case.bookmark", tooltip="Set or take away the bookmark of this", show=False),
    Binding("t", "time", "Time", id="case.time", tooltip="To the timeline, at the time of this flow"),
    Binding("T", "zoom_out", "Zoom out", id="case.zoom_out", tooltip="Back to the time range before"),
    Binding("R", "reset", "All time", id="case.reset", tooltip="Show the whole time range", show=False),
    Binding("comma", "scrub(-1)", "Earlier", id="case.earlier", tooltip="Move the time window back by its width", show=False),
    Binding("full_stop", "scrub(1)", "Later", id="case.later", tooltip="Move the time window on by its width", show=False),
    Binding("minus", "widen(-1)", "Narrower", id="case.narrower", tooltip="Half as wide a time window", show=False),
    Binding("plus", "widen(1)", "Wider", id="case.wider", tooltip="Twice as wide a time window", show=False),
    Binding("m", "metric", "Measure", id="case.metric", tooltip="Timeline of flows, bytes or packets"),
    Binding("L", "ledger", "Ledger", id="case.ledger", tooltip="What was not decoded and not seen"),
    Binding("a", "attach", "Attach", id="case.attach", tooltip="Attach to live traffic, into this case", show=False),
    Binding("ctrl+x", "detach", "Detach", id="case.detach", tooltip="Detach from a live source", show=False),
    Binding("Z", "pause", "Pause", id="case.pause", tooltip="Hold the screen still while packets come, or go on", show=False),
    Binding("r", "reload", "Reload", id="case.reload", tooltip="Show what was added to the case since", show=False),
    Binding("escape", "back", "Stop, back", id="case.back", tooltip="Stop a running query; leave the timeline", show=False),
]
