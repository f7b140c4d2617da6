"""Make web.pcapng and its ground truth: ``python -m sample_captures.make.web [FOLDER]`` (root; about 15 seconds).

Two clients use one web server: HTTP/1.1 with keep-alive, a login with a form and a cookie, an API key and a command in a body,
Basic authentication, an upload; TLS 1.2 and 1.3, HTTP/2; a refused port, a handshake that fails, a download broken off.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.clients import LOG_FORMAT, add_tls, fetch, knock
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "web": ("10.40.1.10", "web server: 80, 443 (TLS 1.2 and 1.3, HTTP/2), 8443 (TLS 1.2 only)"),
    "laptop": ("10.40.1.21", "a person's browser"),
    "batch": ("10.40.1.22", "a job that uses the API"),
}
SITE, API = "portal.lab.example", "api.lab.example"
FORM_PASSWORD = "Quince-Harbour-71"
USER = "quillfeather"
TICKET = "tkt-84c0moorhen"
TLS_PASSWORD = "Walnut-Ferry-38"
COOKIE = "s3ss-9f27c1e0amberkite"
API_KEY = "key-5b1d77gravelheron"
COMMAND = "tar czf /tmp/ledger-osprey.tgz /srv/accounts/ledger-osprey"
BALANCE = "balance of account 4477 is 91,300 thistledown"
REPORT = "row,secret\n0,copper-lark-signature\n"
BASIC = (USER, "Marble-Otter-55")
WRONG = (USER, "Marble-Otter-54")
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 64; }}
http {{
  {log_format} access_log {folder}/nginx.log who; server_tokens off; keepalive_timeout 3; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_certificate {folder}/web.crt; ssl_certificate_key {folder}/web.key; root {folder}/www;
  server {{
    listen 10.40.1.10:80 default_server; listen [fd00:40:1::10]:80; listen 10.40.1.10:443 ssl http2;
    server_name {site} {api}; ssl_protocols TLSv1.2 TLSv1.3;
    location = /login {{ add_header Set-Cookie "session={cookie}; HttpOnly"; return 303 /account; }}
    location = /account {{ return 200 "{balance}\\n"; }}
    location = /jobs {{ return 202 "queued\\n"; }}
    location /drop/ {{ dav_methods PUT; create_full_put_path on; }}
    location /private/ {{ auth_basic "accounts"; auth_basic_user_file {folder}/basic; }}
  }}
  server {{ listen 10.40.1.10:8443 ssl; server_name {api}; ssl_protocols TLSv1.2; }}
}}
"""


def prepare(lab: Lab) -> None:
    """The certificate, the pages and the server."""
    for host, (address, _role) in HOSTS.items():
        lab.ip(host, f"-6 addr add fd00:40:1::{address.rsplit('.', 1)[1]}/64 dev eth0 nodad")
    servers.make_certificate(lab, "web", SITE, API)
    site = lab.folder / "www"
    (site / "private").mkdir(parents=True)
    (site / "index.html").write_text("<title>portal</title><p>lanterns on account</p>\n" * 12)
    (site / "style.css").write_text("p { margin: 1em }\n" * 40)
    (site / "catalogue.json").write_text("[" + ",".join(f'{{"id":{n},"lantern":"no {n}"}}' for n in range(900)) + "]")
    (site / "large.bin").write_bytes(bytes((n * n >> 3) & 0xFF for n in range(400_000)))
    (site / "private" / "list").write_text("nothing much\n")
    hashed = lab.run("web", ["openssl", "passwd", "-apr1", "-salt", "lab", BASIC[1]]).strip()
    (lab.folder / "basic").write_text(f"{BASIC[0]}:{hashed}\n")
    config = NGINX.format(folder=lab.folder, log_format=LOG_FORMAT, site=SITE, api=API, cookie=COOKIE, balance=BALANCE)
    servers.run_nginx(lab, "web", config, 80, 443, 8443)


