"""The lab's real servers: nginx, dnsmasq and sshd, with keys, accounts and names made for the run."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from sample_captures.make.lab import Lab, wait_for

NAMES = {"shop.lab.example": "10.20.1.10", "models.lab.example": "10.20.1.10", "esx-02.mgmt.example": "10.20.30.12"}
PASSWORD = "paper-lantern"

NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 64; }}
http {{
  log_format who '$msec $remote_addr $remote_port $server_port "$ssl_protocol" "$ssl_server_name"'
    ' "$request" $status $bytes_sent $connection_requests';
  access_log {folder}/nginx.log who; server_tokens off; keepalive_timeout 5;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_certificate {folder}/web.crt; ssl_certificate_key {folder}/web.key; root {folder}/www;
  server {{ listen 10.20.1.10:80; listen [fd00:20:1::10]:80; }}
  server {{ listen 10.20.1.10:443 ssl http2; server_name shop.lab.example; ssl_protocols TLSv1.2 TLSv1.3; }}
  server {{ listen 10.20.1.10:8443 ssl; server_name models.lab.example; ssl_protocols TLSv1.2; }}
}}
"""
SSHD = """
Port 22
ListenAddress {address}
HostKey {folder}/{host}.hostkey
PidFile none
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile {folder}/authorized
StrictModes no
LogLevel VERBOSE
UseDNS no
"""


@dataclass(frozen=True, slots=True)
class SshVisit:
    """One connection as sshd logged it."""

    source: str
    port: int
    user: str
    accepted: bool
    failures: int


def make_certificate(lab: Lab, host: str, *names: str) -> None:
    """A self-signed certificate for ``names`` as web.crt and web.key, made by openssl on ``host``."""
    here = lab.folder
    alternatives = ",".join(f"DNS:{name}" for name in names)
    subject = ["-subj", f"/O=Example Works/CN={names[0]}", "-addext", f"subjectAltName={alternatives}"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    lab.run(host, ["openssl", "req", "-x509", *key, "-keyout", str(here / "web.key"), "-out", str(here / "web.crt"), *subject])


def make_accounts(lab: Lab, host: str, password: str, hostkeys: tuple[str, ...]) -> None:
    """An account ``ops`` with ``password``, a key that lets it in, and a host key for each server; all in the lab's folder."""
    here = lab.folder
    for name in ("admin.key", *(f"{server}.hostkey" for server in hostkeys)):
        lab.run(host, ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "made for a capture", "-f", str(here / name)])
    (here / "authorized").write_text((here / "admin.key.pub").read_text())
    hashed = lab.run(host, ["openssl", "passwd", "-6", "-salt", "lab", password]).strip()
    (here / "passwd").write_text(
        f"root:x:0:0:root:{here}:/bin/sh\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\nops:x:0:0:ops:{here}:/bin/sh\n"
    )
    (here / "shadow").write_text(
        f"root:{hashed}:20000:0:99999:7:::\nsshd:*:20000:0:99999:7:::\nops:{hashed}:20000:0:99999:7:::\n"
    )
    (here / "run" / "sshd").mkdir(parents=True)


def make_keys(lab: Lab, host: str = "web") -> None:
    """Certificates, ssh keys, accounts and web content, all new and all invented."""
    make_certificate(lab, host, "shop.lab.example", "models.lab.example")
    make_accounts(lab, host, PASSWORD, ("build", *(f"esx-0{n}" for n in range(1, 5))))
    site = lab.folder / "www"
    site.mkdir()
    (site / "index.html").write_text("<title>shop</title><p>lanterns, made to order</p>\n" * 20)
    (site / "health").write_text("ok\n")
    (site / "catalogue.json").write_text("[" + ",".join(f'{{"id":{n},"lantern":"no {n}"}}' for n in range(4000)) + "]")
    (site / "weights.bin").write_bytes(bytes((n * n >> 3) & 0xFF for n in range(180_000)))


def run_nginx(lab: Lab, host: str, config: str, *ports: int) -> None:
    """nginx on ``host`` with a whole configuration, until it listens on ``ports``."""
    path = lab.folder / f"{host}.nginx.conf"
    path.write_text(config)
    lab.start(host, ["nginx", "-c", str(path), "-e", str(lab.folder / "nginx.err")], f"{host}.nginx.out")
    wait_for("nginx", lambda: all(lab.listening(host, port) for port in ports))


