"""From messages to rows: hands what the flow table heard to the readers of each protocol, and collects what they make of it.

A reader lives as long as its flow is open, at most MOST_READERS of them: past that the oldest is ended early and counted.
What readers say of services is given back as notes for the flow table, which is why flows are emitted after this ran. A fault
of a reader, which no bytes should bring about, costs the messages it was given and is told in the ledger; never the source.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application.held import taken
from workbench.decode.application.protocol import BatchReader, Context, Malformed, Message, Protocol, Read, Reader, Row
from workbench.decode.application.registry import codes, protocols
from workbench.flows.batches import record_batch
from workbench.records.arrow import arrow_schema
from workbench.records.message import BODY_END, MESSAGE
from workbench.records.reasons import LedgerLine

#: Readers that are kept at once.
MOST_READERS: Final = 50_000
_ID_SHIFT: Final = 40
_TRANSPORTS: Final = {6: "tcp", 17: "udp", 132: "sctp"}
_NOTED: Final = 8  # services a direction can have

#: Makes 32 hex digits of what must not be kept as it is.
Hash: TypeAlias = Callable[[str | bytes], str]
#: Rows of STREAM, and the codes of services recognised there, in this order.
Notes: TypeAlias = tuple[NDArray[np.int32], NDArray[np.uint8]]


class _Flow:
    """A reader and what was noted of it."""

    __slots__ = ("noted", "reader")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.noted = 0


class Application:
    """The readers of one source. Not for use by several threads at once."""

    def __init__(self, source_id: int, hashed: Hash) -> None:
        self._source_id = source_id
        self._hashed = hashed
        self._flows: OrderedDict[tuple[int, str], _Flow] = OrderedDict()
        self._of_flow: dict[int, set[str]] = {}
        self._batches: dict[str, BatchReader] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._tables: dict[str, list[pa.RecordBatch]] = {}
        self._malformed: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._dropped = 0
        self._noted: list[Notes] = []

    @property
    def busy(self) -> bool:
        """Whether anybody would want to know of flows that ended."""
        return bool(self._batches or self._flows)

    def take(self, messages: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Notes:
        """Read messages (MESSAGE rows, bytes in `arena`).

        ended: sorted numbers of the flows that ended since the last call, which are about to be emitted.
        """
        fed: set[str] = set()
        self._noted = []
        if len(messages):
            order = np.argsort(messages["protocol"], kind="stable")
            kinds = messages["protocol"][order]
            starts = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1]])
            for start, stop in zip(starts, [*starts[1:], len(messages)], strict=True):
                protocol = protocols()[int(kinds[start]) - 1]
                rows = taken(messages, order[start:stop])
                if protocol.batch is not None:
                    fed.add(protocol.name)
                    self._batch(protocol, rows, arena, ended)
                elif protocol.reader is not None:
                    self._each(protocol, rows, arena)
        if len(ended):
            self._tell_ended(ended, self._batches.keys() - fed)
            self._end(ended)
        if not self._noted:
            return _NO_NOTES
        return np.concatenate([streams for streams, _ in self._noted]), np.concatenate([codes for _, codes in self._noted])

    # -- many at a time ---------------------------------------------------------------------------

    def _batch(self, protocol: Protocol, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> None:
        try:
            reader = self._batches.get(protocol.name)
            if reader is None:
                assert protocol.batch is not None
                reader = self._batches[protocol.name] = protocol.batch(Context(hashed=self._hashed))
            self._take_read(protocol, rows, reader.read(rows, arena, ended))
        except Exception:  # the reader may be in any state: the next messages get a fresh one
            self._batches.pop(protocol.name, None)
            self._failed[protocol.name] = self._failed.get(protocol.name, 0) + max(1, len(rows))

    def _take_read(self, protocol: Protocol, rows: NDArray[Any], read: Read) -> None:
        tables = [(table, _record_batch(table, columns, self._source_id)) for table, columns in read.tables.items()]
        for table, batch in tables:
            self._tables.setdefault(table, []).append(batch)
        if read.malformed:
            self._malformed[protocol.name] = self._malformed.get(protocol.name, 0) + read.malformed
        if read.seen is not None:
            self._note(rows["stream"][read.seen != 0], protocol.name)
        for name, seen in read.also.items():
            if name in codes():
                self._note(rows["stream"][seen != 0], name)

    def _note(self, streams: NDArray[np.int32], service: str) -> None:
        if len(streams):
            self._noted.append((streams, np.full(len(streams), codes()[service], np.uint8)))

    def _tell_ended(self, ended: NDArray[np.int64], names: Iterable[str]) -> None:
        """Batch readers that heard nothing this time learn of the flows that ended too: they hold what was not answered."""
        none, nothing = np.empty(0, MESSAGE), np.empty(0, np.uint8)
        for name in sorted(names):
            self._batch(_named(name), none, nothing, ended)

    # -- one flow at a time -----------------------------------------------------------------------

    def _each(self, protocol: Protocol, rows: NDArray[Any], arena: NDArray[np.uint8]) -> None:
        columns = [rows[name].tolist() for name in ("n", "ts", "at", "size", "whole", "side", "number", "flags", "stream")]
        heard, flows, name = arena.data, self._flows, protocol.name
        noted: list[tuple[int, int]] = []
        for place, (n, ts, at, size, whole, side, number, flags, stream) in enumerate(zip(*columns, strict=True)):
            if flags & BODY_END:
                continue
            flow = flows.get((n, name))
            if flow is None:
                flow = self._open(protocol, n, rows[place])
            reader = flow.reader
            self._collect(protocol, n, reader.message, Message(ts // 1000, side, bytes(heard[at : at + size]), whole, number))
            if flow.noted < len(reader.services):
                noted += [(stream, codes()[service]) for service in reader.services[:_NOTED] if service in codes()]
                flow.noted = len(reader.services)
        if noted:
            streams, numbers = zip(*noted, strict=True)
            self._noted.append((np.array(streams, np.int32), np.array(numbers, np.uint8)))

    def _open(self, protocol: Protocol, n: int, row: Any) -> _Flow:
        assert protocol.reader is not None
        if len(self._flows) >= MOST_READERS:
            (old, name), flow = self._flows.popitem(last=False)
            self._of_flow[old].discard(name)
            self._dropped += 1
            self._collect(_named(name), old, flow.reader.end)
        context = Context(
            _TRANSPORTS.get(int(row["proto"]), "tcp"),  # type: ignore[arg-type]
            int(row["src_port"]),
            int(row["dst_port"]),
            self._hashed,
        )
        flow = self._flows[n, protocol.name] = _Flow(protocol.reader(context))
        self._of_flow.setdefault(n, set()).add(protocol.name)
        return flow

    def _collect(self, protocol: Protocol, n: int, ask: Callable[..., Iterable[Row]], *given: Message) -> None:
        try:
            for table, row in ask(*given):
                row["flow_id"] = n | (self._source_id << _ID_SHIFT)
                self._rows.setdefault(table, []).append(row)
        except Malformed:
            self._malformed[protocol.name] = self._malformed.get(protocol.name, 0) + 1
        except Exception:  # a fault of ours costs one message and is told, never the source
            self._failed[protocol.name] = self._failed.get(protocol.name, 0) + 1

    def _end(self, ended: NDArray[np.int64]) -> None:
        if not self._flows:
            return
        for n in ended.tolist():
            for name in sorted(self._of_flow.pop(n, ())):
                flow = self._flows.pop((n, name))
                self._collect(_named(name), n, flow.reader.end)

    # -- what came of it --------------------------------------------------------------------------

    def finish(self) -> None:
        """The source is over: whatever batch readers still hold. Every flow has ended."""
        self._tell_ended(_EVERYTHING, list(self._batches))

    def drain(self) -> dict[str, pa.RecordBatch]:
        """Rows of every table since the last call."""
        for table, rows in self._rows.items():
            self._tables.setdefault(table, []).append(_from_rows(table, rows))
        self._rows = {}
        out = {}
        for table, batches in sorted(self._tables.items()):
            whole = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
            if whole:
                out[table] = whole[0]
        self._tables = {}
        return out

    def pending(self) -> int:
        """Rows that `drain` would hand out now."""
        made = sum(batch.num_rows for batches in self._tables.values() for batch in batches)
        return int(made) + sum(map(len, self._rows.values()))

    def ledger(self) -> list[LedgerLine]:
        """What could not be read."""
        lines = []
        for reason, counts in (("application_malformed", self._malformed), ("application_failed", self._failed)):
            if counts:
                detail = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
                lines.append(LedgerLine(reason, sum(counts.values()), (), detail))
        if self._dropped:
            lines.append(LedgerLine("application_full", self._dropped, (), f"{self._dropped} readers ended early"))
        return lines


#: Numbers of flows that end when the source does: batch readers are told that nothing will come any more.
_EVERYTHING: Final = np.empty(0, np.int64)
_NO_NOTES: Final[Notes] = (np.empty(0, np.int32), np.empty(0, np.uint8))


def _named(name: str) -> Protocol:
    return protocols()[codes()[name] - 1]


def _record_batch(table: str, columns: dict[str, Any], source_id: int) -> pa.RecordBatch:
    """Columns of a batch reader as a batch of their table."""
    numbers: NDArray[np.int64] = np.asarray(columns["n"], np.int64)
    schema = arrow_schema(table)
    given = {name: value for name, value in columns.items() if name not in ("n", "ts")}
    made = {name: v if isinstance(v, pa.Array) else pa.array(v, schema.field(name).type) for name, v in given.items()}
    made["flow_id"] = pa.array(numbers | (source_id << _ID_SHIFT))
    made["ts"] = pa.array(np.asarray(columns["ts"], np.int64)).cast(pa.timestamp("us"))
    return record_batch(table, made, len(numbers))


def _from_rows(table: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows of readers; a value that its column cannot hold is null."""
    schema = arrow_schema(table)
    arrays = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
            arrays.append(pa.array([_fitting(value, field.type) for value in values], field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return None
    return value
