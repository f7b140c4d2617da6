"""The generator keeps its promises: same bytes for the same seed, true checksums and lengths, sizes and counts as claimed."""

import io
import struct
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.frames import checksum, ones_sum
from benchmarks.generate import Summary, generate, main, parse_size

SIZE = 3_000_000


def made(**options: object) -> tuple[bytes, Summary]:
    out = io.BytesIO()
    summary = generate(out, int(options.pop("size", SIZE)), **options)  # type: ignore[arg-type,call-overload]
    return out.getvalue(), summary


@pytest.fixture(scope="module")
def mixed() -> tuple[bytes, Summary]:
    return made(seed=5)


def pcap_records(data: bytes, nanos: bool = False) -> list[tuple[int, bytes]]:
    assert data[:4] == struct.pack("<I", 0xA1B23C4D if nanos else 0xA1B2C3D4)
    at, records = 24, []
    while at < len(data):
        seconds, part, captured, length = struct.unpack_from("<IIII", data, at)
        assert captured == length
        records.append((seconds * 10**9 + part * (1 if nanos else 1000), data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    assert at == len(data)
    return records


def network_layer(frame: bytes) -> tuple[int, bytes]:
    at = 12
    while frame[at : at + 2] in (b"\x81\0", b"\x88\xa8"):
        at += 4
    return int.from_bytes(frame[at : at + 2], "big"), frame[at + 2 :]


def unwrapped(frame: bytes) -> tuple[int, bytes]:
    kind, body = network_layer(frame)
    if kind == 0x0800 and body[9] == 17 and body[22:24] == (4789).to_bytes(2, "big"):
        assert checksum(body[:20]) == 0
        assert int.from_bytes(body[2:4], "big") == len(body)
        assert int.from_bytes(body[24:26], "big") == len(body) - 20
        return network_layer(body[36:])
    return kind, body


def segment_of(kind: int, body: bytes) -> tuple[int, bytes, bytes]:
    """(protocol, addresses, transport bytes), lengths and the IPv4 header's checksum verified."""
    if kind == 0x0800:
        total = int.from_bytes(body[2:4], "big")
        assert total <= len(body)
        assert checksum(body[:20]) == 0
        return body[9], body[12:20], body[20:total]
    assert kind == 0x86DD
    total = int.from_bytes(body[4:6], "big")
    return body[6], body[8:40], body[40 : 40 + total]


def transport_sum(proto: int, addresses: bytes, segment: bytes) -> int:
    pseudo = b"" if proto == 1 else addresses + len(segment).to_bytes(4, "big") + bytes((0, 0, 0, proto))
    return ones_sum(pseudo + segment)


def test_same_seed_same_bytes(mixed: tuple[bytes, Summary]) -> None:
    assert made(seed=5)[0] == mixed[0]
    assert made(seed=6)[0] != mixed[0]


def test_every_length_and_checksum_is_true(mixed: tuple[bytes, Summary]) -> None:
    protocols: Counter[int] = Counter()
    for _, frame in pcap_records(mixed[0]):
        assert 60 <= len(frame) <= 1518 + 50
        kind, body = unwrapped(frame)
        if kind == 0x0806:
            protocols[kind] += 1
            continue
        proto, addresses, segment = segment_of(kind, body)
        assert transport_sum(proto, addresses, segment) == 0xFFFF, (proto, segment.hex())
        if proto == 17:
            assert int.from_bytes(segment[4:6], "big") == len(segment)
        protocols[proto] += 1
    assert {6, 17, 1, 0x0806} <= set(protocols)


def test_size_packets_and_order_are_as_claimed(mixed: tuple[bytes, Summary]) -> None:
    data, summary = mixed
    records = pcap_records(data)
    assert SIZE - 2000 < len(data) <= SIZE
    assert summary.bytes == len(data)
    assert summary.packets == len(records)
    times = [time for time, _ in records]
    assert times == sorted(times)
    assert sum(summary.by_kind.values()) == summary.flows


def test_application_bytes_are_there(mixed: tuple[bytes, Summary]) -> None:
    data = mixed[0]
    for piece in (b"SSH-2.0-", b"HTTP/1.1 200 OK", b"\xfeSMB\x40\0", b"\x16\x03\x01", b".example"):
        assert piece in data


def test_sequence_numbers_follow_on(mixed: tuple[bytes, Summary]) -> None:
    """The next segment of a side begins where the last ended, apart from retransmissions and probes, which step back."""
    nxt: dict[bytes, int] = {}
    checked = stepped_back = 0
    for _, frame in pcap_records(mixed[0]):
        kind, body = unwrapped(frame)
        if kind == 0x0806:
            continue
        proto, addresses, segment = segment_of(kind, body)
        if proto != 6:
            continue
        key = addresses + segment[:4]
        seq, flags = int.from_bytes(segment[4:8], "big"), segment[13]
        size = len(segment) - (segment[12] >> 4) * 4 + bool(flags & 2) + bool(flags & 1)
        if key in nxt and not flags & 4 and not flags & 2:
            ahead = seq - nxt[key] & 0xFFFFFFFF
            assert ahead == 0 or ahead > 0xFFFF0000
            stepped_back += ahead != 0
            checked += 1
        if key not in nxt or flags & 2 or (seq + size - nxt[key] & 0xFFFFFFFF) < 0x80000000:
            nxt[key] = seq + size & 0xFFFFFFFF
    assert checked > 1000
    assert stepped_back < checked / 20


def test_nanosecond_and_pcapng_forms_hold_the_same_packets() -> None:
    plain, _ = made(size=300_000, seed=2)
    nanos, _ = made(size=300_000, seed=2, form="ns")
    blocks, summary = made(size=300_000, seed=2, form="pcapng")
    frames = [frame for _, frame in pcap_records(nanos, nanos=True)]
    assert [frame for _, frame in pcap_records(plain)] == frames
    assert blocks[:4] == b"\x0a\x0d\x0d\x0a"
    at, seen = 0, []
    while at < len(blocks):
        kind, length = struct.unpack_from("<II", blocks, at)
        assert struct.unpack_from("<I", blocks, at + length - 4)[0] == length
        if kind == 6:
            captured = struct.unpack_from("<I", blocks, at + 20)[0]
            seen.append(blocks[at + 28 : at + 28 + captured])
        at += length
    assert len(seen) == summary.packets
    assert seen == frames[: len(seen)]  # a block costs more than a record, so fewer fit
    assert len(seen) > 0.9 * len(frames)


def test_small_packets_are_sixty_bytes() -> None:
    data, summary = made(size=500_000, kind="small", seed=1)
    assert {len(frame) for _, frame in pcap_records(data)} == {60}
    assert summary.packets == (len(data) - 24) // 76


def test_scan_flows_have_one_packet_each() -> None:
    data, summary = made(size=800_000, kind="scan", seed=1)
    tuples = Counter(frame[26:38] for _, frame in pcap_records(data))
    assert set(tuples.values()) == {1}
    assert len(tuples) == summary.packets


def test_sizes_are_read_as_people_write_them() -> None:
    assert parse_size("2GB") == 2 * 10**9
    assert parse_size("1.5M") == 1_500_000
    assert parse_size("70000") == 70_000


def test_command_line_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.pcap"
    assert main([str(path), "--size", "200k"]) == 0
    said = capsys.readouterr().err
    data = path.read_bytes()
    assert f"{len(data)} bytes" in said
    assert f"{len(pcap_records(data))} packets" in said
