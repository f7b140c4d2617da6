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
WITH tried AS NOT MATERIALIZED (
    SELECT
        network, src_ip, src_hi, src_lo, dst_hi, dst_lo, dst_port, ts,
        dst_pkts = 0 AS unanswered,
        proto = 6 AND (conn_state = 'REJ' OR (conn_state IN ('RSTR', 'RSTRH') AND NOT contains(history, 'h'))) AS refused,
        proto = 6 AND dst_pkts > 0 AND coalesce(dst_payload, 0) = 0 AND coalesce(src_payload, 0) = 0
            AND contains(history, 'h') AND NOT contains(history, 'F') AND NOT contains(history, 'f') AS half_open
    FROM flows
    WHERE
        src_pkts > 0
        AND ((proto = 6 AND conn_state NOT IN ('OTH', 'SHR')) OR (proto = 17 AND dst_port < 49152))
        AND NOT (dst_hi = 0 AND dst_lo BETWEEN 281474439839744 AND 281474976710655)  -- 224.0.0.0 to the end of IPv4
        AND NOT dst_hi BETWEEN -72057594037927936 AND -1  -- ff00::/8
),
sources AS (  -- everybody, by counts alone: sets of targets and ports of millions of sources would not fit
    SELECT
        network, src_hi, src_lo,
        count(*) AS attempts,
        count(*) FILTER (unanswered OR refused OR half_open) AS failed
    FROM tried
    GROUP BY network, src_hi, src_lo
),
first AS MATERIALIZED (  -- those that are shown, with all that tie with the last
    SELECT network, src_hi, src_lo, attempts, failed / attempts AS share
    FROM sources
    WHERE attempts >= $least AND failed >= $share * attempts
    QUALIFY rank() OVER (ORDER BY attempts * (failed / attempts) DESC) <= $rows
)
SELECT
    t.network, t.src_ip,
    any_value(f.attempts) AS attempts,
    count(*) FILTER (t.unanswered) AS unanswered,
    count(*) FILTER (t.refused) AS refused,
    count(*) FILTER (t.half_open) AS half_open,
    any_value(f.share) AS share,
    count(DISTINCT (t.dst_hi, t.dst_lo)) AS targets,
    count(DISTINCT t.dst_port) AS ports,
    min(t.ts) AS ts_first,
    max(t.ts) AS ts_last
FROM tried t JOIN first f ON t.network = f.network AND t.src_lo = f.src_lo AND t.src_hi = f.src_hi
GROUP BY t.network, t.src_ip
ORDER BY any_value(f.attempts) * any_value(f.share) DESC, t.network, t.src_ip
LIMIT $rows
