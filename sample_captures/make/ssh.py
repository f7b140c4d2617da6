"""Make ssh.pcapng and its ground truth: ``python -m sample_captures.make.ssh [FOLDER]`` (root; about 25 seconds).

An administrator logs in with a key and with a password, mistypes one first, copies a file with scp and forwards a port; a scanner
takes the host key and goes; the host that has no sshd refuses. sshd's log says who came from which port and how it ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.clients import fetch, knock
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "build": ("10.40.4.30", "build machine with sshd, and a page on its loopback"),
    "admin": ("10.40.4.60", "administrator"),
    "probe": ("10.40.4.66", "collects host keys"),
}
SERVER = HOSTS["build"][0]
PASSWORD = "Juniper-Anvil-26"
MISTYPED = "Juniper-Anvil-62"
COMMAND = "echo deploy-copper-lark; seq 1 3000"
CONTENT = "release notes nobody may read: the amber kite is grounded"
FORWARDED = 8022


def prepare(lab: Lab) -> None:
    """sshd with an account, and a web page only its own machine reaches."""
    servers.make_accounts(lab, "build", PASSWORD, ("build",))
    servers.start_sshd(lab, "build", SERVER)
    (lab.folder / "page").mkdir()
    (lab.folder / "page" / "index.html").write_text("<p>inside</p>\n" * 200)
    (lab.folder / "notes.txt").write_text(CONTENT + "\n" + "and so on\n" * 3000)
    pages = [sys.executable, "-m", "http.server", "8080", "--bind", "127.0.0.1", "--directory", str(lab.folder / "page")]
    lab.start("build", pages, "pages.log")
    wait_for("the page", lambda: lab.listening("build", 8080))


def visits(lab: Lab, truth: Truth, who: str, seen: int, **more: Any) -> None:
    """Note the connections that sshd's log has beyond the first ``seen``."""
    for visit in servers.ssh_visits(lab.text("build.sshd.log"))[seen:]:
        truth.add(
            who=who, proto="tcp", src=visit.source, src_port=visit.port, dst=SERVER, dst_port=22,
            outcome="completed", user=visit.user, login=visit.accepted, failed_passwords=visit.failures,
            **{"program": "ssh", "service": "ssh", **more},
        )  # fmt: skip


def log_in(lab: Lab, truth: Truth, remote: str, password: str | None, **more: Any) -> None:
    """ssh from ``admin`` with a password, or with the key where there is none."""
    seen = len(servers.ssh_visits(lab.text("build.sshd.log")))
    words = servers.ssh_command(lab, "ops", SERVER, remote, key=password is None)
    lab.run("admin", words, env=servers.askpass(lab, password) if password else None, check=password != MISTYPED)
    visits(lab, truth, "admin", seen, **more)


def forward(lab: Lab, truth: Truth) -> None:
    """A port forwarded over ssh, and a page fetched through it; at the bridge there is only ssh."""
    seen = len(servers.ssh_visits(lab.text("build.sshd.log")))
    words = servers.ssh_command(lab, "ops", SERVER, "", key=True)[:-1]
    tunnel = lab.start("admin", [*words[:1], "-N", "-L", f"127.0.0.1:{FORWARDED}:127.0.0.1:8080", *words[1:]], "forward.log")
    wait_for("the forwarded port", lambda: lab.listening("admin", FORWARDED))
    inside = Truth()
    statuses = fetch(lab, inside, "admin", f"http://127.0.0.1:{FORWARDED}/", options=("--max-time", "5"))
    lab.end(tunnel)
    visits(lab, truth, "admin", seen, forwarded=statuses, body_bytes=inside.connections[0]["body_bytes"])


def copy(lab: Lab, truth: Truth) -> None:
    """A file to the build machine with scp, under the key."""
    seen = len(servers.ssh_visits(lab.text("build.sshd.log")))
    notes = lab.folder / "notes.txt"
    options = servers.ssh_command(lab, "ops", SERVER, "", key=True)[1:-2]
    lab.run("admin", ["scp", "-O", "-q", *options, str(notes), f"ops@{SERVER}:{lab.folder}/copied.txt"])
    visits(lab, truth, "admin", seen, program="scp", sent_bytes=(lab.folder / "copied.txt").stat().st_size)


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Logins, a copy, a forwarded port, a look at the host key, a closed port."""
    for secret, kind in ((PASSWORD, "password"), (MISTYPED, "password"), (COMMAND, "command"), (CONTENT, "body")):
        truth.plant(secret, kind, clear=False)
    truth.step("logins")
    log_in(lab, truth, COMMAND, None, method="publickey")
    log_in(lab, truth, "true", MISTYPED, method="password")
    log_in(lab, truth, COMMAND, PASSWORD, method="password")
    time.sleep(0.5)
    truth.step("a copy and a forwarded port")
    copy(lab, truth)
    forward(lab, truth)
    truth.step("a look from outside")
    seen = len(servers.ssh_visits(lab.text("build.sshd.log")))
    key = lab.run("probe", ["ssh-keyscan", "-t", "ed25519", SERVER]).strip()
    wait_for("sshd to say who looked", lambda: len(servers.ssh_visits(lab.text("build.sshd.log"))) > seen)
    visits(lab, truth, "probe", seen, program="ssh-keyscan")
    knock(lab, truth, "admin", HOSTS["admin"][0], 45_022, HOSTS["probe"][0], 22)
    return {"host_key": key}


SAMPLE = Sample("ssh", "bridge of 10.40.4.0/24", 24, HOSTS, ("ssh", "curl", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
