"""Where an address is: inside the data centre by its range, outside, or none that a host has.

Inside is what RFC 1918, 4193, 3927, 4291 (link-local, loopback) and 6598 (shared space, which data centres use for
pods and transit) set apart. Group addresses, broadcast and the unspecified address belong to no host.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_INSIDE: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "127.0.0.0/8",
    "fc00::/7",
    "fe80::/10",
    "::1/128",
)

#: The ranges inside, as a set of the filter language.
INSIDE_SET: Final = "{" + ", ".join(_INSIDE) + "}"

#: What IPv4 addresses are numbered from.
_V4: Final = 0xFFFF << 32

_NO_HOST: Final = ("224.0.0.0/4", "255.255.255.255/32", "0.0.0.0/32", "ff00::/8", "::/128")
#: What belongs to no host, as a set of the filter language.
NO_HOST_SET: Final = "{" + ", ".join(_NO_HOST) + "}"

#: The same ranges as they begin in canonical text: over columns of text, which few hosts are grouped by, without bytes.
_INSIDE_TEXT: Final = (
    r"^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|169\.254\.|127\.|100\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\."
    r"|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:|::1$)"
)
_NO_HOST_TEXT: Final = r"^((22[4-9]|23[0-9])\.|255\.255\.255\.255$|0\.0\.0\.0$|ff[0-9a-f]{2}:|::$)"


def inside_sql(upper: str, lower: str) -> str:
    """Whether an address in halves (columns of the program's own naming) is inside; NULL for NULL."""
    return _among(upper, lower, _INSIDE)


def host_sql(upper: str, lower: str) -> str:
    """Whether an address in halves can be a host's; NULL for NULL."""
    return f"NOT {_among(upper, lower, _NO_HOST)}"


def place_sql(upper: str, lower: str) -> str:
    """`inside`, `outside` or `group` (no one host's) for an address in halves; NULL for NULL."""
    return (
        f"CASE WHEN {lower} IS NULL THEN NULL WHEN {inside_sql(upper, lower)} THEN 'inside'"
        f" WHEN {_among(upper, lower, _NO_HOST)} THEN 'group' ELSE 'outside' END"
    )


def inside_text_sql(column: str) -> str:
    """Whether an address column of canonical text is inside."""
    return f"regexp_matches({column}, '{_INSIDE_TEXT}')"


def host_text_sql(column: str) -> str:
    """Whether an address column of canonical text can be a host's."""
    return f"NOT regexp_matches({column}, '{_NO_HOST_TEXT}')"


def _among(upper: str, lower: str, networks: tuple[str, ...]) -> str:
    """In one of the networks. IPv6 ones are single addresses or lie in the upper half; none crosses a sign."""
    four, six = [], []
    for text in networks:
        network = ipaddress.ip_network(text)
        first, last = (int(a) for a in (network.network_address, network.broadcast_address))
        if network.version == 4:
            four.append(_between(lower, first + _V4, last + _V4))
        elif network.prefixlen > 64:
            four.append(_between(lower, first, last))
        else:
            six.append(_between(upper, first >> 64, last >> 64))
    return f"({upper} = 0 AND ({' OR '.join(four)}) OR {' OR '.join(six)})"


def _between(half: str, first: int, last: int) -> str:
    first, last = ((number + (1 << 63)) % (1 << 64) - (1 << 63) for number in (first, last))
    return f"{half} = {first}" if first == last else f"{half} BETWEEN {first} AND {last}"
