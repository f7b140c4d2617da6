"""One cache of kernels that check every index, for all tests that run them: compiling them is minutes of work."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

#: Of tests that use them: at the same time in several processes, each would compile them.
GROUP: Final = "checked_kernels"
ROOT: Final = Path(__file__).parents[1]


def checked_kernels() -> dict[str, str]:
    """The environment of a process whose kernels check their bounds; its cache is of the kernels as they are now.

    A folder of its own, since numba's cache ignores the flag, and another for every change of the sources, since a kernel that
    another includes may change without the other's file.
    """
    folders = (ROOT / "workbench" / name for name in ("decode", "flows"))
    sources = sorted(path for folder in folders for path in folder.rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = ROOT / ".pytest_cache" / "checked-kernels" / digest
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o700)
    return {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache)}
