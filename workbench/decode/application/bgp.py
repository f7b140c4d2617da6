"""Border Gateway Protocol (RFC 4271): known by its marker of ones."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="bgp",
    title="Border Gateway Protocol",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\xff" * 16, least=19, strong=True),),
    ports=(179,),
    reference="RFC 4271",
)
