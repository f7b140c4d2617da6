/*
id: psm
title: Pensando firewall logs
description: >
  What AMD Pensando's firewalls send by syslog, one message a line, with the RFC 5424 head or without it. The first generation holds a
  JSON array of sessions in either of its two spellings; the second (CX 10000) holds 32, 37, 38 or 40 values by release, and more
  in later ones. A session is told when it begins and when it ends; both become one flow. Verdict and rule are those of the log.
input: lines
recognise:
  - '\A(<\d{1,3}>1 .*)?\[?\{.*"(session-state|rule-id|destaddr|destination-address)"'
  - '\A(<\d{1,3}>1 \S+ \S+ \S+ \S+ \S+ \S+ )?\d{4}-\d\d-\d\dT[^,]*,flow_\w+,(allow|deny|permit|reject)\w*,'
pair: 86400
times: ISO 8601 with its offset; of the second generation the first value, of the first `timestamp`, else the head's
columns:
  network: "vrf:NAME of the source, its UUID where there is no name"
  verdict: allow (or permit), deny, reject
  rule_id: rule id, else rule name
  sensor: name of the device, else the host in the head
  src_pkts: iflow, from the initiator; dst_pkts rflow
references:
  - "AMD Pensando, pensando-elk: dss_syslog.conf, the values of each release"
  - "Elastic, Beats: fields of the module pensando, and its spellings srcaddr and destaddr"
*/
-- into flows
WITH told AS (
    SELECT n, regexp_extract(line, '^<[0-9]{1,3}>[0-9] (\S+) (\S+) \S+ \S+ \S+ (?:-|(?:\[[^\]{]*\])+) ?(.*)$', ['moment', 'host', 'body']) AS head, line
    FROM rows
), bodies AS (
    SELECT n, nullif(head.moment, '-') AS moment, nullif(head.host, '-') AS host,
        trim(CASE WHEN head.body <> '' THEN head.body ELSE line END, ' ' || chr(65279)) AS body FROM told
), documents AS (
    SELECT n, moment, host, body, regexp_matches(body, '^[\[{]') AS json, json_valid(body) AS valid FROM bodies
), objects AS (
    SELECT n, moment, host, unnest(CASE WHEN json AND valid AND body[1] = '[' THEN json_extract(body, '$[*]')
            WHEN json AND valid THEN [CAST(body AS JSON)] WHEN json THEN [CAST(NULL AS JSON)] ELSE CAST([] AS JSON[]) END) AS object
    FROM documents
), firsts AS (
    SELECT n, moment, host, object, json_extract_string(object, ['$."source-address"', '$."destination-address"', '$."source-port"', '$."destination-port"',
            '$.srcaddr', '$.destaddr', '$.srcport', '$.destport', '$.protocol', '$.action', '$."rule-id"', '$.timestamp', '$."session-state"',
            '$."session-id"', '$.direction', '$.ruleid', '$.sessionid', '$.sessionstate', '$."iflow-packets"', '$."iflow-bytes"',
            '$."rflow-packets"', '$."rflow-bytes"', '$.time']) AS f
    FROM objects
), seconds AS (
    SELECT n, moment, host, string_split(body, ',') AS v FROM documents WHERE NOT json
), told_sessions AS (
    SELECT n, coalesce(f[12], f[23], moment) AS ts, coalesce(f[1], f[5]) AS src_ip, coalesce(f[2], f[6]) AS dst_ip, coalesce(f[3], f[7]) AS src_port,
        coalesce(f[4], f[8]) AS dst_port, f[9] AS proto, lower(f[10]) AS action, coalesce(f[11], f[16]) AS rule, host AS device,
        CAST(NULL AS VARCHAR) AS vrf, coalesce(f[13], f[18]) AS state, coalesce(f[14], f[17]) AS session,
        f[19] AS out_pkts, f[20] AS out_bytes, f[21] AS in_pkts, f[22] AS in_bytes, CAST(NULL AS VARCHAR) AS vlan,
        CASE WHEN object IS NULL OR json_type(object) <> 'OBJECT' THEN 'bad_line: no JSON object' END AS wrong
    FROM firsts
    UNION ALL
    SELECT n, v[1], v[5], v[7], v[6], v[8], v[9], lower(v[3]), coalesce(nullif(v[12], ''), v[13]), coalesce(nullif(v[22], ''), host),
        coalesce(nullif(CASE WHEN len(v) >= 37 THEN v[34] END, ''), v[4]), v[2], v[10], v[14], v[15], v[16], v[17], v[18],
        CASE WHEN len(v) < 32 THEN 'bad_line: ' || len(v) || ' values, where 32 are the least' END
    FROM seconds
)
SELECT n, ts, proto, src_ip, dst_ip,
    CASE WHEN lower(proto) NOT IN ('1', '58', 'icmp', 'icmpv6') THEN src_port END AS src_port,
    CASE WHEN lower(proto) NOT IN ('1', '58', 'icmp', 'icmpv6') THEN dst_port END AS dst_port,
    out_pkts AS src_pkts, in_pkts AS dst_pkts, out_bytes AS src_bytes, in_bytes AS dst_bytes,
    CASE WHEN nullif(vrf, '') IS NOT NULL THEN 'vrf:' || vrf END AS network, device AS sensor,
    concat_ws(' ', device, session) AS session, concat_ws(' ', device, state) AS point, true AS oriented,
    CASE WHEN action IN ('allow', 'permit', 'allowed') THEN 'allow' WHEN action IN ('deny', 'denied') THEN 'deny' ELSE action END AS verdict,
    rule AS rule_id, wrong AS reject
FROM told_sessions
