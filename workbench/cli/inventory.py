"""`workbench import kubernetes|ovn|libvirt|claims`: listings of who holds which address."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.cli.interrupt import cancel_on_interrupt
from workbench.errors import UsageError
from workbench.records.claims import NETWORKS, claimed_epoch, claimed_network, claimed_time
from workbench.records.visible import visible

if TYPE_CHECKING:
    from workbench.workflows.requests import IndexResult, InventoryFormat

#: Formats of the import command that are such listings.
INVENTORIES: Final[dict[str, InventoryFormat]] = {
    "kubernetes": "kubernetes",
    "ovn": "ovn",
    "libvirt": "libvirt",
    "claims": "claims",
}


def run_inventory(
    form: InventoryFormat, paths: tuple[str, ...], case: Path, *, hash_: bool, since: str | None, network: str | None
) -> IndexResult:
    """Import them with progress on a terminal; Ctrl-C cancels it."""
    from workbench.cli.progress import index_progress
    from workbench.workflows.inventory import import_inventory
    from workbench.workflows.requests import InventoryRequest

    request = InventoryRequest(paths, case, form, hash_, _since(form, since), _network(network))
    with cancel_on_interrupt() as cancel, index_progress() as show:
        return import_inventory(request, show, cancel)


def _network(text: str | None) -> str | None:
    if text is None:
        return None
    found = claimed_network(text)
    if found is None:
        raise UsageError(f"--network {visible(text[:80])} is no network", f"Write it as one of {NETWORKS}.")
    return found


def _since(form: str, text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    if form not in ("ovn", "libvirt"):
        raise UsageError("--since is for ovn and libvirt", "What the other formats list has times of its own.")
    found = claimed_time(text) or claimed_epoch(text)
    if found is None:
        raise UsageError(
            f"--since {visible(text[:80])} is no time", "Write it as 2024-11-05T09:00:00Z, or as seconds since 1970."
        )
    return found
