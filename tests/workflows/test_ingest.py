import os
import signal
import threading
from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame, write_flows
from workbench.errors import BpfError, MissingPathError, UsageError
from workbench.store.reader import CaseReader
from workbench.workflows import pool
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest, IndexResult, Progress


def index(case: Path, *paths: Path, **options: object) -> IndexResult:
    return index_sources(IndexRequest(tuple(map(str, paths)), case, **options))  # type: ignore[arg-type]


def rows(case: Path, sql: str) -> list[dict[str, object]]:
    reader = CaseReader(case)
    try:
        return reader.query(sql).to_pylist()  # type: ignore[no-any-return]
    finally:
        reader.close()


@pytest.mark.usefixtures("spawned_workers")
def test_every_packet_is_accounted_for(tmp_path: Path) -> None:
    capture = write_flows(tmp_path / "a.pcap", 50)
    result = index(tmp_path / "case", capture)
    (source,) = result.sources
    assert (source["state"], source["packets"], source["flows"]) == ("ok", 100, 50)
    assert source["path"] == str(capture)
    assert len(source["sha256"]) == 64
    assert rows(tmp_path / "case", "SELECT sum(src_pkts + dst_pkts) AS n, count(*) AS f FROM flows") == [{"n": 100, "f": 50}]


@pytest.mark.usefixtures("spawned_workers")
def test_a_thousand_sources_need_few_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = pool.Worker.__init__

    def counting(self: pool.Worker) -> None:
        started.append(self)
        real(self)

    monkeypatch.setattr(pool.Worker, "__init__", counting)
    for n in range(40):
        write_flows(tmp_path / f"s{n}.pcap", 3)
    result = index(tmp_path / "case", tmp_path, join="never")
    assert len(result.sources) == 40
    assert len(started) <= (os.cpu_count() or 1)


def test_one_bad_file_hides_no_other(tmp_path: Path) -> None:
    good = write_flows(tmp_path / "good.pcap", 5)
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(b"this is no capture at all, it only looks like a file")
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(b"")
    bare = tmp_path / "bare.pcap"
    bare.write_bytes(pcap([]))
    result = index(tmp_path / "case", good, bad, empty, bare)
    assert {Path(s["path"]).name: s["state"] for s in result.sources} == {
        "good.pcap": "ok",
        "bad.pcap": "refused",
        "empty.pcap": "refused",
        "bare.pcap": "refused",
    }
    assert len(result.refused) == 3
    assert all(any(name in e.message for e in result.refused) for name in ("bad.pcap", "empty.pcap", "bare.pcap"))


def test_a_cut_tail_is_partial_and_says_so(tmp_path: Path) -> None:
    whole = write_flows(tmp_path / "a.pcap", 10).read_bytes()
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(whole[:-7])
    result = index(tmp_path / "case", cut)
    assert result.sources[0]["state"] == "partial"
    assert result.sources[0]["packets"] == 19
    assert [line["reason"] for line in result.ledger] == ["cut"]
    assert not result.refused


def test_a_capture_already_there_is_skipped_and_another_scope_refused(tmp_path: Path) -> None:
    capture = write_flows(tmp_path / "a.pcap", 5)
    index(tmp_path / "case", capture)
    again = index(tmp_path / "case", capture)
    assert again.skipped == [str(capture)]
    assert len(rows(tmp_path / "case", "SELECT * FROM flows")) == 5
    with pytest.raises(UsageError, match="--key-scope both"):
        index(tmp_path / "case", capture, key_scope="vni")


def _rotated(folder: Path, *numbers: int) -> Path:
    folder.mkdir(exist_ok=True)
    for n in numbers:
        write_flows(folder / f"trace_{n:05}_2024010112000{n}.pcap", 5, start=1_704_110_400.0 + n)
    return folder


def _held(case: Path) -> dict[str, list[int]]:
    """Which sources hold each file, by the files' own numbers."""
    found: dict[str, list[int]] = {}
    for row in rows(case, "SELECT path, source_id FROM source_files ORDER BY source_id"):
        found.setdefault(Path(str(row["path"])).name[6:11].lstrip("0"), []).append(int(str(row["source_id"])))
    return found


