"""Media Gateway Control Protocol (RFC 3435): known by its verbs."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="mgcp",
    title="Media Gateway Control Protocol",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(
        Signature("udp", b"AUEP ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"RQNT ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"RSIP ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"NTFY ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"CRCX ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"MDCX ", probe=Probe.TEXT, strong=True),
        Signature("udp", b"DLCX ", probe=Probe.TEXT, strong=True),
    ),
    ports=(2427, 2727),
    reference="RFC 3435",
)
