/*
id: several-macs
title: Addresses with several MACs
description: >
  An address that more than one MAC has claimed or used within a network: a workload that was replaced, a failover, or
  somebody who answers ARP for a neighbour. MACs of routers, which stand for many addresses, are left out of the flows' side.
  Claims in turns (the first MAC comes back after the second) speak against a plain replacement.
kind: hunt
attack: [T1557.002]
parameters:
  router: {type: integer, default: 5, help: a MAC that sends for more addresses than this is a router's}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  ip: the address
  macs: how many MACs
  by_mac: each MAC with the time of its first and last packet, UTC
  in_turns: whether the times of two of them overlap
  claims: ARP packets in which the address was claimed
  ts_first: first sight of any, UTC
  ts_last: last sight, UTC
references:
  - "MITRE ATT&CK, T1557.002 Adversary-in-the-Middle: ARP Cache Poisoning"
  - "RFC 826, Address Resolution Protocol"
false_positives:
  - virtual addresses of clusters (VRRP, keepalived), moved virtual machines, pods that reuse an address
*/
WITH used AS (
    SELECT network, src_ip AS ip, src_mac AS mac, min(ts) AS came, max(ts_end) AS went, 0 AS claims
    FROM flows
    WHERE src_pkts > 0 AND src_mac IS NOT NULL AND src_ip NOT IN ('0.0.0.0', '::')
    GROUP BY ALL
    UNION ALL
    SELECT network, dst_ip, dst_mac, min(ts), max(ts_end), 0
    FROM flows
    WHERE dst_pkts > 0 AND dst_mac IS NOT NULL
    GROUP BY ALL
),
routers AS (SELECT network, mac FROM used GROUP BY ALL HAVING count(DISTINCT ip) > $router),
claimed AS (
    SELECT network, src_ip AS ip, src_mac AS mac, min(ts) AS came, max(ts) AS went, count(*) AS claims
    FROM arp
    WHERE src_ip IS NOT NULL AND src_ip <> '0.0.0.0' AND src_mac IS NOT NULL
    GROUP BY ALL
),
seen AS (
    SELECT network, ip, mac, min(came) AS came, max(went) AS went, sum(claims) AS claims
    FROM (SELECT * FROM used ANTI JOIN routers USING (network, mac) UNION ALL SELECT * FROM claimed)
    GROUP BY ALL
),
ordered AS (
    SELECT *, coalesce(came < max(went) OVER (PARTITION BY network, ip ORDER BY came, mac ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), false) AS doubled
    FROM seen
)
SELECT
    network, ip,
    count(*) AS macs,
    array_to_string(list(mac || strftime(came, ' %Y-%m-%dT%H:%M:%S..') || strftime(went, '%H:%M:%S') ORDER BY came, mac)[1:20], ', ') AS by_mac,
    bool_or(doubled) AS in_turns,
    sum(claims)::BIGINT AS claims,
    min(came) AS ts_first,
    max(went) AS ts_last
FROM ordered
GROUP BY network, ip
HAVING count(*) > 1
ORDER BY in_turns DESC, macs DESC, network, ip
LIMIT $rows
