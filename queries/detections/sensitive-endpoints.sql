/*
id: sensitive-endpoints
title: A workload reaches an endpoint that gives control away
description: >
  A pod, a container or a machine of a tenant talks to what hands out credentials or runs what it is told: the cloud's metadata
  service, a kubelet, etcd, Docker's API, a server's management controller, Ray's dashboard, Jupyter. Nodes and managers do so all
  day; workloads seldom have a reason. Who somebody was is taken from the time of the flow, so a later owner of the address
  is not blamed.
severity: high
attack: [T1552.005, T1609, T1610, T1613]
parameters:
  kinds: {type: text, default: "pod,vm,container", help: "kinds of workloads that have no business there, comma separated"}
  allowed: {type: text, default: "kube-system", help: "namespaces whose workloads may, comma separated"}
  metadata: {type: prefixes, default: [169.254.169.254/32, "fd00:ec2::254/128"], help: "addresses of the metadata service"}
columns:
  network: tenant scope
  kind: what the workload is
  addresses: addresses it had meanwhile
  targets: hosts that were reached for
  answered: flows that were answered
references:
  - "NSA and CISA, Kubernetes Hardening Guide: kubelet, etcd and the metadata service"
  - "CVE-2023-48022: Ray's dashboard runs jobs for whoever asks"
  - "IPMI 2.0, section 13: RMCP on port 623"
false_positives:
  - workloads that take their cloud credentials from the metadata service by intent; Jupyter and Ray that are meant for users
  - monitoring agents that read kubelets or etcd from a namespace of their own; name it in parameter allowed
*/
WITH who AS (
    SELECT
        workload_id, coalesce(uid, name, ip) AS uid, kind,
        coalesce(nullif(namespace, '') || '/', '') || coalesce(name, uid, ip) AS shown
    FROM workloads
    WHERE
        list_contains(list_transform(string_split($kinds, ','), lambda k: trim(k)), kind)
        AND NOT list_contains(list_transform(string_split($allowed, ','), lambda k: trim(k)), coalesce(namespace, ''))
),
cloud AS (SELECT p.low AS low, p.high AS high FROM (SELECT unnest($metadata) AS p)),
reached AS (
    SELECT
        f.network, f.flow_id, f.ts, f.ts_end, f.src_ip, f.dst_ip, w.uid, w.shown, w.kind,
        f.proto_name || '/' || f.dst_port AS port,
        CASE
            WHEN EXISTS (SELECT 1 FROM cloud WHERE f.dst_addr BETWEEN low AND high) THEN CASE WHEN f.proto = 6 THEN 'metadata service' END
            WHEN f.dst_port = 623 THEN 'management controller (IPMI)'
            WHEN f.proto <> 6 THEN NULL
            WHEN f.dst_port IN (10250, 10255) THEN 'kubelet'
            WHEN f.dst_port IN (2379, 2380) THEN 'etcd'
            WHEN f.dst_port IN (2375, 2376) THEN 'Docker API'
            WHEN f.dst_port = 8265 THEN 'Ray dashboard'
            WHEN f.dst_port = 8888 THEN 'Jupyter'
        END AS endpoint,
        f.dst_pkts > 0 AND coalesce(f.conn_state, '') <> 'REJ' AS answered
    FROM flows f JOIN flow_identity i ON i.flow_id = f.flow_id JOIN who w ON w.workload_id = i.src_wid
    WHERE f.proto IN (6, 17) AND f.src_pkts > 0 AND f.dst_port IS NOT NULL
)
SELECT
    any_value(shown) || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    endpoint AS object,
    CASE WHEN count(*) FILTER (answered) = 0 THEN 0.4 WHEN endpoint = 'Jupyter' THEN 0.6 ELSE 0.9 END AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} {} ({}) reached for {} at {:,} {} ({}): {:,} of {:,} flows were answered',
        any_value(kind), any_value(shown), array_to_string(list_sort(list(DISTINCT src_ip))[1:3], ', '), endpoint,
        count(DISTINCT dst_ip), CASE WHEN count(DISTINCT dst_ip) = 1 THEN 'host' ELSE 'hosts' END,
        array_to_string(list_sort(list(DISTINCT port))[1:5], ', '), count(*) FILTER (answered), count(*)
    ) AS why,
    CASE WHEN count(*) FILTER (answered) = 0 THEN 'low' WHEN endpoint = 'Jupyter' THEN 'medium' ELSE 'high' END AS severity,
    network,
    any_value(kind) AS kind,
    array_to_string(list_sort(list(DISTINCT src_ip))[1:10], ', ') AS addresses,
    count(DISTINCT dst_ip) AS targets,
    count(*) FILTER (answered) AS answered
FROM reached
WHERE endpoint IS NOT NULL
GROUP BY network, uid, endpoint
ORDER BY score DESC, subject, object
