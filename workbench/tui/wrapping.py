"""Text in lines of a given width."""

from __future__ import annotations

from rich.cells import cell_len, chop_cells


def broken(text: str, room: int) -> list[str]:
    """Lines no wider than `room` cells, cut between words where there are some."""
    if cell_len(text) <= room:
        return [text]
    parts = [""]
    for word in text.split(" "):
        joined = f"{parts[-1]} {word}" if parts[-1] else word
        if cell_len(joined) <= room:
            parts[-1] = joined
            continue
        pieces = chop_cells(word, room)
        parts += pieces if parts[-1] else []
        if not parts[0]:
            parts = pieces
    return parts