def test_what_came_to_a_rotated_set_is_indexed(tmp_path: Path) -> None:
    grown = _rotated(tmp_path / "grown", 1, 2)
    index(tmp_path / "grows", grown)
    for n in (3, 4):
        _rotated(grown, n)
    result = index(tmp_path / "grows", grown)
    assert [Path(p).name[6:11] for p in result.skipped] == ["00001", "00002"]
    assert [source["packets"] for source in result.sources] == [20, 20]
    assert _held(tmp_path / "grows") == {"1": [1], "2": [1], "3": [2], "4": [2]}
    again = index(tmp_path / "grows", grown)
    assert [source["source_id"] for source in again.sources] == [1, 2]
    assert _held(tmp_path / "grows") == {"1": [1], "2": [1], "3": [2], "4": [2]}


@pytest.mark.parametrize(("first", "then"), [("auto", "never"), ("never", "auto"), ("never", "always"), ("always", "never")])
def test_joining_otherwise_counts_no_file_twice(first: str, then: str, tmp_path: Path) -> None:
    folder = _rotated(tmp_path / "ring", 1, 2, 3)
    before = index(tmp_path / "case", folder, join=first)
    held = _held(tmp_path / "case")
    result = index(tmp_path / "case", folder, join=then)
    assert _held(tmp_path / "case") == held
    assert sum(source["packets"] for source in result.sources) == sum(source["packets"] for source in before.sources) == 30
    with pytest.raises(UsageError, match="--key-scope both"):
        index(tmp_path / "case", folder, join=then, key_scope="none")


def test_the_key_scope_is_that_of_the_settings_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.toml").write_text('[flows]\nkey_scope = "vni"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    capture = write_flows(tmp_path / "a.pcap", 5)
    assert index(tmp_path / "set", capture).sources[0]["key_scope"] == "vni"
    assert index(tmp_path / "set", capture, key_scope="vni").skipped == [str(capture)]
    assert index(tmp_path / "named", capture, key_scope="none").sources[0]["key_scope"] == "none"
    monkeypatch.setenv("WORKBENCH_CONFIG", "")
    assert index(tmp_path / "unset", capture).sources[0]["key_scope"] == "both"


@needs.libpcap()
def test_another_filter_for_what_is_there_is_refused(tmp_path: Path) -> None:
    capture = write_flows(tmp_path / "a.pcap", 5)
    index(tmp_path / "with", capture, bpf="udp port 53")
    assert index(tmp_path / "with", capture, bpf=" udp  port 53 ").skipped == [str(capture)]
    for other in (None, "", "udp"):
        with pytest.raises(UsageError, match="indexed with --bpf 'udp port 53'"):
            index(tmp_path / "with", capture, bpf=other)
    index(tmp_path / "without", capture)
    with pytest.raises(UsageError, match="indexed without --bpf"):
        index(tmp_path / "without", capture, bpf="udp")
    assert len(rows(tmp_path / "without", "SELECT * FROM flows")) == 5


@needs.libpcap()
@pytest.mark.usefixtures("spawned_workers")
def test_what_a_filter_leaves_out_is_counted_and_no_packet(tmp_path: Path) -> None:
    frames = []
    for n in range(5000):  # several chunks; every fifth passes, the last of them is no IP
        frame = udp_frame(n % 200, 300, 1000 + n % 7, 53 if n % 5 == 0 else 80)
        frames.append((1_700_000_000 + n / 1e3, frame if n != 4995 else frame[:12] + b"\x88\xcc" + frame[14:]))
    capture = tmp_path / "a.pcap"
    capture.write_bytes(pcap(frames))
    result = index(tmp_path / "case", capture, bpf="port 53 or ether proto 0x88cc")
    (source,) = result.sources
    assert (source["state"], source["packets"], source["bpf"]) == ("ok", 1000, "port 53 or ether proto 0x88cc")
    lines = {line["reason"]: (line["kind"], line["count"], line["first_frames"], line["detail"]) for line in result.ledger}
    assert lines == {
        "not_selected": ("unseen", 4000, "2,3,4,5,7", "port 53 or ether proto 0x88cc"),
        "link_control": ("undecoded", 1, "4996", "0x88cc LLDP 1"),
    }
    assert rows(tmp_path / "case", "SELECT sum(src_pkts + dst_pkts)::BIGINT AS n FROM flows") == [{"n": 999}]
    assert rows(tmp_path / "case", "SELECT bpf FROM sources") == [{"bpf": "port 53 or ether proto 0x88cc"}]


