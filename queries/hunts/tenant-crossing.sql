/*
id: tenant-crossing
title: One machine in several tenants' networks
description: >
  A MAC that sends under more than one VLAN or VNI, and conversations whose two halves lie under different networks. Tenants
  are kept apart by exactly these tags: a workload that shows up in two of them is a gateway, a leak, or hops.
kind: hunt
attack: [T1599, T1021]
parameters:
  addresses: {type: integer, default: 5, help: a MAC that sends for more addresses than this is a router's and left out}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  mac: who sends
  networks: how many tenant networks
  by_network: each network with its flows
  ips: its addresses, at most ten
  tunnel_ends: outer addresses that it came from, at most ten
  halves: flows that are halves of a conversation across networks
  flows: its flows
  ts_first: first, UTC
  ts_last: last packet, UTC
references:
  - "RFC 7348, VXLAN: the VNI keeps tenants apart"
  - "MITRE ATT&CK, T1599 Network Boundary Bridging"
false_positives:
  - routers, firewalls and load balancers between tenants
  - sources that see the same traffic before and after it is tagged
*/
WITH senders AS (
    SELECT
        src_mac AS mac, network, src_ip AS ip, outer_src_ip AS tunnel_end,
        count(*) AS flows,
        count(*) FILTER (flow_id IN (SELECT flow_id FROM links WHERE cause = 'half')) AS halves,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last
    FROM flows
    WHERE src_mac IS NOT NULL AND src_pkts > 0
    GROUP BY ALL
),
by_network AS (
    SELECT mac, network, sum(flows)::BIGINT AS flows FROM senders GROUP BY ALL
),
crossing AS (
    SELECT
        mac,
        count(*) AS networks,
        array_to_string(list(CASE WHEN network = '' THEN 'untagged' ELSE network END || ' ' || flows ORDER BY flows DESC, network)[1:20], ', ')
            AS by_network
    FROM by_network
    GROUP BY mac
    HAVING count(*) > 1
)
SELECT
    c.mac, c.networks, c.by_network,
    array_to_string(list_sort(list(DISTINCT s.ip))[1:10], ' ') AS ips,
    array_to_string(list_sort(list(DISTINCT s.tunnel_end) FILTER (s.tunnel_end IS NOT NULL))[1:10], ' ') AS tunnel_ends,
    sum(s.halves)::BIGINT AS halves,
    sum(s.flows)::BIGINT AS flows,
    min(s.ts_first) AS ts_first,
    max(s.ts_last) AS ts_last
FROM crossing c JOIN senders s USING (mac)
GROUP BY ALL
HAVING count(DISTINCT s.ip) <= $addresses
ORDER BY networks DESC, flows DESC, mac
LIMIT $rows
