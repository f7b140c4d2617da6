"""What a dataplane did with probes beside what the plain engine says; also `make enforce`: many policies, on both.

python -m tests.lab.enforced --policies 200 --probes 100
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.lab.enforcing import Enforcer, Prober, verdict
from tests.lab.frames import ICMP, ICMP6, SCTP, TCP, UDP, Probe
from tests.push import compiling
from workbench.policy.addresses import V4, address_text
from workbench.policy.model import Policy
from workbench.push import nft, ovs

COMPILERS: dict[str, Any] = {"ovs": ovs, "nft": nft}
#: Open vSwitch's userspace datapath tracks SCTP by addresses alone (3.1): an association lets in all others between its ends.
ALONE = {"ovs": (47, SCTP), "nft": (47,)}
THROUGH = ("allow", "unmanaged")
EVERYTHING = Policy.model_validate(
    {"apiVersion": "workbench/v1", "kind": "Policy", "metadata": {"name": "open"}, "defaults": {"east_west": "allow"}}
)


@dataclass
class Tried:
    """wrong: in words, what was not as the engine says."""

    passed: int = 0
    stopped: int = 0
    wrong: list[str] = field(default_factory=list)


def load(lab: Enforcer, policy: Policy, tried: Tried) -> None:
    """Compile, load, read back and prove."""
    compiler = COMPILERS[lab.kind]
    meant = compiling.members(policy)
    made = compiler.compile_rules(meant)
    lab.load(made.text)
    proof = compiler.prove(made, meant, lab.loaded())
    tried.wrong += [*proof.problems, *(one.text() for one in proof.examples)]


def try_new(lab: Enforcer, prober: Prober, policy: Policy, count: int) -> Tried:
    """First packets, then of those that came through the answers and what follows."""
    tried = Tried()
    load(lab, policy, tried)
    probes = prober.probes(count)
    judged = {probe.number: verdict(policy, probe) for probe in probes}
    through = {number for number, one in judged.items() if one.verdict in THROUGH}
    _compare(tried, "new", probes, through, lab.send(probes, 0, False, through), judged)
    live = [probe for probe in probes if probe.number in through]
    _compare(tried, "reply", live, through, lab.send(live, 1, True, through), judged)
    _compare(tried, "established", live, through, lab.send(live, 2, False, through), judged)
    tried.passed, tried.stopped = len(through), len(probes) - len(through)
    return tried


def try_established(lab: Enforcer, prober: Prober, policy: Policy, count: int) -> Tried:
    """Connections that live when a policy arrives: cut where a rule that cuts decides on them, kept everywhere else."""
    tried = Tried()
    load(lab, EVERYTHING, tried)
    probes = prober.probes(count)
    every = {probe.number for probe in probes}
    for step, back in ((0, False), (1, True)):
        if (came := lab.send(probes, step, back, every)) != every:
            tried.wrong.append(f"without rules {len(every - came)} do not come through")
    load(lab, policy, tried)
    cutting = {f"{policy.metadata.name}/{rule.name}" for rule in policy.rules if rule.existing == "cut"}
    judged = {probe.number: verdict(policy, probe) for probe in probes}
    kept = {number for number, one in judged.items() if one.rule not in cutting}
    _compare(tried, "live, a reply", probes, kept, lab.send(probes, 3, True, kept), judged)
    _compare(tried, "live", probes, kept, lab.send(probes, 2, False, kept), judged)
    tried.passed, tried.stopped = len(kept), len(probes) - len(kept)
    return tried


def _compare(tried: Tried, what: str, probes: list[Probe], meant: set[int], came: set[int], judged: Any) -> None:
    for probe in probes:
        if (probe.number in meant) != (probe.number in came):
            did = "came through" if probe.number in came else "did not come"
            tried.wrong.append(f"{what}: {probe} {did}: {judged[probe.number]}")


def with_sctp(policy: Policy) -> Policy:
    """The same policy, of SCTP where it speaks of TCP."""
    said = policy.model_dump(by_alias=True, exclude_defaults=True) | {"apiVersion": "workbench/v1", "kind": "Policy"}
    for rule in said.get("rules", []):
        rule["services"] = [text.replace("tcp", "sctp", 1) for text in rule.get("services", ["any"])]
    return Policy.model_validate(said)


def traced(lab: Enforcer, policy: Policy, probe: Probe) -> tuple[bool, bool]:
    """Whether the engine lets a new connection through, and whether `ofproto/trace` does."""
    four = probe.src in V4
    word = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMP6: "icmp"}.get(probe.proto)
    base = (word or ("ip" if four else "ipv")) + ("" if four else "6")
    ends = ("nw_src={},nw_dst={}" if four else "ipv6_src={},ipv6_dst={}").format(address_text(probe.src), address_text(probe.dst))
    more = f"tcp_src={probe.sport},tcp_dst={probe.dport},tcp_flags=syn" if probe.proto == TCP else f"nw_proto={probe.proto}"
    if probe.proto == UDP:
        more = f"udp_src={probe.sport},udp_dst={probe.dport}"
    elif probe.proto in (ICMP, ICMP6):
        more = f"icmp{'' if four else 'v6'}_type={8 if four else 128}"
    words = ["ovs-appctl", "ofproto/trace", "ovsbr1", f"in_port=pf0vf0,{base},{ends},{more}", "--ct-next", "trk,new"]
    said = re.findall(r"Datapath actions: (.*)", lab.run("mid", words))
    return verdict(policy, probe).verdict in THROUGH, said[-1] != "drop"


def _many(kind: Literal["ovs", "nft"], policies: int, probes: int, first: int, sctp: bool) -> int:
    began, wrong, sent = time.monotonic(), 0, 0
    totals = Tried()
    with Enforcer(kind) as lab:
        prober = Prober(first, sctp, ALONE[kind])
        for seed in range(first, first + policies):
            lab.forget()
            if kind == "ovs":  # which has forgotten them
                prober.pairs.clear()
            for attempt in (try_new, try_established):
                policy = compiling.policy(random.Random(seed), 12)
                tried = attempt(lab, prober, with_sctp(policy) if sctp else policy, probes)
                sent += 3 * probes
                totals.passed, totals.stopped = totals.passed + tried.passed, totals.stopped + tried.stopped
                for line in tried.wrong[:5]:
                    print(f"{kind}, policy {seed}: {line}")
                wrong += len(tried.wrong)
    seconds = time.monotonic() - began
    print(f"{kind}: {policies} policies, {2 * policies * probes} connections, about {sent} packets, {seconds:.0f} s")
    print(f"  {totals.passed} let through or kept, {totals.stopped} stopped or cut, {wrong} not as the engine says")
    return wrong


def main() -> int:
    """1 where anything was not as the engine says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=100)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sctp", action="store_true", help="SCTP in place of TCP")
    parser.add_argument("--kinds", nargs="*", default=["ovs", "nft"], choices=["ovs", "nft"])
    asked = parser.parse_args()
    return int(any([_many(kind, asked.policies, asked.probes, asked.seed, asked.sctp) for kind in asked.kinds]))  # noqa: C419  both run


if __name__ == "__main__":
    sys.exit(main())
