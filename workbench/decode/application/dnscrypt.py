"""DNSCrypt, version 2: known by what a resolver's answer begins with. Queries begin with a key of the resolver's."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="dnscrypt",
    title="DNSCrypt",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(Signature("udp", b"r6fnvWj8", least=32, strong=True), Signature("tcp", b"r6fnvWj8", at=2, least=34, strong=True)),
    ports=(),
    reference="DNSCrypt version 2 protocol specification",
)
