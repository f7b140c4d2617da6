"""The NTP reader: sums that kernels keep, as columns of `ntp` when their flow ends."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.decode.application.held import Held, among
from workbench.decode.application.ntp_kernels import (
    ASKED,
    CONTROL,
    FLOW_SHIFT,
    MODE_SHIFT,
    PRIVATE,
    ROW,
    VERSION_SHIFT,
    count,
    find_keys,
)
from workbench.decode.application.protocol import Read, text

_MODES: Final = ("", "symmetric", "symmetric", "client", "server", "broadcast", "control", "private")
#: Rows that are held at a time; above, the flows seen first give theirs out and are counted anew.
MOST_ROWS: Final = 65_536
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

_BLANK: Final = np.zeros((), ROW)
_BLANK["rtt"] = _BLANK["stratum"] = -1


def _reference(stratum: int, number: int) -> str | None:
    """A code for stratum 0 (what a refused client is told) and 1; an address, or what stands for one of IPv6, above."""
    if not number or stratum < 0:
        return None
    return text(number.to_bytes(4, "big").rstrip(b"\0"), 16) if stratum < 2 else str(ipaddress.IPv4Address(number))


def _request(mode: int, code: int) -> str | None:
    """The request by name, of modes that have some."""
    if mode == CONTROL:
        return _CONTROL_REQUESTS.get(code, f"opcode_{code}")
    return _PRIVATE_REQUESTS.get(code, f"request_{code}") if mode == PRIVATE else None


class NtpReader:
    """Counts messages of all flows of a source by version, mode and request, until their flow ends."""

    def __init__(self) -> None:
        self._sums = Held(_BLANK)
        self._asked = Held(np.zeros((), ASKED))

    def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
        """A row for each version, mode and request of the flows that ended: clients ask for years."""
        rows = np.ascontiguousarray(rows)
        keys = np.empty(len(rows), np.int64)
        read = Read(malformed=find_keys(rows, arena, keys), seen=(keys >= 0).astype(np.uint8))
        there = np.flatnonzero(keys >= 0)
        places, flows = np.full((2, len(rows)), -1, np.int64)
        places[there] = self._sums.places(keys[there])
        flows[there] = self._asked.places(rows["n"][there])
        count(rows, arena, keys, places, flows, self._sums.rows, self._asked.rows)
        numbers = self._sums.rows["key"] >> FLOW_SHIFT
        surplus = numbers[len(numbers) - MOST_ROWS - 1] if len(numbers) > MOST_ROWS else -1
        over = not len(rows) and not len(ended)  # so is the source
        done = self._sums.drop((numbers <= surplus) | among(numbers, ended) | over)
        left = self._asked.rows["key"]
        self._asked.drop((left <= surplus) | among(left, ended) | over)
        if len(done):
            read.tables["ntp"] = _columns(done)
        return read


def _columns(rows: NDArray[Any]) -> dict[str, Any]:
    kinds, inverse = np.unique(rows["key"] & ((1 << FLOW_SHIFT) - 1), return_inverse=True)
    which = pa.array(inverse)
    parts = [(kind >> VERSION_SHIFT, kind >> MODE_SHIFT & 7, kind & 0xFF) for kind in kinds.tolist()]
    stratum = rows["stratum"].astype(np.int32)
    said, again = np.unique((stratum.astype(np.int64) << 32) | rows["reference"], return_inverse=True)
    references = [_reference(number >> 32, number & 0xFFFFFFFF) for number in said.tolist()]
    return {
        "n": rows["key"] >> FLOW_SHIFT,
        "ts": rows["ts"],
        "version": pa.array([str(version) for version, _, _ in parts], pa.string()).take(which),
        "mode": pa.array([_MODES[mode] for _, mode, _ in parts], pa.string()).take(which),
        "request": pa.array([_request(mode, code) for _, mode, code in parts], pa.string()).take(which),
        "count": pa.array(rows["count"]),
        "answers": pa.array(rows["answers"]),
        "stratum": pa.array(stratum, mask=stratum < 0),
        "reference": pa.array(references, pa.string()).take(pa.array(again)),
        "rtt_us": _times(rows["rtt"]),
    }


def _times(times: NDArray[np.int64]) -> pa.Array:
    """Microseconds; null where there are none, or more than the column holds."""
    return pa.array(times.astype(np.int32), mask=(times < 0) | (times > 0x7FFFFFFF))
