/*
id: gone-silent
title: Hosts that went silent
description: >
  Hosts that sent steadily and then stopped before the case ends: a workload that was removed, crashed, was isolated, or
  moved on under another address. Those that were asked afterwards, and did not answer, come first.
kind: hunt
attack: [T1489, T1529]
parameters:
  quiet: {type: number, default: 0.25, help: "share of the case's time, at its end, without a packet of it"}
  least: {type: integer, default: 5, help: flows before at least}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  ip: who
  mac: its MAC where flows tell one
  ts_first: first packet of it, UTC
  ts_last: last packet of it, UTC
  silent: seconds from then to the end of the case
  flows: flows in which it took part before
  peers: hosts that it asked, and hosts that it answered
  asked_after: flows to it afterwards
references:
  - "MITRE ATT&CK, T1489 Service Stop, and T1529 System Shutdown/Reboot"
false_positives:
  - pods and batch jobs, which live for minutes
  - clients that ask once an hour
*/
WITH span AS (
    SELECT max(ts_end) AS until, make_timestamp((epoch_us(max(ts_end)) - $quiet * (epoch_us(max(ts_end)) - epoch_us(min(ts))))::BIGINT) AS since
    FROM flows
),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        any_value(src_mac) AS src_mac,
        any_value(dst_mac) AS dst_mac,
        min(ts) AS came,
        max(ts_end) AS went,
        count(*) AS flows,
        count(*) FILTER (dst_pkts > 0) AS answered
    FROM flows
    WHERE src_pkts > 0
    GROUP BY network, src_ip, dst_ip
),
hosts AS (
    SELECT
        network, ip, any_value(mac) AS mac, min(came) AS ts_first, max(went) AS ts_last, sum(flows)::BIGINT AS flows,
        sum(peers)::BIGINT AS peers
    FROM (
        SELECT network, src_ip AS ip, any_value(src_mac) AS mac, min(came) AS came, max(went) AS went, sum(flows) AS flows, count(*) AS peers
        FROM pairs
        GROUP BY network, src_ip
        UNION ALL
        SELECT network, dst_ip, any_value(dst_mac), min(came), max(went), sum(answered), count(*)
        FROM pairs
        WHERE answered > 0
        GROUP BY network, dst_ip
    )
    GROUP BY network, ip
    HAVING sum(flows) >= $least AND max(went) < (SELECT since FROM span)
),
asked AS (
    SELECT h.network, h.ip, count(*) AS asked_after
    FROM flows f JOIN hosts h ON h.network = f.network AND h.ip = f.dst_ip
    WHERE f.ts > h.ts_last
    GROUP BY ALL
)
SELECT
    h.network, h.ip, h.mac, h.ts_first, h.ts_last,
    (epoch_us(s.until) - epoch_us(h.ts_last)) / 1e6 AS silent,
    h.flows, h.peers,
    coalesce(a.asked_after, 0) AS asked_after
FROM hosts h CROSS JOIN span s LEFT JOIN asked a ON a.network = h.network AND a.ip = h.ip
ORDER BY asked_after DESC, flows DESC, h.network, h.ip
LIMIT $rows
