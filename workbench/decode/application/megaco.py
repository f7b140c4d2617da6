"""Megaco (H.248.1, annex B): its text form, known by the first word of a message."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="megaco",
    title="Megaco, H.248",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(Signature("udp", b"MEGACO/", strong=True), Signature("udp", b"!/0 [", mask=b"\xff\xff\xf0\xff\xff", strong=True)),
    ports=(2944,),
    reference="H.248.1, annex B",
)
