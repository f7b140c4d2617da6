"""Two unrelated policies compared for all packets, made in several manners and families; `dd` and z3 beside on the same ones.

`python -m benchmarks.comparing ENGINE KIND FAMILY RULES` compares once and prints a line of JSON: a process an answer, so that no
engine finds another's memory warm.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import policies
from benchmarks.peers import environment
from benchmarks.report import Report, Row

PART: Final = "compare"
RULES: Final = 5000
BUDGET: Final = 1.0
#: Seconds for one answer of a peer; where it takes longer, that it did is the row.
PATIENCE: Final = 180
#: Rules of each policy that peers are given: what they answer in reach of PATIENCE.
_PEERS: Final = (("dd, rule by rule", 5000), ("dd, rule by rule", 1000), ("dd, by halves", 1000), ("z3", 10))


def answer(engine: str, kind: str, family: str, rules: int) -> dict[str, Any]:
    """Seconds of one comparison: resolved policies in, the exact difference out."""
    from workbench.policy.idle import without_effect
    from workbench.policy.loader import load
    from workbench.policy.resolved import resolve
    from workbench.policy.symbolic import difference

    began = time.perf_counter()
    old, new = (load([("made", policies.text(kind, rules, seed, family))]).policy for seed in (1, 2))
    loaded = time.perf_counter()
    one, other = resolve(old), resolve(new)
    ready = time.perf_counter()
    out: dict[str, Any] = {"load": (loaded - began) / 2, "resolve": (ready - loaded) / 2}
    if engine == "workbench":
        busy = time.process_time()
        found = difference(one, other)
        out["seconds"] = time.perf_counter() - ready
        out["cpu"] = time.process_time() - busy
        out["packets"] = [str(found.allowed.packets), str(found.denied.packets)]
        idle_began = time.perf_counter()
        without_effect(one)
        out["idle"] = time.perf_counter() - idle_began
    elif engine == "z3":
        out |= _by_z3(old, new)
        out["seconds"] = time.perf_counter() - ready
    else:
        out["packets"] = _by_dd(one, other, engine.endswith("halves"))
        out["seconds"] = time.perf_counter() - ready
    return out


def _by_dd(old: Any, new: Any, halves: bool) -> list[str]:
    """The difference as sets of `dd`, and their counts; no rows."""
    from workbench.policy.diagrams import Space
    from workbench.policy.reference import with_verdict
    from workbench.policy.symbolic import BLOCKED

    counts = [0, 0]
    for wide in (32, 128):
        space = Space(wide)
        judge = with_verdict if halves else _one_by_one
        before, after = (judge(space, one, BLOCKED) for one in (old, new))
        counts[0] += space.count(before & ~after)
        counts[1] += space.count(after & ~before)
    return [str(count) for count in counts]


def _one_by_one(space: Any, resolved: Any, verdicts: Any) -> Any:
    """From the last rule to the first, each before all behind it; made policies have one tier and no pass."""
    from workbench.policy.services import ANY

    inside = space.product(resolved.internal, resolved.internal, (ANY,))
    out = inside if resolved.default in verdicts else space.nothing
    for meant in reversed(resolved.rules):
        matched = space.product(meant.src, meant.dst, meant.boxes)
        out = out | matched if meant.rule.action in verdicts else out & ~matched
    return out


def _by_z3(old: Any, new: Any) -> dict[str, Any]:
    """Whether anything is newly allowed, and newly denied: a packet of each at most, no counts."""
    import z3

    from tests.policy.test_z3 import STARTS_V4, stopped

    before, after = stopped(old), stopped(new)
    found = []
    for question in (z3.And(before, z3.Not(after)), z3.And(after, z3.Not(before))):
        solver = z3.Solver()
        solver.add(STARTS_V4[0] == STARTS_V4[1], question)
        found.append(str(solver.check()))
    return {"found": found}


def _run(engine: str, kind: str, family: str, rules: int) -> dict[str, Any] | None:
    words = [sys.executable, "-m", "benchmarks.comparing", engine, kind, family, str(rules)]
    here = Path(__file__).parents[1]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True, env=environment(), cwd=here)
    except subprocess.TimeoutExpired:
        return None
    return dict(json.loads(done.stdout))


def measure(report: Report, rounds: int, scale: float, *, peers: bool) -> None:
    """A row for every manner and family; then peers on the same policies, ours in the same round. scale: of the rules."""
    rules = max(int(RULES * scale), 20)
    for kind in policies.KINDS:
        for family in policies.FAMILIES if kind != "wild" else ("v4",):
            runs = [_run("workbench", kind, family, rules) for _ in range(rounds)]
            good = [run for run in runs if run is not None]
            if len(good) < len(runs):
                report.fail(PART, f"{kind}, {family}", f"no answer in {PATIENCE} s")
                continue
            seconds, cpu, idle = ([run[key] for run in good] for key in ("seconds", "cpu", "idle"))
            report.times.setdefault(PART, {})[f"{kind} {family}"] = seconds
            report.cpu.setdefault(PART, {})[f"{kind} {family}"] = cpu
            note = f"{statistics.median(cpu):.2f} s of CPU; rules without effect {statistics.median(idle):.2f} s;"
            note += f" loading {good[0]['load']:.2f} s, resolving {good[0]['resolve']:.2f} s a policy"
            what = f"two policies of {rules} rules, {kind}, {family}"
            report.add(Row(PART, what, statistics.median(seconds), "s", BUDGET if kind != "wild" else None, note=note))
    if peers:
        for engine, most in _PEERS:
            _beside(report, engine, min(most, rules))


def _beside(report: Report, engine: str, rules: int) -> None:
    """One answer of a peer and one of ours, one after the other."""
    theirs, ours = _run(engine, "subnets", "both", rules), _run("workbench", "subnets", "both", rules)
    if ours is None:
        report.fail(PART, "workbench", "no answer")
        return
    mine = ours["seconds"]
    what = f"workbench / {engine}, subnets, both, {rules} rules"
    if theirs is None:
        report.add(Row(PART, what, mine / PATIENCE, "x", note=f"{mine:.2f} s / no answer in {PATIENCE} s"))
        return
    if "packets" in theirs and theirs["packets"] != ours["packets"]:
        report.fail(PART, engine, f"counts {theirs['packets']}, ours {ours['packets']}")
    report.add(Row(PART, what, mine / theirs["seconds"], "x", note=f"{mine:.2f} s / {theirs['seconds']:.2f} s"))


if __name__ == "__main__":
    print(json.dumps(answer(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))))
