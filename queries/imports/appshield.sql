/*
id: appshield
title: NVIDIA DOCA App Shield agent
description: >
  What the App Shield agent says of processes it attests: events of its telemetry (app_shield_agent_telemetry) as JSON or as values
  with commas, and the lines that agent and samples print, with the connections of a process (netscan). These name the local
  address twice; the second is the remote one. An agent prints nothing any more once an attestation has failed.
input: lines
recognise:
  - '\A\s*\{.*"scan_count"\s*:'
  - '\A(.*\n){0,200}?.*(Attestation (pass|failed)|Protocol: \S*, local address: |contains \d+ connections|Connections for process \d+|attestation_event)'
times: timestamp of telemetry, microseconds since 1970; of printed lines the time in front, UTC, where there is one
columns:
  result: "pass or fail; of telemetry pass where result is 0"
  detail: path of telemetry
references:
  - "NVIDIA, DOCA App Shield agent: telemetry_register_attest_event; doca_apsh.h, netscan attributes"
*/
-- into host_events
WITH told AS (
    SELECT n, line, CASE WHEN json_valid(line) AND ltrim(line)[1] = '{' THEN json_extract_string(line, ['$.timestamp', '$.pid', '$.result', '$.scan_count',
            '$.path', '$.hostname', '$.host']) END AS f,
        regexp_extract(line, '^\s*\[?(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,:]\d+)?)', 1) AS moment,
        nullif(regexp_extract(line, '(?:[Pp]roc\(|[Pp]rocess[ (]+|pid[ :=]+)(\d+)', 1), '') AS pid,
        nullif(regexp_extract(line, 'Proc\(\d+\) name: (\S+)', 1), '') AS named,
        regexp_extract(line, 'Protocol: (\S*?), local address: (\S+):(\d+), (?:local|remote) address: (\S+):(\d+), state (\S*)',
            ['proto', 'local', 'local_port', 'remote', 'remote_port', 'state']) AS c,
        CASE WHEN regexp_matches(line, '[Aa]ttestation pass') THEN 'pass' WHEN regexp_matches(line, '[Aa]ttestation fail') THEN 'fail' END AS result,
        CASE WHEN regexp_full_match(line, '\s*\d{10,19},\d+,-?\d+,\d+,.*', 's') THEN string_split(line, ',') END AS v
    FROM rows
), carried AS (
    SELECT *, last_value(coalesce(pid, CASE WHEN named IS NOT NULL THEN pid END) IGNORE NULLS) OVER (ORDER BY n) AS last_pid,
        last_value(named IGNORE NULLS) OVER (ORDER BY n) AS last_name,
        last_value(nullif(moment, '') IGNORE NULLS) OVER (ORDER BY n) AS last_at
    FROM told
)
SELECT n, CASE WHEN f[4] IS NOT NULL THEN f[1] WHEN v IS NOT NULL THEN v[1] ELSE regexp_replace(last_at, '^(.{19})[.,:](\d+)$', '\1.\2') END AS ts,
    coalesce(f[6], f[7]) AS host, CASE WHEN c.local <> '' THEN 'connection' ELSE 'attestation' END AS kind,
    CASE WHEN c.local <> '' THEN 'netscan' ELSE 'attestation' END AS activity,
    CASE WHEN c.local <> '' OR result IS NOT NULL THEN last_name END AS process, coalesce(f[2], v[2], last_pid) AS pid,
    CASE WHEN c.local <> '' THEN NULL WHEN coalesce(f[3], v[3]) IS NOT NULL THEN CASE WHEN coalesce(f[3], v[3]) = '0' THEN 'pass' ELSE 'fail' END
        ELSE result END AS result,
    CASE WHEN c.local = '' THEN NULL WHEN upper(c.proto) LIKE 'TCP%' THEN 6 WHEN upper(c.proto) LIKE 'UDP%' THEN 17 END AS proto,
    trim(c.local, '[]') AS local_ip, nullif(c.local_port, '') AS local_port, trim(c.remote, '[]') AS remote_ip, nullif(c.remote_port, '') AS remote_port,
    nullif(rtrim(c.state, '.,'), '') AS conn_state, coalesce(f[5], v[5]) AS detail
FROM carried
WHERE f[4] IS NOT NULL OR v IS NOT NULL OR c.local <> '' OR result IS NOT NULL
