"""The pictures of docs/tutorial.md and docs/editor.md, of the app as it is: one session over the bundled capture, key by key.

`make pictures` (or `python -m docs.pictures.make [FOLDER]`) writes one SVG each. Nothing of this machine is in them: case and
capture lie in a folder that goes away, what an answer costs is fixed, no font is fetched from anywhere, and the names that
the writer of SVG makes of a checksum are numbered as they come. The same app makes the same bytes.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

HERE: Final = Path(__file__).parent
SAMPLE: Final = HERE.parents[1] / "sample_captures" / "esxi-lateral.pcapng"
SIZE: Final = (120, 36)

FILTER: Final = " && tcp.dstport == 22"
NOTE: Final = "train-7 has no business with a hypervisor"


@dataclass(frozen=True)
class Picture:
    """What is pressed before it is taken, after the one above; `<text>` is typed letter by letter."""

    name: str
    about: str
    keys: tuple[str, ...]


PICTURES: Final = (
    Picture("overview", "what happened, and what to look at first", ("1",)),
    Picture("scan", "the flows of a scan", ("j", "enter")),
    Picture("findings", "a finding, explained", ("5", "D", "g", "j")),
    Picture("filter", "a filter while it is typed", ("v", "slash", f"<{FILTER}>")),
    Picture("packets", "the packets of a flow", ("enter", "G", "p")),
    Picture("note", "a note on a flow", ("escape", "n", f"<{NOTE}>")),
    Picture("sql", "a question in SQL", ("ctrl+s", "7", "f5")),
    Picture("matrix", "who talks to whom", ("escape", "4", "backspace", "backspace", "backspace", "enter")),
    Picture("workloads", "who was there when", ("3",)),
)

#: Of docs/editor.md: the session goes on.
EDITOR: Final = (
    Picture("draft", "a finding's containment, and what it would have stopped", ("5", "g", "j", "d")),
    Picture("proof", "what a policy changes, for every packet there can be", ("f3",)),
    Picture("then", "had it been in force then", ("f8",)),
)


class _Moment(float):
    """A clock that says of everything that it took twelve milliseconds."""

    def __sub__(self, _: float) -> float:
        return 0.012


def written(folder: Path) -> list[Path]:
    """Take every picture and write it into that folder; their paths."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        person = {name: str(home / "person") for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        with patch.dict(os.environ, {**person, "TERM": "xterm-256color", "COLORTERM": "truecolor"}):
            os.environ.pop("NO_COLOR", None)
            taken = asyncio.run(_taken(home))
    paths = []
    for name, svg in taken:
        paths.append(folder / f"{name}.svg")
        paths[-1].write_text(svg, "utf-8")
    return paths


async def _taken(home: Path) -> list[tuple[str, str]]:
    """The session: (name, SVG) of each picture. What it imports starts threads, and reads the environment."""
    from workbench.tui.application import WorkbenchApp
    from workbench.tui.case_data import StoredCase
    from workbench.workflows.ingest import index_sources
    from workbench.workflows.requests import IndexRequest

    index_sources(IndexRequest((shutil.copy(SAMPLE, home),), home / "case"))
    data = StoredCase.open(home / "case")
    taken = []
    with patch("workbench.tui.inquiry.monotonic", _Moment):
        async with WorkbenchApp(data).run_test(size=SIZE) as pilot:
            for picture in (*PICTURES, *EDITOR):
                for key in picture.keys:
                    await _pressed(pilot, key)
                taken.append((picture.name, await _shot(pilot, picture.about)))
    data.close()
    return taken


async def _pressed(pilot: Any, key: str) -> None:
    from tests.tui.driving import case_screen, settle
    from workbench.tui.views.findings import FindingsView

    await settle(pilot)
    await pilot.press(*({" ": "space"}.get(letter, letter) for letter in key[1:-1]) if key[0] == "<" else (key,))
    await settle(pilot)
    shown = case_screen(pilot).shown
    if isinstance(shown, FindingsView) and key == "D":  # what was found is read from the case, which has grown
        while not shown.table.total or shown.table.record is None:
            await settle(pilot)


async def _shot(pilot: Any, about: str) -> str:
    from textual.widgets import Input, TextArea

    from tests.tui.driving import case_screen, settle
    from workbench.tui.views.sql import SqlView

    pilot.app.clear_notifications()
    for line in (*pilot.app.screen.query(Input), *pilot.app.screen.query(TextArea)):
        line.cursor_blink = False
    shown = case_screen(pilot).shown
    if isinstance(shown, SqlView) and shown._ended is not None and shown._ended.answered is not None:
        shown._ended.answered = replace(shown._ended.answered, seconds=0.012)
        shown._titles()
    await settle(pilot)
    names: dict[str, int] = {}
    svg = re.sub(r"@font-face \{.*?\}\s*", "", pilot.app.export_screenshot(title=f"workbench: {about}"), flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)  # some viewers drop spaces that a line begins with
    return re.sub(r"terminal-(\d+)", lambda found: f"terminal-{names.setdefault(found[1], len(names))}", svg)


def main() -> None:
    """Write them here, or into the folder that is named."""
    for path in written(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE):
        sys.stdout.write(f"{path.name}  {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
