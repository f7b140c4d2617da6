"""Packets behind rows: exactly those that the index counted, as they stand in the capture."""

import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import packets_of, pcap, udp_frame, write_flows
from tests.tshark_filters import COLUMNS, same_packets
from workbench.audit.log import AuditLog
from workbench.errors import CancelledError, CaptureChangedError, CaptureGoneError, UsageError
from workbench.store.reader import CaseReader
from workbench.workflows.carve import CarveRequest, CarveResult, Frame, carve, read_frames, searches
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAMPLE = Path(__file__).parents[2] / "sample_captures" / "esxi-lateral.pcapng"


def index(case: Path, *paths: Path, **options: object) -> Path:
    index_sources(IndexRequest(tuple(map(str, paths)), case, **options))  # type: ignore[arg-type]
    return case


def all_frames(case: Path, side: str = "both") -> list[Frame]:
    """Every packet of every flow, flow by flow."""
    with CaseReader(case) as reader:
        ids = reader.query("SELECT flow_id FROM flows ORDER BY flow_id")["flow_id"].to_pylist()
        return [frame for flow_id in ids for frame in read_frames(reader, flow_id, side=side)]  # type: ignore[arg-type]


def carved(case: Path, **options: object) -> tuple[CarveResult, list[tuple[int, int, bytes]]]:
    """The result, and (time in ns, wire length, bytes) of every packet block written."""
    out = io.BytesIO()
    result = carve(CarveRequest(case, **options), out)  # type: ignore[arg-type]
    assert result.bytes == len(out.getvalue())
    return result, packets_of(out.getvalue())


def test_every_packet_of_a_sample_is_in_one_flow_once(tmp_path: Path) -> None:
    case = index(tmp_path / "case", SAMPLE)
    frames = all_frames(case)
    with CaseReader(case) as reader:
        (told,) = reader.query(
            "SELECT packets, (SELECT count(*) FROM arp) AS arp, (SELECT coalesce(sum(count), 0)::BIGINT FROM ledger"
            " WHERE kind = 'undecoded') AS lost FROM sources"
        ).to_pylist()
        counts = {row["flow_id"]: row for row in reader.query("SELECT flow_id, src_pkts, dst_pkts FROM flows").to_pylist()}
    assert len(frames) == told["packets"] - told["arp"] - told["lost"]
    assert len({f.number for f in frames}) == len(frames)
    sent = Counter((f.flow_id, f.from_src) for f in frames)
    assert {(i, True): r["src_pkts"] for i, r in counts.items() if r["src_pkts"]} | {
        (i, False): r["dst_pkts"] for i, r in counts.items() if r["dst_pkts"]
    } == sent
    result, packets = carved(case)
    assert result == CarveResult(len(frames), len(counts), result.bytes, ())
    by_place = sorted(frames, key=lambda f: f.offset)
    assert packets == [(f.ts_ns, f.wire, f.data) for f in by_place]
    assert [f.number for f in by_place] == sorted(f.number for f in frames)


def test_one_side_and_a_limit(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3, packets_each=10))
    with CaseReader(case) as reader:
        flow = reader.query("SELECT min(flow_id) AS i FROM flows")["i"][0].as_py()
        both = list(read_frames(reader, flow))
        assert [f.from_src for f in both] == [True, False] * 5
        assert list(read_frames(reader, flow, side="src")) == both[::2]
        assert list(read_frames(reader, flow, side="dst", start=1, limit=2)) == both[3:6:2]
    assert carved(case, flow_ids=(flow,), side="dst")[1] == [(f.ts_ns, f.wire, f.data) for f in both[1::2]]
    result, packets = carved(case, flow_ids=(flow,), limit=4)
    assert (result.packets, len(packets), result.notes) == (4, 4, ())


