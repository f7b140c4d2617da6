"""People with keys, bundles that they sign, and a dataplane that is a set of lines."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from workbench.push.resident import workbench_dpu as dpu

EVERYTHING = "dpu-policy,dpu-approval,dpu-confirm,dpu-members"
COOKIE = "0x57424331"
OLD = f"delete {dpu._OVS_OURS}\ncookie={COOKIE}00000001,table=200,priority=10,tcp,tp_dst=22,actions=drop\n"
NEW = f"delete {dpu._OVS_OURS}\ncookie={COOKIE}00000002,table=200,priority=10,tcp,tp_dst=443,actions=drop\n"


class People:
    """Keys made once; `sign` signs as one of them."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("ada", "ben", "eve")) -> None:
        self.folder = folder
        for name in names:
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
            subprocess.run(words, check=True)

    def signers(self, names: tuple[str, ...] = ("ada", "ben"), namespaces: str = EVERYTHING) -> str:
        lines = [f'{name} namespaces="{namespaces}" {(self.folder / f"{name}.pub").read_text()}' for name in names]
        return "".join(lines)

    def sign(self, name: str, text: str, namespace: str) -> str:
        words = ["ssh-keygen", "-Y", "sign", "-q", "-n", namespace, "-f", str(self.folder / name)]
        return subprocess.run(words, input=text.encode(), capture_output=True, check=True).stdout.decode()


def stage(text: str, until: int | None = None) -> dict[str, Any]:
    return {"until": until, "text": text, "digest": dpu.digest(text.encode())}


def bundle(**given: Any) -> dict[str, Any]:
    policy = "kind: Policy\n"
    whole: dict[str, Any] = {
        "version": 1,
        "kind": "workbench-dpu-bundle",
        "target": "dpu1",
        "dpu": "d" * 32,
        "dataplane": "ovs",
        "bridge": "br0",
        "sequence": 1,
        "previous": dpu.digest(b""),
        "expiry": 4_000_000_000,
        "window": 60,
        "author": "ada",
        "policy": {"name": "p", "digest": dpu.digest(policy.encode()), "text": policy},
        "test_report": {},
        "rules": [stage(OLD)],
        "adopt": "",
        "adopt_seconds": 0,
        "ids": {"1": "p/one", "2": "p/two"},
        "sets": {},
        "break_glass": "",
        "lapses": None,
    }
    return whole | given


class Lines:
    """A dataplane in memory that outlives the resident's process, as a switch would: `rows` is a file."""

    kind = "ovs"
    bridge = "br0"
    remembers = ""
    keep: tuple[int, ...] = ()

    def __init__(self, file: Path) -> None:
        self.file = file
        self.fails: str = ""
        self.taken: str = ""
        self.owned: str = ""
        self.loads = 0

    def load(self, text: str) -> None:
        if self.fails:
            raise dpu.Refused("dataplane", self.fails)
        self.loads += 1
        rows = [] if text.startswith("delete") else self._rows()
        fresh = self.file.with_suffix(".new")
        fresh.write_text("\n".join([*rows, *(row for row in text.splitlines() if "cookie=" in row and "delete" not in row)]))
        fresh.rename(self.file)  # one transaction, as a bundle is

    def _rows(self) -> list[str]:
        return [row for row in self.file.read_text().splitlines() if row] if self.file.exists() else []

    def running(self) -> str:
        if self.fails:
            raise dpu.Refused("dataplane", self.fails)
        return "".join(row + "\n" for row in sorted(self._rows()))

    told = running

    def occupied(self) -> str:
        return self.taken

    def owner(self) -> str:
        return self.owned

    def tells(self) -> bool:
        return False

    def emptied(self) -> bool:
        return not self.running()

    def missing(self, text: str) -> list[str]:
        wanted = {row for row in text.splitlines() if "cookie=" in row and "delete" not in row}
        return sorted(wanted ^ set(self._rows()))

    def counters(self) -> dict[str, list[int]]:
        return {}


def config(**given: Any) -> dict[str, Any]:
    base = {
        "version": 1,
        "target": "dpu1",
        "id": "d" * 32,
        "dataplane": "ovs",
        "bridge": "br0",
        "rundir": "",
        "longest_window": 300,
    }
    return base | {"longest_break_glass": 3600, "interval": 0.01, "enrolled": 1_700_000_000} | given


def folder_of(root: Path, people: People, **given: Any) -> Path:
    root.mkdir(mode=0o700, exist_ok=True)
    (root / "config.json").write_bytes(dpu.canonical(config(**given)))
    (root / "allowed_signers").write_text(people.signers())
    return root
