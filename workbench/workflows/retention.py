"""The ring of evidence: the oldest files go where there are too many or they are too old, those of marked flows never."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.settings import AttachSettings
from workbench.store.behind import marked_ranges
from workbench.store.live import marked_flows

if TYPE_CHECKING:
    from workbench.store.case import CaseFolder
    from workbench.store.writer import CaseWriter
    from workbench.workflows.evidence import EvidenceFile


class Ring:
    """Drops evidence files. dropped: bytes by source_id."""

    def __init__(self, case: CaseFolder, settings: AttachSettings) -> None:
        self._case = case
        self._most = settings.evidence_mb * 1_000_000
        self._seconds = settings.evidence_hours * 3600
        self.dropped: dict[int, int] = {}

    def size(self, file: EvidenceFile) -> int:
        """Bytes of a file, also of one that is being written."""
        if file.done:
            return max(0, file.bytes)
        try:
            return Path(file.path).stat().st_size
        except OSError:
            return 0

    def settled(self, file: EvidenceFile) -> EvidenceFile:
        """The file as nobody writes to it any more: where its writer died, as it was left."""
        if file.done:
            return file
        try:
            status = Path(file.path).stat()
        except OSError:
            return file
        last = file.ts_last or status.st_mtime_ns  # told at its end only, which never came
        return replace(file, done=True, bytes=status.st_size, mtime_ns=status.st_mtime_ns, ts_last=last)

    def drop(self, files: list[EvidenceFile], source_id: int, writer: CaseWriter) -> list[EvidenceFile]:
        """Remove what must go of a source's files, oldest first; which those were. The one being written stays."""
        now = time.time_ns()
        total = sum(self.size(f) for f in files)
        wanted = []
        for file in sorted(files, key=lambda f: f.n):
            old = self._seconds and file.ts_last and now - file.ts_last > self._seconds * 1e9
            if not file.done or not (old or total > self._most):
                continue
            wanted.append(file)
            total -= self.size(file)
        if not wanted:
            return []
        try:
            marked = marked_flows(self._case)
            ranges = marked_ranges(writer.reader(), marked) if marked else []
        except WorkbenchError:
            return []  # nobody knows what is marked: nothing is dropped
        gone = []
        for file in wanted:
            end = file.first_offset + file.bytes
            if any(source == source_id and first < end and last >= file.first_offset for source, first, last in ranges):
                continue
            Path(file.path).unlink(missing_ok=True)
            self.dropped[source_id] = self.dropped.get(source_id, 0) + file.bytes
            gone.append(file)
        return gone
