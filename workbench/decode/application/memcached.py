"""memcached (memcached protocol.txt): known by commands and answers that nobody else has, over UDP behind their header."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

_PORTS: Final = (11211,)
PROTOCOL: Final = Protocol(
    name="memcached",
    title="memcached",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("tcp", b"stats\r\n", side="src", strong=True),
        Signature("tcp", b"version\r\n", side="src", strong=True),
        Signature("tcp", b"STAT pid ", side="dst", strong=True),
        Signature(
            "tcp", b"\x80\0\0\0\0\0\0\0\0\0\0\0", mask=b"\xff\xc0\xff\0\xff\xff\xff\xff\0\0\0\0", ports=_PORTS, strong=True
        ),
        Signature("udp", b"\0\0\0\0\0\x01\0\0stats", mask=b"\0\0" + b"\xff" * 11, strong=True),
        Signature("udp", b"\0\0\0\0\0\x01\0\0get", mask=b"\0\0" + b"\xff" * 9, strong=True),
    ),
    ports=_PORTS,
    guests=("tls",),
    reference="memcached protocol.txt",
)
