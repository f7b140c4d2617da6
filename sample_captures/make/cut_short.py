"""Ask for a page and break off after its first bytes: ``python -m sample_captures.make.cut_short OWN ADDRESS PORT PATH``.

No ordinary client resets every time; closing a socket that lingers for no time does.
"""

from __future__ import annotations

import json
import socket
import struct
import sys


def cut_short(own: str, address: str, port: int, path: str) -> dict[str, int]:
    """The socket's port and how much it read before it reset the connection."""
    with socket.socket() as peer:
        peer.settimeout(5)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)  # little is on its way when it breaks off
        peer.bind((own, 0))
        peer.connect((address, port))
        source = peer.getsockname()[1]
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        got = len(peer.recv(1000))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return {"src_port": source, "body_bytes": got}


if __name__ == "__main__":
    json.dump(cut_short(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]), sys.stdout)
