"""rsync (rsync(5)): known by the daemon's greeting."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="rsync",
    title="rsync",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"@RSYNCD: ", strong=True),),
    ports=(873,),
    reference="rsync(5)",
)
