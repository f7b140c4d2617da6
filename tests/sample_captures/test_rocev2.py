"""The RoCEv2 sample: queue pairs' datagrams are the flows the script says it built, and its frames are what it says they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sample_captures.make import rdma_frames, rocev2
from sample_captures.make.rdma_frames import Port
from tests.sample_captures.indexed import FOLDER, Indexed, blocks

NEAR, FAR = Port("a", "192.0.2.1", "02:00:00:00:00:01"), Port("b", "192.0.2.2", "02:00:00:00:00:02")
NEAR_V6, FAR_V6 = Port("a", "2001:db8::1", "02:00:00:00:00:01"), Port("b", "2001:db8::2", "02:00:00:00:00:02")
ACKNOWLEDGE = rdma_frames.bth(0x11, 0x11A, 0x3F10) + rdma_frames.aeth(0x1F, 1)


@pytest.fixture
def sample(samples: dict[str, Indexed]) -> Indexed:
    return samples["rocev2"]


def test_each_direction_of_a_queue_pair_is_a_flow_to_4791_with_what_was_sent(sample: Indexed) -> None:
    told = {(c["src"], c["src_port"], c["dst"], 4791): (c["packets"], c["sent"]) for c in sample.truth["connections"]}
    seen = {(f["src_ip"], f["src_port"], f["dst_ip"], f["dst_port"]): (f["src_pkts"], f["src_payload"]) for f in sample.flows}
    assert seen == told
    assert {(f["proto"], f["network"], f["tunnel"], f["dst_pkts"], f["conn_state"]) for f in sample.flows} == {
        (17, "", None, 0, "S0")
    }


def test_messages_account_for_every_frame(sample: Indexed) -> None:
    rdma = sample.truth["rdma"]
    assert sum(rdma["opcodes"].values()) == sample.truth["built"]["packets"]
    carried = sum(message["packets"] for pair in rdma["queue_pairs"] for message in pair["messages"])
    plain = rdma["opcodes"]["RC_ACKNOWLEDGE"] + rdma["opcodes"]["CNP"]
    assert carried + plain == sample.truth["built"]["packets"]
    sends = Counter(m["operation"] for pair in rdma["queue_pairs"] for m in pair["messages"])
    assert {"SEND", "RDMA_WRITE", "RDMA_READ", "FETCH_ADD"} == set(sends)
    assert sum(m.get("sequence_errors", 0) for pair in rdma["queue_pairs"] for m in pair["messages"]) == 1


def test_the_same_bytes_come_out_again(sample: Indexed, tmp_path: Path) -> None:
    rocev2.make(tmp_path)
    for name in ("rocev2.pcapng", "rocev2.json"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


def test_opcodes_on_the_wire_are_those_told(sample: Indexed) -> None:
    frames = [body[20:] for kind, body in blocks(sample.bytes) if kind == 6]
    seen = Counter(rdma_frames.opcode_name(frame[62 if frame[12:14] == b"\x86\xdd" else 42]) for frame in frames)
    assert seen == sample.truth["rdma"]["opcodes"]


@pytest.mark.parametrize(("near", "far", "crc"), [(NEAR, FAR, "4e78b458"), (NEAR_V6, FAR_V6, "ba7783b5")])
def test_invariant_crc_is_the_one_another_implementation_makes(near: Port, far: Port, crc: str) -> None:
    """The two values are what scapy 2.8's RoCE layer computes for these frames."""
    assert rdma_frames.frame(near, far, 0xC000, ACKNOWLEDGE, b"")[-4:].hex() == crc


def test_invariant_crc_leaves_out_what_routers_change() -> None:
    plain = rdma_frames.frame(NEAR, FAR, 0xC000, ACKNOWLEDGE, b"", ecn=2)
    marked = rdma_frames.frame(NEAR, FAR, 0xC000, ACKNOWLEDGE, b"", ecn=3)
    other = rdma_frames.frame(NEAR, FAR, 0xC000, ACKNOWLEDGE[:-1] + b"\x02", b"", ecn=2)
    assert plain != marked
    assert plain[-4:] == marked[-4:] != other[-4:]
