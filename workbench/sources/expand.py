"""Names on the command line to sources: files, folders, globs, and rotated sets that are one source.

A rotated set is joined when its names are those a capture program gives and its times fit together
(docs/sources.md): flows then go on across its files. Anything less certain stays apart, because a wrong
join would make flows that never were.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from workbench.errors import MissingPathError, SourceError, UsageError, WorkbenchError
from workbench.records.telemetry_kinds import TELEMETRY
from workbench.sources.peek import Peek, Recognise, last_time, peek
from workbench.sources.rotation import Rotated, rotated_name, stem_of

Join = Literal["auto", "always", "never"]

#: A file that begins this long behind the end of the one before is another set: no flow would last.
MAX_GAP: Final = 3600 * 1_000_000_000
#: Packets at the seam may be this much out of order: several queues, several interfaces.
MAX_OVERLAP: Final = 1_000_000_000


_CAPTURES: Final = ("pcap", "pcapng")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One source to index.

    kind: pcap, pcapng, a kind of telemetry, or `unknown` where the first bytes are of neither (reading it will say what is
    wrong) or cannot be looked at without using them up. paths: absolute, in order of time; ("-",) is
    standard input. sensor: the name of the observation point unless the person gives another.
    """

    kind: str
    paths: tuple[str, ...]
    sensor: str


@dataclass(frozen=True, slots=True)
class _Found:
    """A file and what a first look at it told; None for what is no capture or cannot be read."""

    path: str
    seen: Peek | None


def expand(
    paths: Sequence[str], join: Join = "auto", passed_over: list[str] | None = None, recognise: Recognise | None = None
) -> list[SourceSpec]:
    """The sources behind `paths`, in the order they were named; a folder's by name.

    A file that is named is a source even if it holds no capture. A folder is searched recursively;
    hidden members, and those that are no capture, are passed over and added to `passed_over`. Files
    named twice count once. join: `auto` joins rotated sets, `always` all captures in order of their
    first packets, `never` none. recognise: the kind of a log, by its first bytes. Raises MissingPathError for a path or
    pattern that leads to nothing and UsageError for one that cannot hold a capture.
    """
    found: list[_Found] = []
    specs: list[SourceSpec] = []
    known: set[str] = set()
    skipped = passed_over if passed_over is not None else []
    for path in paths:
        for file in _files(path, skipped, recognise):
            real = file.path if file.path == "-" else os.path.realpath(file.path)
            if real not in known:
                known.add(real)
                found.append(file)
    if join == "always":
        captures = [f for f in found if f.seen is not None and f.seen.kind in _CAPTURES]
        if captures:
            specs.append(_joined(sorted(captures, key=_by_time)))
        messages = [f for f in found if _is_telemetry(f)]
        if messages:
            specs.append(_stream(messages))
        specs.extend(_single(f) for f in found if f.seen is None or f.seen.kind not in (*_CAPTURES, *TELEMETRY))
        return specs
    sets = _rotated_sets(found) | _streams(found) if join == "auto" else {}
    for file in found:
        if file.path not in sets:
            specs.append(_single(file))
        elif sets[file.path][0].path == file.path:
            specs.append((_stream if _is_telemetry(file) else _joined)(sets[file.path]))
    return specs


def _by_time(file: _Found) -> tuple[bool, int, str]:
    """Order of joining: by first packet, files without one last, by name."""
    first = file.seen.first if file.seen is not None else None
    return first is None, first or 0, file.path


# -- finding ------------------------------------------------------------------------------------------


def _files(path: str, passed_over: list[str], recognise: Recognise | None) -> Iterator[_Found]:
    """The files behind one name."""
    if path == "-":
        yield _Found("-", None)
    elif path == "":
        raise UsageError("an empty path", "Name a capture, a folder or - for standard input.")
    elif os.path.lexists(path):
        yield from _named(path, passed_over, recognise)
    elif glob.has_magic(path):
        matches = sorted(glob.glob(path, recursive=True))  # noqa: PTH207  Path.glob takes no absolute pattern
        if not matches:
            raise MissingPathError(f"nothing matches {path}", "Check the pattern.")
        for match in matches:
            yield from _named(match, passed_over, recognise)
    else:
        raise MissingPathError(f"{path} does not exist", "Check the path.")


def text_files(paths: Sequence[str]) -> list[str]:
    """The files behind `paths` that are no captures, each once, in the order they were named; a folder's by name.

    Hidden members of folders are passed over. Raises MissingPathError and UsageError as `expand`.
    """
    found: dict[str, str] = {}
    for path in paths:
        skipped: list[str] = []
        if Path(path).is_dir():
            list(_files(path, skipped, None))
            named = [one for one in skipped if Path(one).is_file()]
        else:
            named = [file.path for file in _files(path, skipped, None)] + [one for one in skipped if Path(one).is_file()]
        for one in named:
            found.setdefault(one if one == "-" else str(Path(one).resolve()), one)
    return list(found.values())


