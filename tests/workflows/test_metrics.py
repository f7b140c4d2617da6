"""Figures in a file: replaced each second, by nobody else's leave, and never the end of a capture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.errors import MissingPathError
from workbench.workflows.metrics import Metrics
from workbench.workflows.requests import AttachStatus


def _status(packets: int) -> AttachStatus:
    return AttachStatus('eth"0\n', 1, "capturing", packets=packets)


def test_a_file_that_cannot_be_written_is_told_at_the_beginning_only(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    with pytest.raises(MissingPathError):
        Metrics(folder / "a.prom", None)
    folder.mkdir()
    with Metrics(folder / "a.prom", None) as metrics:
        metrics.hear(_status(1))
        assert 'workbench_packets_total{source="eth\\"0\\n"} 1' in (folder / "a.prom").read_text()
        (folder / "a.prom").unlink()
        folder.rmdir()  # as a full disk does
        metrics.hear(_status(2))
        folder.mkdir()
        metrics.hear(_status(3))
        assert "} 3\n" in (folder / "a.prom").read_text()
    assert [path.name for path in folder.iterdir()] == ["a.prom"]


def test_a_link_that_somebody_put_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / f".a.prom.{os.getpid()}").symlink_to(tmp_path / "precious")
    with Metrics(tmp_path / "a.prom", None) as metrics:
        metrics.hear(_status(1))
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "a.prom").is_symlink()
