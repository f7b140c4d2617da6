"""What the packets of a case themselves claim of who held an address: ARP, neighbour discovery, DHCP, DNS.

Derived from their tables each time names are given, and kept nowhere but in `workloads`: a claim that can be made again
need not be stored twice.
"""

from __future__ import annotations

import ipaddress
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from workbench.records.arrow import arrow_schema
from workbench.store.reader import Asks

#: What a claim of each origin is worth, as docs/identity.md says.
DHCP: Final = 0.7
DNS: Final = 0.3
ARP: Final = 0.2  # a MAC without a name takes no name's place

#: A host that is heard again within this long was there all the time; one that is not heard for a day may have gone.
_ARP_GAP: Final = "INTERVAL 20 MINUTES"
_ARP_HOLDS: Final = "INTERVAL 1 DAY"
#: A name holds as long as its answer may be kept, within these bounds: what was looked up is used for a while. Seconds.
_TTL: Final = (300, 86_400)
_FOR_EVER: Final = 4_294_967_295

#: Neighbour discovery (RFC 4861) is ICMPv6 of types 133 to 136. Its packets are never routed: whoever sends one stands on this
#: link, so that the MAC is its own. They are flows like any other, of seconds.
ND_TYPES: Final = "proto = 58 AND src_port BETWEEN 133 AND 136"

_ARP: Final = f"""
WITH found AS (
    SELECT source_id, network, src_ip AS ip, src_mac AS mac, ts, ts_end, src_pkts AS packets FROM flows
    WHERE {ND_TYPES} AND src_pkts > 0
    UNION ALL SELECT source_id, network, dst_ip, dst_mac, ts, ts_end, dst_pkts FROM flows WHERE {ND_TYPES} AND dst_pkts > 0
), told AS (
    SELECT source_id, network, src_ip AS ip, src_mac AS mac, ts, 1 AS packets, 'arp' AS origin FROM arp WHERE src_ip <> '0.0.0.0'
    UNION ALL SELECT source_id, network, ip, mac, ts, packets, 'nd' FROM found WHERE ip <> '::'
    UNION ALL SELECT source_id, network, ip, mac, ts_end, 0, 'nd' FROM found WHERE ip <> '::' AND ts_end > ts
), heard AS (
    SELECT *, ts - lag(ts) OVER (PARTITION BY network, ip, mac ORDER BY ts) <= {_ARP_GAP} AS goes_on
    FROM told WHERE mac NOT IN ('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff')
), runs AS (
    SELECT *, count(*) FILTER (goes_on IS NOT true) OVER (PARTITION BY network, ip, mac ORDER BY ts) AS run FROM heard
), held AS (
    SELECT min(source_id) AS source_id, network, ip, mac, min(ts) AS first, max(ts) AS last, sum(packets)::BIGINT AS packets,
           min(origin) AS origin
    FROM runs GROUP BY network, ip, mac, run
)
SELECT h.source_id, 'mac:' || h.mac AS uid, 'host' AS kind, h.network, h.ip, h.mac, h.first AS ts_from,
       least(coalesce(o.first, h.last + {_ARP_HOLDS}), h.last + {_ARP_HOLDS}) AS ts_to, h.last AS ts_seen, h.origin,
       {ARP}::DOUBLE AS confidence, h.packets || ' packets' AS detail
FROM held h ASOF LEFT JOIN held o ON h.network = o.network AND h.ip = o.ip AND h.last < o.first
"""

#: An address is given until the lease is over, it is released, or another is given it.
_DHCP: Final = f"""
WITH told AS (
    SELECT flow_id >> 40 AS source_id, f.network, d.ts, d.message, coalesce(d.client_mac, d.client_id) AS client,
           d.client_mac AS mac, d.host_name,
           CASE WHEN d.message IN ('ACK', 'REPLY', 'BOOTREPLY') THEN d.assigned_ip ELSE d.client_ip END AS ip,
           d.message IN ('ACK', 'REPLY', 'BOOTREPLY') AS given, d.lease
    FROM dhcp d JOIN flows f USING (flow_id)
    WHERE d.message IN ('ACK', 'REPLY', 'BOOTREPLY', 'RELEASE', 'DECLINE') AND coalesce(d.client_mac, d.client_id) IS NOT NULL
), events AS (
    SELECT *, coalesce(lag(client || given) OVER (PARTITION BY network, ip ORDER BY ts, given) <> client || given, true) AS turn
    FROM told WHERE ip IS NOT NULL AND ip NOT IN ('0.0.0.0', '::')
), numbered AS (
    SELECT *, count(*) FILTER (turn) OVER (PARTITION BY network, ip ORDER BY ts, given) AS run FROM events
), turns AS (
    SELECT network, ip, run - 1 AS run, min(ts) AS over FROM numbered GROUP BY ALL
), names AS (
    SELECT coalesce(client_mac, client_id) AS client, ts, host_name FROM dhcp
    WHERE host_name IS NOT NULL AND coalesce(client_mac, client_id) IS NOT NULL
)
SELECT e.source_id, CASE WHEN e.mac IS NULL THEN 'dhcp:' ELSE 'mac:' END || e.client AS uid, n.host_name AS name,
       'host' AS kind, e.network, e.ip, e.mac, e.ts AS ts_from,
       least(CASE WHEN e.lease < {_FOR_EVER} THEN e.ts + to_seconds(e.lease) END, t.over) AS ts_to, e.ts AS ts_seen,
       'dhcp' AS origin, {DHCP}::DOUBLE AS confidence, 'lease of ' || coalesce(e.lease || ' s', 'unknown length') AS detail
FROM numbered e LEFT JOIN turns t USING (network, ip, run) ASOF LEFT JOIN names n ON e.client = n.client AND e.ts >= n.ts
WHERE e.given
"""

