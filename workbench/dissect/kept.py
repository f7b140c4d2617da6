"""The catalogue of a tshark version, kept in the user's cache so that it is made once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from workbench.dissect import allowed
from workbench.dissect.catalogue import FORM


def stamp(tshark: str) -> str:
    """What a catalogue depends on: the program file, our allow-list, the form it is kept in."""
    try:
        found = Path(tshark).stat()
        about = f"{Path(tshark).resolve()} {found.st_ino} {found.st_size} {found.st_mtime_ns}"
    except OSError:
        about = tshark
    return hashlib.sha256(f"{FORM}\n{about}\n{allowed.text()}".encode()).hexdigest()[:20]


@contextlib.contextmanager
def opened(folder: Path | None, mark: str) -> Iterator[int | None]:
    """A descriptor of the kept catalogue; None where there is none, or another could have written it."""
    fd = None
    if folder is not None:
        with contextlib.suppress(OSError):
            fd = os.open(_file(folder, mark), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if fd is not None:
            found = os.fstat(fd)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022 or not stat.S_ISREG(found.st_mode):
                os.close(fd)
                fd = None
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def keep(folder: Path | None, mark: str, data: bytes) -> None:
    """Keep it; where that fails it is made again next time. Those of other versions are removed."""
    if folder is None:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = _file(folder, mark)
        part = target.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        part.replace(target)
        for old in folder.glob("tshark-*.catalogue"):
            if old != target:
                old.unlink()


def _file(folder: Path, mark: str) -> Path:
    return folder / f"tshark-{mark}.catalogue"
