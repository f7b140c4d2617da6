"""The captures behind a case, found again: are they where they were, are they what they were, where to enter them."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workbench.errors import CaptureChangedError, CaptureGoneError, ForeignCaseError
from workbench.sources.seeking import SeekingBytes
from workbench.store.behind import all_paths, source_files, source_places, source_row

if TYPE_CHECKING:
    from workbench.store.reader import CaseReader

#: Source offset >> this = number of a block, as in `flow_blocks` and `source_blocks`.
BLOCK_SHIFT: Final = 22
#: What besides the 5-tuple can key the flows of a source.
SCOPES: Final = ("none", "vni", "vlan", "both")
#: Kind of a source that was attached to: its files are the evidence that is left.
LIVE: Final = "live"
_STEP: Final = 1 << 20
_INDEX_AGAIN: Final = "Index it into another case, or put back the file that was indexed."

#: Contents that were found unchanged although their time of change is another: (path, size, mtime_ns, sha256).
_VERIFIED: Final[set[tuple[str, int, int, str]]] = set()


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """One file of a source. path: as the system knows it. first_offset: where it starts in the joined source."""

    path: str
    first_offset: int
    bytes: int | None
    mtime_ns: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """A packet record that a source can be entered at, see `source_blocks`; frame 0: the beginning of a file."""

    record_offset: int
    frame: int
    ts_ns: int = 0
    section_offset: int | None = None
    interfaces: int = 0


@dataclass(frozen=True, slots=True)
class Capture:
    """A source that is there and unchanged, with the places where it can be entered, in order.

    bpf: the capture filter it was indexed with; None = everything.
    """

    source_id: int
    path: str
    key_scope: str
    files: tuple[CaptureFile, ...]
    offsets: NDArray[np.int64]
    places: tuple[Place, ...]
    bpf: str | None = None

    def file_at(self, offset: int) -> int:
        """Number of the file that holds that offset of the source."""
        return max(0, int(np.searchsorted([f.first_offset for f in self.files], offset, side="right")) - 1)

    def place_before(self, offset: int) -> Place:
        """Where to enter to read the record at that offset: as near as is known, the beginning where nothing is."""
        at = int(np.searchsorted(self.offsets, offset, side="right")) - 1
        return self.places[at] if at >= 0 else Place(self.files[0].first_offset, 0)

    def place_of_block(self, block: int) -> Place:
        """Where to enter to read every record that starts in that block."""
        at = int(np.searchsorted(self.offsets, block << BLOCK_SHIFT, side="left"))
        if at < len(self.places) and self.places[at].record_offset >> BLOCK_SHIFT == block:
            return self.places[at]
        return self.place_before(block << BLOCK_SHIFT)


def find_capture(reader: CaseReader, source_id: int, first: int = 0, last: int | None = None) -> Capture:
    """The source, if its files are there and as they were indexed, with its places between two offsets.

    CaptureGoneError, CaptureChangedError.
    """
    source = source_row(reader, source_id)
    if source is None:
        raise CaptureGoneError(f"the case knows no source {source_id}", "The case may have been written by another version.")
    scope = source["key_scope"] or "both"
    if scope not in SCOPES:
        raise ForeignCaseError(f"the case keyed source {source_id} by {scope!r}, which does not exist", "Do not trust this case.")
    live = source["kind"] == LIVE
    # a later run's ring drops files of sources whose rows are compacted: they stay listed
    files = tuple(file for file in _files(reader, source) if not live or Path(file.path).exists())
    for file in files:
        _check(file)
    if source["state"] == "indexing" and not live and last is not None:
        _check_reach(files[-1], last)
    until = (1 << 62) if last is None else last >> BLOCK_SHIFT
    rows = source_places(reader, source_id, first >> BLOCK_SHIFT, until)
    if live and not files:
        why = f"the packets of source {source_id} were not kept, or were dropped for their age or for space"
        raise CaptureGoneError(why, "Settings [attach] say how long evidence is kept; see docs/attach.md.")
    # of a ring the oldest files are gone, and with them the places in them
    places = tuple(Place(**row) for row in rows if not live or row["record_offset"] >= files[0].first_offset)
    offsets = np.array([p.record_offset for p in places], np.int64)
    bpf = None if live else source["bpf"]  # evidence has what passed; without its payload it need not pass again
    return Capture(source_id, source["path"], scope, files, offsets, places, bpf)


def check_unchanged(capture: Capture) -> None:
    """Once it was read: its files are still what was indexed. CaptureGoneError, CaptureChangedError."""
    for file in capture.files:
        _check(file)


def capture_paths(reader: CaseReader) -> list[str]:
    """Every file of every source of the case, as the system knows it."""
    return [spelled(path) for path in all_paths(reader)]


def spelled(path: str) -> str:
    r"""The name as the system knows it; in a case, bytes that are no UTF-8 are spelled out (\xff)."""
    if "\\x" not in path or Path(path).exists():
        return path
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), path.encode())
    return os.fsdecode(raw)


def _files(reader: CaseReader, source: dict[str, Any]) -> list[CaptureFile]:
    source_id = source["source_id"]
    rows = source_files(reader, source_id)
    if not rows and source["kind"] != LIVE:  # it is still being indexed: its files are noted at the end
        rows = [{"path": source["path"], "first_offset": 0, "bytes": None, "mtime_ns": source["mtime_ns"], "sha256": None}]
    for row in rows:
        if row["path"] == "-" or row["path"].startswith("/dev/fd/"):
            why = f"source {source_id} was read from standard input and was not kept: its packets cannot be read again"
            raise CaptureGoneError(why, "Save such a capture to a file and index that.")
    names = ("first_offset", "bytes", "mtime_ns", "sha256")
    return [CaptureFile(spelled(row["path"]), *(row[name] for name in names)) for row in rows]


def _check(file: CaptureFile) -> None:
    """Size and time of change as noted; where only the time differs, or it has grown, the noted hash decides."""
    try:
        found = Path(file.path).stat()
    except OSError as error:
        why = f"{file.path} cannot be read: {error.strerror}"
        raise CaptureGoneError(why, "Put it back where it was when it was indexed, or index it into another case.") from error
    if not stat.S_ISREG(found.st_mode):
        raise CaptureGoneError(f"{file.path} is no file that can be read again", "Save the capture to a file and index that.")
    same_size = file.bytes is None or found.st_size == file.bytes
    if same_size and (file.mtime_ns is None or file.mtime_ns == found.st_mtime_ns):
        return
    if file.bytes is None or found.st_size < file.bytes:
        raise CaptureChangedError(f"{file.path} is not the file that was indexed: {_sizes(file, found.st_size)}", _INDEX_AGAIN)
    if file.sha256 is None:
        said = f"{_sizes(file, found.st_size)}, and its hash was not noted"
        raise CaptureChangedError(f"{file.path} was changed after it was indexed: {said}", _INDEX_AGAIN)
    known = (file.path, found.st_size, found.st_mtime_ns, file.sha256)
    if known not in _VERIFIED:
        if _digest(file.path, file.bytes) != file.sha256:
            raise CaptureChangedError(f"{file.path} was changed after it was indexed: its SHA-256 is another", _INDEX_AGAIN)
        _VERIFIED.add(known)


def _check_reach(file: CaptureFile, last: int) -> None:
    """While a rotated set is being indexed the case knows its first file only."""
    stream = SeekingBytes(file.path)
    stream.close()
    if stream.plain and last >= Path(file.path).stat().st_size:
        why = f"{file.path} is one of several files that are still being indexed: where these packets lie is not noted yet"
        raise CaptureGoneError(why, "Try again when it is done.")


def _sizes(file: CaptureFile, now: int) -> str:
    if file.bytes is None or now == file.bytes:
        return "its time of change is another"
    return f"it has {now:,} bytes instead of {file.bytes:,}"


def _digest(path: str, size: int) -> str:
    """SHA-256 of the first `size` bytes: a capture that is still growing begins as it did."""
    digest = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as file:
        while size > 0 and (piece := file.read(min(_STEP, size))):
            digest.update(piece)
            size -= len(piece)
    return digest.hexdigest()
