"""The views of a case, by the key that shows each. A view is imported when it is first shown, or once there is time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workbench.tui.views.base import CaseView

#: Key: (name, module and class, one sentence for the help).
VIEWS: Final[dict[int, tuple[str, str, str]]] = {
    1: ("Overview", "workbench.tui.views.overview:OverviewView", "What happened, and what to look at first."),
    2: ("Flows", "workbench.tui.views.flows:FlowsView", "One row a flow, whoever began it on the left."),
    3: ("Workloads", "workbench.tui.views.workloads:WorkloadsView", "Workloads by name, or hosts by address, with lifelines."),
    4: (
        "Matrix",
        "workbench.tui.views.matrix:MatrixView",
        "Who talks to whom, by prefix; Enter goes inwards to hosts and flows.",
    ),
    5: ("Findings", "workbench.tui.views.findings:FindingsView", "What detections found, what it means, what was made of it."),
    6: ("Packets", "workbench.tui.views.packets:PacketsView", "The packets of one flow, their fields and bytes, masked."),
    7: ("SQL", "workbench.tui.views.sql:SqlView", "Questions in SQL: yours and saved ones, their rows, plots of them."),
    8: ("Policy", "workbench.tui.views.policy:PolicyView", "A policy being written: what it would change, proofs, versions."),
    9: ("Case", "workbench.tui.views.case:WholeCaseView", "Sources, ledger, notes, bookmarks, audit log and facts of the case."),
}

#: Every view by its key, as the row above them and the keys name them.
NAMES: Final[dict[int, str]] = {
    1: "Overview",
    2: "Flows",
    3: "Workloads",
    4: "Matrix",
    5: "Findings",
    6: "Packets",
    7: "SQL",
    8: "Policy",
    9: "Case",
}

#: What a name becomes where the line is too short for all of them.
SHORT: Final = {"Overview": "Over", "Workloads": "Loads", "Findings": "Finds", "Packets": "Pkts"}

#: The key of the view that a case opens at.
FIRST: Final = 2

#: Views without a timeline above them: what they show is not a matter of flows in time.
TIMELESS: Final = frozenset({6, 7, 8, 9})


def made(number: int) -> CaseView:
    """A new view of that key. KeyError for a key without one."""
    module, _, name = VIEWS[number][1].partition(":")
    view: type[CaseView] = getattr(import_module(module), name)
    return view(id=f"view-{number}")


def load() -> None:
    """Import every view, in a thread while nothing else is to do: a key that shows one then finds it there."""
    for _, place, _ in VIEWS.values():
        import_module(place.partition(":")[0])
