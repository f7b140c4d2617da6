"""The kernel cache is one's own or refused; warming tells its progress and leaves a mark."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import ExternalError
from workbench.workflows import kernels


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "to be restored")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    return tmp_path / "cache"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_folder_is_private_and_numba_is_told(cache_home: Path) -> None:
    folder = kernels.prepare_kernel_cache()
    assert folder.is_relative_to(cache_home / "workbench" / "kernels")
    assert os.environ["NUMBA_CACHE_DIR"] == str(folder)
    assert [mode(p) for p in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert kernels.prepare_kernel_cache() == folder


def test_an_open_folder_is_closed(cache_home: Path) -> None:
    folder = cache_home / "workbench"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    kernels.prepare_kernel_cache()
    assert mode(folder) == 0o700


def test_a_named_folder_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "mine"))
    assert kernels.prepare_kernel_cache() == tmp_path / "mine"
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_of_somebody_else_is_refused(named: bool, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache_home / "workbench" / "kernels"
    folder.mkdir(parents=True)
    if named:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    monkeypatch.setattr("os.geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(ExternalError, match="belongs to user"):
        kernels.prepare_kernel_cache()


def test_a_link_is_refused(cache_home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (cache_home / "workbench").mkdir(parents=True)
    (cache_home / "workbench" / "kernels").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExternalError, match="not a folder"):
        kernels.prepare_kernel_cache()


def test_an_open_named_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    with pytest.raises(ExternalError, match="others can write"):
        kernels.prepare_kernel_cache()


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_that_cannot_be_made_is_said(named: bool, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_home.write_text("a file in the way")
    if named:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache_home / "kernels"))
    with pytest.raises(ExternalError, match="cannot be used"):
        kernels.prepare_kernel_cache()


def test_a_relative_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernels.cache_folder() == tmp_path / ".cache" / "workbench"


def test_numba_is_not_loaded_to_prepare_its_cache() -> None:
    code = "import sys; from workbench.workflows.kernels import prepare_kernel_cache as p; p(); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_warming_tells_each_kernel_and_leaves_a_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        code = f"from pathlib import Path\nPath({os.fspath(tmp_path / name)!r}).write_text(__name__)\n"
        (tmp_path / f"kernels_{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kernels, "_groups", lambda: [("one", ("kernels_one",)), ("two", ("kernels_two",))])
    folder = kernels.prepare_kernel_cache()
    assert not kernels.warmed(folder)
    told: list[tuple[int, int, str]] = []
    assert kernels.warm(lambda done, total, name: told.append((done, total, name))) == 2
    assert [(tmp_path / name).read_text() for name in ("one", "two")] == ["kernels_one", "kernels_two"]
    assert told[0][:2] == (0, 2)
    assert told[-1] == (2, 2, "")
    assert kernels.warmed(folder)
    monkeypatch.setattr(kernels, "_fingerprint", lambda: "other sources")
    assert not kernels.warmed(folder)


def test_what_does_not_compile_is_raised_and_leaves_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_groups", lambda: [("none", ("no_module_of_this_name",))])
    folder = kernels.prepare_kernel_cache()
    with pytest.raises(ModuleNotFoundError, match="no_module_of_this_name"):
        kernels.warm()
    assert not kernels.warmed(folder)


def test_a_damaged_mark_counts_as_none(cache_home: Path) -> None:
    folder = kernels.prepare_kernel_cache()
    for text in ("[]", "{", "\x00"):
        (folder / "warm.json").write_text(text)
        assert not kernels.warmed(folder)
