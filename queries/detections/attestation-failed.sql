/*
id: attestation-failed
title: Traffic of a host whose attestation failed
description: >
  An agent told that a host's attestation failed, and the host has talked since, until one passed again. What runs there is not
  what was measured when it was trusted. The host is found by its unique id, its name, the node that a workload runs on, or its address.
severity: critical
attack: [T1542, T1014, T1601]
parameters:
  least: {type: integer, default: 1, help: "fewest flows since the failure"}
  grace: {type: duration, default: 0s, help: "so long after the failure flows do not count yet: cutting it off takes a while"}
columns:
  network: tenant scope of its flows
  failed: when the attestation failed
  passed: when one passed again, null for never
  peers: hosts it talked with since
  detail: what the agent said
references:
  - "NVIDIA DOCA, App Shield and attestation services: events of the DPU about its host"
  - "IETF RFC 9334, Remote ATtestation procedureS Architecture"
false_positives:
  - an update of firmware or kernel whose new measurements were not enrolled
  - flows that only reached the host's address while it was down; they have no packet of its own and are not counted
*/
WITH told AS (
    SELECT
        coalesce(uid, host) AS machine, uid, host, local_ip, ts, detail,
        lower(coalesce(result, '')) IN ('fail', 'failed', 'failure') AS failed,
        lower(coalesce(result, '')) IN ('pass', 'passed', 'success', 'ok') AS passed
    FROM host_events
    WHERE kind = 'attestation' AND ts IS NOT NULL AND coalesce(uid, host) IS NOT NULL
),
spans AS (  -- from the first failure of a row of them until one passes
    SELECT
        machine, uid, host, local_ip, ts AS failed_at, detail,
        (SELECT min(p.ts) FROM told p WHERE p.machine = f.machine AND p.passed AND p.ts > f.ts) AS passed_at
    FROM told f
    WHERE failed
),
first AS (
    SELECT
        machine, any_value(uid) AS uid, any_value(host) AS host, any_value(local_ip) AS local_ip, min(failed_at) AS failed_at, passed_at,
        any_value(detail) AS detail
    FROM spans
    GROUP BY machine, passed_at
),
ends AS (  -- a flow's two ends; each has to have sent something itself
    SELECT f.flow_id, f.network, f.ts, f.ts_end, f.src_ip AS ip, f.dst_ip AS peer, i.src_wid AS wid
    FROM flows f LEFT JOIN flow_identity i ON i.flow_id = f.flow_id
    WHERE f.src_pkts > 0 AND (SELECT count(*) FROM first) > 0
    UNION ALL
    SELECT f.flow_id, f.network, f.ts, f.ts_end, f.dst_ip, f.src_ip, i.dst_wid
    FROM flows f LEFT JOIN flow_identity i ON i.flow_id = f.flow_id
    WHERE f.dst_pkts > 0 AND (SELECT count(*) FROM first) > 0
),
machines AS (  -- the machine by any name that an end can have
    SELECT machine, passed_at, 'ip' AS by, local_ip AS value FROM first WHERE local_ip IS NOT NULL
    UNION SELECT machine, passed_at, 'ip', host FROM first WHERE host IS NOT NULL
    UNION SELECT machine, passed_at, 'name', host FROM first WHERE host IS NOT NULL
    UNION SELECT machine, passed_at, 'uid', uid FROM first WHERE uid IS NOT NULL
),
matched AS (
    SELECT m.machine, m.passed_at, e.* FROM ends e JOIN machines m ON m.by = 'ip' AND m.value = e.ip
    UNION
    SELECT m.machine, m.passed_at, e.*
    FROM ends e JOIN workloads w ON w.workload_id = e.wid
    JOIN machines m ON (m.by = 'name' AND (m.value = w.name OR m.value = w.node)) OR (m.by = 'uid' AND m.value = w.uid)
),
since AS (
    SELECT DISTINCT m.machine, m.flow_id, m.network, m.ts, m.ts_end, m.peer, f.failed_at, f.passed_at, f.detail, f.host
    FROM matched m JOIN first f ON f.machine = m.machine AND f.passed_at IS NOT DISTINCT FROM m.passed_at
    WHERE m.ts_end >= f.failed_at + to_microseconds(($grace * 1e6)::BIGINT) AND (f.passed_at IS NULL OR m.ts < f.passed_at)
)
SELECT
    coalesce(any_value(host), machine) || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    'attestation failed ' || strftime(failed_at, '%Y-%m-%d %H:%M:%S') AS object,
    1.0 AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(DISTINCT flow_id) AS flows,
    format(
        'the attestation of {} failed at {} UTC{}; since then it has had {:,} flows with {:,} {}',
        coalesce(any_value(host), machine), strftime(failed_at, '%Y-%m-%d %H:%M:%S'),
        CASE WHEN passed_at IS NULL THEN '' ELSE ' and passed again at ' || strftime(passed_at, '%H:%M:%S') END,
        count(DISTINCT flow_id), count(DISTINCT peer), CASE WHEN count(DISTINCT peer) = 1 THEN 'host' ELSE 'hosts' END
    ) AS why,
    CASE WHEN passed_at IS NULL THEN 'critical' ELSE 'high' END AS severity,
    network,
    failed_at AS failed,
    passed_at AS passed,
    count(DISTINCT peer) AS peers,
    any_value(detail) AS detail
FROM since
GROUP BY network, machine, failed_at, passed_at
HAVING count(DISTINCT flow_id) >= $least
ORDER BY subject, object
