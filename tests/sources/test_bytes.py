import bz2
import gzip
import lzma
import os
import random
import tempfile
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import MissingPathError, SourceError, UsageError, WorkbenchError
from workbench.sources.bytes import compression_of, open_bytes

ROOT = os.geteuid() == 0


def _raw_gzip(data: bytes) -> bytes:
    """Stored, not deflated: every byte of the input stands in the output."""
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


FORMATS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip-stored": ("gzip", _raw_gzip),
    "zstd": ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
    "zstd-no-checksum": ("zstd", zstandard.ZstdCompressor(write_checksum=False, write_content_size=False).compress),
    "xz": ("xz", lzma.compress),
    "lzma": ("lzma", lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    "bzip2": ("bzip2", bz2.compress),
    "lz4": ("lz4", lz4.frame.compress),
    "lz4-checked": (
        "lz4",
        lambda data: lz4.frame.compress(data, block_checksum=True, content_checksum=True, block_linked=False, store_size=False),
    ),
}


def read(path: Path | str, size: int = 70_000) -> tuple[bytes, SourceError | None, bytes]:
    """What comes out, what it ended with, and the raw bytes as they were seen."""
    raw = bytearray()
    reader = open_bytes(str(path), on_raw=raw.extend)
    out, buffer = bytearray(), memoryview(bytearray(size))
    failure = None
    try:
        while n := reader.readinto(buffer):
            out += buffer[:n]
        assert reader.readinto(buffer) == 0
        assert reader.raw_size is None or reader.raw_position == reader.raw_size
    except SourceError as error:
        failure = error
        with pytest.raises(SourceError):
            reader.readinto(buffer)
    finally:
        reader.close()
        reader.close()
    return bytes(out), failure, bytes(raw)


def read_bytes(data: bytes, size: int = 70_000) -> tuple[bytes, SourceError | None, bytes]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return read(file.name, size)


