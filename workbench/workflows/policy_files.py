"""Folders and files of policies inside a case, which may be a stranger's: nothing is followed, nothing is overwritten.

Every step goes through the handle of the folder before it, so that a link put in the way while we look leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from workbench.errors import BadInputError, DiskFullError, ExternalError, ForeignCaseError

FOLDER: Final = "policies"
#: Bytes of a text at most; a policy of ten thousand rules has two million.
MOST_BYTES: Final = 4 << 20
_ENTRY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def folder(root: Path, name: str = "", *, make: bool = False) -> Iterator[int | None]:
    """A handle of `policies`, or of the folder of that name in it; None where there is none. make: make what is missing.

    name is checked by the caller. ForeignCaseError where a link or a file stands there, ExternalError where it cannot be had.
    """
    handles: list[int] = []
    try:
        with _told(root / FOLDER / name):
            handles.append(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            for part in (FOLDER, name) if name else (FOLDER,):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=handles[-1])
                        os.fsync(handles[-1])
                try:
                    handles.append(os.open(part, _ENTRY, dir_fd=handles[-1]))
                except FileNotFoundError:
                    yield None
                    return
        yield handles[-1]
    finally:
        for handle in handles:
            os.close(handle)


def listing(handle: int) -> list[str]:
    """Names in a folder."""
    return os.listdir(handle)


def there(handle: int, name: str) -> bool:
    """Whether a folder has something of that name, whatever it is."""
    try:
        os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return False
    return True


def read(handle: int, name: str, shown: Path) -> bytes | None:
    """The file of that name; None where there is none. shown: its path, for what is said of it.

    ForeignCaseError where it is no plain file, BadInputError where it is too long.
    """
    with _told(shown):
        try:
            fd = os.open(name, _READ, dir_fd=handle)
        except FileNotFoundError:
            return None
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise ForeignCaseError(f"{shown} is no plain file", "Move it aside: the case goes on without it.")
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadInputError(f"{shown} is larger than {MOST_BYTES >> 20} MiB", "Policies are not; move it aside.")
    return data


def write_new(handle: int, name: str, data: bytes, shown: Path) -> None:
    """A new file (0600), on the disk when this returns. FileExistsError where the name is taken; else as `read`."""
    with _told(shown, taken=True):
        fd = os.open(name, _NEW, 0o600, dir_fd=handle)
        try:
            with os.fdopen(fd, "wb", buffering=0) as file:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) or 0 :]
                os.fsync(fd)
            os.fsync(handle)
        except BaseException:
            remove(handle, name)
            raise


def replace(handle: int, name: str, data: bytes, shown: Path) -> None:
    """A file whole: the old content or the new one, whenever the machine stops."""
    part = f".{name}.{os.getpid()}"
    remove(handle, part)
    write_new(handle, part, data, shown)
    with _told(shown):
        os.rename(part, name, src_dir_fd=handle, dst_dir_fd=handle)
        os.fsync(handle)


def remove(handle: int, name: str) -> None:
    """Take a file away, if it is there."""
    with contextlib.suppress(OSError):
        os.unlink(name, dir_fd=handle)


@contextlib.contextmanager
def _told(shown: Path, *, taken: bool = False) -> Iterator[None]:
    """What the system raises, as our errors. taken: a name that is taken is the caller's to deal with."""
    try:
        yield
    except FileExistsError:
        if taken:
            raise
        raise ForeignCaseError(f"{shown} is no folder of ours", "Move it aside: the case goes on without it.") from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
            why = f"{shown} is a link or no plain file"
            raise ForeignCaseError(why, "Move it aside: the case goes on without it.") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"{shown}: no space left", "Free some space; nothing was changed.") from error
        raise ExternalError(f"{shown} cannot be used: {error.strerror}", "Check the permissions of the case folder.") from error
