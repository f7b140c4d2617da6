"""Evidence: what stands where, in as many files as it takes, and nothing of what was said."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import numpy as np
import pytest

from tests.capture_files import blocks_of, packets_of, pcap, udp_frame
from tests.decode.wire import eth, ip4, tcp
from workbench.settings import FlowSettings
from workbench.sources.blocks import Block
from workbench.workflows.evidence import Evidence, EvidenceFile, EvidencePlan, _Hashing
from workbench.workflows.live_pipeline import LivePipeline

_SECRET = b"what nobody may keep"
_PACKETS = 40


def _capture() -> bytes:
    return pcap([(1_700_000_000.0 + n, udp_frame(n % 4, 9, 1000 + n % 4, 53, _SECRET + bytes([n]))) for n in range(_PACKETS)])


def _fed(plan: EvidencePlan, pieces: int = 1, data: bytes | None = None) -> tuple[LivePipeline, list[EvidenceFile]]:
    """A pipeline that was fed the capture in so many pieces; what it told of files."""
    told: list[EvidenceFile] = []
    evidence = Evidence(plan, 1, told.append)
    pipeline = LivePipeline(1, "s", FlowSettings(application=False), None, b"", evidence)
    pipeline.start_file(0)
    data = _capture() if data is None else data
    step = -(-len(data) // pieces)
    for at in range(0, len(data), step):
        piece = np.zeros(4096 + step, np.uint8)
        size = len(data[at : at + step])
        piece[4096 : 4096 + size] = np.frombuffer(data[at : at + step], np.uint8)
        pipeline.feed(Block(piece, 4096, 4096 + size, at, 1))
    pipeline.end_file()
    evidence.end()
    return pipeline, told


def _done(told: list[EvidenceFile]) -> list[EvidenceFile]:
    return sorted((f for f in told if f.done), key=lambda f: f.n)


@pytest.mark.parametrize("pieces", [1, 7])
def test_the_files_one_behind_another_are_the_source(tmp_path: Path, pieces: int) -> None:
    pipeline, told = _fed(EvidencePlan(str(tmp_path / "evidence"), file_bytes=500), pieces)
    files = _done(told)
    assert len(files) == (1 if pieces == 1 else 7)  # a file ends between two takes
    offset = 0
    for file in files:
        assert file.first_offset == offset
        assert file.bytes == Path(file.path).stat().st_size
        offset += file.bytes
    assert pipeline.evidence.offset == offset
    whole = b"".join(Path(f.path).read_bytes() for f in files)
    rows = pipeline.table.finish()["flows"].to_pylist()
    assert [row["src_pkts"] for row in rows] == [_PACKETS // 4] * 4
    for row in rows:  # an enhanced packet block stands at both ends of what the flow names
        for at in (row["first_offset"], row["last_offset"]):
            assert whole[at : at + 4] == b"\x06\0\0\0"
    places = pipeline.places()["source_blocks"].to_pylist()
    assert whole[places[0]["record_offset"] :][:4] == b"\x06\0\0\0"
    assert places[0]["section_offset"] == 0


def test_payload_is_zeroed_and_lengths_are_not(tmp_path: Path) -> None:
    _, told = _fed(EvidencePlan(str(tmp_path / "evidence")))
    (file,) = _done(told)
    data = Path(file.path).read_bytes()
    assert _SECRET not in data
    packets = packets_of(data)
    assert len(packets) == _PACKETS
    first = udp_frame(0, 9, 1000, 53, _SECRET + b"\0")
    assert packets[0][2] == first[: 14 + 20 + 8] + bytes(len(_SECRET) + 1)
    assert {kind for kind, _ in blocks_of(data)} == {0x0A0D0D0A, 1, 6}


@pytest.mark.parametrize("offset", [0x00, 0x40, 0xF0])
def test_a_header_that_lies_about_its_length_hides_no_payload(tmp_path: Path, offset: int) -> None:
    packet = bytearray(eth(0x0800, ip4(6, tcp(40000, 80, _SECRET))))
    packet[14 + 20 + 12] = offset
    _, told = _fed(EvidencePlan(str(tmp_path / "evidence")), data=pcap([(1_700_000_000.0, bytes(packet))]))
    (file,) = _done(told)
    (kept,) = [data for *_, data in packets_of(Path(file.path).read_bytes())]
    assert kept == bytes(packet[: 14 + 20 + 20]) + bytes(len(_SECRET))


def test_payload_is_kept_where_that_was_asked_for(tmp_path: Path) -> None:
    _, told = _fed(EvidencePlan(str(tmp_path / "evidence"), keep_payload=True))
    (file,) = _done(told)
    assert Path(file.path).read_bytes().count(_SECRET) == _PACKETS
    assert Path(file.path).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_cannot_be_written_costs_the_evidence_and_no_flow(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("no folder")
    pipeline, told = _fed(EvidencePlan(str(tmp_path / "evidence")))
    assert pipeline.evidence.failed
    assert pipeline.packets == _PACKETS
    assert len(pipeline.table.finish()["flows"]) == 4
    assert all(file.bytes <= 0 for file in told)


def test_it_goes_on_once_there_is_room_again_and_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half a piece, then nothing, then everything again."""
    told: list[EvidenceFile] = []
    evidence = Evidence(EvidencePlan(str(tmp_path / "evidence")), 1, told.append)
    pipeline = LivePipeline(1, "s", FlowSettings(application=False), None, b"", evidence)
    pipeline.start_file(0)
    data, room = _capture(), [10_000_000]
    plain = os.write

    def full(self: _Hashing, view: memoryview) -> int:
        if isinstance(self.file, io.BytesIO):
            return self.file.write(view)
        taken = view[: room[0]]
        if not len(taken):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= len(taken)
        return plain(self.file.fileno(), taken)

    monkeypatch.setattr(_Hashing, "put", full)
    step = -(-len(data) // 4)
    for n, at in enumerate(range(0, len(data), step)):
        room[0] = {1: 100, 2: 0}.get(n, 10_000_000)
        monkeypatch.setattr("workbench.workflows.evidence._AGAIN", 0.0 if n else 30.0)
        piece = np.zeros(4096 + step, np.uint8)
        size = len(data[at : at + step])
        piece[4096 : 4096 + size] = np.frombuffer(data[at : at + step], np.uint8)
        pipeline.feed(Block(piece, 4096, 4096 + size, at, 1))
    pipeline.end_file()
    evidence.end()
    (line,) = evidence.ledger()
    first, last = _done(told)
    assert line.reason == "evidence_failed"
    assert "No space left on device" in line.detail
    assert " to " in line.detail
    assert first.n < last.n
    for file in (first, last):
        kept = Path(file.path).read_bytes()
        assert (len(kept), hashlib.sha256(kept).hexdigest()) == (file.bytes, file.sha256)
    shown = [len(packets_of(Path(file.path).read_bytes())) for file in (first, last)]
    assert all(shown)
    assert sum(shown) + line.count == _PACKETS == pipeline.packets
    assert last.first_offset > first.first_offset + first.bytes


def test_what_lies_there_already_is_never_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "0001-000000.pcapng").symlink_to(tmp_path / "elsewhere")
    pipeline, _ = _fed(EvidencePlan(str(folder)))
    assert pipeline.evidence.failed
    assert not (tmp_path / "elsewhere").exists()


def test_none_is_kept_where_none_is_wanted(tmp_path: Path) -> None:
    pipeline, told = _fed(EvidencePlan(None))
    assert told == []
    assert pipeline.packets == _PACKETS
    assert list(tmp_path.iterdir()) == []


def test_flows_end_by_the_clock_when_no_packet_comes(tmp_path: Path) -> None:
    pipeline, _ = _fed(EvidencePlan(None))
    table = pipeline.table
    last = table.ts_previous
    assert last is not None
    assert table.open_flows == 4
    table.tick(last + 30_000_000_000)
    assert table.open_flows == 4
    table.tick(last + 58_000_000_000)  # the others were heard a second or three before the last
    assert table.open_flows == 2
    table.tick(last + 61_000_000_000)
    assert table.open_flows == 0
    assert {row["end_reason"] for row in table.drain()["flows"].to_pylist()} == {1}
