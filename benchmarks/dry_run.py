"""The policy dry run: 1,000 rules on 10 million flows, and what the impact pane asks after every key on 1 million.

Flows are made in memory, so that judging is measured and not reading: once as data centres have them (clients that ask the same
few servers over and over) and once with every flow different. Peers do the same on the same flows: NumPy, a mask a rule and
the first that matches; the database engine, a join of flows and rules on ranges.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Report, Row
from workbench.policy.impact import Session
from workbench.policy.judging import judge
from workbench.policy.loader import load
from workbench.policy.model import Policy
from workbench.policy.recorded import KNOWN, Columns, Ends, Gathering, History, gathered
from workbench.policy.resolved import resolve
from workbench.policy.selectors import PARTS, People
from workbench.policy.written import text_of

PART: Final = "policy"
SECONDS: Final = 2.0
KEYSTROKE_MS: Final = 300.0
_BASE: Final = 0xFFFF << 32 | 10 << 24
_PORTS: Final = np.array([443, 53, 80, 22, 445, 8443, 6443, 2049, 3306, 123])
_SERVICES: Final = ["tcp/443", "udp/53", "tcp/80", "tcp/22", "tcp/445", "tcp/8000-9000", "tcp/6443", "nfs", "mysql", "ntp"]
_DAY: Final = 86_400_000_000


def flows(count: int, *, alike: bool) -> Columns:
    """So many flows of a day. alike: 4,000 clients that ask 40 services each; else 60,000 by 4,000 hosts at random."""
    dice = np.random.default_rng(7)
    if alike:
        src = np.minimum(dice.power(0.5, count) * 4000, 3999).astype(np.int64)
        mixed = src * 2654435761 + (dice.power(0.6, count) * 40).astype(np.int64) * 40503 & 0xFFFFFFFF
        dst, port = (mixed >> 7) % 500, _PORTS[(mixed >> 17) % 10]
    else:
        src, dst = dice.integers(0, 60_000, count), dice.integers(0, 4000, count)
        port = _PORTS[dice.integers(0, 10, count)]
    proto = np.where((port == 53) | (port == 123), 17, 6).astype(np.uint8)
    zero, ts = np.zeros(count, np.int64), np.sort(dice.integers(0, _DAY, count))
    return Columns(
        np.arange(count), (zero, _BASE + src, zero), (zero, _BASE + (128 << 16) + dst, zero), np.zeros(count, np.int32),
        proto, port.astype(np.uint16), np.full(count, KNOWN, np.uint8), ts, ts + 1000, np.full(count, 1000),
        zero.astype(np.uint8),
    )  # fmt: skip


def gather(columns: Columns, piece: int = 1 << 20) -> History:
    """As a case is read: in pieces, alike flows counted together."""
    gathering = Gathering()
    for start in range(0, len(columns.ts), piece):
        cut = slice(start, start + piece)
        values: list[Any] = [getattr(columns, field.name) for field in fields(columns)]
        gathering.add(Columns(*(tuple(v[cut] for v in value) if isinstance(value, tuple) else value[cut] for value in values)))
    hi, lo, _, _ = gathering.ends()
    nobody = People({part: np.zeros(1, np.int32) for part in PARTS}, np.zeros(1, bool), {part: [""] for part in PARTS})
    party = np.unique(lo, return_inverse=True)[1].astype(np.int32)
    return gathered(gathering, Ends(hi, lo, np.zeros(len(hi), np.int32), party, nobody, []))


def policy(rules: int, *, boxes: int = 3) -> Policy:
    """So many rules between prefixes and hosts, each with up to `boxes` prefixes a side and services."""
    dice = random.Random(rules)
    made = [
        {
            "name": f"r{n}",
            "tier": dice.choice(["admin", "app", "app", "baseline"]),
            "priority": n,
            "action": dice.choice(["allow", "allow", "deny"]),
            "from": [f"10.0.{dice.randrange(235)}.0/24" for _ in range(dice.randint(1, boxes))],
            "to": [f"10.128.{dice.randrange(16)}.{dice.randrange(16) * 16}/28" for _ in range(dice.randint(1, boxes))],
            "services": dice.choices(_SERVICES, k=dice.randint(1, boxes)),
        }
        for n in range(rules)
    ]
    said = {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "bench"}, "internal": ["10.0.0.0/8"]}
    return Policy.model_validate(said | {"rules": made})


def edited(had: Policy, turn: int) -> Policy:
    """The same policy after a key: another rule allows what it denied, and another prefix."""
    rules = list(had.rules)
    n = turn * 37 % len(rules)
    changed = {"action": "deny" if rules[n].action == "allow" else "allow", "from_": [f"10.0.{turn % 235}.0/24"]}
    rules[n] = rules[n].model_copy(update=changed)
    return had.model_copy(update={"rules": rules})


def measure(report: Report, rounds: int, scale: float, *, peers: bool) -> None:
    """All rows of this part."""
    count = max(int(10_000_000 * scale), 10_000)
    ruled = policy(1000)
    judge(gather(flows(1000, alike=True)), ruled)  # what is compiled is loaded before anything is measured
    for alike in (True, False):
        what = f"1,000 rules, {count / 1e6:g}M flows, {'alike' if alike else 'all different'}"
        columns = flows(count, alike=alike)
        found = _timed(report, what, rounds, lambda given=columns: judge(gather(given), ruled))
        report.add(Row(PART, f"{what}: gathered and judged", found, "s", SECONDS))
        history = gather(columns)
        found = _timed(report, f"{what}, again", rounds, lambda given=history: judge(given, ruled))
        report.add(Row(PART, f"{what}: judged again", found, "s", SECONDS))
    for alike in (True, False):
        _keystrokes(report, rounds, max(int(1_000_000 * scale), 10_000), alike=alike)
    if peers:
        _race(report, rounds, max(int(1_000_000 * scale), 10_000))


def _timed(report: Report, what: str, rounds: int, action: Callable[[], object]) -> float:
    seconds, cpu = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        action()
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    report.times.setdefault(PART, {})[what] = seconds
    report.cpu.setdefault(PART, {})[what] = cpu
    return statistics.median(seconds)


def _keystrokes(report: Report, rounds: int, count: int, *, alike: bool) -> None:
    history = gather(flows(count, alike=alike))
    for rules in (10, 100, 1000):
        base = policy(rules)
        key = _keys(Session(history, base), base, max(rounds, 7))
        what = f"{rules:,} rules, {count / 1e6:g}M flows, {len(history.rows):,} questions"
        found = _timed(report, f"a key: {what}", max(rounds, 7), key)
        report.add(Row(PART, f"a key: {what}", found * 1000, "ms", KEYSTROKE_MS))


def _keys(session: Session, base: Policy, count: int) -> Callable[[], object]:
    """Another key each time it is called: what the editor does from the text to the impact."""
    session.update(base)
    texts = iter([text_of(edited(base, turn)) for turn in range(1, count + 1)])

    def key() -> None:
        loaded = load([("policy.yaml", next(texts))])
        resolve(loaded.policy)
        session.update(loaded.policy)

    return key


def _race(report: Report, rounds: int, count: int) -> None:
    """Ours and the peers' on the same flows and rules, one prefix a side and one service each; all must agree."""
    plain, columns = policy(1000, boxes=1), flows(count, alike=False)
    rules = _numbers(resolve(plain))
    said: dict[str, NDArray[Any]] = {}

    def run(name: str, action: Callable[[], NDArray[Any]]) -> None:
        said[name] = action()

    def ourselves() -> NDArray[Any]:
        found = judge(gather(columns), plain)
        return found.intended.decided[found.history.told.row]

    ours = _timed(report, "judging", rounds, lambda: run("judging", ourselves))
    for name, peer in (("NumPy, a mask a rule", _by_masks), ("DuckDB, a join on ranges", _by_join)):
        found = _timed(report, name, 1, lambda name=name, peer=peer: run(name, lambda: peer(columns, rules)))
        if not np.array_equal(said[name], said["judging"]):
            report.fail(PART, name, "its verdicts are not ours")
        note = f"{ours:.2f} s / {found:.2f} s"
        report.add(Row(PART, f"1,000 rules, {count / 1e6:g}M flows: / {name}", ours / found, "x", note=note))


