"""Bitcoin (Bitcoin developer reference, message headers): known by the main network's first message."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="bitcoin",
    title="Bitcoin",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\xf9\xbe\xb4\xd9version\0", strong=True),),
    ports=(8333,),
    reference="Bitcoin developer reference, message headers",
)
