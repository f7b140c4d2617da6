"""Claims that people write: CSV with a heading, a claim a line (a cell holds no line break).

Columns, in any order: `ip` (needed), and of name, namespace, kind, node, network, mac, from, to, uid, labels, confidence, detail.
A column `label:KEY` is one label; `labels` is `key=value;key=value` or a JSON object. Times are RFC 3339 (without a zone UTC) or
seconds since 1970. An empty cell says nothing; an empty network is any, and `untagged` is the one without a tag.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections.abc import Iterable
from typing import Final

from workbench.records.claims import (
    NETWORKS,
    Claim,
    claimed_address,
    claimed_epoch,
    claimed_labels,
    claimed_mac,
    claimed_network,
    claimed_text,
    claimed_time,
)
from workbench.sources.inventory.told import Told

ORIGIN: Final = "csv"
#: Somebody's own record, with a network and without one.
STRENGTH: Final = 1.0
ANYWHERE: Final = 0.9
KINDS: Final = ("pod", "vm", "container", "host", "node", "service", "nat", "name")
_COLUMNS: Final = (
    "ip",
    "name",
    "namespace",
    "kind",
    "node",
    "network",
    "mac",
    "from",
    "to",
    "uid",
    "labels",
    "confidence",
    "detail",
)
#: Names that others give these columns.
_ALIASES: Final = {
    "address": "ip",
    "ts_from": "from",
    "ts_to": "to",
    "start": "from",
    "end": "to",
    "host": "name",
    "hostname": "name",
}
_MOST_LINE: Final = 1 << 20


class HeadingError(ValueError):
    """The heading cannot be used; the text says which column."""


def read_claims(lines: Iterable[str], at: dt.datetime, told: Told) -> None:
    """Claims of the lines (with what ends them); at: when they were said. HeadingError where the heading is wrong."""
    csv.field_size_limit(_MOST_LINE)
    columns: list[str] | None = None
    for n, line in enumerate(lines, 1):
        text = line.replace("\0", "").rstrip("\r\n")
        if not text.strip(" ,") or text.lstrip().startswith("#"):
            continue
        try:  # each line by itself: a quote that nobody closes costs its line, not the rest of the file
            row = next(csv.reader([text], skipinitialspace=True, strict=True))
        except csv.Error:
            told.objects += 1
            told.bad("not CSV", f"line {n}")
            continue
        if columns is None:
            columns = _heading(row, n)
            continue
        told.objects += 1
        _row(columns, row, n, at, told)
    if columns is None:
        raise HeadingError("it has no heading")


def _heading(row: list[str], line: int) -> list[str]:
    found: list[str] = []
    for cell in row:
        name = cell.strip().lstrip("\ufeff")
        if name.lower().startswith("label:") and len(name) > 6:
            found.append(f"label:{name[6:].strip()}")
            continue
        plain = _ALIASES.get(name.lower(), name.lower())
        if plain not in _COLUMNS:
            raise HeadingError(f"line {line}: no column {name[:64]!r}; there are {', '.join(_COLUMNS)} and label:KEY")
        found.append(plain)
    if len(set(found)) != len(found):
        raise HeadingError(f"line {line}: a column stands there twice")
    if "ip" not in found:
        raise HeadingError(f"line {line}: the column ip is missing")
    return found


def _row(columns: list[str], row: list[str], line: int, at: dt.datetime, told: Told) -> None:
    if len(row) != len(columns):
        told.bad(
            f"{len(row)} cells where the heading has {len(columns)}" if len(row) < 1000 else "too many cells", f"line {line}"
        )
        return
    cells = {name: cell.strip() for name, cell in zip(columns, row, strict=True)}
    wrong = _wrong(cells)
    if wrong:
        told.bad(f"column {wrong}", f"line {line}")
        return
    ip, network = claimed_address(cells["ip"]), cells.get("network") or None
    name, mac = claimed_text(cells.get("name")), claimed_mac(cells.get("mac"))
    namespace = claimed_text(cells.get("namespace"))
    if name is None and mac is None and not cells.get("uid"):
        told.bad("neither a name nor a uid nor a MAC", f"line {line}")
        return
    since, until = _time(cells.get("from")), _time(cells.get("to"))
    if since is not None and until is not None and until < since:
        told.bad("column to is before from", f"line {line}")
        return
    given = cells.get("confidence")
    told.claim(
        Claim(
            claimed_text(cells.get("uid")) or f"{ORIGIN}:{namespace or ''}/{name or mac}",
            cells.get("kind", "").lower() or "host",
            ORIGIN,
            float(given) if given else STRENGTH if network else ANYWHERE,
            name,
            namespace,
            claimed_text(cells.get("node")),
            _labels(cells) or None,
            claimed_network(network) if network else None,
            ip,
            mac,
            since,
            until,
            at,
            claimed_text(cells.get("detail")),
        )
    )


def _wrong(cells: dict[str, str]) -> str | None:
    """Which column holds what it can't, and what it may hold."""
    if claimed_address(cells["ip"]) is None:
        return "ip: no address of a host"
    for name in ("from", "to"):
        if cells.get(name) and _time(cells[name]) is None:
            return f"{name}: no time"
    if cells.get("mac") and claimed_mac(cells["mac"]) is None:
        return "mac: no MAC address"
    if cells.get("kind") and cells["kind"].lower() not in KINDS:
        return f"kind: none of {', '.join(KINDS)}"
    network = cells.get("network")
    if network and claimed_network(network) is None:
        return f"network: none of {NETWORKS}"
    confidence = cells.get("confidence")
    if confidence and (re.fullmatch(r"0?\.\d{1,6}|0|1|1\.0+", confidence, re.ASCII) is None):
        return "confidence: no number from 0 to 1"
    labels = cells.get("labels", "")
    if labels.startswith("{") and labels.strip("{} ") and not _labels({"labels": labels}):
        return "labels: no JSON object of text"
    return None


def _time(text: str | None) -> dt.datetime | None:
    return (claimed_time(text) or claimed_epoch(text)) if text else None


def _labels(cells: dict[str, str]) -> dict[str, str]:
    text = cells.get("labels", "")
    found: dict[str, str] = {}
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = {}
    else:
        found = {key.strip(): value.strip() for key, _, value in (one.partition("=") for one in text.split(";")) if key.strip()}
    labels = dict(found) if isinstance(found, dict) else {}
    labels |= {name[6:]: cell for name, cell in cells.items() if name.startswith("label:") and cell}
    return claimed_labels(labels)
