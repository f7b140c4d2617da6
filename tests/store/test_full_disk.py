"""No space left: said as such, and what was committed before is there afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store.rows import index
from workbench.errors import DiskFullError
from workbench.store.engine import is_disk_full
from workbench.store.reader import CaseReader

ROOT = Path(__file__).parents[2]

#: Appends random-looking flows until the disk is full; says what was safe and which error came.
CHILD = """
import os, resource, sys
from pathlib import Path
import pyarrow as pa
from tests.store.rows import flows, source
from workbench.errors import DiskFullError
from workbench.store.writer import CaseWriter

import pyarrow.compute as pc

rows = flows(10000, int(sys.argv[2]))
ids, texts = rows.schema.get_field_index("flow_id"), rows.schema.get_field_index("community_id")

def noisy(n):
    noise = os.urandom(200 * 10000)
    column = pa.array([noise[200 * m : 200 * m + 200].hex() for m in range(10000)])
    more = rows.set_column(ids, "flow_id", pc.add(rows.column(ids), 10000 * n))
    return more.set_column(texts, "community_id", column)

if sys.argv[3:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
safe = 0
try:
    with CaseWriter(Path(sys.argv[1])) as writer:
        writer.add_source(source(int(sys.argv[2])))
        writer.commit(now=True)
        for n in range(25):
            writer.append("flows", noisy(n))
            writer.commit(now=True)
            safe += 10000
except DiskFullError as error:
    print(safe, error.title, "|", error.remedy)
"""


def fill(case: Path, source_id: int, *limit: str) -> int:
    """Run the child until the disk is full; how many flows were safe before that."""
    out = subprocess.run(
        [sys.executable, "-c", CHILD, os.fspath(case), str(source_id), *limit], capture_output=True, text=True, cwd=ROOT
    )
    assert "Disk full | Free some space" in out.stdout, out.stdout + out.stderr
    return int(out.stdout.split()[0])


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", disk]).returncode:
        pytest.skip("needs root to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def freed(case: Path, roomy: Path) -> Path:
    """The same folder where there is space: what its owner would do."""
    subprocess.run(["cp", "-a", case, roomy], check=True)
    return roomy


def test_a_disk_that_fills_up_in_a_first_index(small_disk: Path, tmp_path: Path) -> None:
    safe = fill(small_disk / "case", 1)
    assert safe > 0
    with CaseReader(freed(small_disk / "case", tmp_path / "roomy")) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows").to_pylist()[0]["n"] >= safe
        assert reader.query("SELECT state FROM sources").to_pylist() == [{"state": "partial"}]


def test_a_disk_that_fills_up_in_a_later_index_keeps_the_first(small_disk: Path, tmp_path: Path) -> None:
    case = small_disk / "case"
    index(case, 5000, 1)
    safe = fill(case, 2)
    assert safe > 0
    with CaseReader(freed(case, tmp_path / "roomy")) as reader:
        found = {r["source_id"]: r["n"] for r in reader.query("SELECT source_id, count(*) n FROM flows GROUP BY 1").to_pylist()}
    assert found[1] == 5000
    assert found[2] >= safe


@pytest.mark.parametrize("later", [False, True])
def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path: Path, later: bool) -> None:
    case = tmp_path / "case"
    if later:
        index(case, 5000, 1)
    safe = fill(case, 2, str(8 << 20))
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM flows WHERE source_id = 2").to_pylist()[0]["n"] >= safe
        assert reader.query("SELECT state FROM sources WHERE source_id = 2").to_pylist() == [{"state": "partial"}]


@pytest.mark.parametrize("text", ["IO Error: No space left on device", "Could not write all bytes to file", "File too large"])
def test_the_signs_of_a_full_disk(text: str) -> None:
    assert is_disk_full(OSError(text))
    assert not is_disk_full(OSError("No such file"))
    assert issubclass(DiskFullError, Exception)
