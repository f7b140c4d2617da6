"""Diameter (RFC 6733): known by the exchange of capabilities."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="diameter",
    title="Diameter",
    framing=Framing(Cut.HEAD, keep=16),
    signatures=(Signature("tcp", b"\x01\0\0\0\x80\0\x01\x01", mask=b"\xff\0\0\0" + b"\xff" * 4, strong=True),),
    ports=(3868,),
    reference="RFC 6733",
)