def sample(n: int, seed: int = 1) -> bytes:
    """Bytes that compress in part."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randrange(3, 40)) for _ in range(50)]
    out = bytearray()
    while len(out) < n:
        out += rng.choice(words) if rng.random() < 0.9 else rng.randbytes(30)
    return bytes(out[:n])


SAMPLE = sample(700_000)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [1 << 22, 4097])
def test_each_format_gives_its_bytes_and_shows_the_raw_ones(name: str, size: int) -> None:
    compression, pack = FORMATS[name]
    packed = pack(SAMPLE)
    assert compression_of(packed[:16]) == compression
    out, failure, raw = read_bytes(packed, size)
    assert failure is None
    assert out == SAMPLE
    assert raw == packed


@pytest.mark.parametrize("name", FORMATS)
def test_several_streams_and_zero_padding_are_one_file(name: str) -> None:
    _, pack = FORMATS[name]
    packed = pack(SAMPLE) + pack(b"") + bytes(8) + pack(b"second") + bytes(512)
    out, failure, _ = read_bytes(packed)
    assert failure is None
    assert out == SAMPLE + b"second"


@pytest.mark.parametrize("name", FORMATS)
def test_something_else_behind_a_stream_is_said(name: str) -> None:
    _, pack = FORMATS[name]
    out, failure, _ = read_bytes(pack(SAMPLE) + b"something else")
    assert out == SAMPLE
    assert failure is not None
    assert "something else follows" in failure.message


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_cut_gives_a_prefix_and_then_an_error(name: str, data: st.DataObject) -> None:
    _, pack = FORMATS[name]
    plain = sample(data.draw(st.integers(1, 300_000), "length"), data.draw(st.integers(0, 9), "seed"))
    packed = pack(plain)
    cut = data.draw(st.integers(16, len(packed) - 1) if len(packed) > 16 else st.just(len(packed)), "cut")
    out, failure, _ = read_bytes(packed[:cut], data.draw(st.sampled_from([7_000, 1 << 20])))
    assert plain.startswith(out)
    if cut < len(packed):
        assert failure is not None
        assert "cut" in failure.message
        assert failure.exit_code == 3


@pytest.mark.parametrize("name", FORMATS)
def test_a_cut_loses_no_byte_that_a_byte_by_byte_decoder_gives(name: str) -> None:
    """The reference decodes one byte of input at a time with the library's own object."""
    _, pack = FORMATS[name]
    packed = pack(SAMPLE)
    for cut in (len(packed) // 3, len(packed) - 1):
        if name.startswith("gzip"):
            expected = zlib.decompressobj(31).decompress(packed[:cut])
        elif name.startswith("zstd"):
            expected = zstandard.ZstdDecompressor().decompressobj().decompress(packed[:cut])
        elif name.startswith("lz4"):
            expected = lz4.frame.LZ4FrameDecompressor().decompress(packed[:cut])
        elif name == "bzip2":
            expected = bz2.BZ2Decompressor().decompress(packed[:cut])
        else:
            expected = lzma.LZMADecompressor().decompress(packed[:cut])
        assert read_bytes(packed[:cut])[0] == expected


@pytest.mark.parametrize("name", ["gzip", "gzip-stored", "zstd", "xz", "lz4-checked"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_goes_unnoticed_nor_costs_what_was_before_it(name: str, data: st.DataObject) -> None:
    _, pack = FORMATS[name]
    plain = sample(200_000)
    packed = bytearray(pack(plain))
    at = data.draw(st.integers(16, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    out, failure, _ = read_bytes(bytes(packed))
    good = _before(name, bytes(packed[:at]))
    if name == "lz4-checked":  # a block whose own checksum is wrong is not handed out
        good = good[: max(0, len(good) - (64 << 10))]
    assert out.startswith(good)
    assert failure is not None or out == plain  # a flip in a size field of padding may change nothing


def _before(name: str, intact: bytes) -> bytes:
    """What the undamaged beginning decodes to by the library alone."""
    if name.startswith("gzip"):
        return zlib.decompressobj(31).decompress(intact)
    if name == "xz":
        return lzma.LZMADecompressor().decompress(intact)
    if name == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(intact)
    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(intact))


@pytest.mark.parametrize("name", ["gzip", "xz", "lzma", "bzip2"])
def test_a_wrong_checksum_at_the_end_costs_no_byte(name: str) -> None:
    packed = bytearray(FORMATS[name][1](SAMPLE))
    packed[-6 if name != "bzip2" else -3] ^= 0xFF
    out, failure, _ = read_bytes(bytes(packed))
    assert out[: len(SAMPLE)] == SAMPLE
    assert failure is not None


def test_a_bomb_streams_in_bounded_memory() -> None:
    """Hundreds of times what it is on disk: nothing of that size is ever held."""
    bomb = gzip.compress(bytes(64 << 20), 9)
    zstd = zstandard.ZstdCompressor().compress(bytes(256 << 20))
    for packed in (bomb, zstd):
        with tempfile.NamedTemporaryFile() as file:
            file.write(packed)
            file.flush()
            reader = open_bytes(file.name)
            buffer = memoryview(bytearray(1 << 20))
            tracemalloc.start()
            total = 0
            while n := reader.readinto(buffer):
                total += n
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            reader.close()
        assert total in (64 << 20, 256 << 20)
        assert peak < 16 << 20


def test_a_zstd_window_beyond_reason_is_refused_with_what_to_do() -> None:
    head = (0xFD2FB528).to_bytes(4, "little") + bytes([0x00, 21 << 3]) + bytes(20)
    out, failure, _ = read_bytes(head)
    assert out == b""
    assert failure is not None
    assert "2048 MiB" in failure.message
    assert "zstd -d" in failure.remedy


def test_skippable_zstd_frames_are_stepped_over() -> None:
    skip = (0x184D2A53).to_bytes(4, "little") + (9).to_bytes(4, "little") + b"userdata!"
    packed = skip + zstandard.ZstdCompressor().compress(b"inside") + skip
    assert read_bytes(packed) == (b"inside", None, packed)


@given(data=st.binary(max_size=300))
def test_hostile_bytes_behind_a_magic_end_cleanly(data: bytes) -> None:
    for magic in (b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"\x04\x22\x4d\x18", b"BZh91AY&SY"):
        out, failure, _ = read_bytes(magic + data)
        assert failure is not None or out == b"" or compression_of((magic + data)[:16]) is None or len(out) < 10_000


def test_plain_files_come_as_they_are_and_on_raw_is_not_called(tmp_path: Path) -> None:
    file = tmp_path / "plain"
    file.write_bytes(SAMPLE)
    out, failure, raw = read(file)
    assert (out, failure, raw) == (SAMPLE, None, b"")
    reader = open_bytes(str(file))
    assert reader.plain
    assert reader.compression is None
    assert reader.raw_size == len(SAMPLE)
    reader.close()


@pytest.mark.parametrize("content", [b"", b"x", b"\x1f"])
def test_tiny_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tiny").write_bytes(content)
    assert read(tmp_path / "tiny")[0] == content


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_fifo_is_read_once_from_its_first_byte(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(pack(SAMPLE)))
    writer.start()
    out, failure, _ = read(fifo)
    writer.join()
    assert failure is None
    assert out == SAMPLE


def test_a_descriptor_is_read_from_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    fd = os.open(file, os.O_RDONLY)
    os.lseek(fd, 4, os.SEEK_SET)
    reader = open_bytes(f"/dev/fd/{fd}")
    buffer = memoryview(bytearray(20))
    assert reader.raw_size == 6
    assert bytes(buffer[: reader.readinto(buffer)]) == b"456789"
    reader.close()
    assert os.fstat(fd).st_size == 10  # the caller's own descriptor stays open
    os.close(fd)


def test_damage_in_a_pipe_costs_at_most_the_step(tmp_path: Path) -> None:
    packed = bytearray(lzma.compress(SAMPLE))
    packed[len(packed) // 2] ^= 0xFF
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(packed))
    writer.start()
    out, failure, _ = read(fifo)
    writer.join()
    assert failure is not None
    good = lzma.LZMADecompressor().decompress(bytes(packed[: len(packed) // 2]))
    assert len(good) - len(out) < 8 << 10
    assert out.startswith(good[: len(out)]) or good.startswith(out[: len(good)])


def test_what_cannot_be_opened_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match="does not exist"):
        open_bytes(str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="is a folder"):
        open_bytes(str(tmp_path))
    with pytest.raises(MissingPathError):
        open_bytes("/dev/fd/987654")


@pytest.mark.skipif(ROOT, reason="root may read everything")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "closed").write_bytes(b"x")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(MissingPathError, match="cannot be opened"):
        open_bytes(str(tmp_path / "closed"))


def test_every_failure_is_one_that_a_person_can_meet(tmp_path: Path) -> None:
    for opener in (lambda: open_bytes(str(tmp_path)), lambda: open_bytes(str(tmp_path / "no"))):
        with pytest.raises(WorkbenchError) as caught:
            opener()
        assert caught.value.remedy
