/*
id: beacon-replicas
title: Regular calls that pass from one replica to the next
description: >
  A workload calls a destination at even pauses, and goes on when its replica is replaced and has another address: an implant in the
  image, not in one container. By address no pair talks for long enough to look regular (RITA's score of a container that lives
  for ten minutes stays below 0.5), by workload it does.
severity: high
attack: [T1071, T1029, T1525]
parameters:
  min_connections: {type: integer, default: 12, help: "fewest connections of a group to a destination"}
  min_period: {type: duration, default: 1s, help: "shorter median pauses are no waiting, but bursts"}
  jitter: {type: number, default: 0.35, help: "largest median deviation of the pauses, as a part of their median"}
  carried: {type: number, default: 0.9, help: "one replica makes at most this part of the calls; else beacon finds it"}
columns:
  network: tenant scope
  connections: connections of the group to the destination
  replicas: workloads that made them
  addresses: addresses they came from
  period: median pause, seconds
  deviation: median deviation of the pauses from it, as a part of it
  changes: how often the next call came from another replica
references:
  - "RITA, analysis/beacons.go: what a beacon by address is judged by"
  - "MITRE ATT&CK, T1525 Implant Internal Image"
false_positives:
  - health checks, scheduled jobs and metrics that are pushed, which are beacons by intent
  - a single client that is moved between nodes
*/
WITH who AS (
    SELECT
        workload_id, coalesce(uid, name) AS uid,
        coalesce(nullif(namespace, '') || '/', '') || coalesce(
            CASE WHEN json_valid(labels) THEN coalesce(
                json_extract_string(labels, '$."app.kubernetes.io/name"'), json_extract_string(labels, '$.app'),
                json_extract_string(labels, '$."k8s-app"')
            ) END,
            regexp_replace(name, '(-[0-9a-f]{6,10})?-[0-9a-z]{5}$|-[0-9]+$', '')
        ) AS grp
    FROM workloads
    WHERE kind IN ('pod', 'vm', 'container') AND coalesce(uid, name) IS NOT NULL AND name IS NOT NULL
),
calls AS (
    SELECT f.network, w.grp, w.uid, f.src_ip, f.dst_ip, f.dst_port, f.proto_name, f.ts, f.ts_end, f.flow_id, epoch_us(f.ts) AS us
    FROM flows f JOIN flow_identity i ON i.flow_id = f.flow_id JOIN who w ON w.workload_id = i.src_wid
    WHERE
        f.proto IN (6, 17) AND f.src_pkts > 0 AND f.dst_ip IS NOT NULL AND NOT starts_with(f.dst_ip, 'ff')
        AND NOT regexp_matches(f.dst_ip, '^(22[4-9]|23[0-9])\.') AND f.dst_ip <> '255.255.255.255'
),
parted AS (SELECT network, grp, dst_ip, dst_port, proto_name, uid, count(*) AS n FROM calls GROUP BY ALL),
shares AS (
    SELECT network, grp, dst_ip, dst_port, proto_name, sum(n)::BIGINT AS n, max(n) AS most, count(*) AS replicas
    FROM parted
    GROUP BY ALL
    HAVING sum(n) >= greatest($min_connections, 4) AND count(*) > 1 AND max(n) <= $carried * sum(n)
),
gaps AS (
    SELECT
        c.*,
        c.us - lag(c.us) OVER pair AS gap,
        c.uid <> lag(c.uid) OVER pair AS changed
    FROM calls c JOIN shares s USING (network, grp, dst_ip, dst_port, proto_name)
    WINDOW pair AS (PARTITION BY c.network, c.grp, c.dst_ip, c.dst_port, c.proto_name ORDER BY c.us, c.flow_id)
),
periods AS (
    SELECT network, grp, dst_ip, dst_port, proto_name, median(gap) AS period
    FROM gaps WHERE gap IS NOT NULL
    GROUP BY ALL
    HAVING median(gap) >= $min_period * 1e6
),
told AS (
    SELECT g.*, p.period, abs(g.gap - p.period) AS away FROM gaps g JOIN periods p USING (network, grp, dst_ip, dst_port, proto_name)
)
SELECT
    grp || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_ip || ' ' || proto_name || '/' || dst_port AS object,
    greatest(0.0, least(1.0, 1 - 0.5 * median(away) / any_value(period))) AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} called {} {}/{} {:,} times, every {:.1f} s in the middle, from {:,} replicas one after the other ({:,} addresses)',
        grp, dst_ip, proto_name, dst_port, count(*), any_value(period) / 1e6, count(DISTINCT uid), count(DISTINCT src_ip)
    ) AS why,
    'high' AS severity,
    network,
    count(*) AS connections,
    count(DISTINCT uid) AS replicas,
    count(DISTINCT src_ip) AS addresses,
    any_value(period) / 1e6 AS period,
    median(away) / any_value(period) AS deviation,
    count(*) FILTER (changed) AS changes
FROM told
GROUP BY network, grp, dst_ip, dst_port, proto_name
-- replicas that take turns all the time are behind one balancer or poll side by side: that is no handing on
HAVING median(away) <= $jitter * any_value(period) AND count(*) FILTER (changed) <= 3 * count(DISTINCT uid)
ORDER BY score DESC, subject, object
