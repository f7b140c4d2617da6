"""DTLS (RFC 9147, 6347): known by a hello in its first datagram, and not read."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="dtls",
    title="Datagram Transport Layer Security",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(Signature("udp", b"\x16\xfe", least=25, probe=Probe.DTLS, strong=True),),
    ports=(4433, 5684),
    reference="RFC 9147",
)
