"""What the numbers on screen rest on, in words: packets, drops, what was not decoded and not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len, set_cell_size

from workbench.records.reasons import BY_NAME
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.data import Summary
from workbench.workflows.requests import NAMES_ONLY

#: Reasons whose count is bytes, where it is not packets (docs/ledger.md).
BYTES: Final = frozenset({"cut", "damaged", "worker_died", "cancelled", "read_error"})
#: Cells of a name within a line of words.
_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class Coverage:
    """Sums over the sources of a case.

    counting: whether a source is still being indexed; its losses are counted at its end. live: whether a live one is,
    whose losses are told as they come, but for drops, which some programs tell at their end.
    dropped: None where no source says; silent: sources that say nothing of drops.
    unseen, undecoded: counts by reason, most first.
    """

    packets: int
    counting: bool
    dropped: int | None
    silent: int
    undecoded: tuple[tuple[str, int], ...]
    unseen: tuple[tuple[str, int], ...]
    notes: int
    live: bool = False


def coverage(summary: Summary) -> Coverage:
    """The sums that the status line shows."""
    counts: dict[str, Counter[str]] = {"undecoded": Counter(), "unseen": Counter(), "note": Counter()}
    for line in summary.ledger:
        counts.setdefault(line["kind"], Counter())[line["reason"]] += line["count"] or 0
    indexing = [is_live(s) for s in summary.sources if s.get("state") == "indexing"]
    seeing = [s for s in summary.sources if s.get("kind") not in NAMES_ONLY]
    said = [s["dropped"] for s in seeing if s.get("dropped") is not None]
    return Coverage(
        packets=sum(s.get("packets") or 0 for s in summary.sources),
        counting=not all(indexing),
        dropped=sum(said) if said else None,
        silent=len(seeing) - len(said),
        undecoded=tuple(counts["undecoded"].most_common()),
        unseen=tuple(counts["unseen"].most_common()),
        notes=len(counts["note"]),
        live=any(indexing),
    )


def is_live(source: dict[str, Any]) -> bool:
    """Whether a row of `sources` is one that was attached to: an interface, a port, or a capture on standard input."""
    return source.get("kind") == "live" or str(source.get("path") or "").startswith("live:")


def drops_words(cover: Coverage) -> str:
    """`drops 0`, `drops unknown`, `drops 12 + unknown`: a capture that says nothing of drops is not one without."""
    if cover.dropped is None:
        return "drops: at the end" if cover.counting or cover.live else "drops unknown"
    return f"drops {figures.count(cover.dropped)}" + (" + unknown" if cover.silent else "")


def undecoded_words(cover: Coverage) -> str:
    """`all decoded`, or how many packets were not."""
    total = sum(n for _, n in cover.undecoded)
    if not total:
        return "undecoded: at the end" if cover.counting else "all decoded"
    return f"undecoded {figures.count(total)} ({figures.share(total, max(total, cover.packets))})"


def unseen_words(cover: Coverage, most: int = 2) -> str:
    """`unseen: none known`, or the reasons and how many, the largest first."""
    unseen = [(reason, n) for reason, n in cover.unseen if reason != "dropped"]  # has its own words
    if not unseen:
        return "unseen: at the end" if cover.counting else "unseen: none known"
    parts = [f"{reason_words(reason)} {amount(reason, n)}".strip() for reason, n in unseen[:most]]
    more = len(unseen) - most
    return "unseen: " + ", ".join(parts) + (f", +{more} more" if more > 0 else "")


def reason_words(reason: str) -> str:
    """A ledger reason without its underscores; visible and short, since a stranger's case can hold any."""
    return _short(reason.replace("_", " ")[:_NAME])


def amount(reason: str, value: int | None) -> str:
    """A ledger count in its unit; '' for zero, which says only that it happened."""
    if not value:
        return ""
    return figures.words_size(value) if reason in BYTES else figures.count(value)


def sources_words(sources: Sequence[dict[str, Any]]) -> str:
    """The name of the one source, or how many there are."""
    if not sources:
        return "no source"
    if len(sources) == 1:
        path = str(sources[0].get("path") or "")
        path = path.removeprefix("live:") if is_live(sources[0]) else path
        return "standard input" if path == "-" else _short(path.rpartition("/")[2] or path)
    return f"{len(sources)} sources"


def _short(text: str) -> str:
    """Visible, and of so few cells that what follows in a line keeps its place."""
    words = visible(text[: _NAME + 1])
    return words if cell_len(words) <= _NAME else set_cell_size(words, _NAME - 1) + "…"


def meaning(reason: str) -> str:
    """What a ledger reason means, in words; the reason itself where a newer version wrote it."""
    known = BY_NAME.get(reason)
    return known.meaning if known is not None else visible(reason[:80])
