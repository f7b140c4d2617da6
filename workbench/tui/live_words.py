"""What the status line says of live sources, in words: how they are doing, how fast, what was lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workbench.records.visible import visible
from workbench.tui import coverage, figures
from workbench.tui.data import Summary
from workbench.tui.rates import Rate

if TYPE_CHECKING:
    from workbench.tui.attaching import LiveRun

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class LiveNow:
    """state: `live`, or what is in the way of that. bad: whether nothing is being captured. rate: None before it is known.

    losses: what was lost or not seen since attaching, in words. newest: how old the newest packet is. waits: bytes that
    wait for the decoder. clock: wall clock, UTC.
    """

    state: str
    bad: bool
    names: str
    rate: Rate | None
    clock: str
    newest: str = ""
    waits: int = 0
    losses: Sequence[str] = field(default_factory=tuple)


def live_sources(summary: Summary) -> list[dict[str, Any]]:
    """Rows of sources that somebody, here or in another process, is attached to."""
    return [row for row in summary.sources if row.get("state") == "indexing" and coverage.is_live(row)]


def source_name(row: dict[str, Any]) -> str:
    """`eth0`, `standard input`: visible and short."""
    path = str(row.get("path") or "")
    return "standard input" if path == "-" else visible(path.removeprefix("live:")[:40])


def names_of(runs: Sequence[LiveRun], rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every source once, ours first; exporters at a port count as the port."""
    ids = {run.status.source_id for run in runs if run.status is not None}
    paths = {"-" if run.request.source == "-" else f"live:{run.request.source}" for run in runs}
    others = [row for row in rows if row["source_id"] not in ids and row.get("path") not in paths]
    return [*(run.name for run in runs), *dict.fromkeys(map(source_name, others))]


def rate_words(rate: Rate | None) -> str:
    """`21.3k packets/s, 180 Mbit/s`; '' before it is known."""
    return "" if rate is None else f"{figures.count(round(rate.packets))} packets/s, {bits_words(rate.bits)}"


def bits_words(bits: float) -> str:
    """`1.2 Mbit/s`."""
    for unit, size in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= size * 0.9995:
            return f"{bits / size:.1f} {unit}" if bits < 99.95 * size else f"{bits / size:.0f} {unit}"
    return f"{bits:.0f} bit/s"


def age_words(seconds: float | None) -> str:
    """How old the newest packet is; '' before there is one. A stream of old packets says so."""
    if seconds is None:
        return ""
    if seconds > _DAY:
        return f"packets are from {figures.clock_day(time.time() - seconds)}"
    return f"newest {figures.duration(round(seconds, 1))} old"


def live_now(runs: Sequence[LiveRun], rows: Sequence[dict[str, Any]], rate: Rate | None) -> LiveNow | None:
    """How the live sources are doing; None where there are none. runs: ours that go on; rows: of `sources`."""
    if not runs and not rows:
        return None
    names = names_of(runs, rows)
    state, bad = _state(runs)
    known = [run.status for run in runs if run.status is not None]
    ages = [status.lag for status in known if status.lag is not None]
    lost = sum(status.interface_dropped or 0 for status in known)
    gaps = sum(status.gaps for status in known)
    losses = [f"{gaps} gap{'s' * (gaps > 1)} in the capture"] if gaps else []
    losses += [f"the interface dropped {figures.count(lost)}"] if lost else []
    return LiveNow(
        state,
        bad,
        names[0] if len(names) == 1 else f"{len(names)} live sources",
        rate,
        clock(),
        age_words(max(ages) if ages else None),
        sum(status.behind for status in known),
        tuple(losses),
    )


def clock() -> str:
    """The time of day, UTC."""
    return f"{time.strftime('%H:%M:%S', time.gmtime())}Z"


def _state(runs: Sequence[LiveRun]) -> tuple[str, bool]:
    """In a few words; what is wrong with one of several is said of that one."""
    if not runs:
        return "following", False
    for run in runs:
        if run.status is not None and run.status.state == "waiting":
            return f"NOT CAPTURING{f' {run.name}' if len(runs) > 1 else ''}: {visible(run.status.note[:200])}", True
    if any(run.stopping for run in runs):
        return "detaching", False
    if any(run.status is None or run.status.state == "starting" for run in runs):
        compiling = any(run.compiling for run in runs)
        return ("compiling kernels, once" if compiling else "attaching"), False
    return "live", False


def waiting_words(runs: Sequence[LiveRun], rows: Sequence[dict[str, Any]]) -> str:
    """What stands where a view has no rows yet."""
    names = names_of(runs, rows)
    what = names[0] if len(names) == 1 else " and ".join([", ".join(names[:-1]), names[-1]])
    for run in runs:
        if run.status is not None and run.status.state == "waiting":
            return f"Nothing is being captured: {visible(run.status.note[:200])}.\nIt is tried again and again."
        if run.compiling and (run.status is None or run.status.state == "starting"):
            return "Compiling the decoder for this machine.\nThis happens once and takes about a minute."
    return f"Waiting for the first packet on {what}…"
