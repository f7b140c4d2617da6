/*
id: conversations
title: Conversations, each counted once
description: >
  One row per conversation. A flow that nothing is linked to is its own conversation. Halves that lie under
  different networks (table links, cause half) become one row with both directions, under the addresses of
  the half that was seen first. The same flow seen at several sensors (any other cause) is one row with the
  counts of its first sighting, so that totals count it once.
columns:
  conversation_id: flow_id of the conversation's first flow
  flows: rows of flows it is made of
  sensor: observation point of the first flow
  network: tenant scope of the first flow
  network_back: tenant scope of the direction back, where it is another one
  ts: first packet, UTC
  ts_end: last packet, UTC
  duration: seconds
  src_ip: originator's address
  src_port: originator's port
  dst_ip: responder's address
  dst_port: responder's port
  proto: IANA protocol number
  proto_name: protocol keyword
  service: application protocol seen
  src_pkts: packets from the originator
  dst_pkts: packets from the responder
  src_bytes: IP bytes from the originator
  dst_bytes: IP bytes from the responder
  src_payload: payload bytes from the originator
  dst_payload: payload bytes from the responder
  community_id: Community ID v1
*/
WITH parts AS (
    SELECT
        l.conversation_id,
        count(*) AS n,
        min(f.ts) AS ts,
        max(f.ts_end) AS ts_end,
        min(f.network) FILTER (l.cause = 'half') AS network_back,
        coalesce(sum(f.src_pkts) FILTER (l.cause = 'half'), 0) AS pkts,
        coalesce(sum(f.src_bytes) FILTER (l.cause = 'half'), 0) AS bytes,
        coalesce(sum(f.src_payload) FILTER (l.cause = 'half'), 0) AS payload
    FROM links l JOIN flows f ON f.flow_id = l.flow_id
    WHERE l.flow_id <> l.conversation_id
    GROUP BY l.conversation_id
)
SELECT
    f.flow_id AS conversation_id,
    CAST(1 + coalesce(p.n, 0) AS BIGINT) AS flows,
    f.sensor,
    f.network,
    p.network_back,
    least(f.ts, coalesce(p.ts, f.ts)) AS ts,
    greatest(f.ts_end, coalesce(p.ts_end, f.ts_end)) AS ts_end,
    (epoch_us(greatest(f.ts_end, coalesce(p.ts_end, f.ts_end))) - epoch_us(least(f.ts, coalesce(p.ts, f.ts))))
        / CAST(1000000 AS DOUBLE) AS duration,
    f.src_ip,
    f.src_port,
    f.dst_ip,
    f.dst_port,
    f.proto,
    f.proto_name,
    f.service,
    f.src_pkts,
    CAST(f.dst_pkts + coalesce(p.pkts, 0) AS BIGINT) AS dst_pkts,
    f.src_bytes,
    CAST(f.dst_bytes + coalesce(p.bytes, 0) AS BIGINT) AS dst_bytes,
    f.src_payload,
    CAST(f.dst_payload + coalesce(p.payload, 0) AS BIGINT) AS dst_payload,
    f.community_id
FROM flows f LEFT JOIN parts p ON p.conversation_id = f.flow_id
WHERE NOT EXISTS (SELECT 1 FROM links l WHERE l.flow_id = f.flow_id AND l.conversation_id <> l.flow_id)
