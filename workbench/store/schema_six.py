"""The tables of identity and of host events as schema 6 had them: what the step from 5 to 6 makes, whatever they are today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Columns by table, as they stand in CREATE TABLE.
SCHEMA_6: Final[Mapping[str, str]] = {
    "claims": (
        "source_id BIGINT NOT NULL, uid VARCHAR, name VARCHAR, namespace VARCHAR, kind VARCHAR NOT NULL, node VARCHAR, "
        "labels VARCHAR, network VARCHAR, ip VARCHAR, hi BIGINT, lo BIGINT, mac VARCHAR, ts_from TIMESTAMP, ts_to "
        "TIMESTAMP, ts_seen TIMESTAMP, origin VARCHAR NOT NULL, confidence DOUBLE NOT NULL, detail VARCHAR"
    ),
    "workloads": (
        "workload_id BIGINT NOT NULL, uid VARCHAR, name VARCHAR, namespace VARCHAR, kind VARCHAR NOT NULL, node VARCHAR, "
        "labels VARCHAR, network VARCHAR, ip VARCHAR NOT NULL, hi BIGINT NOT NULL, lo BIGINT NOT NULL, mac VARCHAR, "
        "ts_from TIMESTAMP, ts_to TIMESTAMP, claimants INTEGER NOT NULL, origin VARCHAR NOT NULL, confidence DOUBLE NOT "
        "NULL"
    ),
    "flow_identity": (
        "flow_id BIGINT NOT NULL, src_wid BIGINT, dst_wid BIGINT, ambiguous BOOLEAN NOT NULL, src_claimants INTEGER NOT "
        "NULL, dst_claimants INTEGER NOT NULL"
    ),
    "host_events": (
        "source_id BIGINT NOT NULL, ts TIMESTAMP, host VARCHAR, uid VARCHAR, kind VARCHAR NOT NULL, severity VARCHAR, "
        "activity VARCHAR, process VARCHAR, pid BIGINT, sha256 VARCHAR, command_hash VARCHAR, result VARCHAR, proto "
        "INTEGER, local_ip VARCHAR, local_port INTEGER, remote_ip VARCHAR, remote_port INTEGER, conn_state VARCHAR, "
        "message_id VARCHAR, detail VARCHAR"
    ),
}
