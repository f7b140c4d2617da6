"""The day sample: built, so the same bytes come out; and its connections last and send what the script says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sample_captures.make import day
from tests.sample_captures.indexed import FOLDER, Indexed, blocks


@pytest.fixture
def sample(samples: dict[str, Indexed]) -> Indexed:
    return samples["day"]


def test_the_same_bytes_come_out_again(tmp_path: Path) -> None:
    day.make(tmp_path)
    for name in ("day.pcapng", "day.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_connections_last_and_carry_what_was_built(sample: Indexed) -> None:
    for told in sample.truth["connections"]:
        (flow,) = sample.found(told)
        assert flow["duration"] == pytest.approx(told["lasts"], abs=0.001)
        assert (flow["src_payload"], flow["dst_payload"]) == (told["sent_bytes"], told["body_bytes"])


def test_lengths_are_whole_where_packets_are_cut(sample: Indexed) -> None:
    lengths = [int.from_bytes(body[16:20], "little") for kind, body in blocks(sample.bytes) if kind == 6]
    flows = sum(f["src_bytes"] + f["dst_bytes"] for f in sample.flows)
    assert sum(lengths) == flows + 14 * len(lengths)


def test_checksums_are_right() -> None:
    """The header of RFC 1071's kind that everybody uses to check: 4500 0073 ... b861."""
    assert day.checksum(bytes.fromhex("450000730000400040110000c0a80001c0a800c7")) == 0xB861
