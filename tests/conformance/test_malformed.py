"""Malformed captures get a clean result or a clean error, whole, cut and flipped, also with bounds checked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.checked import GROUP, checked_kernels
from tests.conformance.captures import ROOT, captures, folder, manifest
from workbench.cli.app import run

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
def test_the_program_ends_with_0_or_3_and_a_message(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_CONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    code = run(["index", str(folder() / name), "--case", str(tmp_path / "case"), "--format", "json"])
    out, err = capfd.readouterr()
    check_the_end(code, out, err)


def check_the_end(code: int, out: str, err: str) -> None:
    assert code in (0, 3), err[-2000:]
    assert "Traceback" not in err
    if code == 3:
        assert err.strip()
    else:
        assert json.loads(out)["sources"]


def test_all_of_them_at_once_in_a_process_of_their_own(tmp_path: Path) -> None:
    paths = [str(folder() / name) for name in MALFORMED]
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "index", *paths, "--case", str(tmp_path / "case"), "--format", "json"],
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
        timeout=300,
    )
    check_the_end(done.returncode, done.stdout, done.stderr)


@cache
def plain_sweep() -> dict[str, Any]:
    """What came of all small captures, nothing checked; a minute's work, which two tests look at."""
    return run_sweep(SMALL)


@pytest.mark.slow
@pytest.mark.xdist_group(GROUP)
def test_whole_cut_and_flipped_captures_are_read_cleanly_and_accounted_for() -> None:
    found = plain_sweep()
    assert found["overruns"] == {"element": "silent"}  # why the next test is needed
    assert len(found["readings"]) > 5 * len(SMALL)


@pytest.mark.slow
@pytest.mark.xdist_group(GROUP)
def test_no_kernel_leaves_its_arrays() -> None:
    """The same with every index checked; its compiled kernels are kept apart, since numba's cache ignores the flag."""
    checked = run_sweep(SMALL, **checked_kernels())
    assert checked["overruns"] == {"element": "raised", "load": "raised", "row": "raised"}
    assert checked["readings"] == plain_sweep()["readings"]
