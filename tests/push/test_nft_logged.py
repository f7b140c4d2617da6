from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.push.nft.logged import Line, read_line

TCP = (
    "2026-03-01T10:00:00.123456+01:00 dpu7 kernel: [ 12.5] contain-esxi/no-guest IN=p0 OUT=pf0hpf MAC=02:00 SRC=10.0.0.1"
    " DST=10.0.0.2 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=1 DF PROTO=TCP SPT=40000 DPT=443 WINDOW=64240 RES=0x00 SYN URGP=0"
)


def test_a_line_of_a_journal() -> None:
    when = datetime(2026, 3, 1, 9, 0, 0, 123456)
    assert read_line(TCP) == Line(when, "contain-esxi/no-guest", 6, "10.0.0.1", "10.0.0.2", 40000, 443)


def test_a_line_of_dmesg_with_iso_times_and_icmp() -> None:
    text = "2026-03-01T10:00:00,5+00:00 p/ping IN= OUT=p0 SRC=fd00:0:0::1 DST=fd00::2 PROTO=ICMPv6 TYPE=128 CODE=0"
    assert read_line(text) == Line(datetime(2026, 3, 1, 10, 0, 0, 500000), "p/ping", 58, "fd00::1", "fd00::2", 128, 0)


def test_what_is_quoted_in_an_icmp_error_is_not_the_packet() -> None:
    text = TCP.replace(
        "PROTO=TCP SPT=40000 DPT=443", "PROTO=ICMP TYPE=3 CODE=1 [SRC=10.9.9.9 DST=10.8.8.8 PROTO=TCP SPT=1 DPT=2 ]"
    )
    line = read_line(text)
    assert line is not None
    assert line[2:] == (1, "10.0.0.1", "10.0.0.2", 3, 1)


@pytest.mark.parametrize(
    "text",
    [
        TCP.replace("2026-03-01T10:00:00.123456+01:00", "Mar  1 10:00:00"),
        TCP.replace("+01:00", ""),
        TCP.replace("contain-esxi/no-guest", "contain-esxi"),
        TCP.replace("DPT=443", "DPT=70000"),
        TCP.replace("DPT=443", ""),
        TCP.replace("10.0.0.2", "10.0.0.2.5"),
        TCP.replace("PROTO=TCP", "PROTO=TCPX"),
        TCP.replace("2026-03-01", "2026-13-01"),
        "0001-01-01T00:00:00+23:59 a/b IN= SRC=::1 DST=::2 PROTO=TCP SPT=1 DPT=2",
        "",
    ],
)
def test_what_is_not_whole_is_nothing(text: str) -> None:
    assert read_line(text) is None


@given(st.text() | st.text().map(lambda word: TCP.replace("TCP", word)) | st.text().map(lambda word: TCP[: len(word)] + word))
def test_any_text_is_a_line_or_nothing(text: str) -> None:
    found = read_line(text)
    assert found is None or 0 <= found.proto <= 255
