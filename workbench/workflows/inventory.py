"""Listings of who holds which address into a case: each file a source without packets, its claims rows of `claims`.

Files stream through in pieces; what is kept between them is bounded (sources/inventory). Files of Kubernetes and what the case
has of it already are one history: a later list that lacks a pod ends it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench import __version__
from workbench.audit.vouch import vouch
from workbench.errors import BadInputError, SourceError, UsageError, WorkbenchError
from workbench.records.claims import Claim, claims_batch
from workbench.records.reasons import LedgerLine
from workbench.records.visible import path_text, visible
from workbench.settings import load_settings
from workbench.sources.inventory.told import Told
from workbench.workflows.requests import IndexResult, InventoryRequest, Progress, ProgressSink

if TYPE_CHECKING:
    from workbench.sources.inventory.kubernetes import Kubernetes
    from workbench.store.writer import CaseWriter

_PIECE: Final = 1 << 20
_ROWS: Final = 50_000
_TELL_EVERY: Final = 0.1
#: Causes that say that something cannot be read, not that it tells of nobody.
_UNREADABLE: Final = ("not JSON", "not YAML", "not CSV", "not a JSON object", "cut off", "larger than 16 MiB")
#: What of an earlier run may go on: the last said of each owner and address, where neither has an end.
_KNOWN: Final = """
WITH ends AS (SELECT uid, max(ts_to) AS over FROM claims WHERE origin = 'kubernetes' AND ip IS NULL GROUP BY uid),
last AS (SELECT * FROM claims WHERE origin = 'kubernetes' AND ip IS NOT NULL AND network IS NOT DISTINCT FROM $network
    QUALIFY row_number() OVER (PARTITION BY uid, ip ORDER BY ts_seen DESC NULLS LAST) = 1)
