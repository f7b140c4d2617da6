"""Read everything, whole, cut and flipped, and say what came of it: ``python -m tests.conformance.sweep [NAME...]``.

Run by tests in a process of its own, plainly and with NUMBA_BOUNDSCHECK=1: a kernel that writes out of bounds does so silently
otherwise. Prints one JSON object: readings by name, and what was raised.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conformance.captures import folder, read

#: Variants of each capture: cuts and flips at places drawn from a fixed seed.
VARIANTS = 9
_BOUND = 1 << 20


def overruns() -> dict[str, str]:
    """What becomes of a kernel that leaves its memory: `raised` or `silent`, by the three ways kernels reach memory.

    Loads and rows by pointer are only tried where they are checked: unchecked they would read whatever lies there.
    """
    import numba
    import numpy as np

    @numba.njit
    def element(values: Any, at: int) -> Any:
        return values[at]

    found = {"element": _attempt(lambda: element(np.zeros(4, np.uint8), 5))}
    if os.environ.get("NUMBA_BOUNDSCHECK") != "1":
        return found
    from workbench.decode.bits import be32, kernel
    from workbench.flows.memory import Memory, hot_at

    load = kernel(lambda buf, o: be32(buf, o))
    row = kernel(lambda states, i: hot_at(states[0], i)["last"])
    found["load"] = _attempt(lambda: load(np.zeros(6, np.uint8), 3))
    found["row"] = _attempt(lambda: row(Memory({"hot": 4}).row, 4))
    return found


def _attempt(overrun: Callable[[], object]) -> str:
    try:
        overrun()
    except IndexError:
        return "raised"
    return "silent"


def variants(data: bytes, seed: str) -> list[bytes]:
    """The bytes cut at, and flipped at, places of a fixed choice; headers come more often than their share."""
    rng = random.Random(seed)
    out = []
    for n in range(VARIANTS):
        at = rng.randrange(min(len(data), 400) if n % 3 == 0 else len(data))
        if n % 2:
            out.append(data[:at])
        else:
            changed = bytearray(data)
            for _ in range(rng.choice((1, 1, 4, 16))):
                changed[at] ^= rng.randrange(1, 256)
                at = min(len(data) - 1, at + rng.randrange(12))
            out.append(bytes(changed))
    return out


def essence(name: str | Path) -> list[Any]:
    """Numbers that stand for a reading; the accounts must balance whatever the input."""
    one = read(name)
    if one.packets != one.in_flows + one.arp + one.undecoded:
        raise AssertionError(f"{one.packets} packets, accounted {one.in_flows} + {one.arp} + {one.undecoded}")
    rows = one.rows()
    if sum(row["src_pkts"] + row["dst_pkts"] for row in rows) != one.in_flows:
        raise AssertionError("the rows do not add up to the packets in flows")
    if one.error is not None and not (one.error.message and one.error.remedy):
        raise AssertionError("an error without a message or a remedy")
    return [one.packets, one.wire, one.in_flows, one.arp, len(rows), sum(row["src_bytes"] + row["dst_bytes"] for row in rows)]


def sweep(names: list[str]) -> dict[str, Any]:
    """Read every capture and its variants."""
    readings: dict[str, Any] = {}
    raised: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "variant"
        for name in names:
            data = (folder() / name).read_bytes()
            cases: list[bytes | None] = [None]
            if 0 < len(data) <= _BOUND:
                cases += variants(data, name)
            for n, case in enumerate(cases):
                if case is not None:
                    file.write_bytes(case)
                try:
                    readings[f"{name}#{n}"] = essence(name if case is None else file)
                except Exception:
                    raised[f"{name}#{n}"] = traceback.format_exc(limit=-4)
    return {"overruns": overruns(), "readings": readings, "raised": raised}


if __name__ == "__main__":
    json.dump(sweep(sys.argv[1:]), sys.stdout)
