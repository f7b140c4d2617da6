"""Before a signature: what it is put under, and whether that is meant."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import typer

from workbench.cli.messages import tell
from workbench.errors import PlanError

if TYPE_CHECKING:
    from workbench.push.plans import Plan

#: Rows of what changes that are printed.
_ROWS: Final = 12


def asked(digest: str, yes: bool) -> Callable[[Plan, dict[str, Any]], None]:
    """Prints what is about to be signed, and asks; a script can't be asked: it is told, and says which it means with a digest."""

    def ask(plan: Plan, found: dict[str, Any]) -> None:
        _show_review(plan, found)
        if digest and plan.digest != digest:
            raise PlanError(f"this is not the plan {digest[:64]}: it is {plan.digest}", "Look at it again, and plan again.")
        if not (digest or yes) and sys.stdin.isatty() and not typer.confirm("Put your signature under this?", err=True):
            raise PlanError("nothing was signed: nobody said yes", "Say yes, or name what you mean with --digest.")

    return ask


def _show_review(plan: Plan, found: dict[str, Any]) -> None:
    """On stderr: stdout has the digest that was signed."""
    bundle = plan.content()
    policy = bundle["policy"]
    tell(f"{bundle['target']}: policy {policy['name']} ({policy['digest']}) by {bundle['author']}, against {found['against']}")
    tell(f"newly allowed: {int(found['allowed']):,} packets; newly denied: {int(found['denied']):,} packets")
    for row in found["changes"][:_ROWS]:
        tell(f"  {row['change']:<8} {', '.join(row['from'])} -> {', '.join(row['to'])} : {row['service']}")
    if len(found["changes"]) > _ROWS:
        tell(f"  and {len(found['changes']) - _ROWS} more rows, or more")
    for selector, count in found["members"].items():
        tell(f"  {selector}: {count:,} prefixes" + (f", which follow for {found['lease']} s" if found["lease"] else ""))
    tell(f"waits {bundle['window']} s for its confirmation; may be applied until {found['expiry']}")
    for line in found["cut"]:
        tell(f"FORCED ({found['forced']}): cuts {line}")
    if bundle["break_glass"]:
        tell(f"BREAK-GLASS ({bundle['break_glass']}): one signature does, and the rules lapse at {found['lapses']}")
    for line in found["doubts"]:
        tell(line)