def in_clear(lab: Lab, truth: Truth) -> None:
    """HTTP/1.1: pages, a login, an API with a command, Basic authentication, an upload, IPv6."""
    truth.step("HTTP/1.1 in the clear")
    site, api = f"http://{SITE}", f"http://{API}"
    named = ("--resolve", f"{SITE}:80:10.40.1.10", "--resolve", f"{API}:80:10.40.1.10")
    fetch(lab, truth, "laptop", f"{site}/", f"{site}/style.css", f"{site}/missing", options=named)
    time.sleep(0.5)
    password = truth.plant(FORM_PASSWORD, "password", clear=True)
    truth.plant(USER, "user", clear=True)
    truth.plant(COOKIE, "cookie", clear=True)
    truth.plant(BALANCE, "body", clear=True)
    jar = str(lab.folder / "jar")
    fetch(lab, truth, "laptop", f"{site}/login", options=(*named, "-d", f"user={USER}&password={password}", "-L", "-c", jar))
    fetch(lab, truth, "laptop", f"{site}/account", f"{site}/", options=(*named, "-b", jar))
    link = f"{site}/account?ticket={truth.plant(TICKET, 'query', clear=True)}"
    fetch(lab, truth, "laptop", link, f"{site}/style.css", options=(*named, "-e", link))
    time.sleep(0.5)
    key = f"X-Api-Key: {truth.plant(API_KEY, 'header', clear=True)}"
    job = f'{{"job": "backup", "command": "{truth.plant(COMMAND, "command", clear=True)}"}}'
    fetch(lab, truth, "batch", f"{api}/jobs", options=(*named, "-H", key, "-H", "Content-Type: application/json", "-d", job))
    for user, word in (WRONG, BASIC):
        truth.plant(word, "password", clear=False)
        truth.plant(base64.b64encode(f"{user}:{word}".encode()).decode(), "header", clear=True)
        fetch(lab, truth, "batch", f"{api}/private/list", options=(*named, "-u", f"{user}:{word}"))
    report = lab.folder / "report.csv"
    report.write_text(REPORT + "".join(f"{n},{n * n}\n" for n in range(1, 1500)))
    truth.plant(REPORT.split(",")[-1].strip(), "body", clear=True)
    fetch(lab, truth, "batch", f"{api}/drop/report.csv", options=(*named, "-T", str(report), "-H", "Expect:"))
    fetch(lab, truth, "laptop", "http://[fd00:40:1::10]/catalogue.json", options=("-6", "-H", f"Host: {SITE}"))


def in_tls(lab: Lab, truth: Truth) -> None:
    """TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2; secrets here are on the wire, but nobody can read them."""
    truth.step("TLS")
    named = ("--resolve", f"{SITE}:443:10.40.1.10", "--resolve", f"{API}:443:10.40.1.10", "--resolve", f"{API}:8443:10.40.1.10")
    site = f"https://{SITE}"
    fetch(lab, truth, "laptop", f"{site}/", f"{site}/style.css", f"{site}/catalogue.json", options=(*named, "--tlsv1.3"))
    password = truth.plant(TLS_PASSWORD, "password", clear=False)
    fetch(
        lab,
        truth,
        "laptop",
        f"{site}/login",
        options=(*named, "--tlsv1.3", "--http1.1", "-d", f"user={USER}&password={password}"),
    )
    time.sleep(0.5)
    fetch(lab, truth, "batch", f"https://{API}/jobs", options=(*named, "--tls-max", "1.2", "-d", "{}"))
    fetch(lab, truth, "batch", f"https://{API}:8443/catalogue.json", options=(*named, "--tls-max", "1.2"))
    fetch(lab, truth, "batch", "https://10.40.1.10/", options=("--tlsv1.3",))  # no name is sent for a bare address


def gone_wrong(lab: Lab, truth: Truth) -> None:
    """A port nobody listens on, a TLS version the server won't speak, a download broken off."""
    truth.step("things that fail")
    named = ("--resolve", f"{API}:8443:10.40.1.10")
    knock(lab, truth, "batch", "10.40.1.22", 45_081, "10.40.1.10", 81)
    fetch(lab, truth, "batch", f"https://{API}:8443/", options=(*named, "--tlsv1.3"), outcome="established")
    own = HOSTS["laptop"][0]
    said = lab.run("laptop", [sys.executable, "-m", "sample_captures.make.cut_short", own, "10.40.1.10", "80", "/large.bin"])
    truth.add(
        who="laptop", program="cut_short", proto="tcp", src=own, dst="10.40.1.10", dst_port=80, service="http", outcome="reset",
        **json.loads(said),
    )  # fmt: skip


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """All of it, one after the other."""
    in_clear(lab, truth)
    in_tls(lab, truth)
    gone_wrong(lab, truth)
    add_tls(truth, lab.text("nginx.log"))
    return {}


SAMPLE = Sample("web", "bridge of 10.40.1.0/24", 24, HOSTS, ("curl", "nginx", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
