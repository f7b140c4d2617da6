"""Malformed captures get a clean result or a clean error, whole, cut and flipped, also with bounds checked."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.captures import ROOT, captures, folder, manifest

pytestmark = pytest.mark.conformance

MALFORMED = sorted(name for name, row in manifest().items() if "malformed" in row["features"].lower())
#: With variants each: small enough to sweep, every family of the set in it.
SMALL = [name for name in captures() if (folder() / name).stat().st_size < 20_000]


def run_sweep(names: list[str], **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.conformance.sweep", *names],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert not found["raised"]
    return found


@pytest.mark.parametrize("name", MALFORMED)
def test_the_program_ends_with_0_or_3_and_a_message(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "index", str(folder() / name), "--case", str(tmp_path / "case"), "--format", "json"],
        cwd=ROOT,
        env={
            **os.environ,
            "WORKBENCH_CONFIG": "",
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 3), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    if done.returncode == 3:
        assert done.stderr.strip()
    else:
        assert json.loads(done.stdout)["sources"]


@pytest.mark.slow
def test_whole_cut_and_flipped_captures_are_read_cleanly_and_accounted_for() -> None:
    found = run_sweep(SMALL)
    assert found["overruns"] == {"element": "silent"}  # why the next test is needed
    assert len(found["readings"]) > 5 * len(SMALL)


@pytest.mark.slow
def test_no_kernel_leaves_its_arrays() -> None:
    """The same with every index checked; its compiled kernels are kept apart, since numba's cache ignores the flag."""
    checked = run_sweep(SMALL, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(_checked_cache()))
    assert checked["overruns"] == {"element": "raised", "load": "raised", "row": "raised"}
    assert checked["readings"] == run_sweep(SMALL)["readings"]


def _checked_cache() -> Path:
    """A cache folder of the kernels as they are now: one that was compiled from others is not looked at."""
    sources = sorted((ROOT / "workbench" / "decode").rglob("*.py")) + sorted((ROOT / "workbench" / "flows").rglob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    cache = ROOT / ".pytest_cache" / "checked-kernels" / digest
    cache.mkdir(parents=True, exist_ok=True)
    cache.chmod(0o700)
    return cache
