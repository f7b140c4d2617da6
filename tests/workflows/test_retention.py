"""The ring of evidence: old files go, those of marked flows stay and can be shown."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from tests.capture_files import pcap, udp_frame
from tests.store.rows import source
from workbench.errors import CaptureGoneError
from workbench.settings import AttachSettings, FlowSettings
from workbench.sources.blocks import Block
from workbench.store.notebook import Notebook
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.carve import CarveRequest, carve_from
from workbench.workflows.evidence import Evidence, EvidenceFile, EvidencePlan
from workbench.workflows.live_pipeline import LivePipeline
from workbench.workflows.retention import Ring

_FLOWS, _EACH = 4, 10


def _fill(writer: CaseWriter) -> list[EvidenceFile]:
    """Four flows of ten packets one behind another, as evidence of a file for every five packets."""
    told: dict[int, EvidenceFile] = {}
    evidence = Evidence(EvidencePlan(str(writer.case.root / "evidence"), file_bytes=1), 1, lambda f: told.update({f.n: f}))
    pipeline = LivePipeline(1, "s1", FlowSettings(application=False), None, b"", evidence)
    pipeline.start_file(0)
    frames = [(1_700_000_000.0 + n, udp_frame(n // _EACH, 9, 1000 + n // _EACH, 53, b"said")) for n in range(_FLOWS * _EACH)]
    data = pcap(frames)
    step = (len(data) - 24) // (_FLOWS * 2)
    pieces = [data[: 24 + step], *(data[24 + step + i * step :][:step] for i in range(_FLOWS * 2 - 1))]
    offset = 0
    for piece in pieces:
        buffer = np.zeros(64 + len(piece), np.uint8)
        buffer[64:] = np.frombuffer(piece, np.uint8)
        pipeline.feed(Block(buffer, 64, len(buffer), offset, 1))
        offset += len(piece)
    pipeline.end_file()
    evidence.end()
    for table, batch in {**pipeline.table.finish(), **pipeline.places()}.items():
        writer.append(table, batch)
    writer.commit(now=True)
    return [told[n] for n in sorted(told)]


def _note(writer: CaseWriter, files: list[EvidenceFile]) -> None:
    rows = [
        {"source_id": 1, "n": n, "path": f.path, "sha256": f.sha256, "bytes": f.bytes, "first_offset": f.first_offset}
        | {"mtime_ns": f.mtime_ns}
        for n, f in enumerate(files)
    ]
    writer.set_files(1, rows)
    writer.commit(now=True)


def _carved(case: Path, n: int) -> int:
    with CaseReader(case) as reader:
        try:
            return carve_from(reader, CarveRequest(case, ((1 << 40) + n,)), io.BytesIO()).packets
        except CaptureGoneError:
            return -1


def test_what_is_marked_stays_and_is_still_found(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with CaseWriter(case, live=True) as writer:
        writer.add_source(source(1, "live:eth0", kind="live"))
        files = _fill(writer)
        assert len(files) == 2 * _FLOWS
        _note(writer, files)
        assert [_carved(case, n) for n in range(_FLOWS)] == [_EACH] * _FLOWS
        notebook = Notebook(case)
        notebook.turn_bookmark("flow", str((1 << 40) + 2), "the third")
        notebook.close()
        ring = Ring(writer.case, AttachSettings(evidence_mb=0, evidence_hours=0))
        left = ring.drop({1: files}, writer)[1]
        gone = [f for f in files if f not in left]
        assert [f.n for f in left] == [4, 5]
        assert ring.dropped == {1: sum(f.bytes for f in gone)}
        assert not any(Path(f.path).exists() for f in gone)
        _note(writer, left)
        assert _carved(case, 2) == _EACH
        assert _carved(case, 0) == 0
        assert _carved(case, 3) == 0
        _note(writer, [])
        assert _carved(case, 2) == -1


def test_nothing_goes_while_there_is_room_and_time(tmp_path: Path) -> None:
    with CaseWriter(tmp_path / "case", live=True) as writer:
        writer.add_source(source(1, "live:eth0", kind="live"))
        files = _fill(writer)
        assert Ring(writer.case, AttachSettings(evidence_hours=0)).drop({1: files}, writer) == {1: files}
        assert Ring(writer.case, AttachSettings(evidence_hours=1)).drop({1: files}, writer) == {1: []}


def test_what_earlier_runs_left_counts_and_goes_first(tmp_path: Path) -> None:
    case = tmp_path / "case"
    with CaseWriter(case, live=True) as writer:
        writer.add_source(source(1, "live:eth0", kind="live"))
        files = _fill(writer)
        _note(writer, files)
    notebook = Notebook(case)
    notebook.turn_bookmark("flow", str(1 << 40), "the first")
    notebook.close()
    foreign = case / "evidence" / "notes.pcapng"
    foreign.write_bytes(b"somebody else's")
    (case / "evidence" / "0001-000099.pcapng").symlink_to(foreign)
    with CaseWriter(case, live=True) as writer:
        idle = Ring(writer.case, AttachSettings(evidence_mb=1, evidence_hours=0))
        ring = Ring(writer.case, AttachSettings(evidence_mb=0, evidence_hours=0))
        idle.find_earlier(writer)
        ring.find_earlier(writer)
        writer.add_source(source(2, "live:eth0", kind="live"))
        mine = case / "evidence" / "0002-000000.pcapng"
        mine.write_bytes(bytes(900_000))
        now = [EvidenceFile(0, str(mine), 0, 900_000, 0, done=True)]
        assert idle.earlier_bytes == sum(f.bytes for f in files)
        assert idle.drop({2: now}, writer) == {2: now}  # all within the bound
        assert idle.dropped_before == 0
        assert ring.drop({2: now}, writer) == {2: []}
        assert ring.dropped == {2: 900_000}
        assert ring.dropped_before == sum(f.bytes for f in files[2:])
    assert [Path(f.path).exists() for f in files] == [True, True, *[False] * (len(files) - 2)]
    assert foreign.exists()
    assert _carved(case, 0) == _EACH
    assert _carved(case, 3) == 0


def test_a_file_whose_writer_died_grows_old_like_others(tmp_path: Path) -> None:
    """Its last packet's time is told when it ends: then what it was left with must do."""
    case = tmp_path / "case"
    with CaseWriter(case, live=True) as writer:
        writer.add_source(source(1, "live:eth0", kind="live"))
        path = case / "evidence" / "0001-000000.pcapng"
        path.parent.mkdir()
        path.write_bytes(b"torn")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        ring = Ring(writer.case, AttachSettings(evidence_hours=1))
        file = ring.settled(EvidenceFile(0, str(path), 0, 0, 0))
        assert file.ts_last == 1_700_000_000_000_000_000
        assert ring.settled(EvidenceFile(0, str(path), 0, 0, 7)).ts_last == 7
