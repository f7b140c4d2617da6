"""Is everything here that the program can use? One line a thing, with what to do where it is not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workbench import __version__
from workbench.errors import ExternalError, WorkbenchError
from workbench.workflows.kernels import cache_folder, prepare_kernel_cache, warmed

#: ok; info: worth knowing, nothing to do; missing: optional, something does not work without, or was left undone; wrong: must be
#: put right.
State = Literal["ok", "info", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. advice: what does not work and what to do; empty where all is well."""

    area: str
    name: str
    state: State
    value: str
    advice: str = ""


#: Sentences on what is wrong with keys that settings change: the app knows its keys, and puts the question in here.
KeyCheck = Callable[[Mapping[str, str]], list[str]]
key_checks: list[KeyCheck] = []

_PYTHON: Final = (3, 11)
#: Distributions that the program imports, with the lowest version it was built for.
_PACKAGES: Final = (
    ("cryptography", "42"),
    ("dd", "0.6"),
    ("duckdb", "2.0"),
    ("lark", "1.2"),
    ("lz4", "4.3"),
    ("numba", "0.61"),
    ("numpy", "2.1"),
    ("pyarrow", "18"),
    ("pydantic", "2.10"),
    ("pyshark", "0.6"),
    ("pyyaml", "6.0"),
    ("rich", "14"),
    ("textual", "6.0"),
    ("textual-serve", "1.1"),
    ("typer", "0.26"),
    ("zstandard", "0.23"),
)
#: Programs and what they are for: the rest works without them.
_TOOLS: Final = (
    ("dumpcap", "capturing from an interface"),
    ("tcpdump", "capturing where dumpcap is absent"),
    ("ovs-vsctl", "mirrors and policies on Open vSwitch"),
    ("ovs-ofctl", "policies on Open vSwitch"),
    ("nft", "policies on nftables"),
    ("ssh", "reaching DPUs"),
    ("ssh-keygen", "signing plans and audit heads"),
    ("git", "anchors of audit logs with a git remote"),
)
#: Below this the app leaves things out; DESIGN section 8.
_COLUMNS, _LINES = 80, 24


def examine() -> Iterator[Check]:
    """Every check, in the order they are worth reading. Asks programs their version; changes nothing but cache folders."""
    yield Check("program", "workbench", "ok", __version__)
    yield _python()
    yield Check("program", "machine", "info", f"{platform.system()} {platform.machine()}, {_cores()} cores, {_memory()}")
    for name, least in _PACKAGES:
        yield _package(name, least)
    yield _settings()
    yield from _keys()
    yield _kernels()
    yield _cache()
    yield from _terminal()
    for name, purpose in _TOOLS:
        yield _tool(name, purpose)
    yield _libpcap()
    yield _tshark()
    yield from _mirrors()


def _python() -> Check:
    found = platform.python_version()
    if sys.version_info[:2] < _PYTHON:
        return Check("program", "Python", "wrong", found, f"Needs {'.'.join(map(str, _PYTHON))} or later.")
    return Check("program", "Python", "ok", found)


def _package(name: str, least: str) -> Check:
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Check("package", name, "wrong", "not installed", f"Install {name}>={least}.")
    if _numbers(found) < _numbers(least):
        return Check("package", name, "wrong", found, f"Needs {least} or later.")
    return Check("package", name, "ok", found)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: enough to compare releases."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def _settings() -> Check:
    from workbench.settings import load_settings, settings_path

    path = settings_path()
    try:
        load_settings()
    except WorkbenchError as error:
        return Check("settings", "settings file", "wrong", str(path), f"{error.message} {error.remedy}".strip())
    return Check("settings", "settings file", "ok", str(path) if path.exists() else f"none ({path}): all defaults")


def _keys() -> Iterator[Check]:
    """The keys that the settings change, where there are any: each must be an action's, and of one action only."""
    from workbench.settings import load_settings

    try:
        keys = load_settings().keys
    except WorkbenchError:  # told already
        return
    if keys and key_checks:
        said = [sentence for check in key_checks for sentence in check(keys)]
        yield Check("settings", "keys", "wrong" if said else "ok", f"{len(keys)} changed", " ".join(said[:20]))


