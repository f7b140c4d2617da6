"""Financial Information Exchange (FIX 4.4, volume 1): known by its first field."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="fix",
    title="Financial Information Exchange",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"8=FIX", strong=True),),
    reference="FIX 4.4, volume 1",
)
