"""Live rows: a segment a second, open flows beside them, small files joined, old ones dropped.

Everybody reads while this is written: `case.duckdb` is there from the beginning, if empty, and is not touched until the
end. A file that another has taken the place of stays for a while: a reader may just have listed it.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.columns import BY_NAME, Type
from workbench.store.case import CaseFolder
from workbench.store.later import SegmentSink
from workbench.store.opening import refreshed
from workbench.store.segments import all_open, remove_segments

#: So many files of one size class become one of the next; the last class is left alone, so that age can drop it.
_JOINED: Final = 30
_CLASSES: Final = 2
#: A file of this many rows is joined with no other.
_FULL: Final = 500_000
#: Seconds for which a file stays that no longer counts.
_GRACE: Final = 10.0


@dataclass(slots=True)
class _File:
    """A segment of this run. latest: the last time in it, None where its table has none; level: how often it was joined."""

    table: str
    name: str
    rows: int
    bytes: int
    latest: dt.datetime | None
    level: int = 0
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """What retention took away: files, and rows by table."""

    files: int
    rows: dict[str, int]


class LiveSink(SegmentSink):
    """As SegmentSink, for a run that may go on for weeks."""

    def __init__(self, case: CaseFolder, sources: dict[int, dict[str, Any]]) -> None:
        super().__init__(case, sources)
        self._gone: deque[tuple[float, str]] = deque()
        self._live: list[_File] = []
        self._open_names: dict[int, str] = {}
        self._ended_since: dict[int, list[pa.Array]] = {}  # by source with a snapshot: flows that ended behind it
        self._files.remove = self._bury

    def watch(self) -> None:
        """As its base; what was written until now is shown at once."""
        super().watch()
        refreshed(self.presented)

    def commit(self, *, now: bool) -> None:
        """As its base; then snapshots, joins what is small, removes what nobody can be reading any more."""
        super().commit(now=now)
        self._remove_gone()

    def append(self, table: str, batch: pa.RecordBatch) -> None:
        """As its base."""
        if table == "flows" and batch.num_rows and (source_id := batch.column("source_id")[0].as_py()) in self._open_names:
            self._ended_since.setdefault(source_id, []).append(batch.column("flow_id"))
        super().append(table, batch)

    def still_open(self, source_id: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Of a snapshot's flows those whose end was not appended since it was set."""
        ended = self._ended_since.get(source_id)
        if not ended:
            return batch
        return batch.filter(pc.invert(pc.is_in(batch.column("flow_id"), value_set=pa.chunked_array(ended).combine_chunks())))

    def set_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Replace a snapshot, for readers of every process: written behind all rows appended before it."""
        self._ended_since.pop(source_id, None)
        self.commit(now=True)
        old = self._open_names.pop(source_id, None)
        if batch is not None:
            self._open_names[source_id] = self._files.snapshot(source_id, batch)
        if old is not None and old != self._open_names.get(source_id):
            if batch is None:
                remove_segments(self.case, [old])  # nothing stands for it: it must not be seen again
            else:
                self._bury([old])
        if batch is None:
            remove_segments(self.case, [s.name for s in all_open(self.case) if s.source_id == source_id])

    def put_rows(self, table: str, rows: list[dict[str, Any]], *, source_id: int | None = None) -> None:
        """Add rows of a small table. source_id: they stand for all rows of that source there were."""
        if source_id is not None:
            self._small[table] = [row for row in self._small[table] if row["source_id"] != source_id]
        super().put_rows(table, rows)

    def tidy(self) -> None:
        """Join small files. Costs as much as writing them did; call it every few seconds."""
        groups: dict[tuple[str, str, int], list[_File]] = {}
        for file in self._live:
            if file.level < _CLASSES and file.rows < _FULL:
                groups.setdefault((file.table, file.name.rpartition("/")[0], file.level), []).append(file)
        for (table, _, level), files in groups.items():
            if len(files) >= _JOINED and self._in_a_row(files):
                self._join(table, level, files)

    def retain(self, before: dt.datetime | None, most_bytes: int | None, flow_ids: Iterable[int] = ()) -> Dropped:
        """Drop segments whose rows are all older than `before`, then the oldest until the rest is within `most_bytes`.

        A file with a row of one of these flows (bookmarks) stays, and so do claims: one that began long ago may hold today, and
        says who later flows are of. UTC without a zone; None: no bound.
        """
        keep = pa.array(sorted(set(flow_ids)), pa.int64())
        files = sorted(
            (f for f in self._live if f.latest is not None and f.table != "claims"), key=lambda f: f.latest or dt.datetime.min
        )
        total = sum(f.bytes for f in files)
        dropped: dict[str, int] = {}
        names = []
        for file in files:
            old = before is not None and file.latest is not None and file.latest < before
            big = most_bytes is not None and total > most_bytes
            if not (old or big):
                continue
            if len(keep) and self._holds(file, keep):
                continue
            total -= file.bytes
            names.append(file.name)
            dropped[file.table] = dropped.get(file.table, 0) + file.rows
        gone = set(names)
        self._live = [f for f in self._live if f.name not in gone]
        remove_segments(self.case, names)
        return Dropped(len(names), dropped)

    @property
    def bytes(self) -> int:
        """Bytes of the segments of this run."""
        return sum(f.bytes for f in self._live)

    @property
    def segments(self) -> int:
        """How many segments of this run there are."""
        return len(self._live)

    def finish(self, sources: list[int]) -> None:
        """Remove the snapshots and compact."""
        for source_id in list(self._open_names):
            self.set_open(source_id, None)
        remove_segments(self.case, [name for _, name in self._gone])
        self._gone.clear()
        super().finish(sources)

    def _wrote(self, table: str, written: Sequence[tuple[str, pa.Table]]) -> None:
        for name, rows in written:
            size = (self.case.segments / name).stat().st_size
            self._live.append(_File(table, name, rows.num_rows, size, _latest(table, rows)))

    def _join(self, table: str, level: int, files: list[_File]) -> None:
        name = self._files.join(table, [f.name for f in files])
        times = [f.latest for f in files if f.latest is not None]
        size = (self.case.segments / name).stat().st_size
        joined = _File(table, name, sum(f.rows for f in files), size, max(times, default=None), level + 1)
        gone = {f.name for f in files}
        self._live = [f for f in self._live if f.name not in gone]
        self._live.append(joined)

    def _in_a_row(self, files: list[_File]) -> bool:
        """Whether no other file of their folder lies between them by number: what a join's name would stand for, too."""
        folder = files[0].name.rpartition("/")[0]
        here = sorted(_number(f) for f in self._live if f.name.rpartition("/")[0] == folder)
        mine = sorted(map(_number, files))
        at = here.index(mine[0])
        files.sort(key=_number)
        return here[at : at + len(mine)] == mine

    def _holds(self, file: _File, flow_ids: pa.Array) -> bool:
        from pyarrow import parquet

        if "flow_id" not in BY_NAME[file.table].names:
            return False
        ids = parquet.read_table(self.case.segments / file.name, columns=["flow_id"], partitioning=None)["flow_id"]
        return bool(pc.any(pc.is_in(ids, value_set=flow_ids)).as_py())

    def _bury(self, names: list[str]) -> None:
        at = time.monotonic() + _GRACE
        self._gone.extend((at, name) for name in names)

    def _remove_gone(self) -> None:
        now = time.monotonic()
        while self._gone and self._gone[0][0] <= now:
            remove_segments(self.case, [self._gone.popleft()[1]])


def _number(file: _File) -> int:
    """The number of the first file that it stands for. As text a million would stand before 999,999."""
    return int(file.name.rpartition("-")[2].partition(".")[0].partition("_")[0])


def _latest(table: str, rows: pa.Table) -> dt.datetime | None:
    time_column = next((c.name for c in BY_NAME[table].columns if c.type is Type.TIMESTAMP), None)
    if time_column is None or not rows.num_rows:
        return None
    found = pc.max(rows[time_column]).as_py()
    return found if isinstance(found, dt.datetime) else None


def marked_flows(case: CaseFolder) -> set[int]:
    """Flows that somebody bookmarked or wrote a note on.

    Raises what the notebook raises where it cannot be read: then nobody knows, and nothing should be dropped.
    """
    from workbench.store.notebook import Notebook

    notebook = Notebook(case.root)
    try:
        keys = [mark.key for mark in notebook.bookmarks() if mark.kind == "flow"]
        keys += [note.key for note in notebook.notes("flow")]
        return {int(key) for key in keys if key.isascii() and key.isdigit()}
    finally:
        notebook.close()
