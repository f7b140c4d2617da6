"""The SSH reader: banners and lists of algorithms, each looked at once however often it is said, as columns of `ssh`."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application.held import Held, among, joined
from workbench.decode.application.protocol import Read, text
from workbench.decode.application.ssh_kernels import (
    BANNER,
    CAME_IN,
    FLOW,
    LISTS,
    UNKNOWN,
    follow,
    sort_out,
)
from workbench.decode.application.tls_seen import Seen, Spread

#: Connections that are followed at a time; of more, the oldest are told as they are.
MOST_FLOWS: Final = 32_768
#: Distinct banners, and lists of algorithms (at most 8 KiB each), that are remembered beyond those of flows that are followed.
_MOST_SEEN: Final = 2_048
#: Connections that are still followed where they hold more than twice as many distinct lists: programs have
#: few, so somebody makes them up, and 32,768 connections of 8 KiB a side would be half a gigabyte.
_FEW_FLOWS: Final = 1_024
_KEX, _HOST_KEY, _CIPHER, _MAC, _COMPRESSION = 0, 1, 2, 4, 6  # client to server; server to client one further
_LISTS_AT: Final = 22
_ONE, _TWO = 1, 2  # bits of protocol versions

_BLANK: Final = np.zeros((), FLOW)
_BLANK["banner"] = _BLANK["lists"] = -1


def name_lists(data: bytes) -> list[bytes]:
    """The name lists of a KEXINIT packet, from the first one on, as far as they are whole; at most ten."""
    lists: list[bytes] = []
    at = 0
    while len(lists) < 10 and at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            break
        lists.append(data[at + 4 : at + 4 + size])
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


def agreed(client: list[bytes], server: list[bytes]) -> tuple[str | None, str | None, str | None, str | None, bool]:
    """Key exchange, host key, cipher and MAC chosen; whether sizes can be trusted: nothing is compressed."""
    kex, host_key, cipher, mac = (chosen(client, server, which) for which in (_KEX, _HOST_KEY, _CIPHER, _MAC))
    plain = all(chosen(client, server, _COMPRESSION + way) in (None, "none") for way in (0, 1))
    return kex, host_key, cipher, mac, plain


def versions(banner: bytes) -> int:
    """Protocol versions that a banner allows, as bits: 1.99 is both."""
    number = banner[4:].split(b"-")[0]
    return _ONE | _TWO if number == b"1.99" else _TWO if number.startswith(b"2") else _ONE


class SshReader:
    """Connections of all flows of a source; one row each, when its outcome is guessed, or it ends."""

    def __init__(self) -> None:
        self._flows = Held(_BLANK)
        self._banners: Seen[tuple[str, int]] = Seen(_MOST_SEEN)
        self._lists: Seen[tuple[list[bytes], str | None, str | None]] = Seen(_MOST_SEEN)
        self._key = np.array([secrets.randbits(64), secrets.randbits(64)], np.uint64)

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """Messages without bytes are encrypted segments: their `whole` says how many bytes came at a time."""
        rows = np.ascontiguousarray(rows)
        read = Read(seen=np.zeros(len(rows), np.uint8))
        most = MOST_FLOWS if len(self._lists.values) <= 2 * self._lists.most else min(_FEW_FLOWS, self._lists.most)
        kinds, numbers = self._sorted_out(rows, arena)
        places = self._flows.places(rows["n"])
        told = np.empty(len(self._flows.rows), FLOW)
        count, read.malformed = follow(rows, kinds, numbers, places, self._flows.rows, told, read.seen)
        gone = among(self._flows.rows["key"], ended)
        gone[: max(len(gone) - most, 0)] = True
        if not len(rows) and not len(ended):
            gone[:] = True  # the source is over
        left = self._flows.drop(gone)
        done = joined(told[:count], left[(left["known"] != 0) & (left["told"] == 0)])
        if len(done):
            read.tables["ssh"] = self._columns(done)
        held = self._flows.rows
        held["banner"] = self._banners.forget(held["banner"].ravel()).reshape(-1, 2)
        held["lists"] = self._lists.forget(held["lists"].ravel()).reshape(-1, 2)
        return read

    def _sorted_out(self, rows: NDArray[Any], arena: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """What the messages are, and the numbers of their texts."""
        kinds = np.empty(len(rows), np.uint8)
        keys, sizes = np.empty(len(rows), np.uint64), np.empty(len(rows), np.int32)
        sort_out(rows, arena, self._key, kinds, keys, sizes)

        def said(row: int, skip: int) -> bytes:
            at = int(rows["at"][row]) + skip
            return arena[at : at + int(sizes[row])].tobytes()

        def banner(row: int) -> tuple[str, int]:
            return text(said(row, 0)), versions(said(row, 0))

        def lists(row: int) -> tuple[list[bytes], str | None, str | None]:
            names = name_lists(said(row, _LISTS_AT))
            return names, hassh(names, server=False), hassh(names, server=True)

        numbers = self._banners.numbers(np.where(kinds == BANNER, keys, np.uint64(0)), banner)
        listed = self._lists.numbers(np.where(kinds == LISTS, keys, np.uint64(0)), lists)
        return kinds, np.where(kinds == LISTS, listed, numbers)

    def _columns(self, flows: NDArray[Any]) -> dict[str, Any]:
        each, client = np.arange(len(flows)), flows["client"].astype(np.int64)
        banners, lists = self._banners.values, self._lists.values
        ours, theirs = flows["banner"][each, client], flows["banner"][each, 1 - client]
        mine, its = flows["lists"][each, client], flows["lists"][each, 1 - client]
        allowed = [np.array([one[1] for one in banners] + [_ONE | _TWO])[side] for side in (ours, theirs)]
        version = allowed[0] & allowed[1]
        pair = (mine + 1).astype(np.int64) * (len(lists) + 1) + its + 1
        pairs, inverse = np.unique(pair, return_inverse=True)
        nothing: list[bytes] = []
        both = [divmod(number, len(lists) + 1) for number in pairs.tolist()]
        found = [agreed(lists[a - 1][0] if a else nothing, lists[b - 1][0] if b else nothing) for a, b in both]
        guessed = np.array([one[4] for one in found], bool)[inverse] & (version >= _TWO)
        columns: dict[str, Any] = {"n": flows["key"], "ts": flows["ts"]}
        columns |= {
            "client": Spread(ours).column(lambda i: banners[i][0] if i >= 0 else None),
            "server": Spread(theirs).column(lambda i: banners[i][0] if i >= 0 else None),
            "hassh": Spread(mine).column(lambda i: lists[i][1] if i >= 0 else None),
            "hassh_server": Spread(its).column(lambda i: lists[i][2] if i >= 0 else None),
            "version": Spread(version).column(lambda bits: "2" if bits & _TWO else "1" if bits else None),
            "authenticated": pa.array(flows["result"] == CAME_IN, mask=~guessed | (flows["result"] == UNKNOWN)),
            "attempts": pa.array(flows["attempts"].astype(np.int32), mask=~guessed),
        }
        which = pa.array(inverse)
        for at, name in enumerate(("kex", "host_key", "cipher", "mac")):
            columns[name] = pa.array([one[at] for one in found], pa.string()).take(which)
        return columns
