"""A capture filter at work on one source: libpcap's programs, our own kernel, and what the ledger says of the rest.

Whoever reads frames of an indexed source again must leave out what was left out then, or the packets behind a flow would
not be those that were counted in it: `selection_of(text of sources.bpf)`, then `.keep(framer, data, frames, n)`, says which.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.decode.bpf import Selector
from workbench.decode.framing import Framer
from workbench.errors import BpfError
from workbench.records.links import link_name
from workbench.records.reasons import LedgerLine
from workbench.sources.bpf import check_filter, compile_filter

_FIRST: Final = 5  # frame numbers kept a line
_TOLD: Final = 6  # link types named in a line
#: Link types that the filter is compiled for, per source: far more than a capture has that nobody made to be slow.
_MOST: Final = 256
_LINKS: Final = 1 << 16


def selection_of(text: str | None) -> Selection | None:
    """The filter of a source, by its row's `bpf`; None where everything was selected.

    The text may come from the case of a stranger, so it is checked: BpfError where it is no filter; ExternalError
    without libpcap.
    """
    text = check_filter(text) if text is not None else None
    return Selection(text) if text is not None else None


class Selection:
    """One filter over the frames of one source, whatever link types its interfaces have. Not for several threads at once."""

    def __init__(self, text: str) -> None:
        """text: as `check_filter` returns it; never blank."""
        self.text = text
        self._selectors = (Selector(), Selector())  # for captures of either byte order: BSD loopback headers have it
        self._tried: set[tuple[bool, int]] = set()
        self._unfit: dict[int, str] = {}  # link types that the filter cannot be said for, and why
        self._blind = np.zeros(_LINKS, np.bool_)  # the same by number
        self._framer: Framer | None = None
        self._interfaces = 0
        self._counts = [0, 0]  # left out by the filter; of an unfit link type
        self._firsts: tuple[list[int], list[int]] = ([], [])

    def keep(self, framer: Framer, data: NDArray[np.uint8], frames: NDArray[Any], n: int) -> NDArray[np.bool_]:
        """A mask over frames[:n], which `framer` found in `data`: True where the frame passes. Nothing is counted.

        A frame of a link type that the filter cannot be said for does not pass. The framer's interfaces must be those
        of the frames. ExternalError without libpcap.
        """
        self._learn(framer)
        return self._selectors[framer.big_endian].keep(data, frames, n)

    def take(self, framer: Framer, data: NDArray[np.uint8], frames: NDArray[Any], n: int, first_frame: int) -> NDArray[np.int64]:
        """Move those of frames[:n] that pass to the front; their frame numbers, where frames[0] has `first_frame`.

        What does not pass is counted for the ledger.
        """
        self._learn(framer)
        links = frames["link"][:n].copy() if self._unfit else None
        numbers = self._selectors[framer.big_endian].chosen(data, frames, n, move=True) + first_frame
        if len(numbers) < n:
            self._count(np.setdiff1d(np.arange(first_frame, first_frame + n), numbers, assume_unique=True), links, first_frame)
        return numbers

    def ledger(self) -> list[LedgerLine]:
        """What was left out so far, and what could not be judged."""
        told = [f"{link_name(link)}: {why}" for link, why in list(self._unfit.items())[:_TOLD]]
        details = (self.text, "; ".join(told))
        return [
            LedgerLine(reason, count, tuple(firsts), detail)
            for reason, count, firsts, detail in zip(
                ("not_selected", "not_selectable"), self._counts, self._firsts, details, strict=True
            )
            if count
        ]

    def _count(self, out: NDArray[np.int64], links: NDArray[np.uint32] | None, first_frame: int) -> None:
        groups: tuple[NDArray[np.int64], ...] = (out,)
        if links is not None:
            unfit = self._blind[links[out - first_frame]]
            groups = (out[~unfit], out[unfit])
        for which, numbers in enumerate(groups):
            self._counts[which] += len(numbers)
            firsts = self._firsts[which]
            firsts += numbers[: _FIRST - len(firsts)].tolist()

    def _learn(self, framer: Framer) -> None:
        """Compile the filter for link types that came since."""
        if framer is not self._framer:
            self._framer, self._interfaces = framer, 0
        new = framer.interfaces[self._interfaces :]
        self._interfaces += len(new)
        for link_type in dict.fromkeys(interface.link_type for interface in new):
            if (framer.big_endian, link_type) not in self._tried:
                self._tried.add((framer.big_endian, link_type))
                self._compile(link_type, framer.big_endian)

    def _compile(self, link_type: int, big_endian: bool) -> None:
        try:
            if len(self._tried) > _MOST:
                raise BpfError(f"more than {_MOST} link types")
            program = compile_filter(self.text, link_type, big_endian=big_endian)
        except BpfError as error:
            self._unfit[link_type] = error.message
            self._blind[link_type] = True
        else:
            self._selectors[big_endian].add(link_type, program)
