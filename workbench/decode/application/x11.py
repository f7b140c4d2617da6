"""X Window System (X.Org, X protocol 11, 8): known by a client's set-up in either byte order."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="x11",
    title="X Window System",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"l\0\x0b\0\0\0", side="src", strong=True),
        Signature("tcp", b"B\0\0\x0b\0\0", side="src", strong=True),
    ),
    ports=(6000,),
    reference="X.Org, X protocol 11, 8",
)
