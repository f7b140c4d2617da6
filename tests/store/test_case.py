import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests import needs
from tests.store.rows import index
from workbench.errors import CaseBusyError, MissingPathError, NotACaseError
from workbench.store.case import CaseFolder, IngestLock, lock_holder
from workbench.store.reader import CaseReader

ROOT = Path(__file__).parents[2]


def test_a_case_says_what_it_is_and_stays_the_same(tmp_path: Path) -> None:
    case = CaseFolder.create(tmp_path / "a" / "b")
    said = case.describe()
    assert CaseFolder.create(tmp_path / "a" / "b").describe() == said
    assert set(said) == {"id", "created", "schema_version", "hash_key"}
    case.note_schema_version(7)
    assert case.describe() == said | {"schema_version": 7}


def test_private_cases_are_their_owners_only(tmp_path: Path) -> None:
    case = CaseFolder.create(tmp_path / "case", private=True)
    assert stat.S_IMODE(case.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "id = 3", "\xff", 'id = "a"', "x" * 100_000, 'id = "a"\nschema_version = "1"'])
def test_a_folder_whose_description_is_not_ours_is_no_case(tmp_path: Path, text: str) -> None:
    (tmp_path / "case.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(NotACaseError):
        CaseFolder.open(tmp_path)


def test_missing_and_wrong_paths(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError):
        CaseFolder.open(tmp_path / "nothing")
    with pytest.raises(NotACaseError):
        CaseFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPathError):
        CaseFolder.create(tmp_path / "file" / "case")
    with pytest.raises(NotACaseError, match="holds nothing yet"):
        CaseReader(CaseFolder.create(tmp_path / "empty").root)


def test_the_lock_is_one_and_goes_with_its_holder(tmp_path: Path) -> None:
    case = CaseFolder.create(tmp_path / "case")
    assert lock_holder(case) is None
    with IngestLock(case):
        assert lock_holder(case) == os.getpid()
        with pytest.raises(CaseBusyError, match=str(os.getpid())):
            IngestLock(case)
    assert lock_holder(case) is None
    code = (
        "import sys, time; from pathlib import Path; from workbench.store.case import *\n"
        "lock = IngestLock(CaseFolder.open(Path(sys.argv[1]))); print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, os.fspath(case.root)], stdout=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    child.stdout.readline()
    assert lock_holder(case) == child.pid
    with pytest.raises(CaseBusyError, match=f"process {child.pid}"):
        IngestLock(case)
    with pytest.raises(CaseBusyError, match=f"first index by process {child.pid}"):
        CaseReader(case.root)
    child.send_signal(signal.SIGKILL)
    child.wait()
    IngestLock(case).release()


#: Reads until it is told to stop; says how often, and every count it saw.
READER = """
import sys, time
from pathlib import Path
from workbench.store.reader import CaseReader

seen = []
with CaseReader(Path(sys.argv[1])) as reader:
    print("ready", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        row = reader.query("SELECT count(*) AS n, count(DISTINCT flow_id) AS d FROM flows").to_pylist()[0]
        assert row["n"] == row["d"], row
        if not seen or seen[-1] != row["n"]:
            seen.append(row["n"])
        if row["n"] >= int(sys.argv[2]):
            break
print(*seen)
"""


def test_two_other_processes_read_while_later_indexes_come_and_are_compacted(tmp_path: Path) -> None:
    case = tmp_path / "case"
    index(case, 1000, 1)
    children = [
        subprocess.Popen([sys.executable, "-c", READER, os.fspath(case), "4000"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for source_id in (2, 3, 4):
        index(case, 1000, source_id)
        time.sleep(0.1)
    for child in children:
        assert child.stdout is not None
        counts = [int(word) for word in child.stdout.read().split()]
        assert child.wait() == 0
        assert counts[-1] == 4000
        assert counts == sorted(counts)


@needs.root("to become nobody")
def test_a_case_that_cannot_be_written_can_be_read() -> None:
    code = (
        "import os, sys; from pathlib import Path; from workbench.store.reader import CaseReader\n"
        "CaseReader(Path(sys.argv[1])).query('FROM flows')  # imports what nobody may not read\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try:\n    Path(sys.argv[1], 'x').touch()\nexcept PermissionError:\n    print('cannot write')\n"
        "print(CaseReader(Path(sys.argv[1])).query('SELECT count(*) AS n FROM flows').to_pylist())"
    )
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are root's alone
        Path(open_to_all).chmod(0o755)
        case = Path(open_to_all) / "case"
        index(case, 10)
        out = subprocess.run([sys.executable, "-c", code, os.fspath(case)], capture_output=True, text=True, cwd=ROOT)
    assert out.stdout == "cannot write\n[{'n': 10}]\n", out.stderr
