"""Readers beside the kernels: whenever rows are asked for, the same rows come, and nothing that fails ends the source."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workbench.decode.application import registry
from workbench.decode.application.protocol import Context, Read
from workbench.decode.framing import open_framer
from workbench.decode.packets import decode_frames
from workbench.flows import hearing
from workbench.flows.table import FlowTable
from workbench.records.packet import FRAME, PACKET
from workbench.settings import FlowSettings

SAMPLES = Path(__file__).parents[2] / "sample_captures"
NAMES = ("names", "web", "windows", "ssh", "telemetry-packets")


def packets_of(name: str) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Bytes and PACKET rows of a sample capture."""
    data = np.fromfile(SAMPLES / f"{name}.pcapng", np.uint8)
    framer = open_framer(data[:4096].tobytes())
    frames = np.empty(100_000, FRAME)
    at, found = 0, []
    while True:
        n, after = framer.frame(data, at, len(data), True, frames)
        packets = np.empty(n, PACKET)
        decode_frames(data, frames, n, packets, 0)
        found.append(packets)
        if after == at:
            return data, np.concatenate(found)
        at = after


CAPTURES = {name: packets_of(name) for name in NAMES}


def new_table() -> FlowTable:
    """A table whose hashes do not depend on the run."""
    return FlowTable(1, "", FlowSettings(), b"k" * 32)


def rows_of(batches: list[pa.RecordBatch]) -> Counter[str]:
    """Rows as text, whatever their order."""
    return Counter(repr(sorted(row.items())) for batch in batches for row in batch.to_pylist())


def index(name: str, drains: Callable[[int], bool | None], size: int) -> dict[str, Counter[str]]:
    """Rows by table; drains: what `drain` is told after the packets up to a place, None: it is not called."""
    data, packets = CAPTURES[name]
    table = new_table()
    found: dict[str, list[pa.RecordBatch]] = {}

    def take(batches: dict[str, pa.RecordBatch]) -> None:
        for key, batch in batches.items():
            found.setdefault(key, []).append(batch)

    for start in range(0, len(packets), size):
        chunk = packets[start : start + size]
        table.update(data, chunk, len(chunk), 0)
        if (whole := drains(start)) is not None:
            take(table.drain(whole=whole))
    take(table.finish())
    return {key: rows_of(batches) for key, batches in found.items() if sum(b.num_rows for b in batches)}


WHOLE = {name: index(name, lambda _start: None, 1 << 20) for name in NAMES}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(NAMES), st.integers(40, 2000), st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=9))
def test_rows_do_not_depend_on_when_they_are_asked_for(name: str, size: int, asks: list[bool | None]) -> None:
    assert index(name, lambda start: asks[start // size % len(asks)], size) == WHOLE[name]


def test_flows_are_emitted_with_their_services() -> None:
    services = Counter(
        service for row in WHOLE["web"]["flows"].elements() for service in ("'http'", "'tls'") if f"('service', {service})" in row
    )
    assert services["'http'"] > 0
    assert services["'tls'"] > 0


def test_a_flow_comes_when_its_messages_were_read() -> None:
    data, packets = CAPTURES["web"]
    table = FlowTable(1, "", FlowSettings(max_open_flows=4), b"k" * 32)  # each further flow ends one
    half = len(packets) // 2
    table.update(data, packets, half, 0)
    table.drain(whole=True)
    table.update(data, packets[half:], len(packets) - half, 0)
    assert table.pending() > 0
    assert table.drain(whole=False)["flows"].num_rows == 0
    assert table.pending() == 0
    assert table.drain(whole=False)["flows"].num_rows == 0  # two turns may be on their way
    later = table.drain(whole=False)
    assert later["flows"].num_rows > 0
    assert {"http", "tls"} & set(later["flows"]["service"].to_pylist())


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The batch reader of DNS fails on its first call; the list has how many messages each call got."""
    calls: list[int] = []

    class Faulty:
        def __init__(self, context: Context) -> None:
            self._real = real(context)

        def read(self, rows: NDArray[Any], arena: NDArray[np.uint8], ended: NDArray[np.int64]) -> Read:
            calls.append(len(rows))
            if len(calls) == 1:
                raise IndexError("a fault of ours")
            return self._real.read(rows, arena, ended)

    protocol = registry.protocols()[registry.codes()["dns"] - 1]
    real = protocol.batch
    assert real is not None
    object.__setattr__(protocol, "batch", Faulty)
    yield calls
    object.__setattr__(protocol, "batch", real)


def test_a_fault_of_a_reader_costs_what_it_was_given(faulty: list[int]) -> None:
    data, packets = CAPTURES["names"]
    table = new_table()
    half = len(packets) // 2
    table.update(data, packets, half, 0)
    table.drain()
    table.update(data, packets[half:], len(packets) - half, 0)
    out = table.finish()
    assert faulty[0] > 0
    told = {line.reason: line for line in table.ledger()}
    assert told["application_failed"].count == faulty[0]
    assert f"dns {faulty[0]}" in (told["application_failed"].detail or "")
    assert 0 < out["dns"].num_rows < sum(WHOLE["names"]["dns"].values())


def test_what_the_thread_raised_is_raised_where_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: Any, **_named: Any) -> Any:
        raise MemoryError(threading.current_thread().name)

    monkeypatch.setattr(hearing.Application, "take", broken)
    data, packets = CAPTURES["web"]
    table = new_table()
    table.update(data, packets, len(packets), 0)
    with pytest.raises(MemoryError, match="readers"):
        table.finish()


def test_nothing_is_handed_over_where_nothing_was_heard() -> None:
    table = FlowTable(1, "", FlowSettings(application=False))
    data, packets = CAPTURES["web"]
    table.update(data, packets, len(packets), 0)
    out = table.finish()
    assert out["flows"].num_rows == sum(WHOLE["web"]["flows"].values())
    assert set(out) == {"flows", "flow_slices", "flow_blocks", "arp", "tunnels"}
