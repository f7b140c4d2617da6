"""Going to a row by number or share."""

from __future__ import annotations

from workbench.tui.screens.dialog import PromptDialog


def jump_dialog(total: int) -> PromptDialog:
    """Asks for a row of so many."""

    def check(answer: str) -> str:
        return "" if row_named(answer, 1) is not None else "This is no row number and no percentage"

    hint = f"A row from 1 to {total:,}, a percentage such as 50%, or $ for the last"
    return PromptDialog("Jump to row", hint, check)


def row_named(text: str, total: int) -> int | None:
    """The row that `1,234`, `12%` or `$` means, counted from 0; None where it means none."""
    text = text.replace(",", "").replace("_", "").strip()
    if text == "$":
        return max(0, total - 1)
    try:
        row = int(float(text[:-1]) / 100 * total) if text.endswith("%") else int(text) - 1
    except (ValueError, OverflowError):
        return None
    return max(0, min(row, total - 1))
