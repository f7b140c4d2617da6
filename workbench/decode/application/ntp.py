"""NTP (RFC 5905), its control messages (RFC 9327) and the private ones of ntpd, whose monlist is what amplifiers are asked for.

A flow has one row per version, mode and request: clients ask for years.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Probe, Protocol, Signature


def _reader(_context: Context) -> BatchReader:
    from workbench.decode.application.ntp_reader import NtpReader  # kernels: only where there is NTP

    return NtpReader()


PROTOCOL: Final = Protocol(
    name="ntp",
    title="Network Time Protocol",
    framing=Framing(Cut.DATAGRAM, keep=64),
    signatures=(Signature("udp", probe=Probe.NTP, least=8, ports=(123,)),),
    tables=("ntp",),
    ports=(123,),
    batch=_reader,
    reference="RFC 5905, RFC 9327",
)