def _named(path: str, passed_over: list[str], recognise: Recognise | None) -> Iterator[_Found]:
    """What was named: a folder's captures, or the file itself whatever it is."""
    whole = str(Path(path).absolute())
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise MissingPathError(f"{path} is a link to nothing", "Check where it points.") from error
    except OSError as error:
        raise MissingPathError(f"{path} cannot be read: {error.strerror}", "Check its permissions.") from error
    if stat.S_ISDIR(mode):
        yield from _members(whole, passed_over, recognise)
    elif stat.S_ISREG(mode):
        yield _Found(whole, _look(whole, recognise))
    elif stat.S_ISFIFO(mode) or whole.startswith(("/dev/fd/", "/proc/")):
        yield _Found(whole, None)  # what is looked at here would be missing later
    else:
        raise UsageError(f"{path} is neither a file nor a folder", "Name a capture file, a folder or a FIFO.")


def _members(folder: str, passed_over: list[str], recognise: Recognise | None) -> Iterator[_Found]:
    """Every capture below a folder, by name; links to folders are not followed."""

    def unreadable(error: OSError) -> None:
        passed_over.append(f"{error.filename}: {error.strerror}")

    if not os.access(folder, os.R_OK | os.X_OK):
        raise MissingPathError(f"{folder} cannot be read: permission denied", "Check its permissions.")
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = str(Path(parent, name))
            if name.startswith(".") or not Path(path).is_file():
                continue
            try:
                seen = peek(path, recognise)
            except WorkbenchError:
                yield _Found(path, None)  # unreadable or damaged is said, not passed over
                continue
            if seen is None:
                passed_over.append(path)
            else:
                yield _Found(path, seen)


def _look(path: str, recognise: Recognise | None) -> Peek | None:
    try:
        return peek(path, recognise)
    except (MissingPathError, SourceError):
        return None  # reading it will say why


# -- joining ------------------------------------------------------------------------------------------


def _rotated_sets(found: list[_Found]) -> dict[str, list[_Found]]:
    """Members of sets that fit together, each path with its whole set in order."""
    groups: dict[tuple[object, ...], list[tuple[Rotated, _Found]]] = {}
    for file in found:
        name = rotated_name(Path(file.path).name) if file.seen is not None else None
        if name is not None and file.seen is not None and file.seen.first is not None:
            key = (str(Path(file.path).parent), name.rule, name.stem, file.seen.kind, file.seen.link_type)
            groups.setdefault(key, []).append((name, file))
    sets: dict[str, list[_Found]] = {}
    for members in groups.values():
        for run in _runs(_in_order(members)):
            if len(run) > 1:
                sets.update((file.path, run) for file in run)
    return sets


def _is_telemetry(file: _Found) -> bool:
    return file.seen is not None and file.seen.kind in TELEMETRY


def _streams(found: list[_Found]) -> dict[str, list[_Found]]:
    """Files of telemetry messages in one folder are one stream, in the order given: templates in one, data in the next."""
    folders: dict[str, list[_Found]] = {}
    for file in found:
        if _is_telemetry(file):
            folders.setdefault(str(Path(file.path).parent), []).append(file)
    return {file.path: files for files in folders.values() if len(files) > 1 for file in files}


def _stream(files: list[_Found]) -> SourceSpec:
    """One source of files of messages, named by their folder where they are several."""
    if len(files) == 1:
        return _single(files[0])
    assert files[0].seen is not None
    return SourceSpec(files[0].seen.kind, tuple(f.path for f in files), _text(Path(files[0].path).parent.name or "telemetry"))


def _in_order(members: list[tuple[Rotated, _Found]]) -> list[_Found]:
    """By the sequence in the name; a ring that wrapped begins where its oldest packet is."""
    ordered = [file for _, file in sorted(members, key=lambda m: (m[0].order, m[1].path))]
    oldest = min(range(len(ordered)), key=lambda n: _first(ordered[n]))
    return ordered[oldest:] + ordered[:oldest]


def _runs(ordered: list[_Found]) -> Iterator[list[_Found]]:
    """Cut where a file does not follow on the one before."""
    run: list[_Found] = []
    for file in ordered:
        if run and not _follows(run[-1], file):
            yield run
            run = []
        run.append(file)
    if run:
        yield run


def _follows(before: _Found, file: _Found) -> bool:
    """Whether the times of two files fit one capture that went on."""
    assert before.seen is not None
    start, first = _first(before), _first(file)
    last = last_time(before.path, before.seen)
    if last is None:  # compressed or cut: only beginnings are known
        return start <= first <= start + 25 * MAX_GAP  # a file a day, and the gap
    return first >= start and last - MAX_OVERLAP <= first <= last + MAX_GAP


def _first(file: _Found) -> int:
    assert file.seen is not None
    assert file.seen.first is not None
    return file.seen.first


def _joined(files: list[_Found]) -> SourceSpec:
    if len(files) == 1:
        return _single(files[0])
    kinds = {f.seen.kind for f in files if f.seen is not None}
    name = Path(files[0].path).name
    rotated = rotated_name(name)
    sensor = rotated.sensor if rotated is not None and rotated.sensor else stem_of(name)
    return SourceSpec(kinds.pop() if len(kinds) == 1 else "pcap", tuple(f.path for f in files), _text(sensor))


def _single(file: _Found) -> SourceSpec:
    kind = file.seen.kind if file.seen is not None else "unknown"
    sensor = "stdin" if file.path == "-" else stem_of(Path(file.path).name)
    return SourceSpec(kind, (file.path,), _text(sensor))


def _text(name: str) -> str:
    """A file name as text that every table can hold: bytes that are no UTF-8 become \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
