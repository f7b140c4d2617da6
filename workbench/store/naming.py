"""What giving names needs of a case: its claims, the ends of its flows, the names it has, and keeping new ones.

Names are kept as findings are: a set of segments that stands for all there were, taken in by the next compaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.records.arrow import arrow_schema
from workbench.store.case import CaseFolder
from workbench.store.engine import identifier, writing
from workbench.store.query import Rows, run_query
from workbench.store.reader import CaseReader
from workbench.store.schema import column_list
from workbench.store.segments import SegmentFiles

#: Rows that are looked up at once: 8 MB of each column.
_BATCH: Final = 1_000_000
#: File of the case that says which flows were looked up when the names were kept.
_DONE: Final = "names.json"
_DONE_LIMIT: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Done:
    """Which flows were looked up. flows: source_id -> its flows, all of which were. going: sources that were being written, of
    which all flows until `last` (us) were, but for those told late.
    """

    flows: Mapping[int, int]
    going: frozenset[int] = frozenset()
    last: int = 0


def told_claims(reader: CaseReader) -> pa.Table:
    """All rows of `claims`."""
    return reader.query(f"SELECT {column_list('claims')} FROM claims").cast(arrow_schema("claims"))


def in_several_networks(reader: CaseReader, sources: Sequence[int]) -> tuple[int, list[str]]:
    """Addresses that these sources claim in any network and that flows have in more than one: how many, and in which networks."""
    sql = """
        WITH told AS (SELECT DISTINCT hi, lo FROM claims
            WHERE network IS NULL AND hi IS NOT NULL AND lo IS NOT NULL AND list_contains($sources, source_id)),
        ends AS (SELECT src_hi AS hi, src_lo AS lo, network FROM flows UNION ALL SELECT dst_hi, dst_lo, network FROM flows),
        several AS (SELECT list(DISTINCT network) AS networks FROM ends JOIN told USING (hi, lo) GROUP BY hi, lo)
        SELECT count(*) AS n, list_sort(list_distinct(flatten(list(networks)))) AS networks FROM several
        WHERE len(networks) > 1"""
    found = reader.query(sql, {"sources": list(sources)}).to_pylist()[0]
    return found["n"], found["networks"] or []


def kept_workloads(reader: CaseReader) -> pa.Table:
    """All rows of `workloads`."""
    return reader.query(f"SELECT {column_list('workloads')} FROM workloads ORDER BY workload_id").cast(arrow_schema("workloads"))


def workload_rows(reader: CaseReader, columns: Sequence[str], at: int | None) -> Rows:
    """Columns of `workloads` by address, network and time, streamed; to be closed. at: only those of that time, us since 1970."""
    listed = ", ".join(map(identifier, columns))
    held = "$1 IS NULL OR ((ts_from IS NULL OR epoch_us(ts_from) <= $1) AND (ts_to IS NULL OR epoch_us(ts_to) > $1))"
    order = "hi, lo, network NULLS FIRST, ts_from NULLS FIRST, namespace, name, uid"
    return run_query(reader, f"SELECT {listed} FROM workloads WHERE {held} ORDER BY {order}", [at])


def flows_there(reader: CaseReader) -> Done:
    """Which flows a naming that begins now will look up."""
    rows = reader.query("SELECT source_id, flows, state = 'indexing' AS going FROM sources ORDER BY source_id").to_pylist()
    going = frozenset(row["source_id"] for row in rows if row["going"])
    last = reader.query("SELECT epoch_us(max(ts_end)) AS last FROM flows")["last"][0].as_py() if going else None
    return Done({row["source_id"]: row["flows"] for row in rows if not row["going"]}, going, last or 0)


def flow_ends(
    reader: CaseReader, addresses: pa.Table, networks: list[str], condition: str, params: Mapping[str, Any]
) -> Iterator[pa.RecordBatch]:
    """Flows with an end among `addresses` (hi, lo, id, changed): flow_id, ts (us), network, src, dst as numbers.

    networks: the number of a network is its place here + 1; 0 is any other. src, dst: ids, -1 where not among them.
    condition: over a flow `f` and its ends `a` and `b`, rows of `addresses` or null. Memory stays flat.
    """
    cursor = reader.own_cursor()
    cursor.register("claimed_addresses", addresses)
    named = pa.table({"name": pa.array(networks, pa.utf8()), "n": pa.array(range(1, len(networks) + 1), pa.int32())})
    cursor.register("claimed_networks", named)
    sql = f"""
        SELECT f.flow_id, epoch_us(f.ts) AS ts, coalesce(n.n, 0)::INTEGER AS network,
               coalesce(a.id, -1)::BIGINT AS src, coalesce(b.id, -1)::BIGINT AS dst
        FROM flows f LEFT JOIN claimed_addresses a ON f.src_hi = a.hi AND f.src_lo = a.lo
        LEFT JOIN claimed_addresses b ON f.dst_hi = b.hi AND f.dst_lo = b.lo
        LEFT JOIN claimed_networks n ON f.network = n.name
        WHERE (a.id IS NOT NULL OR b.id IS NOT NULL) AND ({condition})
    """
    try:
        yield from cursor.sql(sql, params=dict(params) or None).to_arrow_reader(_BATCH)
    finally:
        cursor.close()


def other_names(reader: CaseReader, without: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """Rows of `flow_identity` of all flows but these (flow_ids in order)."""
    cursor = reader.own_cursor()
    try:
        for batch in cursor.sql(f"SELECT {column_list('flow_identity')} FROM flow_identity").to_arrow_reader(_BATCH):
            ids = batch.column("flow_id").to_numpy()
            at = np.minimum(np.searchsorted(without, ids), max(len(without) - 1, 0))
            rest = without[at] != ids if len(without) else np.ones(len(ids), bool)
            yield batch.filter(pa.array(rest)).cast(arrow_schema("flow_identity"))
    finally:
        cursor.close()


def keep_names(case: CaseFolder, workloads: pa.Table, names: Iterable[pa.RecordBatch], done: Done) -> None:
    """Replace the rows of `workloads` and `flow_identity`; whoever calls holds the case's ingest lock.

    done: which flows were looked up. DiskFullError; what the iterable raises: then nothing changed.
    """
    with writing(str(case.root)):
        SegmentFiles(case, {}).replace_whole({"workloads": workloads, "flow_identity": names})
        _note_done(case.root, workloads, done)


def looked_up(case: CaseFolder, workloads: pa.Table) -> Done | None:
    """What `done` was when these workloads were kept; None where it is not known."""
    path = case.root / _DONE
    try:
        if path.is_symlink() or path.stat().st_size > _DONE_LIMIT:
            return None
        noted = json.loads(path.read_text(encoding="utf-8"))
        if noted["of"] != _sign(workloads):
            return None
        flows = {int(source): int(count) for source, count in noted["flows"].items()}
        return Done(flows, frozenset(map(int, noted["going"])), int(noted["last"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _note_done(root: Path, workloads: pa.Table, done: Done) -> None:
    flows = {str(source): count for source, count in done.flows.items()}
    noted = {"of": _sign(workloads), "flows": flows, "going": sorted(done.going), "last": done.last}
    part = root / f".{_DONE}.tmp"
    part.write_text(json.dumps(noted) + "\n", encoding="utf-8")
    part.replace(root / _DONE)


def _sign(workloads: pa.Table) -> list[int]:
    """What tells a set of workloads from the next one well enough to see that a note is not of it."""
    ids = workloads["workload_id"].to_numpy()
    return [len(ids), int(ids.max()) if len(ids) else 0, int(ids.sum())]
