"""A minimal SLP (RFC 2608) responder and a sweeper: ``python -m sample_captures.make.slp respond|sweep ...``."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

PORT = 427
REQUEST, REPLY = 1, 2
SERVICE = b"service:VMwareInfrastructure"


def _text(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _message(function: int, xid: int, body: bytes) -> bytes:
    """An SLPv2 message (RFC 2608, 8): version, function, length, flags, extension, XID, language tag."""
    length = 14 + 2 + len(body)
    return bytes((2, function)) + length.to_bytes(3, "big") + bytes(5) + xid.to_bytes(2, "big") + _text(b"en") + body


def request(xid: int) -> bytes:
    """A SrvRqst (RFC 2608, 8.1) for hypervisors in the default scope."""
    return _message(REQUEST, xid, _text(b"") + _text(SERVICE) + _text(b"DEFAULT") + _text(b"") + _text(b""))


def reply(xid: int, url: bytes) -> bytes:
    """A SrvRply (RFC 2608, 8.2) with one URL entry."""
    return _message(REPLY, xid, b"\0\0\0\x01" + b"\0" + (65535).to_bytes(2, "big") + _text(url) + b"\0")


def _answer(data: bytes, name: str) -> bytes | None:
    if len(data) < 14 or data[0] != 2 or data[1] != REQUEST:
        return None
    return reply(int.from_bytes(data[10:12], "big"), SERVICE + b":https://" + name.encode())


def _serve_tcp(server: socket.socket, name: str) -> None:
    while True:
        peer, _ = server.accept()
        with peer:
            answer = _answer(peer.recv(2048), name)
            if answer:
                peer.sendall(answer)
            peer.recv(1)  # the other side closes first


def respond(address: str, name: str) -> None:
    """Answer SrvRqst over UDP and TCP until killed."""
    tcp = socket.create_server((address, PORT))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((address, PORT))
    threading.Thread(target=_serve_tcp, args=(tcp, name), daemon=True).start()
    while True:
        data, peer = udp.recvfrom(2048)
        answer = _answer(data, name)
        if answer:
            udp.sendto(answer, peer)


def sweep(own: str, targets: list[str]) -> None:
    """Ask every target over UDP from one socket, then those that answered over TCP; prints what the sockets said as JSON."""
    asked, answered, followed = [], [], []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((own, 0))
        udp.settimeout(0.1)
        port = udp.getsockname()[1]
        for n, target in enumerate(targets):
            asked.append({"target": target, "time": time.time()})
            udp.sendto(request(0x1000 + n), (target, PORT))
            answered += _collect(udp)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            answered += _collect(udp)
    for n, target in enumerate(sorted(set(answered))):
        began = time.time()
        with socket.create_connection((target, PORT), 5, (own, 0)) as tcp:
            source = tcp.getsockname()[1]
            tcp.sendall(request(0x2000 + n))
            size = len(tcp.recv(2048))
        followed.append({"target": target, "time": began, "port": source, "reply_bytes": size})
    json.dump({"port": port, "asked": asked, "answered": sorted(set(answered)), "tcp": followed}, sys.stdout)


def _collect(udp: socket.socket) -> list[str]:
    try:
        _, peer = udp.recvfrom(2048)
    except (TimeoutError, ConnectionError, OSError):  # host unreachable is reported on the next call
        return []
    return [peer[0]]


if __name__ == "__main__":
    if sys.argv[1] == "respond":
        respond(sys.argv[2], sys.argv[3])
    else:
        sweep(sys.argv[2], sys.argv[3:])
