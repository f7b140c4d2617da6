/*
id: hubble
title: Hubble flows
description: >
  Flows of Cilium's Hubble as JSON, one a line, with or without the envelope that `hubble observe -o jsonpb` adds. Hubble tells of
  packets, at each point where it sees one: what several points and nodes told of one conversation becomes one flow, with the
  packets of the point that saw the most of each direction. Replies are turned round; where no direction is told, ICMP types and TCP
  flags say it, else who came first. Bytes are not told. Pods become claims of who held the address.
input: json
recognise:
  - '\A\s*\{"flow":\s*\{'
  - '\A\s*\{.*"(traffic_direction|trace_observation_point|is_reply)"\s*:'
  - '\A\s*\{.*"(lost_events|node_status|agent_event|debug_event)"\s*:\s*\{'
pair: 300
times: time is ISO 8601 with nanoseconds, UTC
fields: [flow, node_name, lost_events, node_status, agent_event, debug_event]
columns:
  src_pkts: events of the packet at one observation point; those of layer 7 and of policies are none
  verdict: deny for DROPPED and ERROR at any point, else allow for FORWARDED, REDIRECTED and TRANSLATED, audit for AUDIT
  rule_id: the policy that allowed or denied, else the reason of the drop
  sensor: node_name
references:
  - "Cilium, api/v1/flow/flow.proto and api/v1/observer/observer.proto"
*/
-- into flows
WITH told AS (
    SELECT n, line, CASE WHEN json_type(line, '$.flow') = 'OBJECT' THEN json_extract(line, '$.flow')
            WHEN coalesce(lost_events, node_status, agent_event, debug_event, flow) IS NULL THEN CAST(line AS JSON) END AS flow,
        coalesce(node_name, '') AS node, lost_events, node_status, agent_event, debug_event,
        json_extract_string(line, ['$.lost_events.num_events_lost', '$.lost_events.numEventsLost']) AS lost
    FROM rows
), taken AS (
    SELECT *, json_extract_string(flow, ['$.time', '$.IP.source', '$.IP.destination', '$.l4.TCP.source_port', '$.l4.TCP.destination_port',
        '$.l4.UDP.source_port', '$.l4.UDP.destination_port', '$.l4.SCTP.source_port', '$.l4.SCTP.destination_port',
        '$.l4.ICMPv4.type', '$.l4.ICMPv6.type', '$.is_reply', '$.reply', '$.traffic_direction', '$.verdict', '$.drop_reason_desc',
        '$.Type', '$.event_type.type', '$.trace_observation_point', '$.ethernet.source', '$.ethernet.destination',
        '$.l7.dns.query', '$.l7.http.method', '$.node_name', '$.l4.ICMPv4', '$.l4.ICMPv6', '$.l7.kafka', '$.drop_reason', '$.l4.TCP',
        '$.l4.UDP', '$.l4.SCTP', '$.l7.http.code', '$.l4.VRRP', '$.l4.IGMP']) AS f,
        json_extract_string(flow, ['$.l4.TCP.flags.FIN', '$.l4.TCP.flags.SYN', '$.l4.TCP.flags.RST', '$.l4.TCP.flags.PSH',
        '$.l4.TCP.flags.ACK', '$.l4.TCP.flags.URG', '$.l4.TCP.flags.ECE', '$.l4.TCP.flags.CWR']) AS bits,
        json_extract_string(flow, ['$.egress_denied_by[0].name', '$.ingress_denied_by[0].name', '$.egress_allowed_by[0].name',
        '$.ingress_allowed_by[0].name']) AS policies
    FROM told
), read AS (
    SELECT n, line, lost, lost_events, node_status, agent_event, debug_event, f[1] AS ts, f[2] AS one, f[3] AS other, f[17] AS kind,
        CASE WHEN f[29] IS NOT NULL THEN 'tcp' WHEN f[30] IS NOT NULL THEN 'udp' WHEN f[31] IS NOT NULL THEN 'sctp'
            WHEN f[25] IS NOT NULL THEN 'icmp' WHEN f[26] IS NOT NULL THEN 'ipv6-icmp' WHEN f[33] IS NOT NULL THEN '112'
            WHEN f[34] IS NOT NULL THEN 'igmp' END AS proto,
        CASE WHEN f[25] IS NOT NULL THEN coalesce(TRY_CAST(f[10] AS INTEGER), 0)
            WHEN f[26] IS NOT NULL THEN coalesce(TRY_CAST(f[11] AS INTEGER), 0) END AS icmp,
        TRY_CAST(coalesce(f[4], f[6], f[8]) AS INTEGER) AS one_port, TRY_CAST(coalesce(f[5], f[7], f[9]) AS INTEGER) AS other_port,
        list_sum(list_transform(bits, lambda bit, i: CASE WHEN bit = 'true' THEN 1 << (i - 1) ELSE 0 END)) AS flags,
        CASE WHEN coalesce(f[12], f[13]) IS NOT NULL THEN coalesce(f[12], f[13]) = 'true'
            WHEN f[14] IN ('INGRESS', 'EGRESS') THEN false END AS told_reply,
        coalesce(f[15], '') AS verdict, coalesce(policies[1], policies[2], policies[3], policies[4],
            CASE WHEN f[15] IN ('DROPPED', 'ERROR') THEN coalesce(f[16], f[28]) END) AS rule,
        f[18] AS event, f[20] AS one_mac, f[21] AS other_mac,
        CASE WHEN f[22] IS NOT NULL THEN 'dns' WHEN coalesce(f[23], f[32]) IS NOT NULL THEN 'http' WHEN f[27] IS NOT NULL THEN 'kafka' END
            AS service,
        coalesce(nullif(f[24], ''), node) AS node, concat_ws(' ', coalesce(nullif(f[24], ''), node), f[18], f[19]) AS point
    FROM taken
), known AS (
    SELECT *, CASE WHEN told_reply IS NOT NULL THEN told_reply
            WHEN icmp IN (8, 10, 13, 15, 17, 128, 133, 135, 139, 144) THEN false
            WHEN icmp IN (0, 9, 14, 16, 18, 129, 134, 136, 140, 145) THEN true
            WHEN proto = 'tcp' AND flags & 18 = 2 THEN false WHEN proto = 'tcp' AND flags & 18 = 18 THEN true END AS reply,
        CASE WHEN event IN ('129', '5') OR kind = 'L7' THEN 0 ELSE 1 END AS packets,
        CASE icmp WHEN 8 THEN 0 WHEN 0 THEN 8 WHEN 13 THEN 14 WHEN 14 THEN 13 WHEN 15 THEN 16 WHEN 16 THEN 15 WHEN 17 THEN 18 WHEN 18 THEN 17
            WHEN 128 THEN 129 WHEN 129 THEN 128 WHEN 133 THEN 134 WHEN 134 THEN 133 WHEN 135 THEN 136 WHEN 136 THEN 135 ELSE 0 END AS answer
    FROM read
)
SELECT n, CASE WHEN kind = 'L7' THEN CAST(hash(line) AS VARCHAR) END AS key, ts, proto, service, node AS sensor, point,
    reply IS NOT NULL AS oriented,
    CASE WHEN reply THEN other ELSE one END AS src_ip, CASE WHEN reply THEN one ELSE other END AS dst_ip,
    coalesce(CASE WHEN reply THEN other_port ELSE one_port END, CASE WHEN icmp IS NOT NULL AND reply THEN answer ELSE icmp END) AS src_port,
    coalesce(CASE WHEN reply THEN one_port ELSE other_port END, CASE WHEN icmp IS NOT NULL AND reply THEN icmp
        WHEN icmp IS NOT NULL THEN answer END) AS dst_port,
    CASE WHEN reply THEN other_mac ELSE one_mac END AS src_mac, CASE WHEN reply THEN one_mac ELSE other_mac END AS dst_mac,
    CASE WHEN reply THEN 0 ELSE packets END AS src_pkts, CASE WHEN reply THEN packets ELSE 0 END AS dst_pkts,
    CASE WHEN proto = 'tcp' AND packets = 1 AND NOT coalesce(reply, false) THEN flags END AS src_flags,
    CASE WHEN proto = 'tcp' AND packets = 1 AND reply THEN flags END AS dst_flags,
    CASE WHEN verdict IN ('DROPPED', 'ERROR') THEN 'deny' WHEN verdict IN ('FORWARDED', 'REDIRECTED', 'TRANSLATED') THEN 'allow'
        WHEN verdict = 'AUDIT' THEN 'audit' END AS verdict,
    rule AS rule_id,
    CASE WHEN lost_events IS NOT NULL THEN 'records_skipped: events that Hubble lost: '
            || coalesce(lost[1], lost[2], '?')
        WHEN coalesce(node_status, agent_event, debug_event) IS NOT NULL THEN 'lines_unused: status of nodes and agents'
        WHEN one IS NULL OR other IS NULL THEN 'not_a_flow: no two addresses' END AS reject
