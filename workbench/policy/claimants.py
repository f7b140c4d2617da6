"""Who the ends of recorded flows were: one workload, nobody, or one of several that claim the address with equal right."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.policy.recorded import Ends
from workbench.policy.selectors import PARTS, People
from workbench.store.pages import Where
from workbench.store.reader import Asks

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

#: Claimants of an end with equal right: those of its network where they are at least as strong as those of any network.
_SEVERAL: Final = """
WITH f AS (SELECT flow_id, ts, network, src_hi, src_lo, dst_hi, dst_lo FROM flows WHERE {condition}),
asked AS (
  SELECT flow_id, 'src' AS side, ts, f.network, src_hi AS hi, src_lo AS lo FROM f JOIN flow_identity USING (flow_id)
  WHERE src_claimants > 1
  UNION ALL SELECT flow_id, 'dst', ts, f.network, dst_hi, dst_lo FROM f JOIN flow_identity USING (flow_id)
  WHERE dst_claimants > 1),
held AS (
  SELECT a.flow_id, a.side, w.workload_id, rank() OVER (PARTITION BY a.flow_id, a.side
    ORDER BY round(w.confidence * 100) DESC, w.network IS NULL) AS place
  FROM asked a JOIN workloads w ON w.hi = a.hi AND w.lo = a.lo AND (w.network IS NULL OR w.network = a.network)
    AND (w.ts_from IS NULL OR w.ts_from <= a.ts) AND (w.ts_to IS NULL OR w.ts_to > a.ts)
  WHERE w.claimants > 1)
SELECT flow_id, side, string_agg(workload_id, ',' ORDER BY workload_id) AS ids FROM held WHERE place = 1
GROUP BY flow_id, side ORDER BY flow_id"""


class Claimants:
    """Sets of workloads that claim an end of a flow with equal right, numbered."""

    def __init__(self, question: Asks, where: Where) -> None:
        found = question.query(_SEVERAL.format(condition=where.sql), where.params)
        coded = pc.dictionary_encode(found["ids"].combine_chunks())
        self.sets = [tuple(int(word) for word in text.split(",")) for text in coded.dictionary.to_pylist()]
        flows, side = found["flow_id"].to_numpy(), found["side"].to_numpy(zero_copy_only=False)
        number = coded.indices.to_numpy().astype(np.int64)
        self._of = {name: (flows[side == name], number[side == name]) for name in ("src", "dst")}

    def codes(self, flows: Ints, side: str) -> Ints:
        """Of each flow's end a number below 0: -1 where nobody can be named, else -2 less the number of its set."""
        known, number = self._of[side]
        if not len(known):
            return np.full(len(flows), -1, np.int64)
        at = np.minimum(np.searchsorted(known, flows), len(known) - 1)
        return np.where(known[at] == flows, -2 - number[at], -1)


def people_of(workloads: pa.Table, claimed: NDArray[np.bool_]) -> People:
    """Rows of `workloads` as people, one each."""
    codes: dict[str, Codes] = {}
    values: dict[str, list[str]] = {}
    for part in PARTS:
        codes[part], values[part] = _coded(workloads[part])
    return People(codes, claimed, values)


def ends_of(question: Asks, known: tuple[Ints, Ints, Ints, Codes], networks: list[str], several: Claimants | None) -> Ends:
    """Who numbered ends were. known: hi, lo, workload (or a number of `Claimants`), network of each."""
    hi, lo, workload, network = known
    sets = several.sets if several is not None else []
    candidates: dict[int, tuple[int, ...]] = {}
    more: list[tuple[int, int]] = []  # (end, workload) of what an end may be
    for end in np.flatnonzero(workload < -1).tolist():
        members = sets[-2 - int(workload[end])]
        candidates[end] = tuple(len(hi) + len(more) + n for n in range(len(members)))
        more += [(end, member) for member in members]
    of = np.array([end for end, _ in more], np.int64)
    hi, lo, network = np.r_[hi, hi[of]], np.r_[lo, lo[of]], np.r_[network, network[of]]
    workload = np.concatenate([workload, np.array([member for _, member in more], np.int64)])
    rows = question.query(
        "SELECT workload_id, kind, uid, labels, namespace, mac, "
        "CASE WHEN name IS NOT NULL THEN coalesce(namespace || '/', '') || name"
        " WHEN uid NOT LIKE 'mac:%' THEN uid ELSE '' END AS words "
        "FROM workloads ORDER BY workload_id"
    ) if (workload > 0).any() else _NOBODY  # fmt: skip
    ids = rows["workload_id"].to_numpy()
    at = np.minimum(np.searchsorted(ids, workload), max(len(ids) - 1, 0))
    claimed = (ids[at] == workload) & (workload > 0) if len(ids) else np.zeros(len(workload), bool)
    people, who = _people(rows, at, claimed, network, networks)
    words, names = _coded(rows["words"])
    party = _addresses(hi, lo) + len(names)
    named = np.flatnonzero(claimed)
    named = named[np.array([name != "" for name in names], bool)[words[at[named]]]]  # others go by their address
    party[named] = words[at[named]]
    unsure = set(np.flatnonzero(workload == -1).tolist())
    if candidates:
        many = claimed & pc.fill_null(pc.equal(rows["kind"], "many"), False).to_numpy(zero_copy_only=False).astype(bool)[at]
        unsure |= {end for end, made in candidates.items() if any(many[one] for one in made)}
    return Ends(hi, lo, who, party.astype(np.int32), people, names, candidates, frozenset(unsure))


_NOBODY: Final = pa.table(
    {"workload_id": pa.array([], pa.int64())}
    | {name: pa.array([], pa.utf8()) for name in ("words", "kind", "uid", "labels", "namespace", "mac")}
)


def _people(rows: pa.Table, at: Ints, claimed: NDArray[np.bool_], network: Codes, networks: list[str]) -> tuple[People, Codes]:
    """Different people, and which of them each end is. at: its row, where it is claimed."""
    codes: dict[str, Ints] = {}
    values: dict[str, Any] = {"network": networks or [""]}
    for part in PARTS:
        if part == "network":
            codes[part] = network.astype(np.int64)
            continue
        of_row, values[part] = _coded(rows[part])
        codes[part] = np.zeros(len(at), np.int64)
        codes[part][claimed] = of_row[at[claimed]]
    key = claimed.astype(np.int64)
    for part in PARTS:
        key = _ranks(key * len(values[part]) + codes[part])
    _, first, who = np.unique(key, return_index=True, return_inverse=True)
    parts = {part: codes[part][first].astype(np.int32) for part in PARTS}
    return People(parts, claimed[first], values), who.astype(np.int32)


def _coded(column: pa.ChunkedArray) -> tuple[Codes, list[str]]:
    """Codes of texts, null as '', which is always the first of them."""
    texts = pa.chunked_array([pa.array([""], pa.utf8()), *pc.fill_null(column.cast(pa.utf8()), "").chunks], pa.utf8())
    coded = pc.dictionary_encode(texts.combine_chunks())
    return coded.indices.to_numpy()[1:].astype(np.int32), coded.dictionary.to_pylist()


def _ranks(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _addresses(hi: Ints, lo: Ints) -> Ints:
    """A number of each address, whatever network it is in."""
    low = _ranks(lo)
    return _ranks(_ranks(hi) * (int(low.max(initial=0)) + 1) + low)