SELECT last.* EXCLUDE (source_id, hi, lo, labels, network), labels FROM last LEFT JOIN ends USING (uid)
WHERE ts_to IS NULL AND (over IS NULL OR over <= coalesce(ts_from, over)) ORDER BY ts_seen DESC NULLS LAST LIMIT 50000"""


def import_inventory(
    request: InventoryRequest, progress: ProgressSink | None = None, cancel: threading.Event | None = None
) -> IndexResult:
    """Read the files, each once. progress: called at most ten times a second; cancel: what was read until then is kept.

    Raises MissingPathError, UsageError, CaseBusyError, DiskFullError. Files of another format are in `refused`.
    """
    return _Import(request, progress, cancel or threading.Event()).run()


@dataclass(slots=True)
class _File:
    """A file of this run. claims: how many it gave so far."""

    path: str
    size: int | None
    mtime_ns: int | None
    source_id: int = 0
    sha256: str | None = None
    read: int = 0

    @property
    def when(self) -> dt.datetime | None:
        """When it was written: naive UTC."""
        if self.mtime_ns is None:
            return None
        return dt.datetime.fromtimestamp(self.mtime_ns / 1e9, dt.UTC).replace(tzinfo=None)


class _Import:
    def __init__(self, request: InventoryRequest, progress: ProgressSink | None, cancel: threading.Event) -> None:
        self.request, self.progress, self.cancel = request, progress, cancel
        self.result = IndexResult(request.case, [], [], 0.0)
        self.started = time.monotonic()
        self.told_at = 0.0
        self.files: list[_File] = []
        self.cancelled = False

    def run(self) -> IndexResult:
        from workbench.audit.log import AuditLog
        from workbench.store.writer import CaseWriter

        paths = _paths(self.request.paths)
        settings = load_settings()
        new = not (self.request.case / "case.toml").exists()
        with CaseWriter(self.request.case) as writer:
            self.writer = writer
            self.audit = AuditLog(self.request.case)
            if new:
                self.audit.append("case_created", version=__version__)
            self.files = [file for path in paths if (file := self._file(path)) is not None]
            read = {"kubernetes": self._kubernetes, "ovn": self._ovn, "libvirt": self._libvirt, "claims": self._claims}
            read[self.request.format](new=new)
        if self.files and not self.cancelled:
            from workbench.workflows.naming import name_quietly

            if why := name_quietly(self.request.case, cancel=self.cancel):
                self.result.notes.append(why)
            self._warn_of_tenants(settings.identity.networks)
        if self.result.sources:
            vouch(self.request.case, settings.audit)
        return replace(self.result, seconds=time.monotonic() - self.started, cancelled=self.cancelled)

    def _warn_of_tenants(self, networks: Mapping[str, str]) -> None:
        """Say where what was listed without a network may be another tenant's: names hold in all networks then."""
        from workbench.store.naming import in_several_networks
        from workbench.store.reader import CaseReader

        if self.request.network is not None or self.request.format in networks:
            return
        with CaseReader(self.request.case) as reader:
            count, names = in_several_networks(reader, [file.source_id for file in self.files])
        if count:
            shown = ", ".join(visible(name) or "untagged" for name in names[:8])
            self.result.notes.append(
                f"{count} of the addresses have no network in the list and are in several here ({shown}): they are named in all"
                " of them. If tenants have the same addresses, import with --network."
            )

    def _file(self, path: str) -> _File | None:
        """A file that the case does not have yet."""
        if path == "-":
            return _File(path, None, None)
        stat = Path(path).stat()
        known = self.writer.known_source(path_text(path), stat.st_size, stat.st_mtime_ns)
        if known is not None:
            self.result.skipped.append(path)
            self.result.sources.append(known)
            return None
        return _File(path, stat.st_size, stat.st_mtime_ns)

    # -- formats ----------------------------------------------------------------------------------

    def _kubernetes(self, *, new: bool) -> None:
        from workbench.sources.inventory.kubernetes import Kubernetes
        from workbench.sources.inventory.kubernetes_documents import KubernetesDocument

        into = Kubernetes()
        if not new:
            remember(into, self.writer, self.request.network)
        for file in self._each():
            into.told, into.others = Told(), 0
            with self._source(file, into.told) as lines:
                document = KubernetesDocument(into)
                try:
                    for piece in self._pieces(file):
                        document.feed(piece)
                        self._store(file, into.told)
                finally:
                    document.finish(file.when)
                lines += notes_of(into)
                if not into.told.objects:
                    raise BadInputError(f"{file.path} holds no objects", "Write it with kubectl get ... -o json.")

    def _ovn(self, *, new: bool) -> None:  # noqa: ARG002
        from workbench.sources.inventory.ovn import MOST_BYTES, read_ovn

        for file in self._each():
            told = Told()
            with self._source(file, told):
                read_ovn(self._whole(file, MOST_BYTES), self._held_since(file), told)

    def _libvirt(self, *, new: bool) -> None:  # noqa: ARG002
        """All files are one source: what one says of a machine and another of its MAC belongs together."""
        from workbench.sources.inventory.libvirt import MOST_BYTES, Libvirt

        if not self.files:
            return
        into = Libvirt()
        first = self.files[0]
        with self._source(first, into.told):
            for file in self._each():
                file.source_id = first.source_id
                try:
                    name = "" if file.path == "-" else Path(file.path).name.partition(".")[0]
                    into.take(self._whole(file, MOST_BYTES), self._held_since(file), name)
                except (ValueError, SourceError) as error:
                    if len(self.files) == 1:
                        raise
                    into.told.bad(str(error)[:200], visible(file.path))
            into.finish()

    def _claims(self, *, new: bool) -> None:  # noqa: ARG002
        from workbench.sources.inventory.claims_csv import read_claims

        for file in self._each():
            told = Told()
            with self._source(file, told):
                read_claims(self._lines(file, told), _now() if file.when is None else file.when, told)

    def _held_since(self, file: _File) -> dt.datetime:
        return self.request.since or file.when or _now()

    # -- bytes ------------------------------------------------------------------------------------

    def _each(self) -> Iterator[_File]:
        for file in self.files:
            if self.cancel.is_set():
                self.cancelled = True
                return
            yield file

    def _pieces(self, file: _File) -> Iterator[bytes]:
        """The file's bytes, decompressed; SourceError behind the last good one."""
        from workbench.sources.bytes import open_bytes

        digest = hashlib.sha256() if self.request.hash else None
        reader = open_bytes(file.path, digest.update if digest is not None else None)
        buffer = bytearray(_PIECE)
        try:
            while count := reader.readinto(memoryview(buffer)):
                piece = bytes(buffer[:count])
                if digest is not None and reader.plain:
                    digest.update(piece)
                file.read = reader.raw_position
                self._tell(file)
                yield piece
                if self.cancel.is_set():
                    self.cancelled = True
                    return
            if digest is not None:
                file.sha256 = digest.hexdigest()
        finally:
            reader.close()

    def _whole(self, file: _File, most: int) -> bytes:
        whole = bytearray()
        for piece in self._pieces(file):
            whole += piece
            if len(whole) > most:
                raise ValueError(f"larger than {most >> 20} MiB")
        return bytes(whole)

    def _lines(self, file: _File, told: Told) -> Iterator[str]:
        rest = b""
        for piece in self._pieces(file):
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()[: _PIECE + 1]  # a line without an end is cut: it has too many cells or too few
            for line in lines:
                yield line.decode("utf-8", "replace")
            self._store(file, told)
        yield rest.decode("utf-8", "replace")

    # -- rows -------------------------------------------------------------------------------------

    @contextmanager
    def _source(self, file: _File, told: Told) -> Iterator[list[LedgerLine]]:
        """A row of `sources` for the file, settled at the end whatever happens in between."""
        kind = "claims-csv" if self.request.format == "claims" else self.request.format
        path = file.path if file.path == "-" else str(Path(file.path).absolute())
        sensor = "stdin" if path == "-" else Path(path).name
        row: dict[str, Any] = {
            "source_id": self.writer.next_source_id(), "kind": kind, "path": path_text(path), "sensor": path_text(sensor),
            "packets": 0, "flows": 0, "state": "indexing", "mtime_ns": file.mtime_ns,
        }  # fmt: skip
        file.source_id = row["source_id"]
        self.writer.add_source(row)
        lines: list[LedgerLine] = []
        error: WorkbenchError | None = None
        try:
            yield lines
        except SourceError as found:  # everything before it was read
            lines.append(LedgerLine("damaged", 0, (), found.message))
            error = found
        except (ValueError, BadInputError) as found:
            what = found.message if isinstance(found, WorkbenchError) else f"{visible(path)}: {found}"
            error = BadInputError(what, f"See docs/imports.md for what {kind} is read from.")
            self.result.refused.append(error)
        if self.cancelled:
            lines.append(LedgerLine("cancelled", max(0, (file.size or 0) - file.read), (), ""))
        self._store(file, told, now=True)
        lines += ledger_of(told)
        row |= {"sha256": file.sha256, "bytes": file.size, "ts_first": told.first, "ts_last": told.last}
        row |= _state(error, lines, refused=error is not None and error in self.result.refused)
        self._settle(row, file, lines)

    def _settle(self, row: dict[str, Any], file: _File, lines: list[LedgerLine]) -> None:
        source_id = row["source_id"]
        used = [one for one in self.files if one.source_id == source_id] or [file]
        self.writer.add_files(
            [
                {"source_id": source_id, "n": n, "path": path_text(one.path), "sha256": one.sha256, "bytes": one.size,
                 "first_offset": 0, "mtime_ns": one.mtime_ns}
                for n, one in enumerate(used)
            ]
        )  # fmt: skip
        self.writer.add_ledger(source_id, lines)
        self.writer.update_source(source_id, **{name: value for name, value in row.items() if name != "source_id"})
        self.writer.commit()
        self.result.sources.append(row)
        self.result.ledger.extend(line.row(source_id) for line in lines)
        if row["state"] == "refused":
            self.audit.append("source_refused", path=row["path"], why=row["detail"])
        else:
            shown = ("path", "sha256", "packets", "flows", "state")
            self.audit.append("source_indexed", **{name: row.get(name) for name in shown})

    def _store(self, file: _File, told: Told, *, now: bool = False) -> None:
        if told.claims and (now or len(told.claims) >= _ROWS):
            self.writer.append("claims", claims_batch(map(self._placed, told.take()), file.source_id))
            self.writer.commit()

    def _placed(self, claim: Claim) -> Claim:
        network = self.request.network
        return claim if network is None or claim.network is not None else replace(claim, network=network)

    def _tell(self, file: _File) -> None:
        now = time.monotonic()
        if self.progress is None or now - self.told_at < _TELL_EVERY:
            return
        self.told_at = now
        sizes = [one.size for one in self.files]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        self.progress(Progress(sum(one.read for one in self.files), total, 0, 0, file.path, "read"))


