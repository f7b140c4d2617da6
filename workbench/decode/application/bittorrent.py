"""BitTorrent (BEP 3, BEP 5): known by the handshake between peers, or a message of the distributed table."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="bittorrent",
    title="BitTorrent",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("tcp", b"\x13BitTorrent prot", strong=True),
        Signature("udp", b"d1:ad2:id20:", strong=True),
        Signature("udp", b"d1:rd2:id20:", strong=True),
    ),
    ports=(6881,),
    reference="BEP 3, BEP 5",
)
