"""A policy is read from a file, a folder or a pipe, in bounds, and whatever cannot be read is named."""

import os
from pathlib import Path

import pytest

from tests.policy.test_loader import EXAMPLE
from workbench.errors import MissingPathError, PolicyError
from workbench.policy import reading
from workbench.policy.reading import read_policy, read_texts

HEAD = "apiVersion: workbench/v1\nkind: Policy\n"


def test_a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "esxi.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + EXAMPLE.encode())
    loaded = read_policy(file)
    assert loaded.policy.metadata.name == "contain-esxi"
    assert loaded.where("metadata") == (str(file), 3)


def test_a_folder_is_joined_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(EXAMPLE)
    (tmp_path / "a").mkdir()
    more = "rules:\n  - {name: first, tier: app, priority: 1, action: allow, from: any, to: any}\n"
    (tmp_path / "a" / "more.yml").write_text(HEAD + more)
    (tmp_path / "note.txt").write_text("{")
    (tmp_path / ".hidden.yaml").write_text("{")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("{")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    loaded = read_policy(tmp_path)
    assert [rule.name for rule in loaded.policy.rules] == ["first", "no-guest-to-mgmt", "vmotion"]
    assert loaded.where("rules", 0)[0].endswith("a/more.yml")


def test_a_link_to_a_file_is_read_and_one_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").write_text(EXAMPLE)
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "a.yaml").symlink_to(tmp_path / "there")
    assert len(read_texts(folder)) == 1
    (folder / "b.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(PolicyError, match=r"b\.yaml:1: this is no file"):
        read_policy(folder)


def test_a_pipe_that_is_named_is_read_but_not_one_in_a_folder(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, EXAMPLE.encode())
    os.close(theirs)
    assert read_policy(Path(f"/dev/fd/{ours}")).policy.metadata.name == "contain-esxi"
    os.close(ours)
    os.mkfifo(tmp_path / "fifo.yaml")
    with pytest.raises(PolicyError, match=r"fifo\.yaml:1: this is no file"):
        read_policy(tmp_path)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="nowhere"):
        read_policy(tmp_path / "nowhere")
    with pytest.raises(PolicyError, match=r"no \*\.yaml"):
        read_policy(tmp_path)
    (tmp_path / "a.yaml").write_bytes(HEAD.encode() + b"metadata: {name: \xff}\n")
    with pytest.raises(PolicyError, match=r"a\.yaml:3: byte 0xff is no UTF-8"):
        read_policy(tmp_path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        (tmp_path / name).write_text(HEAD + "#" * 100)
    monkeypatch.setattr(reading, "MOST_TOGETHER", 300)
    with pytest.raises(PolicyError, match="together"):
        read_texts(tmp_path)
    monkeypatch.setattr(reading, "MOST_FILES", 2)
    with pytest.raises(PolicyError, match="more than 2 files"):
        read_texts(tmp_path)
    monkeypatch.setattr(reading, "MOST_BYTES", 50)
    with pytest.raises(PolicyError, match=r"a\.yaml:1: the file is larger"):
        read_texts(tmp_path / "a.yaml")
    with pytest.raises(PolicyError, match="larger"):
        read_texts(Path("/dev/zero"))
