"""Hosts as rows of a table: their lifelines in characters, their columns, and everything about one in words.

An address that several MACs held has a row of its own for each of them, so that a name that was given away is seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.analysis.hosts import Host, Hosts, Tenure
from workbench.records.visible import visible
from workbench.tui import figures
from workbench.tui.conditions import quoted
from workbench.tui.looks import Look, text_cell

#: A cell of a lifeline without any flow open, and with few to many, on a log scale of the host's own.
QUIET: Final = "·"
_LEVELS: Final = "▂▄▆█"
_DAY: Final = 86_400_000_000

#: Columns by name: heading, meaning, width, most, right.
_COLUMNS: Final[tuple[tuple[str, str, str, int, int, bool], ...]] = (
    ("address", "address", "the address, or a MAC that held it for a while", 20, 39, False),
    ("network", "network", "tenant network that the address lies in", 9, 12, False),
    ("lifeline", "lifeline", "when it had flows open; · is none, higher is more", 24, 48, False),
    ("lifetime", "life", "from its first to its last packet", 7, 8, True),
    ("bytes", "bytes", "IP bytes to and from it", 8, 8, True),
    ("flows", "flows", "flows with it on either side", 6, 7, True),
    ("peers", "peers", "addresses that it had flows with", 5, 7, True),
    ("first", "first seen", "its first packet, or the first to it", 12, 18, False),
    ("last", "last seen", "its last packet, or the last to it", 12, 18, False),
    ("offers", "answers at", "ports that answered, most used first", 24, 60, False),
    ("macs", "macs", "MACs that its packets came from", 4, 5, True),
)

#: Which column shows a measure that hosts are ranked by.
SHOWN_IN: Final = {name: name for name in ("lifetime", "bytes", "flows", "peers", "first", "last")}


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a host, or one of its tenures."""

    host: Host
    tenure: Tenure | None = None


def rows_of(found: Hosts) -> tuple[Row, ...]:
    """The rows in order: each host, and below it who held its address where several did, first to last."""
    rows: list[Row] = []
    for host in found.listed:
        rows.append(Row(host))
        if len(host.macs) > 1:
            rows += [Row(host, tenure) for tenure in sorted(host.macs, key=lambda t: (t.first, t.mac))]
    return tuple(rows)


def table_of(rows: Sequence[Row], bins: int, *, dated: bool) -> pa.Table:
    """The rows as text and numbers, one column for each of `looks`. bins: cells of a lifeline, a divisor of what there are."""
    return pa.Table.from_pylist([_cells(row, bins, dated=dated) for row in rows], schema=_SCHEMA)


_SCHEMA: Final = pa.schema([pa.field(name, pa.string()) for name, *_ in _COLUMNS])


def _cells(row: Row, bins: int, *, dated: bool) -> dict[str, str]:
    host, tenure = row.host, row.tenure
    part = tenure or host
    cells = {
        "address": f" └ {visible(tenure.mac)}" if tenure else host.ip,
        "network": "" if tenure else visible(host.network) or figures.NOTHING,
        "lifeline": lifeline(part.bins, bins),
        "lifetime": figures.duration((part.last - part.first) / 1e6),
        "flows": figures.count(part.flows),
        "first": figures.clock(figures.from_us(part.first), date=dated),
        "last": figures.clock(figures.from_us(part.last), date=dated),
    }
    if tenure is None:
        cells["bytes"] = figures.size(host.sent + host.received)
        cells["peers"] = figures.count(host.peers)
        cells["offers"] = visible(", ".join(host.services)) or (
            "nothing came from it" if not host.sent_packets else figures.NOTHING
        )
        cells["macs"] = figures.count(len(host.macs) + host.more_macs)
    return {name: cells.get(name, "") for name, *_ in _COLUMNS}


def lifeline(bins: NDArray[np.int64], cells: int) -> str:
    """Open flows by bin as characters, the largest of neighbours where there are fewer cells than bins."""
    each = max(1, math.ceil(len(bins) / cells))
    drawn = [max(int(n) for n in bins[at : at + each]) for at in range(0, len(bins), each)]
    most = max(drawn, default=0)
    return "".join(QUIET if n <= 0 else _LEVELS[_level(n, most)] for n in drawn)


def _level(n: int, most: int) -> int:
    """0 to 3; the host's busiest moment is 3."""
    return 3 if n >= most else int(3 * math.log1p(n) / math.log1p(most))


def looks(*, networks: bool, bins: int, dated: bool) -> tuple[Look, ...]:
    """The columns. networks: whether there is more than one. bins: cells of a lifeline."""
    made = []
    for name, heading, meaning, width, most, right in _COLUMNS:
        if name == "network" and not networks:
            continue
        if name == "lifeline":
            width = most = bins
        if name in ("first", "last") and dated:
            width = most
        role = "time" if name in ("first", "last") else ""
        made.append(Look(name, heading, meaning, width, most, right, role, text_cell))
    return tuple(made)


def kept(host: Host, *, networks: bool) -> str:
    """The filter that keeps its flows."""
    return f"addr == {host.ip}" + (f" && network == {quoted(host.network)}" if networks else "")


def about(row: Row, *, networks: bool) -> list[tuple[str, str]]:
    """Everything about a host: what it is called, and the words; safe to show."""
    host = row.host
    when = figures.span_text(host.first, host.last)
    lines = [
        ("address", host.ip + (f" in {visible(host.network) or 'no network (untagged)'}" if networks else "")),
        ("when", f"{when}, {figures.duration(host.lifetime / 1e6)}"),
        (
            "flows",
            f"{figures.count(host.flows)}: {figures.count(host.began)} from it, {figures.count(host.flows - host.began)} to it",
        ),
        ("bytes", f"{figures.words_size(host.sent)} sent, {figures.words_size(host.received)} received"),
        ("peers", figures.count(host.peers)),
        ("answers at", visible(", ".join(host.services)) or "no port that was asked"),
    ]
    if not host.sent_packets:
        lines.append(("note", "nothing came from this address: it was only asked for"))
    lines += [("mac", _held(tenure)) for tenure in host.macs]
    if host.more_macs:
        lines.append(("mac", f"and {figures.count(host.more_macs)} more"))
    return lines


def _held(tenure: Tenure) -> str:
    return f"{visible(tenure.mac)}, {figures.span_text(tenure.first, tenure.last)}, {figures.count(tenure.flows)} flows"


def day_crossed(start: int, end: int) -> bool:
    """Whether times of a range need month and day."""
    return start // _DAY != max(start, end - 1) // _DAY


def as_record(row: Row) -> dict[str, Any]:
    """What names a row on the way back."""
    return {"network": row.host.network, "ip": row.host.ip, "mac": row.tenure.mac if row.tenure else ""}
