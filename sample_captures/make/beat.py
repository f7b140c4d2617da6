"""A metrics agent and its collector: one TCP connection with a small message every few seconds: ``python -m
sample_captures.make.beat serve|send ...``.
"""

from __future__ import annotations

import json
import socket
import sys
import time


def serve(address: str, port: int) -> None:
    """Acknowledge every line until the agent closes; one agent at a time."""
    with socket.create_server((address, port)) as server:
        while True:
            peer, _ = server.accept()
            with peer:
                while data := peer.recv(4096):
                    peer.sendall(b"ok %d\n" % len(data))


def send(own: str, address: str, port: int, seconds: float) -> None:
    """Send a made-up metric every three seconds for ``seconds``; prints the socket's addresses as JSON at the end."""
    began, beats = time.time(), 0
    with socket.create_connection((address, port), 5, (own, 0)) as peer:
        source = peer.getsockname()[1]
        while time.time() < began + seconds:
            peer.sendall(b'gpu_busy{job="train-7"} 0.%02d %d\n' % (beats * 37 % 100, beats))
            peer.recv(4096)
            beats += 1
            time.sleep(3)  # a slow beat: the connection is long, not busy
    json.dump({"port": source, "time": began, "beats": beats}, sys.stdout)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
