"""`workbench packets` without -w: packets as tshark understands them, as rows or one as a tree."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from workbench.cli.formats import Format
from workbench.cli.interrupt import cancel_on_interrupt, stop_on_interrupt
from workbench.errors import UsageError
from workbench.records.visible import visible

if TYPE_CHECKING:
    from workbench.dissect.lines import Line, Node
    from workbench.store.reader import CaseReader
    from workbench.workflows.carve import Frame

Side = Literal["both", "src", "dst"]

LIST = pa.schema(
    [
        ("frame", pa.int64()),
        ("ts", pa.timestamp("ns")),
        ("side", pa.utf8()),
        ("src", pa.utf8()),
        ("dst", pa.utf8()),
        ("protocol", pa.utf8()),
        ("length", pa.int64()),
        ("info", pa.utf8()),
        ("flow_id", pa.int64()),
        ("source_id", pa.int64()),
    ]
)
TREE = pa.schema(
    [
        ("depth", pa.int64()),
        ("name", pa.utf8()),
        ("label", pa.utf8()),
        ("value", pa.utf8()),
        ("masked", pa.bool_()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
    ]
)


def check(*, unmask: bool, reason: str | None, tree: int | None, flows: int) -> None:
    """UsageError for options that do not go together; nothing is opened before."""
    if unmask and not (reason or "").strip():
        raise UsageError("--unmask needs a reason", "Say why with --reason TEXT; it is kept in the audit log of the case.")
    if reason is not None and not unmask:
        raise UsageError("--reason goes with --unmask", "Add --unmask to see what is masked, or leave --reason out.")
    if tree is not None and flows != 1:
        raise UsageError("--tree shows a packet of one flow", "Name the flow with --flow ID.")


def write_list(
    case: Path,
    flows: tuple[int, ...],
    filter_: str | None,
    side: Side,
    limit: int | None,
    form: Format,
    *,
    reason: str | None = None,
) -> None:
    """The packets of flows by id, or of all that a filter matches, a row each; unmasked where there is a reason."""
    from workbench.cli.output import write_rows
    from workbench.workflows.dissect import listed, new_dissector, record_unmasking
    from workbench.workflows.show import list_flows, reading

    with reading(case) as reader, cancel_on_interrupt() as cancel, new_dissector(unmask=reason is not None) as dissector:
        if reason is not None:
            what = {"flows": list(flows)} if filter_ is None else {"filter": filter_}
            record_unmasking(reader, reason, dissector.version, side=side, limit=limit, **what)

        def stop() -> None:
            reader.interrupt()
            dissector.cancel()

        def batches() -> Iterator[pa.RecordBatch]:
            ids = iter(flows) if filter_ is None else _matching(reader, filter_, list_flows)
            found = listed(reader, ids, side=side, limit=limit, dissector=dissector, cancel=cancel.is_set)
            for batch in found:
                yield pa.RecordBatch.from_pylist([_row(frame, line) for frame, line in batch], LIST)

        with stop_on_interrupt(stop):
            write_rows(pa.RecordBatchReader.from_batches(LIST, batches()), form)


def write_tree(case: Path, flow: int, number: int, form: Format, *, reason: str | None = None, side: Side = "both") -> None:
    """The tree of the packet with that number in its source, of that flow; unmasked where there is a reason."""
    from workbench.workflows.dissect import new_dissector, packet_tree
    from workbench.workflows.show import reading

    with reading(case) as reader, cancel_on_interrupt() as cancel, new_dissector() as dissector:

        def stop() -> None:
            reader.interrupt()
            dissector.cancel()

        with stop_on_interrupt(stop):
            frame = _frame(reader, flow, number, side, cancel.is_set)
            nodes = packet_tree(reader, frame, reason, dissector=dissector, cancel=cancel.is_set)
    _write_nodes(nodes, form)


def _write_nodes(nodes: list[Node], form: Format) -> None:
    from workbench.cli.output import write_rows

    if form in (Format.TABLE, Format.JSON):
        text = json.dumps([_nested(node) for node in nodes], indent=1) if form is Format.JSON else "\n".join(_text(nodes))
        sys.stdout.write(text + "\n")
        return
    rows = [dict(zip(TREE.names, row, strict=True)) for row in _flat(nodes, 0)]
    write_rows(pa.RecordBatchReader.from_batches(TREE, [pa.RecordBatch.from_pylist(rows, TREE)]), form)


def _matching(reader: CaseReader, filter_: str, list_flows: Callable[..., Any]) -> Iterator[int]:
    with list_flows(reader, ["flow_id"], None, filter_) as rows:
        for batch in rows:
            yield from batch.column(0).to_pylist()


def _frame(reader: CaseReader, flow: int, number: int, side: Side, cancel: Callable[[], bool]) -> Frame:
    from workbench.workflows.carve import read_frames

    for frame in read_frames(reader, flow, side=side, cancel=cancel):
        if frame.number == number:
            return frame
        if frame.number > number:
            break
    raise UsageError(f"flow {flow} has no packet {number}", "`workbench packets --flow` lists its packets by their number.")


def _row(frame: Frame, line: Line) -> dict[str, Any]:
    side = "src" if frame.from_src else "dst"
    values = (
        line.number,
        line.ts_ns,
        side,
        line.src,
        line.dst,
        line.protocol,
        line.length,
        line.info,
        frame.flow_id,
        frame.source_id,
    )
    return dict(zip(LIST.names, values, strict=True))


def _nested(node: Node) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(node, name) for name in ("name", "label", "value", "masked", "offset", "length")}
    return row | {"children": [_nested(child) for child in node.children]}


def _flat(nodes: list[Node] | tuple[Node, ...], depth: int) -> Iterator[tuple[Any, ...]]:
    for node in nodes:
        yield depth, node.name, node.label, node.value, node.masked, node.offset, node.length
        yield from _flat(node.children, depth + 1)


def _text(nodes: list[Node]) -> Iterator[str]:
    for depth, _name, label, value, *_rest in _flat(nodes, 0):
        yield "  " * depth + visible(f"{label}: {value}" if value and label else label or value)
