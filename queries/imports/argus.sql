/*
id: argus
title: NVIDIA DOCA Argus events
description: >
  Events and alerts of NVIDIA DOCA Argus, JSON objects one a line (objects over several lines are put together), with their header
  wrapped in message_header or flat. Numbers may be text; times of 1970 are none. A message that comes again by its id is counted
  once. Each connection of a process is a row, so that flows find their process; command lines are kept as a hash only.
input: json
recognise:
  - '\A\s*\{[\s\S]{0,4000}"(DOCA_ARGUS|occurred_message_time_iso_8601_ns|workload_information|activity_data)"'
times: occurred_message_time_iso_8601_ns, ISO 8601 with nanoseconds
fields: [message_id, message_type, severity, occurred_message_time_iso_8601_ns]
columns:
  kind: by the name of the activity; alert where message_type says so
  command_hash: process_command_line_arguments under the case's key
  detail: the container or file descriptor, or the path of the executable
references:
  - "NVIDIA, DOCA Argus service guide: the messages"
*/
-- into host_events
WITH told AS (
    SELECT n, coalesce(line->>'$.message_header.message_id', message_id) AS id,
        coalesce(line->>'$.message_header.message_type', message_type) AS type,
        coalesce(line->>'$.message_header.severity', severity) AS severity,
        coalesce(line->>'$.message_header.occurred_message_time_iso_8601_ns', occurred_message_time_iso_8601_ns) AS moment,
        coalesce(json_extract(line, '$.workload_information'), json_extract(line, '$.message_header.workload_information')) AS workload,
        coalesce(json_extract(line, '$.activity_data'), json_extract(line, '$.message_header.activity_data')) AS activity
    FROM rows
), listed AS (
    SELECT *, list_concat(coalesce(json_extract(activity, '$.process_list[*]'), []), CASE WHEN json_type(activity, '$.process_list') IS NULL
            THEN [activity] ELSE [] END) AS processes
    FROM told
), each AS (SELECT * EXCLUDE (processes), unnest(CASE WHEN len(processes) = 0 THEN [activity] ELSE processes END) AS one FROM listed),
details AS (
    SELECT *, coalesce(json_extract(one, '$.process_details'), json_extract(one, '$.process'),
            json_extract(one, '$.network_connection_details.process_details'), json_extract(one, '$.file_descriptor_details.process_details'), one)
            AS process,
        list_concat(coalesce(json_extract(one, '$.network_connection_list[*]'), []),
            coalesce(json_extract(one, '$.process_details.network_connection_list[*]'), [])) AS several
    FROM each
), connected AS (
    SELECT *, unnest(CASE WHEN len(several) > 0 THEN list_transform(several,
            lambda c: coalesce(json_extract(c, '$.network_connection_details'), c))
            ELSE [coalesce(json_extract(one, '$.network_connection_details'), json_extract(process, '$.network_connection_details'))] END) AS connection
    FROM details
), read AS (
    SELECT n, id, type, severity, moment, activity->>'$.name' AS name, one,
        json_extract_string(workload, ['$.unique_identifier', '$.hostname', '$.container_context.container_name', '$.container_context.pod_uid',
            '$.container_context.pod_name']) AS w,
        json_extract_string(process, ['$.process_name', '$.process_id', '$.process_hash_sha256', '$.process_command_line_arguments',
            '$.process_executable_path', '$.command_line']) AS p,
        json_extract_string(connection, ['$.local_address', '$.source_ip_address', '$.peer_address', '$.destination_ip_address', '$.local_port',
            '$.source_port', '$.peer_port', '$.destination_port', '$.connection_state', '$.protocol']) AS c,
        json_extract_string(one, ['$.file_descriptor_details.file_descriptor_name', '$.file_descriptor_details.file_descriptor_file_type']) AS d,
        regexp_replace(lower(coalesce(activity->>'$.name', '')), '[_\s]+', ' ', 'g') AS plain
    FROM connected
)
SELECT n, CASE WHEN id IS NOT NULL THEN concat_ws(' ', 'argus', id, p[2], c[1], c[2], c[5], c[6], c[3], c[4], c[7], c[8]) END AS key,
    moment AS ts, coalesce(nullif(w[2], ''), w[1]) AS host, coalesce(nullif(w[4], ''), w[1]) AS uid,
    CASE WHEN upper(type) = 'ALERT' THEN 'alert' WHEN plain LIKE '%network%' OR plain LIKE '%connection%' THEN 'connection'
        WHEN plain LIKE '%attest%' THEN 'attestation' WHEN plain LIKE '%container%' THEN 'container' WHEN plain LIKE '%file%' THEN 'file'
        WHEN plain LIKE '%module%' OR plain LIKE '%librar%' THEN 'module' WHEN plain LIKE '%process%' THEN 'process' ELSE 'other' END AS kind,
    severity, name AS activity, p[1] AS process, p[2] AS pid, p[3] AS sha256, coalesce(p[4], p[6]) AS command_hash,
    CASE WHEN coalesce(c[1], c[2], c[3], c[4]) IS NULL THEN NULL WHEN lower(c[10]) LIKE 'udp%' OR c[10] = '17' THEN 17
        WHEN lower(c[10]) LIKE 'tcp%' OR c[10] = '6' OR c[10] IS NULL THEN 6 END AS proto,
    coalesce(c[1], c[2]) AS local_ip, coalesce(c[5], c[6]) AS local_port, coalesce(c[3], c[4]) AS remote_ip, coalesce(c[7], c[8]) AS remote_port,
    c[9] AS conn_state, id AS message_id, coalesce(nullif(w[5], ''), nullif(w[3], ''), d[1], p[5]) AS detail,
    CASE WHEN name IS NULL THEN 'bad_line: no activity' END AS reject
FROM read
