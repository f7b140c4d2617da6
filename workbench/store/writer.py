"""Writing a case: the one process that holds the ingest lock."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from workbench.errors import ForeignCaseError
from workbench.records.columns import BY_NAME
from workbench.records.reasons import BY_NAME as REASONS
from workbench.records.reasons import LedgerLine
from workbench.records.telemetry_kinds import TELEMETRY
from workbench.store.case import CaseFolder, IngestLock
from workbench.store.compact import recover
from workbench.store.engine import writing
from workbench.store.later import SegmentSink
from workbench.store.live import Dropped, LiveSink, marked_flows
from workbench.store.native import NativeSink
from workbench.store.reader import CaseReader


class CaseWriter:
    """Adds sources, flows and ledger lines to a case. For one thread; readers have their own cursors.

    The first index fills tables of a file that becomes case.duckdb at the end; later ones write segments
    that are compacted into a new case.duckdb at the end. Whatever is raised on the way, leaving the context
    keeps what was committed: sources not yet done become partial.
    """

    def __init__(self, case_dir: Path, *, private: bool = False, live: bool = False) -> None:
        """Make or open the case, take its lock, recover what a crash left.

        live: other processes read the case from now on, also where it gets its first rows.
        Raises CaseBusyError, MissingPathError, NotACaseError, ForeignCaseError, DiskFullError.
        """
        self.case = CaseFolder.create(Path(case_dir), private=private)
        self._lock = IngestLock(self.case)
        self._sources: dict[int, dict[str, Any]] = {}
        self._files: dict[str, list[dict[str, Any]]] = {}  # rows of `source_files` by path
        self._added: list[int] = []
        self._readers: list[CaseReader] = []
        self._closed = False
        try:
            if self.case.segments.is_symlink():  # readers follow none: what is written there would be nowhere
                raise ForeignCaseError(
                    f"{self.case.segments} is a symbolic link", "Put the folder itself there, or use another case."
                )
            with writing(str(self.case.root)):
                recover(self.case, self._lock)
                self._sink: NativeSink | SegmentSink
                if live and not self.case.database.exists():
                    NativeSink(self.case).finish([])  # an empty index, for others to open
                if live:
                    self._sink = LiveSink(self.case, self._sources)
                    self._load_sources()
                elif self.case.database.exists():
                    self._sink = SegmentSink(self.case, self._sources)
                    self._load_sources()
                else:
                    self._sink = NativeSink(self.case)
        except BaseException:
            self._lock.release()
            raise

    # -- sources ----------------------------------------------------------------------------------

    def next_source_id(self) -> int:
        """The number of the next source, counting from 1."""
        return max(self._sources, default=0) + 1

    def known_source(self, path: str, size: int, mtime_ns: int, *, telemetry: bool = False) -> dict[str, Any] | None:
        """The row of a source that this very file is of, alone or joined: same path, size and modification time.

        telemetry: read as such; a capture of an exporter's datagrams may be in a case as packets, too.

        A refused source is not known: it may be tried again, and the newer row then replaces it.
        """
        path = _text(path)
        files = {file["source_id"]: file for file in self._files.get(path, ())}
        for source_id, row in reversed(self._sources.items()):
            if row["state"] == "refused" or (row["kind"] in TELEMETRY) != telemetry:
                continue
            file = files.get(source_id)
            if file is None and row["path"] != path:
                continue
            noted = None if file is None else file.get("bytes")
            changed = row.get("mtime_ns") if row["path"] == path else None if file is None else file.get("mtime_ns")
            # where an older version noted no time of a joined file its size must do
            if noted in (None, size) and (changed == mtime_ns or (changed is None and row["path"] != path)):
                return dict(row)
        return None

    def known_content(self, size: int, digest: Callable[[], str]) -> dict[str, Any] | None:
        """The row of an imported source of the same content under another name. digest: its SHA-256, asked for if need be."""
        alike = [
            row for row in self._sources.values() if row.get("bytes") == size and row["sha256"] and row["state"] != "refused"
        ]
        found = digest() if alike else ""
        return next((dict(row) for row in alike if row["sha256"] == found and row["kind"] not in TELEMETRY), None)

    def add_source(self, row: dict[str, Any]) -> None:
        """Add a row of `sources`; absent columns are null. Notes the file's modification time."""
        full = {name: _text(row.get(name)) for name in BY_NAME["sources"].names}
        if full["mtime_ns"] is None:
            full["mtime_ns"] = _mtime_ns(str(row["path"]))
        source_id = int(row["source_id"])
        self._sources[source_id] = full
        self._added.append(source_id)
        with writing(str(self.case.root)):
            self._sink.put_source(full, new=True)

    def update_source(self, source_id: int, **fields: Any) -> None:
        """Change columns of a source of this run."""
        unknown = fields.keys() - set(BY_NAME["sources"].names)
        if unknown:
            raise KeyError(", ".join(sorted(unknown)))
        fields = {name: _text(value) for name, value in fields.items()}
        self._sources[source_id].update(fields)
        with writing(str(self.case.root)):
            self._sink.put_source({**fields, "source_id": source_id}, new=False)

    def add_files(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows of `source_files`."""
        if rows:
            for row in rows:
                self._files.setdefault(_text(row["path"]), []).append(dict(row))
            with writing(str(self.case.root)):
                self._sink.put_rows("source_files", [{n: _text(v) for n, v in row.items()} for row in rows])

    def add_ledger(self, source_id: int, lines: Sequence[LedgerLine]) -> None:
        """Add ledger lines of a source."""
        rows = _ledger_rows(source_id, lines)
        if rows:
            with writing(str(self.case.root)):
                self._sink.put_rows("ledger", rows)

    # -- live sources -----------------------------------------------------------------------------

    @property
    def live(self) -> LiveSink:
        """What only a live writer can do."""
        if not isinstance(self._sink, LiveSink):
            raise TypeError("the writer was not opened live")
        return self._sink

    def set_ledger(self, source_id: int, lines: Sequence[LedgerLine]) -> None:
        """What the ledger says of a live source, in place of what it said before."""
        with writing(str(self.case.root)):
            self.live.put_rows("ledger", _ledger_rows(source_id, lines), source_id=source_id)

    def set_files(self, source_id: int, rows: Sequence[dict[str, Any]]) -> None:
        """The files that now hold the packets of a live source."""
        with writing(str(self.case.root)):
            plain = [{n: _text(v) for n, v in row.items()} for row in rows]
            self.live.put_rows("source_files", plain, source_id=source_id)

    def still_open(self, source_id: int, batch: pa.RecordBatch | None) -> pa.RecordBatch | None:
        """What of a source's last snapshot is open still: the end of a flow may have come behind it, and nothing after that."""
        return None if batch is None else self.live.still_open(source_id, batch)

    def files_before(self) -> list[dict[str, Any]]:
        """Rows of `source_files` that live sources of earlier runs have."""
        live = {source_id for source_id, row in self._sources.items() if row["kind"] == "live"} - set(self._added)
        return [row for rows in self._files.values() for row in rows if row["source_id"] in live]

    def keep_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Flows that were open when whoever decoded them died: they end there, forced (4), and the snapshot goes."""
        if batch is not None and batch.num_rows:
            at = batch.schema.get_field_index("end_reason")
            forced = pa.array([4] * batch.num_rows, batch.schema.field(at).type)
            self.append("flows", batch.set_column(at, batch.schema.field(at), forced))
        self.set_open(source_id, None)

    def tidy(self) -> None:
        """Join small segments of this run, where there are many."""
        with writing(str(self.case.root)):
            self.live.tidy()

    def retain(self, before: dt.datetime | None, most_bytes: int | None) -> Dropped:
        """Drop old segments of this run, except those of flows that somebody marked."""
        with writing(str(self.case.root)):
            return self.live.retain(before, most_bytes, marked_flows(self.case))

    # -- rows -------------------------------------------------------------------------------------

    def append(self, table: str, batch: pa.RecordBatch) -> None:
        """Add rows of any listed table. Columns go by name; text may be dictionary-encoded."""
        if batch.num_rows:
            with writing(str(self.case.root)):
                self._sink.append(table, batch)

    def set_open(self, source_id: int, batch: pa.RecordBatch | None) -> None:
        """Replace the snapshot of a source's open flows, seen by readers of this writer; None removes it.

        It is shown together with what was appended before it: at the next commit, or at once where nothing waits.
        A flow that ends is never seen twice, nor for a moment not at all.
        """
        with writing(str(self.case.root)):
            self._sink.set_open(source_id, batch)

    def commit(self, *, now: bool = False) -> None:
        """A good moment to make rows safe and visible: done at the latest ten seconds after the last time.

        Readers of this writer see rows within a second. now: at once.
        """
        with writing(str(self.case.root)):
            self._sink.commit(now=now)

    def reader(self) -> CaseReader:
        """A reader in this process that sees what was appended, and moves to the finished file at the end."""
        self.commit(now=True)
        self._sink.watch()
        return CaseReader(self.case.root, _live=self._sink.presented)

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Settle sources, stitch half flows, publish or compact, give the lock back. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            with writing(str(self.case.root)):
                self._sink.finish(self._added)
        except BaseException:
            self._sink.abandon()
            raise
        finally:
            self._lock.release()

    def __enter__(self) -> CaseWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except Exception as closing:
            if error is None:
                raise
            error.add_note(f"closing the case failed, too: {closing}")

    def _load_sources(self) -> None:
        con = self._sink.presented.con.cursor()
        for row in con.sql("SELECT * FROM sources ORDER BY source_id").to_arrow_table().to_pylist():
            self._sources[row["source_id"]] = row
        for row in (
            con.sql("SELECT source_id, n, path, bytes, first_offset, mtime_ns FROM source_files").to_arrow_table().to_pylist()
        ):
            self._files.setdefault(row["path"], []).append(row)
        con.close()


def _ledger_rows(source_id: int, lines: Sequence[LedgerLine]) -> list[dict[str, Any]]:
    return [
        {
            "source_id": source_id,
            "reason": line.reason,
            "kind": REASONS[line.reason].kind,
            "count": line.count,
            "first_frames": ",".join(map(str, line.first_frames)) or None,
            "detail": _text(line.detail) or None,
        }
        for line in lines
    ]


def _text(value: Any) -> Any:
    """Text as it can be stored: bytes of a file name that are no UTF-8 are spelled out (\\xff)."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return os.fsencode(value).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that no file name has
        return value.encode("utf-8", "backslashreplace").decode()


def _mtime_ns(path: str) -> int | None:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return None
