from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.decode.application.ber_wire import explicit, integer, octets, oid, seq, tlv
from workbench.decode.application import ber
from workbench.decode.application.protocol import Malformed


def test_a_sequence_is_walked() -> None:
    data = seq(integer(5), octets(b"x" * 300), explicit(3, integer(-2)))
    whole = ber.item(data, 0, len(data))
    assert whole == (ber.SEQUENCE, 4, len(data), len(data))
    first, second, third = ber.items(data, whole.start, whole.stop)
    assert ber.number(data, first) == 5
    assert (second.tag, ber.value(data, second)) == (ber.OCTETS, b"x" * 300)
    assert third.number == 3
    assert ber.number(data, ber.inside(data, third, ber.INTEGER)) == -2
    assert set(ber.fields(data, whole)) == {ber.INTEGER, ber.OCTETS, 0xA3}


@pytest.mark.parametrize("dotted", ["1.3.6.1.4.1.1466.20037", "2.999.3", "0.39", "1.2.840.113554.1.2.2"])
def test_object_identifiers(dotted: str) -> None:
    data = oid(dotted) if not dotted.startswith("2.999") else bytes.fromhex("0603883703")
    assert ber.dotted(data, ber.item(data, 0, len(data))) == dotted


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x1f\x81\x00\x00",  # a long tag
        b"\x30\x80\x00\x00",  # an indefinite length
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # a length of five bytes
        b"\x30\x82\x00",  # a length cut off
        b"\x30\x05\x00",  # longer than what is there
    ],
)
def test_what_is_no_item_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        ber.item(data, 0, len(data))


def test_a_cut_message_yields_what_is_there() -> None:
    data = seq(integer(1), octets(b"abcdef"), integer(3))[:-6]
    whole = ber.item(data, 0, len(data), cut=True)
    assert whole.after > whole.stop == len(data)
    found = list(ber.items(data, whole.start, whole.stop, cut=True))
    assert [each.tag for each in found] == [ber.INTEGER, ber.OCTETS]
    assert ber.value(data, found[1]) == b"abc"
    with pytest.raises(Malformed):
        list(ber.items(data, 0, len(data)))
    half = data[:6]  # an item of which the header alone is cut
    assert [each.tag for each in ber.items(half, 2, len(half), cut=True)] == [ber.INTEGER]


@pytest.mark.parametrize("data", [b"\x02\x00", b"\x02\x09" + b"\1" * 9])
def test_numbers_have_one_to_eight_bytes(data: bytes) -> None:
    with pytest.raises(Malformed):
        ber.number(data, ber.item(data, 0, len(data)))


@pytest.mark.parametrize("body", [b"", b"\x2b\x86", b"\x2b" + b"\xff" * 11 + b"\x01", b"\x01" * 80])
def test_object_identifiers_that_are_none(body: bytes) -> None:
    data = tlv(6, body)
    with pytest.raises(Malformed):
        ber.dotted(data, ber.item(data, 0, len(data)))


def test_another_tag_inside_and_too_many_items() -> None:
    data = explicit(1, octets(b"x"))
    with pytest.raises(Malformed, match="0x04 where 0x02"):
        ber.inside(data, ber.item(data, 0, len(data)), ber.INTEGER)
    many = b"\x05\x00" * 9000
    assert sum(1 for _ in ber.items(many, 0, len(many))) == ber.MOST_ITEMS


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_bytes_stay_inside(data: bytes, cut: bool) -> None:
    try:
        for each in ber.items(data, 0, len(data), cut=cut):
            assert 0 < each.start <= each.stop <= len(data)
            ber.fields(data, each, cut=cut)
            ber.dotted(data, each)
            ber.number(data, each)
    except Malformed:
        pass
