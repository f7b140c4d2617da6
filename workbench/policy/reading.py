"""A policy from a file or a folder: bounded in size, never round in circles, and what cannot be read is said with its name.

Of a folder every `*.yaml` and `*.yml` below it is a part, in the order of their paths; hidden ones are left out. Folders behind
links are not entered, so there are no loops; links to files are read, as mounted configuration has them. What is named itself may
be a pipe: `policy diff <(git show main:site.yaml) site.yaml`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from workbench.errors import MissingPathError, PolicyError
from workbench.policy.loader import Loaded, Problem, load, refused
from workbench.records.visible import path_text

#: What a policy may have at most: bytes in one file, in all of them, and files.
MOST_BYTES: Final = 16 << 20
MOST_TOGETHER: Final = 64 << 20
MOST_FILES: Final = 1000

_SUFFIXES: Final = (".yaml", ".yml")
_PIECE: Final = 1 << 20


def read_policy(path: Path) -> Loaded:
    """The policy in a file or folder.

    MissingPathError where there is none or it cannot be read; PolicyError where it is too large, no UTF-8, or no policy.
    """
    return load(read_texts(path))


def read_texts(path: Path) -> list[tuple[str, str]]:
    """(file name, text) of each part, as `loader.load` takes them. Raises as `read_policy`, short of loading."""
    texts: list[tuple[str, str]] = []
    together = 0
    for file in _files(path):
        data = _bytes(file)
        together += len(data)
        if together > MOST_TOGETHER:
            raise _wrong(path, f"the files here have more than {MOST_TOGETHER >> 20} MiB together")
        texts.append((path_text(str(file)), _text(file, data)))
    return texts


def _files(path: Path) -> list[Path]:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISDIR(found.st_mode):
        return [path]
    files: list[Path] = []

    def refuse(error: OSError) -> None:
        raise _unreadable(Path(str(error.filename)), error) from error

    for folder, folders, names in os.walk(path, onerror=refuse, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(folder, name) for name in names if name.endswith(_SUFFIXES) and not name.startswith(".")]
        if len(files) > MOST_FILES:
            raise _wrong(path, f"more than {MOST_FILES} files of YAML below this folder: is it the right one?")
    if not files:
        raise _wrong(path, "no *.yaml or *.yml file in this folder")
    for file in files:
        if not file.is_file():  # a pipe, a device, or a link to nothing: a folder of files has none
            raise _wrong(file, "this is no file")
    return sorted(files)


def _bytes(file: Path) -> bytes:
    out = bytearray()
    try:
        with file.open("rb") as source:
            while piece := source.read(_PIECE):
                out += piece
                if len(out) > MOST_BYTES:
                    raise _wrong(file, f"the file is larger than {MOST_BYTES >> 20} MiB")
    except OSError as error:
        raise _unreadable(file, error) from error
    return bytes(out)


def _text(file: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _wrong(file, f"byte 0x{data[error.start]:02x} is no UTF-8 text", line) from error


def _wrong(path: Path, why: str, line: int = 1) -> PolicyError:
    return refused([Problem(path_text(str(path)), line, "", why)])


def _unreadable(path: Path, error: OSError | ValueError) -> MissingPathError:
    why = error.strerror if isinstance(error, OSError) else str(error)
    name = path_text(str(path))
    if isinstance(error, FileNotFoundError):
        return MissingPathError(f"policy {name} does not exist", "Name a YAML file, or a folder of them.")
    return MissingPathError(f"policy {name} cannot be read: {why}", "Check its permissions.")
