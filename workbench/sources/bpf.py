"""Capture filters (pcap-filter(7)): their text made a program by libpcap itself, so that they mean what tcpdump means.

libpcap is called through its C interface. A program depends on the link type, so one is made for each. The handle that
libpcap wants is that of a capture file without packets: for a handle of no file at all it would compile some words
(`inbound`, `ifindex`) to reads of the Linux kernel's own notes on a packet, which no file has, and take BSD loopback
headers to be of this machine's byte order. The program is run elsewhere (`decode.bpf`): nothing of libpcap sees a packet.

Host names are refused before libpcap sees them. It would ask the network for their addresses: whoever watches it would
learn what is being looked for, and a later run of the same filter could mean another address.
"""

from __future__ import annotations

import ctypes
import difflib
import os
import re
import struct
from functools import cache
from typing import Final, TypeAlias

from workbench.errors import BpfError, ExternalError
from workbench.records.links import LINK_TYPES
from workbench.records.visible import visible

#: One instruction of a classic BPF program: code, jt, jf, k; numbers as struct bpf_insn holds them, k unsigned.
Instruction: TypeAlias = tuple[int, int, int, int]

#: Bytes of a filter, and how often it says `and` or `or`. libpcap's time grows with the square of what it joins and more
#: (800 port ranges take minutes), its stack with the length; here it is a few seconds and half a MiB.
LONGEST_TEXT: Final = 4096
MOST_JOINED: Final = 300
_JOINS: Final = re.compile(r"\b(?:and|or)\b|&&|\|\|")
#: Programs longer than this are not optimised: libpcap would take minutes to.
_LONGEST_OPTIMISED: Final = 8192
#: As libpcap names itself on Linux distributions, elsewhere and on macOS.
_NAMES: Final = ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so", "libpcap.A.dylib", "libpcap.dylib")
_INSTALL: Final = "Install libpcap (Debian and Ubuntu: libpcap0.8, Fedora and RHEL: libpcap), or index without --bpf."
#: From here on pcap_compile may be called by several threads.
_LEAST: Final = (1, 8)
_SNAPLEN: Final = 262_144
_MESSAGE_BYTES: Final = 256  # PCAP_ERRBUF_SIZE

# Words of the filter language, as libpcap's scanner lists them; whatever else is made of letters is a name.
_KEYWORDS: Final = frozenset(
    """
    aarp action addr1 addr2 addr3 addr4 address1 address2 address3 address4 ah and arp atalk bcc broadcast byte carp clnp
    connectmsg csnp decnet dir direction dpc dst es-is esis esp ether fddi fisu gateway geneve greater hdpc hfisu hlssu hmsu
    hopc host hsio hsls icmp icmp6 icmp6code icmp6type icmpcode icmptype ifindex ifname igmp igrp iih ilmic inbound ip ip6 ipx
    is-is isis iso l1 l2 lane lat len length less link llc lsp lssu lsu mask metac metaconnect mopdl moprc mpls msu multicast
    net netbeui not oam oamf4 oamf4ec oamf4sc on opc or outbound pim port portrange ppp pppoed pppoes proto protochain psnp ra
    radio rarp reason rnr rset rulenum ruleset sc sca sctp sio slip sls snp src srnr stp subrulenum subtype ta tcp tcpflags tr
    type udp vci vlan vpi vrrp wlan
    icmp-echo icmp-echoreply icmp-ireq icmp-ireqreply icmp-maskreply icmp-maskreq icmp-paramprob icmp-redirect icmp-routeradvert
    icmp-routersolicit icmp-sourcequench icmp-timxceed icmp-tstamp icmp-tstampreply icmp-unreach icmp6-certpathadvert
    icmp6-certpathsolicit icmp6-destinationunreach icmp6-echo icmp6-echoreply icmp6-homeagentdiscoveryreply
    icmp6-homeagentdiscoveryrequest icmp6-ineighbordiscoveryadvert icmp6-ineighbordiscoverysolicit icmp6-mobileprefixadvert
    icmp6-mobileprefixsolicit icmp6-multicastlistenerdone icmp6-multicastlistenerquery icmp6-multicastlistenerreportv1
    icmp6-multicastlistenerreportv2 icmp6-multicastrouteradvert icmp6-multicastroutersolicit icmp6-multicastrouterterm
    icmp6-neighboradvert icmp6-neighborsolicit icmp6-nodeinformationquery icmp6-nodeinformationresponse icmp6-packettoobig
    icmp6-parameterproblem icmp6-redirect icmp6-routeradvert icmp6-routerrenum icmp6-routersolicit icmp6-timeexceeded tcp-ack
    tcp-cwr tcp-ece tcp-fin tcp-push tcp-rst tcp-syn tcp-urg
    """.split()  # noqa: SIM905  quoted one by one they fill a page
)
#: Words of later versions.
_LATER: Final = {"vxlan": (1, 11)}
#: Behind these stand names that are no hosts: services and protocols of this machine's lists, words of one protocol.
_NAMING: Final = frozenset(
    "action dir direction ifname llc on port portrange proto protochain reason rset ruleset subtype type".split()  # noqa: SIM905
)
#: These leave open what kind of thing a following word is; it is still what was said before.
_JOINING: Final = frozenset(("and", "or", "not"))
_ADDRESS: Final = (
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:\.\d+){0,3}"  # IPv6, and MACs with colons
    r"|[0-9A-Fa-f]{1,2}(?:[-.][0-9A-Fa-f]{1,2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{12}"  # other MACs
    r"|\$[0-9A-Fa-f]{1,2}"
)
_NUMBER: Final = r"\d+(?:\.\d+){0,3}|0[xX][0-9A-Fa-f]+"
_WORD: Final = re.compile(
    rf"(?:{_ADDRESS})(?![-_.:A-Za-z0-9])|(?:{_NUMBER})(?![-_.A-Za-z0-9])|(?P<word>\\[^\s!()]+|[A-Za-z0-9][-_.A-Za-z0-9]*)"
)


