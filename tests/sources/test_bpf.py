from __future__ import annotations

import sys

import pytest

from tests import needs
from workbench.errors import BpfError, ExternalError, UsageError
from workbench.sources import bpf
from workbench.sources.bpf import LONGEST_TEXT, MOST_JOINED, check_filter, compile_filter, libpcap_version

pytestmark = needs.libpcap()

#: What the Linux kernel notes on a packet is read at offsets from here on (SKF_AD_OFF); no capture file has it.
KERNEL_NOTES = 0xFFFFF000


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("tcp port 443", "tcp port 443"),
        ("  tcp\n\tport  443 ", "tcp port 443"),
        ("", None),
        (" \n", None),
        ("port https or domain", "port https or domain"),
        ("ip proto \\tcp", "ip proto \\tcp"),
        ("ether host 02:00:00:00:00:01 or 02-00-00-00-00-01 or 0200.0000.0001", None),
        ("ether host 020000000001", None),
        ("host fe80::1 or 2001:db8::7 or ::1 or 10.0.0.1", None),
        ("ether[0:4]=1", None),
        ("net 10 or net 192.168 or 10.1.0.0/16", None),
        ("portrange 80-90", None),
        ("not vlan and (tcp or udp)", None),
        ("wlan type mgt subtype beacon", None),  # only 802.11 has it
        ("inbound", None),  # only cooked captures have it
    ],
)
def test_what_is_a_filter(text: str, kept: str | None) -> None:
    assert check_filter(text) == (kept or text.strip() or None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tcp port 443 or", "syntax error"),
        ("port 99999", "65535"),
        ("port nosuchservice", "nosuchservice"),
        ("len / 0 = 1", "division by zero"),
        ("é", "syntax error"),
        ("tcp\x1b[31m", "31m"),
        ("tcp\0", "NUL"),
        ("tcp\udce9", "UTF-8"),
        ("(" * 5000, "5,000 bytes"),
        ("ether host foo", "'foo'"),
        ("net loopback", "'loopback'"),
        ("port 80 and src foo", "'foo'"),
        ("tcp and not foo.example", "'foo.example'"),
        ("host \\localhost", "localhost"),
        ("foo:bar", "'foo'"),
        ("1.2.3.4.5", "'1.2.3.4.5'"),
        ("gateway router", "'router'"),
        ("fisu", "MTP2"),  # no link type that is known here has it
    ],
)
def test_what_is_none_is_said(text: str, said: str) -> None:
    with pytest.raises(BpfError) as caught:
        check_filter(text)
    assert said in caught.value.message
    assert caught.value.message.isprintable()
    assert isinstance(caught.value, UsageError)


def test_a_slip_is_answered_with_the_nearest_word() -> None:
    with pytest.raises(BpfError) as caught:
        check_filter("tpc port 443")
    assert "tcp" in caught.value.remedy


def test_no_name_of_a_host_is_looked_up() -> None:
    """A name that would resolve everywhere is refused all the same, by the words alone."""
    for text in ("host localhost", "localhost", "src localhost", "tcp and dst host localhost", "net localhost", "(localhost)"):
        with pytest.raises(BpfError, match="not looked up"):
            compile_filter(text, 1)


def test_libpcap_knows_every_word_that_is_not_taken_for_a_name() -> None:
    """Behind `host` a name would be looked up, and a word of the language is mostly a mistake."""
    said = {}
    for word in bpf._KEYWORDS:
        try:
            bpf._compile(f"host {word}", 1, False, optimise=False)
        except BpfError as error:
            said[word] = error.message
    assert len(said) > 100
    assert [word for word, message in said.items() if "unknown host" in message] == []


@pytest.mark.parametrize("link_type", [0, 1, 101, 105, 113, 127, 228, 276])
@pytest.mark.parametrize("text", ["inbound", "outbound", "ifindex 1", "vlan", "vlan 5 and ip", "tcp port 80", "mpls and ip"])
def test_nothing_that_only_a_kernel_knows_is_read(link_type: int, text: str) -> None:
    try:
        program = compile_filter(text, link_type)
    except BpfError:
        return
    loads = [k for code, _, _, k in program if code & 7 == 0 and code & 0xE0 in (0x20, 0x40)]
    assert all(k < KERNEL_NOTES for k in loads)


def test_a_bsd_loopback_header_has_the_order_of_its_file() -> None:
    big, little = compile_filter("ip", 0, big_endian=True), compile_filter("ip", 0)
    assert (0x15, 2) in {(code, k) for code, _, _, k in big}
    assert (0x15, 0x02000000) in {(code, k) for code, _, _, k in little}
    assert compile_filter("ip", 1, big_endian=True) == compile_filter("ip", 1)


def test_a_link_type_that_has_no_such_thing() -> None:
    with pytest.raises(BpfError, match="VLAN"):
        compile_filter("vlan", 101)


def test_what_no_packet_of_a_link_type_can_be_rejects_there() -> None:
    """A folder of captures of several link types is searched for ARP: those of raw IP have none, and that is no mistake."""
    assert compile_filter("arp", 101)[-1] == (0x06, 0, 0, 0)
    assert check_filter("arp") == "arp"
    with pytest.raises(BpfError, match="rejects all packets"):
        check_filter("1 = 0")


def test_a_long_filter_takes_seconds_at_most_and_is_still_right() -> None:
    text = " or ".join(f"port {n}" for n in range(1, MOST_JOINED + 2))
    assert len(text) < LONGEST_TEXT
    program = compile_filter(text, 1)
    assert len(program) > 8192  # as it came, not optimised
    assert {k for code, _, _, k in program if code == 0x15} >= set(range(1, MOST_JOINED + 2))
    for joint in (" or ", "||", ")&&("):
        with pytest.raises(BpfError, match="joins 301"):
            compile_filter("(port 1" + f"{joint}port 1" * (MOST_JOINED + 1) + ")", 1)


def test_without_libpcap_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bpf, "_NAMES", ("libno-such-library.so.7",))
    bpf._libpcap.cache_clear()
    try:
        with pytest.raises(ExternalError, match="libpcap") as caught:
            check_filter("tcp")
        assert "libpcap0.8" in caught.value.remedy
        assert caught.value.exit_code == 4
    finally:
        bpf._libpcap.cache_clear()


def test_something_that_is_no_libpcap(monkeypatch: pytest.MonkeyPatch) -> None:
    name = {"linux": "libc.so.6"}.get(sys.platform, "libSystem.dylib")
    monkeypatch.setattr(bpf, "_NAMES", (name,))
    bpf._libpcap.cache_clear()
    try:
        with pytest.raises(ExternalError, match="cannot use"):
            libpcap_version()
    finally:
        bpf._libpcap.cache_clear()


def test_the_version() -> None:
    assert libpcap_version().startswith("libpcap version")
    for said in ("libpcap version 1.7.4", "libpcap version 0.9.8", "WinPcap"):
        with pytest.raises(ExternalError, match=r"1\.8"):
            bpf._check_version(said)
    bpf._check_version("libpcap version 1.10.1 -- Apple version 126")