@needs.libpcap()
def test_frame_numbers_of_the_flow_table_are_those_of_the_file(tmp_path: Path) -> None:
    frames = [(1_700_000_000 + n, udp_frame(1, 300, 1000, 53 if n % 3 == 0 else 80)) for n in range(9000)]
    back = 6000  # passes; its clock is behind that of the one before
    frames[back] = (1_600_000_000.0, frames[back][1])
    capture = tmp_path / "a.pcap"
    capture.write_bytes(pcap(frames))
    result = index(tmp_path / "case", capture, bpf="udp port 53")
    assert {line["reason"]: line["first_frames"] for line in result.ledger}["clock_back"] == str(back + 1)


@needs.libpcap()
def test_a_filter_that_nothing_passes_is_an_answer(tmp_path: Path) -> None:
    capture = write_flows(tmp_path / "a.pcap", 5)
    result = index(tmp_path / "case", capture, bpf="tcp")
    assert not result.refused
    (source,) = result.sources
    assert (source["state"], source["packets"], source["flows"], source["ts_first"]) == ("ok", 0, 0, None)
    assert [(line["reason"], line["count"]) for line in result.ledger] == [("not_selected", 10)]
    assert index(tmp_path / "case", capture, bpf="tcp").skipped == [str(capture)]


@needs.libpcap()
def test_a_link_type_that_the_filter_cannot_be_said_for(tmp_path: Path) -> None:
    raw = tmp_path / "raw.pcap"
    raw.write_bytes(pcap([(1_700_000_000, udp_frame(1, 2, 3, 4)[14:])] * 7, link=101))
    good = write_flows(tmp_path / "good.pcap", 3)
    result = index(tmp_path / "case", raw, good, bpf="not vlan")
    states = {Path(s["path"]).name: (s["state"], s["packets"]) for s in result.sources}
    assert states == {"raw.pcap": ("refused", 0), "good.pcap": ("ok", 6)}
    (error,) = result.refused
    assert "raw.pcap" in error.message
    assert "no VLAN support for Raw IP" in error.message
    assert [(line["reason"], line["count"], line["first_frames"]) for line in result.ledger] == [
        ("not_selectable", 7, "1,2,3,4,5")
    ]
    again = index(tmp_path / "case", raw, bpf="udp")  # a refused source may be tried again
    assert [(s["state"], s["packets"]) for s in again.sources] == [("ok", 7)]


@needs.libpcap()
def test_a_wrong_filter_makes_nothing(tmp_path: Path) -> None:
    capture = write_flows(tmp_path / "a.pcap", 5)
    with pytest.raises(BpfError, match="syntax error"):
        index(tmp_path / "case", capture, bpf="udp port")
    assert not (tmp_path / "case").exists()


def test_a_later_index_adds(tmp_path: Path) -> None:
    index(tmp_path / "case", write_flows(tmp_path / "a.pcap", 5))
    index(tmp_path / "case", write_flows(tmp_path / "b.pcap", 7))
    assert rows(tmp_path / "case", "SELECT source_id, count(*) AS n FROM flows GROUP BY ALL ORDER BY 1") == [
        {"source_id": 1, "n": 5},
        {"source_id": 2, "n": 7},
    ]


def test_a_missing_path_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="nowhere"):
        index(tmp_path / "case", tmp_path / "nowhere.pcap")
    assert not (tmp_path / "case" / "case.duckdb").exists()


@pytest.fixture
def long_capture(tmp_path: Path) -> Path:
    """Some 40 MB: ten blocks, so that there is a middle to die in."""
    path = tmp_path / "long.pcap"
    frames = [(1_700_000_000 + n / 1e4, udp_frame(n % 200, 300, 1000 + n % 5000, 53, bytes(1200))) for n in range(32_000)]
    path.write_bytes(pcap(frames))
    return path


