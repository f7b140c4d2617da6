"""QUIC (RFC 9000, 9001, 9369), its drafts, and what Google's own versions said in the clear.

The client's first packets are opened: what protects them is made of numbers that stand in them. All that follows is secret.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Probe, Protocol, Signature


def _reader(_context: Context) -> BatchReader:
    from workbench.decode.application.quic_reader import QuicReader  # kernels and ciphers: only where there is QUIC

    return QuicReader()


# `while_set` below: a long header, or Google's public header as long as it tells the version (bit 0). A short header of the
# RFC has that bit by chance; the next one that has not ends the listening.

#: A public header of Google's with an id of eight bytes and a version (Q0..).
_GOOGLE: Final = Signature("udp", b"\x09" + bytes(8) + b"Q0", mask=b"\x89" + bytes(8) + b"\xff\xff", least=20)
_GOOGLE_LONG: Final = Signature("udp", b"\x80Q0", mask=b"\x80\xff\xff", least=20)

PROTOCOL: Final = Protocol(
    name="quic",
    title="QUIC",
    framing=Framing(Cut.DATAGRAM, keep=1_500, most=16, while_set=0x81),
    signatures=(Signature("udp", b"\x80", mask=b"\x80", least=16, probe=Probe.QUIC), _GOOGLE, _GOOGLE_LONG),
    tables=("quic",),
    ports=(443,),
    guests=("dtls",),
    batch=_reader,
    reference="RFC 9000",
)
