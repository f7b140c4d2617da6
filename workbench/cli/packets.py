"""`workbench packets`: the packets behind rows, carved to pcapng or listed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import dissected, options
from workbench.cli.formats import choose_format
from workbench.cli.interrupt import cancel_on_interrupt, stop_on_interrupt
from workbench.cli.messages import tell
from workbench.errors import UsageError

if TYPE_CHECKING:
    from workbench.workflows.carve import CarveRequest, CarveResult


class SideChoice(StrEnum):
    """Whose packets."""

    BOTH = "both"
    SRC = "src"
    DST = "dst"


def packets(
    case: options.Case,
    flow: Annotated[
        list[int] | None,
        typer.Option("--flow", metavar="ID", help="Packets of this flow; may be given again.", show_default=False),
    ] = None,
    filter_: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="F",
            help="Packets of all flows that match; '' for all.",
            show_default=False,
            callback=options.utf8,
        ),
    ] = None,
    side: Annotated[SideChoice, typer.Option("--side", help="Whose packets: src is the flow's originator.")] = SideChoice.BOTH,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="At most N packets. Default: all.", show_default=False)
    ] = None,
    write: Annotated[
        str | None,
        typer.Option("-w", "--write", metavar="FILE", help="Carve to this pcapng file; - is stdout.", show_default=False),
    ] = None,
    tree: Annotated[
        int | None,
        typer.Option("--tree", metavar="FRAME", min=1, help="The tree of one packet of the flow.", show_default=False),
    ] = None,
    unmask: Annotated[bool, typer.Option("--unmask", help="Show content too; needs --reason, and is logged.")] = False,
    reason: Annotated[
        str | None,
        typer.Option("--reason", metavar="TEXT", help="Why content is shown; kept in the audit log.", show_default=False),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="List without dissecting: times, sizes, places; no tshark.")] = False,
    form: options.RowsFormat = None,
) -> None:
    """The packets behind rows: carved to pcapng with -w, else listed as tshark understands them.

    They are read again from the captures, which must be where and as they were. Tunnels stay whole. Of what is inside
    packets only listed fields are shown, the rest is masked (docs/privacy.md).
    """
    if bool(flow) == (filter_ is not None):
        raise UsageError("packets of what? Give either --flow ID or --filter F", "`workbench flows` lists flows with their ids.")
    from workbench.workflows.kernels import prepare_kernel_cache

    prepare_kernel_cache()  # ahead of numba, which the next line brings: else it compiles anew, each time in an installed copy
    from workbench.workflows.carve import CarveRequest

    request = CarveRequest(case, tuple(flow or ()), filter_, side.value, limit)
    why = dissected.check(unmask=unmask, reason=reason, tree=tree, flows=len(request.flow_ids), plain=plain)
    if write is None and plain:
        _list(request, form)
    elif write is None and tree is not None:
        dissected.write_tree(case, request.flow_ids[0], tree, choose_format(form, None), why)
    elif write is None:
        dissected.write_list(request, choose_format(form, None), why)
    elif plain or tree is not None or unmask:
        raise UsageError("-w carves packets as they are", "Leave out --plain, --tree and --unmask, or -w.")
    elif form is not None:
        raise UsageError("--format says how packets are listed; -w writes pcapng", "Leave one of them out.")
    else:
        _carve(request, write)


def _list(request: CarveRequest, form: options.RowsFormat) -> None:
    from workbench.cli.output import write_rows
    from workbench.workflows.packet_rows import PacketListing
    from workbench.workflows.show import reading

    chosen = choose_format(form, None)
    with (
        reading(request.case) as reader,
        cancel_on_interrupt() as cancel,
        stop_on_interrupt(reader.interrupt),
        PacketListing(reader, request, cancel.is_set) as rows,
    ):
        write_rows(rows, chosen)


def _carve(request: CarveRequest, write: str) -> None:
    from workbench.cli.progress import carve_progress
    from workbench.workflows.carve import carve_from
    from workbench.workflows.show import reading

    if write == "-" and sys.stdout.isatty():
        raise UsageError("pcapng is not text; the terminal cannot show it", "Name a file with -w FILE, or redirect stdout.")
    with (
        reading(request.case) as reader,
        cancel_on_interrupt() as cancel,
        stop_on_interrupt(reader.interrupt),
        carve_progress() as show,
    ):
        if write == "-":
            sys.stdout.flush()
            result = carve_from(reader, request, sys.stdout.buffer, show, cancel.is_set)
            sys.stdout.buffer.flush()
        else:
            result = carve_from(reader, request, Path(write), show, cancel.is_set)
    _say(result, write)


def _say(result: CarveResult, write: str) -> None:
    where = "" if write == "-" else f" to {write}"
    tell(f"{result.packets:,} packets of {result.flows:,} flows{where}, {result.bytes:,} bytes")
    for note in result.notes:
        tell(f"Note: {note}")
