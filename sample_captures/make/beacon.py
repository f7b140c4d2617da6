"""Make beacon.pcapng and its ground truth: ``python -m sample_captures.make.beacon [FOLDER]`` (root; about 80 seconds).

An implant calls home over TLS every two seconds, give or take a fifth; a real one would wait minutes. A monitoring agent asks for
a health page every three seconds sharp, which is harmless and looks alike; a person browses at odd times. Each poller says when
it spoke and from which port.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.clients import LOG_FORMAT, add_tls, fetch
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "home": ("10.40.7.99", "what the implant calls, TLS on 443"),
    "portal": ("10.40.7.10", "web server"),
    "train-9": ("10.40.7.77", "training container with an implant"),
    "monitor": ("10.40.7.40", "monitoring agent"),
    "desk": ("10.40.7.21", "a person's workstation"),
}
PERIOD, JITTER, BEATS = 2.0, 0.2, 30
CHECK_PERIOD, CHECKS = 3.0, 20
HOME = "cdn.updates.example"
TASK = "collect /srv/models/heron.safetensors"
TOKEN = "agent-token-77c1slateplover"
NGINX = """
worker_processes 1; daemon off; master_process off; user root; pid {folder}/{host}.pid; error_log {folder}/{host}.err;
events {{ worker_connections 64; }}
http {{
  {log_format} access_log {folder}/{host}.log who; server_tokens off; keepalive_timeout 3; default_type text/plain;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ {server} }}
}}
"""


def prepare(lab: Lab) -> None:
    """Two web servers."""
    servers.make_certificate(lab, "home", HOME)
    tls = f"listen 10.40.7.99:443 ssl; ssl_certificate {lab.folder}/web.crt; ssl_certificate_key {lab.folder}/web.key; "
    sites = {
        "home": (443, tls + f'return 200 "{TASK}\\n";'),
        "portal": (80, 'listen 10.40.7.10:80; location = /health { return 200 "ok\\n"; } location / { return 200 "a page\\n"; }'),
    }
    for host, (port, server) in sites.items():
        config = NGINX.format(folder=lab.folder, host=host, log_format=LOG_FORMAT, server=server)
        servers.run_nginx(lab, host, config, port)


def poller(lab: Lab, who: str, period: float, jitter: float, times: int, *words: str) -> Any:
    """Start one that asks again and again; its log is its account."""
    told = [str(period), str(jitter), str(times), "7", *words]
    return lab.start(who, [sys.executable, "-m", "sample_captures.make.poll", *told], f"{who}.poll.log")


def told_by(lab: Lab, truth: Truth, who: str, program: str, dst: tuple[str, int], service: str) -> list[float]:
    """Note a poller's connections; when each began."""
    said = [json.loads(line) for line in lab.text(f"{who}.poll.log").splitlines()]
    for row in said:
        truth.add(
            who=who, program=program, time=row["time"], proto="tcp", src=row["src"], src_port=row["src_port"], dst=dst[0],
            dst_port=dst[1], service=service, outcome="completed", statuses=[row["status"]], body_bytes=row["body_bytes"],
        )  # fmt: skip
    return [row["time"] for row in said]


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """Implant, agent and person at once."""
    truth.plant(TASK, "command", clear=False)
    truth.plant(TOKEN, "header", clear=True)
    truth.step("implant, monitoring agent and person at once")
    named = ("--resolve", f"{HOME}:443:{HOSTS['home'][0]}", f"https://{HOME}/pixel.gif")
    implant = poller(lab, "train-9", PERIOD, JITTER, BEATS, *named)
    agent = poller(lab, "monitor", CHECK_PERIOD, 0.0, CHECKS, "-H", f"X-Agent: {TOKEN}", f"http://{HOSTS['portal'][0]}/health")
    odd = random.Random(11)
    while implant.poll() is None:
        fetch(lab, truth, "desk", f"http://{HOSTS['portal'][0]}/page{odd.randrange(90)}")
        time.sleep(odd.expovariate(0.25))
    agent.wait(120)
    times = told_by(lab, truth, "train-9", "implant", (HOSTS["home"][0], 443), "tls")
    told_by(lab, truth, "monitor", "monitoring agent", (HOSTS["portal"][0], 80), "http")
    add_tls(truth, lab.text("home.log"))
    pair = {"source": HOSTS["train-9"][0], "target": HOSTS["home"][0]}
    return {"beacon": {**pair, "period": PERIOD, "jitter": JITTER, "beats": len(times), "times": times}}


SAMPLE = Sample("beacon", "bridge of 10.40.7.0/24", 24, HOSTS, ("curl", "nginx", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
