"""NATS (NATS client protocol): known by the server's first message."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="nats",
    title="NATS",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b'INFO {"server', side="dst", strong=True),),
    ports=(4222,),
    reference="NATS client protocol",
)
