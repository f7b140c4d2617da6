"""One claim: who held an address, from when to when, as one origin tells it; and claims as rows of the table `claims`."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import pyarrow as pa

from workbench.records.arrow import arrow_schema

#: What is kept of a text; managers allow names of 253 characters and label values of 63.
MOST_TEXT: Final = 512
MOST_LABELS: Final = 64
#: Label keys that are ours, so that replicas group: what a workload belongs to, such as Deployment/web.
OWNER_LABEL: Final = "workbench/owner"

_MAC: Final = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}", re.IGNORECASE)
#: How networks are written: as in `flows`, and `untagged` for the one that is '' there.
NETWORKS: Final = "untagged, vlan:N, vlan:N.M, vni:N, vni:N/vlan:M, vrf:NAME"
_NETWORK: Final = re.compile(
    r"(?:vni:\d{1,8}(?:/vlan:\d{1,4}(?:\.\d{1,4})?)?|vlan:\d{1,4}(?:\.\d{1,4})?|vrf:\S{1,128})", re.ASCII
)
_FIRST: Final = dt.datetime(1970, 1, 2)
_LAST: Final = dt.datetime(2200, 1, 1)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?)? ?(Z|z|UTC|[+-]\d\d:?\d\d)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of `claims` without its source; columns.py says what each part means. Times are naive UTC.

    ip: canonical text, None for the end (ts_to) of everything that the uid holds. labels: text to text.
    """

    uid: str
    kind: str
    origin: str
    confidence: float
    name: str | None = None
    namespace: str | None = None
    node: str | None = None
    labels: Mapping[str, str] | None = None
    network: str | None = None
    ip: str | None = None
    mac: str | None = None
    ts_from: dt.datetime | None = None
    ts_to: dt.datetime | None = None
    ts_seen: dt.datetime | None = None
    detail: str | None = None


_PLAIN: Final = tuple(f.name for f in fields(Claim) if f.name != "labels")


def claims_batch(claims: Iterable[Claim], source_id: int) -> pa.RecordBatch:
    """Rows of `claims` of one source."""
    listed = list(claims)
    halves = [address_halves(claim.ip) for claim in listed]
    made: dict[str, list[Any]] = {name: [getattr(claim, name) for claim in listed] for name in _PLAIN}
    made["source_id"] = [source_id] * len(listed)
    made["labels"] = [labels_text(claim.labels) for claim in listed]
    made["hi"], made["lo"] = [h for h, _ in halves], [low for _, low in halves]
    schema = arrow_schema("claims")
    return pa.RecordBatch.from_arrays([pa.array(made[f.name], f.type) for f in schema], schema=schema)


def labels_text(labels: Mapping[str, str] | None) -> str | None:
    """Labels as they are kept: a JSON object with its keys sorted; None where there are none."""
    return json.dumps(labels, sort_keys=True, ensure_ascii=False) if labels else None


def address_halves(ip: str | None) -> tuple[int | None, int | None]:
    """`hi` and `lo` of a canonical address: 64 bits each of its 16 bytes (IPv4 mapped), two's complement."""
    if ip is None:
        return None, None
    address = ipaddress.ip_address(ip)
    whole = int(address) | (0xFFFF << 32 if address.version == 4 else 0)
    return _signed(whole >> 64), _signed(whole & 0xFFFFFFFFFFFFFFFF)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def claimed_address(text: object) -> str | None:
    """The canonical text of an address that somebody can hold; None for anything else (multicast, loopback, no address)."""
    if not isinstance(text, str) or len(text) > 64 or "%" in text:
        return None
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast or address.is_loopback or address == _BROADCAST:
        return None
    return str(address)


_BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")


def claimed_mac(text: object) -> str | None:
    """A MAC address as `flows` has it (lower case, colons); None for anything else, and for all zeros."""
    if not isinstance(text, str) or _MAC.fullmatch(text.strip()) is None:
        return None
    digits = re.sub(r"[:.-]", "", text.strip()).lower()
    return ":".join(digits[n : n + 2] for n in range(0, 12, 2)) if digits.strip("0") else None


def claimed_network(text: str) -> str | None:
    """A network as people write it (NETWORKS), as `flows` has it; None for what is none."""
    if text == "untagged":
        return ""
    return text if _NETWORK.fullmatch(text) else None


def claimed_text(value: object, most: int = MOST_TEXT) -> str | None:
    """Text that can be stored, cut; None for what is no text or empty. Surrogates become question marks."""
    if not isinstance(value, str) or not value:
        return None
    text = value[:most]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def claimed_labels(value: object) -> dict[str, str]:
    """Labels of text to text, at most MOST_LABELS of them; what is otherwise is left out."""
    if not isinstance(value, dict):
        return {}
    found: dict[str, str] = {}
    for key, text in value.items():
        name = claimed_text(key)
        if name is not None and isinstance(text, str):
            found[name] = claimed_text(text) or ""
            if len(found) == MOST_LABELS:
                break
    return found


def claimed_time(value: object) -> dt.datetime | None:
    """A time of RFC 3339 or like it as naive UTC; without a zone it is UTC. None for anything else, and beyond 1970 to 2200."""
    found = _TIME.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 48 else None
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    micros = int(fraction.ljust(9, "0")[:6]) if fraction else 0
    try:
        at = dt.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59), micros)
        if zone and zone[0] in "+-":
            away = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            at += -away if zone[0] == "+" else away
    except (ValueError, OverflowError):
        return None
    return at if _FIRST <= at < _LAST else None


def claimed_epoch(value: object) -> dt.datetime | None:
    """Seconds since 1970 as naive UTC; None for what is no number of them, for 0, and beyond 2200."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) > 24 or re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII) is None:
            return None
        value = float(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 86400 <= value < 7.3e9:
        return None
    at = _FIRST + dt.timedelta(microseconds=round((value - 86400) * 1_000_000))
    return at if at < _LAST else None
