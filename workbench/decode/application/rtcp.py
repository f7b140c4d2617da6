"""RTCP (RFC 3550): known by packets that fill their datagram. RTP itself says too little to be known by."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Probe, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="rtcp",
    title="RTP Control Protocol",
    framing=Framing(Cut.DATAGRAM, keep=16, most=1),
    signatures=(Signature("udp", b"\x80\xc8", mask=b"\xc0\xf8", least=8, probe=Probe.RTCP, strong=True),),
    ports=(5005,),
    reference="RFC 3550, 6",
)
