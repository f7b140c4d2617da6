"""Simple Service Discovery Protocol (UPnP Device Architecture 2.0, 1): known by its two requests."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="ssdp",
    title="Simple Service Discovery Protocol",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"M-SEARCH * HTTP/", strong=True),
        Signature("udp", b"NOTIFY * HTTP/1.", strong=True),
    ),
    ports=(1900,),
    reference="UPnP Device Architecture 2.0, 1",
)
