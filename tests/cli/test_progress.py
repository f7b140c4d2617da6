"""Progress is drawn on a terminal's stderr, with the time left, and nowhere else."""

import io
from contextlib import redirect_stderr

import pytest

from workbench.cli.progress import index_progress, warm_progress
from workbench.workflows.requests import PHASES, Progress


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stderr = Terminal()
    for name, value in {"TERM": "xterm", "COLUMNS": "140", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return stderr


def test_indexing_is_drawn_with_what_it_reads(terminal: Terminal) -> None:
    with redirect_stderr(terminal), index_progress() as show:
        assert show is not None
        for phase in PHASES:
            show(Progress(50_000_000, 100_000_000, 1_234_567, 89, "/x/[/evil]\x1b[2J.pcap", phase))
    drawn = terminal.getvalue()
    assert "1,234,567 packets" in drawn
    assert "50.0/100.0 MB" in drawn
    assert "-:--:--" in drawn  # where the time left stands; one look is too few to know it
    assert "Naming flows" in drawn
    assert "\x1b[2J" not in drawn


def test_an_unknown_total_is_no_error(terminal: Terminal) -> None:
    with redirect_stderr(terminal), index_progress() as show:
        assert show is not None
        show(Progress(5, None, 1, 1, "-", "read"))
    assert "1 packets" in terminal.getvalue()


def test_kernels_are_counted(terminal: Terminal) -> None:
    with redirect_stderr(terminal), warm_progress() as show:
        assert show is not None
        show(3, 7, "frame_pcap")
    assert "3/7" in terminal.getvalue()
    assert "frame_pcap" in terminal.getvalue()


@pytest.mark.parametrize("term", ["dumb", None])
def test_silence_where_nobody_watches(term: str | None, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    if term is None:
        monkeypatch.setattr(Terminal, "isatty", lambda _self: False)
    else:
        monkeypatch.setenv("TERM", term)
    with redirect_stderr(terminal), index_progress() as show, warm_progress() as warm:
        assert show is None
        assert warm is None
    assert terminal.getvalue() == ""
