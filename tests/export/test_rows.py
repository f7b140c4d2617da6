from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path

from workbench.export.rows import appearing


def test_a_file_appears_when_all_went_well(tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("old")
    with contextlib.suppress(RuntimeError), appearing(out) as sink:
        sink.write(b"half")
        raise RuntimeError
    assert out.read_text() == "old"
    with appearing(out) as sink:
        sink.write(b"new")
    assert out.read_text() == "new"
    assert list(tmp_path.iterdir()) == [out]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[bytes] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    with appearing(pipe) as sink:
        sink.write(b"rows")
    reader.join()
    assert heard == [b"rows"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_file_behind_a_link_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with appearing(tmp_path / "link") as sink:
        sink.write(b"rows")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"rows"
