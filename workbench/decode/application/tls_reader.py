"""The TLS reader: halves of handshakes, read by kernels, paired by flow, as columns of `tls` and `kubernetes`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application import kubernetes, tls_names
from workbench.decode.application.held import joined, taken
from workbench.decode.application.protocol import MOST_TEXT, Read, text
from workbench.decode.application.tls_certificates import Certificate, read
from workbench.decode.application.tls_kernels import (
    BAD,
    CLIENT,
    DONE,
    HALF,
    HIDDEN,
    MOST_MESSAGE,
    RESUMES,
    RETRY,
    ROOM,
    ROOM_PER_BYTE,
    SECRET,
    SERVER,
    read_halves,
)
from workbench.decode.application.tls_prints import ja3, ja4
from workbench.decode.application.tls_seen import Seen, Spread

#: Halves that wait for their other one: so many, so long.
MOST_WAITING: Final = 8_192
_WAIT: Final = 30_000_000  # us
#: Messages a kernel is given at a time: bounds the room for texts.
_CHUNK: Final = 512
_MOST_CERTIFICATES: Final = 4_096

_BLANK: Final = np.zeros((), HALF)
for _field in ("legacy", "version", "cipher", "group", "alert", "sni", "alpn", "print", "cert"):
    _BLANK[_field] = -1
_HELD: Final = ("sni", "alpn", "print", "cert")


def offered(listed: bytes) -> str:
    """A list of protocols (RFC 7301, 3.1) as text, comma separated."""
    names: list[str] = []
    at = 0
    while at < len(listed) and len(names) < 64:
        name = listed[at + 1 : at + 1 + listed[at]]
        if name:
            names.append(text(name))
        at += 1 + listed[at]
    return ",".join(names)[:MOST_TEXT]


def _protocol(code: int) -> str | None:
    """Name of a protocol by its code; None for 0."""
    from workbench.decode.application.registry import protocols  # which finds this package's protocols, TLS among them

    return protocols()[code - 1].name if 0 < code <= len(protocols()) else None


class Halves:
    """Reads messages into HALF rows whose texts are numbers of things seen. What stays is bounded by `Seen`."""

    def __init__(self) -> None:
        self.sni: Seen[tuple[str, kubernetes.Shown | None]] = Seen()
        self.alpn: Seen[str] = Seen()
        self.prints: Seen[tuple[str, str | None]] = Seen()
        self.certs: Seen[tuple[Certificate, kubernetes.Shown | None, kubernetes.Shown | None]] = Seen(_MOST_CERTIFICATES)
        self._key = np.array([secrets.randbits(64), secrets.randbits(64)], np.uint64)
        self._work = np.empty(MOST_MESSAGE // 2, np.int32)
        self._joined = self._texts = np.empty(0, np.uint8)

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], records: bool = True) -> NDArray[Any]:
        """HALF rows of MESSAGE rows, in their order; records: TLS records, else bare handshake messages."""
        halves = np.empty(len(rows), HALF)
        for start in range(0, len(rows), _CHUNK):
            part = np.ascontiguousarray(rows[start : start + _CHUNK])
            self._read(part, arena, records, halves[start : start + len(part)])
        halves["place"] = np.arange(len(rows))
        return halves

    def _read(self, rows: NDArray[Any], arena: NDArray[np.uint8], records: bool, halves: NDArray[Any]) -> None:
        size = int(rows["size"].sum())
        if size > len(self._joined):
            self._joined = np.empty(size, np.uint8)
        if ROOM * len(rows) + ROOM_PER_BYTE * size > len(self._texts):
            self._texts = np.empty(ROOM * len(rows) + ROOM_PER_BYTE * size, np.uint8)
        joined, texts = self._joined, self._texts
        read_halves(rows, arena, records, self._key, joined, texts, self._work, halves)

        def piece(field: str) -> Callable[[int], bytes]:
            at, sizes = halves[f"{field}_at"], halves[f"{field}_size"]
            return lambda row: joined[at[row] : at[row] + sizes[row]].tobytes()

        def prints(row: int) -> tuple[str, str | None]:
            half = halves[row]
            at, middle = int(half["print_at"]), int(half["print_at"]) + int(half["print_size"])
            more = texts[middle : middle + int(half["more_size"])].tobytes()
            return ja3(texts[at:middle].tobytes()), ja4(more) if more else None

        def name(row: int) -> tuple[str, kubernetes.Shown | None]:
            said = text(names(row))
            return said, kubernetes.by_name(said)

        def certificate(row: int) -> tuple[Certificate, kubernetes.Shown | None, kubernetes.Shown | None]:
            said = read(ders(row), bool(halves["cert_size"][row] == halves["cert_whole"][row]))
            return said, kubernetes.by_certificate(said), kubernetes.by_client(said)

        names, lists, ders = piece("sni"), piece("alpn"), piece("cert")
        halves["sni"] = self.sni.numbers(halves["sni_key"], name)
        halves["alpn"] = self.alpn.numbers(halves["alpn_key"], lambda row: offered(lists(row)))
        halves["print"] = self.prints.numbers(halves["print_key"], prints)
        halves["cert"] = self.certs.numbers(halves["cert_key"], certificate)

    def forget(self, held: NDArray[Any]) -> None:
        """Bound what is remembered; rows that are still held get their new numbers."""
        for field, seen in zip(_HELD, (self.sni, self.alpn, self.prints, self.certs), strict=True):
            held[field] = seen.forget(held[field])  # type: ignore[attr-defined]


def paired(halves: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of clients and of servers that make one handshake, -1 where that side is missing. By flow."""
    order = np.lexsort((halves["role"], halves["n"]))
    n, role = halves["n"][order], halves["role"][order]
    with_next = np.zeros(len(order), bool)
    if len(order) > 1:
        with_next[:-1] = (n[:-1] == n[1:]) & (role[:-1] != role[1:])
        with_next[1:] &= ~with_next[:-1]  # three of a flow: the first two belong together
    taken = np.zeros(len(order), bool)
    taken[1:] = with_next[:-1]
    first = np.flatnonzero(~taken)
    other = np.where(with_next[first], order[np.minimum(first + 1, len(order) - 1)], -1)
    begins = role[first] == CLIENT
    client = np.where(begins, order[first], other)
    server = np.where(begins, other, order[first])
    return client.astype(np.int64), server.astype(np.int64)


