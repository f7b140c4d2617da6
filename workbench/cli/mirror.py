"""`workbench mirror`: mirrors on a DPU's Open vSwitch."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.formats import SummaryFormat, choose_format
from workbench.cli.messages import tell
from workbench.records.visible import visible

app = typer.Typer(help="Make, list and remove mirrors on a DPU.", no_args_is_help=True, rich_markup_mode=None)

Host = Annotated[
    str,
    typer.Argument(
        metavar="HOST", help="ssh://user@dpu, user@dpu, netns:NAME or local.", show_default=False, callback=options.utf8
    ),
]
Bridge = Annotated[
    str | None,
    typer.Option(
        "--bridge", metavar="B", help="The bridge. Default: the one with the ports, or the only one.", show_default=False
    ),
]
Ports = Annotated[
    str | None,
    typer.Option("--ports", metavar="P,...", help="These ports of it, both directions. Default: all.", show_default=False),
]


@app.command("setup")
def setup(
    host: Host,
    bridge: Bridge = None,
    ports: Ports = None,
    off_hardware: Annotated[
        bool, typer.Option("--off-hardware", help="Also where hw-offload is on, and flows may leave the hardware for it.")
    ] = False,
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Mirror ports of a DPU to a port of its own.

    Asked twice it makes one. What it can't show is said. Nothing of anybody else's is changed; `mirror teardown` puts back
    exactly what was there.
    """
    from workbench.workflows.mirror import set_up

    made = set_up(host, bridge, _ports(ports), off_hardware=off_hardware)
    if form is SummaryFormat.JSON:
        sys.stdout.write(json.dumps(asdict(made), indent=1) + "\n")
        return
    what = ", ".join(made.ports) or "everything"
    word = "made" if made.fresh else "was there already"
    out = [
        f"{made.name} {word}: {what} of {made.bridge} (datapath {made.datapath}) on {made.host}",
        f"capture it with: workbench attach {made.host}/{made.interface}",
    ]
    if made.offloaded_before is not None and made.offloaded_after is not None and (made.hw_offload or made.offloaded_before):
        out.append(f"flows in the hardware: {made.offloaded_before} before, {made.offloaded_after} now")
    sys.stdout.write("".join(visible(line) + "\n" for line in out))
    for line in made.notes:
        tell(line)
    for line in made.unseen:
        tell(f"not seen: {line}")


@app.command("list")
def list_(host: Host, form: options.RowsFormat = None, output: options.Output = None) -> None:
    """List all mirrors of a DPU, ours and others'."""
    chosen = choose_format(form, output)
    import pyarrow as pa

    from workbench.cli.output import write_rows
    from workbench.workflows.mirror import list_mirrors

    rows, notes = list_mirrors(host)
    text = pa.string()
    columns = dict.fromkeys(("host", "bridge", "mirror", "selects", "vlans", "output", "owner"), text)
    schema = pa.schema(
        {**columns, "ours": pa.bool_(), "made": text, "age_seconds": pa.int64(), "packets": pa.int64(), "bytes": pa.int64()}
    )
    write_rows(pa.Table.from_pylist(rows, schema).to_reader(), chosen, output)
    for line in notes:
        tell(line)


@app.command("teardown")
def teardown(
    host: Host,
    bridge: Bridge = None,
    ports: Ports = None,
    everybody: Annotated[
        bool, typer.Option("--everybody", help="Also mirrors that somebody else made with the workbench.")
    ] = False,
    form: options.Summary = SummaryFormat.TABLE,
) -> None:
    """Remove the mirrors that you made on a DPU.

    Also those of a process that was killed. The configuration is then compared with what was there before; a difference is
    somebody else's change, and named.
    """
    from workbench.workflows.mirror import tear_down

    removed, left = tear_down(host, bridge, _ports(ports), everybody=everybody)
    if form is SummaryFormat.JSON:
        others = [{"bridge": one.bridge, "name": one.name, "owner": one.owner} for one in left]
        sys.stdout.write(json.dumps({"removed": [asdict(one) for one in removed], "left": others}, indent=1) + "\n")
        return
    if not removed:
        sys.stdout.write("nothing of yours is there\n")
    for one in removed:
        now = "the configuration is as it was before" if one.as_before else "others have changed the configuration meanwhile"
        sys.stdout.write(visible(f"{one.name} on {one.bridge} is gone: {now}") + "\n")
        for line in one.changed:
            tell(f"  {line}")
    for ours in left:
        tell(f"left: {ours.name} on {ours.bridge}, made by {ours.owner} ({ours.made}); --everybody removes it too")


def _ports(text: str | None) -> list[str]:
    return [port for port in text.split(",") if port] if text else []
