"""A scenario from its seed to its scores: played, indexed, given names by each origin alone, by all, and late."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from tests.lab.identity import evidence, judge, plan, world
from tests.lab.identity.table import Late, Shown
from workbench.store.reader import CaseReader
from workbench.workflows.inventory import import_inventory
from workbench.workflows.naming import name_flows
from workbench.workflows.requests import InventoryRequest

WIRE = ("dhcp", "arp", "dns")
"""origins that are tables of the case, by the same name"""
CLUSTERS = ("red", "blue")
KEPT = {name: (name,) for name in ("kubernetes", "csv", *WIRE)} | {"no list": ("kubernetes", *WIRE)}
"""what is kept of all evidence, for a score of its own"""


def workbench(*words: str | Path) -> str:
    """The program itself; its stdout. CalledProcessError with what it said where it fails."""
    line = [sys.executable, "-m", "workbench", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line[2:])}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def take_cluster(case: Path, log: Path, network: str) -> None:
    """A cluster's log; its pods are of that network, which they don't say themselves."""
    import_inventory(InventoryRequest((str(log),), case, "kubernetes", network=network))


def take_inventory(case: Path, rows: Path) -> None:
    """An inventory."""
    import_inventory(InventoryRequest((str(rows),), case, "claims"))


def only(case: Path, origins: Sequence[str], into: Path) -> Path:
    """The case with what these origins say and nothing else, named by them. Packets are told of by the tables that they fill."""
    shutil.copytree(case, into)
    with duckdb.connect(str(into / "case.duckdb")) as raw:
        raw.execute("DELETE FROM claims WHERE NOT list_contains(?, origin)", [list(origins)])
        for table in WIRE:
            if table not in origins:
                raw.execute(f"DELETE FROM {table}")
    name_flows(into)
    return into


class Scenario:
    """What a plan left, in a folder of its own."""

    def __init__(self, played: world.Played, folder: Path) -> None:
        self.played, self.folder = played, folder
        self.truth = judge.Truth(played.held)
        self.wire = folder / "wire"
        workbench("index", played.capture, "--case", self.wire)

    def tell(self, case: Path, held: Iterable[world.Held], mark: str, until: int | None = None) -> None:
        """Import what clusters and the inventory say of these holders."""
        rows = list(held)
        tenants = {tenant.name: tenant.network for tenant in self.played.plan.tenants}
        for tenant in CLUSTERS:
            log = self.folder / f"{tenant}-{mark}.jsonl"
            evidence.watch_log(log, rows, tenant, until)
            take_cluster(case, log, tenants[tenant])
        listed = self.folder / f"inventory-{mark}.csv"
        evidence.inventory(listed, rows if until is None else [row for row in rows if row.end and row.end <= until])
        take_inventory(case, listed)

    def shown(self, kept: Mapping[str, Sequence[str]] = KEPT) -> Shown:
        """The scores of everything together and of these parts of the evidence."""
        everything = self.folder / "all"
        shutil.copytree(self.wire, everything)
        self.tell(everything, self.played.held, "whole")
        made = Shown([self.played.plan.seed], late=self.late(everything))
        for name, origins in kept.items():
            made.scores[name] = judge.score(only(everything, origins, self.folder / name), self.truth, name)
        made.scores["all"] = judge.score(everything, self.truth, "all")
        with CaseReader(everything) as case:
            made.flows = case.query("SELECT count(*) AS n FROM flows")["n"][0].as_py()
        pods = [held for held in self.played.held if held.kind == "pod" and ":" not in held.ip]
        made.workloads, made.packets = len(pods), self.played.counted["packets"]
        made.dropped = self.played.counted["dropped"]
        made.reused = len(pods) - len({(held.network, held.ip) for held in pods})
        return made

    def late(self, whole: Path) -> Late:
        """Half of the evidence, and the rest of it when every flow had a name already: what was changed, and what had to be."""
        case = self.folder / "late"
        shutil.copytree(self.wire, case)
        pods = sorted(held.begin for held in self.played.held if held.kind == "pod")
        self.tell(case, self.played.held, "half", until=pods[len(pods) // 2])
        before = judge.named(case)
        self.tell(case, self.played.held, "rest")
        after, due = judge.named(case), judge.named(whole)
        flows = before.keys() | after.keys() | due.keys()
        changed = {flow for flow in flows if before.get(flow) != after.get(flow)}
        wanted = {flow for flow in flows if before.get(flow) != due.get(flow)}
        other = (changed ^ wanted) | {flow for flow in flows if after.get(flow) != due.get(flow)}
        with CaseReader(case) as reader:
            count = reader.query("SELECT count(*) AS n FROM flows")["n"][0].as_py()
        return Late(count, len(wanted), len(changed), len(other))


def play(seed: int, folder: Path, **sizes: float) -> Scenario:
    """A scenario of that seed, played now."""
    return Scenario(world.run(plan.make(seed, **sizes), folder), folder)  # type: ignore[arg-type]
