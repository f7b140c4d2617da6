from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.decode import bits

DATA = bytes(range(1, 20))
BUF = np.frombuffer(DATA, np.uint8)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("at", range(11))
def test_loads_at_any_alignment(at: int) -> None:
    assert bits.be16(BUF, at) == int.from_bytes(DATA[at : at + 2], "big")
    assert bits.be32(BUF, at) == int.from_bytes(DATA[at : at + 4], "big")
    assert bits.be64(BUF, at) == int.from_bytes(DATA[at : at + 8], "big")
    assert bits.le32(BUF, at) == int.from_bytes(DATA[at : at + 4], "little")
    assert bits.mac48(BUF, at) == int.from_bytes(DATA[at : at + 6], "big")


def test_a_hint_may_point_anywhere() -> None:
    bits.prefetch(BUF, 1 << 60)
    assert bits.fetch_ahead(BUF, 0, 10) >= 10


def run(code: str, tmp_path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT), **more}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=300)


OVERRUN = """
import numpy as np
from workbench.decode import bits
print("checked", bits.CHECKED)
buf = np.zeros(8, np.uint8)
for load, width in ((bits.be16, 2), (bits.be32, 4), (bits.be64, 8), (bits.le32, 4)):
    assert load(buf, 8 - width) == 0
    try:
        load(buf, 9 - width)
    except IndexError:
        print("caught")
"""


def test_a_planted_overrun_is_caught_when_checking(tmp_path: Path) -> None:
    done = run(OVERRUN, tmp_path, NUMBA_BOUNDSCHECK="1")
    assert done.stdout.split() == ["checked", "True"] + ["caught"] * 4, done.stderr


def test_checking_is_off_otherwise(tmp_path: Path) -> None:
    done = run("from workbench.decode import bits; print(bits.CHECKED)", tmp_path, NUMBA_BOUNDSCHECK="0")
    assert done.stdout.split() == ["False"]


def test_a_cached_kernel_is_stale_when_a_module_beside_it_changes(tmp_path: Path) -> None:
    module = tmp_path / "floor" / "a.py"
    module.parent.mkdir()
    module.write_text("")
    before = bits.stamp(module)
    assert bits.stamp(module) == before
    beside = tmp_path / "floor" / "b.py"
    beside.write_text("x = 1")
    after = bits.stamp(module)
    assert after != before
    os.utime(beside, ns=(1, 1))
    assert bits.stamp(module) not in (before, after)


def kernels_called(module: Path) -> set[str]:
    """Files of other folders that a kernel module imports functions from, to any depth, if they hold kernels."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench."):
                path = (ROOT / str(node.module).replace(".", "/")).with_suffix(".py")
                if path.exists() and path.name not in found and "@kernel" in path.read_text():
                    found.add(path.name)
                    waiting.append(path)
    return found


@pytest.mark.parametrize(
    "module", ["flows/update.py", "flows/ended.py", "decode/packets.py", "decode/application/dns_kernels.py"]
)
def test_a_compiled_kernel_is_stale_when_what_it_calls_has_changed(module: str) -> None:
    path = ROOT / "workbench" / module
    stamped = {line.split()[0] for line in bits.stamp(path).splitlines()}
    assert path.name in stamped
    assert kernels_called(path) <= stamped
