"""One DCE/RPC association (C706 chapter 12, MS-RPCE 2.2): its contexts, its calls, who logs in to it.

TCP streams and SMB pipes hand their PDUs to it. What the calls carry is never looked at but for the last four bytes of an
answer, the operation's return value, where they are not encrypted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from workbench.decode.application import dcerpc_names as names
from workbench.decode.application.logins import Logins
from workbench.decode.application.nt_status import returned
from workbench.decode.application.protocol import MOST_WAITING, Context, Malformed, Row
from workbench.decode.application.tally import Tally

REQUEST: Final = 0
RESPONSE: Final = 2
FAULT: Final = 3
BIND: Final = 11
BIND_ACK: Final = 12
BIND_NAK: Final = 13
ALTER: Final = 14
ALTER_ACK: Final = 15
AUTH3: Final = 16
_LAST_TYPE: Final = 19

HEADER: Final = 16
_FIRST: Final = 0x01
_LAST: Final = 0x02
_WITH_OBJECT: Final = 0x80
_TRAILER: Final = 8  # bytes of the security trailer before its token
_PRIVACY: Final = 6
_MOST_CONTEXTS: Final = 256
#: Binds that wait for their answer: a connection has one at a time, and each may name a hundred interfaces.
_MOST_BINDS: Final = 16
_KEPT: Final = 2_048  # bytes of a PDU in a pipe

PROVIDERS: Final = {9: "spnego", 10: "ntlm", 14: "schannel", 16: "kerberos", 21: "digest", 68: "netlogon"}
LEVELS: Final = {1: "none", 2: "connect", 3: "call", 4: "packet", 5: "integrity", 6: "privacy"}

#: Interfaces whose every operation returns a status in the last four bytes of its answer.
_RETURNING: Final = frozenset(
    {"svcctl", "atsvc", "ITaskSchedulerService", "drsuapi", "samr", "lsarpc", "netlogon", "srvsvc", "wkssvc", "winreg"}
    | {"spoolss", "efsrpc", "eventlog", "dssetup", "netdfs", "InitShutdown", "BackupKey"}
)

_FAULTS: Final = {
    0x00000005: "access_denied",
    0x000006D8: "cant_perform",
    0x000006F7: "bad_stub_data",
    0x00000721: "sec_pkg_error",
    0x1C000001: "int_div_by_zero",
    0x1C000002: "addr_error",
    0x1C000006: "invalid_tag",
    0x1C000007: "invalid_bound",
    0x1C000008: "rpc_version_mismatch",
    0x1C000009: "unspec_reject",
    0x1C00000C: "manager_not_entered",
    0x1C00000D: "cancel",
    0x1C00001A: "context_mismatch",
    0x1C00001B: "remote_no_memory",
    0x1C00001C: "invalid_pres_context_id",
    0x1C00001D: "unsupported_authn_level",
    0x1C00001F: "invalid_checksum",
    0x1C000024: "object_not_found",
    0x1C010002: "op_rng_error",
    0x1C010003: "unk_if",
    0x1C01000B: "proto_error",
    0x1C010014: "server_too_busy",
    0x1C010017: "unsupported_type",
    0x80010105: "server_fault",
    0x80010108: "disconnected",
    0x800706D1: "procnum_out_of_range",
}

_KEY: Final = ("interface", "uuid", "operation", "pipe", "opnum", "version", "result", "status", "auth")


def tally() -> Tally:
    """What the calls of a flow are counted in."""
    return Tally("dcerpc", _KEY, ("request_bytes", "response_bytes"))


def fault(code: int) -> str:
    """A fault's status by name (C706 appendix E, without nca_s_fault_ or nca_), or its number in hexadecimal."""
    return _FAULTS.get(code) or f"0x{code:08x}"


def ordered(drep: int) -> str:
    """struct's sign for the byte order that the first byte of the data representation tells."""
    return "<" if drep & 0x10 else ">"


def uuid(raw: bytes, order: str) -> str:
    """A UUID as text."""
    return str(UUID(bytes_le=raw) if order == "<" else UUID(bytes=raw))


@dataclass(slots=True)
class Call:
    """A request that waits. known: uuid and version of its interface, where its context was seen."""

    ts: int
    opnum: int
    known: tuple[str, str] | None
    request: int = 0
    response: int = 0


@dataclass(slots=True)
class _Pdu:
    """The common header. whole: bytes of the PDU, of which `data` are the first."""

    data: bytes
    whole: int
    kind: int
    flags: int
    order: str
    auth: int  # bytes of the security token
    call: int

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers at an offset. Raises Malformed where they are not there."""
        if at + struct.calcsize(form) > len(self.data):
            raise Malformed("DCE/RPC: a PDU without its fields")
        return struct.unpack_from(self.order + form, self.data, at)

    @property
    def trailer(self) -> int:
        """Where the security trailer begins; the PDU's end where there is none."""
        return self.whole - (self.auth + _TRAILER if self.auth else 0)

    def stub(self, at: int) -> int:
        """Bytes of stub data that begin at `at`."""
        return max(self.trailer - at, 0)


