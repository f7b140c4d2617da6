"""How targets look: one that drifts, one that waits, two that say nothing. Looked at when they change."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.tui.driving import press
from workbench.push.targets import Target
from workbench.settings import Settings
from workbench.sources.ssh import parse_far
from workbench.tui.application import WorkbenchApp
from workbench.tui.target_polling import Polling, Watched
from workbench.workflows.target_state import Changed, Running, TargetState
from workbench.workflows.target_watch import Seen

pytestmark = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="snapshots are made by one Python")

NOW = 1_800_000_000.0
ONE = Target("dpu1", "ovs", parse_far("ssh://root@dpu1.lab.example"))
FLOW = "cookie=0x5742433100000000,table=206,priority=65000,tcp,nw_src=10.20.1.21,nw_dst=10.20.1.10,tp_dst=80,actions="
DRIFTS = TargetState(
    "dpu1",
    "ovs",
    "ssh://root@dpu1.lab.example",
    "drift",
    now=NOW + 7380,
    running=Running("contain", "4b1d" * 16, "ada", "ben", NOW, lease=NOW + 8100),
    changed=Changed(("contain/no-web",), (f"+ {FLOW}NORMAL", f"- {FLOW}drop"), NOW + 7200),
    counts=(("contain/default", 812, 60_900), ("contain/no-web", 0, 0), ("contain/rest", 48_211, 61_300_000)),
    never=("contain/no-web",),
    loaded=NOW,
    warnings=("the rules were gone for up to 1.03 s (restart)",),
)
WAITS = replace(
    DRIFTS, name="dpu2", state="waiting", running=Running("contain", "77ab" * 16, waits=87.0), changed=None, warnings=()
)
SEEN = [
    Seen(ONE, DRIFTS, -2.0, None, {"contain/rest": (120, 9_100), "contain/default": (0, 0)}, 5.0),
    Seen(replace(ONE, name="dpu2"), WAITS, -2.0),
    Seen(replace(ONE, name="dpu3"), TargetState("dpu3", "ovs", "", "not enrolled", "dpu3 has no resident"), -2.0),
    Seen(replace(ONE, name="dpu4", kind="nft"), None, 0.0, -9.0),
]


@dataclass
class Still:
    """A watch of targets that stand still."""

    seen: list[Seen]

    def join(self, *_: Any) -> Any:
        joined: Any = nullcontext()
        joined.close = lambda: None
        return joined


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
@pytest.mark.parametrize("what", ["targets", "none"])
def test_targets(snap_compare: Any, size: tuple[int, int], what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.screens.targets.monotonic", lambda: 0.0)
    monkeypatch.setenv("WORKBENCH_CONFIG", "/etc/workbench/settings.toml")
    watched: Any = Watched(Still(SEEN if what == "targets" else []), Settings())  # type: ignore[arg-type]
    monkeypatch.setattr(Polling, "now", lambda _self: watched)

    async def run_before(pilot: Any) -> None:
        await press(pilot, "escape", "E")

    app = WorkbenchApp()
    assert snap_compare(app, terminal_size=size, run_before=run_before)
