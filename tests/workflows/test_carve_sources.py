"""Carving from every kind of source: compressed, joined, of several sections, cut, damaged, indexed by an older version."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import itertools
import lzma
import os
import struct
import subprocess
import sys
from pathlib import Path

import duckdb
import lz4.frame
import pytest
import zstandard

from tests.capture_files import blocks_of, options_of, packets_of
from tests.decode.wire import block, enhanced, eth, interface, ip4, obsolete, option, pcap_file, section, simple, udp
from workbench.errors import CaptureGoneError, ForeignCaseError, WorkbenchError
from workbench.store.reader import CaseReader
from workbench.workflows.carve import CarveProgress, CarveRequest, Frame, carve, read_frames
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

START = 1_700_000_000 * 10**9
MS = 10**6
COMPRESSIONS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "lz4": lz4.frame.compress}
COMPRESSIONS["zst"] = zstandard.ZstdCompressor(level=1).compress


def packet(n: int, port: int, size: int = 20) -> bytes:
    """The n-th packet of the flow of that port, its bytes unlike those of any other."""
    return eth(0x800, ip4(17, udp(port, 53, struct.pack(">II", n, port) + bytes(size))))


def index(case: Path, *paths: Path, **options: object) -> Path:
    index_sources(IndexRequest(tuple(map(str, paths)), case, **options))  # type: ignore[arg-type]
    return case


def frames(case: Path, port: int) -> list[Frame]:
    with CaseReader(case) as reader:
        ids = reader.query("SELECT flow_id FROM flows WHERE src_port = ? ORDER BY flow_id", (port,))["flow_id"].to_pylist()
        return [frame for flow_id in ids for frame in read_frames(reader, flow_id)]


def carved(case: Path, **options: object) -> bytes:
    out = io.BytesIO()
    assert carve(CarveRequest(case, **{"filter": "", **options}), out).notes == ()  # type: ignore[arg-type]
    return out.getvalue()


@pytest.fixture(scope="module")
def long_records() -> list[tuple[int, bytes]]:
    """13 MB: 260 packets of 50 kB of port 1000, with one of 2000 now and then, and 3000 at the beginning and the end."""
    records = [(n, packet(n, 2000 if n % 37 == 5 else 1000, 50_000)) for n in range(260)]
    records[2] = (2, packet(2, 3000))
    records[-1] = (259, packet(259, 3000))
    return [(START + n * MS, data) for n, data in records]


def expected(records: list[tuple[int, bytes]], port: int) -> list[tuple[int, int, bytes]]:
    """(frame number, time, packet)"""
    return [(n + 1, ts, data) for n, (ts, data) in enumerate(records) if data[34:36] == struct.pack(">H", port)]


def check(case: Path, records: list[tuple[int, bytes]]) -> None:
    for port in (1000, 2000, 3000):
        assert [(f.number, f.ts_ns, f.data) for f in frames(case, port)] == expected(records, port)
    assert [data for _, _, data in packets_of(carved(case))] == [data for _, data in records]
    wanted = expected(records, 2000) + expected(records, 3000)
    got = packets_of(carved(case, filter="udp.port in {2000, 3000}"))
    assert [(ts, data) for ts, _, data in got] == [(ts, data) for _, ts, data in sorted(wanted)]


@pytest.mark.parametrize(("order", "magic"), [("<", 0xA1B2C3D4), (">", 0xA1B2C3D4), ("<", 0xA1B23C4D), (">", 0xA1B23C4D)])
def test_every_pcap(order: str, magic: int, long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    records = [(ts + (1 if magic == 0xA1B23C4D else 1000), data) for ts, data in long_records]
    path = tmp_path / "eth7.pcap"
    path.write_bytes(pcap_file(records, order=order, magic=magic))
    case = index(tmp_path / "case", path)
    check(case, records)
    ((_, described),) = [b for b in blocks_of(carved(case)) if b[0] == 1]
    options = dict(options_of(described[8:]))
    assert options == {2: b"eth7.pcap", 9: b"\x09" if magic == 0xA1B23C4D else b"\x06"}
    with CaseReader(case) as reader:
        places = reader.query("SELECT block, record_offset >> 22 AS b, frame FROM source_blocks ORDER BY block").to_pylist()
    assert [p["block"] for p in places] == [p["b"] for p in places] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_compression(name: str, long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    path = tmp_path / f"a.pcap.{name}"
    path.write_bytes(COMPRESSIONS[name](pcap_file(long_records)))
    case = index(tmp_path / "case", path)
    check(case, long_records)
    told: list[CarveProgress] = []
    with CaseReader(case) as reader:
        last = reader.query("SELECT max(flow_id) AS i FROM flows")["i"][0].as_py()
    carve(CarveRequest(case, flow_ids=(last,)), io.BytesIO(), told.append)
    assert told[-1].done == told[-1].total


def test_reading_through_a_compressed_file_is_told(tmp_path: Path) -> None:
    records = [(START + n * MS, packet(n, 1000, 50_000)) for n in range(200)] + [(START + 300 * MS, packet(0, 2000))]
    path = tmp_path / "a.pcap.gz"
    path.write_bytes(gzip.compress(pcap_file(records), 1))
    case = index(tmp_path / "case", path)
    told: list[CarveProgress] = []
    carve(CarveRequest(case, filter="udp.port == 2000"), io.BytesIO(), told.append)
    assert told[0].skipping == f"{path} (gzip)"


@pytest.mark.parametrize("packed", [False, True])
def test_a_rotated_set_is_one_source(packed: bool, long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    cuts = [0, 1, 90, 170, 260]
    for n, (a, b) in enumerate(itertools.pairwise(cuts)):
        data = pcap_file(long_records[a:b], magic=0xA1B23C4D)
        name = f"dpu_{n + 1:05}_20231114221320.pcap"
        (tmp_path / (name + (".gz" if packed else ""))).write_bytes(gzip.compress(data, 1) if packed else data)
    case = index(tmp_path / "case", *sorted(tmp_path.glob("dpu*")), join="always")
    with CaseReader(case) as reader:
        assert reader.query("SELECT count(*) AS n FROM source_files")["n"].to_pylist() == [4]
    check(case, long_records)
    assert [kind for kind, _ in blocks_of(carved(case))].count(1) == 1  # the files share their interface
    sorted(tmp_path.glob("dpu*"))[2].unlink()
    with pytest.raises(CaptureGoneError, match="dpu_00003"):
        carved(case)


def test_a_cut_file_gives_what_it_has(long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file(long_records)[:-30])
    check(index(tmp_path / "case", path), long_records[:-1])


def test_behind_damage_reading_goes_on_as_it_did(tmp_path: Path) -> None:
    """A length that lies in the middle costs what it cost when the file was indexed."""
    records = [(START + n * MS, packet(n, 1000, 50_000)) for n in range(200)]
    data = bytearray(pcap_file(records))
    at = 24 + 100 * (len(records[0][1]) + 16)
    data[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
    path = tmp_path / "a.pcap"
    path.write_bytes(data)
    case = index(tmp_path / "case", path)
    got = frames(case, 1000)
    assert len(got) == 199
    assert [f.number for f in got] == list(range(1, 200))
    assert packets_of(carved(case)) == [(f.ts_ns, f.wire, f.data) for f in got]


def many_sections() -> bytes:
    """Two sections of either byte order, interfaces described late, comments, secrets, names, all kinds of packet blocks."""
    end = option(0, b"")
    out = [section(options=option(2, b"the machine") + option(3, b"the system") + option(4, b"who captured") + end)]
    one = option(2, b"p0") + option(3, b"uplink") + option(1, b"noted here") + option(12, b"the system") + end
    out.append(interface(options=one, snaplen=9000))
    out.append(block(10, b"\x4b\x53\x4c\x54" + struct.pack("<I", 11) + b"CLIENT_KEYS" + b"\0"))
    for n in range(100):
        options = option(1, b"look at this") + option(1, "grüße".encode()) + option(2, b"\1\0\0\0") + option(2988, b"x" * 9) + end
        out.append(enhanced(packet(n, 1000, 50_000), (START + n * MS) // 1000, options=options if n == 77 else b""))
    out.append(interface(options=option(2, b"pf0vf3") + option(9, b"\x09") + end))
    out += [enhanced(packet(n, 1000, 50_000), START + n * MS, 1) for n in range(100, 200)]
    out.append(block(4, b"\1\0\x08\0\x0a\0\0\1abc\0\0\0\0\0"))
    out.append(section(">"))
    out.append(interface(">", options=option(9, b"\x09", ">") + option(0, b"", ">")))
    big = option(1, b"big", ">") + option(2, b"\0\0\0\2", ">") + option(5, b"\0\0\0\0\0\0\0\7", ">") + option(0, b"", ">")
    out += [enhanced(packet(n, 1000, 50_000), START + n * MS, 0, ">", options=big if n == 222 else b"") for n in range(200, 300)]
    out.append(obsolete(packet(300, 1000), START + 300 * MS, 0, order=">"))
    out.append(simple(packet(301, 1000), ">"))
    return b"".join(out)


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sections")
    (folder / "a.pcapng").write_bytes(many_sections())
    return index(folder / "case", folder / "a.pcapng")


def test_sections_and_interfaces(sections: Path) -> None:
    got = frames(sections, 1000)
    assert [f.number for f in got] == list(range(1, 303))
    assert [f.ts_ns for f in got] == [START + min(n, 300) * MS for n in range(302)]
    assert [f.data for f in got[:300]] == [packet(n, 1000, 50_000) for n in range(300)]
    names = ["p0"] * 100 + ["pf0vf3"] * 100 + ["a.pcapng"] * 102
    assert [f.interface for f in got] == names
    assert {f.number: f.comments for f in got if f.comments} == {78: ("look at this", "grüße"), 223: ("big",)}
    with CaseReader(sections) as reader:
        places = reader.query("SELECT * FROM source_blocks ORDER BY block").to_pylist()
        flow = reader.query("SELECT flow_id FROM flows")["flow_id"][0].as_py()
        assert list(read_frames(reader, flow, start=250, limit=2)) == got[250:252]
    assert [p["interfaces"] for p in places] == [1, 1, 2, 1]
    assert [p["section_offset"] for p in places][:3] == [0, 0, 0]
    assert places[3]["section_offset"] > 0


def test_every_place_of_a_source_can_be_entered(sections: Path) -> None:
    """Where a range begins changes nothing in what is found: entered at each block in turn."""
    from workbench.workflows.captured import BLOCK_SHIFT, find_capture
    from workbench.workflows.ranges import RangeReader, Span

    got = frames(sections, 1000)
    with CaseReader(sections) as reader:
        capture = find_capture(reader, 1)
    for number in range(len(capture.places)):
        place = capture.place_of_block(number)
        ranges = RangeReader(capture)
        seen = [
            (chunk.number + i, chunk.base + int(chunk.frames["rec"][i]), int(chunk.frames["ts"][i]))
            for chunk in ranges.chunks([Span(number << BLOCK_SHIFT, 1 << 60, place)])
            for i in range(chunk.n)
        ]
        ranges.close()
        assert seen == [(f.number, f.offset, f.ts_ns) for f in got if f.offset >= number << BLOCK_SHIFT]


def test_what_is_kept_of_pcapng_and_what_is_not(sections: Path) -> None:
    data = carved(sections)
    blocks = blocks_of(data)
    assert {kind for kind, _ in blocks} == {0x0A0D0D0A, 1, 6}
    assert [kind for kind, _ in blocks].count(0x0A0D0D0A) == 1
    described = [body for kind, body in blocks if kind == 1]
    assert [options_of(body[8:]) for body in described] == [
        [(1, b"noted here"), (2, b"p0"), (3, b"uplink"), (9, b"\x06")],
        [(2, b"pf0vf3"), (9, b"\x09")],
        [(2, b"a.pcapng"), (9, b"\x09")],
    ]
    assert struct.unpack_from("<HHI", described[0]) == (1, 0, 9000)
    packets = [body for kind, body in blocks if kind == 6]
    noted = {}
    for n, body in enumerate(packets):
        captured = struct.unpack_from("<I", body, 12)[0]
        if found := options_of(body[20 + (captured + 3) // 4 * 4 :]):
            noted[n] = found
    assert noted == {
        77: [(1, b"look at this"), (1, "grüße".encode()), (2, b"\1\0\0\0")],
        222: [(1, b"big"), (2, b"\2\0\0\0"), (5, b"\7\0\0\0\0\0\0\0")],
    }
    for secret in (b"CLIENT_KEYS", b"the machine", b"the system", b"who captured", b"x" * 9):
        assert secret not in data


def test_a_case_without_places_reads_from_the_beginning(long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file(long_records))
    case = index(tmp_path / "case", path)
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        con.execute("DELETE FROM source_blocks")
    check(case, long_records)


def test_a_flow_in_few_blocks_of_many(tmp_path: Path) -> None:
    """It spans 80 MiB: of what lies between its packets nothing is read."""
    records = [(n, packet(n, 1000, 60_000)) for n in range(1400)]
    for n in (3, 700, 1399):
        records[n] = (n, packet(n, 2000))
    records = [(START + n * MS, data) for n, data in records]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file(records))
    case = index(tmp_path / "case", path)
    got = frames(case, 2000)
    assert [(f.number, f.ts_ns, f.data) for f in got] == expected(records, 2000)
    told: list[CarveProgress] = []
    result = carve(CarveRequest(case, filter="udp.port == 2000"), io.BytesIO(), told.append)
    assert result.packets == 3
    assert told[-1].total <= 3 * (4 << 20)


def test_fragments_go_where_their_first_one_went(tmp_path: Path) -> None:
    """Two flows of the same hosts, in pieces, their later fragments mixed; one later fragment without a first is in none."""
    one, two = udp(1000, 53, b"a" * 1400), udp(2000, 53, b"b" * 1400)
    pieces = [
        (one[:704], 7, 0x2000),
        (two[:704], 8, 0x2000),
        (two[704:], 8, 88),
        (b"lost", 9, 88),
        (one[704:], 7, 88),
    ]
    records = [(START + n * MS, eth(0x800, ip4(17, data, ident=i, frag=f))) for n, (data, i, f) in enumerate(pieces)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file(records))
    case = index(tmp_path / "case", path)
    assert [f.number for f in frames(case, 1000)] == [1, 5]
    assert [f.number for f in frames(case, 2000)] == [2, 3]
    assert [data for _, _, data in packets_of(carved(case))] == [records[n][1] for n in (0, 1, 2, 4)]
    assert frames(case, 2000)[1].payload_at == 34


def test_standard_input_was_not_kept(tmp_path: Path) -> None:
    data = pcap_file([(START, packet(1, 1000))])
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "workbench", "index", "-", "--case", str(tmp_path / "case")]
    subprocess.run(words, input=data, env=env, check=True, capture_output=True)
    with pytest.raises(CaptureGoneError, match="standard input"):
        carved(tmp_path / "case")


def test_key_scope_decides_what_is_one_flow(tmp_path: Path) -> None:
    tagged = [eth(0x800, ip4(17, udp(1000, 53, bytes([n]))), tags=((0x8100, 10 + n % 2),)) for n in range(6)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file([(START + n * MS, data) for n, data in enumerate(tagged)]))
    for scope, want in (("both", [[1, 3, 5], [2, 4, 6]]), ("vni", [[1, 2, 3, 4, 5, 6]])):
        case = index(tmp_path / scope, path, key_scope=scope)
        with CaseReader(case) as reader:
            ids = reader.query("SELECT flow_id FROM flows ORDER BY flow_id")["flow_id"].to_pylist()
            assert [[f.number for f in read_frames(reader, i)] for i in ids] == want


def test_a_name_that_is_no_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.pcap"))
    path.write_bytes(pcap_file([(START, packet(1, 1000))]))
    case = index(tmp_path / "case", path)
    assert len(frames(case, 1000)) == 1
    assert len(packets_of(carved(case))) == 1


def test_a_set_that_is_still_being_indexed(long_records: list[tuple[int, bytes]], tmp_path: Path) -> None:
    """Its files are noted at the end: until then what lies in the first one is found, and of the rest it is said."""
    for n, (a, b) in enumerate([(0, 100), (100, 260)]):
        (tmp_path / f"dpu_{n + 1:05}_20231114221320.pcap").write_bytes(pcap_file(long_records[a:b]))
    case = index(tmp_path / "case", *sorted(tmp_path.glob("dpu*")), join="always")
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        con.execute("DELETE FROM source_files")
        con.execute("UPDATE sources SET state = 'indexing'")
        con.execute("UPDATE flows SET last_offset = 4000000 WHERE src_port = 2000")
    assert [f.number for f in frames(case, 2000)] == [6, 43, 80]
    with pytest.raises(CaptureGoneError, match="still being indexed"):
        frames(case, 1000)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE flows SET last_offset = 9223372036854775807", "No capture|lie at byte"),
        ("UPDATE flows SET first_offset = -9223372036854775807", "lie at byte"),
        ("UPDATE sources SET key_scope = 'colour'", "colour"),
    ],
)
def test_a_case_that_lies_is_not_believed(change: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_file([(START, packet(1, 1000))]))
    case = index(tmp_path / "case", path)
    with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
        con.execute(change)
    with pytest.raises(ForeignCaseError, match=said):
        frames(case, 1000)


@pytest.mark.parametrize(
    "change",
    ["record_offset = -5", "record_offset = 100000", "section_offset = 99999999999", "interfaces = 7, section_offset = 3"],
)
def test_places_that_lie_cost_packets_and_nothing_else(change: str, tmp_path: Path) -> None:
    for name, data in (("a.pcap", pcap_file([(START, packet(1, 1000))])), ("b.pcapng", many_sections()[:200_000])):
        path = tmp_path / name
        path.write_bytes(data)
        case = index(tmp_path / f"case-{name}", path)
        with duckdb.connect(os.fspath(case / "case.duckdb")) as con:
            con.execute(f"UPDATE source_blocks SET {change}")
        with contextlib.suppress(WorkbenchError):
            assert len(frames(case, 1000)) <= 4
