/*
id: dns-resolvers
title: Resolvers that few hosts ask
description: >
  Servers that are asked on the ports of DNS (53, and 853 for DNS over TLS or QUIC), with the share of all asking hosts that
  use them. A data centre has a few resolvers for everybody; a host that asks another one goes around its logs and filters,
  or talks through a tunnel.
kind: hunt
attack: [T1071.004, T1572, T1568]
parameters:
  share: {type: number, default: 0.5, help: a resolver that at least this share of asking hosts uses is the usual one}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  resolver: who is asked
  inside: whether it lies inside
  clients: hosts that ask it
  share: their share of all hosts that ask anybody
  client: one of them
  flows: questions, as flows
  answered: those that were answered
  src_payload: payload bytes that went there
  dst_payload: payload bytes that came back
  bytes_per_flow: payload bytes of a flow on average, both directions
  ports: ports and protocols
  ts_first: first, UTC
  ts_last: last packet, UTC
references:
  - "MITRE ATT&CK, T1071.004 Application Layer Protocol: DNS"
  - "RFC 7858, DNS over TLS: port 853"
false_positives:
  - resolvers themselves, which ask servers all over the world
  - containers with a resolver of their own on the node
*/
WITH asked AS (
    SELECT
        network, src_ip, dst_ip,
        any_value(dst_addr) AS dst_addr,
        count(*) AS flows,
        count(*) FILTER (dst_pkts > 0 AND (proto = 17 OR conn_state NOT IN ('REJ', 'RSTRH'))) AS answered,
        sum(coalesce(src_payload, 0))::BIGINT AS src_payload,
        sum(coalesce(dst_payload, 0))::BIGINT AS dst_payload,
        list(DISTINCT proto_name || '/' || dst_port) AS ports,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last
    FROM flows
    WHERE proto IN (6, 17) AND dst_port IN (53, 853) AND src_pkts > 0
    GROUP BY ALL
),
everybody AS (SELECT network, count(DISTINCT src_ip) AS hosts FROM asked GROUP BY ALL),
resolvers AS (
    SELECT
        a.network,
        a.dst_ip AS resolver,
        len(list_filter($internal, lambda one: any_value(a.dst_addr) BETWEEN one.low AND one.high)) > 0 AS inside,
        count(DISTINCT a.src_ip) AS clients,
        count(DISTINCT a.src_ip) / any_value(e.hosts) AS share,
        min(a.src_ip) AS client,
        sum(a.flows)::BIGINT AS flows,
        sum(a.answered)::BIGINT AS answered,
        sum(a.src_payload)::BIGINT AS src_payload,
        sum(a.dst_payload)::BIGINT AS dst_payload,
        (sum(a.src_payload) + sum(a.dst_payload)) / sum(a.flows) AS bytes_per_flow,
        array_to_string(list_sort(list_distinct(flatten(list(a.ports)))), ' ') AS ports,
        min(a.ts_first) AS ts_first,
        max(a.ts_last) AS ts_last
    FROM asked a JOIN everybody e USING (network)
    GROUP BY a.network, a.dst_ip
)
SELECT *
FROM resolvers
WHERE share < $share OR NOT inside
ORDER BY answered = 0, inside, share, flows DESC, resolver
LIMIT $rows
