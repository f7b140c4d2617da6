/*
id: icmp-tunnels
title: ICMP that carries more than a ping
description: >
  Pairs whose ICMP carries much payload, large messages, or runs on and on: how data leaves where only ping is let through.
  A ping carries 32 to 64 bytes, the same in both directions, once a second for a few seconds.
kind: hunt
attack: [T1095, T1048.003, T1018]
parameters:
  per_packet: {type: integer, default: 128, help: "payload bytes of a message on average, from which a pair is shown"}
  packets: {type: integer, default: 500, help: "messages of a pair, from which it is shown whatever they carry"}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: who asks
  dst_ip: whom
  messages: packets, both directions
  payload: payload bytes, both directions
  per_packet: payload bytes of a message on average
  uneven: how far the directions differ, 0 (as a ping) to 1 (one way only)
  types: types of the originator's messages
  flows: flows
  ts_first: first, UTC
  ts_last: last packet, UTC
references:
  - "MITRE ATT&CK, T1095 Non-Application Layer Protocol"
  - "RFC 792, Internet Control Message Protocol"
false_positives:
  - monitoring that pings for hours, tests of the path MTU
*/
SELECT
    network, src_ip, dst_ip,
    sum((src_pkts + dst_pkts) * sampling)::BIGINT AS messages,
    sum((coalesce(src_payload, src_bytes) + coalesce(dst_payload, dst_bytes)) * sampling)::BIGINT AS payload,
    sum(coalesce(src_payload, src_bytes) + coalesce(dst_payload, dst_bytes)) / sum(src_pkts + dst_pkts) AS per_packet,
    abs(sum(coalesce(src_payload, src_bytes)) - sum(coalesce(dst_payload, dst_bytes)))
        / greatest(sum(coalesce(src_payload, src_bytes)) + sum(coalesce(dst_payload, dst_bytes)), 1) AS uneven,
    array_to_string(list_sort(list(DISTINCT src_port)), ' ') AS types,
    count(*) AS flows,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last
FROM flows
WHERE proto IN (1, 58) AND src_port NOT IN (133, 134, 135, 136)
GROUP BY network, src_ip, dst_ip
HAVING per_packet >= $per_packet OR messages >= $packets
ORDER BY payload DESC, network, src_ip, dst_ip
LIMIT $rows
