"""What is known of one workload and why: claims that stand, those that a stronger one beat, who else had its addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from workbench.analysis.workload_traffic import Peer, peers
from workbench.analysis.workloads import Workload
from workbench.store.pages import Where
from workbench.store.reader import Asks

#: Claims and holders of its addresses that are told.
MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Claim:
    """One row of `claims`. mine: of this workload; else it claims one of its addresses while it held it."""

    mine: bool
    words: str
    kind: str
    ip: str | None
    network: str | None
    first: int | None
    last: int | None
    origin: str
    confidence: float
    detail: str | None


@dataclass(frozen=True, slots=True)
class Holder:
    """Who held an address, and when: a row of `workloads`. mine: the workload itself."""

    ip: str
    network: str | None
    words: str
    first: int | None
    last: int | None
    claimants: int
    mine: bool


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that is told of one workload. claims, beaten, rivals: its own; weaker ones; equal or stronger ones of others.

    holders: who held its addresses, in the order of time. peers_in_all: of whom `peers` are the first by bytes.
    """

    claims: tuple[Claim, ...]
    beaten: tuple[Claim, ...]
    rivals: tuple[Claim, ...]
    holders: tuple[Holder, ...]
    peers: tuple[Peer, ...]
    peers_in_all: int


_WORDS: Final = "coalesce(CASE WHEN name IS NOT NULL THEN coalesce(namespace || '/', '') || name END, mac, ip, uid)"


def known(asks: Asks, where: Where, one: Workload) -> Known:
    """Look it up: some 50 ms of a case of a million flows. CancelledError when stopped."""
    found = _claims(asks, one)
    strongest = max((held.confidence for held in one.tenures), default=0.0)
    others = [claim for claim in found if not claim.mine]
    met, count = peers(asks, where, [held.row for held in one.tenures])
    return Known(
        tuple(claim for claim in found if claim.mine),
        tuple(claim for claim in others if claim.confidence < strongest),
        tuple(claim for claim in others if claim.confidence >= strongest),
        _holders(asks, one),
        tuple(met),
        count,
    )


def _claims(asks: Asks, one: Workload) -> list[Claim]:
    """Its own claims, and those that touch its addresses while it held them."""
    sql = f"""
WITH held AS (SELECT ip, network, ts_from, ts_to FROM workloads WHERE workload_id IN (SELECT unnest(?::BIGINT[])))
SELECT coalesce(c.uid, '') = ? AS mine, {_WORDS} AS words,
       c.kind, c.ip, c.network, epoch_us(c.ts_from) AS first, epoch_us(c.ts_to) AS last, c.origin, c.confidence, c.detail
FROM claims c
WHERE c.uid = ? OR EXISTS (SELECT 1 FROM held h WHERE h.ip = c.ip
  AND (h.network IS NULL OR c.network IS NULL OR h.network = c.network)
  AND (h.ts_to IS NULL OR c.ts_from IS NULL OR c.ts_from < h.ts_to)
  AND (h.ts_from IS NULL OR c.ts_to IS NULL OR c.ts_to > h.ts_from))
ORDER BY mine DESC, c.confidence DESC, c.ts_from NULLS FIRST, c.origin, words LIMIT {MOST}"""
    ids = [held.row for held in one.tenures]
    return [Claim(**row) for row in asks.query(sql, (ids, one.uid, one.uid)).to_pylist()]


def _holders(asks: Asks, one: Workload) -> tuple[Holder, ...]:
    """Everyone who ever held one of its addresses in the same network, itself among them."""
    sql = f"""
WITH held AS (SELECT DISTINCT ip, network FROM workloads WHERE workload_id IN (SELECT unnest(?::BIGINT[])))
SELECT w.ip, w.network, {_WORDS} AS words, epoch_us(ts_from) AS first, epoch_us(ts_to) AS last, claimants,
       coalesce(uid, 'row ' || workload_id) = ? AS mine
FROM workloads w WHERE EXISTS (SELECT 1 FROM held h WHERE h.ip = w.ip AND h.network IS NOT DISTINCT FROM w.network)
ORDER BY w.ip, w.network NULLS FIRST, ts_from NULLS FIRST, workload_id LIMIT {MOST}"""
    rows: Sequence[dict[str, Any]] = asks.query(sql, ([held.row for held in one.tenures], one.uid)).to_pylist()
    return tuple(Holder(**row) for row in rows)
