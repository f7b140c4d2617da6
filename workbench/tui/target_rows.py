"""Targets and their rules as rows and words: what runs, what waits, what drifts, what was hit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from workbench.tui import figures
from workbench.tui.looks import Look, text_cell

if TYPE_CHECKING:
    from workbench.workflows.target_state import Running, TargetState
    from workbench.workflows.target_watch import Seen

#: Lines that somebody changed, as far as the words have them; `push drift` has all.
_LINES: Final = 12
#: Seconds from which on a question is said to take its time.
_SLOW: Final = 2.0

TARGET_LOOKS: Final = tuple(
    Look(name, heading, meaning, width, most, False, "", text_cell)
    for name, heading, meaning, width, most in (
        ("name", "target", "As the settings name it", 8, 31),
        ("state", "state", "What its resident says", 14, 24),
        ("drift", "drift", "Rules that somebody changed", 13, 40),
        ("policy", "runs", "The policy that runs", 11, 30),
        ("digest", "digest", "Of the bundle that runs", 12, 16),
        ("alerts", "to look at", "How much a person must look at", 10, 40),
        ("since", "since, UTC", "When it was pushed", 14, 14),
        ("host", "host", "Whether the host may reach into the DPU (mlxprivhost)", 10, 10),
        ("kind", "kind", "What enforces", 4, 4),
        ("address", "address", "Where it is", 18, 40),
        ("asked", "asked", "When it was asked", 10, 14),
    )
)

RULE_LOOKS: Final = tuple(
    Look(name, heading, meaning, width, most, right, "", text_cell)
    for name, heading, meaning, width, most, right in (
        ("rule", "rule", "The rule that decided", 30, 60, False),
        ("packets", "packets", "Since the rules were loaded", 8, 14, True),
        ("bytes", "bytes", "Since the rules were loaded", 8, 14, True),
        ("new", "+packets", "Since the look before", 8, 10, True),
        ("new_bytes", "+bytes", "Since the look before", 8, 10, True),
        ("note", "", "Never hit, or changed by somebody", 9, 20, False),
    )
)


def clock(seconds: float | None, *, date: bool = True) -> str:
    """A time of the target's clock, UTC; a dash for none."""
    if seconds is None:
        return figures.NOTHING
    return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):{'%m-%d %H:%M:%S' if date else '%H:%M:%S'}}"


def left(one: Seen, now: float) -> float | None:
    """Seconds until a push that waits is rolled back, counted on since the answer. now: time.monotonic()."""
    runs = one.state.running if one.state is not None else None
    return None if runs is None or runs.waits is None else max(0.0, runs.waits - (now - one.at))


def state_words(one: Seen, now: float) -> str:
    """Its state in a word or two; a push that waits with its countdown."""
    if one.state is None:
        return "asking"
    remaining = left(one, now)
    if one.state.state == "waiting" and remaining is not None:
        return f"waiting {remaining:.0f} s"
    return (
        "nothing pushed" if one.state.state == "empty" else "to be reviewed" if one.state.state == "review" else one.state.state
    )


def asked_words(one: Seen, now: float) -> str:
    """How old the answer is, or that one is waited for."""
    if one.asked is not None and now - one.asked >= _SLOW:
        return f"asking {now - one.asked:.0f} s"
    return "" if one.state is None else f"{max(0.0, now - one.at):.0f} s ago"


def target_table(seen: Sequence[Seen], now: float) -> pa.Table:
    """A row a target."""
    rows = [_target_row(one, now) for one in seen]
    return pa.table({look.name: pa.array([row[look.name] for row in rows], pa.utf8()) for look in TARGET_LOOKS})


def _target_row(one: Seen, now: float) -> dict[str, str]:
    state, runs = one.state, one.state.running if one.state is not None else None
    row = {
        "name": one.target.name,
        "kind": one.target.kind,
        "address": str(one.target.far),
        "state": state_words(one, now),
        "asked": asked_words(one, now),
    }
    if state is None or state.error:
        row |= dict.fromkeys(("policy", "digest", "since"), figures.NOTHING)
        return {**row, "drift": "unknown", "host": "unknown", "alerts": state.error if state is not None else ""}
    many = len(state.warnings) + (state.changed is not None) + (state.state == "waiting") + (state.host == "privileged")
    return {
        "policy": (runs.policy or "?") if runs is not None else figures.NOTHING,
        "digest": runs.digest[:12] if runs is not None else figures.NOTHING,
        "since": clock(runs.at) if runs is not None else figures.NOTHING,
        "drift": _drift_words(state),
        "host": state.host,
        "alerts": f"! {many}" if many > 0 else "nothing",
        **row,
    }


def _drift_words(state: TargetState) -> str:
    """The rules that were changed; while a push waits its resident does not compare."""
    if state.changed is not None:
        return state.changed.words
    return "unknown" if state.state == "down" else figures.NOTHING if state.state == "waiting" else "none"


def rule_table(one: Seen) -> pa.Table:
    """A row a rule, by name: what it was hit by, and by how much more than at the look before."""
    state = one.state
    counts = {rule: (packets, size) for rule, packets, size in state.counts} if state is not None else {}
    never = set(state.never) if state is not None else set()
    changed = set(state.changed.rules) if state is not None and state.changed is not None else set()
    rows = []
    for rule in sorted({*counts, *never, *(changed - {""})}):
        packets, size = counts.get(rule, (0, 0))
        moved = one.moved.get(rule)
        note = "CHANGED" if rule in changed else "never hit" if rule in never else ""
        more = [figures.NOTHING, figures.NOTHING] if moved is None else [f"{moved[0]:,}", figures.size(moved[1])]
        rows.append((rule, f"{packets:,}", figures.size(size), *more, note))
    return pa.table({look.name: pa.array([row[n] for row in rows], pa.utf8()) for n, look in enumerate(RULE_LOOKS)})


