"""Who moves most, and on which services."""

from __future__ import annotations

from typing import Final, Literal

import pyarrow as pa

from workbench.analysis.places import host_text_sql
from workbench.store.pages import EVERYTHING, Where
from workbench.store.reader import Asks

By = Literal["bytes", "flows"]
_BY: Final[dict[By, str]] = {"bytes": "sent + received", "flows": "flows"}

#: A service: what was seen spoken, or where nothing was, the protocol and the responder's port.
SERVICE: Final = (
    "CASE WHEN service IS NOT NULL AND service <> '' THEN service"
    " WHEN proto IN (6, 17, 33, 132, 136) AND dst_port IS NOT NULL THEN proto_name || '/' || dst_port"
    " ELSE proto_name END"
)


def talkers(asks: Asks, where: Where = EVERYTHING, count: int = 12) -> pa.Table:
    """Hosts that are among the first `count` by bytes or by flows, whichever side of a flow they are on.

    Columns host, sent and received (IP bytes), flows, and by_bytes and by_flows: their places, from 1. Ordered by bytes.
    A flow of a host with itself counts on both sides. Group and broadcast addresses are no hosts.
    """
    return asks.query(
        "WITH sides AS (SELECT src_ip AS host, sum(src_bytes) AS sent, sum(dst_bytes) AS received, count(*) AS flows"
        f" FROM flows WHERE src_ip IS NOT NULL AND ({where.sql}) GROUP BY src_ip"
        " UNION ALL SELECT dst_ip, sum(dst_bytes), sum(src_bytes), count(*)"
        f" FROM flows WHERE dst_ip IS NOT NULL AND ({where.sql}) GROUP BY dst_ip),"
        " hosts AS (SELECT host, sum(sent)::BIGINT AS sent, sum(received)::BIGINT AS received, sum(flows)::BIGINT AS flows"
        f" FROM sides WHERE {host_text_sql('host')} GROUP BY host),"
        " placed AS (SELECT *, row_number() OVER (ORDER BY sent + received DESC, host) AS by_bytes,"
        " row_number() OVER (ORDER BY flows DESC, host) AS by_flows FROM hosts)"
        f" SELECT * FROM placed WHERE by_bytes <= {int(count)} OR by_flows <= {int(count)} ORDER BY by_bytes",
        where.params * 2,
    )


def services(asks: Asks, where: Where = EVERYTHING, by: By = "bytes", count: int = 12) -> pa.Table:
    """Services with most bytes or flows: columns label, service (null where none was seen), proto, port, bytes, flows."""
    order = "bytes" if by == "bytes" else "flows"
    return asks.query(
        "WITH kinds AS (SELECT service, proto, proto_name,"
        " CASE WHEN service IS NULL OR service = '' THEN dst_port END AS dst_port,"
        " sum(src_bytes) + sum(dst_bytes) AS bytes, count(*) AS flows"
        f" FROM flows WHERE {where.sql} GROUP BY ALL)"
        f" SELECT {SERVICE} AS label, any_value(nullif(service, '')) AS service, any_value(proto) AS proto,"
        " any_value(CASE WHEN proto IN (6, 17, 33, 132, 136) THEN dst_port END) AS port,"
        " sum(bytes)::BIGINT AS bytes, sum(flows)::BIGINT AS flows"
        f" FROM kinds GROUP BY label ORDER BY {order} DESC, label LIMIT {int(count)}",
        where.params,
    )
