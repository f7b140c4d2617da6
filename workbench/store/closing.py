"""What is done to a case's tables before they are published: settle sources, stitch halves, link what several saw, count.

The same for the end of an index run, for a compaction and for what a crash left behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workbench.records.reasons import BY_NAME
from workbench.store.engine import identifier
from workbench.store.stitch import stitch
from workbench.store.vantages import link_sensors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def settle(con: DuckDBPyConnection, database: str, sources: Iterable[int]) -> None:
    """Make the tables true: call it inside a transaction, once, before publishing.

    Sources that are still `indexing` were interrupted: they become partial, with a ledger line, and their
    counts are those of what was kept. sources: those that are new since the last time; half flows are looked
    for in the ones whose flows lie in more than one network. A refused source that was tried again is dropped
    for the newer row. Where anything is new, conversations that several sources saw are linked anew.
    """
    where = f"{identifier(database)}.main."
    new = list(sources)
    _interrupted(con, where)
    _count_flows(con, where)
    for source_id, pairs in sorted(stitch(con, database, _in_several_networks(con, where, new)).items()):
        _ledger(con, where, source_id, "half_flows", pairs, "pairs; joined in the view conversations")
    if new:
        link_sensors(con, database)
    for table in ("ledger", "source_files", "sources"):
        con.execute(
            f"DELETE FROM {where}{table} WHERE source_id IN (SELECT a.source_id FROM {where}sources a JOIN {where}sources b"
            " ON a.path = b.path AND a.path <> '-' AND a.state = 'refused' AND b.source_id > a.source_id)"
        )


def _interrupted(con: DuckDBPyConnection, where: str) -> None:
    for (source_id,) in con.execute(f"SELECT source_id FROM {where}sources WHERE state = 'indexing'").fetchall():
        con.execute(
            f"""
            UPDATE {where}sources
            SET state = 'partial', detail = 'indexing was interrupted; what was stored until then is kept',
                packets = kept.packets, ts_first = kept.first, ts_last = kept.last
            FROM (
                SELECT least(coalesce(sum(src_pkts) + sum(dst_pkts), 0), 1::HUGEINT << 62)::BIGINT
                       + (SELECT count(*) FROM {where}arp WHERE source_id = $id) AS packets,
                       min(ts) AS first, max(ts_end) AS last
                FROM {where}flows WHERE source_id = $id
            ) kept
            WHERE source_id = $id
            """,
            {"id": source_id},
        )
        for table in ("flow_slices", "flow_blocks"):  # flows that never ended have no row
            con.execute(
                f"DELETE FROM {where}{table} WHERE flow_id >> 40 = $id"
                f" AND flow_id NOT IN (SELECT flow_id FROM {where}flows WHERE source_id = $id)",
                {"id": source_id},
            )
        _ledger(con, where, source_id, "interrupted", 0, "how much was not read is not known")


def _count_flows(con: DuckDBPyConnection, where: str) -> None:
    counts = dict(con.execute(f"SELECT source_id, count(*) FROM {where}flows GROUP BY source_id").fetchall())
    for source_id, noted in con.execute(f"SELECT source_id, flows FROM {where}sources").fetchall():
        if counts.get(source_id, 0) != noted:
            con.execute(f"UPDATE {where}sources SET flows = ? WHERE source_id = ?", [counts.get(source_id, 0), source_id])


def _in_several_networks(con: DuckDBPyConnection, where: str, sources: Iterable[int]) -> list[int]:
    ids = ", ".join(str(int(s)) for s in sources)
    if not ids:
        return []
    rows = con.execute(
        f"SELECT source_id FROM {where}flows WHERE source_id IN ({ids}) GROUP BY source_id HAVING min(network) <> max(network)"
    ).fetchall()
    return [int(row[0]) for row in rows]


def _ledger(con: DuckDBPyConnection, where: str, source_id: int, reason: str, count: int, detail: str) -> None:
    con.execute(
        f"INSERT INTO {where}ledger (source_id, reason, kind, count, detail) VALUES (?, ?, ?, ?, ?)",
        [source_id, reason, BY_NAME[reason].kind, count, detail],
    )
