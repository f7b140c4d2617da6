"""Who made which lab, and taking away what a lab left: its processes, namespaces, folder and record.

Each lab writes a record to ``/run/workbench-lab`` (or $WORKBENCH_LAB_RECORDS) before it makes anything: the pid of its maker and
when that process started, since pids come round again. Leaving a lab and sweeping up after a maker that was killed are then the
same thing, ``remove``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

RECORDS = Path(os.environ.get("WORKBENCH_LAB_RECORDS", "/run/workbench-lab"))
MARK = "WORKBENCH_LAB"
"""environment variable that tells, in every program of a lab, which lab it belongs to"""
TRIES = 200
PAUSE = 0.02
"""seconds between tries: a killed process is gone a moment later"""


def started(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), stat, field 22); None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def write_record(tag: str, folder: Path) -> None:
    """Note that this process owns the lab ``tag`` and its ``folder``; the note is whole or not there."""
    RECORDS.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "started": started(os.getpid()), "folder": str(folder), **machine()}
    half = RECORDS / f".{tag}.{os.getpid()}"
    half.write_text(json.dumps(owner))
    half.rename(RECORDS / f"{tag}.json")


def spaces(tag: str) -> list[str]:
    """The lab's network namespaces, by full name."""
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in said.splitlines() if line.startswith(f"{tag}-")]


def processes(tag: str) -> list[int]:
    """Every process that is in one of the lab's namespaces or was started by the lab; never this one or those above it."""
    found: set[int] = set()
    for space in spaces(tag):
        said = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True, check=False).stdout
        found.update(int(pid) for pid in said.split())
    mark = f"{MARK}={tag}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
            except OSError:
                continue  # gone meanwhile
    return sorted(found - _own_line())


def remove(tag: str, folder: Path) -> None:
    """Take the lab away, whatever of it there is; its record goes last. Doing it twice, or twice at once, does no harm."""
    for _ in range(TRIES):
        left = processes(tag)
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(PAUSE)
    for space in spaces(tag):
        subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
    (RECORDS / f"{tag}.json").unlink(missing_ok=True)


def sweep() -> list[str]:
    """Remove every lab whose maker is dead; their tags. Labs of makers in another container are not ours to judge."""
    gone = []
    here = machine()
    for half in RECORDS.glob(".wb*"):
        if started(int(half.suffix[1:])) is None:
            half.unlink(missing_ok=True)
    for note in sorted(RECORDS.glob("wb*.json")):
        try:
            owner = json.loads(note.read_text())
        except FileNotFoundError:
            continue  # its lab was left meanwhile
        same_boot = owner["boot"] == here["boot"]
        if same_boot and (owner["pid_space"] != here["pid_space"] or started(owner["pid"]) == owner["started"]):
            continue
        remove(note.stem, Path(owner["folder"]))
        gone.append(note.stem)
    return gone


def machine() -> dict[str, str]:
    """Which boot and which pid namespace this is: where another one's pids mean nothing."""
    return {
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid_space": str(Path("/proc/self/ns/pid").readlink()),
    }


def _own_line() -> set[int]:
    """This process and its ancestors: a lab may be swept from a shell that stood in another."""
    line = set()
    pid = os.getpid()
    while pid > 0:
        line.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:
            break
    return line
