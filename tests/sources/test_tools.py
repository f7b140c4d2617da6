"""Programs are found on PATH and asked their version, whatever they answer."""

from pathlib import Path

import pytest

from workbench.sources import tools
from workbench.sources.tools import Tool, find_tool


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "prog"


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'TShark (Wireshark) 4.0.17 (Git v4).'", "4.0.17"),
        ("echo 'tcpdump version 4.99.3' >&2; exit 1", "4.99.3"),
        ("echo 'OpenSSH_9.2p1 Debian-2+deb12u7'", "9.2p1"),
        ("echo nothing", None),
        ("printf '\\377\\376 1.2'", "1.2"),
        ("exit 3", None),
    ],
)
def test_versions(program: Path, script: str, version: str | None) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert find_tool("prog") == Tool("prog", str(program), version)


def test_absent_broken_and_hanging_programs(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_tool("prog") == Tool("prog", None, None)
    program.write_bytes(b"\x7fELF but not really")
    program.chmod(0o755)
    assert find_tool("prog") == Tool("prog", str(program), None)
    monkeypatch.setattr(tools, "_SECONDS", 0.2)
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    assert find_tool("prog") == Tool("prog", str(program), None)
