"""Session Initiation Protocol (RFC 3261): known by a request to a SIP address, or a response."""

from __future__ import annotations

from typing import Final

from workbench.decode.application.protocol import Cut, Framing, Protocol, Signature

PROTOCOL: Final = Protocol(
    name="sip",
    title="Session Initiation Protocol",
    framing={"tcp": Framing(Cut.HEAD, keep=16), "udp": Framing(Cut.DATAGRAM, keep=16, most=1)},
    signatures=(
        Signature("tcp", b"INVITE sip:", strong=True),
        Signature("tcp", b"REGISTER sip:", strong=True),
        Signature("tcp", b"OPTIONS sip:", strong=True),
        Signature("tcp", b"SUBSCRIBE sip:", strong=True),
        Signature("tcp", b"NOTIFY sip:", strong=True),
        Signature("tcp", b"MESSAGE sip:", strong=True),
        Signature("tcp", b"ACK sip:", strong=True),
        Signature("tcp", b"BYE sip:", strong=True),
        Signature("tcp", b"CANCEL sip:", strong=True),
        Signature("tcp", b"PUBLISH sip:", strong=True),
        Signature("udp", b"INVITE sip:", strong=True),
        Signature("udp", b"REGISTER sip:", strong=True),
        Signature("udp", b"OPTIONS sip:", strong=True),
        Signature("udp", b"SUBSCRIBE sip:", strong=True),
        Signature("udp", b"NOTIFY sip:", strong=True),
        Signature("udp", b"MESSAGE sip:", strong=True),
        Signature("udp", b"ACK sip:", strong=True),
        Signature("udp", b"BYE sip:", strong=True),
        Signature("udp", b"CANCEL sip:", strong=True),
        Signature("udp", b"PUBLISH sip:", strong=True),
        Signature("tcp", b"SIP/2.0 ", strong=True),
        Signature("udp", b"SIP/2.0 ", strong=True),
    ),
    ports=(5060,),
    reference="RFC 3261",
)
