"""What the ledger is told of one imported file, counted while it is read."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.reasons import BY_NAME, LedgerLine
from workbench.records.visible import visible

_FIRST: Final = 5
#: Kinds of trouble told apart in one line of the ledger.
_KINDS: Final = 12


@dataclass(slots=True)
class _Count:
    count: int = 0
    first: list[int] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)


class Tally:
    """Counts by reason, with the first lines concerned; rows by table."""

    def __init__(self) -> None:
        self.lines = 0
        self.rows: Counter[str] = Counter()
        self.packets = 0
        self.first: dt.datetime | None = None
        self.last: dt.datetime | None = None
        self._by: dict[str, _Count] = {}

    def add(self, reason: str, numbers: Iterable[int], detail: str = "", count: int | None = None) -> None:
        """Lines by their numbers, or a count of them."""
        listed = list(numbers)
        n = len(listed) if count is None else count
        if not n:
            return
        found = self._by.setdefault(reason, _Count())
        found.count += n
        found.first = sorted({*found.first, *sorted(listed)[:_FIRST]})[:_FIRST]
        if detail and (detail in found.details or len(found.details) < _KINDS):
            found.details[detail] += n

    def rejected(self, numbers: Iterable[int], why: Iterable[str]) -> None:
        """Lines that a format refuses: a reason of the ledger and a colon before the words make it that one."""
        by: dict[tuple[str, str], list[int]] = {}
        for n, text in zip(numbers, why, strict=True):
            word, colon, rest = text.partition(":")
            known = word in BY_NAME if colon else text in BY_NAME
            by.setdefault((word, rest.strip()) if known else ("bad_line", text), []).append(n)
        for (reason, detail), lines in by.items():
            self.add(reason, sorted(set(lines)), visible(detail)[:120])

    def saw(self, table: str, rows: pa.RecordBatch) -> None:
        """Rows that go into the case."""
        self.rows[table] += rows.num_rows
        if table == "flows" and rows.num_rows:
            self.packets += sum(int(pc.sum(rows.column(n)).as_py() or 0) for n in ("src_pkts", "dst_pkts"))
            self.time(rows.column("ts"), rows.column("ts_end"))
        elif "ts" in rows.schema.names and rows.num_rows:
            self.time(rows.column("ts"))

    def time(self, *columns: Any) -> None:
        """Times between which something happened."""
        for column in columns:
            found = pc.min_max(column).as_py()
            if found["min"] is not None:
                self.first = found["min"] if self.first is None else min(self.first, found["min"])
                self.last = found["max"] if self.last is None else max(self.last, found["max"])

    def count(self, reason: str) -> int:
        """How many lines have that reason."""
        return self._by[reason].count if reason in self._by else 0

    def ledger(self) -> list[LedgerLine]:
        """All of it."""
        told = ", ".join(f"{n} {table}" for table, n in self.rows.items() if n)
        lines = [LedgerLine("lines_read", self.lines, (), told or "no rows")]
        for reason, found in self._by.items():
            detail = ", ".join(f"{what} {n}" for what, n in found.details.most_common()) if found.details else ""
            lines.append(LedgerLine(reason, found.count, tuple(found.first), detail))
        return lines