def header(data: bytes, whole: int) -> _Pdu:
    """Reads the common header. Raises Malformed."""
    if len(data) < HEADER or data[0] != 5 or data[1] > 1 or data[2] > _LAST_TYPE:
        raise Malformed("DCE/RPC: no PDU begins here")
    order = ordered(data[4])
    size, auth, call = struct.unpack_from(order + "HHI", data, 8)
    if not HEADER <= size <= whole or (auth and auth + _TRAILER > size - HEADER):
        raise Malformed("DCE/RPC: lengths that contradict each other")
    return _Pdu(data[:size], size, data[2], data[3], order, auth, call)


class Association:
    """Follows one association; counts what it says in a tally that others may share.

    seen: whether a well-formed PDU was seen.
    """

    def __init__(self, context: Context, counts: Tally, pipe: str | None = None) -> None:
        """pipe: the named pipe it goes through."""
        self.seen = False
        self._counts = counts
        self._pipe = pipe
        self._logins = Logins(context, "dcerpc")
        self._contexts: dict[int, tuple[str, str]] = {}
        self._binding: dict[int, list[tuple[int, str, str]]] = {}
        self._calls: dict[int, Call] = {}
        self._bound_at: dict[int, int] = {}
        self._provider: int | None = None
        self._level = 0
        guessed = names.PIPES.get((pipe or "").lower())
        self._guess = (guessed, "") if guessed else None

    def pdu(self, ts: int, data: bytes, whole: int) -> list[Row]:
        """Takes one PDU (or the first `data` of its `whole` bytes). Raises Malformed."""
        pdu = header(data, whole)
        self.seen = True
        if pdu.kind == REQUEST:
            return self._request(ts, pdu)
        if pdu.kind in (RESPONSE, FAULT):
            return self._answer(pdu)
        rows: list[Row] = []
        if pdu.kind in (BIND, ALTER):
            rows = self._bind(ts, pdu)
        elif pdu.kind in (BIND_ACK, ALTER_ACK):
            rows = self._bound(pdu)
        elif pdu.kind == BIND_NAK:
            rows = self._count_binds(pdu.call, [])
            rows += self._logins.verdict(accepted=False)
        if pdu.kind in (BIND, BIND_ACK, ALTER, ALTER_ACK, AUTH3):
            rows += self._security(ts, pdu)
        return rows

    def end(self) -> list[Row]:
        """Counts what was never answered; the tally itself is its owner's."""
        rows: list[Row] = []
        for call in list(self._binding):
            rows += self._count_binds(call, None)
        for waiting in self._calls.values():
            rows += self._count(waiting, None)
        self._calls.clear()
        return rows + self._logins.end()

    @property
    def _auth(self) -> str | None:
        if self._provider is None:
            return None
        provider = PROVIDERS.get(self._provider, str(self._provider))
        if provider == "spnego":
            provider = self._logins.mechanism or provider
        return f"{provider}/{LEVELS.get(self._level, str(self._level))}"

    def _count(self, call: Call, result: str | None, status: str | None = None) -> list[Row]:
        known = call.known or self._guess
        uid = known[0] if known else None
        key = (
            names.interface(uid) if uid else None,
            uid,
            names.operation(uid, call.opnum) if uid else f"opnum_{call.opnum}",
            self._pipe,
            call.opnum,
            (known[1] or None) if known else None,
            result,
            status,
            self._auth,
        )
        return self._counts.add(call.ts, key, call.request, call.response)

    def _bind(self, ts: int, pdu: _Pdu) -> list[Row]:
        (listed,) = pdu.unpack("B", 24)
        at = 28
        offered: list[tuple[int, str, str]] = []
        for _ in range(listed):
            if at + 24 > min(len(pdu.data), pdu.trailer):
                break
            number, transfers = pdu.unpack("HB", at)
            uid = uuid(pdu.data[at + 4 : at + 20], pdu.order)
            major, minor = pdu.unpack("HH", at + 20)
            offered.append((number, uid, f"{major}.{minor}"))
            if len(self._contexts) < _MOST_CONTEXTS or number in self._contexts:
                self._contexts[number] = (uid, f"{major}.{minor}")
            at += 24 + 20 * transfers
        rows = self._count_binds(pdu.call, None)
        if len(self._binding) >= _MOST_BINDS:
            rows += self._count_binds(next(iter(self._binding)), None)
        self._binding[pdu.call] = offered
        self._bound_at[pdu.call] = ts
        return rows

    def _bound(self, pdu: _Pdu) -> list[Row]:
        (named,) = pdu.unpack("H", 24)
        at = 26 + named
        at += -at % 4
        (listed,) = pdu.unpack("B", at)
        results = [pdu.unpack("H", at + 4 + 24 * place)[0] for place in range(listed) if at + 6 + 24 * place <= len(pdu.data)]
        return self._count_binds(pdu.call, results)

    def _count_binds(self, call: int, results: list[int] | None) -> list[Row]:
        """Counts each interface of a bind once, accepted if it was in any transfer syntax; results None: no answer."""
        offered = self._binding.pop(call, [])
        ts = self._bound_at.pop(call, 0)
        judged: dict[tuple[str, str], str | None] = {}
        for place, (_, uid, version) in enumerate(offered):
            before = judged.get((uid, version))
            now = None if results is None else "accepted" if place < len(results) and results[place] == 0 else "rejected"
            judged[uid, version] = before if before == "accepted" else now
        rows: list[Row] = []
        for (uid, version), result in judged.items():
            key = (names.interface(uid), uid, None, self._pipe, None, version, result, None, None)
            rows += self._counts.add(ts, key, 0, 0)
        return rows

    def _security(self, ts: int, pdu: _Pdu) -> list[Row]:
        if not pdu.auth or pdu.trailer + _TRAILER > len(pdu.data):
            return []
        self._provider, self._level = pdu.data[pdu.trailer], pdu.data[pdu.trailer + 1]
        if self._provider not in (9, 10, 16):
            return []
        return self._logins.token(ts, pdu.data[pdu.trailer + _TRAILER :], cut=True)

    def _request(self, ts: int, pdu: _Pdu) -> list[Row]:
        stub = pdu.stub(HEADER + 8 + (16 if pdu.flags & _WITH_OBJECT else 0))
        waiting = self._calls.get(pdu.call)
        if waiting is not None and not pdu.flags & _FIRST:
            waiting.request += stub
            return []
        rows = self._count(waiting, None) if waiting is not None else []
        number, opnum = pdu.unpack("HH", 20)
        if waiting is None and len(self._calls) >= MOST_WAITING:
            rows += self._count(self._calls.pop(next(iter(self._calls))), None)
        self._calls[pdu.call] = Call(ts, opnum, self._contexts.get(number), stub)
        return rows

    def _answer(self, pdu: _Pdu) -> list[Row]:
        call = self._calls.get(pdu.call)
        if call is None:
            return []
        if pdu.kind == FAULT:
            del self._calls[pdu.call]
            (code,) = pdu.unpack("I", 24)
            rows = self._count(call, fault(code))
            return rows + self._logins.verdict(accepted=False) if code == 5 else rows
        call.response += pdu.stub(24)
        if not pdu.flags & _LAST:
            return []
        del self._calls[pdu.call]
        return self._count(call, "answered", self._returned(call, pdu)) + self._logins.verdict(accepted=True)

    def _returned(self, call: Call, pdu: _Pdu) -> str | None:
        """The operation's return value by name, where it can be read."""
        known = call.known or self._guess
        if known is None or names.interface(known[0]) not in _RETURNING or self._level >= _PRIVACY:
            return None
        end = pdu.trailer
        if pdu.auth:
            if end + 3 > len(pdu.data):
                return None
            end -= pdu.data[end + 2]  # what fills the stub up to the trailer
        if end - 4 < 24 or end > len(pdu.data):
            return None
        return returned(pdu.unpack("I", end - 4)[0])


