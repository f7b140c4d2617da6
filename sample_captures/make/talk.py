"""A service and its clients whose sockets say what they carried: ``python -m sample_captures.make.talk serve|ask ...``.

A request is one line, ``UP DOWN``, padded to UP bytes; the answer is DOWN bytes. Over UDP each is one datagram. What is asked and
answered is made up, so that the counts of a capture can be held against those of the sockets.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from typing import Any

CHUNK = 65_536
MESSAGE = b"lantern shed ledger, page %05d; made for a capture\n"


def text(size: int) -> bytes:
    """``size`` bytes of a made-up ledger."""
    return b"".join(MESSAGE % page for page in range(size // 40 + 1))[:size]


def request(up: int, down: int) -> bytes:
    """A request of ``up`` bytes that asks for ``down``."""
    line = b"%d %d\n" % (up, down)
    if len(line) > up:
        raise ValueError(f"a request for {down} bytes takes {len(line)} bytes at least")
    return line + text(up - len(line))


def _answer_stream(peer: socket.socket) -> None:
    with peer:
        peer.settimeout(30)
        while data := peer.recv(CHUNK):
            up, down = (int(word) for word in data.split(b"\n", 1)[0].split())
            while len(data) < up:
                data += peer.recv(CHUNK)
            peer.sendall(text(down))


def _serve_streams(address: str, port: int) -> None:
    with socket.create_server((address, port), backlog=64) as server:
        while True:
            peer, _ = server.accept()
            threading.Thread(target=_answer_stream, args=(peer,), daemon=True).start()


def _serve_datagrams(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            data, peer = server.recvfrom(CHUNK)
            down = int(data.split(b"\n", 1)[0].split()[1])
            if down:
                server.sendto(text(down), peer)


def serve(address: str, ports: list[str]) -> None:
    """Answer on each of ``ports`` (``tcp:5432``, ``udp:8125``) until killed."""
    kinds = {"tcp": _serve_streams, "udp": _serve_datagrams}
    for port in ports:
        kind, number = port.split(":")
        threading.Thread(target=kinds[kind], args=(address, int(number)), daemon=True).start()
    threading.Event().wait()


def ask(own: tuple[str, int], target: tuple[str, int], sizes: tuple[int, int], times: int, pause: float) -> dict[str, Any]:
    """One TCP connection with ``times`` requests; what its socket sent and got. A refusal is an outcome, not an error."""
    up, down = sizes
    said = {"proto": "tcp", "src": own[0], "dst": target[0], "dst_port": target[1], "time": round(time.time(), 6)}
    with socket.socket() as peer:
        peer.settimeout(10)
        peer.bind(own)
        said["src_port"] = peer.getsockname()[1]
        try:
            peer.connect(target)
        except ConnectionRefusedError:
            return {**said, "outcome": "refused", "sent": 0, "received": 0, "until": round(time.time(), 6)}
        got = 0
        for n in range(times):
            peer.sendall(request(up, down))
            got += _read(peer, down)
            time.sleep(pause if n + 1 < times else 0)
    return {**said, "outcome": "completed", "sent": up * times, "received": got, "until": round(time.time(), 6)}


def _read(peer: socket.socket, wanted: int) -> int:
    got = 0
    while got < wanted:
        data = peer.recv(CHUNK)
        if not data:
            raise ConnectionError(f"the answer ended after {got} of {wanted} bytes")
        got += len(data)
    return got


def ask_datagrams(
    own: tuple[str, int], target: tuple[str, int], sizes: tuple[int, int], times: int, pause: float
) -> dict[str, Any]:
    """``times`` datagrams from one socket, each answered unless no answer is asked for."""
    up, down = sizes
    said = {"proto": "udp", "src": own[0], "dst": target[0], "dst_port": target[1], "time": round(time.time(), 6)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(10)
        peer.bind(own)
        got = 0
        for n in range(times):
            peer.sendto(request(up, down), target)
            got += len(peer.recv(CHUNK)) if down else 0
            time.sleep(pause if n + 1 < times else 0)
        said["src_port"] = peer.getsockname()[1]
    outcome = "answered" if down else "no answer"
    return {**said, "outcome": outcome, "sent": up * times, "received": got, "until": round(time.time(), 6)}


def main(words: list[str]) -> int:
    """``serve ADDRESS tcp:PORT...`` or ``ask tcp|udp OWN ADDRESS PORT --up N --down N --times N --pause S``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    which = parser.add_subparsers(dest="which", required=True)
    server = which.add_parser("serve")
    server.add_argument("address")
    server.add_argument("ports", nargs="+")
    client = which.add_parser("ask")
    client.add_argument("kind", choices=["tcp", "udp"])
    client.add_argument("own")
    client.add_argument("address")
    client.add_argument("port", type=int)
    client.add_argument("--from", type=int, default=0, dest="source", help="own port; 0: any")
    client.add_argument("--up", type=int, default=64)
    client.add_argument("--down", type=int, default=400)
    client.add_argument("--times", type=int, default=1)
    client.add_argument("--pause", type=float, default=0.0)
    said = parser.parse_args(words)
    if said.which == "serve":
        serve(said.address, said.ports)
    else:
        carry = ask if said.kind == "tcp" else ask_datagrams
        json.dump(
            carry((said.own, said.source), (said.address, said.port), (said.up, said.down), said.times, said.pause), sys.stdout
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
