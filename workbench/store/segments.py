"""Segments: Parquet files that hold what came after the last compaction.

Named `segments/<table>/day=YYYY-MM-DD/sensor=<name>/<run>-<n>.parquet`, or without the two folders where a
table has no time. A file is written under another name and renamed, so that whoever lists the folder sees
whole files only. Rows are sorted as the column list says; the footer names table, run and schema version.
A live source writes a file a second; every so often some are joined: `<run>-<first>_<last>.parquet` stands for all files of
that run and folder from the one number to the other, which are then removed. `segments/open/` holds snapshots of the open
flows of live sources, `<run>-<n>-<source>.parquet`: only the newest of a source counts, and of its flows those that are not
in a file that the run wrote later (n or above).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.arrow import arrow_schema
from workbench.records.columns import BY_NAME, SCHEMA_VERSION, Table, Type
from workbench.store.case import CaseFolder
from workbench.store.schema import SMALL_TABLES, WHOLE_SETS, WHOLE_TABLES

#: Folder under segments/ for snapshots of open flows; never compacted.
OPEN: Final = "open"

_NAME: Final = re.compile(r"(?P<run>[0-9]{8}T[0-9]{6}-[0-9a-f]{8})-(?P<n>[0-9]{6,12})(?:_(?P<last>[0-9]{6,12}))?\.parquet")
#: A snapshot of open flows: the run, how many files that had written before, the source.
_OPEN_NAME: Final = re.compile(r"(?P<run>[0-9]{8}T[0-9]{6}-[0-9a-f]{8})-(?P<n>[0-9]{6,12})-(?P<source>[0-9]{1,9})\.parquet")
_ROW_GROUP: Final = 122_880
#: Folders that one write may put files into: times and sensors are told by whoever sends, a day a row if they like.
_MOST_FOLDERS: Final = 64


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One segment file: its table, its path under segments/ (with /), its run and number in it.

    last: number of the last file that it stands for, its own where it was not joined; -1 says the same.
    """

    table: str
    name: str
    run: str
    n: int
    last: int = -1

    @property
    def upto(self) -> int:
        """Number of the last file that it stands for."""
        return max(self.n, self.last)


@dataclass(frozen=True, slots=True, order=True)
class OpenFlows:
    """A snapshot of a source's open flows: its path under segments/, its run, how many files that had written, the source."""

    name: str
    run: str
    n: int
    source_id: int