class Pieces:
    """Cuts one direction of a pipe into PDUs, which may lie across several reads or writes and have bytes missing."""

    def __init__(self) -> None:
        self._held = b""
        self._whole = 0
        self._seen = 0

    def feed(self, data: bytes, size: int) -> Iterator[tuple[bytes, int]]:
        """Takes the next `size` bytes, of which `data` are the first. Yields the beginning of each PDU and its length."""
        at = 0
        while at < size:
            if not self._whole:
                taken = data[at : at + HEADER - len(self._held)]
                self._held += taken
                at += len(taken)
                if len(self._held) < HEADER:
                    if at < size:  # the header lies in what is missing: all that follows is unknown until a PDU begins
                        self._held = b""
                    return
                if not self._begin():
                    return
            step = min(self._whole - self._seen, size - at)
            if self._seen == len(self._held) < _KEPT:
                self._held += data[at : at + min(step, _KEPT - len(self._held))]
            self._seen += step
            at += step
            if self._seen == self._whole:
                yield self._held, self._whole
                self._held, self._whole, self._seen = b"", 0, 0

    def _begin(self) -> bool:
        """Takes the length out of the header; False where it is none."""
        (size,) = struct.unpack_from(ordered(self._held[4]) + "H", self._held, 8)
        if self._held[0] != 5 or self._held[1] > 1 or self._held[2] > _LAST_TYPE or size < HEADER:
            self._held = b""
            return False
        self._whole, self._seen = size, HEADER
        return True
