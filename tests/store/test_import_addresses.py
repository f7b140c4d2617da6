"""Addresses read many at once are those that the standard library reads one by one."""

from __future__ import annotations

import ipaddress
import random

import pyarrow as pa

from workbench.store.import_addresses import halves

_ODD = [
    "",
    ".",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    "1..2.3",
    ".1.2.3",
    "1.2.3.",
    "1.2.3.4 ",
    "::",
    "::ffff:1.2.3.4",
    "fe80::1%e",
]
_ODD += [
    "0.0.0.0",
    "00.0.0.0",
    "255.255.255.255",
    "1.2.3.0004",
    "1234.1.1.1",
    "\u0661.2.3.4",
    "2001:DB8::1",
    "[::1]",
    "x",
    "1.2.3.-4",
]


def test_all_kinds_of_text_as_the_standard_library_reads_them() -> None:
    chance = random.Random(1)
    texts = (
        _ODD
        + [".".join(str(chance.randrange(300)) for _ in range(4)) for _ in range(500)]
        + ["".join(chance.choices("1.0", k=9))]
    )
    high, low, there = halves(pa.array(texts)[1:])
    for text, h, x, fine in zip(texts[1:], high.tolist(), low.tolist(), there.tolist(), strict=True):
        try:
            wanted = ipaddress.ip_address(text.strip().strip("[]").partition("%")[0])
        except ValueError:
            assert not fine, text
            continue
        assert fine, text
        assert h << 64 | x == int(wanted) + (0xFFFF_0000_0000 if wanted.version == 4 else 0), text
