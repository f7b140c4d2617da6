from __future__ import annotations

import re

from workbench.decode.application.protocol import Cut, Framing
from workbench.decode.application.registry import at_home, codes, protocols
from workbench.records.columns import BY_NAME


def test_every_protocol_is_whole() -> None:
    for protocol in protocols():
        assert re.fullmatch(r"[a-z][a-z0-9_-]{1,20}", protocol.name)
        assert protocol.title
        assert protocol.reference
        assert protocol.signatures, f"{protocol.name} cannot be known"
        assert not (protocol.reader and protocol.batch)
        assert bool(protocol.tables) <= bool(protocol.reader or protocol.batch), f"{protocol.name}: nobody fills its tables"
        for table in protocol.tables:
            assert "flow_id" in BY_NAME[table].names


def test_signatures_can_be_asked() -> None:
    for protocol in protocols():
        for signature in protocol.signatures:
            framing = protocol.framed(signature.transport)
            assert isinstance(framing, Framing)
            assert (framing.cut is Cut.DATAGRAM) == (signature.transport == "udp"), protocol.name
            assert signature.mask is None or len(signature.mask) == len(signature.value)
            assert len(signature.value) <= 16
            assert signature.value or signature.probe, f"{protocol.name}: a signature that anything would match"


def test_codes_and_ports_are_one_to_one() -> None:
    assert sorted(codes().values()) == list(range(1, len(protocols()) + 1))
    assert len(protocols()) < 255
    for (transport, port), name in at_home().items():
        assert transport in ("tcp", "udp", "sctp")
        assert 0 < port < 65536
        assert name in codes()
