/*
id: hypervisor-management
title: Hypervisor management reached from elsewhere
description: >
  Somebody outside the management network reaches for the management plane of hypervisors: SLP (427), the host agent (902),
  CIM (5988, 5989), and where the host is known to be a hypervisor also its web and ssh side (443, 8000, 22). ESXiArgs came in through SLP.
  A hypervisor is whoever lies in the prefixes given, or is approached on 427, 902, 5988 or 5989; the other ports count at
  hosts that lie in those prefixes or have answered on such a port.
severity: high
attack: [T1046, T1210, T1021]
parameters:
  hypervisors: {type: prefixes, default: [], help: "where the hypervisors are, beside those known by their ports"}
  management: {type: prefixes, default: [], help: "who may manage them, beside their own /24 or /64"}
columns:
  network: tenant scope
  hosts: management addresses approached
  answering: those of them that answered
  services: what was approached
  answered_services: what answered
references:
  - "CERT-FR, CERTFR-2023-ALE-015: campaign against VMware ESXi (CVE-2021-21974, SLP)"
  - "VMware, KB 76372: how to disable the SLP service on ESXi"
  - "VMware, ports and protocols of ESXi: 427, 443, 902, 5988, 5989, 8000"
false_positives:
  - administrators and backup servers outside the hypervisors' network; give their prefixes as parameter management
  - printers and storage that are found through SLP as well
  - a migration between hypervisors of two networks (8000); give both as parameter management
*/
WITH approaches AS (
    SELECT
        network, src_ip, dst_ip, src_addr, dst_addr, ts, ts_end, flow_id,
        proto_name || '/' || dst_port AS service,
        dst_port = 427 OR (proto = 6 AND dst_port IN (902, 5988, 5989)) AS telling,
        -- a reset is no answer of a service
        dst_pkts > 0
        AND NOT (
            proto = 6
            AND (conn_state = 'REJ' OR (conn_state IN ('RSTR', 'RSTRH') AND coalesce(dst_payload, 0) = 0 AND NOT contains(coalesce(history, ''), 'h')))
        ) AS answered
    FROM flows
    WHERE
        dst_port IN (22, 427, 443, 902, 5988, 5989, 8000)
        AND (proto = 6 OR (proto = 17 AND dst_port = 427))
        AND src_pkts > 0
        -- SLP also asks everybody at once, which is how printers are found
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
),
ours AS (SELECT p.low AS low, p.high AS high FROM (SELECT unnest($hypervisors) AS p)),
managers AS (SELECT p.low AS low, p.high AS high FROM (SELECT unnest($management) AS p)),
targets AS (
    SELECT network, dst_ip, any_value(dst_addr) AS addr, bool_or(telling) AS told, bool_or(telling AND answered) AS answered
    FROM approaches
    GROUP BY ALL
),
hypervisors AS (
    SELECT network, dst_ip, answered OR listed AS known
    FROM (SELECT *, EXISTS (SELECT 1 FROM ours WHERE addr BETWEEN low AND high) AS listed FROM targets)
    WHERE told OR listed
),
outside AS (
    SELECT
        a.*,
        CASE  -- the hypervisor's own network: /24 of IPv4, /64 of IPv6
            WHEN contains(a.dst_ip, ':')
                THEN regexp_replace(lower(hex(a.dst_addr))[1:16], '(....)(....)(....)(....)', '\1:\2:\3:\4::/64')
            ELSE regexp_replace(a.dst_ip, '[0-9]+$', '0/24')
        END AS prefix
    FROM approaches a JOIN hypervisors h ON h.network = a.network AND h.dst_ip = a.dst_ip
    WHERE
        (a.telling OR h.known)
        AND array_slice(a.src_addr, 1, CASE WHEN contains(a.dst_ip, ':') THEN 8 ELSE 15 END)
            <> array_slice(a.dst_addr, 1, CASE WHEN contains(a.dst_ip, ':') THEN 8 ELSE 15 END)
        AND NOT EXISTS (SELECT 1 FROM managers m WHERE a.src_addr BETWEEN m.low AND m.high)
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    prefix AS object,
    CASE
        WHEN count(*) FILTER (answered) > 0 THEN 0.8 + 0.2 * least(1.0, count(DISTINCT dst_ip) FILTER (answered) / 10.0)
        ELSE 0.4 + 0.3 * least(1.0, count(DISTINCT dst_ip) / 20.0)
    END AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} reached for the management of {:,} {} in {} from outside ({}); {}',
        src_ip, count(DISTINCT dst_ip), CASE WHEN count(DISTINCT dst_ip) = 1 THEN 'host' ELSE 'hosts' END, prefix,
        array_to_string(list_sort(list_distinct(list(service))), ', '),
        CASE
            WHEN count(*) FILTER (answered) = 0 THEN 'none answered'
            ELSE format(
                '{:,} answered ({})', count(DISTINCT dst_ip) FILTER (answered),
                array_to_string(list_sort(list_distinct(list(service) FILTER (answered))), ', ')
            )
        END
    ) AS why,
    CASE WHEN count(*) FILTER (answered) > 0 THEN 'high' WHEN count(DISTINCT dst_ip) >= 5 THEN 'medium' ELSE 'low' END AS severity,
    network,
    count(DISTINCT dst_ip) AS hosts,
    count(DISTINCT dst_ip) FILTER (answered) AS answering,
    array_to_string(list_sort(list_distinct(list(service))), ', ') AS services,
    array_to_string(coalesce(list_sort(list_distinct(list(service) FILTER (answered))), []), ', ') AS answered_services
FROM outside
GROUP BY network, src_ip, prefix
ORDER BY score DESC, subject, object
