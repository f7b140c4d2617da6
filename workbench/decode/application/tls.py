"""TLS and its predecessors over TCP (RFC 8446, 5246): hellos, certificates where they are in the clear, fingerprints.

Anything that upgrades (STARTTLS, CONNECT) becomes TLS where its stream turns into a ClientHello. Nothing is decrypted.
"""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import BatchReader, Context, Cut, Framing, Probe, Protocol, Signature


def _reader(_context: Context) -> BatchReader:
    from workbench.decode.application.tls_reader import TlsReader  # kernels: only where there is TLS

    return TlsReader()


#: A ClientHello in the form of SSL 2 (RFC 5246, E.2): its length's upper bit, the type, versions up to 3.3.
_OLD: Final = Signature("tcp", b"\x80\x00\x01\x03\x00", mask=b"\x80\x00\xff\xff\xfc", least=11, side="src")
_OLDEST: Final = Signature("tcp", b"\x80\x00\x01\x00\x02", mask=b"\x80\x00\xff\xff\xff", least=11, side="src")

_PORTS: Final = (443, 465, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 6443, 8443, 10250)
#: The middle of a connection: application data, known at home only.
_MIDDLE: Final = Signature("tcp", b"\x17\x03\x00\x00", mask=b"\xff\xff\xfc\x80", least=5, ports=_PORTS, strong=True)

PROTOCOL: Final = Protocol(
    name="tls",
    title="Transport Layer Security",
    framing=Framing(Cut.TLS, keep=16_384, most=1),
    signatures=(Signature("tcp", b"\x16\x03", least=6, probe=Probe.TLS, strong=True), _OLD, _OLDEST, _MIDDLE),
    tables=("tls", "kubernetes"),
    ports=_PORTS,
    batch=_reader,
    reference="RFC 8446",
)
