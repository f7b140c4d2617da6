"""Rows of `flows` as what their packets are found by, source by source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.errors import ForeignCaseError, UsageError
from workbench.flows.match import Ends
from workbench.store.behind import flow_rows, ids_condition, known_flows, listed_blocks, sources_of_flows
from workbench.workflows.captured import BLOCK_SHIFT

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

#: Blocks that a flow spans at least where they are listed.
_BITMAP_BLOCKS: Final = 16
#: Blocks that a source is believed to have: 64 TiB.
_MOST_BLOCKS: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some flows of one source. blocks: the 4 MiB blocks of it that hold their packets, sorted, each once."""

    source_id: int
    flow_ids: NDArray[np.int64]
    src_pkts: NDArray[np.int64]
    dst_pkts: NDArray[np.int64]
    ends: Ends
    blocks: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many flows."""
        return len(self.flow_ids)

    @property
    def first(self) -> int:
        """Source offset of the first record of any."""
        return int(self.ends.first.min())

    @property
    def last(self) -> int:
        """Source offset of the last record of any."""
        return int(self.ends.last.max())


def wanted_flow(reader: CaseReader, flow_id: int) -> Wanted:
    """One flow. UsageError where the case has no such flow, or it did not come from a capture."""
    (found,) = wanted_flows(reader, (flow_id,), None)
    return found


def wanted_flows(reader: CaseReader, flow_ids: Sequence[int], text: str | None) -> list[Wanted]:
    """The flows of these ids, or those that a filter matches, by source. UsageError for an id that the case does not have."""
    if flow_ids:
        condition, params = ids_condition(flow_ids)
    else:
        condition, params = _filtered(reader, text or "")
    sources = sources_of_flows(reader, condition, params)
    if flow_ids:
        _refuse_unknown(reader, flow_ids, sources)
    return [_of_source(reader, row["source_id"], condition, params) for row in sources if row["carvable"]]


def _filtered(reader: CaseReader, text: str) -> tuple[str, tuple[Any, ...]]:
    if not text.strip():
        return "true", ()
    from workbench.workflows.show import case_filter

    made = case_filter(reader, text)
    return made.sql, made.params


def _refuse_unknown(reader: CaseReader, flow_ids: Sequence[int], sources: list[dict[str, int]]) -> None:
    if sum(row["n"] for row in sources) < len(set(flow_ids)):
        known = known_flows(reader, flow_ids)
        missing = next(flow_id for flow_id in flow_ids if flow_id not in known)
        raise UsageError(f"the case has no flow {missing}", "`workbench flows` lists them; the id is the column flow_id.")
    if any(row["n"] > row["carvable"] for row in sources):
        why = "the flow was told by telemetry: there are no packets behind it"
        raise UsageError(why, "Choose one whose source is a capture.")


def _of_source(reader: CaseReader, source_id: int, condition: str, params: Sequence[Any]) -> Wanted:
    rows = flow_rows(reader, source_id, condition, params)
    numbers = {name: _numbers(rows[name]) for name in rows.column_names if not name.endswith("_addr")}
    ends = Ends(
        src=_addresses(rows["src_addr"]),
        dst=_addresses(rows["dst_addr"]),
        first=numbers["first_offset"],
        last=numbers["last_offset"],
        **{name: numbers[name] for name in ("src_port", "dst_port", "proto", "vni", "vlan", "inner_vlan")},
    )
    first, last = ends.first >> BLOCK_SHIFT, ends.last >> BLOCK_SHIFT
    if int(first.min()) < 0 or int(last.max()) - int(first.min()) > _MOST_BLOCKS:
        why = f"the case says that packets of source {source_id} lie at byte {int(ends.last.max()):,} of it"
        raise ForeignCaseError(why, "No capture is that long: do not trust this case.")
    covered = _Cover(int(first.min()), int(last.max()))
    long = last - first >= _BITMAP_BLOCKS
    if long.any():
        flows, blocks = map(_numbers, listed_blocks(reader, source_id, condition, params))
        long &= np.isin(numbers["flow_id"], flows)
        covered.add(blocks, blocks)
    covered.add(first[~long], last[~long])
    return Wanted(source_id, numbers["flow_id"], numbers["src_pkts"], numbers["dst_pkts"], ends, covered.blocks())


class _Cover:
    """Which blocks from `low` to `high` are in any of many ranges of blocks."""

    def __init__(self, low: int, high: int) -> None:
        self._low = low
        self._size = high - low + 1
        self._steps = np.zeros(self._size + 1, np.int64)

    def add(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> None:
        inside = (first >= self._low) & (last < self._low + self._size) & (first <= last)
        np.add.at(self._steps, first[inside] - self._low, 1)
        np.add.at(self._steps, last[inside] - self._low + 1, -1)

    def blocks(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.cumsum(self._steps[:-1]) > 0) + self._low


def _numbers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.ascontiguousarray(column.combine_chunks().to_numpy(zero_copy_only=False), np.int64)


def _addresses(column: pa.ChunkedArray) -> NDArray[Any]:
    """Sixteen bytes each to two big-endian halves each."""
    raw = b"".join(chunk.cast(pa.binary(16)).buffers()[1][16 * chunk.offset :][: 16 * len(chunk)] for chunk in column.chunks)
    return np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64)
