"""A capture that comes through a pipe, a piece at a time: what a live source reads in a test."""

from __future__ import annotations

import os
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_captures" / "names.pcapng"


class Feed:
    """A pipe and what is written into it. `end` is for the reader, given away by its number."""

    def __init__(self, path: Path = SAMPLE) -> None:
        self._data = path.read_bytes()
        self._at = 0
        self.end, self._ours = os.pipe()
        os.set_inheritable(self.end, False)

    def write(self, share: float) -> None:
        """As much as makes this share of the whole, cut wherever that falls."""
        until = round(len(self._data) * share)
        os.write(self._ours, self._data[self._at : until])
        self._at = until

    def close(self) -> None:
        """There is no more."""
        os.close(self._ours)
