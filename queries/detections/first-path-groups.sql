/*
id: first-path-groups
title: First path between two groups of workloads
description: >
  Workloads of one group reach those of another for the first time: nobody of the one did so in the first part of the case, which
  serves as the baseline, whatever addresses they had. Groups are namespaces with the application's label (or the name without a
  replica's own part), or namespaces alone. A replica that has just started is no news; a group that reaches another one is.
severity: medium
attack: [T1021, T1570, T1210]
parameters:
  baseline: {type: number, default: 0.25, help: "share of the case's time that is taken for ordinary"}
  min_baseline: {type: integer, default: 10, help: "fewest named flows in the baseline; below that nothing is said"}
  by: {type: text, default: group, help: "group (namespace and application) or namespace"}
columns:
  network: tenant scope
  sources: workloads that took the path
  targets: workloads that were reached
  answered: flows that were answered
  services: the ports reached, the commonest ten
  learnt_until: where the baseline ends
references:
  - "NIST SP 800-207, Zero Trust Architecture: traffic between resources is judged by what is known to be needed"
  - "Kubernetes documentation, network policies: what is not allowed between namespaces"
false_positives:
  - a release that adds a dependency; a job that runs once a day where the case is shorter than its round
  - a case that is shorter than the ordinary rhythm of the traffic in it
*/
WITH who AS (
    SELECT
        workload_id, coalesce(uid, name) AS uid,
        CASE
            WHEN $by = 'namespace' THEN nullif(namespace, '')
            ELSE coalesce(nullif(namespace, '') || '/', '') || coalesce(
                CASE WHEN json_valid(labels) THEN coalesce(
                    json_extract_string(labels, '$."app.kubernetes.io/name"'), json_extract_string(labels, '$.app'),
                    json_extract_string(labels, '$."k8s-app"')
                ) END,
                regexp_replace(name, '(-[0-9a-f]{6,10})?-[0-9a-z]{5}$|-[0-9]+$', '')
            )
        END AS grp
    FROM workloads
    WHERE kind IN ('pod', 'vm', 'container', 'service') AND coalesce(uid, name) IS NOT NULL
),
span AS (
    SELECT make_timestamp((epoch_us(min(ts)) + $baseline * (epoch_us(max(ts)) - epoch_us(min(ts))))::BIGINT) AS learnt_until FROM flows
),
named AS (
    SELECT
        f.network, s.grp AS src_group, d.grp AS dst_group, s.uid AS src_uid, d.uid AS dst_uid, f.ts, f.ts_end, f.flow_id,
        f.dst_pkts > 0 AND coalesce(f.conn_state, '') <> 'REJ' AS answered, f.ts < n.learnt_until AS learnt, n.learnt_until,
        f.proto_name || coalesce('/' || CASE WHEN f.proto IN (6, 17) THEN f.dst_port END, '') AS service
    FROM flows f JOIN flow_identity i ON i.flow_id = f.flow_id
    JOIN who s ON s.workload_id = i.src_wid JOIN who d ON d.workload_id = i.dst_wid CROSS JOIN span n
    WHERE
        f.src_pkts > 0 AND s.grp IS NOT NULL AND d.grp IS NOT NULL
        AND NOT (f.proto = 17 AND f.dst_pkts = 0 AND f.src_port < 1024 AND f.dst_port >= 1024)  -- answers without their question
),
paths AS (
    SELECT network, src_group, dst_group, count(*) FILTER (learnt) AS learnt FROM named GROUP BY ALL
),
seen AS (
    SELECT network, src_group AS grp FROM paths WHERE learnt > 0
),
fresh AS (
    SELECT p.network, p.src_group, p.dst_group
    FROM paths p
    WHERE
        p.learnt = 0 AND p.src_group <> p.dst_group
        AND EXISTS (SELECT 1 FROM seen s WHERE s.network = p.network AND s.grp = p.src_group)
        AND (SELECT sum(learnt) FROM paths) >= $min_baseline
),
services AS (
    SELECT network, src_group, dst_group, array_to_string(list(service ORDER BY n DESC, service)[1:10], ', ') AS services
    FROM (SELECT network, src_group, dst_group, service, count(*) AS n FROM named GROUP BY ALL)
    GROUP BY ALL
)
SELECT
    src_group || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_group AS object,
    0.5 + CASE WHEN count(*) FILTER (answered) > 0 THEN 0.3 ELSE 0.0 END AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} reached {} for the first time: {:,} of {:,} flows were answered ({}); none of it did so before {} UTC',
        src_group, dst_group, count(*) FILTER (answered), count(*), any_value(services),
        strftime(any_value(learnt_until), '%Y-%m-%d %H:%M:%S')
    ) AS why,
    CASE WHEN count(*) FILTER (answered) > 0 THEN 'medium' ELSE 'low' END AS severity,
    network,
    count(DISTINCT src_uid) AS sources,
    count(DISTINCT dst_uid) AS targets,
    count(*) FILTER (answered) AS answered,
    any_value(services) AS services,
    any_value(learnt_until) AS learnt_until
FROM named JOIN fresh USING (network, src_group, dst_group) JOIN services USING (network, src_group, dst_group)
GROUP BY network, src_group, dst_group
ORDER BY score DESC, subject, object
