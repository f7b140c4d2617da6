"""Older schemas become the current one, step by step, in a copy that is published by rename.

A step brings a case from one version to the next. It works on the copy that a compaction makes, which counts for
nothing before it is renamed, so a case is either as it was or fully migrated; steps may commit as they go. Views are
made anew after the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from workbench.errors import ForeignCaseError
from workbench.records.columns import SCHEMA_VERSION
from workbench.store.engine import identifier
from workbench.store.schema import create_views, schema_version
from workbench.store.schema_four import SCHEMA_4
from workbench.store.schema_seven import SCHEMA_7
from workbench.store.schema_six import SCHEMA_6

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

#: The columns that hold addresses as numbers since version 4, from the 16 bytes that every version has.
ADDRESS_NUMBERS: Final[Mapping[str, str]] = {
    f"{side}_{half}": f"CASE WHEN octet_length({side}_addr) = 16"
    f" THEN array_slice({side}_addr, {first}, {first + 7})::BIT::BIGINT END"
    for side in ("src", "dst")
    for half, first in (("hi", 1), ("lo", 9))
}

#: A step gets the connection and the attached database's name, quoted and with its schema ("c".main.).
Step = Callable[["DuckDBPyConnection", str], None]


def _places_to_enter(con: DuckDBPyConnection, where: str) -> None:
    """1 to 2: where a source can be entered, and when each of its files was changed. What is not noted stays unknown."""
    con.execute(
        f"CREATE TABLE {where}source_blocks (source_id BIGINT NOT NULL, block BIGINT NOT NULL, record_offset BIGINT NOT NULL,"
        " frame BIGINT NOT NULL, ts_ns BIGINT NOT NULL, section_offset BIGINT, interfaces INTEGER NOT NULL)"
    )
    con.execute(f"ALTER TABLE {where}source_files ADD COLUMN mtime_ns BIGINT")
    con.execute(
        f"UPDATE {where}source_files f SET mtime_ns = s.mtime_ns FROM {where}sources s"
        " WHERE s.source_id = f.source_id AND f.n = 0"
    )


def _findings(con: DuckDBPyConnection, where: str) -> None:
    """2 to 3: what detections found. No older version kept any."""
    con.execute(
        f"CREATE TABLE {where}findings (finding_id VARCHAR NOT NULL, detection VARCHAR NOT NULL, title VARCHAR NOT NULL,"
        " severity VARCHAR NOT NULL, ts_first TIMESTAMP NOT NULL, ts_last TIMESTAMP NOT NULL, subject VARCHAR NOT NULL,"
        " object VARCHAR, score DOUBLE NOT NULL, flow_ids VARCHAR NOT NULL, flows BIGINT NOT NULL, attack VARCHAR NOT NULL,"
        " state VARCHAR NOT NULL, why VARCHAR NOT NULL, evidence VARCHAR NOT NULL, found TIMESTAMP NOT NULL,"
        " parameters VARCHAR NOT NULL)"
    )
    con.execute(f"CREATE TABLE {where}finding_flows (finding_id VARCHAR NOT NULL, flow_id BIGINT NOT NULL)")


def _application(con: DuckDBPyConnection, where: str) -> None:
    """3 to 4: what was said. Of sources indexed before, nothing is known of it: `doctor` and docs/case.md say so."""
    for table, columns in SCHEMA_4.items():
        con.execute(f"CREATE TABLE {where}{identifier(table)} ({columns})")


def _numeric_addresses(con: DuckDBPyConnection, where: str) -> None:
    """3 to 4: addresses as two numbers beside their 16 bytes. Filled by altering: only the new columns are written.

    A column at a time is written and let go, which spills where memory is short: 20 million flows take 12 s in 320 MB.
    An UPDATE holds everything in memory, and a new table is eight times as slow and doubles the file.
    """
    database = where.removesuffix(".main.")
    for name, sql in ADDRESS_NUMBERS.items():
        con.execute(f"ALTER TABLE {where}flows ADD COLUMN {name} BIGINT")
        con.execute(f"ALTER TABLE {where}flows ALTER COLUMN {name} TYPE BIGINT USING {sql}")
        con.execute(f"CHECKPOINT {database}")


def _what_was_said_and_numbers(con: DuckDBPyConnection, where: str) -> None:
    """3 to 4: both."""
    _application(con, where)
    _numeric_addresses(con, where)


def _interface_counters(con: DuckDBPyConnection, where: str) -> None:
    """4 to 5: what switches count at their interfaces. No older version kept it."""
    counts = ", ".join(f"{way}_{what} BIGINT" for way in ("in", "out") for what in ("bytes", "pkts", "discards", "errors"))
    con.execute(
        f"CREATE TABLE {where}interface_counters (source_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, agent VARCHAR NOT NULL,"
        f" if_index BIGINT NOT NULL, speed BIGINT, {counts})"
    )


def _identity(con: DuckDBPyConnection, where: str) -> None:
    """5 to 6: who held which address, what agents saw inside hosts, how clocks differ. No older version kept any."""
    for table, columns in SCHEMA_6.items():
        con.execute(f"CREATE TABLE {where}{identifier(table)} ({columns})")
    for column in ("clock_drift_ppm DOUBLE", "clock_at TIMESTAMP", "clock_reference BIGINT", "clock_flows BIGINT"):
        con.execute(f"ALTER TABLE {where}sources ADD COLUMN IF NOT EXISTS {column}")


def _decisions(con: DuckDBPyConnection, where: str) -> None:
    """6 to 7: what devices decided on flows and count by rule. No older version kept any."""
    for table, columns in SCHEMA_7.items():
        con.execute(f"CREATE TABLE {where}{identifier(table)} ({columns})")


#: version -> what brings a case of that version to the next one. Version 1 is the first.
STEPS: Final[Mapping[int, Step]] = {
    1: _places_to_enter,
    2: _findings,
    3: _what_was_said_and_numbers,
    4: _interface_counters,
    5: _identity,
    6: _decisions,
}


def migrate(con: DuckDBPyConnection, database: str, steps: Mapping[int, Step] = STEPS, target: int = SCHEMA_VERSION) -> int:
    """Run the steps from the attached case's version to `target`; how many ran.

    ForeignCaseError where a step is missing, or the case notes no version.
    """
    version = schema_version(con, database)
    if version == target:
        return 0
    where = f"{identifier(database)}.main."
    ran = 0
    for at in range(version, target):
        if at not in steps:
            raise ForeignCaseError(
                f"the case has schema {version}, and there is no way from {at} to {target}", "Index its captures again."
            )
        steps[at](con, where)
        ran += 1
    con.execute(f"UPDATE {where}case_meta SET value = ? WHERE key = 'schema_version'", [str(target)])
    for (name,) in con.execute(
        "SELECT view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal", [database]
    ).fetchall():
        con.execute(f"DROP VIEW {where}{identifier(name)}")
    create_views(con, database)
    return ran
