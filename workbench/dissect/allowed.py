"""The allow-list: which fields of a packet are shown and what their text must look like (allowed.txt)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from workbench.dissect.shapes import SHAPES

_FILE: Final = Path(__file__).with_name("allowed.txt")

#: Field types whose display can only be a number, an address, an identifier or a time.
_NUMERIC: Final = re.compile(
    r"FT_(?:U?INT\d+|BOOLEAN|CHAR|FLOAT|DOUBLE|IPv[46]|ETHER|EUI64|GUID|OID|(?:RELATIVE|ABSOLUTE)_TIME|FRAMENUM)"
)
#: Fields that are names inside certificates; the same fields elsewhere (a directory, signed mail) are not shown.
ONLY_IN_TLS: Final = ("x509sat.", "x509ce.", "x509if.", "x509af.")


@cache
def allowed() -> Mapping[str, str]:
    """Field to shape ('' = a number). ValueError for a line that is neither, or a shape that is not known."""
    out: dict[str, str] = {}
    for number, line in enumerate(text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, shape = words[0], words[1] if len(words) > 1 else ""
        if len(words) > 2 or name in out or (shape and shape not in SHAPES):
            raise ValueError(f"{_FILE.name}, line {number}: {line}")
        out[name] = shape
    return MappingProxyType(out)


@cache
def text() -> str:
    """The file as it stands: part of what a cached catalogue depends on."""
    return _FILE.read_text("utf-8")


def fits(shape: str, kinds: frozenset[str]) -> bool:
    """Whether a field of these types (one name may be registered several times) can be shown in that shape.

    Without a shape only numbers can; with one, texts and bytes too, since the shape decides on each value.
    """
    return bool(kinds) and (bool(shape) or all(map(_NUMERIC.fullmatch, kinds)))
