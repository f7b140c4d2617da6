"""The application protocols there are, as a person or a script wants them listed."""

from __future__ import annotations

from typing import Any

from workbench.decode.application.protocol import Protocol
from workbench.decode.application.registry import protocols
from workbench.records.columns import BY_NAME


def known_protocols() -> list[dict[str, Any]]:
    """name, title, reference, known_by (in words), ports, and by table its columns with their privacy classes."""
    return [
        {
            "name": protocol.name,
            "title": protocol.title,
            "reference": protocol.reference,
            "known_by": known_by(protocol),
            "ports": list(protocol.ports),
            "tables": {table: {c.name: c.privacy.value for c in BY_NAME[table].columns} for table in protocol.tables},
        }
        for protocol in protocols()
    ]


def known_by(protocol: Protocol) -> str:
    """How a flow is known to speak it, in words."""
    said = []
    for transport in ("tcp", "udp", "sctp"):
        asked = [signature for signature in protocol.signatures if signature.transport == transport]
        if asked:
            beside = " beside its port" if all(signature.ports for signature in asked) else ""
            said.append(f"content{beside} over {transport.upper()}")
    return ", ".join(said) or "other protocols that carry it"
