"""Kinds and formats of flow telemetry, by name; nothing heavy, for whoever only asks which is which."""

from __future__ import annotations

from typing import Final

#: What `sources.kind` is of an exporter's telemetry.
TELEMETRY: Final = ("ipfix", "netflow5", "netflow9", "sflow", "nfdump")
#: Formats that are imported by name, and the kinds of each: exporters of NetFlow and IPFIX share collectors.
FORMATS: Final = {
    "ipfix": ("ipfix", "netflow9", "netflow5"),
    "netflow": ("netflow5", "netflow9", "ipfix"),
    "sflow": ("sflow",),
    "nfdump": ("nfdump",),
}
