from __future__ import annotations

import pytest

from tests.decode.wire import plain_tcp, read
from workbench.decode.framing import open_framer
from workbench.errors import BadInputError


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "no bytes"),
        (b"PK\x03\x04" + bytes(30), "zip"),
        (b'{"ts": 1, "uid": "x"}\n' + b" " * 20, "JSON"),
        (b"hello, this is a text file\n", "text"),
        (b"\x1f\x8b\x08" + bytes(30), "gzip"),
        (bytes.fromhex("00112233445566778899aabbccddeeff0011223344556677"), "00 11 22 33 44 55 66 77"),
    ],
)
def test_says_what_it_is_instead_of_a_capture(head: bytes, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        open_framer(head)
    assert words in caught.value.message
    assert "pcap" in caught.value.remedy


def test_a_capture_is_not_taken_for_text() -> None:
    from tests.decode.wire import pcap_file

    framer, _, packets = read(pcap_file([(0, plain_tcp())]))
    assert framer.kind == "pcap"
    assert packets == [plain_tcp()]
