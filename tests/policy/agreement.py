"""All engines on the same policies and packets: the plain evaluator, what judges recorded flows, lists of rules and diagrams.

Recorded flows are judged as the program does it (`policy.judging`), on every policy; z3 looks at some.

`python -m tests.policy.agreement` (or `make agree`): 100,000 random policies, a few packets at their edges each. Stops at the
first disagreement with the number that makes it again: `--first NUMBER --policies 1`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from tests.policy import made, test_judging
from workbench.policy import addresses, judging
from workbench.policy.addresses import V4, V4_FIRST
from workbench.policy.decisions.verdicts import OUTCOMES, Judges
from workbench.policy.model import Policy
from workbench.policy.naive import Packet, judge
from workbench.policy.resolved import resolve

PACKETS = 6
#: One policy in so many is given to z3, with the one before it.
SAMPLE = 1000
#: Flows with workloads that each policy is judged on besides, as meant and as pushed.
WORKLOADS = 6
#: Verdicts as kinds of change to none; nobody's are no change.
_SAID = np.zeros((8, 8), np.uint8)
_SAID[[OUTCOMES["allow"], OUTCOMES["deny"], OUTCOMES["reject"]], 0] = OUTCOMES["allow"], OUTCOMES["deny"], OUTCOMES["reject"]
_PIECE = 250


def agree(dice: random.Random, most: int = 8, packets: int = PACKETS) -> Counter[str]:
    """One policy; how many packets got which verdict. AssertionError where engines disagree."""
    policy = made.policy(dice, most)
    some = [made.packet(dice) for _ in range(packets)]
    at = some[0].at
    some = [Packet(p.src, p.dst, p.proto, p.sport, p.dport, at, p.initiator_known) for p in some]
    as_recorded(policy, some)
    return Counter(by_diagrams(policy, some))


def as_recorded(policy: Policy, packets: list[Packet]) -> None:
    """Verdict, deciding rule and all that would have matched next, of packets as flows of a case."""
    history = test_judging.history_of([(packet, (0, 0), "") for packet in packets])
    found = judging.judge(history, policy, made.resolver, packets[0].at)
    for row, packet in zip(history.told.row.tolist(), packets, strict=True):
        want, said = judge(policy, packet, made.resolver), found.enforced
        assert (judging.VERDICTS[said.verdict[row]], found.rule_id(row, said)) == (want.verdict, want.rule), packet
        assert found.others(row, enforced=True) == want.others, packet


def by_diagrams(policy: Policy, packets: list[Packet]) -> list[str]:
    """Verdicts, after diagrams and lists said the same. packets: of one time."""
    resolved = resolve(policy, made.resolver, packets[0].at)
    judged = {}
    seen = []
    for packet in packets:
        want = judge(policy, packet, made.resolver).verdict
        seen.append(want)
        if want == "undetermined":
            continue
        wide = 32 if packet.src.address in V4 else 128
        assert (packet.dst.address in V4) == (wide == 32)
        if wide not in judged:
            judges = Judges(wide, [(resolved, resolved.rules)])
            judged[wide] = judges.space, judges.changes(_SAID), judges.verdicts(0)
        space, found, root = judged[wide]
        shift = V4_FIRST if wide == 32 else 0
        header = packet.proto, packet.dst.address - shift, packet.dport, packet.src.address - shift, packet.sport
        of = packet, addresses.address_text(packet.src.address)
        assert space.outcome(root, header) == OUTCOMES[want], of
        assert (found.outcome(space.numbers(header)) or OUTCOMES["unmanaged"]) == OUTCOMES[want], of
    return seen


def _piece(first: int, policies: int) -> tuple[Counter[str], int, str]:
    """Verdicts, pairs that z3 confirmed, and what disagreed."""
    seen: Counter[str] = Counter()
    confirmed = 0
    for seed in range(first, first + policies):
        try:
            seen += agree(random.Random(seed))
            test_judging.agree(seed, flows=WORKLOADS)
            if seed % SAMPLE == 0:
                from tests.policy.test_z3 import confirm

                confirm(seed)
                confirmed += 1
        except AssertionError as wrong:
            return seen, confirmed, f"seed {seed}: {wrong}"
    return seen, confirmed, ""


def main(argv: list[str] | None = None) -> int:
    """The command line; 1 where engines disagree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--policies", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    last = options.first + options.policies
    pieces = [(first, min(_PIECE, last - first)) for first in range(options.first, last, _PIECE)]
    seen: Counter[str] = Counter()
    confirmed = done = 0
    began = time.monotonic()
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for (_, count), (some, sampled, wrong) in zip(pieces, pool.map(_piece, *zip(*pieces, strict=True)), strict=True):
            if wrong:
                print(f"DISAGREE {wrong}")
                pool.shutdown(cancel_futures=True)
                return 1
            seen += some
            confirmed += sampled
            done += count
            if done % 5000 == 0:
                print(f"{done} policies, {seen.total()} packets, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{done} policies and {seen.total()} packets: all engines agree; z3 confirmed {confirmed} differences")
    print(", ".join(f"{verdict} {count}" for verdict, count in seen.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
