"""SSH (RFC 4253): banners, key exchange, HASSH of both sides, and a guess at whether somebody came in.

The engine gives the banner, then each binary packet up to NEWKEYS with its header, then the first encrypted segments of each
direction as messages without bytes, whose `whole` says how many bytes came at a time. From these sizes the outcome is
guessed as Zeek does: the server's first encrypted segment after the client's accepts the service; one that is 16 bytes
shorter says that authentication succeeded; the first other one is a failure (one that is over 256 bytes longer a
banner), and each of the failure's size one more failed attempt. Compression makes sizes worthless: nothing is said then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from workbench.decode.application.protocol import (
    Context,
    Cut,
    Framing,
    Malformed,
    Message,
    Probe,
    Protocol,
    Reader,
    Row,
    Signature,
    text,
)

_KEXINIT: Final = 20
_CLIENT_SAYS: Final = (30, 34)  # KEXDH_INIT, KEX_DH_GEX_REQUEST: numbers that only a client sends
_LISTS: Final = 10
_KEX, _HOST_KEY, _CIPHER, _MAC, _COMPRESSION = 0, 1, 2, 4, 6  # client to server; server to client one further
_MOST_BANNER: Final = 255
#: What a guess rests on, in bytes (Zeek's numbers).
_SHORTER: Final = 16
_BANNER_LONGER: Final = 256
#: Encrypted messages of the server after which no more is waited for.
_ENOUGH: Final = 12


def name_lists(packet: bytes, cut: bool) -> list[bytes]:
    """The ten name lists of a KEXINIT packet; fewer where it was cut. Malformed where a list is longer than the packet."""
    lists: list[bytes] = []
    at = 4 + 1 + 1 + 16
    while len(lists) < _LISTS:
        size = int.from_bytes(packet[at : at + 4], "big")
        if at + 4 + size > len(packet):
            if cut:
                return lists
            raise Malformed("an SSH name list is longer than its packet")
        lists.append(packet[at + 4 : at + 4 + size])
        at += 4 + size
    return lists


def hassh(lists: list[bytes], server: bool) -> str | None:
    """HASSH: MD5 over key exchange, ciphers, MACs and compression as sent; the server's over its own direction."""
    if len(lists) < _COMPRESSION + 1 + server:
        return None
    parts = (lists[_KEX], *(lists[which + server] for which in (_CIPHER, _MAC, _COMPRESSION)))
    return hashlib.md5(b";".join(parts), usedforsecurity=False).hexdigest()


def chosen(client: list[bytes], server: list[bytes], which: int) -> str | None:
    """The first name of the client's that the server has too (RFC 4253, 7.1)."""
    if min(len(client), len(server)) <= which:
        return None
    offered = frozenset(server[which].split(b","))
    return next((text(name) for name in client[which].split(b",") if name and name in offered), None)


def version(banners: list[bytes | None]) -> str | None:
    """Protocol version that both banners allow: 1.99 is both; null where they exclude each other."""
    spoken = {"1", "2"}
    for banner in banners:
        if banner is not None:
            number = banner[4:].split(b"-")[0]
            spoken &= {"1", "2"} if number == b"1.99" else {"2"} if number.startswith(b"2") else {"1"}
    return max(spoken, default=None)


class Guess:
    """Whether authentication succeeded, from sizes of encrypted segments."""

    def __init__(self) -> None:
        self.result: bool | None = None
        self.attempts = 0
        self.heard = 0
        self._asked = False
        self._accept = 0
        self._failure = 0
        self._bannered = False

    def segment(self, client: bool, size: int) -> None:
        """One encrypted segment."""
        if client:
            self._asked = True
            return
        self.heard += 1
        if self.result or not self._asked:
            return
        if not self._accept:
            self._accept = size
        elif size == self._accept - _SHORTER and size != self._failure:
            self.result = True
            self.attempts += 1
        elif not self._failure:
            if not self._bannered and size - self._accept > _BANNER_LONGER:
                self._bannered = True
            else:
                self._failure = size
        elif size == self._failure:
            self.result = False
            self.attempts += 1


class SshReader:
    """Reads one SSH connection; one row, when its outcome is guessed, or it ends."""

    def __init__(self, _context: Context) -> None:
        self.services: list[str] = []
        self._ts: int | None = None
        self._banners: list[bytes | None] = [None, None]
        self._lists: list[list[bytes]] = [[], []]
        self._client = 0
        self._guess = Guess()
        self._told = False

    def message(self, message: Message) -> Iterable[Row]:
        """Take one in."""
        if self._ts is None:
            self._ts = message.ts
        if not message.data:
            if message.whole:
                self._guess.segment(message.side == self._client, message.whole)
            if self._guess.result or self._guess.heard >= _ENOUGH:
                return self._tell()
        elif message.data.startswith(b"SSH-"):
            self._banner(message)
        else:
            self._packet(message)
        return ()

    def end(self) -> Iterable[Row]:
        """What was learned of a connection that ended."""
        return self._tell()

    def _banner(self, message: Message) -> None:
        if self._banners[message.side] is None:
            self._banners[message.side] = message.data[:_MOST_BANNER].rstrip(b"\r\n")
            self.services = ["ssh"]

    def _packet(self, message: Message) -> None:
        """A binary packet: length, padding length, type, what the type says."""
        data = message.data
        if len(data) < 6:
            raise Malformed("an SSH packet is too short for its header")
        kind = data[5]
        if kind in _CLIENT_SAYS:
            self._client = message.side
        if kind == _KEXINIT and not self._lists[message.side]:
            self._lists[message.side] = name_lists(data, message.cut)
            self.services = ["ssh"]

    def _tell(self) -> Iterable[Row]:
        if self._told or not self.services:
            return ()
        self._told = True
        return (("ssh", self._row()),)

    def _row(self) -> dict[str, Any]:
        client, server = self._lists[self._client], self._lists[1 - self._client]
        banners = [None if banner is None else text(banner) for banner in self._banners]
        compressed = [chosen(client, server, _COMPRESSION + way) for way in (0, 1)]
        guessed = all(way in (None, "none") for way in compressed) and version(self._banners) == "2"
        return {
            "ts": self._ts,
            "client": banners[self._client],
            "server": banners[1 - self._client],
            "hassh": hassh(client, server=False),
            "hassh_server": hassh(server, server=True),
            "kex": chosen(client, server, _KEX),
            "host_key": chosen(client, server, _HOST_KEY),
            "cipher": chosen(client, server, _CIPHER),
            "mac": chosen(client, server, _MAC),
            "version": version(self._banners),
            "authenticated": self._guess.result if guessed else None,
            "attempts": self._guess.attempts if guessed else None,
        }


def _reader(context: Context) -> Reader:
    return SshReader(context)


PROTOCOL = Protocol(
    name="ssh",
    title="Secure Shell",
    framing=Framing(Cut.SSH, keep=8192),
    signatures=(Signature("tcp", b"SSH-", least=8, probe=Probe.SSH, strong=True),),
    tables=("ssh",),
    ports=(22,),
    reader=_reader,
    reference="RFC 4253",
)
