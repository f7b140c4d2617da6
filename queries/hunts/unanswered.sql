/*
id: unanswered
title: Sources whose attempts come to nothing
description: >
  By source: connections that were refused, reset or left half open, and UDP that nobody answered. Scanners stand on top;
  below them is what is broken, asks for hosts that are gone, or is cut off by a policy.
kind: hunt
attack: [T1046, T1018]
parameters:
  least: {type: integer, default: 10, help: attempts at least}
  share: {type: number, default: 0.5, help: share of them at least that came to nothing}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: who tries
  attempts: flows that wanted an answer
  unanswered: no packet came back
  refused: refused or reset before anything was said
  half_open: answered, and then left or reset by the originator
  share: share of attempts that came to nothing
  targets: hosts that were tried
  ports: ports that were tried
  ts_first: first attempt, UTC
  ts_last: last attempt, UTC
references:
  - "MITRE ATT&CK, T1046 Network Service Discovery"
  - "Zeek, conn.log: conn_state"
false_positives:
  - monitoring of hosts that are down, clients of a service that was moved
  - a capture that holds one direction only, counters and logs over UDP that nobody answers
*/
WITH tried AS (
    SELECT
        network, src_ip, dst_ip, dst_port, ts,
        dst_pkts = 0 AS unanswered,
        proto = 6 AND (conn_state = 'REJ' OR (conn_state IN ('RSTR', 'RSTRH') AND NOT contains(history, 'h'))) AS refused,
        proto = 6 AND dst_pkts > 0 AND coalesce(dst_payload, 0) = 0 AND coalesce(src_payload, 0) = 0
            AND contains(history, 'h') AND NOT contains(history, 'F') AND NOT contains(history, 'f') AS half_open
    FROM flows
    WHERE
        src_pkts > 0
        AND ((proto = 6 AND conn_state NOT IN ('OTH', 'SHR')) OR (proto = 17 AND dst_port < 49152))
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
)
SELECT
    network, src_ip,
    count(*) AS attempts,
    count(*) FILTER (unanswered) AS unanswered,
    count(*) FILTER (refused) AS refused,
    count(*) FILTER (half_open) AS half_open,
    count(*) FILTER (unanswered OR refused OR half_open) / count(*) AS share,
    count(DISTINCT dst_ip) AS targets,
    count(DISTINCT dst_port) AS ports,
    min(ts) AS ts_first,
    max(ts) AS ts_last
FROM tried
GROUP BY network, src_ip
HAVING count(*) >= $least AND count(*) FILTER (unanswered OR refused OR half_open) >= $share * count(*)
ORDER BY attempts * share DESC, network, src_ip
LIMIT $rows