def _numbers(resolved: Any) -> NDArray[np.int64]:
    """Of each rule: source and destination from and to, protocol, port from and to."""
    rows = []
    for meant in resolved.rules:
        box = meant.boxes[0]
        rows.append((*meant.src.ranges[0], *meant.dst.ranges[0], box.proto[0], *box.dport))
    return np.array(rows, np.int64)


def _by_masks(columns: Columns, rules: NDArray[np.int64]) -> NDArray[np.int32]:
    decided = np.full(len(columns.ts), -1, np.int32)
    src, dst, port, proto = columns.src[1], columns.dst[1], columns.service, columns.proto
    for n in range(len(rules) - 1, -1, -1):  # the first that matches is written last
        a, b, c, d, p, low, high = rules[n].tolist()
        decided[(src >= a) & (src <= b) & (dst >= c) & (dst <= d) & (proto == p) & (port >= low) & (port <= high)] = n
    return decided


def _by_join(columns: Columns, rules: NDArray[np.int64]) -> NDArray[np.int32]:
    import duckdb
    import pyarrow as pa

    con = duckdb.connect()
    con.register("f", pa.table({"n": columns.flow_id, "src": columns.src[1], "dst": columns.dst[1], "port": columns.service,
                                "proto": columns.proto}))  # fmt: skip
    con.register("r", pa.table({name: rules[:, i] for i, name in enumerate("abcdpwh")} | {"rule": np.arange(len(rules))}))
    found = con.sql(
        "SELECT n, min(rule) AS rule FROM f JOIN r ON src BETWEEN a AND b AND dst BETWEEN c AND d AND proto = p"
        " AND port BETWEEN w AND h GROUP BY n"
    ).fetchnumpy()
    decided = np.full(len(columns.ts), -1, np.int32)
    decided[found["n"]] = found["rule"]
    return decided