def _kernels() -> Check:
    try:
        folder = prepare_kernel_cache()
    except (WorkbenchError, OSError) as error:
        return Check("cache", "compiled kernels", "wrong", str(error), getattr(error, "remedy", "Set XDG_CACHE_HOME."))
    if warmed(folder):
        return Check("cache", "compiled kernels", "ok", f"warm, {folder}")
    return Check("cache", "compiled kernels", "info", f"not complete, {folder}", "`workbench doctor --warm` compiles them, once.")


def _cache() -> Check:
    folder = cache_folder()
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    return Check("cache", "cache folder", "info", f"{_size(size)} in {folder}, {_size(free)} free")


def _terminal() -> Iterator[Check]:
    if not sys.stdout.isatty():
        yield Check("terminal", "terminal", "info", "stdout is not a terminal", "The app needs one; the other commands do not.")
        return
    columns, lines = shutil.get_terminal_size((_COLUMNS, _LINES))
    small = columns < _COLUMNS or lines < _LINES
    advice = f"Views are made for {_COLUMNS}x{_LINES} or more." if small else ""
    yield Check("terminal", "size", "info" if small else "ok", f"{columns}x{lines}", advice)
    yield Check("terminal", "colours", "ok", _colours())
    encoding = (sys.stdout.encoding or "").lower()
    if encoding.replace("-", "") == "utf8":
        yield Check("terminal", "encoding", "ok", encoding)
    else:
        yield Check("terminal", "encoding", "missing", encoding or "unknown", "Lines are drawn badly: use a UTF-8 locale.")


def _colours() -> str:
    if os.environ.get("NO_COLOR"):
        return "off (NO_COLOR)"
    kind = os.environ.get("TERM", "")
    if kind in ("", "dumb", "unknown"):
        return f"none (TERM={kind})"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return f"16 million (TERM={kind})"
    return f"{256 if '256color' in kind else 16} (TERM={kind})"


def _tshark() -> Check:
    """tshark is asked in its sandbox: asked directly it would run scripts of whoever asks."""
    from workbench.dissect.dissector import find_tshark
    from workbench.dissect.tshark import INSTALL

    if shutil.which("tshark") is None:
        return Check("tool", "tshark", "missing", "not found", f"Without it packets are not dissected. {INSTALL}")
    try:
        found = find_tshark(cache_folder() / "dissect")
    except WorkbenchError as error:
        return Check("tool", "tshark", "missing", error.message, f"Packets are not dissected. {error.remedy}".strip())
    value = f"{found.version}, {found.path}"
    if not found.missing:
        return Check("tool", "tshark", "ok", f"{value}; knows all fields that are shown")
    some = ", ".join(found.missing[:5]) + (", ..." if len(found.missing) > 5 else "")
    return Check("tool", "tshark", "info", value, f"It lacks {len(found.missing)} of the fields that are shown: {some}.")


def _tool(name: str, purpose: str) -> Check:
    from workbench.sources.tools import find_tool

    tool = find_tool(name)
    if tool.path is None:
        return Check("tool", name, "missing", "not found", f"Needed for {purpose}.")
    return Check("tool", name, "ok", f"{tool.version or 'version unknown'}, {tool.path}")


def _libpcap() -> Check:
    from workbench.sources.bpf import libpcap_version

    try:
        return Check("tool", "libpcap", "ok", libpcap_version())
    except ExternalError as error:
        return Check("tool", "libpcap", "missing", error.message, error.remedy)


def _mirrors() -> Iterator[Check]:
    """Mirrors that were set up from here and not torn down from here; nobody is asked whether they still stand."""
    from workbench.workflows.mirror_notes import FORGOTTEN, age_words, standing

    for host, name, age in standing():
        old = age is None or age > FORGOTTEN
        value = f"on {host}, set up {'at a time unknown' if age is None else age_words(age) + ' ago'}"
        yield Check("mirror", name, "missing" if old else "info", value, f"Forgotten? workbench mirror teardown {host}")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{_size(total)} memory"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
