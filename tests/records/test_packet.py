import inspect

import numpy as np

from workbench.records import packet
from workbench.records.packet import FRAME, MAX_TUNNELS, PACKET, TUNNEL_CODES, TUNNELS


def test_marks_are_single_bits_that_fit_their_field_and_do_not_overlap() -> None:
    names = [
        "FRAG_FIRST",
        "FRAG_LATER",
        "L4_BAD",
        "L4_OFFLOAD",
        "CUT",
        "PORTS",
        "INNER_UNDECODED",
        "ICMP_PAIRED",
        "ICMP_REPLY",
        "L4_UNCHECKED",
        "L3_BAD",
    ]
    marks = [getattr(packet, name) for name in names]
    assert all(mark & (mark - 1) == 0 for mark in marks)
    assert len(set(marks)) == len(marks)
    assert max(marks) <= np.iinfo(PACKET["marks"]).max
    others = {name for name, value in inspect.getmembers(packet) if name.isupper() and isinstance(value, int)} - set(names)
    assert others == {"FLOW", "ARP", "UNDECODED", "MAX_TUNNELS"}


def test_tunnel_codes_fit_a_byte_and_a_whole_stack_fits_its_field() -> None:
    assert all(1 <= code <= 255 for code in TUNNELS)
    assert {TUNNEL_CODES[name]: name for name in TUNNELS.values()} == TUNNELS
    assert PACKET["tunnel"].itemsize * 8 >= MAX_TUNNELS * 8


def test_rows_are_aligned_so_that_kernels_read_whole_words() -> None:
    assert FRAME.isalignedstruct
    assert PACKET.isalignedstruct
    assert FRAME.itemsize % 8 == 0
    assert PACKET.itemsize % 8 == 0