def new_run() -> str:
    """A name for one writing session, sorting by time."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def list_segments(case: CaseFolder) -> list[Segment]:
    """The whole segments that are there now. Symbolic links are not followed: a stranger's could lead anywhere.

    Of the small tables, which a run rewrites as a whole, only the newest of each run is listed; of the tables that
    are written whole only the newest set that is complete.
    """
    found = _all_segments(case)
    old = set(_superseded(found))
    return [s for s in found if s not in old]


def list_open(case: CaseFolder) -> list[OpenFlows]:
    """The newest snapshot of open flows of every live source. List these before the segments: what has ended since is there."""
    newest: dict[int, OpenFlows] = {}
    for found in all_open(case):
        if found.source_id not in newest or (found.run, found.n) > (newest[found.source_id].run, newest[found.source_id].n):
            newest[found.source_id] = found
    return sorted(newest.values())


def all_open(case: CaseFolder) -> list[OpenFlows]:
    """Every snapshot that lies there."""
    found = []
    for name in _walk(case.segments, OPEN, 1):
        match = _OPEN_NAME.fullmatch(name.rsplit("/", 1)[-1])
        if match:
            found.append(OpenFlows(name, match["run"], int(match["n"]), int(match["source"])))
    return found


def adds_rows(segment: Segment) -> bool:
    """Whether it holds rows that came after the index, so that a compaction is due.

    Findings and names wait for one: taking a few in would cost a copy of the whole index.
    """
    return segment.table not in WHOLE_TABLES


def remove_superseded(case: CaseFolder) -> None:
    """Remove what a killed run rewrote and had no time to remove.

    Before a compaction: once the newest is taken in and gone, an older one would count as new.
    """
    remove_segments(case, [s.name for s in _superseded(_all_segments(case))])


def _all_segments(case: CaseFolder) -> list[Segment]:
    found: list[Segment] = []
    for table in BY_NAME:
        for name in _walk(case.segments, table, 3):
            match = _NAME.fullmatch(name.rsplit("/", 1)[-1])
            if match:
                found.append(Segment(table, name, match["run"], int(match["n"]), int(match["last"] or -1)))
    return sorted(found)


def _superseded(segments: list[Segment]) -> list[Segment]:
    newest: dict[tuple[str, str], int] = {}
    for s in segments:
        newest[s.table, s.run] = max(s.n, newest.get((s.table, s.run), 0))
    small = [s for s in segments if s.table in SMALL_TABLES and s.n < newest[s.table, s.run]]
    small += _joined(segments)
    for tables in WHOLE_SETS:
        whole = [s for s in segments if s.table in tables]
        current = max(((s.run, s.n) for s in whole if s.table == tables[-1]), default=None)
        small += [s for s in whole if (s.run, s.n) != current]
    return small


def _joined(segments: list[Segment]) -> list[Segment]:
    """Those that another one of their run and folder stands for."""
    joins: dict[tuple[str, str], list[Segment]] = {}
    for s in segments:
        if s.last > s.n:
            joins.setdefault((s.name.rpartition("/")[0], s.run), []).append(s)
    if not joins:
        return []
    return [
        s
        for s in segments
        if any(
            j.n <= s.n and s.upto <= j.upto and j != s and (j.n, j.upto) != (s.n, s.upto)
            for j in joins.get((s.name.rpartition("/")[0], s.run), ())
        )
    ]


def _walk(root: Path, name: str, depth: int) -> Iterable[str]:
    if (root / name).is_symlink() or root.is_symlink():
        return
    try:
        entries = list(os.scandir(root / name))
    except OSError:
        return
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            yield f"{name}/{entry.name}"
        elif depth > 1 and entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{name}/{entry.name}", depth - 1)


def remove_segments(case: CaseFolder, names: Iterable[str]) -> None:
    """Remove files, and the folders that they leave empty."""
    for name in names:
        path = case.segments / name
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == case.segments:
                break
            try:
                folder.rmdir()
            except OSError:
                break


def remove_unfinished(case: CaseFolder) -> None:
    """Remove what a killed writer left half written."""
    if case.segments.is_dir():
        for path in case.segments.rglob("*.tmp"):
            path.unlink(missing_ok=True)


class SegmentFiles:
    """Writes the segments of one run. sensors: source_id -> sensor, kept current by the owner.

    remove: what is done with files that others have taken the place of.
    """

    def __init__(self, case: CaseFolder, sensors: Mapping[int, str]) -> None:
        self.case = case
        self.run = new_run()
        self._sensors = sensors
        self._n = 0
        self._small: dict[str, str] = {}
        self.remove: Callable[[list[str]], None] = self._remove

    @property
    def written(self) -> int:
        """How many files were written so far: the number of the next one."""
        return self._n

    def write(self, name: str, batches: list[pa.RecordBatch]) -> list[tuple[str, pa.Table]]:
        """Write rows of a table, sorted, a file for each day and sensor that occur; their names and rows."""
        table, schema = BY_NAME[name], arrow_schema(name)
        rows = _sorted(table, pa.Table.from_batches([plain(b, schema) for b in batches], schema))
        if not rows.num_rows:
            return []
        return [(self._file(name, folder, part), part) for folder, part in self._partitioned(table, rows)]

    def join(self, table: str, names: list[str]) -> str:
        """Write files of one folder, of this run and one behind the other, as one, then remove them; its name.

        Whoever lists the folder meanwhile sees the many or the one, never both.
        """
        from pyarrow import parquet

        schema = arrow_schema(table)
        parts = [parquet.read_table(self.case.segments / name, partitioning=None).cast(schema) for name in names]
        rows = _sorted(BY_NAME[table], pa.concat_tables(parts))
        ends = [_NAME.fullmatch(name.rsplit("/", 1)[-1]) for name in (names[0], names[-1])]
        assert ends[0] is not None
        assert ends[1] is not None
        last = int(ends[1]["last"] or ends[1]["n"])
        folder = names[0].rpartition("/")[0]
        joined = f"{folder}/{self.run}-{int(ends[0]['n']):06d}_{last:06d}.parquet"
        self._write(table, joined, rows)
        self.remove(names)
        return joined

    def _remove(self, names: list[str]) -> None:
        remove_segments(self.case, names)

    def snapshot(self, source_id: int, batch: pa.RecordBatch) -> str:
        """Write the open flows of a source; the name. What ended before this must have been written before."""
        rows = pa.Table.from_batches([plain(batch, arrow_schema("flows"))])
        name = f"{OPEN}/{self.run}-{self._n:06d}-{source_id}.parquet"
        self._write("flows", name, rows)
        return name

    def rewrite(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Replace this run's rows of a small table: the new file is there before the old one goes."""
        old = self._small.get(name)
        if not rows and old is None:
            return
        schema = arrow_schema(name)
        self._small[name] = self._file(
            name, "", pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema)
        )
        if old is not None:
            self.remove([old])

    def replace_whole(self, tables: Mapping[str, pa.Table | Iterable[pa.RecordBatch]]) -> None:
        """Write all rows of a set of tables that are written whole; from then on they stand for all that was kept before.

        The last file makes the set count, so that readers see the old rows or the new ones. Sets are told apart by
        their names, which grow even where the clock went back. Batches are written as they come; where one raises, or
        anything else, the old rows stay. KeyError for tables that are no set.
        """
        names = next((names for names in WHOLE_SETS if set(names) == tables.keys()), None)
        if names is None:
            raise KeyError(", ".join(sorted(tables)))
        before = [s for s in _all_segments(self.case) if s.table in names]
        run, n = max(((s.run, s.n + 1) for s in before), default=("", 0))
        if self.run > run:
            run, n = self.run, 0
        for table in names:
            self._write(table, f"{table}/{run}-{n:06d}.parquet", tables[table])
        remove_segments(self.case, [s.name for s in before])

    def _file(self, table: str, folder: str, rows: pa.Table) -> str:
        name = "/".join(p for p in (table, folder, f"{self.run}-{self._n:06d}.parquet") if p)
        self._n += 1
        self._write(table, name, rows)
        return name

    def _write(self, table: str, name: str, rows: pa.Table | Iterable[pa.RecordBatch]) -> None:
        from pyarrow import parquet

        path = self.case.segments / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".tmp")
        footer = {"workbench.schema_version": str(SCHEMA_VERSION), "workbench.table": table, "workbench.run": self.run}
        schema = arrow_schema(table)
        batches = [rows.cast(schema)] if isinstance(rows, pa.Table) else (pa.Table.from_batches([b], schema) for b in rows)
        how: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "store_schema": False}
        try:
            with parquet.ParquetWriter(part, schema.with_metadata(footer), **how) as writer:
                for batch in batches:
                    writer.write_table(batch.replace_schema_metadata(footer), row_group_size=_ROW_GROUP)
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _partitioned(self, table: Table, rows: pa.Table) -> Iterable[tuple[str, pa.Table]]:
        time = next((c.name for c in table.columns if c.type is Type.TIMESTAMP), None)
        if time is None or not {"source_id", "flow_id"} & set(table.names):
            yield "", rows
            return
        days = pc.cast(rows[time], pa.date32())
        sources = rows["source_id"] if "source_id" in table.names else pc.shift_right(rows["flow_id"], 40)
        found = pa.table({"day": days, "source": sources}).group_by(["day", "source"], use_threads=False)
        every = found.aggregate([([], "count_all")]).to_pylist()
        parts = [part for part in every if part["day"] is not None]
        rest = None
        if len(parts) > _MOST_FOLDERS:  # the smaller ones share a file without folders
            parts = sorted(parts, key=lambda part: -part["count_all"])[: _MOST_FOLDERS - 1]
        if len(parts) < len(every):  # those without a time are in it, too
            rest = pa.chunked_array([pa.repeat(pa.scalar(True), rows.num_rows)])
        for part in parts:
            here = pc.and_(pc.equal(days, pa.scalar(part["day"], pa.date32())), pc.equal(sources, part["source"]))
            yield f"day={part['day']}/sensor={folder_name(self._sensors.get(part['source'], ''))}", rows.filter(here)
            rest = None if rest is None else pc.and_not(rest, pc.fill_null(here, False))
        if rest is not None:
            yield "", rows.filter(rest)


def _sorted(table: Table, rows: pa.Table) -> pa.Table:
    if not table.sort or not rows.num_rows:
        return rows
    return rows.take(pc.sort_indices(rows, [(c, "ascending") for c in table.sort]))


def folder_name(sensor: str) -> str:
    """A sensor's name as a folder name: percent-encoded, and cut with a digest where too long for one."""
    name = quote(sensor, safe=" ,:@+").replace(".", "%2E")
    if len(name) <= 120:
        return name
    return f"{name[:100]}-{hashlib.sha256(sensor.encode()).hexdigest()[:16]}"


def plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the schema's columns in its order, dictionary-encoded ones spelled out, absent ones null."""
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        column = batch.column(at) if at >= 0 else pa.nulls(batch.num_rows, field.type)
        columns.append(column if column.type == field.type else pc.cast(column, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
