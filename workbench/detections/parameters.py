"""Parameters of a question: their types, what a person may write for them, and what the SQL gets.

| type | written | in SQL |
|---|---|---|
| integer | 22 | BIGINT |
| number | 0.5 | DOUBLE |
| text | vlan:100 | VARCHAR |
| duration | 90s, 15m, 2h, 1d, 250ms; a bare number is seconds | DOUBLE, seconds |
| prefixes | 10.0.0.0/8, fd00::/8 | STRUCT(low BLOB, high BLOB)[]: bounds of 16-byte addresses, never empty |
"""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from workbench.errors import UsageError

Kind = Literal["integer", "number", "text", "duration", "prefixes"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(?P<unit>ms|s|m|h|d)?")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST: Final = 4096
_MOST_PREFIXES: Final = 256
_EXAMPLES: Final = {
    "integer": "a whole number, such as 100",
    "number": "a number, such as 0.5",
    "text": f"text of at most {_LONGEST} characters",
    "duration": "a duration, such as 90s, 15m, 2h or 1d",
    "prefixes": f"at most {_MOST_PREFIXES} prefixes, such as 10.0.0.0/8, fd00::/8",
}
#: No address lies between these: what an empty list of prefixes stands for.
_NOWHERE: Final = {"low": b"\xff" * 16, "high": b"\x00" * 16}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name in the SQL behind $, its type, what it is where nobody says otherwise, what it is for."""

    name: str
    kind: Kind
    default: Any
    help: str

    def value(self, written: Any) -> Any:
        """What the SQL gets for what was written, in YAML or on a command line; UsageError where it is no such value."""
        made = _READERS[self.kind](written)
        if made is None:
            shown = str(written)[:60]
            raise UsageError(f"{shown!r} is no value of parameter {self.name}", f"It is {_EXAMPLES[self.kind]}.")
        return made

    @property
    def shown(self) -> str:
        """Its default as a person would write it."""
        return ", ".join(map(str, self.default)) if isinstance(self.default, list) else str(self.default)


def _integer(written: Any) -> int | None:
    if isinstance(written, str) and re.fullmatch(r"[+-]?[0-9_]{1,25}", written.strip()):
        written = int(written)
    if isinstance(written, bool) or not isinstance(written, int) or not -(2**63) <= written < 2**63:
        return None
    return written


def _number(written: Any) -> float | None:
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        made = float(written)
    except (ValueError, OverflowError):
        return None
    return made if math.isfinite(made) else None


def _text(written: Any) -> str | None:
    return written if isinstance(written, str) and len(written) <= _LONGEST and "\0" not in written else None


def _duration(written: Any) -> float | None:
    if isinstance(written, int | float) and not isinstance(written, bool):
        return float(written) if 0 <= written < 1e12 else None
    match = _DURATION.fullmatch(written.strip()) if isinstance(written, str) else None
    return float(match["count"]) * _SECONDS[match["unit"] or "s"] if match else None


def _prefixes(written: Any) -> list[dict[str, bytes]] | None:
    words = [word for word in re.split(r"[\s,]+", written) if word] if isinstance(written, str) else written
    if not isinstance(words, list) or len(words) > _MOST_PREFIXES:
        return None
    made = []
    for word in words:
        try:
            network = ipaddress.ip_network(word, strict=False) if isinstance(word, str) else None
        except ValueError:
            network = None
        if network is None:
            return None
        made.append({"low": _mapped(network.network_address), "high": _mapped(network.broadcast_address)})
    return made or [_NOWHERE]


def _mapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    """16 bytes, IPv4 mapped, as `src_addr` has them."""
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


_READERS: Final = {"integer": _integer, "number": _number, "text": _text, "duration": _duration, "prefixes": _prefixes}
