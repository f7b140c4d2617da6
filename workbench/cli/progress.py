"""Progress on stderr, with an ETA, where stderr is a terminal; silence elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

from workbench.records.visible import visible
from workbench.workflows.kernels import WarmSink
from workbench.workflows.requests import Progress as IndexProgress
from workbench.workflows.requests import ProgressSink

if TYPE_CHECKING:
    from rich.console import Console

    from workbench.workflows.carve import CarveProgress, CarveSink
    from workbench.workflows.hunt import HuntProgress

_WORDS = {"compile": "Preparing kernels", "read": "Reading", "store": "Storing", "finish": "Finishing", "name": "Naming flows"}


@contextmanager
def index_progress() -> Iterator[ProgressSink | None]:
    """A sink that draws one bar over all bytes of the run; None where nobody would see it."""
    with _bytes_bar(speed=True) as update:
        if update is None:
            yield None
            return

        def show(now: IndexProgress) -> None:
            name = visible(PurePath(now.source).name)
            update(
                description=f"{_WORDS.get(now.phase, now.phase)} {name if now.phase == 'read' else ''}".rstrip(),
                completed=now.done_bytes,
                total=now.total_bytes,
                counts=f"{now.packets:,} packets  {now.flows:,} flows",
            )

        yield show


@contextmanager
def carve_progress() -> Iterator[CarveSink | None]:
    """A sink that draws one bar over the ranges that are read; None where nobody would see it."""
    with _bytes_bar(speed=False) as update:
        if update is None:
            yield None
            return

        def show(now: CarveProgress) -> None:
            if now.skipping:
                said = f"Reading through {visible(PurePath(now.skipping).name)} to the place"
            else:
                said = f"Carving {visible(PurePath(now.source).name)}"
            update(description=said, completed=now.done, total=now.total, counts=f"{now.packets:,} packets")

        yield show


@contextmanager
def warm_progress() -> Iterator[WarmSink | None]:
    """A sink that draws one step a kernel; None where nobody would see it."""
    with _steps_bar("Compiling kernels") as update:
        if update is None:
            yield None
            return

        def show(done: int, total: int, name: str) -> None:
            update(description=f"Compiling {name}", completed=done, total=total)

        yield show


@contextmanager
def hunt_progress() -> Iterator[Callable[[HuntProgress], None] | None]:
    """A sink that draws one step a detection; None where nobody would see it."""
    with _steps_bar("Detecting") as update:
        if update is None:
            yield None
            return

        def show(now: HuntProgress) -> None:
            update(description=visible(now.title) or "Keeping what was found", completed=now.done, total=now.total)

        yield show


@contextmanager
def _steps_bar(title: str) -> Iterator[Callable[..., None] | None]:
    """A bar over steps, and what updates it; None where nobody would see it."""
    if not _seen():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_console(), transient=True) as bars:
        yield partial(bars.update, bars.add_task(title, total=None))


@contextmanager
def _bytes_bar(*, speed: bool) -> Iterator[Callable[..., None] | None]:
    """A bar over bytes with counts behind it, and what updates it; None where nobody would see it."""
    if not _seen():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        DownloadColumn(),
        *((TransferSpeedColumn(),) if speed else ()),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}", markup=False),
    )
    with Progress(*columns, console=_console(), transient=True) as bars:
        yield partial(bars.update, bars.add_task("Starting", total=None, counts=""))


def _console() -> Console:
    """Stderr, where file names are text and not markup."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False)


def _seen() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
