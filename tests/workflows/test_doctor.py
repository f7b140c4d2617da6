"""The doctor says what is there, what is not, and what then does not work."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests import needs
from workbench.__main__ import _wrong_keys
from workbench.dissect.tshark import Tshark
from workbench.workflows import doctor
from workbench.workflows.doctor import Check, examine

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "to be restored")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_CONFIG", raising=False)
    return tmp_path


def found(name: str) -> Check:
    return next(check for check in examine() if check.name == name)


def test_here_nothing_required_is_missing() -> None:
    checks = list(examine())
    assert [c for c in checks if c.state == "wrong"] == []
    assert all(c.value for c in checks)
    assert all(c.advice for c in checks if c.state == "missing")


def test_every_dependency_is_checked_at_its_declared_version() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(f"{name}>={least}" for name, least in doctor._PACKAGES) == sorted(declared)


@pytest.mark.parametrize("version", ["0.1", "1.3.9rc1"])
def test_an_old_package_is_wrong(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: version)
    assert found("duckdb") == Check("package", "duckdb", "wrong", version, "Needs 2.0 or later.")


def test_an_absent_package_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", version)
    assert found("numba").state == "wrong"
    assert "numba>=" in found("numba").advice


def test_absent_programs_are_missing_and_say_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    check = found("tcpdump")
    assert check.state == "missing"
    assert "capturing" in check.advice
    git = found("git")
    assert (git.state, git.advice) == ("missing", "Needed for anchors of audit logs with a git remote.")
    check = found("tshark")
    assert check.state == "missing"
    assert "apt install tshark" in check.advice


@needs.program("tshark")
def test_the_tshark_that_dissects_is_named_and_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    check = found("tshark")
    assert check.state in ("ok", "info")
    assert check.value[0].isdigit()
    monkeypatch.setattr("workbench.dissect.dissector.find_tshark", lambda _cache: Tshark("/bin/tshark", "9.9.9", ("a.b", "c.d")))
    check = found("tshark")
    assert (check.state, check.value) == ("info", "9.9.9, /bin/tshark")
    assert "lacks 2" in check.advice
    assert "a.b, c.d." in check.advice


def test_a_tshark_that_does_not_answer_is_told(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (homes / "tshark").write_text("#!/bin/sh\nexit 1\n")
    (homes / "tshark").chmod(0o755)
    monkeypatch.setenv("PATH", f"{homes}:/usr/bin:/bin")
    check = found("tshark")
    assert check.state == "missing"
    assert "does not answer" in check.value


def test_a_wrong_settings_file_is_named(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = homes / "settings.toml"
    monkeypatch.setenv("WORKBENCH_CONFIG", str(path))
    path.write_text("[flows]\nudp_idl = 3\n")
    check = found("settings file")
    assert check.state == "wrong"
    assert "udp_idle" in check.advice
    path.write_text("[flows]\nudp_idle = 3\n")
    assert found("settings file").state == "ok"


def test_a_cache_of_somebody_else_is_wrong(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: homes.stat().st_uid + 1)
    assert found("compiled kernels").state == "wrong"


def test_the_cache_is_measured(homes: Path) -> None:
    folder = homes / "cache" / "workbench" / "cases"
    folder.mkdir(parents=True)
    (folder / "x").write_bytes(bytes(3 * 1024 * 1024))
    assert found("cache folder").value.startswith("3.0 MiB in ")


@pytest.mark.parametrize(
    ("env", "colours"),
    [
        ({"NO_COLOR": "1"}, "off (NO_COLOR)"),
        ({"TERM": "dumb"}, "none (TERM=dumb)"),
        ({"TERM": "xterm"}, "16 (TERM=xterm)"),
        ({"TERM": "xterm-256color"}, "256 (TERM=xterm-256color)"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "16 million (TERM=xterm)"),
    ],
)
def test_terminal(env: dict[str, str], colours: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"COLUMNS": "70", "LINES": "20", **env}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert found("colours").value == colours
    assert found("size").value == "70x20"
    assert "80x24" in found("size").advice


def test_libpcap_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.sources import bpf

    monkeypatch.setattr(bpf, "_NAMES", ("libno-such-library.so.7",))
    bpf._libpcap.cache_clear()
    try:
        check = found("libpcap")
    finally:
        bpf._libpcap.cache_clear()
    assert check.state == "missing"
    assert "Install libpcap" in check.advice


def test_keys_that_clash_are_named(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = homes / "settings.toml"
    monkeypatch.setenv("WORKBENCH_CONFIG", str(path))
    monkeypatch.setattr(doctor, "key_checks", [_wrong_keys])
    path.write_text("")
    assert [check for check in examine() if check.name == "keys"] == []
    path.write_text('[keys]\n"case.reload" = "L"\n')
    check = found("keys")
    assert (check.state, check.value) == ("wrong", "1 changed")
    assert "L is the key of both case.ledger and case.reload" in check.advice
    path.write_text('[keys]\n"case.ledger" = "f12"\n')
    assert (found("keys").state, found("keys").advice) == ("ok", "")


def test_the_program_itself_has_the_keys_checked(homes: Path) -> None:
    path = homes / "settings.toml"
    path.write_text('[keys]\n"case.ledgr" = "x"\n')
    env = {**os.environ, "WORKBENCH_CONFIG": str(path), "PYTHONPATH": str(ROOT)}
    said = subprocess.run([sys.executable, "-m", "workbench", "doctor"], env=env, capture_output=True, text=True, check=False)
    assert 'There is no action "case.ledgr"; the nearest is case.ledger.' in said.stdout
    assert said.returncode == 4
