/*
id: rare-ports
title: Ports that few hosts are asked on, inside
description: >
  Between inside hosts, the ports that were answered at no more than a few hosts and for a few clients. What everybody runs is
  ordinary; what one host runs for one client is worth a look.
kind: hunt
attack: [T1571, T1021]
parameters:
  most_servers: {type: integer, default: 2, help: hosts that answer on the port at most}
  most_clients: {type: integer, default: 3, help: clients of the port at most}
  ephemeral: {type: integer, default: 49152, help: ports from here on are left out}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  proto_name: protocol
  dst_port: the port
  servers: hosts that answered on it
  clients: hosts that were answered
  server: one of the hosts
  client: one of the clients
  service: application protocol that was seen
  flows: answered flows
  bytes: IP bytes, both directions
  ts_first: first of them, UTC
  ts_last: last packet, UTC
references:
  - "MITRE ATT&CK, T1571 Non-Standard Port"
false_positives:
  - a database or an application of which there is one
  - passive ftp, rpc and other protocols that agree on a port
*/
WITH answered AS (
    SELECT
        network, proto_name, dst_port, dst_ip, src_ip,
        any_value(dst_addr) AS dst_addr,
        any_value(src_addr) AS src_addr,
        any_value(service) AS service,
        count(*) AS flows,
        sum((src_bytes + dst_bytes) * sampling)::BIGINT AS bytes,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last
    FROM flows
    WHERE
        proto IN (6, 17)
        AND dst_port < $ephemeral
        AND dst_pkts > 0
        AND (proto = 17 OR conn_state NOT IN ('REJ', 'OTH', 'RSTRH', 'SHR'))
    GROUP BY ALL
)
SELECT
    network, proto_name, dst_port,
    count(DISTINCT dst_ip) AS servers,
    count(DISTINCT src_ip) AS clients,
    min(dst_ip) AS server,
    min(src_ip) AS client,
    any_value(service) AS service,
    sum(flows)::BIGINT AS flows,
    sum(bytes)::BIGINT AS bytes,
    min(ts_first) AS ts_first,
    max(ts_last) AS ts_last
FROM answered
WHERE
    len(list_filter($internal, lambda one: dst_addr BETWEEN one.low AND one.high)) > 0
    AND len(list_filter($internal, lambda one: src_addr BETWEEN one.low AND one.high)) > 0
GROUP BY network, proto_name, dst_port
HAVING count(DISTINCT dst_ip) <= $most_servers AND count(DISTINCT src_ip) <= $most_clients
ORDER BY servers, clients, bytes DESC, proto_name, dst_port
LIMIT $rows