_DNS: Final = f"""
WITH answers AS (
    SELECT flow_id, ts, query, unnest(string_split(answers, ',')) AS ip,
           TRY_CAST(unnest(string_split(ttls, ',')) AS BIGINT) AS ttl
    FROM dns WHERE answers IS NOT NULL AND query IS NOT NULL AND (rcode IS NULL OR rcode = 'NOERROR')
), told AS (
    SELECT flow_id >> 40 AS source_id, f.network, a.ts, a.query, a.ip,
           a.ts + to_seconds(least(greatest(coalesce(a.ttl, 0), {_TTL[0]}), {_TTL[1]})) AS until
    FROM answers a JOIN flows f USING (flow_id)
    WHERE regexp_full_match(a.ip, '[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}|[0-9a-f:.]*:[0-9a-f:.]*')
), runs AS (
    SELECT *, coalesce(ts <= max(until) OVER (PARTITION BY network, query, ip ORDER BY ts
                                     ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS goes_on FROM told
), numbered AS (
    SELECT *, count(*) FILTER (NOT goes_on) OVER (PARTITION BY network, query, ip ORDER BY ts ROWS UNBOUNDED PRECEDING) AS run
    FROM runs
)
SELECT min(source_id) AS source_id, 'dns:' || query AS uid, query AS name, 'name' AS kind, network, ip, min(ts) AS ts_from,
       max(until) AS ts_to, max(ts) AS ts_seen, 'dns' AS origin, {DNS}::DOUBLE AS confidence, count(*) || ' answers' AS detail
FROM numbered GROUP BY network, query, ip, run
"""


#: Planning a question takes longer than an empty table deserves.
_ASKED: Final = (
    (f"(SELECT count(*) FROM arp) + (SELECT count(*) FROM flows WHERE {ND_TYPES})", _ARP),
    ("(SELECT count(*) FROM dhcp)", _DHCP),
    ("(SELECT count(*) FROM dns)", _DNS),
)


def claimed(asks: Asks) -> pa.Table:
    """Rows of `claims` (its schema) that `arp`, ICMPv6 in `flows`, `dhcp` and `dns` give. CancelledError when stopped."""
    counted = ", ".join(f"{count} AS n{n}" for n, (count, _) in enumerate(_ASKED))
    rows = asks.query(f"SELECT {counted}").to_pylist()[0]
    found = [_as_claims(asks.query(sql)) for n, (_, sql) in enumerate(_ASKED) if rows[f"n{n}"]]
    return pa.concat_tables([arrow_schema("claims").empty_table(), *found])


def _as_claims(rows: pa.Table) -> pa.Table:
    schema = arrow_schema("claims")
    if not rows.num_rows:
        return schema.empty_table()
    hi, lo = _numbers(rows["ip"])
    known = {name: rows[name] for name in rows.column_names} | {"hi": hi, "lo": lo}
    columns = [known[f.name].cast(f.type) if f.name in known else pa.nulls(rows.num_rows, f.type) for f in schema]
    return pa.table(columns, schema=schema)


def _numbers(texts: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Addresses as two numbers, null for what is none; each distinct text is read once."""
    encoded = pc.dictionary_encode(texts.combine_chunks())
    halves = [address_numbers(text) for text in encoded.dictionary.to_pylist()]
    return (
        pa.array([h[0] if h else None for h in halves], pa.int64()).take(encoded.indices),
        pa.array([h[1] if h else None for h in halves], pa.int64()).take(encoded.indices),
    )


def address_numbers(text: str) -> tuple[int, int] | None:
    """Upper and lower 64 bits of an address's 16 bytes, two's complement, as `flows` has them; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    packed = address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
    return int.from_bytes(packed[:8], "big", signed=True), int.from_bytes(packed[8:], "big", signed=True)
