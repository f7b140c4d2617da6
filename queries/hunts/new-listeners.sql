/*
id: new-listeners
title: Services that answer for the first time
description: >
  A host that begins to accept connections on a port in the middle of the case, when nobody had been answered there before:
  a backdoor, a proxy, a forgotten debug port. The first part of the case is taken for ordinary, and only hosts that were
  already there in it count, since everything is new of a workload that has just started.
kind: hunt
attack: [T1205, T1571, T1090]
parameters:
  baseline: {type: number, default: 0.25, help: share of the case's time that is taken for ordinary}
  ephemeral: {type: integer, default: 32768, help: UDP ports from here on are taken for clients' own}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  dst_ip: who listens
  proto_name: protocol
  dst_port: where
  ts_first: first answered connection, UTC
  ts_last: last packet of one, UTC
  first_client: who was answered first
  clients: how many were answered
  flows: answered flows
  dst_bytes: IP bytes that were answered
references:
  - "MITRE ATT&CK, T1571 Non-Standard Port, and T1205 Traffic Signaling"
false_positives:
  - a service that was installed or restarted on purpose
  - a service that is asked once a day, in a case that is shorter than that
*/
WITH span AS (
    SELECT make_timestamp((epoch_us(min(ts)) + $baseline * (epoch_us(max(ts)) - epoch_us(min(ts))))::BIGINT) AS learnt_until FROM flows
),
known AS (
    SELECT DISTINCT network, ip
    FROM (
        SELECT network, src_ip AS ip FROM flows, span WHERE ts < learnt_until
        UNION ALL
        SELECT network, dst_ip FROM flows, span WHERE ts < learnt_until AND dst_pkts > 0
    )
),
listeners AS (
    SELECT
        network, dst_ip, proto_name, dst_port,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last,
        arg_min(src_ip, ts) AS first_client,
        count(DISTINCT src_ip) AS clients,
        count(*) AS flows,
        sum(dst_bytes * sampling)::BIGINT AS dst_bytes
    FROM flows
    WHERE
        (proto = 6 AND contains(history, 'h'))
        OR (proto = 17 AND dst_pkts > 0 AND src_pkts > 0 AND dst_port < $ephemeral)
    GROUP BY ALL
)
SELECT l.*
FROM listeners l
JOIN known k ON k.network = l.network AND k.ip = l.dst_ip
CROSS JOIN span
WHERE l.ts_first >= span.learnt_until
ORDER BY ts_first, dst_ip, dst_port
LIMIT $rows
