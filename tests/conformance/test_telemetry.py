"""Telemetry of the shared set, record by record, beside what nfdump makes of the same messages.

Every difference there is stands in DIFFERENCES with its cause, as in docs/telemetry.md.
"""

from __future__ import annotations

import csv
import ipaddress
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conformance.captures import folder
from workbench.errors import BadInputError
from workbench.records import telemetry as r
from workbench.settings import FlowSettings
from workbench.sources.blocks import Blocks
from workbench.sources.bytes import open_bytes
from workbench.workflows.telemetry import TelemetryPipeline

pytestmark = pytest.mark.conformance

#: Units in which we have another number of records, and ours.
DIFFERENCES = {
    # The data came before its template: held until that came, where nfdump drops it.
    "telemetry/logstash/IPFIX_Netscaler_with_variable_length_fields_b": 3,
    # Records of wireless clients, without addresses: no flows, counted as records_unkeyed.
    "telemetry/logstash/Netflow_9_Cisco_WLC": 0,
}
#: A NetFlow 5 header that tells 163 records, where a datagram holds 30: neither of us takes any of them.
REFUSED = {"telemetry/logstash/Netflow_5_invalid_02"}
_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMP6": 58, "IGMP": 2, "GRE": 47, "ESP": 50, "OSPF": 89, "PIM": 103, "VRRP": 112}
_MILLI = 10**6


@cache
def units() -> dict[str, int]:
    """Records that nfdump finds, by unit: a folder of messages or a capture."""
    file = folder() / "NFDUMP.tsv"
    if not file.exists():
        return {}
    with file.open(newline="") as lines:
        return {row["unit"]: int(row["nfdump_flows"]) for row in csv.DictReader(lines, delimiter="\t")}


class Recorder(TelemetryPipeline):
    """Keeps the records as they were decoded, before they are paired."""

    def __init__(self) -> None:
        super().__init__("", FlowSettings(), 60.0, None)
        self.records: list[NDArray[np.int64]] = []

    def _pair(self, rows: NDArray[np.int64]) -> None:
        self.records.append(rows.copy())
        super()._pair(rows)


@cache
def recorded(unit: str) -> Recorder:
    """What the unit's messages hold, in the order of the names of its files."""
    path = folder() / unit
    found = Recorder()
    for file in sorted(p for p in path.iterdir() if p.suffix in (".dat", ".bin")) if path.is_dir() else [path]:
        found.start_file(found.offset)
        reader = open_bytes(str(file))
        try:
            for block in Blocks(reader, sha256=False, depth=2):
                found.feed(block)
            found.end_file()
        except BadInputError:  # it begins like nothing that we know, and is refused
            assert unit in REFUSED
        reader.close()
    list(found.finish())
    return found


def address(row: NDArray[np.int64], high: int) -> str:
    value = (int(row[high]) % 2**64) << 64 | int(row[high + 1]) % 2**64
    return str(ipaddress.IPv4Address(value & 0xFFFFFFFF)) if value >> 32 == 0xFFFF else str(ipaddress.IPv6Address(value))


def ours(rows: NDArray[np.int64]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        ported = row[r.PROTO] in (6, 17)
        ports = (int(row[r.SRC_PORT]), int(row[r.DST_PORT])) if ported else ()
        counts = tuple(max(0, int(row[n])) for n in (r.PKTS, r.BYTES))
        found[(address(row, r.SRC_HI), address(row, r.DST_HI), int(max(0, row[r.PROTO])), ports, counts)] += 1
    return found


def theirs(unit: str) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row in lines_of(unit):
        proto = _PROTOCOLS[row[7]] if row[7] in _PROTOCOLS else int(row[7])
        ports = (int(row[5]), int(row[6])) if proto in (6, 17) else ()
        # nfdump writes ::ffff:a.b.c.d as ::a.b.c.d; with us both are the IPv4 address
        addresses = (str(ipaddress.ip_address(text.removeprefix("::") if "." in text else text)) for text in row[3:5])
        found[(*addresses, proto, ports, (int(row[11]), int(row[12])))] += 1
    return found


def lines_of(unit: str) -> list[list[str]]:
    """nfdump's rows of the unit; those that are not rows (none found) left out."""
    with Path(f"{folder() / unit}.nfdump.csv").open(newline="") as file:
        return [row for row in csv.reader(file) if len(row) > 20]


def test_the_set_is_there() -> None:
    assert len(units()) == 29


@pytest.mark.parametrize("unit", sorted(units()))
def test_as_many_records_as_nfdump(unit: str) -> None:
    found = recorded(unit)
    assert sum(len(rows) for rows in found.records) == DIFFERENCES.get(unit, units()[unit])


@pytest.mark.parametrize("unit", sorted(set(units()) - set(DIFFERENCES)))
def test_the_same_values_as_nfdump(unit: str) -> None:
    found = recorded(unit)
    rows = np.concatenate(found.records) if found.records else np.empty((0, r.SLOTS), np.int64)
    assert ours(rows) == theirs(unit)


@pytest.mark.parametrize("unit", sorted(set(units()) - set(DIFFERENCES)))
def test_nothing_of_a_record_is_lost_in_pairing(unit: str) -> None:
    found = recorded(unit)
    rows = np.concatenate(found.records) if found.records else np.empty((0, r.SLOTS), np.int64)
    told = int(np.maximum(rows[:, [r.PKTS, r.REVERSE_PKTS]], 0).sum())
    totals = np.where(rows[:, r.PKTS] < 0, np.maximum(rows[:, r.TOTAL_PKTS], 0), 0)
    assert sum(feed.packets for feed in found.feeds) == told + int(totals.sum())
