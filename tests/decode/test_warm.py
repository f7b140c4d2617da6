from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from workbench.decode.warm import MODULES

ROOT = Path(__file__).parents[2]


def test_every_module_with_a_kernel_is_warmed() -> None:
    floor = ROOT / "workbench" / "decode"
    found = (p for p in floor.rglob("*.py") if "\n@exported(" in p.read_text())
    with_kernels = {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in found}
    assert {module for _, module in MODULES} == with_kernels
    for name, module in MODULES:
        assert name
        importlib.import_module(module)


def test_warming_fills_the_cache_once(tmp_path: Path) -> None:
    code = "import workbench.decode.framing_pcap"
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=300)
    first = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert first
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=300)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == first
