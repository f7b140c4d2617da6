"""Messages as a batch reader gets them: rows and an arena."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.decode.application.protocol import BatchReader, Read
from workbench.records.message import BODY_END, CUT, MESSAGE


@dataclass(frozen=True)
class Said:
    """One message: ms since the start; `whole` above the length of data: cut; `body`: the end of a body of so many bytes."""

    n: int
    ms: int
    side: int
    number: int
    data: bytes = b""
    whole: int | None = None
    body: int | None = None


def rows_of(said: Sequence[Said], vouched: int = 1) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """MESSAGE rows and the arena behind them."""
    rows = np.zeros(len(said), MESSAGE)
    at = 0
    for row, one in zip(rows, said, strict=True):
        row["n"], row["ts"], row["side"], row["number"] = one.n, one.ms * 1_000_000, one.side, one.number
        row["at"], row["size"], row["vouched"] = at, len(one.data), vouched
        row["whole"] = one.body if one.body is not None else len(one.data) if one.whole is None else one.whole
        row["flags"] = BODY_END if one.body is not None else CUT if row["whole"] > len(one.data) else 0
        at += len(one.data)
    return rows, np.frombuffer(b"".join(one.data for one in said), np.uint8)


def read(reader: BatchReader, said: Sequence[Said], ended: Iterable[int] = (), vouched: int = 1) -> Read:
    """What a reader makes of them."""
    return reader.read(*rows_of(said, vouched), np.array(sorted(ended), np.int64))


def rows(made: Read, table: str) -> list[dict[str, Any]]:
    """A table's rows as Python values."""
    columns = made.tables.get(table, {})
    lists = {name: column.tolist() if isinstance(column, np.ndarray) else column.to_pylist() for name, column in columns.items()}
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