class TlsReader:
    """Handshakes of all flows of a source. Halves wait for each other until their flow ends, or half a minute."""

    def __init__(self) -> None:
        self._halves = Halves()
        self._waiting = np.empty(0, HALF)

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """One row a handshake whose both halves are here, or whose other one will not come."""
        halves = self._halves.read(rows, arena)
        told = Read(seen=(halves["role"] > 0).astype(np.uint8), malformed=int(((halves["flags"] & BAD) != 0).sum()))
        mine = np.flatnonzero(halves["role"])
        if len(self._waiting) + len(mine) == 0:
            return told
        both = joined(joined(self._waiting, taken(halves, mine)), _BLANK.reshape(1))  # whoever is missing is row -1
        known = both[:-1]
        client, server = paired(known)
        waits = self._waits(known, client, server, ended)
        if not len(rows) and not len(ended):
            waits[:] = False  # the source is over
        self._waiting = taken(known, np.maximum(client, server)[waits])
        client, server = client[~waits], server[~waits]
        spoke = (client >= 0) | (known["role"][server] == SERVER)
        if spoke.any():
            self._tell(told, taken(both, client[spoke]), taken(both, server[spoke]), client[spoke] >= 0)
        self._halves.forget(self._waiting)
        return told

    def _waits(
        self, known: NDArray[Any], client: NDArray[np.int64], server: NDArray[np.int64], ended: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which of the pairs lack a half that may still come."""
        alone = (client < 0) | (server < 0)
        there = np.maximum(client, server)
        n, ts = known["n"][there], known["ts"][there]
        waits: NDArray[np.bool_] = alone & (ts > ts.max() - _WAIT)
        if len(ended):
            place = np.minimum(np.searchsorted(ended, n), len(ended) - 1)
            waits &= ended[place] != n
        late = np.flatnonzero(waits)
        if late.size > MOST_WAITING:  # the oldest have waited longest
            waits[late[np.argsort(ts[late], kind="stable")[: late.size - MOST_WAITING]]] = False
        return waits

    def _tell(self, told: Read, ours: NDArray[Any], theirs: NDArray[Any], led: NDArray[np.bool_]) -> None:
        """Fill the tables with pairs of halves; led: where the client's half is here."""
        begun = {"n": np.where(led, ours["n"], theirs["n"]), "ts": np.where(led, ours["ts"], theirs["ts"])}
        told.tables["tls"] = begun | self._said(ours, theirs) | self._certified(ours, theirs)
        told.tables["tls"]["established"] = self._established(ours, theirs, led)
        self._kubernetes(told, ours, theirs, np.where(led, ours["port"], theirs["port"]))

    def _said(self, ours: NDArray[Any], theirs: NDArray[Any]) -> dict[str, Any]:
        """Columns of `tls` that come from the hellos."""
        sni, alpn, seen = self._halves.sni.values, self._halves.alpn.values, self._halves.prints.values
        prints = Spread(ours["print"])
        return {
            "version": Spread(np.where(theirs["version"] >= 0, theirs["version"], ours["version"])).column(tls_names.version),
            "sni": Spread(ours["sni"]).column(lambda i: sni[i][0] if i >= 0 else None),
            "alpn": Spread(np.where(theirs["alpn"] >= 0, theirs["alpn"], ours["alpn"])).column(
                lambda i: alpn[i] if i >= 0 else None
            ),
            "cipher": Spread(theirs["cipher"]).column(tls_names.suite),
            "ja3": prints.column(lambda i: seen[i][0] if i >= 0 else None),
            "ja4": prints.column(lambda i: f"t{seen[i][1]}" if i >= 0 else None),
            "ja3s": Spread(theirs["print"]).column(lambda i: seen[i][0] if i >= 0 else None),
            "group_name": Spread(theirs["group"]).column(tls_names.group),
            "alert": Spread(np.where(theirs["alert"] >= 0, theirs["alert"], ours["alert"])).column(tls_names.alert),
            "ech": pa.array((ours["flags"] & HIDDEN) != 0, mask=ours["legacy"] < 0),
            "resumed": self._resumed(theirs),
            "upgraded_from": Spread(np.maximum(ours["within"], theirs["within"])).column(_protocol),
        }

    def _certified(self, ours: NDArray[Any], theirs: NDArray[Any]) -> dict[str, Any]:
        """Columns of `tls` that come from certificates."""
        certs = self._halves.certs.values
        kinds = {"not_before": pa.timestamp("us"), "not_after": pa.timestamp("us"), "self_signed": pa.bool_()}
        mine, shown = Spread(ours["cert"]), Spread(theirs["cert"])

        def field(name: str) -> Callable[[int], Any]:
            return lambda i: getattr(certs[i][0], name) if i >= 0 else None

        columns = {
            f"cert_{name}": shown.column(field(name), kinds.get(name))
            for name in ("subject", "issuer", "sha256", "san", "not_before", "not_after", "self_signed")
        }
        columns["cert_count"] = pa.array(theirs["certs"], pa.int32(), mask=theirs["certs"] == 0)
        columns["client_cert_subject"] = mine.column(field("subject"))
        return columns

    @staticmethod
    def _resumed(theirs: NDArray[Any]) -> Any:
        """Whether a session was resumed; null where the answer isn't there.

        TLS 1.3: the server took a key that was shared before. Before that: it went on to encrypt without the ServerHelloDone
        that ends a full handshake's first flight (RFC 5246, 7.3).
        """
        flags, version = theirs["flags"], theirs["version"]
        modern = (version >= 0x0304) & (version < 0xFE00)
        silent = (flags & (SECRET | DONE)) == 0
        unknown = (version < 0) | np.where(modern, (flags & RETRY) != 0, silent)
        short = ((flags & DONE) == 0) & (theirs["certs"] == 0)
        return pa.array(np.where(modern, (flags & RESUMES) != 0, short), mask=unknown)

    @staticmethod
    def _established(ours: NDArray[Any], theirs: NDArray[Any], led: NDArray[np.bool_]) -> Any:
        """Whether encrypted records follow on both sides; null where only one side was heard."""
        both = ours["flags"] & theirs["flags"] & SECRET
        return pa.array(both != 0, mask=~led | (theirs["role"] == 0))

    def _kubernetes(self, told: Read, ours: NDArray[Any], theirs: NDArray[Any], port: NDArray[Any]) -> None:
        """Rows of `kubernetes`: names and certificates were judged when they were first seen."""
        sni, certs = self._halves.sni.values, self._halves.certs.values

        def hint(numbers: NDArray[Any], values: Sequence[tuple[Any, ...]], at: int) -> NDArray[np.bool_]:
            column = Spread(numbers).column(lambda i: i >= 0 and values[i][at] is not None, pa.bool_())
            hinted: NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
            return hinted

        hints = hint(ours["sni"], sni, 1) | hint(theirs["cert"], certs, 1) | hint(ours["cert"], certs, 2)
        rows: list[int] = []
        said: list[kubernetes.Shown] = []
        for row in np.flatnonzero(hints).tolist():
            name, shown, mine = ours["sni"][row], theirs["cert"][row], ours["cert"][row]
            found = [
                sni[name][1] if name >= 0 else None,
                certs[shown][1] if shown >= 0 else None,
                certs[mine][2] if mine >= 0 else None,
            ]
            one = kubernetes.shown(found, int(port[row]))
            if one:
                rows.append(row)
                said.append(one)
        if rows:
            columns: dict[str, Any] = {name: told.tables["tls"][name][rows] for name in ("n", "ts")}
            for at, column in enumerate(("role", "evidence", "name", "node")):
                columns[column] = pa.array([one[at] for one in said], pa.string())
            told.tables["kubernetes"] = columns
