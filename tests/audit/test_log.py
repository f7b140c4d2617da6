import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.audit.events import ACTIONS
from workbench.audit.log import GENESIS, MAX_LINE, AuditLog, canonical
from workbench.errors import AuditError, DiskFullError, ExternalError

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit.md"


def filled(folder: Path, n: int = 5) -> AuditLog:
    log = AuditLog(folder)
    for i in range(n):
        log.append("source_indexed", path=f"/captures/{i}.pcap", packets=i * 1000)
    return log


def test_lines_are_chained_and_verify(tmp_path: Path) -> None:
    log = filled(tmp_path)
    entries = log.read()
    assert [e.seq for e in entries] == [1, 2, 3, 4, 5]
    assert entries[0].prev == GENESIS
    assert [e.prev for e in entries[1:]] == [e.hash for e in entries[:-1]]
    assert entries[2].detail == {"path": "/captures/2.pcap", "packets": 2000}
    assert all(e.ts.endswith("Z") and "@" in e.actor for e in entries)
    verdict = log.verify()
    assert verdict.ok
    assert (verdict.entries, verdict.head) == (5, entries[-1].hash)
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_no_log_is_no_good_log(tmp_path: Path) -> None:
    assert not AuditLog(tmp_path).verify().ok
    assert AuditLog(tmp_path).read() == []


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_change_of_one_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    log = _shared(tmp_path_factory)
    good = log.path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    edit = data.draw(st.sampled_from(["change", "remove", "insert", "double"]))
    value = bytes([data.draw(st.integers(0, 255))])
    bad = {
        "change": good[:at] + bytes([good[at] ^ max(1, value[0])]) + good[at + 1 :],
        "remove": good[:at] + good[at + 1 :],
        "insert": good[:at] + value + good[at:],
        "double": good[:at] + good[at : at + 1] + good[at:],
    }[edit]
    try:
        log.path.write_bytes(bad)
        assert not log.verify().ok
    finally:
        log.path.write_bytes(good)
    assert log.verify().ok


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_lines_removed_moved_or_doubled_are_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    log = _shared(tmp_path_factory)
    good = log.path.read_bytes()
    lines = good.splitlines(keepends=True)
    order = data.draw(st.lists(st.integers(0, len(lines) - 1), min_size=1, max_size=8))
    try:
        log.path.write_bytes(b"".join(lines[n] for n in order))
        assert log.verify().ok == (order == list(range(len(order))))  # only a cut of the end stands, till a head is signed
    finally:
        log.path.write_bytes(good)


def _shared(factory: pytest.TempPathFactory) -> AuditLog:
    folder = factory.getbasetemp() / "audit-shared"
    if not folder.exists():
        folder.mkdir()
        filled(folder)
    return AuditLog(folder)


def test_a_line_written_anew_with_a_right_hash_breaks_the_chain(tmp_path: Path) -> None:
    log = filled(tmp_path)
    lines = log.path.read_bytes().splitlines()
    fields = json.loads(lines[2])
    del fields["hash"]
    fields["detail"] = {"path": "/another"}
    import hashlib

    fields["hash"] = hashlib.sha256(canonical(fields)).hexdigest()
    lines[2] = canonical(fields)
    log.path.write_bytes(b"\n".join(lines) + b"\n")
    assert [p.line for p in log.verify().problems] == [4]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_torn_last_line_is_reported_then_recorded(tmp_path: Path, cut: int) -> None:
    log = filled(tmp_path)
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-cut])
    verdict = log.verify()
    assert "torn" in verdict.problems[0].what
    assert verdict.entries == 4
    log.append("note_added", id=1)
    assert log.verify().ok
    assert [e.action for e in log.read()[-2:]] == ["log_recovered", "note_added"]
    assert log.read()[-2].detail["bytes"] == len(whole.splitlines(keepends=True)[-1]) - cut


def test_a_log_torn_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.path.write_bytes(b'{"action":"case_cr')
    log.append("case_created")
    assert log.verify().ok
    assert [e.action for e in log.read()] == ["log_recovered", "case_created"]


def test_a_damaged_last_line_is_not_built_upon(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.path.write_bytes(log.path.read_bytes().replace(b"4.pcap", b"5.pcap"))
    with pytest.raises(AuditError, match="last line"):
        log.append("note_added", id=1)


def test_hostile_text_cannot_leave_its_line(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    path = 'a\nb\r\x1b[2J\u2028\u202e\x00\udcff"}'
    log.append("source_refused", path=path)
    assert log.path.read_bytes().count(b"\n") == 1
    assert all(32 <= byte < 127 or byte == 10 for byte in log.path.read_bytes())
    assert log.read()[0].detail["path"] == path
    assert log.verify().ok


@pytest.mark.parametrize(
    "content",
    [
        b"\n",
        b"[]\n",
        b"{}\n",
        b"\x00" * 100,
        b"[" * 100_000 + b"\n",
        b'{"seq":' + b"9" * 10_000 + b"}\n",
        b"\xff\n",
        b"x" * (MAX_LINE + 9),
    ],
)
def test_whatever_stands_in_the_file_gets_a_verdict(tmp_path: Path, content: bytes) -> None:
    log = filled(tmp_path, 2)
    with log.path.open("ab") as file:
        file.write(content)
    assert not log.verify().ok
    assert len(log.read()) == 2


def test_only_known_actions_and_json_are_taken(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    with pytest.raises(ValueError, match="no such audit action"):
        log.append("something")
    for value in (float("nan"), object(), b"bytes"):
        with pytest.raises((ValueError, TypeError)):
            log.append("note_added", id=value)
    with pytest.raises(ValueError, match="too long"):
        log.append("note_added", id="x" * MAX_LINE)
    log.append("note_added", id=1)
    assert log.verify().ok
    assert len(log.read()) == 1


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = filled(tmp_path)
    before = log.path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError):
            log.append("note_added", id=1)
    assert log.path.read_bytes() == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ExternalError):
        AuditLog(tmp_path / "nothing").append("case_created")


def test_a_link_in_the_place_of_the_log_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"")
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "precious")
    with pytest.raises(ExternalError):
        AuditLog(tmp_path).append("case_created")
    assert (tmp_path / "precious").read_bytes() == b""


def _many(folder: str, n: int) -> None:
    for i in range(n):
        AuditLog(folder).append("note_added", id=i)


def test_processes_that_write_at_once_keep_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_many, args=(str(tmp_path), 20)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    log = AuditLog(tmp_path)
    assert log.verify().ok
    assert len(log.read()) == 60


def test_every_action_is_documented() -> None:
    page = DOCUMENT.read_text()
    for action, meaning in ACTIONS.items():
        assert f"| `{action}` | {meaning} |" in page
