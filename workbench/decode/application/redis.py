"""Redis (Redis serialization protocol): known by the client's first command."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="redis",
    title="Redis",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"*0\r\n$", mask=b"\xff\xf0\xff\xff\xff", side="src", strong=True),
        Signature("tcp", b"*00\r\n$", mask=b"\xff\xf0\xf0\xff\xff\xff", side="src", strong=True),
    ),
    ports=(6379,),
    guests=("tls",),
    reference="Redis serialization protocol",
)