def test_payload_begins_where_the_headers_end(tmp_path: Path) -> None:
    padded = udp_frame(1, 2, 1000, 53, b"") + b"left in the card's memory"
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(1.0, udp_frame(1, 2, 1000, 53, b"secret")), (1.1, padded)]))
    frames = all_frames(index(tmp_path / "case", path))
    assert [f.data[f.payload_at :] for f in frames] == [b"secret", b"left in the card's memory"]


def test_flows_that_follow_each_other_on_one_tuple(tmp_path: Path) -> None:
    """The clock runs backwards between them, and both have packets of the same time."""
    times = [1000.0, 1000.5, 2000.0, 1999.0, 2000.0, 3000.0, 900.0]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([(ts, udp_frame(1, 2, 1000, 53, b"%d" % n)) for n, ts in enumerate(times)]))
    case = index(tmp_path / "case", path)
    with CaseReader(case) as reader:
        flows = reader.query("SELECT flow_id, src_pkts AS n FROM flows ORDER BY flow_id").to_pylist()
        found = [[f.number for f in read_frames(reader, row["flow_id"])] for row in flows]
    assert [len(numbers) for numbers in found] == [row["n"] for row in flows]
    assert sorted(n for numbers in found for n in numbers) == [1, 2, 3, 4, 5, 6, 7]
    assert len(flows) > 1


def test_a_capture_that_is_gone_or_changed_is_said(tmp_path: Path) -> None:
    path = write_flows(tmp_path / "a.pcap", 3)
    case = index(tmp_path / "case", path)
    was = path.stat()
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns + 10))
    assert carved(case)[0].packets == 6  # its hash is still the same
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert carved(case)[0].packets == 6  # it has grown, and begins as it did
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data[:-100])
    with pytest.raises(CaptureChangedError, match=r"a\.pcap"):
        carved(case)
    path.write_bytes(data[:-101])
    with pytest.raises(CaptureChangedError, match="bytes instead of"):
        carved(case)
    path.unlink()
    with pytest.raises(CaptureGoneError, match=r"a\.pcap"):
        carved(case)


def test_a_capture_that_changes_while_it_is_read_gives_no_file(tmp_path: Path) -> None:
    path, out = write_flows(tmp_path / "a.pcap", 3), tmp_path / "out.pcapng"
    case = index(tmp_path / "case", path)

    def cut(_: object) -> None:
        os.truncate(path, 60)

    with pytest.raises(CaptureChangedError, match=r"a\.pcap"):
        carve(CarveRequest(case), out, cut)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pcap", "case"]


def test_what_leaves_the_case_is_in_its_log(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3))
    result = carve(CarveRequest(case, filter="tcp", side="src"), tmp_path / "out.pcapng")
    entry = AuditLog(case).read()[-1]
    assert (entry.action, result.notes) == ("packets_carved", ())
    said = {"file": str(tmp_path / "out.pcapng"), "filter": "tcp", "side": "src"}
    assert entry.detail == said | {"flow_count": result.flows, "packets": result.packets, "bytes": result.bytes}
    (case / "audit.jsonl").unlink()
    (case / "audit.jsonl").mkdir()  # it cannot be written
    (note,) = carve(CarveRequest(case), tmp_path / "out.pcapng").notes
    assert "audit log" in note


def test_without_a_hash_any_change_counts(tmp_path: Path) -> None:
    path = write_flows(tmp_path / "a.pcap", 3)
    case = index(tmp_path / "case", path, hash=False)
    os.utime(path, ns=(1, 1))
    with pytest.raises(CaptureChangedError, match="hash was not noted"):
        carved(case)


def test_an_unknown_flow_is_said(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 1))
    with CaseReader(case) as reader, pytest.raises(UsageError, match="no flow 77"):
        next(read_frames(reader, 77))


