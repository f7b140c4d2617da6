"""A DPU for tests: a folder, a dataplane in memory, and clocks that a test moves."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tests.push.resident.people import Lines, People, bundle, folder_of
from workbench.push.resident import workbench_dpu as dpu


class Box:
    """A DPU: its folder, its dataplane, its clocks. Every request is a new process' worth of Resident."""

    def __init__(self, folder: Path, people: People) -> None:
        self.folder = folder_of(folder, people)
        self.people = people
        self.lines = Lines(folder / "switch")
        self.sees = True
        self.boot, self.at, self.wall = "boot-1", 1000.0, 1_800_000_000.0
        self.watcher = os.open(folder / "watch.lock", os.O_RDWR | os.O_CREAT)
        fcntl.flock(self.watcher, fcntl.LOCK_EX)

    def resident(self) -> dpu.Resident:
        one = dpu.Resident(self.folder)
        one.dataplane = self.lines  # type: ignore[assignment]
        return one

    def look(self) -> None:
        """As the daemon says that it saw everything in order."""
        os.pwrite(self.watcher, f"{self.boot} {self.at:.2f}\n".ljust(80).encode(), 0)

    def ask(self, what: str, **given: Any) -> dict[str, Any]:
        if what == "apply" and self.sees:
            self.look()
        return self.resident().answer({"protocol": dpu.PROTOCOL, "ask": what, **given})

    def push(self, signer: str = "ada", approver: str = "ben", window: int | None = None, **given: Any) -> str:
        """Apply a bundle; its digest."""
        given.setdefault("previous", dpu.digest(self.lines.running().encode()))
        text = dpu.canonical(bundle(**given)).decode()
        more = {"approval": self.people.sign(approver, text, dpu.APPROVAL)} if approver else {}
        signature = self.people.sign(signer, text, dpu.POLICY)
        return self.ask("apply", bundle=text, signature=signature, window=window, **more)["digest"]

    def state_of(self, kind: str, namespace: str, what: str, signer: str = "ada", **given: Any) -> dict[str, Any]:
        text = dpu.canonical({"kind": kind, "target": "dpu1", **given}).decode()
        return self.ask(what, statement=text, signature=self.people.sign(signer, text, namespace))

    def confirm(self, mark: str) -> dict[str, Any]:
        return self.state_of("workbench-dpu-confirm", dpu.CONFIRM, "confirm", bundle=mark)

    def tick(self, compare: bool = False) -> dict[str, Any]:
        one = self.resident()
        with one.held():
            one._due(compare)
        return one.state

    def later(self, seconds: float) -> None:
        self.at += seconds
        self.wall += seconds

    def restart(self) -> None:
        """The machine: another boot, clocks from 0, and a switch that has forgotten everything."""
        self.boot, self.at = self.boot + "+", 5.0
        self.lines.file.unlink(missing_ok=True)


@contextlib.contextmanager
def boxed(folder: Path, people: People) -> Iterator[Box]:
    """One whose clocks are the test's, for as long as the block."""
    folder.mkdir()
    one = Box(folder, people)
    with (
        mock.patch.object(dpu, "boot_id", side_effect=lambda: one.boot),
        mock.patch.object(dpu, "boottime", side_effect=lambda: one.at),
        mock.patch.object(dpu.time, "time", side_effect=lambda: one.wall),
    ):
        yield one
    os.close(one.watcher)