def rules_title(one: Seen | None) -> str:
    """What the counts are of, and what they leave out."""
    state = one.state if one is not None else None
    if one is None or state is None or state.running is None:
        return "rules"
    words = f"rules of {one.target.name}: hits"
    if state.loaded is not None and state.now is not None:
        words += f" in {figures.duration(max(0.0, round(state.now - state.loaded)))} at most"
    over = f", + in {max(1, round(one.over))} s" if one.over else ""
    return f"{words}{over}; offloaded may be missing"


def rules_empty(one: Seen | None) -> str:
    """What stands where there are none."""
    state = one.state if one is not None else None
    if one is None or state is None:
        return "Nothing is known yet."
    name = one.target.name
    if state.state == "not enrolled":
        return f"No resident of {name} is there.\nworkbench push enrol {name} --signers FILE   installs it."
    if state.state == "old protocol":
        return f"Its resident is of another version.\nworkbench push enrol {name} --signers FILE   renews it."
    if state.error or state.state == "down":
        return "Its counters can't be had now."
    if state.running is not None:
        return "It counts nothing of these rules."
    return f"Nothing of ours runs there.\nworkbench push plan POLICY --target {name} -o PLAN   begins."


def words_of(one: Seen, now: float) -> list[tuple[str, str]]:
    """Everything about a target, a line each, with its role: `bad`, `warn` or ''."""
    state = one.state
    if state is None:
        return [(f"{one.target.name} on {one.target.far} has not answered yet.", "")]
    if state.error:
        return [(f"{state.state}: {line}", "bad") for line in state.error.split("\n")]
    lines = _running_words(one, state.running, now) if state.running is not None else [("Nothing of ours was pushed there.", "")]
    later = lines[1:]  # what somebody changed comes before what will be
    lines = lines[:1]
    if state.changed is not None:
        when = clock(state.changed.since)
        lines.append((f"DRIFT, seen since {when}: somebody changed {state.changed.words}", "bad"))
        # Spaces behind commas: a flow of Open vSwitch is one long word otherwise.
        lines += [(f"  {line.replace(',', ', ').replace(',  ', ', ')}", "bad") for line in state.changed.lines[:_LINES]]
        if len(state.changed.lines) > _LINES:
            lines.append((f"  and {len(state.changed.lines) - _LINES} more: workbench push drift {state.name}", "bad"))
    lines += [*((f"! {line}", "warn") for line in state.warnings), *later]
    host = {
        "restricted": ("host: restricted, it can't reach into the DPU (mlxprivhost)", ""),
        "privileged": ("host: it MAY REACH INTO THE DPU, it is not restricted (mlxprivhost)", "bad"),
    }
    unknown = ("host: unknown whether it may reach into the DPU (mlxprivhost can't be asked)", "")
    return [*lines, host.get(state.host, unknown)]


def _running_words(one: Seen, runs: Running, now: float) -> list[tuple[str, str]]:
    remaining = left(one, now)
    name = runs.policy or "a policy"
    if remaining is not None:
        waits = f"rolled back in {remaining:.0f} s unless confirmed: workbench push confirm {one.target.name}"
        return [(f"{name} ({runs.digest[:16]}) runs and WAITS: {waits}", "warn")]
    who = f"signed by {runs.signer}, " + (f"approved by {runs.approver}" if runs.approver else "by one signature")
    lines = [(f"{name} ({runs.digest[:12]}) since {clock(runs.at)}, {who}", "")]
    if runs.lapses is not None:
        lines.append((f"its rules lapse at {clock(runs.lapses)}: what was confirmed before runs again then", "warn"))
    if runs.lease is not None:
        lines.append((f"its groups hold until {clock(runs.lease)}: push reconcile renews them", ""))
    return lines


def title(seen: Sequence[Seen]) -> str:
    """How many targets, and how many of them want somebody."""
    known = [one.state for one in seen if one.state is not None]
    parts = [f"{len(seen)} target{'s' * (len(seen) != 1)}"]
    for words, count in (
        ("confirmed", sum(one.state == "confirmed" for one in known)),
        ("waiting", sum(one.state == "waiting" for one in known)),
        ("DRIFTING", sum(one.changed is not None for one in known)),
        ("to look at", sum(one.bad and one.changed is None for one in known)),
    ):
        parts += [f"{count} {words}"] if count else []
    return ", ".join(parts)


def role_of(column: str, text: str) -> str:
    """The component style of a cell by what it says; its words say the same without colour."""
    if column == "state":
        return "bad" if text in _BAD else "warn" if text.startswith(_WARN) else ""
    if column == "drift":
        return "" if text in ("none", figures.NOTHING) else "warn" if text == "unknown" else "bad"
    if column == "note":
        return "bad" if text == "CHANGED" else "warn"
    if column == "alerts":
        return "" if text in ("nothing", "") else "warn"
    return "bad" if text == "privileged" else "warn" if text.startswith("asking") else ""


_BAD: Final = ("drift", "down", "unguarded", "unreachable", "unreadable", "refuses", "old protocol")
_WARN: Final = ("waiting", "to be reviewed", "not enrolled", "asking")
