"""NTP (RFC 5905), its control messages (RFC 9327) and the private ones of ntpd, whose monlist is what amplifiers are asked for.

A flow has one row per version, mode and request: clients ask for years.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from workbench.decode.application.protocol import Context, Cut, Framing, Malformed, Message, Probe, Protocol, Row, Signature, text

_MODES: Final = ("", "symmetric", "symmetric", "client", "server", "broadcast", "control", "private")
_CLIENT, _SERVER, _CONTROL, _PRIVATE = 3, 4, 6, 7
#: Rows that one flow can have at a time; above, all of them are given out and counted anew.
_MOST_ROWS: Final = 64
_CONTROL_REQUESTS: Final = {
    1: "readstat", 2: "readvar", 3: "writevar", 4: "readclock", 5: "writeclock", 6: "settrap", 7: "asyncmsg", 8: "configure",
    9: "saveconfig", 10: "read_mru", 11: "read_ordlist_a", 12: "req_nonce", 31: "unsettrap",
}  # fmt: skip
_PRIVATE_REQUESTS: Final = {
    0: "peer_list", 1: "peer_list_sum", 2: "peer_info", 3: "peer_stats", 4: "sys_info", 5: "sys_stats", 6: "io_stats",
    7: "mem_stats", 8: "loop_info", 9: "timer_stats", 10: "config", 11: "unconfig", 12: "set_sys_flag", 13: "clr_sys_flag",
    14: "monitor", 15: "nomonitor", 16: "get_restrict", 17: "resaddflags", 18: "ressubflags", 19: "unrestrict", 20: "monlist",
    21: "reset_stats", 22: "reset_peer", 23: "reread_keys", 26: "trustkey", 27: "untrustkey", 28: "authinfo", 29: "traps",
    30: "add_trap", 31: "clr_trap", 32: "request_key", 33: "control_key", 34: "get_ctlstats", 35: "get_leapinfo",
    36: "get_clockinfo", 37: "set_clkfudge", 38: "get_kernel", 39: "get_clkbuginfo", 41: "set_precision", 42: "monlist",
    43: "hostname_associd", 44: "if_stats", 45: "if_reload",
}  # fmt: skip


def _reference(stratum: int, data: bytes) -> str | None:
    """A code for stratum 0 (what a refused client is told) and 1; an address, or what stands for one of IPv6, above."""
    if not any(data):
        return None
    return text(data.rstrip(b"\0"), 16) if stratum < 2 else str(ipaddress.IPv4Address(data))


class NtpReader:
    """Counts the messages of a flow by version, mode and request. Holds at most _MOST_ROWS rows."""

    def __init__(self, _context: Context) -> None:
        self.services: list[str] = []
        self._rows: dict[tuple[int, str, str | None], dict[str, Any]] = {}
        #: what the first request said that its answer repeats, when, and the row; None when it came
        self._asked: tuple[bytes, int, dict[str, Any]] | None = None

    def message(self, message: Message) -> Iterable[Row]:
        """Nothing while the flow lasts, but where it says more kinds of things than are held."""
        data = message.data
        mode = data[0] & 7 if data else 0
        version = data[0] >> 3 & 7 if data else 0
        if not mode or not 1 <= version <= 4 or len(data) < {_CONTROL: 12, _PRIVATE: 4}.get(mode, 48):
            raise Malformed("NTP: no version, mode and length that go together")
        self.services = ["ntp"]
        request, answer = _request(mode, data)
        key = (version, _MODES[mode], request)
        full = list(self.end()) if key not in self._rows and len(self._rows) >= _MOST_ROWS else []
        row = self._rows.get(key)
        if row is None:
            row = {"ts": message.ts, "version": str(version), "mode": _MODES[mode], "request": request, "count": 0, "answers": 0}
            self._rows[key] = row
        row["count"] += 1
        row["answers"] += answer
        if mode < _CONTROL:
            row["stratum"] = data[1]
            row["reference"] = _reference(data[1], data[12:16])
        self._time(message, mode, row, answer)
        return full

    def _time(self, message: Message, mode: int, row: dict[str, Any], answer: bool) -> None:
        """The first request's answer: it repeats the time the client sent at, or the sequence number."""
        data = message.data
        said = data[2:4] if mode == _CONTROL else data[3:4] if mode == _PRIVATE else data[24:32] if answer else data[40:48]
        if not answer and "rtt_us" not in row and (self._asked is None or self._asked[2] is not row):
            self._asked = (said, message.ts, row)
        elif answer and self._asked is not None and said == self._asked[0] and message.ts >= self._asked[1]:
            self._asked[2]["rtt_us"] = message.ts - self._asked[1]
            self._asked = None

    def end(self) -> Iterable[Row]:
        """The rows."""
        rows = [("ntp", row) for row in self._rows.values()]
        self._rows = {}
        self._asked = None
        return rows


def _request(mode: int, data: bytes) -> tuple[str | None, bool]:
    """The request by name, of modes that have some; whether the message answers one."""
    if mode == _CONTROL:
        code = data[1] & 31
        return _CONTROL_REQUESTS.get(code, f"opcode_{code}"), bool(data[1] & 0x80)
    if mode == _PRIVATE:
        return _PRIVATE_REQUESTS.get(data[3], f"request_{data[3]}"), bool(data[0] & 0x80)
    return None, mode == _SERVER


PROTOCOL: Final = Protocol(
    name="ntp",
    title="Network Time Protocol",
    framing=Framing(Cut.DATAGRAM, keep=64),
    signatures=(Signature("udp", probe=Probe.NTP, least=8, ports=(123,)),),
    tables=("ntp",),
    ports=(123,),
    reader=NtpReader,
    reference="RFC 5905, RFC 9327",
)
