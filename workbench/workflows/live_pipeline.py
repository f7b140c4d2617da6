"""The pipeline of a live source: what it decodes it also keeps as evidence, and that is where its offsets count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.flows.rows import BLOCK_SHIFT
from workbench.settings import FlowSettings
from workbench.workflows.evidence import Evidence
from workbench.workflows.pipeline import Pipeline
from workbench.workflows.selection import Selection


class LivePipeline(Pipeline):
    """As Pipeline; offsets are those of the evidence, whether that is written or not."""

    def __init__(
        self,
        source_id: int,
        sensor: str,
        settings: FlowSettings,
        selection: Selection | None,
        key: bytes,
        evidence: Evidence,
    ) -> None:
        super().__init__(source_id, sensor, settings, selection, key)
        self.evidence = evidence

    def _note_places(self, n: int, base: int) -> None:
        """Places are those of the evidence: see `_index`."""

    def _index(self, data: NDArray[np.uint8], kept: int, _base: int, numbers: NDArray[np.int64] | None) -> None:
        if kept:
            framer = self.framer
            assert framer is not None
            frames, packets = self._frames, self._packets
            records = self.evidence.take(data, frames, packets, kept, framer.interfaces)
            packets["rec"][:kept] = records
            self._note(records, frames["ts"][:kept])
        self.table.update(data, self._packets, kept, 0, numbers)

    def _note(self, records: NDArray[np.int64], times: NDArray[Any]) -> None:
        """Note the first record in each block that none was noted for. Frames count as they stand in the evidence."""
        last = int(records[-1]) >> BLOCK_SHIFT
        while self._block < last:
            at = int(np.searchsorted(records, (self._block + 1) << BLOCK_SHIFT))
            self._block = int(records[at]) >> BLOCK_SHIFT
            row: dict[str, Any] = {"source_id": self.table.source_id, "block": self._block, "record_offset": int(records[at])}
            row |= {"frame": self.packets + at + 1, "ts_ns": int(times[at]), "interfaces": self.evidence.interfaces}
            self._places.append(row | {"section_offset": self.evidence.header})
