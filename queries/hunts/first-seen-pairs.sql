/*
id: first-seen-pairs
title: Pairs that talk for the first time
description: >
  Two hosts that exchange packets for the first time after the part of the case that is taken for ordinary, although the one
  that reaches out was there all along. What moves through a data centre sideways makes new pairs before it does anything
  else. Hosts that make many of them come first.
kind: hunt
attack: [T1021, T1570]
parameters:
  baseline: {type: number, default: 0.25, help: share of the case's time that is taken for ordinary}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: who reached out
  dst_ip: whom it reached
  ts_first: when first, UTC
  services: ports and protocols, at most ten
  flows: flows of the pair
  answered: those with packets back
  bytes: IP bytes, both directions
  new_peers: how many new peers the source has in all
references:
  - "MITRE ATT&CK, TA0008 Lateral Movement"
false_positives:
  - a deployment, a failover, a backup
  - a case that is shorter than the ordinary rhythm of the traffic in it
*/
WITH span AS (
    SELECT make_timestamp((epoch_us(min(ts)) + $baseline * (epoch_us(max(ts)) - epoch_us(min(ts))))::BIGINT) AS learnt_until FROM flows
),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        any_value(dst_addr) AS dst_addr,
        min(ts) AS ts_first,
        count(*) AS flows,
        count(*) FILTER (dst_pkts > 0) AS answered,
        sum((src_bytes + dst_bytes) * sampling)::BIGINT AS bytes
    FROM flows
    WHERE src_pkts > 0 AND src_ip IS NOT NULL
    GROUP BY ALL
),
sources AS (SELECT network, src_ip FROM pairs GROUP BY ALL HAVING min(ts_first) < (SELECT learnt_until FROM span)),
fresh AS (
    SELECT p.*
    FROM pairs p
    JOIN sources s USING (network, src_ip)
    LEFT JOIN pairs back ON back.network = p.network AND back.src_ip = p.dst_ip AND back.dst_ip = p.src_ip
    CROSS JOIN span
    WHERE
        p.ts_first >= learnt_until
        AND (back.ts_first IS NULL OR back.ts_first >= learnt_until)
        AND len(list_filter($internal, lambda one: p.dst_addr BETWEEN one.low AND one.high)) > 0
),
ranked AS (
    SELECT *, count(*) OVER (PARTITION BY network, src_ip) AS new_peers
    FROM fresh
    ORDER BY new_peers DESC, src_ip, ts_first, dst_ip
    LIMIT $rows
),
services AS (
    SELECT network, src_ip, dst_ip, array_to_string(list_sort(list(DISTINCT proto_name || coalesce('/' || dst_port, '')))[1:10], ' ') AS services
    FROM flows SEMI JOIN ranked USING (network, src_ip, dst_ip)
    GROUP BY ALL
)
SELECT r.network, r.src_ip, r.dst_ip, r.ts_first, s.services, r.flows, r.answered, r.bytes, r.new_peers
FROM ranked r JOIN services s USING (network, src_ip, dst_ip)
ORDER BY new_peers DESC, src_ip, ts_first, dst_ip
