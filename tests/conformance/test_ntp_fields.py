"""The ntp table against what tshark shows, summed as the table sums it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.conformance.captures import folder, read
from tests.conformance.fields import Agreement, asked
from tests.decode.application.test_ntp import control, packet, private

_FIELDS = ("ntp.flags.vn", "ntp.flags.mode", "ntp.stratum", "ntp.ctrl.flags2.opcode", "ntp.priv.reqcode", "ip.src", "udp.srcport")
_MODES = ("", "symmetric", "symmetric", "client", "server", "broadcast", "control", "private")
_REQUESTS = {("control", 2): "readvar", ("private", 42): "monlist", ("private", 20): "monlist", ("private", 2): "peer_info"}


def _ours(path: Path) -> Path:
    said = [packet(3, sent=7), control(2), private(42), private(2), packet(1, 3), packet(5)]
    path.write_bytes(pcap([(1.7e9 + n, udp_frame(1, 9, 123, 123, data)) for n, data in enumerate(said)]))
    return path


def compare(path: Path, agreed: Agreement) -> None:
    """How often each kind of message is said."""
    mine: Counter[tuple[str, str, str | None]] = Counter()
    for row in read(path).rows("ntp"):
        mine[row["version"], row["mode"], row["request"]] += row["count"]
    theirs: Counter[tuple[str, str, str | None]] = Counter()
    for shown in asked(path, "ntp && !icmp", _FIELDS):
        mode = _MODES[int(shown["ntp.flags.mode"][0])]
        code = (shown["ntp.ctrl.flags2.opcode"] or shown["ntp.priv.reqcode"] or [None])[0]
        theirs[shown["ntp.flags.vn"][0], mode, None if code is None else _REQUESTS.get((mode, int(code, 0)))] += 1
    for key in mine | theirs:
        agreed.same(path.name, str(key), mine[key], theirs[key])


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark(tmp_path: Path) -> None:
    agreed = Agreement()
    for path in (_ours(tmp_path / "ours.pcap"), folder() / "zeek/traces/ntp/NTP_sync.pcap"):
        if path.exists():
            compare(path, agreed)
    agreed.demand(1.0)