FROM known

-- into claims
WITH told AS (
    SELECT n, CASE WHEN json_type(line, '$.flow') = 'OBJECT' THEN json_extract(line, '$.flow') ELSE CAST(line AS JSON) END AS flow,
        coalesce(node_name, '') AS node
    FROM rows
), ends AS (
    SELECT n, flow->>'$.time' AS ts, node, json_extract_string(flow, ['$.IP.source', '$.source.pod_name', '$.source.namespace',
            '$.source.ID', '$.source.workloads[0].kind', '$.source.workloads[0].name']) AS f, json_extract(flow, '$.source.labels') AS labels
    FROM told
    UNION ALL
    SELECT n, flow->>'$.time', node, json_extract_string(flow, ['$.IP.destination', '$.destination.pod_name', '$.destination.namespace',
            '$.destination.ID', '$.destination.workloads[0].kind', '$.destination.workloads[0].name']), json_extract(flow, '$.destination.labels')
    FROM told
), labelled AS (
    SELECT *, list_transform(list_filter(TRY_CAST(labels AS VARCHAR[]), lambda text: strpos(text, '=') > 1 AND NOT starts_with(text, 'reserved:')),
        lambda text: regexp_replace(text, '^[a-z0-9]+:', '')) AS texts
    FROM ends
)
SELECT n, ts AS ts_from, ts AS ts_seen, f[1] AS ip, f[2] AS name, f[3] AS namespace, 'pod' AS kind, 'hubble' AS origin,
    0.8 AS confidence, CASE WHEN f[4] IS NOT NULL AND f[4] <> '0' THEN nullif(node, '') END AS node,
    CASE WHEN len(texts) > 0 THEN CAST(to_json(map(list_sort(list_distinct(list_transform(texts, lambda text: split_part(text, '=', 1)))),
        list_transform(list_sort(list_distinct(list_transform(texts, lambda text: split_part(text, '=', 1)))),
            lambda k: substr(list_filter(texts, lambda text: split_part(text, '=', 1) = k)[1], len(k) + 2)))) AS VARCHAR) END AS labels
