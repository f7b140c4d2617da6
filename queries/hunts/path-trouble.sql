/*
id: path-trouble
title: Paths that lose packets or take long
description: >
  Pairs whose TCP sends again more than others do, or whose handshake takes far longer than the case's usual. Overload and
  broken links look so, and so does traffic that takes a way it should not: through a proxy, a tunnel or somebody between.
kind: hunt
attack: [T1557, T1090]
parameters:
  share: {type: number, default: 0.02, help: "share of packets sent again, from which a pair is shown"}
  times: {type: number, default: 10, help: "shortest handshake as a multiple of the case's median, from which a pair is shown"}
  packets: {type: integer, default: 50, help: packets of a pair at least}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: originator
  dst_ip: responder
  flows: flows
  packets: packets, both directions
  retransmits: segments sent again
  share: share of packets sent again
  rtt_ms: shortest time from SYN to SYN+ACK of the pair, milliseconds
  usual_ms: the case's median of it
  times: how many times the usual
  ts_first: first, UTC
  ts_last: last packet, UTC
references:
  - "RFC 6298, TCP retransmission timer"
  - "MITRE ATT&CK, T1557 Adversary-in-the-Middle"
false_positives:
  - hosts far away, radio links, an overloaded server
  - captures that lost packets themselves, which the ledger tells
*/
WITH usual AS (SELECT approx_quantile(rtt_us, 0.5) / 1000 AS usual_ms FROM flows WHERE rtt_us IS NOT NULL),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        count(*) AS flows,
        sum(src_pkts + dst_pkts)::BIGINT AS packets,
        sum(coalesce(retransmits, 0))::BIGINT AS retransmits,
        sum(coalesce(retransmits, 0)) / sum(src_pkts + dst_pkts) AS share,
        min(rtt_us) / 1000 AS rtt_ms,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last
    FROM flows
    WHERE proto = 6
    GROUP BY network, src_ip, dst_ip
    HAVING sum(src_pkts + dst_pkts) >= $packets
)
SELECT
    network, src_ip, dst_ip, flows, packets, retransmits, share, rtt_ms, usual_ms,
    rtt_ms / nullif(usual_ms, 0) AS times,
    ts_first, ts_last
FROM pairs CROSS JOIN usual
WHERE share >= $share OR rtt_ms >= $times * usual_ms
ORDER BY greatest(share / $share, coalesce(rtt_ms / nullif($times * usual_ms, 0), 0)) DESC, network, src_ip, dst_ip
LIMIT $rows
