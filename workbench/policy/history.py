"""What a case recorded, read for judging: flows with who their ends were then, and who holds which address.

Who began a flow (docs/policy-replay.md): TCP as its handshake tells, turned round where only the responder's own SYN or the
originator's SYN+ACK was seen; of a row without history as its flags tell, and where there are none either as it is written if
its source knows who began (ORIENTED). Other protocols begin with their first packet, ICMP answers belong to who asked.
Undetermined are TCP without a handshake, flows that were turned by their ports alone, ICMP errors, which follow the flow that
they are about, and what names a protocol, port or type that there is not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.claimants import Claimants, ends_of, people_of
from workbench.policy.contested import Held
from workbench.policy.members import Selector
from workbench.policy.recorded import IMPOSSIBLE, KNOWN, MID_STREAM, RELATED, Columns, Gathering, History, gathered, microseconds
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks, Question

#: Seconds after its last packet for which a flow without an end is taken to go on (docs/flows.md, idle timeouts).
_IDLE_TCP: Final = 300
_IDLE: Final = 60
_MASK: Final = (1 << 64) - 1
#: Kind of a row of `workloads` that stands for more claimants than are told by name.
MANY: Final = "many"


#: Kinds of sources whose rows say src where they mean the originator. Of others (VPC flow logs, Hubble, EVE, tables of whoever's)
#: src may be who was seen first, and nothing in a row tells those apart.
ORIENTED: Final = ("zeek", "psm")
#: Whether flags, ORed over each side's packets, show that src began: dst answered its SYN with SYN+ACK, or it sent a SYN and no
#: ACK ever, unless dst did so, too. SYN and ACK of one side alone are a connection that it began or a SYN+ACK: nobody can tell.
_BEGAN: Final = """coalesce(src_flags, 0) & 2 <> 0 AND (coalesce(dst_flags, 0) & 18 = 18
  OR src_flags & 16 = 0 AND coalesce(dst_flags, 0) & 18 <> 2)"""
#: Begun by the responder: known, and turned round. What STATE_SQL says of a flow is this or one of policy.recorded.
TURNED: Final = 3
STATE_SQL: Final = f"""CASE
WHEN proto NOT BETWEEN 0 AND 255 OR src_port NOT BETWEEN 0 AND 65535 OR dst_port NOT BETWEEN 0 AND 65535
  OR proto IN (1, 58) AND src_port > 255 THEN {IMPOSSIBLE}
WHEN proto = 6 AND history IS NOT NULL THEN CASE WHEN contains(history, 'S') OR contains(history, 'h') THEN {KNOWN}
  WHEN contains(history, 'H') OR contains(history, 's') THEN {TURNED} ELSE {MID_STREAM} END
WHEN proto = 6 AND src_flags IS NULL AND dst_flags IS NULL THEN
  CASE WHEN coalesce(conn_state, '') <> 'OTH' AND source_id IN (SELECT s.source_id FROM sources s WHERE s.kind IN {ORIENTED!r})
    THEN {KNOWN} ELSE {MID_STREAM} END
WHEN proto = 6 THEN CASE WHEN {_BEGAN} THEN {KNOWN} ELSE {MID_STREAM} END
WHEN proto = 1 AND src_port IN (3, 4, 5, 11, 12) OR proto = 58 AND src_port IN (1, 2, 3, 4) THEN {RELATED}
WHEN proto = 1 AND (src_port = 0 AND dst_port = 8 OR src_port = 14 AND dst_port = 13) THEN {TURNED}
WHEN proto = 58 AND src_port = 129 AND dst_port = 128 THEN {TURNED}
WHEN history IS NOT NULL AND starts_with(history, '^') THEN {MID_STREAM} ELSE {KNOWN} END"""

_LIVE: Final = f"""(end_reason IS NULL OR end_reason IN (2, 4)) AND dst_pkts > 0
AND ts_end >= (SELECT max(ts_end) FROM flows) - to_seconds(CASE WHEN proto = 6 THEN {_IDLE_TCP} ELSE {_IDLE} END)"""


def read_history(question: Question, where: Where = EVERYTHING) -> History:
    """All flows that a filter keeps. CancelledError when stopped.

    10 million take some seconds; memory is that of `History`, for flows come in pieces.
    """
    networks = _networks(question, where)
    named = bool(question.query("SELECT 1 FROM flow_identity LIMIT 1").num_rows)
    several = Claimants(question, where) if named else None
    gathering = Gathering()
    for batch in question.batches(_flows_sql(where, named), (*where.params, networks)):
        gathering.add(_columns(batch, several))
    missing = f"SELECT count(*) AS n FROM flows WHERE ({where.sql}) AND (src_lo IS NULL OR dst_lo IS NULL)"
    without = int(question.query(missing, where.params)["n"][0].as_py())
    return gathered(gathering, ends_of(question, gathering.ends(), networks, several), without)


def _networks(question: Question, where: Where) -> list[str]:
    found = question.query(f"SELECT DISTINCT network FROM flows WHERE {where.sql} ORDER BY network", where.params)
    return [str(name) for name in found["network"].to_pylist()]


def _flows_sql(where: Where, named: bool) -> str:
    who = "coalesce(i.{0}_wid, 0) AS {0}_wid, coalesce(i.{0}_claimants, 0) > 1 AS {0}_several"
    nobody = "0::BIGINT AS {0}_wid, false AS {0}_several"
    held = ", ".join((who if named else nobody).format(side) for side in ("src", "dst"))
    join = "LEFT JOIN flow_identity i ON i.flow_id = f.flow_id" if named else ""
    return f"""
