"""Make certificates.pcapng and its ground truth: ``python -m sample_captures.make.certificates [FOLDER]`` (root; ten seconds).

One web server, five names, a certificate each: in order, expired, not yet valid, self-signed, and self-signed and expired too.
All speak TLS 1.2, where certificates can be read on the wire; the first speaks TLS 1.3 as well, where they can't. One client
looks at nothing (``curl -k``), another trusts the lab's authority and breaks off where something is wrong.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sample_captures.make import clients, servers
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "web": ("10.40.13.10", "web server of five names"),
    "job": ("10.40.13.21", "a job whose client checks nothing"),
    "desk": ("10.40.13.22", "a person's workstation, whose client checks"),
}
WEB = HOSTS["web"][0]
DAYS = {
    "shop.lab.example": (-30, 335),
    "archive.lab.example": (-400, -35),
    "launch.lab.example": (20, 385),
    "printer.lab.example": (-100, 3550),
    "scanner.lab.example": (-800, -70),
}
"""name -> valid from and until, days from now"""
OWN = ("printer.lab.example", "scanner.lab.example")
"""sign their own"""
MODERN = 8443
SITE = """
  server {{ listen {address}:443 ssl; server_name {name}; ssl_protocols TLSv1.2;
    ssl_certificate {folder}/{name}.crt; ssl_certificate_key {folder}/{name}.key; }}
"""
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 64; }}
http {{
  {log}
  access_log {folder}/nginx.log who; server_tokens off; root {folder}/www;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {sites}
  server {{ listen {address}:8443 ssl; server_name shop.lab.example; ssl_protocols TLSv1.3;
    ssl_certificate {folder}/shop.lab.example.crt; ssl_certificate_key {folder}/shop.lab.example.key; }}
}}
"""
AUTHORITY = """
[ca]
default_ca = lab
[lab]
new_certs_dir = {folder}/issued
database = {folder}/index.txt
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
organizationName = optional
commonName = supplied
"""


def issue(lab: Lab, name: str) -> None:
    """One name's key and certificate."""
    here, key = lab.folder, ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    now = datetime.now(UTC).replace(microsecond=0)
    first, last = (now + timedelta(days=days) for days in DAYS[name])
    about = ["-subj", f"/O=Example Works/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    lab.run("web", ["openssl", "req", "-new", *key, "-keyout", f"{here}/{name}.key", "-out", f"{here}/{name}.csr", *about])
    signed = (
        ["-selfsign", "-keyfile", f"{here}/{name}.key"]
        if name in OWN
        else ["-cert", f"{here}/ca.crt", "-keyfile", f"{here}/ca.key"]
    )
    dates = ["-startdate", f"{first:%Y%m%d%H%M%SZ}", "-enddate", f"{last:%Y%m%d%H%M%SZ}"]
    words = ["openssl", "ca", "-batch", "-notext", "-config", f"{here}/ca.conf", *signed, *dates]
    lab.run("web", [*words, "-in", f"{here}/{name}.csr", "-out", f"{here}/{name}.crt"])


def prepare(lab: Lab) -> None:
    """An authority, the certificates, and nginx."""
    here = lab.folder
    (here / "issued").mkdir()
    (here / "www").mkdir()
    (here / "www" / "index.html").write_text("<title>lanterns</title>\n")
    (here / "index.txt").write_text("")
    (here / "ca.conf").write_text(AUTHORITY.format(folder=here))
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    about = ["-subj", "/O=Example Works/CN=Lab Authority"]
    lab.run("web", ["openssl", "req", "-x509", *key, "-keyout", f"{here}/ca.key", "-out", f"{here}/ca.crt", *about])
    for name in DAYS:
        issue(lab, name)
    sites = "".join(SITE.format(address=WEB, name=name, folder=here) for name in DAYS)
    config = NGINX.format(folder=here, address=WEB, log=clients.LOG_FORMAT, sites=sites)
    servers.run_nginx(lab, "web", config, 443, MODERN)


def certificates(lab: Lab) -> list[dict[str, Any]]:
    """What openssl reads in each certificate."""
    found = []
    for name in DAYS:
        words = ["openssl", "x509", "-in", f"{lab.folder}/{name}.crt", "-noout", "-dateopt", "iso_8601"]
        said = dict(line.split("=", 1) for line in lab.run("web", [*words, "-dates", "-fingerprint", "-sha256"]).splitlines())
        found.append(
            {
                "name": name,
                "not_before": said["notBefore"],
                "not_after": said["notAfter"],
                "sha256": said["sha256 Fingerprint"].replace(":", "").lower(),
                "self_signed": name in OWN,
            }
        )
    return found


def visit(lab: Lab, truth: Truth, who: str, name: str, *options: str, port: int = 443, outcome: str = "completed") -> int:
    """One page of ``name``; curl's status, 0 where it broke off."""
    words = ("--resolve", f"{name}:{port}:{WEB}", *options)
    (status,) = clients.fetch(lab, truth, who, f"https://{name}:{port}/", options=words, outcome=outcome, server_name=name)
    return status


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The job asks everybody; the person's client breaks off where a certificate is wrong."""
    truth.step("a client that checks nothing")
    for name in DAYS:
        visit(lab, truth, "job", name)
    visit(lab, truth, "job", "shop.lab.example", port=MODERN)
    time.sleep(1)
    truth.step("a client that checks")
    checking = ("--no-insecure", "--cacert", f"{lab.folder}/ca.crt")
    for name in DAYS:
        visit(lab, truth, "desk", name, *checking)
    return {"certificates": certificates(lab)}


SAMPLE = Sample("certificates", "bridge of 10.40.13.0/24", 24, HOSTS, ("curl", "nginx", "openssl", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
