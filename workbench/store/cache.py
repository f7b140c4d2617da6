"""Where `open X.pcap` without a case folder keeps its case: a folder of the person's cache, found again by content.

Keyed by device, inode, size, modification time and a digest of the first and last MiB of every file, so a
second open is instant and a changed or exchanged file is another case. Readable by its owner only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from workbench.errors import MissingPathError
from workbench.store.case import CaseFolder, IngestLock, lock_holder
from workbench.store.schema import catalogue_digest

#: What the cached cases may take together, bytes. The one unused for longest goes first.
SIZE_CAP: Final = 20 << 30

#: Bytes at either end of a file that are part of its key.
_ENDS: Final = 1 << 20

#: A case used in the last so many seconds is never removed: it may have just been made, or be open.
_FRESH: Final = 3600.0


def cache_root() -> Path:
    """The folder of cached cases: $XDG_CACHE_HOME/workbench/cases or ~/.cache/workbench/cases. Not made here."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "workbench" / "cases"


def case_key(paths: Sequence[str], settings: str = "") -> str:
    """The name of the cached case of these files, in their order. settings: what else changes the result.

    Versions of the program that write other tables or views have other names. Reads two MiB a file.
    MissingPathError where one can't be read.
    """
    digest = hashlib.sha256(f"{catalogue_digest()}:{settings}".encode())
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                stat = os.fstat(file.fileno())
                digest.update(
                    f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}\0{path}\0".encode("utf-8", "surrogateescape")
                )
                digest.update(file.read(_ENDS))
                file.seek(max(0, stat.st_size - _ENDS))
                digest.update(file.read(_ENDS))
        except OSError as error:
            raise MissingPathError(f"{path} cannot be read: {error.strerror}", "Name a file that you can read.") from error
    return digest.hexdigest()[:32]


def cached_case(paths: Sequence[str], settings: str = "") -> Path:
    """The case folder for these files, made (0700) if it is new; marked as used now.

    Whether something is indexed in it is seen by whether it has a case.duckdb.
    """
    root = cache_root()
    _make_private(root)
    folder = root / case_key([os.path.abspath(p) for p in paths], settings)  # noqa: PTH100  names, not links, are the key
    case = CaseFolder.create(folder, private=True)
    os.utime(case.toml)
    return folder


def evict(cap: int = SIZE_CAP) -> list[Path]:
    """Remove the cached cases unused for longest until the rest fit `cap` bytes; what was removed.

    One that a process writes, has open, or that was used in the last hour stays.
    """
    root = cache_root()
    cases = [(_used(f), _size(f), f) for f in root.iterdir() if CaseFolder.is_case(f)] if root.is_dir() else []
    total = sum(size for _, size, _ in cases)
    removed: list[Path] = []
    for used, size, folder in sorted(cases):
        if total <= cap:
            break
        if time.time() - used > _FRESH and _remove(CaseFolder(folder)):
            removed.append(folder)
            total -= size
    return removed


def _remove(case: CaseFolder) -> bool:
    """Remove a case that nobody writes or reads; False where somebody does."""
    if lock_holder(case) is not None or _is_open(case.root):
        return False
    try:
        with IngestLock(case):
            gone = case.root.with_name(f".{case.root.name}.{os.getpid()}")
            case.root.rename(gone)  # whoever opens it now makes a new one
            shutil.rmtree(gone, ignore_errors=True)
    except OSError:
        return False
    return True


def _is_open(folder: Path) -> bool:
    """Whether a process of ours has a file in the folder open (read from /proc; elsewhere: assume so)."""
    proc = Path("/proc")
    if not (proc / "self" / "fd").is_dir():
        return True
    inside = f"{folder}/"
    for links in proc.glob("[0-9]*/fd"):
        try:
            if any(os.readlink(link).startswith(inside) for link in links.iterdir()):  # noqa: PTH115  much cheaper
                return True
        except OSError:
            continue
    return False


def _used(folder: Path) -> float:
    try:
        return (folder / "case.toml").stat().st_mtime
    except OSError:
        return time.time()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_blocks * 512
        except OSError:
            continue
    return total


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid == os.getuid():
            folder.chmod(0o700)
    except OSError as error:
        why = f"the cache folder {folder} cannot be made: {error.strerror}"
        raise MissingPathError(why, "Set XDG_CACHE_HOME to a folder that you can write to, or name one with --case.") from error