class _Insn(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.POINTER(_Insn)))


@cache
def _libpcap() -> ctypes.CDLL:
    """The library with its functions declared; ExternalError where there is none, or too old a one."""
    for name in _NAMES:
        try:
            found = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise ExternalError("--bpf needs libpcap, which is not installed", _INSTALL)
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    declared = {
        "pcap_lib_version": (text, ()),
        "pcap_fopen_offline": (pointer, (pointer, text)),
        "pcap_compile": (ctypes.c_int, (pointer, ctypes.POINTER(_Program), text, ctypes.c_int, ctypes.c_uint32)),
        "pcap_freecode": (None, (ctypes.POINTER(_Program),)),
        "pcap_geterr": (text, (pointer,)),
        "pcap_close": (None, (pointer,)),
    }
    try:
        for function, (result, arguments) in declared.items():
            getattr(found, function).restype = result
            getattr(found, function).argtypes = arguments
    except AttributeError as error:
        raise ExternalError(f"--bpf cannot use the installed libpcap: {error}", _INSTALL) from error
    _check_version(found.pcap_lib_version().decode("ascii", "replace"))
    return found


def _check_version(said: str) -> None:
    if _version(said) < _LEAST:
        raise ExternalError(f"--bpf needs libpcap 1.8 or later; this is {visible(said)}", _INSTALL)


def _version(said: str) -> tuple[int, int]:
    number = re.search(r"(\d+)\.(\d+)", said)
    return (int(number[1]), int(number[2])) if number is not None else (0, 0)


def libpcap_version() -> str:
    """What libpcap says of itself, such as `libpcap version 1.10.3 (with TPACKET_V3)`; ExternalError where there is none."""
    version: bytes = _libpcap().pcap_lib_version()
    return version.decode("ascii", "replace")


def check_filter(text: str) -> str | None:
    """The filter as it is kept: single blanks between its words; None where it is blank and selects everything.

    Raises BpfError with libpcap's own words where no link type that is known here can be filtered so, or a host is given
    by name; ExternalError without libpcap.
    """
    text = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    if not text:
        return None
    _check_text(text)
    first: BpfError | None = None
    for link_type in (1, *LINK_TYPES):  # Ethernet's message is the one worth reading
        try:
            _program(text, link_type, False)
        except BpfError as error:
            first = first or error
        else:
            return text
    assert first is not None
    raise first


