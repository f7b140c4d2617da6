"""How the samples' scripts use ``talk``: start it on a host, have others ask it, note what the sockets said."""

from __future__ import annotations

import json
import sys
from typing import Any

from sample_captures.make import talk
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Truth

SECRET = talk.MESSAGE.decode().split(",")[0]
"""stands in every request and every answer"""


def serve(lab: Lab, host: str, address: str, *ports: str) -> None:
    """``talk`` on ``host``, until it listens on ``ports`` (``tcp:5432``, ``udp:8125``)."""
    log = f"{host}-{'-'.join(ports).replace(':', '')}.talk.log"
    lab.start(host, [sys.executable, "-m", "sample_captures.make.talk", "serve", address, *ports], log)
    wait_for(f"talk on {host}", lambda: all(lab.listening(host, int(port.split(":")[1])) for port in ports))


def ask(
    lab: Lab, truth: Truth, who: str, kind: str, own: str, address: str, port: int, *,
    source: int = 0, up: int = 64, down: int = 400, times: int = 1, pause: float = 0.0, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """One connection (or one socket's datagrams) of ``talk``; notes and returns what its socket said."""
    words = ["ask", kind, own, address, str(port), "--up", str(up), "--down", str(down), "--times", str(times)]
    words += ["--from", str(source), "--pause", str(pause)]
    line = [sys.executable, "-m", "sample_captures.make.talk", *words]
    said: dict[str, Any] = json.loads(lab.run(who, line))
    truth.plant(SECRET, "body", clear=True)
    row = {"who": who, "program": "talk", "service": None, **said, **more}
    truth.add(**row)
    return row


def ping(lab: Lab, truth: Truth, who: str, own: str, address: str, times: int, **more: Any) -> None:
    """Echo requests, counted by the program that sent them."""
    said = lab.run(who, ["nping", "--icmp", "-c", str(times), "--delay", "100ms", address])
    sent, got = (int(said.split(words)[1].split()[0]) for words in ("Raw packets sent: ", "Rcvd: "))
    truth.add(
        who=who, program="nping", proto="icmp", src=own, src_port=8, dst=address, dst_port=0, service=None,
        outcome="answered" if got else "no answer", packets=sent, replies=got, **more,
    )  # fmt: skip
