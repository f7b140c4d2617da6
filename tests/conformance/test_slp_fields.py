"""The slp table against what tshark shows, over messages of every function; the shared set has no SLP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.conformance.captures import read
from tests.conformance.fields import Agreement, asked
from tests.decode.application import test_slp
from tests.decode.application.slp_wire import string, version2
from workbench.decode.application.slp import FUNCTIONS

_LISTS = ("srvloc.srvreq.scopelist", "srvloc.attrreq.scopelist", "srvloc.daadvert.scopelist", "srvloc.srvtypereq.scopelist")
_FIELDS = (
    "srvloc.version",
    "srvloc.function",
    "srvloc.pktlen",
    "srvloc.xid",
    "srvloc.errv2",
    "srvloc.srvreq.srvtypelist",
    *_LISTS,
)
_ERRORS = {"0": "OK", "13": "INVALID_UPDATE"}
SAID = [
    test_slp.REQUEST,
    test_slp.REPLY,
    test_slp.ADVERT,
    version2("SrvAck", b"\0\x0d"),
    version2("AttrRqst", string(b"") + string(test_slp.URL) + string(b"S") + string(b"") * 2),
    version2("SrvTypeRqst", string(b"") + string(b"iana") + string(b"S")),
]


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark(tmp_path: Path) -> None:
    path = tmp_path / "slp.pcap"
    path.write_bytes(pcap([(1.7e9 + n, udp_frame(n + 1, 999, 40_000, 427, data)) for n, data in enumerate(SAID)]))
    agreed = Agreement()
    rows = sorted(read(path).rows("slp"), key=lambda row: row["ts"])
    shown = asked(path, "srvloc", _FIELDS)
    assert len(rows) == len(shown) == len(SAID)
    for n, (row, message) in enumerate(zip(rows, shown, strict=True)):
        agreed.same(str(n), "function", row["function"], FUNCTIONS[int(message["srvloc.function"][0])])
        agreed.same(str(n), "version", row["version"], message["srvloc.version"][0])
        agreed.same(str(n), "length", row["length"], int(message["srvloc.pktlen"][0], 0))
        agreed.same(str(n), "trans_id", row["trans_id"], int(message["srvloc.xid"][0], 0))
        agreed.same(str(n), "error", row["error"], _ERRORS.get((message["srvloc.errv2"] or ["-"])[0]))
        agreed.same(str(n), "scopes", row["scopes"], next((message[name][0] for name in _LISTS if message[name]), None))
        if message["srvloc.srvreq.srvtypelist"]:
            agreed.same(str(n), "service_type", row["service_type"], message["srvloc.srvreq.srvtypelist"][0])
        agreed.same(str(n), "flaw", row["flaw"], None)
    agreed.demand(1.0)
