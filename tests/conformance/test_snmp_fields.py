"""The snmp table against what tshark shows, over messages of every version and kind; the shared set has no SNMP."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.conformance.captures import read
from tests.conformance.fields import Agreement, asked
from tests.decode.application.ber_wire import octets
from tests.decode.application.test_snmp import ENGINE, NAME, SCOPED, TRAP1, v2, v3

_KINDS = {
    "get": "get_request", "getnext": "get_next_request", "response": "get_response", "set": "set_request",
    "getbulk": "getBulkRequest", "inform": "informRequest", "report": "report",
}  # fmt: skip
_FIELDS = (
    "snmp.version", "snmp.msgVersion", "snmp.name", "snmp.error_status", "snmp.msgAuthoritativeEngineID", "snmp.enterprise",
    "snmp.trap_element", "snmp.snmpV2_trap_element", *(f"snmp.{name}_element" for name in _KINDS.values()),
)  # fmt: skip
_VERSIONS = {"0": "1", "1": "2c", "3": "3"}
_NOT_OPEN = v3(7, octets(b"\x8a" * 40))
SAID = [v2(tag, NAME) for tag in (0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA6, 0xA7)] + [
    v2(0xA0, *[NAME] * 40, version=0),
    TRAP1,
    v3(5, SCOPED),
    _NOT_OPEN,
]


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark(tmp_path: Path) -> None:
    path = tmp_path / "snmp.pcap"
    path.write_bytes(pcap([(1.7e9 + n, udp_frame(n + 1, 999, 40_000, 161, data)) for n, data in enumerate(SAID)]))
    agreed = Agreement()
    rows = sorted(read(path).rows("snmp"), key=lambda row: row["ts"])
    shown = asked(path, "snmp", _FIELDS)
    assert len(rows) == len(shown) == len(SAID)
    for n, (row, message) in enumerate(zip(rows, shown, strict=True)):
        theirs = Counter(ours for ours, name in _KINDS.items() if message[f"snmp.{name}_element"])
        theirs["trap"] += bool(message["snmp.trap_element"] or message["snmp.snmpV2_trap_element"])
        agreed.same(str(n), "pdu", row["pdu"], next((kind for kind, count in theirs.items() if count), None))
        agreed.same(str(n), "version", row["version"], _VERSIONS[(message["snmp.version"] or message["snmp.msgVersion"])[0]])
        agreed.same(str(n), "first_oid", row["first_oid"], (message["snmp.enterprise"] or message["snmp.name"] or [None])[0])
        agreed.same(str(n), "engine", row["engine"], (message["snmp.msgAuthoritativeEngineID"] or [None])[0])
    agreed.demand(1.0)
    assert rows[-1]["engine"] == ENGINE.hex()