def start_nginx(lab: Lab) -> None:
    """nginx on ``web``: 80, 443 (TLS 1.2 and 1.3) and 8443 (TLS 1.2 only)."""
    run_nginx(lab, "web", NGINX.format(folder=lab.folder), 80, 443, 8443)


def firewall(lab: Lab, host: str, *rules: str) -> None:
    """nftables rules for what comes in to ``host``."""
    path = lab.folder / f"{host}.nft"
    path.write_text("table inet lab { chain in { type filter hook input priority 0;\n" + "\n".join(rules) + "\n}\n}\n")
    lab.run(host, ["nft", "-f", str(path)])


def start_dnsmasq(lab: Lab) -> None:
    """dnsmasq on ``dns``, answering only for made-up names; every query is logged with its source port."""
    options = [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--log-queries=extra",
        "--log-facility=-",
    ]
    options += [
        "--listen-address=10.20.1.53",
        "--bind-interfaces",
        "--local=/example/",
        "--local=/10.in-addr.arpa/",
        "--ptr-record=10.1.20.10.in-addr.arpa,shop.lab.example",
    ]
    options += [f"--address=/{name}/{address}" for name, address in NAMES.items()]
    options += ["--host-record=v6.lab.example,fd00:20:1::10", "--txt-record=lab.example,made for a capture"]
    lab.start("dns", ["dnsmasq", *options], "dnsmasq.log")
    wait_for("dnsmasq", lambda: lab.listening("dns", 53))


def start_sshd(lab: Lab, host: str, address: str) -> None:
    """sshd on ``host`` with the lab's accounts bound over the system's."""
    here = lab.folder
    config = here / f"{host}.sshd"
    config.write_text(SSHD.format(folder=here, address=address, host=host))
    overlay = {here / "passwd": "/etc/passwd", here / "shadow": "/etc/shadow", here / "run": "/run"}
    lab.start(host, ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], f"{host}.sshd.log", overlay=overlay)
    wait_for(f"sshd on {host}", lambda: lab.listening(host, 22))


def start_slp(lab: Lab, host: str, address: str) -> None:
    """The SLP responder on ``host``."""
    lab.start(
        host, [sys.executable, "-m", "sample_captures.make.slp", "respond", address, f"{host}.mgmt.example"], f"{host}.slp.log"
    )
    wait_for(f"slp on {host}", lambda: lab.listening(host, 427))


def start_collector(lab: Lab) -> None:
    """The metrics collector on ``web``."""
    lab.start("web", [sys.executable, "-m", "sample_captures.make.beat", "serve", "10.20.1.10", "9091"], "beat.log")
    wait_for("collector", lambda: lab.listening("web", 9091))


def ssh_command(lab: Lab, user: str, address: str, remote: str, *, key: bool) -> list[str]:
    """An ssh client's arguments, with a key, or with a password asked of ``askpass``."""
    options = [
        "-F",
        "/dev/null",
        "-o",
        f"UserKnownHostsFile={lab.folder}/known",
        "-o",
        "StrictHostKeyChecking=accept-new",
        "-o",
        "ConnectTimeout=5",
    ]
    if key:
        options += ["-i", str(lab.folder / "admin.key"), "-o", "PasswordAuthentication=no"]
    else:
        options += ["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]
    return ["ssh", *options, f"{user}@{address}", remote]


def askpass(lab: Lab, password: str) -> dict[str, str]:
    """Environment that makes ssh take ``password`` without a terminal."""
    script = Path(lab.folder) / "askpass"
    script.write_text(f"#!/bin/sh\necho {password}\n")
    script.chmod(0o700)
    return {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force"}


def ssh_visits(log: str) -> list[SshVisit]:
    """The connections in an sshd log, in order."""
    visits = []
    for source, port in re.findall(r"Connection from (\S+) port (\d+) on", log):
        accepted = re.search(rf"Accepted \S+ for (\S+) from {re.escape(source)} port {port} ", log)
        failed = re.findall(rf"Failed password for (?:invalid user )?(\S+) from {re.escape(source)} port {port} ", log)
        user = accepted.group(1) if accepted else (failed[0] if failed else "")
        visits.append(SshVisit(source, int(port), user, accepted is not None, len(failed)))
    return visits


def dns_queries(log: str) -> list[tuple[str, int, str, str]]:
    """(client, source port, type, name) of each query dnsmasq logged, without its repeats for forwarded names."""
    return [
        (client, int(port), kind, name) for client, port, kind, name in re.findall(r" (\S+)/(\d+) query\[(\w+)\] (\S+) from", log)
    ]