WITH f AS (SELECT *, {STATE_SQL} AS state, {_LIVE} AS live FROM flows
  WHERE ({where.sql}) AND src_lo IS NOT NULL AND dst_lo IS NOT NULL)
SELECT f.flow_id, epoch_us(ts) AS ts, epoch_us(ts_end) AS ts_end, src_hi, src_lo, dst_hi, dst_lo, {held},
  (n.code - 1)::INTEGER AS network, (proto & 255)::UTINYINT AS proto, state::UTINYINT AS state,
  (coalesce(CASE WHEN (proto IN (1, 58)) = (state = {TURNED}) THEN dst_port ELSE src_port END, 0) & 65535)::USMALLINT AS service,
  src_bytes + dst_bytes AS bytes, live::UTINYINT AS live
FROM f {join}
JOIN (SELECT unnest(names) AS name, generate_subscripts(names, 1) AS code FROM (SELECT ?::VARCHAR[] AS names)) n
  ON f.network = n.name"""


def _columns(batch: pa.RecordBatch, several: Claimants | None) -> Columns:
    """A batch with the responder first where it began the flow."""
    had = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
    sides = []
    for side in ("src", "dst"):
        workload = had[f"{side}_wid"]
        if several is not None and had[f"{side}_several"].any():
            at = np.flatnonzero(had[f"{side}_several"])
            workload = workload.copy()
            workload[at] = several.codes(had["flow_id"][at], side)
        sides.append([had[f"{side}_hi"], had[f"{side}_lo"], workload])
    turned = had["state"] == TURNED
    if turned.any():
        src, dst = sides
        sides = [[np.where(turned, b, a) for a, b in zip(one, other, strict=True)] for one, other in ((src, dst), (dst, src))]
    (src_hi, src_lo, src), (dst_hi, dst_lo, dst) = sides
    state = np.where(turned, KNOWN, had["state"]).astype(np.uint8)
    ends = (src_hi, src_lo, src), (dst_hi, dst_lo, dst)
    same = (had[name] for name in ("ts", "ts_end", "bytes", "live"))
    return Columns(had["flow_id"], *ends, had["network"], had["proto"], had["service"], state, *same)


def resolver_of(question: Asks) -> Held:
    """Who held which address when, by `workloads`; a time of None is now. Reads the table once.

    An address that several claim is a selector's where it means all of them, else nobody's: what is pushed has no members that
    are guesses. Those where it means some (or nobody says whom: too many claim it) are told as contested.
    """
    found = question.query(
        "SELECT hi, lo, epoch_us(ts_from) AS first, epoch_us(ts_to) AS last, labels, namespace, kind, mac, network, claimants"
        " FROM workloads ORDER BY hi, lo"
    )
    people = people_of(found, np.ones(found.num_rows, bool))
    hi, lo = (found[name].to_numpy() for name in ("hi", "lo"))
    first = found["first"].fill_null(np.iinfo(np.int64).min).to_numpy()
    last = found["last"].fill_null(np.iinfo(np.int64).max).to_numpy()
    several = found["claimants"].to_numpy() > 1
    many = several & pc.fill_null(pc.equal(found["kind"], MANY), False).to_numpy(zero_copy_only=False).astype(bool)

    def where(rows: NDArray[np.bool_], at: datetime | None) -> AddressSet:
        moment = microseconds(at or datetime.now(UTC))
        chosen = np.flatnonzero(rows & (first <= moment) & (moment < last))
        return set_of(hi[chosen], lo[chosen])

    def shared(selector: Selector, at: datetime | None) -> tuple[AddressSet, AddressSet]:
        """Of addresses that several claim, those of which some are meant, and those of which some are not."""
        meant = people.meant(selector)
        return where(several & (meant | many), at), where(several & (~meant | many), at)

    def sure(selector: Selector, at: datetime | None) -> AddressSet:
        some, others = shared(selector, at)
        return where(people.meant(selector) & ~several, at) | (some - others)

    def contested(selector: Selector, at: datetime | None) -> AddressSet:
        some, others = shared(selector, at)
        return some & others

    return Held(sure, contested)


def set_of(hi: NDArray[np.int64], lo: NDArray[np.int64]) -> AddressSet:
    """Addresses given as two halves, as a set."""
    values = {(h & _MASK) << 64 | low & _MASK for h, low in zip(hi.tolist(), lo.tolist(), strict=True)}
    return addresses.of_ranges((value, value) for value in values)
