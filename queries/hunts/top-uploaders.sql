/*
id: top-uploaders
title: Who sends most to the outside
description: >
  Inside hosts by the payload that they sent to addresses outside, whichever end began the connection, with the share of it
  that flowed out. Downloads are ordinary; a workload that sends more than it fetches deserves a question. Counts are scaled
  where telemetry is sampled.
kind: hunt
attack: [T1041, T1048, T1567]
parameters:
  least: {type: integer, default: 100000, help: bytes sent by a pair at least}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  host: who sends
  peer: to whom outside
  sent: payload bytes out
  received: payload bytes back
  share_out: sent as a share of both
  flows: flows of the pair
  services: ports of the responders, at most ten
  ts_first: first packet, UTC
  ts_last: last packet, UTC
references:
  - "MITRE ATT&CK, TA0010 Exfiltration"
false_positives:
  - backups, replication, logs and metrics that are sent elsewhere on purpose
  - public servers, which send what they are asked for
*/
WITH pairs AS (
    SELECT
        network, src_ip, dst_ip,
        any_value(src_addr) AS src_addr,
        any_value(dst_addr) AS dst_addr,
        sum(coalesce(src_payload, src_bytes) * sampling)::BIGINT AS forth,
        sum(coalesce(dst_payload, dst_bytes) * sampling)::BIGINT AS back,
        count(*) AS flows,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last
    FROM flows
    GROUP BY ALL
    HAVING greatest(forth, back) >= $least
),
placed AS (
    SELECT
        *,
        len(list_filter($internal, lambda one: src_addr BETWEEN one.low AND one.high)) > 0 AS src_inside,
        len(list_filter($internal, lambda one: dst_addr BETWEEN one.low AND one.high)) > 0
        OR dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                        AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB
        OR dst_addr >= '\xFF'::BLOB AS dst_inside
    FROM pairs
),
sides AS (
    SELECT network, src_ip, dst_ip, src_ip AS host, dst_ip AS peer, forth AS sent, back AS received, flows, ts_first, ts_last
    FROM placed WHERE src_inside AND NOT dst_inside
    UNION ALL
    SELECT network, src_ip, dst_ip, dst_ip, src_ip, back, forth, flows, ts_first, ts_last
    FROM placed WHERE dst_inside AND NOT src_inside
),
ranked AS (SELECT * FROM sides WHERE sent >= $least ORDER BY sent DESC, host, peer LIMIT $rows),
services AS (
    SELECT network, src_ip, dst_ip, array_to_string(list_sort(list(DISTINCT proto_name || coalesce('/' || dst_port, '')))[1:10], ' ') AS services
    FROM flows SEMI JOIN ranked USING (network, src_ip, dst_ip)
    GROUP BY ALL
)
SELECT
    r.network, r.host, r.peer, r.sent, r.received, r.sent / greatest(r.sent + r.received, 1) AS share_out, r.flows, s.services,
    r.ts_first, r.ts_last
FROM ranked r JOIN services s USING (network, src_ip, dst_ip)
ORDER BY sent DESC, host, peer