def remember(into: Kubernetes, writer: CaseWriter, network: str | None = None) -> None:
    """What the case knows to be alive in that network, so that what a later list lacks can end: another's is another cluster."""
    import json

    for row in writer.reader().query(_KNOWN, {"network": network}).to_pylist():
        labels = json.loads(row.pop("labels") or "null")
        into.remember(Claim(**row, labels=labels))


def ledger_of(told: Told) -> list[LedgerLine]:
    """What a source's ledger says of what was told: how much, of which kinds, and what could not be used."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(told.kinds.items()))
    notes = "".join(f"; {note}" for note in told.notes)
    lines = [LedgerLine("lines_read", told.objects, (), f"claims: {kinds or 'none'}{notes}")]
    for cause, count, where in told.refused():
        reason = "bad_line" if cause in _UNREADABLE else "not_a_claim"
        lines.append(LedgerLine(reason, count, (), f"{cause}: {where}"))
    lines += [LedgerLine("capture_gap", 1, (), gap) for gap in told.gaps[:100]]
    return lines


def notes_of(into: Kubernetes) -> list[LedgerLine]:
    """What a source's ledger says of Kubernetes beside that."""
    lines = []
    if into.others:
        lines.append(LedgerLine("lines_unused", into.others, (), "objects of kinds that hold no address, events that hold none"))
    return lines


def _state(error: WorkbenchError | None, lines: list[LedgerLine], *, refused: bool) -> dict[str, str | None]:
    if refused and error is not None:
        return {"state": "refused", "detail": error.message}
    lost = [line for line in lines if line.reason in ("damaged", "cancelled", "bad_line", "capture_gap")]
    return {"state": "partial" if lost else "ok", "detail": "; ".join(line.detail for line in lost)[:500] or None}


def _paths(named: tuple[str, ...]) -> list[str]:
    """Files behind the names: folders are searched, by name; each once. MissingPathError, UsageError."""
    from workbench.sources.expand import text_files

    found = text_files(named)
    if not found:
        raise UsageError("nothing to import: no file was found under the given paths", "Name a file.")
    return found


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
