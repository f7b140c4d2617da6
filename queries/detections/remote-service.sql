/*
id: remote-service
title: Service created on another host
description: >
  Somebody creates, changes or starts a service through the service control manager of another host (svcctl), which is how
  PsExec, Impacket, Cobalt Strike and many others run commands there. Creating one, or changing what one runs, is the finding;
  that a service was only looked at is none.
severity: high
attack: [T1569.002, T1021.002, T1543.003]
parameters:
  administrators: {type: prefixes, default: [], help: "from where services are managed by intent"}
columns:
  network: tenant scope
  operations: what was called, with how often
  created: services created, refused attempts too
  changed: services whose configuration was changed
  started: services started
  statuses: what those operations returned, where it could be read
  pipes: named pipes it went through; empty over TCP
references:
  - "MS-SCMR, Service Control Manager Remote Protocol"
  - "MITRE ATT&CK T1569.002, Service Execution"
false_positives:
  - software distribution and monitoring that install their agents in this way; name theirs in administrators
  - administrators with sc.exe or PowerShell
*/
WITH calls AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.ts AS began, f.ts_end, f.flow_id, d.operation, d.pipe, d.status, d.result, d.count AS n,
        d.operation LIKE 'CreateService%' OR d.operation = 'CreateWowService' AS creates,
        d.operation LIKE 'ChangeServiceConfig%' AS changes,
        d.operation LIKE 'StartService%' AS starts
    FROM dcerpc d JOIN flows f USING (flow_id)
    WHERE
        d.interface = 'svcctl' AND d.operation IS NOT NULL
        AND len(list_filter($administrators, lambda p: f.src_addr BETWEEN p.low AND p.high)) = 0
),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        coalesce(sum(n) FILTER (creates), 0)::BIGINT AS created,
        coalesce(sum(n) FILTER (changes), 0)::BIGINT AS changed,
        coalesce(sum(n) FILTER (starts), 0)::BIGINT AS started,
        bool_or((creates OR changes) AND coalesce(status, '') = 'SUCCESS') AS worked,
        bool_and(coalesce(status, 'SUCCESS') <> 'SUCCESS' OR coalesce(result, 'answered') <> 'answered') FILTER (creates OR changes) AS refused,
        string_agg(DISTINCT status, ', ' ORDER BY status) FILTER (creates OR changes OR starts) AS statuses,
        string_agg(DISTINCT pipe, ', ' ORDER BY pipe) AS pipes,
        string_agg(DISTINCT operation, ', ' ORDER BY operation) AS operations,
        min(began) AS ts_first,
        max(ts_end) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM calls
    GROUP BY ALL
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_ip AS object,
    CASE WHEN refused THEN 0.5 WHEN started > 0 THEN 0.95 ELSE 0.8 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{} created {:,}, changed {:,} and started {:,} services on {} through svcctl{}',
        src_ip, created, changed, started, dst_ip,
        CASE WHEN refused THEN ', and was refused' WHEN worked THEN ', which worked' ELSE '' END
    ) AS why,
    CASE WHEN refused THEN 'medium' ELSE 'high' END AS severity,
    network,
    operations,
    created,
    changed,
    started,
    statuses,
    pipes
FROM pairs
WHERE created + changed > 0
ORDER BY score DESC, subject, object
