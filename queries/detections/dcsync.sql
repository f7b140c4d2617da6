/*
id: dcsync
title: Directory replicated to a host that is no domain controller
description: >
  A host asks a domain controller for the changes of the directory (DRSGetNCChanges of drsuapi), secrets included, as only other
  domain controllers do. Who is asked for tickets over Kerberos, or for logons over netlogon, or is replicated from in turn, is
  taken to be a domain controller; so is whoever is named.
severity: critical
attack: [T1003.006]
parameters:
  controllers: {type: prefixes, default: [], help: "domain controllers beside those seen at work"}
columns:
  network: tenant scope
  calls: how often changes were asked for
  answered: calls that were answered
  auth: how it authenticated
  response_bytes: what the answers carried, bytes
references:
  - "MS-DRSR 4.1.10, IDL_DRSGetNCChanges"
  - "MITRE ATT&CK T1003.006, DCSync"
false_positives:
  - a domain controller of which nothing else was recorded; name it in controllers
  - directory synchronisation to the cloud, and tools that migrate or audit directories
*/
WITH controllers AS (
    SELECT DISTINCT f.network, f.dst_ip AS ip
    FROM kerberos k JOIN flows f USING (flow_id)
    WHERE k.type IN ('AS', 'TGS') AND k.answered
    UNION
    SELECT DISTINCT f.network, f.dst_ip
    FROM dcerpc d JOIN flows f USING (flow_id)
    WHERE
        d.result = 'answered'
        AND ((d.interface = 'drsuapi' AND d.operation = 'DRSGetNCChanges')
             OR (d.interface = 'netlogon' AND d.operation LIKE 'NetrLogonSamLogon%'))
),
asked AS (
    SELECT
        f.network, f.src_ip, f.dst_ip,
        sum(d.count)::BIGINT AS calls,
        coalesce(sum(d.count) FILTER (d.result = 'answered'), 0)::BIGINT AS answered,
        string_agg(DISTINCT d.auth, ', ' ORDER BY d.auth) AS auth,
        sum(d.response_bytes)::BIGINT AS response_bytes,
        min(f.ts) AS ts_first,
        max(f.ts_end) AS ts_last,
        list(DISTINCT f.flow_id ORDER BY f.flow_id)[1:1000] AS flow_ids,
        count(DISTINCT f.flow_id) AS flows
    FROM dcerpc d JOIN flows f USING (flow_id)
    WHERE
        d.interface = 'drsuapi' AND d.operation = 'DRSGetNCChanges'
        AND len(list_filter($controllers, lambda p: f.src_addr BETWEEN p.low AND p.high)) = 0
    GROUP BY ALL
)
SELECT
    a.src_ip || CASE WHEN a.network = '' THEN '' ELSE ' in ' || a.network END AS subject,
    a.dst_ip AS object,
    CASE WHEN a.answered > 0 THEN 0.95 ELSE 0.6 END AS score,
    a.ts_first,
    a.ts_last,
    a.flow_ids,
    a.flows,
    format(
        '{} asked {} for changes of the directory {:,} times, {:,} of them answered with {:,} bytes, and was never seen as a domain controller',
        a.src_ip, a.dst_ip, a.calls, a.answered, a.response_bytes
    ) AS why,
    CASE WHEN a.answered > 0 THEN 'critical' ELSE 'high' END AS severity,
    a.network,
    a.calls,
    a.answered,
    a.auth,
    a.response_bytes
FROM asked a ANTI JOIN controllers c ON c.network = a.network AND c.ip = a.src_ip
ORDER BY score DESC, subject, object
