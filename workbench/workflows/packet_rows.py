"""The packets behind rows as rows themselves, streamed: what `packets` lists without dissecting them."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from workbench.workflows.carve import CarveRequest, searches
from workbench.workflows.frames import Cancel, Hits, Search

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

SCHEMA: Final = pa.schema(
    [
        ("frame", pa.int64()),  # number in its source, from 1
        ("ts", pa.timestamp("ns")),
        ("flow_id", pa.int64()),
        ("side", pa.utf8()),  # who sent it: src or dst
        ("captured", pa.int64()),
        ("length", pa.int64()),  # on the wire
        ("source_id", pa.int64()),
        ("record_offset", pa.int64()),
    ]
)


class PacketListing:
    """Rows of SCHEMA in the order of the captures, read once. Nothing is read before the first is asked for."""

    def __init__(self, reader: CaseReader, request: CarveRequest, cancel: Cancel | None = None) -> None:
        """Raises what `carve` raises before it writes anything."""
        self.schema = SCHEMA
        self._searches = searches(reader, request, cancel)
        self._limit = request.limit

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        left = self._limit
        for search in self._searches:
            for hits in search.hits():
                batch = _rows(search, hits)
                if left is not None:
                    batch = batch.slice(0, left)
                    left -= batch.num_rows
                if batch.num_rows:
                    yield batch
                if left == 0:
                    return
            search.close()

    def __enter__(self) -> PacketListing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for search in self._searches:
            search.close()


def _rows(search: Search, hits: Hits) -> pa.RecordBatch:
    chunk, chosen = hits.chunk, hits.chosen
    frames = chunk.frames[chosen]
    assert search.matcher is not None
    flows = search.wanted.flow_ids[search.matcher.order[hits.found >> 1]]
    columns = [
        pa.array(chosen + chunk.number),
        pa.array(frames["ts"]).cast(pa.timestamp("ns")),
        pa.array(flows),
        pa.DictionaryArray.from_arrays(pa.array((hits.found & 1).astype(np.int32)), pa.array(["src", "dst"])).cast(pa.utf8()),
        pa.array(frames["cap"].astype(np.int64)),
        pa.array(frames["wire"].astype(np.int64)),
        pa.array(np.full(len(chosen), search.capture.source_id, np.int64)),
        pa.array(frames["rec"] + chunk.base),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
