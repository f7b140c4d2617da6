"""The readers of application protocols at work beside the flow kernels, on a thread of their own.

What was heard is handed over in turns: while the readers go through the messages of one turn or two, the kernels, which hold
no lock of the interpreter, write the next ones into another pair of buffers. A turn is settled when the second after it is
handed over: then its rows are there, the services it recognised are noted in the flow table, and the flows that ended in it may
be emitted. Turns begin and settle at places that the packets alone decide, so that the same bytes give the same batches in the
same order.

Two turns, since they are unlike: the first one loads the readers' kernels, and one behind a drain is short. It costs two more
pairs of buffers, of which only what was written is backed by memory: at most about 20 MB each.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.flows.application import Application, Hash, Notes
from workbench.flows.ended import note_services
from workbench.flows.memory import Memory, lazy_rows
from workbench.records.reasons import LedgerLine

#: Turns that may be on their way at once; handing over one more waits for the first of them.
_TURNS: Final = 2

#: Rows of MESSAGE, and the bytes they speak of.
_Buffers: TypeAlias = tuple[NDArray[Any], NDArray[np.uint8]]


@dataclass(slots=True)
class _Turn:
    """What the readers made of one turn. rows: how many wait in their own lists; tables: empty where none were asked for."""

    notes: Notes
    rows: int
    tables: dict[str, pa.RecordBatch]


class Hearing:
    """What was heard in the flows of one source. Everything but the readers runs on the caller's thread.

    arena: where kernels put the bytes of messages now; of `memory`, the region `messages` is exchanged with each turn.
    """

    def __init__(self, memory: Memory, arena: NDArray[np.uint8], source_id: int, hashed: Hash) -> None:
        self.arena = arena
        self._memory = memory
        self._free: list[_Buffers] = []
        self._application = Application(source_id, hashed)
        self._thread: ThreadPoolExecutor | None = None
        self._turns: deque[tuple[Future[_Turn], _Buffers | None]] = deque()
        self._ready: dict[str, list[pa.RecordBatch]] = {}
        self._rows = 0
        self._finished = False

    @property
    def turns(self) -> int:
        """Turns that are not settled."""
        return len(self._turns)

    def hand_over(self, ended: NDArray[np.int64], *, drain: bool = False) -> None:
        """Begin the next turn: every message in memory, and the flows that ended since (sorted numbers).

        drain: their rows, and those of earlier turns, are wanted as tables. Before the first message of all nothing is begun:
        there is nothing to read and nobody to tell.
        """
        memory = self._memory
        count = memory.get("message_count")
        if self._finished or not (count or self._thread):
            return
        while len(self._turns) >= _TURNS:
            self._settle_first()
        messages, arena = memory.regions["messages"], self.arena
        memory.set("message_count", 0)
        memory.set("arena_used", 0)
        given: _Buffers | None = None
        if count:
            given = messages, arena
            fresh = (
                self._free.pop() if self._free else (lazy_rows(len(messages), messages.dtype), lazy_rows(len(arena), arena.dtype))
            )
            memory.put("messages", fresh[0])
            self.arena = fresh[1]
        self._thread = self._thread or ThreadPoolExecutor(1, "readers")
        self._turns.append((self._thread.submit(self._read, messages[:count], arena, ended, drain=drain), given))

    def _read(self, messages: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64], *, drain: bool) -> _Turn:
        application = self._application
        notes = application.take(messages, arena, ended)
        tables = application.drain() if drain else {}
        return _Turn(notes, application.pending(), tables)

    def settle(self) -> None:
        """Wait until every turn is over, and take what came of it. Raises what its thread raised."""
        while self._turns:
            self._settle_first()

    def _settle_first(self) -> None:
        future, given = self._turns.popleft()
        turn = future.result()
        if given is not None:
            self._free.append(given)
        if len(turn.notes[0]):
            note_services(self._memory.row, *turn.notes)
        self._rows = turn.rows
        for table, batch in turn.tables.items():
            self._ready.setdefault(table, []).append(batch)

    def pending(self) -> int:
        """Rows of the turns that are settled."""
        return self._rows + sum(int(batch.num_rows) for batches in self._ready.values() for batch in batches)

    def tables(self) -> dict[str, pa.RecordBatch]:
        """Rows of settled turns that were asked for as tables, each once."""
        ready, self._ready = self._ready, {}
        return {table: _joined(batches) for table, batches in sorted(ready.items())}

    def finish(self) -> None:
        """The source is over and every flow ended: what readers still hold. Nothing is heard after this."""
        self.settle()
        self._finished = True
        self._application.finish()
        for table, batch in self._application.drain().items():
            self._ready.setdefault(table, []).append(batch)
        self._rows = 0
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def ledger(self) -> list[LedgerLine]:
        """What could not be read so far; waits for the turn that is going on."""
        self.settle()
        return self._application.ledger()


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()[0]