def compile_filter(text: str, link_type: int, *, big_endian: bool = False) -> list[Instruction]:
    """The program for packets of one LINKTYPE_ in a capture file of that byte order, as `tcpdump -r` makes it.

    One that no packet of this link type can pass (ARP in a capture of raw IP) is a program that rejects, where tcpdump
    would refuse the file. Raises BpfError where libpcap refuses the text, for this link type or at all; ExternalError
    without libpcap.
    """
    _check_text(text)
    try:
        return _program(text, link_type, big_endian)
    except BpfError:
        return _compile(text, link_type, big_endian, optimise=False)  # only the optimiser minds that nothing passes


def _program(text: str, link_type: int, big_endian: bool) -> list[Instruction]:
    found = _compile(text, link_type, big_endian, optimise=False)
    return found if len(found) > _LONGEST_OPTIMISED else _compile(text, link_type, big_endian, optimise=True)


def _check_text(text: str) -> None:
    """BpfError for what must not reach libpcap: text that C cannot hold, too much of it, host names."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise BpfError("the capture filter is not UTF-8") from error
    if "\0" in text:
        raise BpfError("the capture filter holds a NUL character")
    joined = len(_JOINS.findall(text))
    if size > LONGEST_TEXT or joined > MOST_JOINED:
        raise BpfError(
            f"the capture filter has {size:,} bytes and joins {joined:,} parts: {LONGEST_TEXT:,} and {MOST_JOINED} at most",
            "Name prefixes (net) or ranges (portrange) in place of single ones, or filter what was indexed.",
        )
    keywords = _KEYWORDS | {word for word, since in _LATER.items() if _version(libpcap_version()) >= since}
    qualifier = ""
    for match in _WORD.finditer(text):
        word = match["word"]
        if word is None or word in _JOINING:
            continue
        if word in keywords:
            qualifier = word
        elif qualifier not in _NAMING:
            near = difflib.get_close_matches(word, sorted(keywords), 2, 0.6)
            raise BpfError(
                f"{visible(word)!r} in the capture filter is no word of its language, and names of hosts are not looked up",
                f"Did you mean {' or '.join(near)}?"
                if near
                else "Give the address: `host 192.0.2.1`, `ether host 02:00:00:00:00:01`.",
            )


def _compile(text: str, link_type: int, big_endian: bool, *, optimise: bool) -> list[Instruction]:
    library = _libpcap()
    handle = _file_without_packets(link_type, big_endian)
    program = _Program()
    try:
        # the netmask is only asked for by `ip broadcast`; tcpdump has 0 for files, too
        if library.pcap_compile(handle, ctypes.byref(program), text.encode(), int(optimise), 0):
            said = library.pcap_geterr(handle).decode("utf-8", "replace")
            raise BpfError(visible(said), "pcap-filter(7) explains the language.")
        try:
            return [(i.code, i.jt, i.jf, i.k) for i in program.instructions[: program.length]]
        finally:
            library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)


def _file_without_packets(link_type: int, big_endian: bool) -> int:
    """A pcap_t for a capture file of this link type and byte order that ends behind its header."""
    library, libc = _libpcap(), ctypes.CDLL(None)
    libc.fdopen.restype, libc.fdopen.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_char_p)
    reading, writing = os.pipe()
    os.write(writing, struct.pack(">IHHiIII" if big_endian else "<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAPLEN, link_type))
    os.close(writing)
    file = libc.fdopen(reading, b"rb")
    if not file:
        os.close(reading)
        raise ExternalError("libpcap cannot be given a file: fdopen failed", _INSTALL)
    said = ctypes.create_string_buffer(_MESSAGE_BYTES)
    handle: int | None = library.pcap_fopen_offline(file, said)
    if handle is None:
        libc.fclose.argtypes = (ctypes.c_void_p,)
        libc.fclose(file)
        raise BpfError(f"link type {link_type} cannot be filtered: {visible(said.value.decode('utf-8', 'replace'))}")
    return handle
