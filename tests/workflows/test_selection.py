from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from workbench.decode.framing import Framer, open_framer
from workbench.errors import BpfError
from workbench.records.packet import FRAME
from workbench.store.reader import CaseReader
from workbench.workflows import selection as module
from workbench.workflows.carve import CarveRequest, carve, read_frames
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest
from workbench.workflows.selection import Selection, selection_of

pytestmark = needs.libpcap()

PLAIN = udp_frame(1, 2, 1000, 53)


def block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def pcapng(links: list[int], packets: list[tuple[int, bytes]]) -> bytes:
    """A section, its interfaces, (interface, bytes) as enhanced packet blocks."""
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += b"".join(block(1, struct.pack("<HHI", link, 0, 0)) for link in links)
    return out + b"".join(block(6, struct.pack("<IIIII", i, 0, 0, len(p), len(p)) + p) for i, p in packets)


def framed(data: bytes) -> tuple[Framer, np.ndarray, np.ndarray, int]:
    buf = np.frombuffer(data, np.uint8)
    framer = open_framer(data[:4096])
    frames = np.zeros(100, FRAME)
    n, _ = framer.frame(buf, 0, len(buf), True, frames)
    return framer, buf, frames, n


def test_every_link_type_of_a_capture_is_judged_by_its_own_program() -> None:
    packets = [(0, PLAIN), (1, PLAIN[14:]), (2, PLAIN), (0, udp_frame(1, 2, 3, 4)), (1, PLAIN[14:]), (2, PLAIN)]
    framer, buf, frames, n = framed(pcapng([1, 101, 147], packets))
    selection = Selection("udp port 53")
    assert selection.keep(framer, buf, frames, n).tolist() == [True, True, False, False, True, False]
    assert selection.ledger() == []  # nothing was taken yet
    assert selection.take(framer, buf, frames, n, 101).tolist() == [101, 102, 105]
    left_out, unfit = selection.ledger()
    assert (left_out.reason, left_out.count, left_out.first_frames, left_out.detail) == ("not_selected", 1, (104,), "udp port 53")
    assert (unfit.reason, unfit.count, unfit.first_frames) == ("not_selectable", 2, (103, 106))
    assert unfit.detail.startswith("LINKTYPE_147: ")


def test_what_cannot_be_on_a_link_is_not_selected_there() -> None:
    framer, buf, frames, n = framed(pcapng([101], [(0, PLAIN[14:])] * 3))
    selection = Selection("arp")
    assert selection.take(framer, buf, frames, n, 1).tolist() == []
    (line,) = selection.ledger()
    assert (line.reason, line.count) == ("not_selected", 3)


def test_interfaces_may_come_later() -> None:
    first = pcapng([1], [(0, PLAIN)])
    later = block(1, struct.pack("<HHI", 101, 0, 0)) + block(6, struct.pack("<IIIII", 1, 0, 0, 29, 29) + PLAIN[14:])
    data = first + later
    buf = np.frombuffer(data, np.uint8)
    framer = open_framer(data[:4096])
    frames = np.zeros(1, FRAME)
    selection = Selection("udp")
    at = 0
    for number in (1, 2):
        n, at = framer.frame(buf, at, len(buf), True, frames)
        assert selection.take(framer, buf, frames, n, number).tolist() == [number]


@pytest.mark.parametrize("order", [">", "<"])
def test_loopback_headers_are_read_in_the_order_of_their_file(order: str) -> None:
    head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 0)
    packet = struct.pack(order + "I", 2) + PLAIN[14:]
    data = head + struct.pack(order + "IIII", 0, 0, len(packet), len(packet)) + packet
    framer, buf, frames, n = framed(data)
    selection = Selection("udp port 53")
    assert selection.keep(framer, buf, frames, n).tolist() == [True]
    other = framed(pcap([(0, PLAIN)]))  # the next file of a joined source
    assert selection.keep(*other).tolist() == [True]
    assert selection.keep(framer, buf, frames, n).tolist() == [True]


def test_a_text_that_nobody_checked() -> None:
    """As in the case of a stranger."""
    for text in ("nonsense and more", "port", "(" * 10_000, "udp\0", "udp\udce9", "host localhost"):
        with pytest.raises(BpfError):
            selection_of(text)
    assert selection_of(None) is None
    assert selection_of(" ") is None
    found = selection_of(" udp  port 53")
    assert found is not None
    assert found.keep(*framed(pcap([(0, PLAIN)]))).tolist() == [True]


def test_a_capture_of_ever_new_link_types_does_not_hold_up(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(module, "compile_filter", lambda text, link, **_: compiled.append(link) or [(0x06, 0, 0, 1)])
    links = list(range(400))
    framer, buf, frames, n = framed(pcapng(links, [(link, PLAIN) for link in range(0, 400, 4)]))
    selection = Selection("greater 1")
    numbers = selection.take(framer, buf, frames, n, 1)
    assert len(compiled) == 256
    (unfit,) = selection.ledger()
    assert (unfit.reason, unfit.count) == ("not_selectable", n - len(numbers))
    assert "more than 256 link types" in unfit.detail


def test_packets_behind_a_flow_are_those_that_were_selected(tmp_path: Path) -> None:
    frames = [(1_700_000_000 + n, udp_frame(1, 2, 1000, 53, bytes(10 if n % 3 else 100))) for n in range(30)]
    capture = tmp_path / "a.pcap"
    capture.write_bytes(pcap(frames))
    case = tmp_path / "case"
    index_sources(IndexRequest((str(capture),), case, bpf="udp and greater 100"))
    with CaseReader(case) as reader:
        (flow,) = reader.query("SELECT flow_id, src_pkts FROM flows").to_pylist()
        assert flow["src_pkts"] == 10
        assert [frame.number for frame in read_frames(reader, flow["flow_id"])] == list(range(1, 31, 3))
    result = carve(CarveRequest(case, (flow["flow_id"],)), tmp_path / "out.pcapng")
    assert (result.packets, result.notes) == (10, ())
