"""Remote Framebuffer (VNC) (RFC 6143): known by the version that both sides begin with."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="rfb",
    title="Remote Framebuffer (VNC)",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"RFB 00", least=12, strong=True),),
    ports=(5900, 5901),
    reference="RFC 6143",
)
