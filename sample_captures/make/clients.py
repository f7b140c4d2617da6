"""The lab's real clients and what they say of themselves: curl's ``--write-out``, nginx's log beside it."""

from __future__ import annotations

import time
from typing import Any

from sample_captures.make.lab import Lab
from sample_captures.make.recording import Truth

ACCOUNT = "%{local_ip} %{local_port} %{remote_ip} %{remote_port} %{num_connects} %{http_version} %{http_code} "
ACCOUNT += "%{size_download} %{size_upload} %{exitcode} %{scheme}\\n"
LOG_FORMAT = (
    """log_format who '$remote_addr $remote_port $server_port "$ssl_protocol" "$ssl_server_name" $status $connection_requests';"""
)
"""what ``tls_by_socket`` reads of nginx's log"""


def fetch(
    lab: Lab, truth: Truth, who: str, *urls: str, options: tuple[str, ...] = (), outcome: str = "completed", **more: Any
) -> list[int]:
    """curl, all ``urls`` over one connection where it can; notes each connection by curl's own account of its socket.

    Returns the statuses. ``outcome`` is what the script provokes.
    """
    began = time.time()
    out = [word for url in urls for word in ("-o", "/dev/null", url)]
    rows = [line.split() for line in lab.run(who, ["curl", "-sk", *options, "-w", ACCOUNT, *out], check=False).splitlines()]
    for src, src_port, dst, dst_port, fresh, version, _status, _down, _up, code, scheme in rows:
        if int(fresh):
            same = [r for r in rows if r[1] == src_port]
            truth.add(
                who=who, program="curl", time=round(began, 3), proto="tcp", src=src, src_port=int(src_port), dst=dst,
                dst_port=int(dst_port), service="http" if scheme == "HTTP" else "tls", outcome=outcome, requests=len(same),
                statuses=[int(r[6]) for r in same], http_version=version, body_bytes=sum(int(r[7]) for r in same),
                sent_bytes=sum(int(r[8]) for r in same), exit_code=int(code), **more,
            )  # fmt: skip
    return [int(row[6]) for row in rows]


def tls_by_socket(log: str) -> dict[tuple[str, int], tuple[str, str]]:
    """(address, port) of each client in nginx's log -> TLS version and server name as nginx negotiated them."""
    found = {}
    for line in log.splitlines():
        address, port, _server_port, version, name, *_ = line.replace('"', "").split(" ")
        if version != "-":
            found[address, int(port)] = (version, name)
    return found


def add_tls(truth: Truth, log: str) -> None:
    """Give every connection of curl what nginx says of its TLS."""
    known = tls_by_socket(log)
    for connection in truth.connections:
        if met := known.get((connection["src"], connection["src_port"])):
            connection["tls_version"], connection["server_name"] = met


def knock(lab: Lab, truth: Truth, who: str, own: str, own_port: int, address: str, port: int) -> None:
    """curl at a port nobody listens on, from a port of our choice since curl can't tell it after; its exit code says refused."""
    words = ["curl", "-s", "--interface", own, "--local-port", str(own_port), "-w", "%{exitcode}", f"http://{address}:{port}/"]
    code = int(lab.run(who, words, check=False))
    truth.add(
        who=who, program="curl", time=round(time.time(), 3), proto="tcp", src=own, src_port=own_port, dst=address,
        dst_port=port, service=None, outcome={7: "refused"}[code], exit_code=code,
    )  # fmt: skip
