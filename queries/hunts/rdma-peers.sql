/*
id: rdma-peers
title: Who reaches into whose memory
description: >
  Pairs that speak RoCEv2 (UDP 4791). RDMA moves data between memories without the hosts' kernels, so nothing on the hosts
  sees it. Storage and training clusters have fixed peers; another one among them stands out here.
kind: hunt
attack: [T1570, T1005]
parameters:
  port: {type: integer, default: 4791, help: the UDP port}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  a: one end
  b: the other end
  packets_ab: packets from a to b
  packets_ba: packets from b to a
  bytes_ab: IP bytes from a to b
  bytes_ba: IP bytes from b to a
  one_way: whether only one direction was seen
  flows: flows, of which each source port is one
  peers_a: peers that a has
  ts_first: first, UTC
  ts_last: last packet, UTC
references:
  - "InfiniBand Architecture Specification, Annex A17: RoCEv2"
  - "IANA: UDP port 4791, IP Routable RocE"
false_positives:
  - storage, checkpointing and collective operations of a cluster, which is what RDMA is for
*/
WITH directed AS (
    SELECT
        network, src_ip, dst_ip,
        sum(src_pkts * sampling)::BIGINT AS forth, sum(dst_pkts * sampling)::BIGINT AS back,
        sum(src_bytes * sampling)::BIGINT AS bytes_forth, sum(dst_bytes * sampling)::BIGINT AS bytes_back,
        count(*) AS flows, min(ts) AS ts_first, max(ts_end) AS ts_last
    FROM flows
    WHERE proto = 17 AND dst_port = $port
    GROUP BY ALL
),
pairs AS (
    SELECT
        network, least(src_ip, dst_ip) AS a, greatest(src_ip, dst_ip) AS b,
        sum(CASE WHEN src_ip <= dst_ip THEN forth ELSE back END)::BIGINT AS packets_ab,
        sum(CASE WHEN src_ip <= dst_ip THEN back ELSE forth END)::BIGINT AS packets_ba,
        sum(CASE WHEN src_ip <= dst_ip THEN bytes_forth ELSE bytes_back END)::BIGINT AS bytes_ab,
        sum(CASE WHEN src_ip <= dst_ip THEN bytes_back ELSE bytes_forth END)::BIGINT AS bytes_ba,
        sum(flows)::BIGINT AS flows, min(ts_first) AS ts_first, max(ts_last) AS ts_last
    FROM directed
    GROUP BY ALL
),
ends AS (SELECT network, a AS ip FROM pairs UNION ALL SELECT network, b FROM pairs),
peers AS (SELECT network, ip, count(*) AS n FROM ends GROUP BY ALL)
SELECT
    p.network, p.a, p.b, p.packets_ab, p.packets_ba, p.bytes_ab, p.bytes_ba,
    p.packets_ab = 0 OR p.packets_ba = 0 AS one_way,
    p.flows, n.n AS peers_a, p.ts_first, p.ts_last
FROM pairs p JOIN peers n ON n.network = p.network AND n.ip = p.a
ORDER BY bytes_ab + bytes_ba DESC, network, a, b
LIMIT $rows