def test_it_can_be_stopped(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3))
    target = tmp_path / "out.pcapng"
    with pytest.raises(CancelledError):
        carve(CarveRequest(case), target, cancel=lambda: True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pcap", "case"]


def test_a_file_is_written_whole_and_never_over_a_capture(tmp_path: Path) -> None:
    path = write_flows(tmp_path / "a.pcap", 3)
    case = index(tmp_path / "case", path)
    before = path.read_bytes()
    (tmp_path / "link").symlink_to(path)
    for target in (path, tmp_path / "link"):
        with pytest.raises(UsageError, match="is a capture of this case"):
            carve(CarveRequest(case), target)
    assert path.read_bytes() == before
    target = tmp_path / "out.pcapng"
    target.write_bytes(b"something older")
    carve(CarveRequest(case), target)
    assert len(packets_of(target.read_bytes())) == 6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pcap", "case", "link", "out.pcapng"]


def test_nothing_but_a_file_is_replaced(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3))
    kept = {path.name: path.read_bytes() for path in case.iterdir() if path.is_file()}
    (tmp_path / "link").symlink_to(case / "case.duckdb")
    for target in (case / "case.duckdb", case / "audit.jsonl", case / "case.sqlite", tmp_path / "link"):
        with pytest.raises(UsageError, match="a part of the case"):
            carve(CarveRequest(case), target)
    assert {path.name: path.read_bytes() for path in case.iterdir() if path.is_file()} == kept
    carve(CarveRequest(case), case / "three.pcapng")
    assert len(packets_of((case / "three.pcapng").read_bytes())) == 6


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3))
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/out.pcapng")  # which is not there yet
    carve(CarveRequest(case), link)
    assert link.is_symlink()
    assert len(packets_of((tmp_path / "there" / "out.pcapng").read_bytes())) == 6


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    case = index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 3))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        result = carve(CarveRequest(case), pipe)
        assert pipe.is_fifo()
        assert len(packets_of(os.read(reading, result.bytes + 1))) == 6
    finally:
        os.close(reading)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseReader]:
    """A case of every sample, each a source of its own."""
    case = tmp_path_factory.mktemp("samples") / "case"
    index(case, *sorted(p for p in SAMPLE.parent.iterdir() if p.suffix in (".pcap", ".pcapng")), join="never")
    with CaseReader(case) as reader:
        yield reader


def test_every_packet_of_every_sample_is_found(samples: CaseReader) -> None:
    rows = samples.query(
        "SELECT source_id, packets - (SELECT count(*) FROM arp a WHERE a.source_id = s.source_id)"
        " - (SELECT coalesce(sum(count), 0)::BIGINT FROM ledger l WHERE l.source_id = s.source_id AND kind = 'undecoded') AS n"
        " FROM sources s"
    ).to_pylist()
    found = {}
    for search in searches(samples, CarveRequest(Path(), filter="")):
        found[search.wanted.source_id] = sum(len(hits.chosen) for hits in search.hits())
        assert search.differences() == ""
        search.close()
    assert found == {row["source_id"]: row["n"] for row in rows}


@needs.program("tshark")
@pytest.mark.parametrize(
    "kind",
    [
        "tunnel LIKE 'vxlan%'",
        "tunnel LIKE 'geneve%'",
        "tunnel LIKE 'erspan%'",
        "tunnel = 'gre'",
        "proto = 6 AND tunnel IS NULL",
        "proto = 17 AND tunnel IS NULL",
        "src_ip LIKE '%:%'",
    ],
)
def test_tshark_selects_the_same_packets_of_samples(samples: CaseReader, kind: str, tmp_path: Path) -> None:
    rows = samples.query(
        f"SELECT {COLUMNS}, path FROM flows f JOIN sources s USING (source_id) WHERE ({kind}) AND src_pkts + dst_pkts > 2"
        " QUALIFY row_number() OVER (PARTITION BY f.source_id ORDER BY f.flow_id) = 2 ORDER BY path LIMIT 3"
    ).to_pylist()
    assert rows
    for row in rows:
        same_packets(samples, row, tmp_path)
