"""Fuzzing of every application protocol through the engine: ``python -m tests.fuzz.fuzz_application [COUNT] [SEED]``.

Conversations of the sample captures (real programs' messages) are told again with some of their messages damaged, one flow
table for each: recognised, put in order, cut, read. Protocols that no sample speaks are handed the damaged messages of others.
Nothing but rows may come of it: the engine counts what a reader raises, and that count must stay 0. ``--seconds N`` goes on
for that long; ``--atheris`` as in `fuzz_decode`.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np

from tests.decode import wire as W  # noqa: N812
from tests.decode.application.feeding import survive
from tests.flows.test_streams import Piece, table_of
from tests.fuzz.fuzz_decode import guided, mutate, run
from workbench.decode.application.registry import protocols
from workbench.decode.packets import VERIFY_CHECKSUMS, decode_frames
from workbench.records.packet import FLOW, PACKET

SAMPLES = Path(__file__).parents[2] / "sample_captures"
_MOST_SAID = 40  # payloads of a conversation
_MOST_KEPT = 60  # conversations of a protocol
#: Transport, responder's port, and what was said: side and payload.
Conversation = tuple[int, int, list[tuple[int, bytes]]]


def _of(path: Path) -> list[Conversation]:
    """The conversations of a capture, those that say something."""
    data = path.read_bytes()
    _, frames, _ = W.read(data)
    rows = np.zeros(len(frames), PACKET)
    decode_frames(np.frombuffer(data, np.uint8), frames, len(frames), rows, VERIFY_CHECKSUMS)
    found: dict[tuple[int, frozenset[tuple[int, int]]], tuple[tuple[int, int], Conversation]] = {}
    for row in rows:
        if row["status"] != FLOW or row["proto"] not in (6, 17) or not row["pay_cap"]:
            continue
        src, dst = (int(row["src_lo"]), int(row["src_port"])), (int(row["dst_lo"]), int(row["dst_port"]))
        first, kept = found.setdefault((int(row["proto"]), frozenset((src, dst))), (src, (int(row["proto"]), dst[1], [])))
        if len(kept[2]) < _MOST_SAID:
            at = int(row["pay"])
            kept[2].append((int(src != first), data[at : at + int(row["pay_cap"])]))
    return [conversation for _, conversation in found.values()]


def tell(conversation: Conversation, said: list[tuple[int, bytes]]) -> str | None:
    """Say it to a flow table; the service that came of it. AssertionError where a reader failed."""
    proto, port, _ = conversation
    places = [0, 0]
    pieces = []
    for side, data in said:
        pieces.append(Piece(side, places[side], data))
        places[side] += len(data)
    table = table_of(pieces, port=port, proto=proto)
    out = table.finish()
    failed = [line for line in table.ledger() if line.reason == "application_failed"]
    assert not failed, (failed, proto, port, [(side, data.hex()) for side, data in said])
    services = [row["service"] for row in out["flows"].to_pylist()]
    return services[0] if services else None


@cache
def spoken() -> dict[str, list[Conversation]]:
    """Conversations of the samples by each protocol in them."""
    found: dict[str, list[Conversation]] = defaultdict(list)
    for path in sorted(SAMPLES.glob("*.pcapng")):
        seen: dict[str, int] = defaultdict(int)
        for conversation in _of(path):
            service = tell(conversation, conversation[2]) or ""
            seen[service] += 1
            for name in service.split(",") if service and seen[service] <= 4 else ():
                if len(found[name]) < _MOST_KEPT:
                    found[name].append(conversation)
    return dict(sorted(found.items()))


def one(seed: int) -> None:
    """One round; the seed tells it again."""
    r = random.Random(seed)
    by_name = spoken()
    known = [protocol for protocol in protocols() if protocol.reader or protocol.batch]
    protocol = r.choice(known)
    mine = by_name.get(protocol.name)
    conversation = r.choice(mine or by_name[r.choice(list(by_name))])
    other = r.choice(mine or [conversation])
    said = []
    for side, data in conversation[2]:
        made = data
        if r.random() < 0.4:
            made = mutate(r, data)
        if r.random() < 0.05:
            made = data[: r.randrange(len(data) + 1)] + r.choice(other[2])[1][r.randrange(40) :]
        if r.random() > 0.03 and made:
            said.append((side if r.random() > 0.02 else 1 - side, made))
        if r.random() < 0.03:
            said.append(r.choice(other[2]))
    tell(conversation, said)
    if protocol.reader and not mine:  # no sample speaks it: the reader gets what others say
        survive(protocol, [(side, data, len(data) + r.choice((0, 0, 900))) for side, data in said])


if __name__ == "__main__":
    if "--atheris" in sys.argv:
        guided([a for a in sys.argv[1:] if a != "--atheris"], one)
    else:
        run(one, sys.argv[1:], 2_000)
