/*
id: admin-protocols
title: Who administers whom
description: >
  Connections between hosts on the ports of administration: ssh, telnet, Windows RPC, SMB, remote desktop, WinRM, VNC, and
  the management of hypervisors and containers. Between two workloads there should be few; from one source to many hosts
  there should be a name for it.
kind: hunt
attack: [T1021.001, T1021.002, T1021.004, T1021.006]
parameters:
  least: {type: integer, default: 1, help: connections of a pair at least}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: who reaches
  dst_ip: whom
  protocol: what for
  dst_port: on which port
  connections: flows
  accepted: those that the other end took up
  bytes: IP bytes, both directions
  longest: the longest one, seconds
  ts_first: first, UTC
  ts_last: last packet, UTC
  targets: hosts that this source reaches with this protocol
references:
  - "MITRE ATT&CK, T1021 Remote Services"
false_positives:
  - jump hosts, configuration management, backup, inventory
*/
WITH admin(dst_port, protocol) AS (
    VALUES (22, 'ssh'), (23, 'telnet'), (135, 'msrpc'), (139, 'netbios'), (445, 'smb'), (902, 'esxi'), (2375, 'docker'),
        (2376, 'docker'), (3389, 'rdp'), (5900, 'vnc'), (5901, 'vnc'), (5985, 'winrm'), (5986, 'winrm'), (6443, 'kubernetes'),
        (10250, 'kubelet'), (623, 'ipmi')
),
pairs AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, a.protocol, f.dst_port,
        any_value(f.src_addr) AS src_addr,
        any_value(f.dst_addr) AS dst_addr,
        count(*) AS connections,
        count(*) FILTER (f.dst_pkts > 0 AND f.conn_state NOT IN ('REJ', 'RSTRH', 'OTH') AND (f.proto = 17 OR contains(f.history, 'h'))) AS accepted,
        sum((f.src_bytes + f.dst_bytes) * f.sampling)::BIGINT AS bytes,
        max(f.duration) AS longest,
        min(f.ts) AS ts_first,
        max(f.ts_end) AS ts_last
    FROM flows f JOIN admin a USING (dst_port)
    WHERE f.src_pkts > 0 AND (f.proto = 6 OR (f.proto = 17 AND f.dst_port IN (623, 3389)))
    GROUP BY ALL
)
SELECT
    network, src_ip, dst_ip, protocol, dst_port, connections, accepted, bytes, longest, ts_first, ts_last,
    count(DISTINCT dst_ip) OVER (PARTITION BY network, src_ip, protocol) AS targets
FROM pairs
WHERE
    connections >= $least
    AND len(list_filter($internal, lambda one: src_addr BETWEEN one.low AND one.high)) > 0
    AND len(list_filter($internal, lambda one: dst_addr BETWEEN one.low AND one.high)) > 0
ORDER BY targets DESC, src_ip, protocol, accepted DESC, dst_ip, dst_port
LIMIT $rows
