"""A flow's packets, a page at a time and one by one, in the numbers of their source."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from workbench.audit.log import AuditLog
from workbench.errors import CancelledError, ExitCode, ExternalError, UsageError
from workbench.store.reader import CaseReader
from workbench.workflows import dissect
from workbench.workflows.carve import CarveRequest, read_frames
from workbench.workflows.dissect import (
    Dissector,
    Frame,
    Line,
    listed,
    masked_hex,
    new_dissector,
    packet_hex,
    packet_lines,
    packet_tree,
)
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

_spec = importlib.util.spec_from_file_location("talk", Path(__file__).parents[1] / "dissect" / "talk.py")
assert _spec is not None
assert _spec.loader is not None
talk: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(talk)

FLOW = 1 << 40
SAYS = [(n % 2, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n" if n % 2 == 0 else b"HTTP/1.1 204 No\r\n\r\n") for n in range(240)]
SECRET = b"GET /last?token=S3CRET HTTP/1.1\r\nHost: h\r\n\r\n"
pytestmark = needs.program("tshark")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One long web flow between packets of another."""
    folder = tmp_path_factory.mktemp("dissect")
    other = talk.udp_talk(9999, [(0, b"x"), (1, b"y")])
    frames = talk.tcp_talk(80, [*SAYS, (0, SECRET)])
    mixed = [*frames[:3], other[0], *frames[3:], other[1]]
    (folder / "a.pcapng").write_bytes(talk.pcapng(mixed))
    index_sources(IndexRequest((str(folder / "a.pcapng"),), folder / "case"))
    return folder


@pytest.fixture
def reader(folder: Path) -> Iterator[CaseReader]:
    with CaseReader(folder / "case") as reader:
        yield reader


@pytest.fixture(scope="module")
def dissector() -> Iterator[Dissector]:
    with new_dissector(timeout=60) as dissector:
        yield dissector


def frames(reader: CaseReader) -> list[Frame]:
    return list(read_frames(reader, FLOW))


def test_pages_have_the_lines_that_the_whole_has(reader: CaseReader, dissector: Dissector) -> None:
    whole = packet_lines(reader, FLOW, 0, 10_000, dissector=dissector)
    numbers = [frame.number for frame in frames(reader)]
    assert [line.number for line in whole] == numbers
    assert numbers[:5] == [1, 2, 3, 5, 6], "one of another flow lies between"
    for start, limit in ((0, 3), (2, 5), (100, 10), (230, 100), (9999, 5)):
        page = packet_lines(reader, FLOW, start, limit, dissector=dissector)
        assert [(line.number, line.protocol, line.length) for line in page] == [
            (line.number, line.protocol, line.length) for line in whole[start : start + limit]
        ]
    far = packet_lines(reader, FLOW, 230, 1, dissector=dissector)[0]
    assert far.info.partition(" seq=")[0] == whole[230].info.partition(" seq=")[0]


def test_a_listing_is_in_the_order_of_the_capture(
    folder: Path, reader: CaseReader, dissector: Dissector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dissect, "_PAGE", 100)
    found = [pair for batch in listed(reader, CarveRequest(folder / "case", (), ""), dissector=dissector) for pair in batch]
    assert [line.number for _, line in found] == list(range(1, 249))
    assert [frame.number for frame, _ in found] == list(range(1, 249))
    assert {frame.flow_id for frame, _ in found} == {FLOW, FLOW + 1}
    one = listed(reader, CarveRequest(folder / "case", (FLOW,), None, "dst", 3), dissector=dissector)
    assert [(frame.from_src, line.number) for batch in one for frame, line in batch] == [(False, 2), (False, 6), (False, 8)]


def test_a_tree_has_numbers_of_the_source(reader: CaseReader, dissector: Dissector) -> None:
    answer = frames(reader)[4]
    assert answer.number == 6
    found = {node.name: node.value for node in talk.flat(packet_tree(reader, answer, dissector=dissector))}
    assert found["frame.number"] == "6"
    assert found["http.response.code"] == "204" or found["http.response.code"].endswith("(204)")
    assert found["http.request_in"] == "5"
    late = frames(reader)[200]
    found = {node.name: node.value for node in talk.flat(packet_tree(reader, late, dissector=dissector))}
    assert found["frame.number"] == str(late.number)
    assert found["tcp.dstport"] in ("80", "40000")


def test_bytes_are_headers_and_masked_payload(reader: CaseReader) -> None:
    last = frames(reader)[-3]
    assert SECRET in last.data
    head = len(last.data) - len(SECRET)
    assert masked_hex(last) == [(0, last.data[:head]), (head, None)]
    first = frames(reader)[0]
    assert masked_hex(first) == [(0, first.data)]
    assert masked_hex(replace(first, payload_at=0)) == [(0, None)]
    assert packet_hex(reader, last) == masked_hex(last)


def test_unmasking_needs_a_reason_and_is_on_record_first(folder: Path, reader: CaseReader, dissector: Dissector) -> None:
    last = frames(reader)[-3]
    before = len(AuditLog(folder / "case").read())
    assert "S3CRET" not in talk.said(packet_tree(reader, last, dissector=dissector))
    assert len(AuditLog(folder / "case").read()) == before
    for reason in ("", " \n"):
        with pytest.raises(UsageError, match="reason"):
            packet_tree(reader, last, reason)
        with pytest.raises(UsageError, match="reason"):
            packet_hex(reader, last, reason)
    assert "S3CRET" in talk.said(packet_tree(reader, last, "ticket \x1b 1\udcff", dissector=dissector))
    assert packet_hex(reader, last, "ticket 2") == [(0, last.data)]
    entries = AuditLog(folder / "case").read()[before:]
    assert [entry.action for entry in entries] == ["packets_unmasked"] * 2
    assert entries[0].detail["reason"] == "ticket \x1b 1?"
    assert entries[1].detail == {"reason": "ticket 2", "tshark": "", "flows": [FLOW], "source": 1, "packet": last.number}
    assert AuditLog(folder / "case").verify().ok


def test_without_a_log_nothing_is_unmasked(folder: Path, reader: CaseReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ExternalError("audit.jsonl cannot be written")

    monkeypatch.setattr(AuditLog, "append", refuse)
    asked = []
    monkeypatch.setattr(Dissector, "tree", lambda *_: asked.append(1))
    for show in (packet_tree, packet_hex):
        with pytest.raises(ExternalError, match="cannot be written") as caught:
            show(reader, frames(reader)[-3], "why")
        assert caught.value.exit_code is ExitCode.EXTERNAL
    assert asked == []


def test_reading_can_be_cancelled(reader: CaseReader, dissector: Dissector) -> None:
    with pytest.raises(CancelledError):
        packet_lines(reader, FLOW, dissector=dissector, cancel=lambda: True)


def test_a_flow_that_is_not_there_is_told(reader: CaseReader, dissector: Dissector) -> None:
    with pytest.raises(UsageError, match="no flow 7"):
        packet_lines(reader, 7, dissector=dissector)


def test_lines_are_plain_values(reader: CaseReader) -> None:
    (line,) = packet_lines(reader, FLOW, 0, 1)
    assert isinstance(line, Line)
    assert json.dumps([line.number, line.ts_ns, line.src, line.info])
