"""Make guessing.pcapng and its ground truth: ``python -m sample_captures.make.guessing [FOLDER]`` (root; about 30 seconds).

Two intruders guess passwords, a connection a guess: one at an ssh server, one at a page behind Basic authentication, where the
guesses can be read on the wire. Both get in at last. A person logs in and reads the page, too.
"""

from __future__ import annotations

import base64
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.clients import LOG_FORMAT, fetch
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "build": ("10.40.5.30", "build machine with sshd"),
    "wiki": ("10.40.5.31", "wiki behind Basic authentication"),
    "admin": ("10.40.5.60", "administrator"),
    "bot": ("10.40.5.77", "guesses ssh passwords"),
    "crawler": ("10.40.5.78", "guesses the wiki's password"),
}
SSH_PASSWORD, WIKI = "Basalt-Wren-17", ("ops", "Thimble-Cove-43")
SSH_GUESSES = tuple(f"Basalt-Wren-{n:02d}" for n in range(1, 18))
WIKI_GUESSES = tuple(f"Thimble-Cove-{n:02d}" for n in range(4, 44))
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 64; }}
http {{
  {log_format} access_log {folder}/nginx.log who; server_tokens off; keepalive_timeout 3; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; root {folder}/www;
  server {{ listen 10.40.5.31:80; auth_basic "wiki"; auth_basic_user_file {folder}/basic; }}
}}
"""


def prepare(lab: Lab) -> None:
    """sshd and the wiki."""
    servers.make_accounts(lab, "build", SSH_PASSWORD, ("build",))
    servers.start_sshd(lab, "build", HOSTS["build"][0])
    (lab.folder / "www").mkdir()
    (lab.folder / "www" / "index.html").write_text("<h1>wiki</h1>\n" * 40)
    hashed = lab.run("wiki", ["openssl", "passwd", "-apr1", "-salt", "lab", WIKI[1]]).strip()
    (lab.folder / "basic").write_text(f"{WIKI[0]}:{hashed}\n")
    servers.run_nginx(lab, "wiki", NGINX.format(folder=lab.folder, log_format=LOG_FORMAT), 80)


def guess_ssh(lab: Lab, truth: Truth) -> dict[str, Any]:
    """One ssh client a guess; sshd's log says which failed."""
    truth.step("bot guesses at ssh")
    command = servers.ssh_command(lab, "ops", HOSTS["build"][0], "true", key=False)
    for guess in SSH_GUESSES:
        truth.plant(guess, "password", clear=False)
        lab.run("bot", command, env=servers.askpass(lab, guess), check=False)
    lab.run("admin", servers.ssh_command(lab, "ops", HOSTS["build"][0], "uptime", key=True))
    names = {address: host for host, (address, _role) in HOSTS.items()}
    tried = servers.ssh_visits(lab.text("build.sshd.log"))
    for visit in tried:
        truth.add(
            who=names[visit.source], program="ssh", proto="tcp", src=visit.source, src_port=visit.port, dst=HOSTS["build"][0],
            dst_port=22, service="ssh", outcome="completed", user=visit.user, login=visit.accepted,
            failed_passwords=visit.failures,
        )  # fmt: skip
    own = [visit for visit in tried if names[visit.source] == "bot"]
    return {"source": HOSTS["bot"][0], "guesses": len(own), "failed": sum(not visit.accepted for visit in own)}


def guess_wiki(lab: Lab, truth: Truth) -> dict[str, Any]:
    """One curl a guess; curl's status says which failed."""
    truth.step("crawler guesses at the wiki")
    page = f"http://{HOSTS['wiki'][0]}/"
    statuses = []
    for guess in WIKI_GUESSES:
        truth.plant(guess, "password", clear=False)
        truth.plant(base64.b64encode(f"{WIKI[0]}:{guess}".encode()).decode(), "header", clear=True)
        statuses += fetch(lab, truth, "crawler", page, options=("-u", f"{WIKI[0]}:{guess}"))
    fetch(lab, truth, "admin", page, page, options=("-u", ":".join(WIKI)))
    return {"source": HOSTS["crawler"][0], "guesses": len(statuses), "failed": statuses.count(401)}


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """One after the other."""
    ssh = guess_ssh(lab, truth)
    time.sleep(1)
    return {"guessing": {"ssh": ssh, "http": guess_wiki(lab, truth)}}


SAMPLE = Sample("guessing", "bridge of 10.40.5.0/24", 24, HOSTS, ("ssh", "curl", "nginx", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
