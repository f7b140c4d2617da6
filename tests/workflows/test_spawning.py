"""Processes are started from within the app, which has taken stderr."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_APP = """import sys
from multiprocessing import get_context

class Held:
    def write(self, text): pass
    def flush(self): pass
    def fileno(self): return -1

if __name__ == "__main__":
    {ready}
    sys.stderr = Held()
    process = get_context("spawn").Process(target=print)
    process.start()
    process.join()
    print("ended", process.exitcode, type(sys.stderr).__name__)
"""


def _run(tmp_path: Path, ready: str) -> str:
    script = tmp_path / "app.py"
    script.write_text(_APP.format(ready=ready))
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_process_starts_where_stderr_has_no_number(tmp_path: Path) -> None:
    said = _run(tmp_path, "from workbench.workflows.spawning import ready_to_spawn; ready_to_spawn()")
    assert said.strip() == "ended 0 Held"
