"""A push to nftables in a namespace, on a disk that fills up."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.lab.pushing import Desk
from tests.push.resident.people import People
from workbench.errors import PushRefusedError
from workbench.workflows import push_policy

pytestmark = [
    pytest.mark.lab,
    needs.root("for network namespaces"),
    *(needs.program(name) for name in ("ip", "nft", "ssh-keygen")),
]
FOREIGN = 'add table ip theirs; add chain ip theirs c; add rule ip theirs c ip saddr 10.9.9.9 counter drop comment "theirs"'


class Box(Desk):
    space = f"wbpush{os.getpid()}"

    def nft(self, *words: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.space, "nft", *words], capture_output=True, text=True, check=True
        ).stdout

    def ours(self) -> set[int]:
        """The ports that are closed there."""
        said = self.nft("list", "ruleset")
        return {port for port in (80, 443) if f"dport {port}" in said or f"dport {{ {port} }}" in said or f" {port} " in said}

    def fill(self) -> None:
        with (self.folder / "far" / "filler").open("wb", buffering=0) as out, pytest.raises(OSError):  # noqa: PT012
            while True:
                out.write(b"x" * 4096)

    def free(self) -> None:
        (self.folder / "far" / "filler").unlink()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    subprocess.run(["ip", "netns", "add", Box.space], check=True)
    (tmp_path / "far").mkdir()
    (tmp_path / "keys").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(tmp_path / "far")], check=True)
    one = Box(tmp_path, People(tmp_path / "keys"), monkeypatch, f'kind = "nft"\naddress = "netns:{Box.space}"')
    try:
        one.nft(FOREIGN)
        yield one
        assert "theirs" in one.nft("list", "ruleset")
    finally:
        one.end()
        subprocess.run(["ip", "netns", "del", Box.space], check=True)
        time.sleep(0.1)
        subprocess.run(["umount", "-l", str(tmp_path / "far")], check=True)


def test_a_full_disk_changes_nothing_and_forgets_no_deadline(box: Box) -> None:
    foreign = box.nft("list", "table", "ip", "theirs")
    box.enrol()
    box.keep(80)
    assert box.ours() == {80}
    second = box.plan(443)
    box.fill()
    with pytest.raises(PushRefusedError) as caught:
        push_policy.apply_plan(second, 60)
    assert caught.value.code == "no-space"
    assert box.ours() == {80}
    box.free()
    mark = push_policy.apply_plan(second, 2).digest
    assert box.ours() == {443}
    box.fill()
    until = time.monotonic() + 20
    while box.ours() != {80}:
        assert time.monotonic() < until
        time.sleep(0.1)
    said = box.said()
    assert (said["pending"], said["last"]["digest"], said["last"]["outcome"]) == (None, mark, "rolled back")
    box.free()
    assert box.nft("list", "table", "ip", "theirs") == foreign
    # somebody edits a rule, then everything of ours goes away, as when nftables is started anew
    handle = next(
        line for line in box.nft("-a", "list", "table", "inet", "workbench_policy").splitlines() if "contain/closed" in line
    )
    chain = next(
        c for c in chains(box) if handle.split("# handle")[0].strip() in box.nft("list", "chain", "inet", "workbench_policy", c)
    )
    box.nft("delete", "rule", "inet", "workbench_policy", chain, "handle", handle.split("# handle ")[1])
    rows, silent = push_policy.drift(["dpu"])
    assert not silent
    assert {row.rule for row in rows} == {"contain/closed"}
    box.nft("delete", "table", "inet", "workbench_policy")
    until = time.monotonic() + 20
    while box.ours() != {80}:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert box.said()["gaps"]


def chains(box: Box) -> list[str]:
    said = box.nft("list", "table", "inet", "workbench_policy")
    return [line.split()[1] for line in said.splitlines() if line.strip().startswith("chain ")]
