import gzip
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import MissingPathError, SourceError, UsageError
from workbench.sources.expand import MAX_GAP, expand
from workbench.sources.peek import last_time, peek
from workbench.sources.rotation import rotated_name, stem_of

START = 1_700_000_000
SECOND = 10**9


def pcap(start: float, n: int = 5, step: float = 1.0, link: int = 1, order: str = "<", nano: bool = False) -> bytes:
    magic, unit = (0xA1B23C4D, SECOND) if nano else (0xA1B2C3D4, 10**6)
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for i in range(n):
        at = start + i * step
        out += struct.pack(order + "IIII", int(at), round((at - int(at)) * unit), 60, 60) + os.urandom(60)
    return out


def pcapng(start: float, n: int = 5, order: str = "<", resolution: int = 6, offset: int = 0) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    options = struct.pack(order + "HHB3x", 9, 1, resolution) + struct.pack(order + "HHq", 14, 8, offset) + bytes(4)
    out += block(1, struct.pack(order + "HHI", 1, 0, 0) + options)
    per_second = 2 ** (resolution & 0x7F) if resolution & 0x80 else 10**resolution
    for i in range(n):
        ticks = int((start - offset + i) * per_second)
        out += block(6, struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 61, 61) + os.urandom(61))
    return out + block(5, struct.pack(order + "III", 0, 0, 0))


def write(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)


def sets(folder: Path, join: str = "auto") -> list[list[str]]:
    return [[Path(p).name for p in spec.paths] for spec in expand([str(folder)], join)]  # type: ignore[arg-type]


# -- paths --------------------------------------------------------------------------------------------


def test_a_file_that_is_named_is_a_source_whatever_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, note__txt=b"hello", a__pcap=pcap(START))
    specs = expand([str(tmp_path / "note.txt"), str(tmp_path / "a.pcap"), "-"])
    assert [(s.kind, s.sensor) for s in specs] == [("unknown", "note.txt"), ("pcap", "a"), ("unknown", "stdin")]


def test_a_folder_is_searched_for_captures_and_says_what_it_passed_over(tmp_path: Path) -> None:
    deep = tmp_path / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    write(tmp_path, z__pcap=pcap(START), note__txt=b"hello", _x=b"")
    write(deep, y__pcapng__gz=gzip.compress(pcapng(START)))
    write(tmp_path / ".hidden", x__pcap=pcap(START))
    (tmp_path / ".secret.pcap").write_bytes(pcap(START))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path)
    passed: list[str] = []
    specs = expand([str(tmp_path)], "auto", passed)
    assert [(Path(s.paths[0]).name, s.kind, s.sensor) for s in specs] == [("z.pcap", "pcap", "z"), ("y.pcapng.gz", "pcapng", "y")]
    assert sorted(Path(p).name for p in passed) == ["_x", "note.txt"]
    assert all(Path(s.paths[0]).is_absolute() for s in specs)


def test_a_damaged_capture_in_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.pcap.gz").write_bytes(b"\x1f\x8b\x08\x00" + bytes(6) + b"\xff" * 40)
    assert sets(tmp_path) == [["broken.pcap.gz"]]


def test_files_named_twice_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a__pcap=pcap(START))
    (tmp_path / "link.pcap").symlink_to(tmp_path / "a.pcap")
    monkeypatch.chdir(tmp_path)
    assert len(expand(["a.pcap", "./a.pcap", str(tmp_path / "a.pcap"), "link.pcap", ".", "-", "-"])) == 2


def test_globs(tmp_path: Path) -> None:
    write(tmp_path, a1__pcap=pcap(START), a2__pcap=pcap(START), b__pcap=pcap(START))
    (tmp_path / "literal[1].pcap").write_bytes(pcap(START))
    assert [s.sensor for s in expand([str(tmp_path / "a*.pcap")])] == ["a1", "a2"]
    assert [s.sensor for s in expand([str(tmp_path / "literal[1].pcap")])] == ["literal[1]"]
    with pytest.raises(MissingPathError, match="nothing matches"):
        expand([str(tmp_path / "x*.pcap")])


