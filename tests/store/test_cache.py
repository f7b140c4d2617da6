import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.rows import index
from workbench.errors import MissingPathError
from workbench.store import cache
from workbench.store.cache import cache_root, cached_case, case_key, evict
from workbench.store.case import CaseFolder
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "cache"))


def capture(path: Path, fill: bytes = b"x", size: int = 3 << 20) -> str:
    path.write_bytes(fill * size)
    return os.fspath(path)


def test_the_folder_follows_the_desktops_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_root() == tmp_path / "cache" / "workbench" / "cases"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root() == Path("/home/someone/.cache/workbench/cases")


def test_the_same_file_has_the_same_private_case(tmp_path: Path) -> None:
    path = capture(tmp_path / "a.pcap")
    case = cached_case([path])
    assert cached_case([path]) == case
    assert CaseFolder.is_case(case)
    assert stat.S_IMODE(case.stat().st_mode) == 0o700
    assert stat.S_IMODE(case.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("at", [0, 1_000_000, (3 << 20) - 1, (2 << 20) + 5])
def test_a_changed_end_is_another_case_even_with_the_old_times(tmp_path: Path, at: int) -> None:
    path = capture(tmp_path / "a.pcap")
    old = case_key([path])
    times = Path(path).stat()
    with Path(path).open("r+b") as file:
        file.seek(at)
        file.write(b"y")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert case_key([path]) != old


def test_time_size_inode_order_and_settings_count(tmp_path: Path) -> None:
    a, b = capture(tmp_path / "a.pcap"), capture(tmp_path / "b.pcap")
    keys = {case_key([a]), case_key([b]), case_key([a, b]), case_key([b, a]), case_key([a], "vni")}
    assert len(keys) == 5
    os.utime(a, ns=(1, 1))
    assert case_key([a]) not in keys
    with pytest.raises(MissingPathError):
        case_key([os.fspath(tmp_path / "nothing")])


def test_small_and_empty_files_have_keys(tmp_path: Path) -> None:
    assert case_key([capture(tmp_path / "a", size=0)]) != case_key([capture(tmp_path / "b", size=10)])


def old_case(tmp_path: Path, name: str, age: float) -> Path:
    case = cached_case([capture(tmp_path / name)])
    index(case, 100)
    stamp = time.time() - age
    os.utime(case / "case.toml", (stamp, stamp))
    return case


def test_the_one_unused_for_longest_goes_first_until_the_rest_fits(tmp_path: Path) -> None:
    cases = [old_case(tmp_path, f"{n}.pcap", 10_000 + 1000 * n) for n in range(3)]
    sizes = [sum(p.stat().st_blocks * 512 for p in c.rglob("*")) for c in cases]
    assert evict(sum(sizes)) == []
    assert evict(sum(sizes) - 1) == [cases[2]]
    assert [c.exists() for c in cases] == [True, True, False]
    assert sorted(p.name for p in cache_root().iterdir()) == sorted(c.name for c in cases[:2])
    assert evict(0) == [cases[1], cases[0]]
    assert evict(0) == []


def test_one_in_use_is_never_removed(tmp_path: Path) -> None:
    read, written, fresh, other = (old_case(tmp_path, n, 10_000) for n in ("read", "written", "fresh", "other"))
    os.utime(fresh / "case.toml")
    code = (
        "import sys; from pathlib import Path; from workbench.store.reader import CaseReader\n"
        "reader = CaseReader(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, os.fspath(read)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdout is not None
    child.stdout.readline()
    with CaseWriter(written):
        assert evict(0) == [other]
    child.communicate()
    with CaseReader(read) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist() == [{"n": 100}]


def test_an_evicted_case_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_FRESH", -1.0)
    path = capture(tmp_path / "a.pcap")
    case = cached_case([path])
    index(case, 10)
    assert evict(0) == [case]
    assert cached_case([path]) == case
    assert not (case / "case.duckdb").exists()


def test_other_tables_or_views_are_another_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = capture(tmp_path / "a.pcap", size=10)
    old = case_key([path])
    monkeypatch.setattr("workbench.store.schema.view_statements", lambda: {"v": "SELECT 1"})
    assert case_key([path]) != old
