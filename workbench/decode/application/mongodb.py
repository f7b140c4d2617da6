"""MongoDB (MongoDB wire protocol): known by the header of a client's request."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="mongodb",
    title="MongoDB",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature(
            "tcp", b"\0\0\0\0\0\0\0\0\0\0\0\0\xdd\x07\0\0", mask=b"\0\0\xff\xff\0\0\0\0" + b"\xff" * 8, side="src", strong=True
        ),
        Signature(
            "tcp", b"\0\0\0\0\0\0\0\0\0\0\0\0\xd4\x07\0\0", mask=b"\0\0\xff\xff\0\0\0\0" + b"\xff" * 8, side="src", strong=True
        ),
    ),
    ports=(27017,),
    guests=("tls",),
    reference="MongoDB wire protocol",
)