@pytest.mark.parametrize("name", ["nothing.pcap", "dangling.pcap"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "dangling.pcap").symlink_to(tmp_path / "gone")
    with pytest.raises(MissingPathError) as caught:
        expand([str(tmp_path / name)])
    assert caught.value.exit_code == 2


def test_what_can_hold_no_capture_is_refused() -> None:
    with pytest.raises(UsageError, match="empty path"):
        expand([""])
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        expand(["/dev/null"])


def test_a_fifo_is_not_looked_at(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert [s.kind for s in expand([str(tmp_path / "fifo")])] == ["unknown"]


def test_a_name_that_is_no_text_still_has_a_sensor_that_is(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/eth\xff.pcap")
    Path(path).write_bytes(pcap(START))
    (spec,) = expand([str(tmp_path)])
    assert spec.paths == (path,)
    assert spec.sensor == "eth\\xff"


# -- rotated sets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "sensor"),
    [
        (["eth0_00001_20240101120000.pcapng", "eth0_00002_20240101120005.pcapng"], "eth0"),
        (["eth0_20240101120000_00001.pcapng", "eth0_20240101120005_00002.pcapng"], "eth0"),
        (["eth0_99999_20240101120000.pcap", "eth0_100000_20240101120005.pcap"], "eth0"),
        (["dump.pcap", "dump.pcap1", "dump.pcap2"], "dump"),
        (["dump.pcap08", "dump.pcap09", "dump.pcap10"], "dump"),
        (["dump.pcap9", "dump.pcap10"], "dump"),
        (["dump.pcap.gz", "dump.pcap1.gz"], "dump"),
        (["trace-20240101-120000.pcap", "trace-20240101-120005.pcap"], "trace"),
        (["trace_2024-01-01_12:00:00.pcap", "trace_2024-01-01_12:00:05.pcap"], "trace"),
        (["20240101T120000Z.pcap", "20240101T120005Z.pcap"], "20240101T120000Z"),
        (["trace-2024010112.pcap", "trace-2024010113.pcap"], "trace"),
        (["trace-20240101.pcap", "trace-20240102.pcap"], "trace"),
        (["trace-20240101120000.pcap", "trace-20240101120000.pcap1", "trace-20240101120500.pcap"], "trace"),
        (["dump-1700000000.pcap", "dump-1700000005.pcap"], "dump"),
        (["log.pcap.1700000000", "log.pcap.1700000005"], "log"),
        (["node1-240101-00000012.pcap", "node1-240101-00000013.pcap"], "node1"),
    ],
)
def test_the_usual_names_are_joined_in_order(tmp_path: Path, names: list[str], sensor: str) -> None:
    for n, name in reversed(list(enumerate(names))):
        content = pcap(START + 5 * n)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    specs = expand([str(tmp_path)])
    assert [[Path(p).name for p in s.paths] for s in specs] == [names]
    assert specs[0].sensor == sensor
    assert sets(tmp_path, "never") == [[name] for name in sorted(names)]


@pytest.mark.parametrize(
    "names",
    [
        ["a.pcap", "b.pcap"],
        ["host1.pcap", "host2.pcap"],
        ["eth0_00001_20240101120000.pcap", "eth1_00002_20240101120005.pcap"],
        ["dump.pcap", "dump.pcap1.gz"],
        ["2024-01-01-exercise-one.pcap", "2024-01-02-exercise-two.pcap"],
    ],
)
def test_other_names_stay_apart(tmp_path: Path, names: list[str]) -> None:
    for n, name in enumerate(names):
        content = pcap(START + 5 * n)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert sets(tmp_path) == [[name] for name in names]


def test_times_decide(tmp_path: Path) -> None:
    """Five files of one capture; the third begins two hours late, the fifth within the fourth."""
    starts = [START, START + 5, START + 7200, START + 7205, START + 7206]
    for n, start in enumerate(starts):
        (tmp_path / f"dump.pcap{n or ''}").write_bytes(pcap(start))
    assert sets(tmp_path) == [["dump.pcap", "dump.pcap1"], ["dump.pcap2", "dump.pcap3"], ["dump.pcap4"]]


def test_packets_a_little_out_of_order_at_the_seam_still_join(tmp_path: Path) -> None:
    write(tmp_path, dump__pcap=pcap(START), dump__pcap1=pcap(START + 3.5))
    assert sets(tmp_path) == [["dump.pcap", "dump.pcap1"]]


def test_the_gap_that_still_joins(tmp_path: Path) -> None:
    gap = MAX_GAP // SECOND
    write(
        tmp_path, a__pcap=pcap(START, 1), a__pcap1=pcap(START + gap, 1), b__pcap=pcap(START, 1), b__pcap1=pcap(START + gap + 1, 1)
    )
    assert sets(tmp_path) == [["a.pcap", "a.pcap1"], ["b.pcap"], ["b.pcap1"]]


def test_a_ring_that_wrapped_begins_with_its_oldest_file(tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / f"ring.pcap{n}").write_bytes(pcap(START + 5 * ((n + 2) % 4)))
    assert sets(tmp_path) == [["ring.pcap2", "ring.pcap3", "ring.pcap0", "ring.pcap1"]]


def test_kinds_and_link_types_do_not_mix(tmp_path: Path) -> None:
    write(tmp_path, a__pcap=pcap(START), a__pcap1=pcapng(START + 5), b__pcap=pcap(START), b__pcap1=pcap(START + 5, link=101))
    assert sets(tmp_path) == [["a.pcap"], ["a.pcap1"], ["b.pcap"], ["b.pcap1"]]


def test_always_joins_by_first_packet_and_leaves_out_what_is_no_capture(tmp_path: Path) -> None:
    write(tmp_path, b__pcap=pcap(START), a__pcap=pcap(START + 100), c__pcapng=pcapng(START + 50), empty__pcap=pcap(START, 0))
    note = tmp_path / "note.txt"
    note.write_bytes(b"hello")
    specs = expand([str(tmp_path), str(note)], "always")
    assert [[Path(p).name for p in s.paths] for s in specs] == [["b.pcap", "c.pcapng", "a.pcap", "empty.pcap"], ["note.txt"]]


# -- a first look -------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
def test_first_and_last_time_of_pcap(tmp_path: Path, order: str, nano: bool) -> None:
    write(tmp_path, a__pcap=pcap(START + 0.25, 2000, 0.5, order=order, nano=nano))
    seen = peek(str(tmp_path / "a.pcap"))
    assert seen is not None
    assert seen.first == START * SECOND + SECOND // 4
    assert last_time(str(tmp_path / "a.pcap"), seen) == (START + 999) * SECOND + SECOND * 3 // 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("resolution", "offset"), [(6, 0), (9, 0), (3, -3600), (0x80 | 10, 7200), (0, 0)])
def test_first_and_last_time_of_pcapng(tmp_path: Path, order: str, resolution: int, offset: int) -> None:
    write(tmp_path, a__pcapng=pcapng(START, 3000, order, resolution, offset))
    seen = peek(str(tmp_path / "a.pcapng"))
    assert seen is not None
    assert (seen.first, seen.link_type) == (START * SECOND, 1)
    assert last_time(str(tmp_path / "a.pcapng"), seen) == (START + 2999) * SECOND


def test_a_payload_that_looks_like_records_does_not_set_the_time(tmp_path: Path) -> None:
    """The last packet holds zeros and a whole chain of records of another time."""
    inside = bytes(512) + pcap(START - 10**8, 20)[24:]
    last = struct.pack("<IIII", START + 9, 0, len(inside), len(inside)) + inside
    write(tmp_path, a__pcap=pcap(START) + last)
    seen = peek(str(tmp_path / "a.pcap"))
    assert seen is not None
    assert last_time(str(tmp_path / "a.pcap"), seen) == (START + 9) * SECOND


def test_a_cut_end_tells_no_time(tmp_path: Path) -> None:
    write(tmp_path, a__pcap=pcap(START)[:-7], b__pcapng=pcapng(START)[:-3])
    for name in ("a.pcap", "b.pcapng"):
        seen = peek(str(tmp_path / name))
        assert seen is not None
        assert last_time(str(tmp_path / name), seen) is None


@given(junk=st.binary(max_size=400), at=st.integers(0, 400))
def test_hostile_files_are_looked_at_without_harm(tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile"
    for good in (pcap(START), pcapng(START)):
        path.write_bytes(good[:at] + junk + good[at + len(junk) :])
        try:
            seen = peek(str(path))
        except SourceError:  # the junk began like a compressed file
            continue
        if seen is not None:
            last_time(str(path), seen)


# -- names --------------------------------------------------------------------------------------------


@given(st.text(max_size=60).filter(lambda t: "/" not in t and "\0" not in t))
def test_any_name_has_a_sensor_and_is_taken_apart_the_same_way_twice(name: str) -> None:
    assert stem_of(name) or not name
    assert rotated_name(name) == rotated_name(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.pcap", "a"),
        ("a.pcap.gz", "a"),
        ("a.b.pcapng", "a.b"),
        ("a.pcap12", "a"),
        ("a", "a"),
        (".gz", ".gz"),
        ("x.PCAP.ZST", "x"),
    ],
)
def test_the_sensor_is_the_stem(name: str, stem: str) -> None:
    assert stem_of(name) == stem
