"""The tables of what devices decided as schema 7 had them: what the step from 6 to 7 makes, whatever they are today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Columns by table, as they stand in CREATE TABLE.
SCHEMA_7: Final[Mapping[str, str]] = {
    "verdicts": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, verdict VARCHAR NOT NULL, rule_id VARCHAR, origin VARCHAR NOT NULL, "
        "target VARCHAR, digest VARCHAR, packets BIGINT"
    ),
    "rule_counters": (
        "target VARCHAR NOT NULL, ts TIMESTAMP NOT NULL, since TIMESTAMP, digest VARCHAR, rule_id VARCHAR NOT NULL, verdict "
        "VARCHAR NOT NULL, packets BIGINT, bytes BIGINT, offload VARCHAR NOT NULL"
    ),
}
