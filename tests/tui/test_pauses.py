"""Pauses of the interpreter: fewer and shorter ones in the process of the app, nothing changed elsewhere."""

from __future__ import annotations

import subprocess
import sys

from workbench.tui import pauses

_APP = """
import gc, sys
from workbench.tui import pauses
before = gc.get_threshold()
pauses.set_aside()
print(gc.get_freeze_count())
pauses.shorten()
print(gc.get_threshold()[0] > before[0], sys.getswitchinterval() < 0.005)
pauses.set_aside()
first = gc.get_freeze_count()
held = [[] for _ in range(1000)]
pauses.set_aside()
print(first > 1000, gc.get_freeze_count() == first)
held[0].append(held)
del held
print(gc.collect() >= 1000)
"""


def test_what_is_loaded_is_set_aside_once_and_only_in_the_app() -> None:
    said = subprocess.run([sys.executable, "-c", _APP], capture_output=True, text=True, check=True).stdout.split()
    assert said == ["0", "True", "True", "True", "True", "True"]


def test_the_app_shortens_them(monkeypatch) -> None:
    from workbench.tui import app

    def begun() -> None:
        raise LookupError("the settings are read after that")

    called: list[str] = []
    monkeypatch.setattr(app, "shorten", lambda: called.append("shorten"))
    monkeypatch.setattr(app, "load_settings", begun)
    try:
        app.run_app(None)  # type: ignore[arg-type]
    except LookupError:
        called.append("settings")
    assert called == ["shorten", "settings"]
    assert pauses.shorten is not app.shorten
