"""Git (gitprotocol-pack(5)): known by the client's request."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="git",
    title="Git",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(
        Signature("tcp", b"git-upload-pack ", at=4, side="src", strong=True),
        Signature("tcp", b"git-receive-pack", at=4, side="src", strong=True),
    ),
    ports=(9418,),
    reference="gitprotocol-pack(5)",
)
