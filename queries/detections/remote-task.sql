/*
id: remote-task
title: Scheduled task on another host
description: >
  Somebody registers or runs a task with the scheduler of another host: NetrJobAdd of atsvc, SchRpcRegisterTask or SchRpcRun of
  ITaskSchedulerService. It is a way to run commands there, and to stay.
severity: high
attack: [T1053.005, T1053.002]
parameters:
  administrators: {type: prefixes, default: [], help: "from where tasks are managed by intent"}
columns:
  network: tenant scope
  operations: what was called
  registered: tasks registered
  ran: tasks run
  statuses: what those operations returned, where it could be read
references:
  - "MS-TSCH, Task Scheduler Service Remoting Protocol"
  - "MITRE ATT&CK T1053.005, Scheduled Task"
false_positives:
  - backup and inventory software that schedules its jobs in this way; name theirs in administrators
  - administrators with schtasks.exe
*/
WITH calls AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.ts AS began, f.ts_end, f.flow_id, d.operation, d.status, d.count AS n,
        d.operation IN ('NetrJobAdd', 'SchRpcRegisterTask') AS registers
    FROM dcerpc d JOIN flows f USING (flow_id)
    WHERE
        d.interface IN ('atsvc', 'ITaskSchedulerService')
        AND d.operation IN ('NetrJobAdd', 'SchRpcRegisterTask', 'SchRpcRun')
        AND len(list_filter($administrators, lambda p: f.src_addr BETWEEN p.low AND p.high)) = 0
),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        coalesce(sum(n) FILTER (registers), 0)::BIGINT AS registered,
        coalesce(sum(n) FILTER (NOT registers), 0)::BIGINT AS ran,
        string_agg(DISTINCT status, ', ' ORDER BY status) AS statuses,
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
    CASE WHEN registered > 0 AND ran > 0 THEN 0.9 ELSE 0.7 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format('{} registered {:,} and ran {:,} scheduled tasks on {}', src_ip, registered, ran, dst_ip) AS why,
    network,
    operations,
    registered,
    ran,
    statuses
FROM pairs
ORDER BY score DESC, subject, object
