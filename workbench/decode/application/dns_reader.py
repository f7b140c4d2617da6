"""The batch reader of DNS: what kernels made of messages, as columns in Arrow."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.decode.application import dns_kernels as kernels
from workbench.decode.application import dns_names as names
from workbench.decode.application import dns_wire
from workbench.decode.application.protocol import Context, Read
from workbench.decode.application.read_columns import joined

#: Rows and bytes of text that a kernel fills before it hands over: what a block of packets needs, in pieces of 3 MB.
_ROWS: Final = 16_384
_TEXT: Final = 1 << 20


def _table(count: int, known: dict[int, str], form: str) -> list[str]:
    return [known.get(number, form.format(number)) for number in range(count)]


#: Lists of names whose first entry is null: a number, plus one, is the place of its name.
_TYPES: Final = pa.array([None, *_table(names.KNOWN_TYPES, names.TYPES, "TYPE{}")])
_CLASSES: Final = pa.array([None, *_table(names.KNOWN_CLASSES, names.CLASSES, "CLASS{}")])
_RCODES: Final = pa.array(
    [None, *_table(names.MOST_RCODES, names.RCODES, "RCODE{}"), *_table(names.MOST_RCODES, names.NBNS_RCODES, "RCODE{}")]
)
_OPCODES: Final = pa.array([*_table(16, names.OPCODES, "OPCODE{}"), *_table(16, names.NBNS_OPCODES, "OPCODE{}")])
_KINDS: Final = pa.array(names.KINDS)
#: Seven bits of the header, from aa to cd, of DNS and then of NetBIOS.
_FLAGS: Final = pa.array([names.flag_names(bits << 4, kind) for kind in (names.DNS, names.NBNS) for bits in range(128)])


class DnsReader:
    """Reads DNS of all flows of a source. Holds kernels.MOST_WAITING queries at most; others are rows without an answer."""

    def __init__(self, _context: Context | None = None) -> None:
        self._waiting = np.zeros(kernels.MOST_WAITING, kernels.WAITING)
        self._stored = np.empty((kernels.MOST_WAITING, 256), np.uint8)
        self._heads = np.full(kernels.BUCKETS, -1, np.int32)
        self._scratch = np.zeros((2, 256), np.uint8)
        self._w = np.zeros(dns_wire.SCRATCH, np.int64)
        self._state = np.zeros(kernels.STATE, np.int64)
        self._rows = np.zeros(_ROWS, kernels.ROW)
        self._text, self._answers, self._ttls = (np.empty(_TEXT, np.uint8) for _ in range(3))

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """Rows of what was answered, what nobody answered within half a minute or until its flow ended."""
        seen = np.zeros(len(rows), np.uint8)
        pieces = list(self._messages(np.ascontiguousarray(rows), arena, seen))
        pieces += self._released(np.ascontiguousarray(ended, np.int64))
        read = Read(seen=(seen > 0).astype(np.uint8), malformed=int(self._state[kernels.BAD]))
        self._state[kernels.BAD] = 0
        if pieces:
            read.tables["dns"] = joined(pieces)
        return read

    def _messages(self, rows: NDArray[Any], arena: NDArray[np.uint8], seen: NDArray[np.uint8]) -> Any:
        done = 0
        while done < len(rows):
            done = kernels.read_messages(
                rows, arena, done, self._waiting, self._stored, self._heads, self._w, self._state, self._scratch,
                self._rows, self._text, self._answers, self._ttls, seen,
            )  # fmt: skip
            if self._state[kernels.ROWS]:
                yield self._columns()

    def _released(self, ended: NDArray[np.int64]) -> Any:
        place, more = 0, True
        while more:
            place = kernels.release(ended, place, self._waiting, self._stored, self._heads, self._state, self._rows, self._text)
            more = bool(self._state[kernels.FULL])
            if self._state[kernels.ROWS]:
                yield self._columns()

    def _columns(self) -> dict[str, Any]:
        """The rows that the kernel left, as columns."""
        rows = self._rows[: self._state[kernels.ROWS]]
        nbns = rows["kind"] == names.NBNS
        bits = rows["flags"].astype(np.int32)
        return {
            "n": rows["n"].copy(),
            "ts": rows["ts"] // 1000,
            "query": _texts(rows["query"], self._text),
            "qtype": _types(rows["qtype"], nbns),
            "qclass": _named(rows["qclass"], _CLASSES, names.KNOWN_CLASSES, names.class_name),
            "rcode": _RCODES.take(pa.array(rows["rcode"] + 1 + np.where(nbns & (rows["rcode"] >= 0), names.MOST_RCODES, 0))),
            "answers": _texts(rows["answers"], self._answers),
            "ttls": _texts(rows["ttls"], self._ttls),
            "rtt_us": _numbers(rows["rtt"]),
            "trans_id": pa.array(rows["id"].astype(np.int32)),
            "kind": _KINDS.take(pa.array(rows["kind"])),
            "opcode": _OPCODES.take(pa.array(((bits >> 11) & 15) + 16 * nbns)),
            "flags": _FLAGS.take(pa.array(((bits >> 4) & 127) + 128 * nbns)),
            "query_bytes": _numbers(rows["query_bytes"]),
            "answer_bytes": _numbers(rows["answer_bytes"]),
        }


def _texts(ends: NDArray[np.int32], text: NDArray[np.uint8]) -> pa.Array:
    """Texts one behind another, null where one is empty. They are ASCII: everything else was escaped."""
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends
    there = np.diff(offsets) > 0
    valid = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
    data = pa.py_buffer(text[: offsets[-1]].tobytes())
    return pa.Array.from_buffers(pa.utf8(), len(ends), [valid, pa.py_buffer(offsets), data])


def _numbers(values: NDArray[np.int32]) -> pa.Array:
    return pa.array(values, mask=values < 0)


def _types(values: NDArray[np.int32], nbns: NDArray[np.bool_]) -> pa.Array:
    named = _named(values, _TYPES, names.KNOWN_TYPES, names.type_name)
    for number, name in names.NBNS_TYPES.items():
        if (other := nbns & (values == number)).any():
            named = pc.if_else(pa.array(other), name, named)
    return named


def _named(values: NDArray[np.int32], table: pa.Array, known: int, name: Any) -> pa.Array:
    """Names by number; those beyond the table one by one, which nobody but an attacker sends many of."""
    if not len(values) or values.max() < known:
        return table.take(pa.array(values + 1))
    return pa.array([None if value < 0 else name(value) for value in values.tolist()], pa.utf8())
