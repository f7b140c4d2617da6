"""The cache of compiled kernels: a folder of the user's own, and compiling everything ahead of need.

Cached kernels are machine code that is loaded and run, so a cache that somebody else can write is a way in:
the folder must belong to this user and be closed to others, or it is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import stat
import sys
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from workbench import __version__
from workbench.errors import ExternalError

#: Called whenever some are compiled: (done, total, what is being compiled).
WarmSink = Callable[[int, int, str], None]

_MARK = "warm.json"
#: Groups that `compile_aside` saw to in this process.
_aside: set[str] = set()

#: The judge of recorded flows, and what compares policies for all packets: (what it is, its modules).
_POLICY = (
    ("policy", ("workbench.policy.history_kernel", "workbench.policy.row_kernel")),
    (
        "decision diagrams",
        tuple(f"workbench.policy.decisions.{name}_kernel" for name in ("store", "measure", "classes", "lists")),
    ),
)


def cache_folder() -> Path:
    """The per-user cache folder, XDG_CACHE_HOME/workbench (XDG base directory specification); not created here."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "workbench"


def prepare_kernel_cache() -> Path:
    """Create and check the kernel cache of this version and point numba at it; returns the folder.

    Must run before numba is imported; worker processes inherit NUMBA_CACHE_DIR. One that is already set is
    kept where nobody else can write it. ExternalError where a folder is not this user's own or open to others.
    """
    try:
        named = os.environ.get("NUMBA_CACHE_DIR")
        return _named_folder(Path(named)) if named else _own_folder()
    except OSError as error:
        why = f"the folder for compiled kernels cannot be used: {error}"
        raise ExternalError(why, "Set XDG_CACHE_HOME to a folder that you can write to.") from error


def _named_folder(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(folder, named=True)
    return folder


def _own_folder() -> Path:
    root = cache_folder()
    root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / "kernels" / f"{__version__}-{sys.implementation.cache_tag}"
    for part in (root, folder.parent, folder):
        part.mkdir(mode=0o700, exist_ok=True)
        _check_owner(part)
        if stat.S_IMODE(part.stat().st_mode) != 0o700:
            part.chmod(0o700)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


def _check_owner(folder: Path, *, named: bool = False) -> None:
    found = folder.stat() if named else folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ExternalError(f"{folder} is not a folder", "Compiled kernels are kept there: remove it, or set XDG_CACHE_HOME.")
    if found.st_uid != os.geteuid():
        raise ExternalError(
            f"{folder} belongs to user {found.st_uid}, not to you; code in it will not be run",
            "Remove it, or set XDG_CACHE_HOME to a folder of your own.",
        )
    if named and stat.S_IMODE(found.st_mode) & 0o022:
        raise ExternalError(f"others can write {folder}; code in it will not be run", "Close it: chmod go-w.")


def _groups() -> list[tuple[str, tuple[str, ...]]]:
    """What is compiled in one go: (what it is, its modules). Modules that share what they call are one group."""
    from workbench.decode.warm import MODULES as DECODE
    from workbench.flows.warm import MODULES as FLOWS

    return [("flow table", tuple(module for _, module in FLOWS)), *((name, (module,)) for name, module in DECODE), *_POLICY]


def _load(modules: tuple[str, ...]) -> None:
    """In a process of its own: compile the kernels of these modules, or find them in the cache."""
    for module in modules:
        importlib.import_module(module)


def warm(tell: WarmSink | None = None) -> int:
    """Compile every kernel into the cache, on all cores; returns how many groups of them there are.

    A second call only loads them. Each process takes about 400 MB while it compiles; past four nothing is gained, since the
    flow table alone takes a third of the time.
    """
    folder = prepare_kernel_cache()
    groups = _groups()
    workers = min(os.cpu_count() or 1, 4)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            waiting = {pool.submit(_load, modules): name for name, modules in groups}
            while waiting:
                if tell is not None:
                    tell(len(groups) - len(waiting), len(groups), ", ".join(list(waiting.values())[:workers]))
                over, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in over:
                    del waiting[future]
                    future.result()
        except BaseException:  # one of them failed, or somebody pressed Ctrl+C: the rest is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if tell is not None:
        tell(len(groups), len(groups), "")
    (folder / _MARK).write_text(json.dumps({"kernels": len(groups), "sources": _fingerprint()}), encoding="utf-8")
    return len(groups)


def compile_aside(*names: str) -> None:
    """Have the kernels of these groups compiled by a process of its own, where they are not: here it would stop every thread.

    Called where a person waits, from a worker thread; afterwards importing their modules only loads them.
    """
    folder = prepare_kernel_cache()
    missing = [name for name in names if name not in _aside]
    if missing and not warmed(folder):
        groups = dict(_groups())
        with ProcessPoolExecutor(len(missing), get_context("spawn")) as pool:
            for future in [pool.submit(_load, groups[name]) for name in missing]:
                future.result()
    _aside.update(missing)


def warmed(folder: Path) -> bool:
    """Whether `warm` completed for exactly these kernel sources."""
    try:
        mark = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(mark, dict) and mark.get("sources") == _fingerprint()


def _fingerprint() -> str:
    """Names, sizes and change times of the modules that hold kernels: what numba's cache goes by, too."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(p for floor in ("decode", "flows", "policy") for p in (package / floor).rglob("*.py")):
        found = path.stat()
        digest.update(f"{path.relative_to(package)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
