"""The ring of evidence: the oldest files go where there are too many or they are too old, those of marked flows never."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import WorkbenchError
from workbench.settings import AttachSettings
from workbench.store.behind import marked_ranges
from workbench.store.live import marked_flows
from workbench.workflows.evidence import EvidenceFile

if TYPE_CHECKING:
    from workbench.store.case import CaseFolder
    from workbench.store.writer import CaseWriter


#: Names of evidence: source and number.
_NAME: Final = re.compile(r"(\d{4,9})-(\d{6,9})\.pcapng")


class Ring:
    """Drops evidence files, of this run and of those before it. dropped: bytes by source_id, of sources of this run.

    dropped_before: bytes of files of earlier runs.
    """

    def __init__(self, case: CaseFolder, settings: AttachSettings) -> None:
        self._case = case
        self._most = settings.evidence_mb * 1_000_000
        self._seconds = settings.evidence_hours * 3600
        self._earlier: list[tuple[int, EvidenceFile]] = []
        self.dropped: dict[int, int] = {}
        self.dropped_before = 0

    def find_earlier(self, writer: CaseWriter) -> None:
        """Take over what earlier runs left: files in `evidence/` that are named as ours, wherever the case says they lie.

        Call it before the first file of this run.
        """
        folder = self._case.root / "evidence"
        places = {Path(row["path"]).name: int(row["first_offset"] or 0) for row in writer.files_before()}
        for path in sorted(folder.glob("*.pcapng")):
            named = _NAME.fullmatch(path.name)
            if named is None or path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            file = EvidenceFile(int(named[2]), str(path), places.get(path.name, 0), status.st_size, status.st_mtime_ns, done=True)
            self._earlier.append((int(named[1]), file))

    @property
    def earlier_bytes(self) -> int:
        """Bytes of evidence that earlier runs left and that is still there."""
        return sum(file.bytes for _, file in self._earlier)

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

    def drop(self, files: dict[int, list[EvidenceFile]], writer: CaseWriter) -> dict[int, list[EvidenceFile]]:
        """Remove what must go, oldest first; what is left of each source's files. Those being written stay.

        files: of this run, by source_id.
        """
        ours = [(source, file) for source in sorted(files) for file in sorted(files[source], key=lambda f: f.n)]
        gone = self._removed(self._wanted([*self._earlier, *ours]), writer)
        for source, file in gone:
            if source in files:
                self.dropped[source] = self.dropped.get(source, 0) + file.bytes
            else:
                self.dropped_before += file.bytes
        paths = {file.path for _, file in gone}
        self._earlier = [(source, file) for source, file in self._earlier if file.path not in paths]
        return {source: [file for file in kept if file.path not in paths] for source, kept in files.items()}

    def _wanted(self, files: list[tuple[int, EvidenceFile]]) -> list[tuple[int, EvidenceFile]]:
        """What is too old, or beyond the bound."""
        now = time.time_ns()
        total = sum(self.size(file) for _, file in files)
        wanted = []
        for source, file in files:
            old = self._seconds and file.ts_last and now - file.ts_last > self._seconds * 1e9
            if file.done and (old or total > self._most):
                wanted.append((source, file))
                total -= self.size(file)
        return wanted

    def _removed(self, wanted: list[tuple[int, EvidenceFile]], writer: CaseWriter) -> list[tuple[int, EvidenceFile]]:
        """Remove them except where a marked flow has packets in one; which were removed."""
        if not wanted:
            return []
        try:
            marked = marked_flows(self._case)
            ranges = marked_ranges(writer.reader(), marked) if marked else []
        except WorkbenchError:
            return []  # nobody knows what is marked: nothing is dropped
        gone = []
        for source_id, file in wanted:
            end = file.first_offset + file.bytes
            if any(source == source_id and first < end and last >= file.first_offset for source, first, last in ranges):
                continue
            Path(file.path).unlink(missing_ok=True)
            gone.append((source_id, file))
        return gone
