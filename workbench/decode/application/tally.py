"""Counts rows that differ only in how often they happened, for protocols that say the same thing thousands of times a flow."""

from __future__ import annotations

from typing import Any, Final

from workbench.decode.application.protocol import Row

#: Kinds that one flow counts before they are handed out and counting begins anew: a bound on memory, not on what is kept.
MOST_KINDS: Final = 256


class Tally:
    """Rows of one table by their key; `count` and sums beside."""

    def __init__(self, table: str, columns: tuple[str, ...], sums: tuple[str, ...] = ()) -> None:
        """table: whose rows; columns: the names of a key's parts; sums: columns that are added up beside `count`."""
        self.table = table
        self._columns = columns
        self._sums = sums
        self._kinds: dict[tuple[object, ...], list[int]] = {}

    def add(self, ts: int, key: tuple[object, ...], *sums: int) -> list[Row]:
        """Counts one that began at `ts` (us). Rows only where there are too many kinds to hold."""
        held = self._kinds.get(key)
        rows: list[Row] = []
        if held is None:
            if len(self._kinds) >= MOST_KINDS:
                rows = self.end()
            held = self._kinds[key] = [ts, 0, *(0 for _ in self._sums)]
        held[0] = min(held[0], ts)
        held[1] += 1
        for place, number in enumerate(sums, 2):
            held[place] += number
        return rows

    def end(self) -> list[Row]:
        """All rows, by their time; nothing is held afterwards."""
        rows: list[Row] = []
        for key, (ts, count, *sums) in sorted(self._kinds.items(), key=lambda kind: kind[1][0]):
            row: dict[str, Any] = {"ts": ts, **dict(zip(self._columns, key, strict=True)), "count": count}
            row.update(zip(self._sums, sums, strict=True))
            rows.append((self.table, row))
        self._kinds.clear()
        return rows
