"""The Service Location Protocol, versions 2 (RFC 2608) and 1 (RFC 2165). One row per message, and what is wrong with it.

SLP is where hypervisors were taken over: OpenSLP, as ESXi has it, looked for the address in a URL beyond the URL's end and
copied what it found into too small a buffer (CVE-2021-21974), and added up lengths of URL entries without looking (CVE-2019-
5544). So every length is compared with the message, and a URL that lacks its address is told. Of a URL the service type is
kept, not the address and path behind it; attributes and predicates not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from workbench.decode.application.protocol import Context, Cut, Framing, Malformed, Message, Protocol, Row, Signature, text

FUNCTIONS: Final = (
    "", "SrvRqst", "SrvRply", "SrvReg", "SrvDeReg", "SrvAck", "AttrRqst", "AttrRply", "DAAdvert", "SrvTypeRqst", "SrvTypeRply",
    "SAAdvert",
)  # fmt: skip
_ERRORS2: Final = {
    0: "OK", 1: "LANGUAGE_NOT_SUPPORTED", 2: "PARSE_ERROR", 3: "INVALID_REGISTRATION", 4: "SCOPE_NOT_SUPPORTED",
    5: "AUTHENTICATION_UNKNOWN", 6: "AUTHENTICATION_ABSENT", 7: "AUTHENTICATION_FAILED", 9: "VER_NOT_SUPPORTED",
    10: "INTERNAL_ERROR", 11: "DA_BUSY_NOW", 12: "OPTION_NOT_UNDERSTOOD", 13: "INVALID_UPDATE", 14: "MSG_NOT_SUPPORTED",
    15: "REFRESH_REJECTED",
}  # fmt: skip
_ERRORS1: Final = {**_ERRORS2, 5: "CHARSET_NOT_UNDERSTOOD"}
#: Bytes above which a string is called oversized: a message over UDP has 1400 at most (RFC 2608, 4.2).
_OVERSIZED: Final = 1400
_MOST_ENTRIES: Final = 1024
_MOST_FLAWS: Final = 4


class _Stop(Exception):  # noqa: N818
    """What follows cannot be found."""


class _Walk:
    """A walk over one message: `at` in data, which ends at `end`; `whole` bytes it should have."""

    def __init__(self, data: bytes, at: int, end: int, whole: int) -> None:
        self.data, self.at, self.end, self.whole = data, at, end, whole
        self.flaws: list[str] = []
        self.values: dict[str, Any] = {}

    def flaw(self, said: str) -> None:
        """Note what is wrong, once."""
        if said not in self.flaws and len(self.flaws) < _MOST_FLAWS:
            self.flaws.append(said)

    def take(self, size: int, what: str) -> bytes:
        """The next bytes; stops where the message ends before, and says so unless they were only not captured."""
        stop = self.at + size
        if stop > self.end:
            if stop > max(self.end, self.whole):
                self.flaw(f"{what} beyond the message")
            raise _Stop
        taken = self.data[self.at : stop]
        self.at = stop
        return taken

    def number(self, size: int, what: str) -> int:
        """A number."""
        return int.from_bytes(self.take(size, what), "big")

    def string(self, what: str) -> bytes:
        """A string behind two bytes of length."""
        size = self.number(2, f"{what} length")
        if size > _OVERSIZED and what != "attributes":
            self.flaw(f"{what} oversized")
        return self.take(size, what)

    def error(self, names: dict[int, str]) -> None:
        """The error code of a reply."""
        code = self.number(2, "error")
        self.values["error"] = names.get(code, f"ERROR{code}")

    def service(self, said: bytes) -> None:
        """A service type."""
        if any(byte < 0x20 or byte == 0x7F for byte in said):
            self.flaw("service type not text")
        self.values.setdefault("service_type", text(said, 255) or None)

    def url(self, or_type: bool = False) -> None:
        """A URL: what stands before its address is the service type (RFC 2608, 4.1). or_type: it may be one alone (10.3)."""
        said = self.string("URL")
        kind, colon, _ = said.partition(b":/")
        if said and not colon and not or_type:
            self.flaw("URL without address")
        if any(byte < 0x20 or byte == 0x7F for byte in said):
            self.flaw("URL not text")
        if colon or or_type:
            self.values.setdefault("service_type", text(kind, 255) or None)

    def scopes(self) -> None:
        """A scope list."""
        self.values["scopes"] = text(self.string("scopes")) or None

    def blocks(self) -> None:
        """Authentication blocks (RFC 2608, 9.2)."""
        for _ in range(self.number(1, "authentication")):
            self.take(2, "authentication")
            size = self.number(2, "authentication")
            if size < 4:
                self.flaw("authentication too short")
                raise _Stop
            self.take(size - 4, "authentication")

    def entry(self) -> None:
        """A URL entry of version 2."""
        self.take(3, "URL entry")
        self.url()
        self.blocks()

    def entry1(self) -> None:
        """A URL entry of version 1."""
        self.take(2, "URL entry")
        self.url()

    def entries(self, one: Callable[[], None]) -> None:
        """The URL entries of a reply, as many as it claims."""
        self.values["url_entries"] = claimed = self.number(2, "URL count")
        for _ in range(min(claimed, _MOST_ENTRIES)):
            one()


def _version2(w: _Walk, function: str) -> None:
    """What a message of version 2 says behind its header."""
    if function in ("SrvRply", "SrvAck", "AttrRply", "DAAdvert", "SrvTypeRply"):
        w.error(_ERRORS2)
    if function in ("SrvRqst", "AttrRqst", "SrvTypeRqst"):
        w.string("previous responders")
    if function == "SrvRqst":
        w.service(w.string("service type"))
        w.scopes()
        w.string("predicate")
        w.string("SPI")
    elif function == "SrvRply":
        w.entries(w.entry)
    elif function == "SrvReg":
        w.entry()
        w.service(w.string("service type"))
        w.scopes()
        w.string("attributes")
        w.blocks()
    elif function == "SrvDeReg":
        w.scopes()
        w.entry()
        w.string("tags")
    elif function == "AttrRqst":
        w.url(or_type=True)
        w.scopes()
        w.string("tags")
        w.string("SPI")
    elif function == "AttrRply":
        w.string("attributes")
        w.blocks()
    elif function in ("DAAdvert", "SAAdvert"):
        if function == "DAAdvert":
            w.take(4, "boot time")
        w.url()
        w.scopes()
        w.string("attributes")
        if function == "DAAdvert":
            w.string("SPI")
        w.blocks()
    elif function == "SrvTypeRqst":
        _naming_authority(w)
        w.scopes()
    elif function == "SrvTypeRply":
        w.service(w.string("service types"))


def _version1(w: _Walk, function: str) -> None:
    """What a message of version 1 says behind its header; without authentication, which nobody made."""
    if function in ("SrvRply", "SrvAck", "AttrRply", "DAAdvert", "SrvTypeRply"):
        w.error(_ERRORS1)
    if function in ("SrvRqst", "AttrRqst", "SrvTypeRqst"):
        w.string("previous responders")
    if function == "SrvRqst":
        w.service(w.string("predicate").split(b"/")[0])
    elif function == "SrvRply":
        w.entries(w.entry1)
    elif function == "SrvReg":
        w.entry1()
        w.string("attributes")
    elif function == "SrvDeReg":
        w.url()
        w.string("tags")
    elif function in ("AttrRqst", "DAAdvert"):
        w.url(or_type=function == "AttrRqst")
        w.scopes()
    elif function == "AttrRply":
        w.string("attributes")
    elif function == "SrvTypeRqst":
        _naming_authority(w)
        w.scopes()
    elif function == "SrvTypeRply":
        for _ in range(min(w.number(2, "type count"), _MOST_ENTRIES)):
            w.service(w.string("service type"))


def _naming_authority(w: _Walk) -> None:
    """A naming authority, of which 65535 bytes mean all of them."""
    size = w.number(2, "naming authority")
    if size != 0xFFFF:
        w.take(size, "naming authority")


class SlpReader:
    """Reads the messages of a flow, each by itself; holds nothing."""

    def __init__(self, _context: Context) -> None:
        self.services: list[str] = []

    def message(self, message: Message) -> Iterable[Row]:
        """A row for the message."""
        data = message.data
        version = data[0] if data else 0
        head = 14 if version == 2 else 12
        if version not in (1, 2) or len(data) < head or not 1 <= data[1] < len(FUNCTIONS):
            raise Malformed("SLP: no header of a known version and function")
        self.services = ["slp"]
        length = int.from_bytes(data[2:5] if version == 2 else data[2:4], "big")
        w = _Walk(data, head, min(len(data), length), min(message.whole, length))
        if length > message.whole:
            w.flaw("length beyond the packet")
        elif length < head:
            w.flaw("length short of the header")
        elif length < message.whole:
            w.flaw("bytes behind the message")
        w.values |= {
            "ts": message.ts,
            "function": FUNCTIONS[data[1]],
            "version": str(version),
            "length": length,
            "trans_id": int.from_bytes(data[10:12], "big"),
        }
        with suppress(_Stop):
            self._body(w, version, FUNCTIONS[data[1]])
        w.values["flaw"] = ", ".join(w.flaws) or None
        return [("slp", w.values)]

    def _body(self, w: _Walk, version: int, function: str) -> None:
        if version == 1:
            _version1(w, function)
            return
        w.take(int.from_bytes(w.data[12:14], "big"), "language")
        if w.whole < int.from_bytes(w.data[7:10], "big"):
            w.flaw("extension beyond the message")
        _version2(w, function)

    def end(self) -> Iterable[Row]:
        """Nothing waits for an answer."""
        return ()


#: Version 2, a short length, no unknown flags; then a language of two letters, which is `en` with nearly everybody.
_ENGLISH: Final = bytes([2]) + bytes(11) + b"\0\2en"
_ENGLISH_MASK: Final = b"\xff\xf0\xff\0\0\x1f\xff" + b"\xff\xff\0\0\0" + b"\xff" * 4
_PORT: Final = (427,)

PROTOCOL: Final = Protocol(
    name="slp",
    title="Service Location Protocol",
    framing={"udp": Framing(Cut.DATAGRAM, keep=16_384), "tcp": Framing(Cut.LENGTH, keep=16_384, at=2, width=3)},
    signatures=(
        Signature("udp", _ENGLISH, mask=_ENGLISH_MASK),
        Signature("tcp", _ENGLISH, mask=_ENGLISH_MASK),
        Signature("udp", b"\2\0", mask=b"\xff\xf0", least=14, ports=_PORT),
        Signature("tcp", b"\2\0", mask=b"\xff\xf0", least=14, ports=_PORT),
        Signature("udp", b"\1\0", mask=b"\xff\xf0", least=12, ports=_PORT),
    ),
    tables=("slp",),
    ports=_PORT,
    reader=SlpReader,
    reference="RFC 2608, RFC 2165",
)
