"""`workbench packets` without -w: packets as tshark understands them, as rows or one as a tree."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.formats import Format
from workbench.cli.interrupt import cancel_on_interrupt, stop_on_interrupt
from workbench.errors import UsageError
from workbench.records.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.dissect.dissector import Dissector
    from workbench.dissect.lines import Line, Node
    from workbench.store.reader import CaseReader
    from workbench.workflows.carve import CarveRequest, Frame

#: Columns of a list and of a tree written as rows, with their Arrow types.
LIST = {
    "frame": "int64",
    "ts": "timestamp[ns]",
    "side": "string",
    "src": "string",
    "dst": "string",
    "protocol": "string",
    "length": "int64",
    "info": "string",
    "flow_id": "int64",
    "source_id": "int64",
}
TREE = {
    "depth": "int64",
    "name": "string",
    "label": "string",
    "value": "string",
    "masked": "bool",
    "offset": "int64",
    "length": "int64",
}


def check(*, unmask: bool, reason: str | None, tree: int | None, flows: int, plain: bool) -> str | None:
    """The reason for unmasking, None where nothing is unmasked. UsageError for options that do not go together."""
    if unmask and not (reason or "").strip():
        raise UsageError("--unmask needs a reason", "Say why with --reason TEXT; it is kept in the audit log of the case.")
    if reason is not None and not unmask:
        raise UsageError("--reason goes with --unmask", "Add --unmask to see what is masked, or leave --reason out.")
    if plain and (unmask or tree is not None):
        raise UsageError("--plain dissects nothing", "Leave it out to see inside packets.")
    if tree is not None and flows != 1:
        raise UsageError("--tree shows a packet of one flow", "Name the flow with --flow ID.")
    return reason


def write_list(request: CarveRequest, form: Format, reason: str | None = None) -> None:
    """The packets asked for, a row each; unmasked where there is a reason."""
    from workbench.cli.output import write_rows
    from workbench.workflows.dissect import listed, new_dissector, record_unmasking
    from workbench.workflows.show import reading

    with (
        reading(request.case) as reader,
        cancel_on_interrupt() as cancel,
        new_dissector(unmask=reason is not None) as dissector,
        stop_on_interrupt(lambda: _stop(reader, dissector)),
    ):
        if reason is not None:
            what = {"flows": list(request.flow_ids)} if request.filter is None else {"filter": request.filter}
            record_unmasking(reader, reason, dissector.version, side=request.side, limit=request.limit, **what)
        found = listed(reader, request, dissector=dissector, cancel=cancel.is_set)
        write_rows(_batches(LIST, ([_row(frame, line) for frame, line in batch] for batch in found)), form)


def write_tree(case: Path, flow: int, number: int, form: Format, reason: str | None = None) -> None:
    """The tree of the packet with that number in its source, of that flow; unmasked where there is a reason."""
    from workbench.workflows.dissect import new_dissector, packet_tree
    from workbench.workflows.show import reading

    with (
        reading(case) as reader,
        cancel_on_interrupt() as cancel,
        new_dissector(unmask=reason is not None) as dissector,
        stop_on_interrupt(lambda: _stop(reader, dissector)),
    ):
        frame = _frame(reader, flow, number, cancel.is_set)
        nodes = packet_tree(reader, frame, reason, dissector=dissector, cancel=cancel.is_set)
    _write_nodes(nodes, form)


def _write_nodes(nodes: list[Node], form: Format) -> None:
    from workbench.cli.output import write_rows

    if form in (Format.TABLE, Format.JSON):
        text = json.dumps([_nested(node) for node in nodes], indent=1) if form is Format.JSON else "\n".join(_text(nodes))
        sys.stdout.write(text + "\n")
        return
    rows = [dict(zip(TREE, row, strict=True)) for row in _flat(nodes, 0)]
    write_rows(_batches(TREE, [rows]), form)


def _batches(columns: dict[str, str], batches: Iterable[list[dict[str, Any]]]) -> pa.RecordBatchReader:
    """Rows as Arrow batches; pyarrow is loaded here, so that help is fast."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in columns.items()])
    return pa.RecordBatchReader.from_batches(schema, (pa.RecordBatch.from_pylist(batch, schema) for batch in batches))


def _stop(reader: CaseReader, dissector: Dissector) -> None:
    reader.interrupt()
    dissector.cancel()


def _frame(reader: CaseReader, flow: int, number: int, cancel: Callable[[], bool]) -> Frame:
    from workbench.workflows.carve import read_frames

    for frame in read_frames(reader, flow, cancel=cancel):
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
    return dict(zip(LIST, values, strict=True))


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
