from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dissect import packets_only as module
from workbench.dissect.packets_only import packets_only
from workbench.errors import BadInputError

_spec = importlib.util.spec_from_file_location("talk", Path(__file__).with_name("talk.py"))
assert _spec is not None
assert _spec.loader is not None
talk: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(talk)
wire = talk.wire

FRAME = wire.plain_tcp()
SECRET = b"CLIENT_RANDOM 00 11"


def kinds(data: bytes) -> list[int]:
    out, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert data[at + size - 4 : at + size] == data[at + 4 : at + 8]
        out.append(kind)
        at += size
    return out


def test_only_sections_interfaces_and_packets_are_left() -> None:
    secrets = wire.block(10, struct.pack("<II", 0x544C534B, len(SECRET)) + SECRET + b"\0" * (-len(SECRET) % 4))
    names = wire.block(4, b"\1\0\5\0\1\2\3\4x\0\0\0\0\0\0\0")
    data = wire.section(options=wire.option(4, b"a program")) + secrets + wire.interface(options=wire.option(2, b"eth0"))
    data += names + wire.enhanced(FRAME) + secrets + wire.simple(FRAME)
    out = packets_only(data)
    assert kinds(out) == [0x0A0D0D0A, 1, 6, 3]
    assert SECRET not in out
    assert b"eth0" not in out
    assert b"a program" not in out
    assert out.count(FRAME) == 2


def test_an_interface_keeps_its_clock() -> None:
    options = wire.option(2, b"eth0") + wire.option(9, b"\x09")
    out = packets_only(wire.section() + wire.interface(options=options) + wire.enhanced(FRAME))
    assert wire.option(9, b"\x09") in out


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str) -> None:
    out = packets_only(wire.section(order) + wire.interface(order) + wire.enhanced(FRAME, order=order))
    assert out.count(FRAME) == 1


def test_damage_ends_it_and_what_was_whole_is_kept() -> None:
    whole = talk.pcapng([FRAME, FRAME])
    assert packets_only(whole[:-1]).count(FRAME) == 1
    broken = bytearray(whole)
    broken[-1] ^= 1
    assert packets_only(bytes(broken)).count(FRAME) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\xd4\xc3\xb2\xa1" + bytes(40), b"\x1f\x8b" + bytes(40), bytes(64), b"\x0a\x0d\x0d\x0a" + bytes(40)]
)
def test_what_is_no_pcapng_is_refused(data: bytes) -> None:
    with pytest.raises(BadInputError):
        packets_only(data)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 100)
    with pytest.raises(BadInputError, match="too many"):
        packets_only(talk.pcapng([FRAME, FRAME]))


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_no_bytes_break_it_and_what_comes_out_holds_nothing_else(tail: bytes, at: int, value: int) -> None:
    data = bytearray(talk.pcapng([FRAME, FRAME]) + tail)
    data[at % len(data)] = value
    try:
        out = packets_only(bytes(data))
    except BadInputError:
        return
    if out[8:12] == b"\x4d\x3c\x2b\x1a":
        assert set(kinds(out)) <= {0x0A0D0D0A, 1, 3, 6} or b"\x1a\x2b\x3c\x4d" in out
    assert packets_only(out) == out
