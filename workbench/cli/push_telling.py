"""How targets, and what became of them, are told in words."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from workbench.cli.messages import tell
from workbench.records.visible import visible

if TYPE_CHECKING:
    from workbench.workflows.push_policy import Status
    from workbench.workflows.push_reconcile import Reconciled


def say(text: str) -> None:
    """Lines on stdout, whatever they hold made visible."""
    for line in text.split("\n"):
        sys.stdout.write(visible(line) + "\n")


def show_status(one: Status) -> None:
    """A target: what runs, what waits, what was counted; what is wrong on stderr."""
    said = one.said
    say(f"{one.target}  {one.state}  {one.address}" + (f"  {one.error}" if one.error else ""))
    if one.error:
        return
    kept, pending = said["confirmed"], said["pending"]
    if kept:
        who = f"signed by {kept['signer']}, " + (
            f"approved by {kept['approver']}" if kept["approver"] else "BREAK-GLASS: to be reviewed"
        )
        say(f"  runs {kept['policy']} ({kept['digest'][:16]}, number {kept['sequence']}), {who}")
        members = kept["members"]
        if members["until"] is not None:
            by = f"sent by {members['by']}" if members.get("by") else "of the plan"
            say(f"  members of its groups are {by}; their lease holds until {_clock(members['until'])}")
    if pending:
        say(f"  waits {pending['digest'][:16]}: rolled back in {pending['remaining']:.0f} s unless confirmed")
    for rule, packets, size in one.counters:
        if not rule.startswith("(") and "(" not in rule:
            say(f"  {rule}: {packets:,} packets, {size:,} bytes")
    from workbench.workflows.target_state import warnings

    if one.never:
        say(f"  never hit since loaded: {', '.join(one.never)} (with offload on, counters can lag or be missing)")
    for line in warnings(said):
        tell(f"{one.target}: {line}")


def show_reconciled(one: Reconciled) -> None:
    """What became of a target's members, and until when they hold; what a person should look at on stderr."""
    if one.error is not None and one.sent:
        say(f"{one.target}: members were sent to it: {one.error.message}")
        return
    if one.error is not None or not one.follows:
        say(f"{one.target}: {'nothing follows' if one.error is None else 'members and lease are as they were'}")
        return
    what = f"{one.came:,} members came, {one.went:,} went" if one.came or one.went else "nobody came or went"
    until = _clock(one.until) if one.until is not None else "for good"
    say(f"{one.target}: {what}; the lease holds until {until}")
    for line in one.some:
        say(f"  {line}" if line.startswith("-") else f"  +{line}")
    for line in one.contested:
        tell(f"FORCED ({one.forced}): {line}")
    for line in one.failing:
        tell(f"{one.target}: with these members a test of the policy fails: {line}")


def _clock(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