def _kill_at_first_tick(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """SIGKILL the worker each time it tells of its first block, `times` times."""
    killed: list[int] = []
    real = pool.wait

    def killing(workers: list[pool.Worker], seconds: float) -> list[pool.Worker]:
        heard = real(workers, seconds)
        for worker in heard:
            pid = worker.process.pid
            if worker.ready and pid not in killed and len(killed) < times and pid is not None:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
                worker.process.join()
        return heard

    monkeypatch.setattr("workbench.workflows.ingest.wait", killing)
    return killed


@pytest.mark.usefixtures("spawned_workers")
def test_a_killed_worker_is_started_again_and_nothing_is_lost(
    tmp_path: Path, long_capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = _kill_at_first_tick(monkeypatch, 1)
    result = index(tmp_path / "case", long_capture)
    assert len(killed) == 1
    assert result.sources[0]["packets"] == 32_000
    assert result.sources[0]["state"] == "ok"
    assert [(line["reason"], line["count"]) for line in result.ledger if line["reason"] == "worker_died"] == [("worker_died", 0)]
    assert rows(tmp_path / "case", "SELECT sum(src_pkts + dst_pkts) AS n FROM flows") == [{"n": 32_000}]


@pytest.mark.usefixtures("spawned_workers")
def test_a_worker_that_always_dies_costs_its_source_and_no_other(
    tmp_path: Path, long_capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = _kill_at_first_tick(monkeypatch, 3)
    other = write_flows(tmp_path / "other.pcap", 5)
    monkeypatch.setattr("workbench.workflows.ingest.processes_for", lambda _n: 1)
    result = index(tmp_path / "case", long_capture, other)
    assert len(killed) == 3
    by_name = {Path(s["path"]).name: s for s in result.sources}
    assert by_name["long.pcap"]["state"] == "partial"
    assert by_name["other.pcap"]["state"] == "ok"
    lost = [line for line in result.ledger if line["reason"] == "worker_died"]
    assert "SIGKILL" in str(lost[-1]["detail"])
    assert int(lost[-1]["count"]) > 0
    found = rows(tmp_path / "case", "SELECT coalesce(sum(src_pkts + dst_pkts), 0) AS n FROM flows WHERE source_id = 1")
    assert found == [{"n": by_name["long.pcap"]["packets"]}]


@pytest.mark.usefixtures("spawned_workers")
def test_cancelling_keeps_what_was_read(tmp_path: Path, long_capture: Path) -> None:
    cancel = threading.Event()
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.packets:
            cancel.set()

    result = index_sources(IndexRequest((str(long_capture),), tmp_path / "case"), watch, cancel)
    assert result.cancelled
    (source,) = result.sources
    assert source["state"] in {"partial", "ok"}  # ok only where the last block was already read
    assert rows(tmp_path / "case", "SELECT coalesce(sum(src_pkts + dst_pkts), 0) AS n FROM flows") == [{"n": source["packets"]}]
    assert all(p.done_bytes <= (p.total_bytes or 0) for p in seen)


@pytest.mark.usefixtures("spawned_workers")
def test_rows_can_be_read_while_they_arrive(tmp_path: Path, long_capture: Path) -> None:
    counts: list[int] = []
    writers = []

    def watch(_progress: Progress) -> None:
        counts.append(writers[0].reader().query("SELECT count(*) AS n FROM flows").to_pylist()[0]["n"])

    request = IndexRequest((str(long_capture),), tmp_path / "case")
    index_sources(request, watch, None, writers.append)
    assert counts[-1] == rows(tmp_path / "case", "SELECT count(*) AS n FROM flows")[0]["n"]


def test_a_joined_set_is_one_source(tmp_path: Path) -> None:
    a = write_flows(tmp_path / "cap_00001_20231114221320.pcap", 5)
    b = write_flows(tmp_path / "cap_00002_20231114221330.pcap", 5, start=1_700_000_010.0)
    result = index(tmp_path / "case", a, b, join="always")
    (source,) = result.sources
    assert source["packets"] == 20
    files = rows(tmp_path / "case", "SELECT n, path, first_offset, bytes FROM source_files ORDER BY n")
    assert [f["path"] for f in files] == [str(a), str(b)]
    assert [f["first_offset"] for f in files] == [0, a.stat().st_size]


def test_a_name_that_is_no_utf8_is_shown_by_its_bytes(tmp_path: Path) -> None:
    good = write_flows(tmp_path / "a.pcap", 2)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pcap")
    good.rename(odd)
    result = index(tmp_path / "case", Path(odd))
    assert result.sources[0]["state"] == "ok"
    assert result.sources[0]["path"].endswith("caf\\xe9.pcap")
    assert rows(tmp_path / "case", "SELECT path FROM sources") == [{"path": result.sources[0]["path"]}]
