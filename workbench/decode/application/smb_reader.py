"""The batch reader of SMB: kernels count the messages of all connections, Python reads what they point out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application import smb_kernels as kernels
from workbench.decode.application import smb_rows as R  # noqa: N812
from workbench.decode.application.nt_status import status as status_name
from workbench.decode.application.ntlm import wide
from workbench.decode.application.protocol import Context, Read, Row
from workbench.decode.application.read_columns import columns_of, joined
from workbench.decode.application.smb_connection import Connection
from workbench.decode.application.smb_names import DIALECTS, SMB2
from workbench.records.message import MESSAGE

#: Names are tidied up when so many, or so many bytes of them, are held.
_MANY_NAMES: Final = R.MOST_NAMES // 2
_MANY_BYTES: Final = R.MOST_HEAP // 2
_SEALED: Final = {R.ENCRYPTED: "ENCRYPTED", R.COMPRESSED: "COMPRESSED"}


class SmbReader:
    """Reads SMB of all flows of a source."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._connections: dict[int, Connection] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._done: list[NDArray[Any]] = []
        self._counts: list[dict[str, Any]] = []
        self._malformed = 0
        self._tidied = (0, 0)  # names, and bytes of them, that were left
        self._p = np.zeros(R.POOL_AT + R.MOST_ROWS * R.WIDTH, np.int64)
        self._p[R.FLOW_HEADS : R.EVENTS_AT] = -1
        self._p[R.USED], self._p[R.FREE] = R.POOL_AT, -1
        self._heap = np.zeros(R.MOST_HEAP, np.uint8)

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """See `protocol.BatchReader`. A connection's rows come when it ends."""
        rows, arena = np.ascontiguousarray(rows), np.ascontiguousarray(arena)
        seen, spoken = np.zeros(len(rows), np.uint8), np.zeros(len(rows), np.uint8)
        p, at = self._p, 0
        ended = np.ascontiguousarray(ended, np.int64)
        while at < len(rows) + len(ended):
            before, at = at, kernels.walk(rows, arena, ended, at, p, self._heap, seen)
            self._hear(arena, spoken)
            if at == before:
                self._make_room()
        read = Read(seen=seen, malformed=self._malformed + int(p[R.BAD]))
        self._malformed = p[R.BAD] = 0
        if spoken.any():
            read.also["dcerpc"] = spoken
        self._take_tables(read)
        names, size = self._tidied
        if p[R.NAMES] > max(_MANY_NAMES, 2 * names) or p[R.HEAP] > max(_MANY_BYTES, 2 * size):
            self._tidy_names()
        return read

    # -- what the kernels point out -----------------------------------------------------------------

    def _hear(self, arena: NDArray[np.uint8], spoken: NDArray[np.uint8]) -> None:
        """Deals with the events so far, and takes the rows that are done."""
        p, heard = self._p, arena.data
        events = p[R.EVENTS_AT :][: p[R.EVENTS] * R.EVENT_WIDTH].reshape(-1, R.EVENT_WIDTH)
        for kind, row, n, ts, at, size, whole, number, session, status, revision, flag in events.tolist():
            flow = self._connections.get(n)
            if flow is None:
                flow = self._connections[n] = Connection(self._context)
            try:
                if kind == R.ASKED:
                    token = bytes(heard[at : at + size]) if size >= 0 else None
                    self._collect(n, flow.asked(ts, number, session, token))
                elif kind == R.TOLD_SETUP:
                    token = bytes(heard[at : at + size]) if size >= 0 else None
                    self._collect(n, flow.told(ts, number if flag else None, session, status, token))
                elif kind == R.LOST:
                    flow.lost(number)
                elif kind == R.OPENED_PIPE:
                    flow.opened(number, self._name(status))
                elif kind == R.CLOSED_PIPE:
                    self._collect(n, flow.closed(number))
                elif kind == R.FED:
                    found, spoken[row] = flow.fed(number, ts, flag, bytes(heard[at : at + size]), whole)
                    self._collect(n, found)
                elif kind == R.ONE:
                    try:
                        self._collect(n, flow.one(ts, bytes(heard[at : at + size]), revision))
                    finally:
                        spoken[row] = flow.one_spoken
                else:
                    del self._connections[n]
                    self._collect(n, flow.end(revision))
            except Exception:  # malformed; or a fault of ours, which costs one message as well, never what else is held
                self._malformed += 1
        if p[R.DONE]:
            self._done.append(p[R.DONE_AT :][: p[R.DONE] * R.KIND_WIDTH].reshape(-1, R.KIND_WIDTH).copy())
        p[R.EVENTS] = p[R.DONE] = 0

    def _collect(self, n: int, rows: list[Row]) -> None:
        for table, row in rows:
            self._rows.setdefault(table, []).append({"n": n, **row})

    def _name(self, place: int) -> str:
        """A name by its place; -1: none."""
        if place < 0:
            return ""
        at = int(self._p[place + R.NAME_AT])
        return wide(self._heap[at : at + int(self._p[place + R.NAME_SIZE])].tobytes())

    # -- room ---------------------------------------------------------------------------------------

    def _make_room(self) -> None:
        """There is room for no other message: names are tidied up; if that is not it, the oldest connections end early."""
        self._tidy_names()
        p = self._p
        if p[R.NAMES] <= _MANY_NAMES and p[R.HEAP] <= _MANY_BYTES and p[R.HELD] <= R.MOST_ROWS // 2:
            return
        pool = self._pool()
        live = pool[pool[:, R.WHAT] == R.FLOW]
        oldest = live[np.argsort(live[:, R.OPENED])][: len(live) // 8 + 1]
        numbers, nothing = np.sort(oldest[:, R.N]), np.empty(0, np.uint8)
        at = 0
        while at < len(numbers):
            at = kernels.walk(np.empty(0, MESSAGE), nothing, numbers, at, p, self._heap, nothing)
            self._hear(nothing, nothing)
        self._tidy_names()

    def _pool(self) -> NDArray[np.int64]:
        """Rows of the pool that were ever used."""
        return self._p[R.POOL_AT : self._p[R.USED]].reshape(-1, R.WIDTH)

    def _tidy_names(self) -> None:
        """Forgets the names that nothing holds any more."""
        self._count()
        p, pool = self._p, self._pool()
        holders = [(pool[:, R.WHAT] == what, column) for what, columns in R.NAMED.items() for column in columns]
        held = np.unique(np.concatenate([pool[rows, column] for rows, column in holders]))
        held = held[held >= 0]
        names = p[held[:, None] + np.arange(R.NAME_WIDTH)]
        heap = b"".join(self._heap[at : at + size].tobytes() for at, size in names[:, [R.NAME_AT, R.NAME_SIZE]].tolist())
        self._heap[: len(heap)] = np.frombuffer(heap, np.uint8)
        names[:, R.NAME_AT] = np.cumsum(names[:, R.NAME_SIZE]) - names[:, R.NAME_SIZE]
        p[R.NAMES], p[R.HEAP] = self._tidied = len(held), len(heap)
        p[R.NAME_HEADS : R.EVENTS_AT] = -1
        places = R.NAMES_AT + R.NAME_WIDTH * np.arange(len(held))
        for name, place in zip(names, places.tolist(), strict=True):
            head = R.NAME_HEADS + ((name[R.NAME_HASH] ^ name[R.NAME_HASH] >> 17) & (R.BUCKETS - 1))
            name[R.NEXT], p[head] = p[head], place
        p[R.NAMES_AT :][: names.size] = names.reshape(-1)
        for rows, column in holders:
            old = pool[rows, column]
            pool[rows, column] = np.where(old >= 0, places[np.searchsorted(held, old)] if len(held) else -1, -1)

    # -- tables -------------------------------------------------------------------------------------

    def _take_tables(self, read: Read) -> None:
        """Everything that was made since the last call."""
        told, self._rows = self._rows, {}
        read.tables = {table: columns_of(table, rows) for table, rows in told.items()}
        self._count()
        pieces, self._counts = self._counts, []
        if pieces:
            read.tables["smb"] = joined([*pieces, *([read.tables["smb"]] if "smb" in read.tables else [])])

    def _count(self) -> None:
        """What the kernels counted as columns: from then on it holds no names."""
        done, self._done = self._done, []
        if done:
            self._counts.append(self._counted(np.concatenate(done)))

    def _counted(self, kinds: NDArray[Any]) -> dict[str, Any]:
        """Columns of what the kernels counted, by connection and time."""
        kinds = kinds[np.lexsort((kinds[:, R.TS], kinds[:, R.KIND_N]))]
        return {
            "n": kinds[:, R.KIND_N].copy(),
            "ts": kinds[:, R.TS].copy(),
            "dialect": _named(kinds[:, R.KIND_REVISION], lambda code: DIALECTS.get(code, f"0x{code:04x}") if code else None),
            "command": _named(kinds[:, R.COMMAND], _command),
            "share": _named(kinds[:, R.SHARE], lambda place: self._name(place) if place >= 0 else None),
            "pipe": _named(kinds[:, R.KIND_PIPE], lambda place: self._name(place) if place >= 0 else None),
            "status": _named(kinds[:, R.KIND_STATUS], lambda code: status_name(code) if code >= 0 else None),
            "version": _named(kinds[:, R.KIND_REVISION], lambda code: "3" if code >= 0x0300 else "2"),
            "count": pa.array(kinds[:, R.KIND_COUNT].copy()),
            "encrypted": pa.array(kinds[:, R.COMMAND] == R.ENCRYPTED),
            "signed": pa.array(kinds[:, R.SIGNED] == 1, mask=kinds[:, R.SIGNED] == R.UNKNOWN),
            "src_data_bytes": pa.array(kinds[:, R.KIND_SENT].copy()),
            "dst_data_bytes": pa.array(kinds[:, R.KIND_RECEIVED].copy()),
        }


def _command(code: int) -> str:
    return SMB2[code] if code < len(SMB2) else _SEALED.get(code, f"command_{code}")


def _named(codes: NDArray[Any], name: Callable[[int], str | None]) -> pa.Array:
    """Numbers by name; each name is made once."""
    known, places = np.unique(codes, return_inverse=True)
    return pa.array([name(code) for code in known.tolist()], pa.utf8()).take(pa.array(places))
