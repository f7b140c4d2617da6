"""Versions of policies in a case: only added to, vouched for by the audit log, and never anywhere but there."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest

from workbench.audit.log import AuditLog
from workbench.errors import BadInputError, CancelledError, ExternalError, ForeignCaseError, UsageError
from workbench.store.case import CaseFolder
from workbench.workflows import policy_files, policy_versions
from workbench.workflows.policy_versions import NO_TIME, PolicyVersions


@pytest.fixture
def case(tmp_path):
    return CaseFolder.create(tmp_path / "case").root


@pytest.fixture
def kept(case):
    return PolicyVersions(case)


def test_versions_are_added_and_the_log_says_who_when_and_why(case, kept):
    assert kept.names() == []
    assert kept.versions("contain") == []
    assert kept.latest("contain") is None
    first = kept.save("contain", "one\n", "  cut\nSLP ")
    second = kept.save("contain", "two\n", "and ssh", base=1)
    assert (first.number, second.number) == (1, 2)
    assert kept.versions("contain") == [first, second]
    assert kept.latest("contain") == second
    assert (first.why, first.trouble, first.author) == ("cut SLP", "", AuditLog(case).read()[-1].actor)
    assert first.saved is not None
    assert kept.read("contain", 1) == "one\n"
    path = case / "policies" / "contain" / "0001.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entry = AuditLog(case).read()[-1]
    assert entry.detail["base"] == 1
    assert AuditLog(case).verify().ok


def test_what_is_there_is_never_written_over(case, kept):
    kept.save("contain", "one\n", "first")
    (case / "policies" / "contain" / "0002.yaml").write_text("another person's\n")
    third = kept.save("contain", "three\n", "third")
    assert third.number == 3
    assert kept.read("contain", 2) == "another person's\n"
    assert [one.trouble for one in kept.versions("contain")] == ["", "no line in the audit log", ""]
    (case / "policies" / "contain" / "0001.yaml").write_text("forged\n")
    assert kept.versions("contain")[0].trouble == "changed since it was saved"


def test_two_who_save_at_once_get_two_numbers(case, kept, monkeypatch):
    kept.save("contain", "one\n", "first")
    monkeypatch.setattr(PolicyVersions, "latest", lambda self, name: None)  # as if the other was not there yet
    assert kept.save("contain", "two\n", "second").number == 2


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "../a", "a\0b", "-a", "0a", "a" * 64, "a\n", "ä"])
def test_a_name_is_no_path(case, kept, name):
    for act in (kept.versions, kept.draft, kept.drop_draft):
        with pytest.raises(UsageError, match="cannot be the name"):
            act(name)
    with pytest.raises(UsageError, match="cannot be the name"):
        kept.save(name, "x", "why")
    with pytest.raises(UsageError, match="cannot be the name"):
        kept.keep_draft(name, "x")
    assert not (case / "policies").exists()


def test_what_cannot_be_kept_is_not(case, kept, monkeypatch):
    kept.save("contain", "one\n", "first")
    with pytest.raises(UsageError, match="exactly this"):
        kept.save("contain", "one\n", "again")
    with pytest.raises(UsageError, match="reason"):
        kept.save("contain", "two\n", " \n")
    with pytest.raises(UsageError, match="half a character"):
        kept.save("contain", "\ud800", "why")
    monkeypatch.setattr(policy_files, "MOST_BYTES", 4)
    with pytest.raises(UsageError, match="larger"):
        kept.save("contain", "three\n", "why")
    (case / "policies" / "contain" / "0001.yaml").write_text("too long")
    with pytest.raises(BadInputError, match="larger"):
        kept.read("contain", 1)
    with pytest.raises(UsageError, match="no version 7"):
        kept.read("contain", 7)


def test_no_version_without_its_line_in_the_log(case, kept, monkeypatch):
    def full(*_, **__):
        raise ExternalError("no space left")

    monkeypatch.setattr(AuditLog, "append", full)
    with pytest.raises(ExternalError):
        kept.save("contain", "one\n", "first")
    assert list((case / "policies" / "contain").iterdir()) == []


def test_a_strangers_links_lead_nowhere(case, kept, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0001.yaml").write_text("secret")
    (case / "policies").mkdir()
    (case / "policies" / "linked").symlink_to(elsewhere)
    (case / "policies" / "plain").mkdir()
    (case / "policies" / "plain" / "0001.yaml").symlink_to(elsewhere / "0001.yaml")
    os.mkfifo(case / "policies" / "plain" / "0002.yaml")
    (case / "policies" / "plain" / "0003.yaml").write_bytes(b"\xff\xfe")
    for act in (lambda: kept.versions("linked"), lambda: kept.save("linked", "x", "why"), lambda: kept.keep_draft("linked", "x")):
        with pytest.raises(ForeignCaseError):
            act()
    for number in (1, 2):
        with pytest.raises(ForeignCaseError):
            kept.read("plain", number)
    with pytest.raises(BadInputError, match="no text"):
        kept.read("plain", 3)
    troubles = [one.trouble for one in kept.versions("plain")]
    assert "link or no plain file" in troubles[0]
    assert all(troubles)
    kept.save("good", "one", "first")
    kept.keep_draft("good", "two")
    assert kept.newest().words == "good 1"
    assert [name for name, _ in kept.drafts()] == ["good"]
    assert sorted(one.name for one in elsewhere.iterdir()) == ["0001.yaml"]


def test_a_draft_is_kept_whole_and_goes_with_its_folder(case, kept):
    assert kept.drafts() == []
    kept.keep_draft("contain", "half")
    kept.keep_draft("contain", "half a policy\n")
    assert kept.draft("contain") == "half a policy\n"
    assert [name for name, _ in kept.drafts()] == ["contain"]
    assert [one.name for one in (case / "policies" / "contain").iterdir()] == ["draft.yaml"]
    kept.drop_draft("contain")
    assert kept.draft("contain") is None
    assert not (case / "policies" / "contain").exists()
    kept.save("contain", "one\n", "first")
    kept.keep_draft("contain", "two")
    kept.drop_draft("contain")
    assert kept.latest("contain").number == 1
    assert kept.newest().words == "contain 1"


def test_a_strange_draft_keeps_nobody_from_the_others(case, kept, tmp_path, monkeypatch):
    """A time of the year 20,000 that no calendar has, and a link: once either kept everything from being opened."""
    kept.save("good", "one", "first")
    kept.keep_draft("good", "two")
    kept.keep_draft("late", "three")
    os.utime(case / "policies" / "late" / "draft.yaml", (1 << 33, 1 << 33))
    stat_of = os.stat

    def far(*args, **more):  # file systems differ in how far their years go
        found = stat_of(*args, **more)
        if found.st_mtime != 1 << 33:
            return found
        return SimpleNamespace(st_mode=found.st_mode, st_mtime=1 << 39)

    monkeypatch.setattr(os, "stat", far)
    (case / "policies" / "linked").mkdir()
    (case / "policies" / "linked" / "draft.yaml").symlink_to(tmp_path)
    assert [(name, at == NO_TIME) for name, at in kept.drafts()] == [("good", False), ("late", True)]


def test_the_log_is_read_once_and_only_what_is_shown_is_hashed(case, kept, monkeypatch):
    for n in range(6):
        for name in ("a", "b", "c"):
            kept.save(name, f"{name} {n}", "why")
    (case / "policies" / "gone").mkdir()
    kept.save("gone", "one", "why")
    (case / "policies" / "gone" / "0001.yaml").unlink()
    logs, reads = [], []
    entries, data = AuditLog.read, policy_files.read
    monkeypatch.setattr(AuditLog, "read", lambda self: (logs.append(1), entries(self))[1])
    monkeypatch.setattr(policy_files, "read", lambda *args: (reads.append(1), data(*args))[1])
    assert kept.newest().words == "c 6"
    assert (len(logs), len(reads)) == (1, 1)
    monkeypatch.setattr(policy_versions, "_MOST_OF_ONE", 4)
    monkeypatch.setattr(policy_versions, "MOST_LISTED", 10)
    found, left_out = kept.listed(kept.names())
    assert [one.words for one in found] == [*(f"a {n}" for n in (3, 4, 5, 6)), *(f"b {n}" for n in (3, 4, 5, 6)), "c 5", "c 6"]
    assert (left_out, len(logs), len(reads)) == (8, 2, 11)
    with pytest.raises(CancelledError):
        kept.listed(kept.names(), lambda: True)
    assert len(reads) == 11


def test_a_case_that_cannot_be_written_says_so(kept, monkeypatch):
    kept.save("contain", "one\n", "first")
    monkeypatch.setattr(PolicyVersions, "readable_only", True)
    for act in (lambda: kept.save("contain", "two", "why"), lambda: kept.keep_draft("contain", "two")):
        with pytest.raises(ExternalError, match="read-only"):
            act()
    assert kept.read("contain", 1) == "one\n"
