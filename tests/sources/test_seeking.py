import gzip
import os
from pathlib import Path

import pytest

from workbench.errors import MissingPathError, SourceError
from workbench.sources.seeking import SeekingBytes

DATA = bytes(range(256)) * 20_000


@pytest.fixture(params=["plain", "gzip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found = tmp_path / "a"
    found.write_bytes(gzip.compress(DATA, 1) if request.param == "gzip" else DATA)
    return found


def read(stream: SeekingBytes, size: int) -> bytes:
    out = bytearray(size)
    view, got = memoryview(out), 0
    while got < size and (n := stream.readinto(view[got:])):
        got += n
    return bytes(out[:got])


def test_any_place_in_any_order(path: Path) -> None:
    stream = SeekingBytes(str(path))
    for at in (0, 77, 4_000_000, 300, len(DATA) - 10):
        assert stream.seek(at)
        assert read(stream, 50) == DATA[at : at + 50]
        assert stream.position == min(len(DATA), at + 50)
    assert read(stream, 1) == b""
    stream.close()
    stream.close()


def test_going_on_the_way_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(DATA, 1))
    stream = SeekingBytes(str(tmp_path / "a.gz"))
    looks = iter([False, False, True])
    assert not stream.seek(len(DATA), lambda: next(looks))
    assert 0 < stream.position < len(DATA)
    assert not stream.seek(len(DATA) + 1)
    stream.close()


def test_damage_on_the_way_is_said(tmp_path: Path) -> None:
    noise = gzip.compress(os.urandom(3_000_000), 1)
    (tmp_path / "a.gz").write_bytes(noise[:-1_000_000])
    stream = SeekingBytes(str(tmp_path / "a.gz"))
    with pytest.raises(SourceError, match=r"a\.gz"):
        stream.seek(2_900_000)
    stream.close()
    with pytest.raises(MissingPathError):
        SeekingBytes(str(tmp_path / "b"))
