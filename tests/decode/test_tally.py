from __future__ import annotations

import numpy as np

from tests.decode.wire import decode_all, eth, ip4, plain_tcp, tcp
from workbench.decode.tally import UndecodedTally, detail_text
from workbench.records import reasons as R  # noqa: N812
from workbench.records.packet import PACKET
from workbench.records.reasons import BY_NAME

LLDP, PTP = eth(0x88CC, bytes(50)), eth(0x88F7, bytes(50))
MACSEC = eth(0x88E5, bytes(50))


def test_reasons_frames_and_details() -> None:
    tally = UndecodedTally()
    rows = decode_all([plain_tcp(), LLDP, MACSEC, PTP] + [MACSEC] * 6 + [eth(0x0800, b"\x45")])
    tally.add(rows, len(rows), 1)
    tally.add(rows, 4, 1001)
    lines = {line.reason: line for line in tally.ledger()}
    assert set(lines) == {"ethertype", "link_control", "ip_truncated"}
    assert (lines["ethertype"].count, lines["ethertype"].first_frames) == (10, (3, 4, 5, 6, 7))
    assert lines["ethertype"].detail == "0x88e5 MACsec 8, 0x88f7 PTP 2"
    assert (lines["link_control"].count, lines["link_control"].first_frames) == (2, (2, 1002))
    assert lines["link_control"].detail == "0x88cc LLDP 2"
    assert tally.undecoded == 13


def test_numbers_are_those_given() -> None:
    tally = UndecodedTally()
    rows = decode_all([LLDP, MACSEC, LLDP])
    tally.add(rows, 3, 1, np.array([7, 8, 90]))
    assert {line.reason: line.first_frames for line in tally.ledger()} == {"link_control": (7, 90), "ethertype": (8,)}


def test_packets_captured_short_are_told_even_when_decoded() -> None:
    packet = eth(0x0800, ip4(6, tcp(1, 2, bytes(500))))
    tally = UndecodedTally()
    rows = decode_all([packet, packet[:60]], wires=[len(packet)] * 2)
    tally.add(rows, 2, 11)
    (line,) = tally.ledger()
    assert (line.reason, line.count, line.first_frames, line.detail) == ("snaplen", 1, (12,), "")
    assert tally.undecoded == 0


def test_more_kinds_than_are_kept_are_counted_as_others() -> None:
    rows = decode_all([eth(0x7000 + n, bytes(50)) for n in range(200)])
    tally = UndecodedTally()
    tally.add(rows, len(rows), 1)
    (line,) = tally.ledger()
    assert line.count == 200
    assert line.detail.endswith("others 194")


def test_never_more_than_given() -> None:
    tally = UndecodedTally()
    tally.add(np.zeros(3, PACKET), 1000, 1)
    assert tally.ledger() == []


def test_every_line_is_in_the_one_list() -> None:
    rows = np.zeros(32, PACKET)
    rows["status"] = 2
    rows["reason"] = np.arange(32)
    tally = UndecodedTally()
    known = rows[np.isin(rows["reason"], [r.code for r in R.REASONS if r.code])]
    tally.add(np.ascontiguousarray(known), len(known), 1)
    assert {line.reason for line in tally.ledger()} == {r.name for r in R.REASONS if r.code}
    assert all(line.reason in BY_NAME for line in tally.ledger())


def test_details_in_words() -> None:
    assert detail_text(R.LINK_TYPE, 105) == "IEEE802_11"
    assert detail_text(R.LLC, 0x4242) == "0x4242 spanning tree"
    assert detail_text(R.PPP_PROTOCOL, 0x2B) == "0x002b"
    assert detail_text(R.LINK_TRUNCATED, 1) == "ETHERNET"
    assert detail_text(R.LINK_TRUNCATED, 0x8864) == "0x8864"
    assert detail_text(R.TRANSPORT_TRUNCATED, 6) == "protocol 6"
    assert detail_text(R.PPPOE_CONTROL, 0xC021) == "0xc021 LCP"
    assert detail_text(R.MPLS_TRUNCATED, 0) == ""