FROM labelled WHERE f[2] IS NOT NULL AND f[1] IS NOT NULL

-- into dns
WITH told AS (SELECT n, line, json_extract_string(CASE WHEN json_type(line, '$.flow') = 'OBJECT' THEN json_extract(line, '$.flow')
        ELSE CAST(line AS JSON) END, ['$.time', '$.l7.dns.query', '$.l7.dns.qtypes[0]', '$.l7.dns.rcode',
        '$.l7.type', '$.l7.dns']) AS f, coalesce(json_extract(line, '$.flow.l7.dns.ips'), json_extract(line, '$.l7.dns.ips')) AS ips FROM rows)
SELECT n, CAST(hash(line) AS VARCHAR) AS key, f[1] AS ts, 'dns' AS kind, lower(rtrim(f[2], '.')) AS query, f[3] AS qtype,
    CASE WHEN f[5] = 'RESPONSE' THEN CASE coalesce(f[4], '0') WHEN '0' THEN 'NOERROR' WHEN '1' THEN 'FORMERR' WHEN '2' THEN 'SERVFAIL'
        WHEN '3' THEN 'NXDOMAIN' WHEN '4' THEN 'NOTIMP' WHEN '5' THEN 'REFUSED' ELSE 'RCODE' || f[4] END END AS rcode,
    array_to_string(TRY_CAST(ips AS VARCHAR[]), ',') AS answers
FROM told WHERE f[6] IS NOT NULL

-- into http
WITH told AS (SELECT n, line, json_extract_string(CASE WHEN json_type(line, '$.flow') = 'OBJECT' THEN json_extract(line, '$.flow')
        ELSE CAST(line AS JSON) END, ['$.time', '$.l7.http.method', '$.l7.http.url', '$.l7.http.code',
        '$.l7.http.protocol', '$.l7.http', '$.l7.type']) AS f FROM rows)
SELECT n, CAST(hash(line) AS VARCHAR) AS key, f[1] AS ts, f[2] AS method, nullif(regexp_extract(f[3], '^[a-z]+://([^/?#@]+)', 1), '') AS host,
    nullif(regexp_extract(f[3], '^(?:[a-z]+://[^/?#]+)?(/[^?#]*)', 1), '') AS path, nullif(f[4], '0') AS status,
    regexp_extract(f[5], '[0-9.]+$') AS version
FROM told WHERE f[6] IS NOT NULL
