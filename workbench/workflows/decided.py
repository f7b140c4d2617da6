"""What targets say they decided, brought into a case: verdicts on its flows, and what is counted by rule.

Verdicts come from Open vSwitch's IPFIX, whose observation points are the numbers of rules, and from what the kernel logs for
nft rules. A rule's number keeps its id on a target (push/compiled.py), but what a rule does changes from push to push: only
what began after the rules that run now were loaded is judged by them, and nothing while a push waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import PolicyError, UsageError
from workbench.store.decisions import Kept, Logged, Said, keep_decisions

if TYPE_CHECKING:
    from workbench.push.nft.logged import Line
    from workbench.workflows.push_policy import Status


#: Seconds from the time of a push until its rules judge for sure: the resident notes it before it loads them, and until then
#: those of before judge under the same numbers.
_LOADING: Final = 10
#: With these the resident went back to rules that were confirmed earlier.
_BACK: Final = frozenset({"expired", "lapsed", "rolled-back"})


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of one target. lines: of its log that are of rules; unread: other lines of it; waits: nothing was kept,
    because a push waits there: its counts are of other rules than those whose text is known.
    """

    target: str
    kept: Kept
    lines: int = 0
    unread: int = 0
    waits: bool = False


def bring(case: Path, one: Status, log: Path | None = None, sensors: Sequence[str] = ()) -> Brought:
    """Add what a target that answered says to a case. sensors: whose IPFIX is its own; needed where the case has several.

    UsageError where that is not known, SourceError where the log can't be read, CaseBusyError.
    """
    from workbench.push.compiled import point

    if one.said.get("pending"):
        return Brought(one.target, Kept(0, 0, 0), waits=True)
    verdicts = _verdicts(one)
    points = {point(int(number)): (rule, verdicts[rule]) for number, rule in one.ids.items() if rule in verdicts}
    if one.said["dataplane"] != "ovs":
        points = {}
    elif not sensors:
        _one_exporter(case)
    logged, unread = ([], 0) if log is None else _read(log, verdicts)
    confirmed = one.said["confirmed"] or {}
    counters = list(_counters(one, verdicts))
    said = Said(one.target, confirmed.get("digest"), points, sensors, logged, counters, *_ran(one))
    return Brought(one.target, keep_decisions(case, said), len(logged), unread)


def _ran(one: Status) -> tuple[datetime | None, datetime]:
    """From when until when the rules that run now judged for sure, by the clock that telemetry and logs have there."""
    said, confirmed = one.said, one.said["confirmed"] or {}
    ahead = max(0.0, float(said.get("skew") or 0.0))  # a clock that was put forward, while the resident counts on without it
    until = _moment(said["now"] + ahead + 1)
    if "at" not in confirmed:
        return None, until
    times = [confirmed["at"] + (0 if confirmed.get("sequence") == 1 else _LOADING)]  # nothing of ours ran before the first
    last = said.get("last") or {}
    times += [last["at"] + 1] if last.get("outcome") in ("went", "rolled back") else []
    times += [alert["at"] + 1 for alert in said.get("alerts") or () if alert["code"] in _BACK]
    return _moment(max(times) + (ahead if ahead > 1 else 0)), until  # up to a second is what whole seconds leave


def _verdicts(one: Status) -> dict[str, str]:
    """What each rule of the policy that runs does there: Open vSwitch has no reject and drops."""
    from workbench.policy.loader import load

    if not one.policy:
        return {}
    try:
        policy = load([("the policy that runs", one.policy)]).policy
    except PolicyError:  # of another version of ours: nothing is claimed of its rules
        return {}
    name = policy.metadata.name
    found = {f"{name}/{rule.name}": rule.action for rule in policy.rules if rule.action != "pass"}
    found[f"{name}/default"] = policy.defaults.east_west
    return {rule: "deny" if said == "reject" and one.said["dataplane"] == "ovs" else said for rule, said in found.items()}


def _counters(one: Status, verdicts: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    confirmed = one.said["confirmed"] or {}
    for rule, packets, size in one.counters:
        if rule in verdicts:
            yield {
                "target": one.target,
                "ts": _moment(one.said["now"]),
                "since": _moment(confirmed["at"]) if "at" in confirmed else None,
                "digest": confirmed.get("digest"),
                "rule_id": rule,
                "verdict": verdicts[rule],
                "packets": packets,
                "bytes": size,
                "offload": "unknown",  # nothing that the resident may ask tells
            }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _one_exporter(case: Path) -> None:
    from workbench.store.reader import CaseReader

    with CaseReader(case) as reader:
        names = reader.query("SELECT DISTINCT sensor FROM sources WHERE kind = 'ipfix' ORDER BY 1 LIMIT 20")["sensor"].to_pylist()
    if len(names) > 1:
        raise UsageError(f"the case has IPFIX of several sensors: {', '.join(names)}", "Say which is the target's with --sensor.")


def _read(path: Path, verdicts: Mapping[str, str]) -> tuple[list[Logged], int]:
    """The packets that a log tells of rules that run, and how many of its lines are something else."""
    from workbench.push.nft.logged import read_line
    from workbench.sources.bytes import open_bytes
    from workbench.sources.lines import LineReader

    found: list[Logged] = []
    unread = 0
    with contextlib.closing(open_bytes(str(path))) as reader:
        for lines in LineReader(reader):
            unread += len(lines.too_long)
            for text in lines.text.to_pylist():
                line = read_line(text)
                if line is None or line.rule_id not in verdicts:
                    unread += 1
                else:
                    found.append(_logged(line, verdicts[line.rule_id]))
    return found, unread


def _logged(line: Line, verdict: str) -> Logged:
    return Logged(line.ts, line.rule_id, verdict, line.proto, line.src_ip, line.dst_ip, line.src_port, line.dst_port)
